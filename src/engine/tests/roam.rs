//! Workers that reap from one place, as those of a completion port do: over real sockets, with a
//! poll(2) behind a lock from which every worker takes a few completions.

use super::told::{Told, What, poll_queue};
use crate::engine::{CloseHow, Config, Drive, Endpoint, Kind, Net};
use crate::io::emulated::Emulated;
use crate::io::os::unix::poll::Poll;
use crate::io::{Affinity, Bell, Completion, Op, Proactor, Role, Setup, Token};
use crate::session::Cause;
use parking_lot::Mutex;
use socket2::Socket;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);
/// The longest sleep of a worker; sockets do not wake it.
const NAP: Duration = Duration::from_micros(200);
const WORKERS: u32 = 4;

/// What the workers share: the sockets, and completions that no worker has taken.
#[derive(Clone, Default)]
struct Common(Arc<Mutex<Sockets>>);

type Sockets = (Option<Emulated<Poll>>, VecDeque<Completion>);

/// One worker's half.
struct Together {
    common: Common,
    bell: Bell,
    turner: Arc<OnceLock<Thread>>,
}

impl Together {
    fn with<T>(&self, work: impl FnOnce(&mut Emulated<Poll>) -> T) -> T {
        work(self.common.0.lock().0.as_mut().expect("made by the first worker"))
    }
}

impl Proactor for Together {
    const AFFINITY: Affinity = Affinity::Shared;
    type Shared = Common;

    fn share(workers: usize) -> io::Result<Common> {
        assert!(workers == 1 || workers == WORKERS as usize, "all of them, or one alone");
        Ok(Common::default())
    }

    fn open(setup: &Setup, common: &Common) -> io::Result<Together> {
        let model = &mut common.0.lock().0;
        if model.is_none() {
            *model = Some(Emulated::open(setup, &())?);
        }
        let turner = Arc::new(OnceLock::<Thread>::new());
        let bound = turner.clone();
        let bell = Bell::new(move || {
            bound.get().expect("only a turner dozes").unpark();
            true
        });
        Ok(Together { common: common.clone(), bell, turner })
    }

    fn bell(&self) -> Bell {
        self.bell.clone()
    }

    fn adopt(&mut self, token: Token, socket: &Socket, role: Role) -> io::Result<()> {
        self.with(|model| model.adopt(token, socket, role))
    }

    fn release(&mut self, token: Token) {
        self.with(|model| model.release(token));
    }

    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        self.with(|model| model.submit(token, op, done));
    }

    fn cancel(&mut self, token: Token) {
        self.with(|model| model.cancel(token));
    }

    fn turn(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> io::Result<()> {
        self.turner.get_or_init(thread::current);
        let before = done.len();
        let mut common = self.common.0.lock();
        let (model, reaped) = &mut *common;
        if reaped.is_empty() {
            let mut all = Vec::new();
            let model = model.as_mut().expect("made by the first worker");
            model.turn(&mut all, Some(Duration::ZERO))?;
            reaped.extend(all);
        }
        let few = reaped.len().min(2);
        done.extend(reaped.drain(..few));
        drop(common);
        // The others have time to take what comes next before this is reported.
        thread::yield_now();
        if done.len() == before && timeout != Some(Duration::ZERO) && self.bell.doze() {
            thread::park_timeout(timeout.unwrap_or(NAP).min(NAP));
            self.bell.rouse();
        }
        Ok(())
    }
}

/// A net that listens, its host, and what was reported of each connection.
struct Scene {
    net: Arc<Net>,
    port: u16,
    told: BTreeMap<Token, Vec<Told>>,
}

impl Scene {
    fn new(queues: u32, drive: Drive) -> Scene {
        let config = Config { workers: Some(WORKERS), queues, drive, ..Config::default() };
        let net = Net::open_with(config, |_, open| crate::io::Visit::visit::<Together>(open));
        let net = net.expect("it opens");
        let mut id = 0;
        let listened = net.listen("tcp://127.0.0.1:0", Endpoint::default(), |given| id = given);
        listened.expect("a port is free");
        let listener = net.token(id, Kind::Listener).expect("its own handle");
        let info = net.listener_info(listener).expect("it lives");
        let port = info.local.expect("it is bound").port();
        Scene { net, port, told: BTreeMap::new() }
    }

    /// Polls every queue, echoes, and holds what comes to the order of a connection.
    fn poll(&mut self) {
        let queues = self.net.core.queues.len() as u32;
        for queue in 0..queues {
            let batch = poll_queue(&self.net, queue, 64, Duration::from_millis(1));
            for told in batch.unwrap_or_default() {
                if matches!(told.what, What::ListenerClosed(_)) {
                    continue;
                }
                let of_it = self.told.entry(told.token).or_default();
                let first = of_it.is_empty();
                let closed = matches!(of_it.last(), Some(Told { what: What::Closed(..), .. }));
                assert_eq!(first, matches!(told.what, What::Opened(_)), "{told:?} in {of_it:?}");
                assert!(!closed, "{told:?} behind CLOSED");
                if let What::Message(data, _) = &told.what {
                    let _ = self.net.send(told.token, data);
                    // It goes to the other queue, if it is not on its way.
                    let _ = self.net.conn_set_queue(told.token, queues - 1 - queue);
                }
                of_it.push(told);
            }
        }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&Scene) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < end, "{what}: never");
            self.poll();
        }
    }

    fn closed(&self) -> usize {
        let last = self.told.values().filter_map(|told| told.last());
        last.filter(|told| matches!(told.what, What::Closed(..))).count()
    }

    /// Waits for so many ends in all, and for the peers, who see theirs when the batch is over.
    fn ends(&mut self, peers: JoinHandle<()>, count: usize) {
        self.until("the end of all", |scene| scene.closed() == count && peers.is_finished());
        peers.join().expect("no panic");
    }

    /// Workers that received something.
    fn reapers(&self) -> usize {
        let homes = self.net.core.homes.iter();
        homes.filter(|home| home.counters.received_bytes.load(SeqCst) > 0).count()
    }

    fn end(mut self) {
        assert_eq!(self.net.shutdown(Duration::from_millis(500)), Ok(()));
        self.poll();
        assert_eq!(self.closed(), self.told.len(), "everybody is told");
        assert_eq!(self.net.info().threads, 0, "every thread is joined");
        assert_eq!(self.net.retire(), Ok(()));
    }
}

fn bytes(told: &[Told]) -> Vec<u8> {
    let data = told.iter().filter_map(|told| match &told.what {
        What::Message(data, _) => Some(&data[..]),
        _ => None,
    });
    data.collect::<Vec<_>>().concat()
}

/// What the peers of a round write: numbers, with pauses that the echo makes.
fn talk(port: u16, peers: usize, rounds: u8) {
    let mut all: Vec<TcpStream> =
        (0..peers).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it listens")).collect();
    for round in 0..rounds {
        for peer in &mut all {
            peer.write_all(&[round]).expect("it is open");
        }
        for peer in &mut all {
            peer.set_read_timeout(Some(DEADLINE)).expect("an option");
            let mut echo = [0];
            peer.read_exact(&mut echo).expect("the echo");
            assert_eq!(echo, [round]);
        }
    }
    for peer in &mut all {
        // Its last words and its end at once, while the echo of them is on its way.
        peer.write_all(&[rounds, rounds + 1]).expect("it is open");
        peer.shutdown(Shutdown::Write).expect("it is open");
    }
    for peer in &mut all {
        let mut rest = Vec::new();
        let _ = peer.read_to_end(&mut rest);
    }
}

/// Many connections, each with all its bytes in order and then its end, whoever reaps them and
/// wherever they move.
fn nothing_overtakes(queues: u32) {
    const PEERS: usize = 12;
    const ROUNDS: u8 = 30;
    let mut scene = Scene::new(queues, Drive::Pool);
    let port = scene.port;
    for wave in 1..=8 {
        let peers = thread::spawn(move || talk(port, PEERS, ROUNDS));
        scene.ends(peers, wave * PEERS);
    }
    let all: Vec<u8> = (0..=ROUNDS + 1).collect();
    for told in scene.told.values() {
        assert_eq!(bytes(told), all);
        assert!(matches!(told.last().expect("CLOSED").what, What::Closed(Cause::Peer, _)));
    }
    assert!(scene.reapers() > 1, "a connection is not one worker's");
    scene.end();
}

#[test]
fn nothing_overtakes_on_one_queue() {
    nothing_overtakes(1);
}

#[test]
fn nothing_overtakes_on_two_queues() {
    nothing_overtakes(2);
}

/// One connection's bytes are received by several workers.
#[test]
fn one_connection_has_many_workers() {
    let mut scene = Scene::new(1, Drive::Pool);
    let port = scene.port;
    scene.ends(thread::spawn(move || talk(port, 1, 200)), 1);
    assert!(scene.reapers() > 1);
    scene.end();
}

/// Deadlines pass with the connection, and are kept once.
#[test]
fn a_deadline_finds_its_connection() {
    let mut scene = Scene::new(1, Drive::Pool);
    let mut id = 0;
    let mut endpoint = Endpoint::default();
    endpoint.limits.idle_timeout_ms = 200;
    scene.net.listen("tcp://127.0.0.1:0", endpoint, |given| id = given).expect("a port");
    let listener = scene.net.token(id, Kind::Listener).expect("its own handle");
    let info = scene.net.listener_info(listener).expect("it lives");
    let port = info.local.expect("it is bound").port();
    let mut peers: Vec<_> =
        (0..8).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it listens")).collect();
    scene.until("all", |scene| scene.told.len() == peers.len());
    peers.iter_mut().for_each(|peer| peer.write_all(b"x").expect("it is open"));
    scene.until("their end", |scene| scene.closed() == peers.len());
    for told in scene.told.values() {
        let last = told.last().expect("CLOSED");
        assert!(matches!(last.what, What::Closed(Cause::TimeoutIdle, _)), "{told:?}");
    }
    scene.end();
}

/// A shutdown in the middle of everything is reported to every connection.
#[test]
fn ended_in_the_middle() {
    for round in 0..10u64 {
        let mut scene = Scene::new(1, Drive::Pool);
        let port = scene.port;
        let mut peers: Vec<_> =
            (0..12).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it listens")).collect();
        scene.until("all", |scene| scene.told.len() == peers.len());
        for (at, token) in scene.told.keys().copied().collect::<Vec<_>>().into_iter().enumerate() {
            peers[at].write_all(&[7; 5000]).expect("it is open");
            if at % 4 == 0 {
                let how = if at % 8 == 0 { CloseHow::Reset } else { CloseHow::Graceful };
                let _ = scene.net.close(token, how, None);
            }
        }
        for _ in 0..round {
            scene.poll();
        }
        scene.end();
    }
}

/// Driven by its host, each worker reaps for itself.
#[test]
fn lent_workers_reap_for_themselves() {
    let mut scene = Scene::new(1, Drive::Lend);
    let port = scene.port;
    scene.ends(thread::spawn(move || talk(port, 4, 20)), 4);
    assert!(!scene.net.core.roams);
    scene.end();
}
