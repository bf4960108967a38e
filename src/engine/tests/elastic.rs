//! Workers that come and go with the sockets there are, for models that watch only so many: over
//! real sockets, with a poll(2) and with threads that take a few each.

use super::told::{What, poll};
use crate::engine::{CloseHow, Config, Drive, Endpoint, Kind, Net, Refusal};
use crate::io::blocking::Blocking;
use crate::io::emulated::Emulated;
use crate::io::os::unix::poll::Poll;
use crate::io::readiness::{Readiness, Ready};
use crate::io::{Affinity, Bell, Completion, Op, Proactor, Role, Setup, Token};
use crate::session::Cause;
use socket2::Socket;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);
/// Sockets of one worker.
const FEW: usize = 4;

/// Workers that are open in this process, by the model below.
static POLLS: AtomicIsize = AtomicIsize::new(0);

/// poll(2) with few sockets.
struct FewPolled(Poll);

impl Drop for FewPolled {
    fn drop(&mut self) {
        POLLS.fetch_sub(1, SeqCst);
    }
}

impl Readiness for FewPolled {
    const SOCKETS_MAX: Option<u32> = Some(FEW as u32);

    fn open() -> io::Result<(Self, Bell)> {
        POLLS.fetch_add(1, SeqCst);
        let (poll, bell) = Poll::open()?;
        Ok((FewPolled(poll), bell))
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        self.0.add(token, socket)
    }

    fn remove(&mut self, token: Token, socket: &Socket) {
        self.0.remove(token, socket);
    }

    fn blocked(&mut self, token: Token, lane: crate::io::Lane) {
        self.0.blocked(token, lane);
    }

    fn arm(&mut self, token: Token, lane: crate::io::Lane) -> io::Result<()> {
        self.0.arm(token, lane)
    }

    fn wait(
        &mut self,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
        bell: &Bell,
    ) -> io::Result<()> {
        self.0.wait(ready, timeout, bell)
    }
}

/// BLOCKING with few sockets.
struct FewBlocking {
    model: Blocking,
    sockets: BTreeSet<Token>,
}

impl Proactor for FewBlocking {
    const AFFINITY: Affinity = Affinity::Free;
    const SOCKETS_MAX: Option<u32> = Some(FEW as u32);

    type Shared = ();

    fn share(_workers: usize) -> io::Result<()> {
        Ok(())
    }

    fn open(setup: &Setup, shared: &()) -> io::Result<FewBlocking> {
        Ok(FewBlocking { model: Blocking::open(setup, shared)?, sockets: BTreeSet::new() })
    }

    fn bell(&self) -> Bell {
        self.model.bell()
    }

    fn adopt(&mut self, token: Token, socket: &Socket, role: Role) -> io::Result<()> {
        if self.sockets.len() == FEW {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.model.adopt(token, socket, role)?;
        self.sockets.insert(token);
        Ok(())
    }

    fn release(&mut self, token: Token) {
        self.model.release(token);
        self.sockets.remove(&token);
    }

    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        self.model.submit(token, op, done);
    }

    fn cancel(&mut self, token: Token) {
        self.model.cancel(token);
    }

    fn turn(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> io::Result<()> {
        self.model.turn(done, timeout)
    }
}

/// A net that listens, and the host that polls it.
struct Scene {
    net: Arc<Net>,
    port: u16,
    /// Connections by the peer's port, and what they were sent.
    conns: BTreeMap<u16, (Token, Vec<u8>)>,
    causes: Vec<Cause>,
}

type Pick = fn(Config) -> Result<Arc<Net>, Refusal>;

const MODELS: [Pick; 2] = [
    |config| Net::open_with(config, |_, open| crate::io::Visit::visit::<Emulated<FewPolled>>(open)),
    |config| Net::open_with(config, |_, open| crate::io::Visit::visit::<FewBlocking>(open)),
];

fn config(drive: Drive, workers: u32) -> Config {
    Config { drive, workers: Some(workers), lease_us: 1000, ..Config::default() }
}

impl Scene {
    fn new(pick: Pick, config: Config) -> Scene {
        let net = pick(config).expect("it opens");
        let mut id = 0;
        let listened = net.listen("tcp://127.0.0.1:0", Endpoint::default(), |given| id = given);
        listened.expect("a port is free");
        let listener = net.token(id, Kind::Listener).expect("its own handle");
        let info = net.listener_info(listener).expect("it lives");
        let port = info.local.expect("it is bound").port();
        Scene { net, port, conns: BTreeMap::new(), causes: Vec::new() }
    }

    fn poll(&mut self) {
        for told in poll(&self.net, 64, Duration::from_millis(2)).expect("the net runs") {
            match told.what {
                What::Opened(_) => {
                    let info = self.net.conn_info(told.token).expect("it lives");
                    let port = info.peer.expect("it has a peer").port();
                    self.conns.insert(port, (told.token, Vec::new()));
                }
                What::Message(data, _) => {
                    assert_eq!(self.net.send(told.token, &data), Ok(()), "an echo");
                    let conn = self.conns.values_mut().find(|conn| conn.0 == told.token);
                    conn.expect("opened before").1.extend(data);
                }
                What::Closed(cause, _) => {
                    self.causes.push(cause);
                    self.conns.retain(|_, conn| conn.0 != told.token);
                }
                What::Writable(_) | What::ListenerClosed(_) | What::Posted(_) | What::Moved(_) => {}
                What::Timer(..) => panic!("nobody starts a timer here"),
            }
        }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&Scene) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < end, "{what}: never; {} workers", self.workers());
            self.poll();
        }
    }

    fn workers(&self) -> usize {
        self.net.info().workers as usize
    }

    /// So many peers, each connected and heard.
    fn meet(&mut self, count: usize) -> Vec<TcpStream> {
        let connect = |_| TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let mut peers: Vec<TcpStream> = (0..count).map(connect).collect();
        self.talk(&mut peers);
        peers
    }

    /// A few bytes there and back for each.
    fn talk(&mut self, peers: &mut [TcpStream]) {
        let port = |peer: &TcpStream| peer.local_addr().expect("connected").port();
        for peer in &mut *peers {
            peer.write_all(b"ping").expect("it is open");
            let port = port(peer);
            self.until("a connection", |scene| scene.conns.contains_key(&port));
            self.until("an echo", |scene| {
                let mut echo = [0; 4];
                peer.set_nonblocking(true).expect("an option");
                let whole = matches!(peer.peek(&mut echo), Ok(4));
                peer.set_nonblocking(false).expect("an option");
                whole && scene.conns[&port].1.ends_with(b"ping")
            });
            let mut echo = [0; 4];
            peer.read_exact(&mut echo).expect("it is there");
            assert_eq!(&echo, b"ping");
        }
    }

    fn end(self) {
        assert_eq!(self.net.shutdown(Duration::from_millis(500)), Ok(()));
        assert_eq!(self.net.info().threads, 0, "every thread is joined");
        assert_eq!(self.net.retire(), Ok(()));
        assert_eq!(Arc::strong_count(&self.net), 1);
    }
}

/// Workers that `sockets` and a listener need at least.
fn needed(sockets: usize) -> usize {
    (sockets + 1).div_ceil(FEW)
}

/// More than one worker can watch: others come, every connection works, and they go again.
fn comes_and_goes(pick: Pick, drive: Drive) {
    let mut scene = Scene::new(pick, config(drive, 1));
    assert_eq!((scene.workers(), scene.net.info().threads > 0), (1, true));
    for round in 0..3 {
        let mut peers = scene.meet(22);
        assert_eq!(scene.workers(), needed(22), "round {round}");
        scene.talk(&mut peers);
        peers.clear();
        scene.until("every end", |scene| scene.conns.is_empty());
        scene.until("one worker", |scene| scene.workers() == 1);
    }
    let stats = scene.net.stats();
    assert_eq!((stats.accepted, stats.accept_failures), (66, 0));
    assert_eq!(scene.causes, [Cause::Peer; 66]);
    scene.end();
}

#[test]
fn workers_come_and_go_in_each_drive() {
    for pick in MODELS {
        for drive in [Drive::Pool, Drive::Lend, Drive::Host] {
            comes_and_goes(pick, drive);
        }
    }
}

/// What a worker has in the system goes with it, and its number is used again.
#[test]
fn a_worker_that_goes_leaves_nothing() {
    let before = POLLS.load(SeqCst);
    let mut scene = Scene::new(MODELS[0], config(Drive::Pool, 1));
    for _ in 0..3 {
        let peers = scene.meet(9);
        assert_eq!(scene.workers(), 3);
        assert_eq!(POLLS.load(SeqCst) - before, 3);
        drop(peers);
        scene.until("one poll", |_| POLLS.load(SeqCst) - before == 1);
        scene.until("one thread", |scene| scene.net.info().threads == 1);
    }
    let homes = &scene.net.core.homes;
    assert!(homes[3..].iter().all(|home| home.strikes() == 0), "numbers are used again");
    scene.end();
    assert_eq!(POLLS.load(SeqCst), before, "a shutdown closes all");
}

/// A place more or less does not have a worker come and go each time.
#[test]
fn a_worker_stays_while_it_would_be_back_soon() {
    let mut scene = Scene::new(MODELS[0], config(Drive::Pool, 1));
    let full = scene.meet(FEW - 1);
    for _ in 0..10 {
        drop(scene.meet(1));
        scene.until("one end", |scene| scene.conns.len() == FEW - 1);
        scene.until("an empty worker", |scene| scene.net.core.homes[1].population() == 0);
        for _ in 0..5 {
            scene.poll();
            assert_eq!(scene.workers(), 2, "the other has no room at all");
        }
    }
    drop(full);
    scene.until("one worker", |scene| scene.workers() == 1);
    scene.end();
}

/// Connections of one queue are reported there, whichever worker they live with.
#[test]
fn an_extra_worker_serves_the_queue_that_is_full() {
    let mut config = config(Drive::Pool, 2);
    config.queues = 2;
    let net = MODELS[0](config).expect("it opens");
    let door = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("tcp://{}", door.local_addr().expect("it is bound"));
    let mut peers = Vec::new();
    for at in 0..3 * FEW as u32 {
        let endpoint = Endpoint { queue: Some(1), ..Endpoint::default() };
        net.connect(&url, endpoint, |_| ()).expect("it is looked at later");
        peers.push(door.accept().expect("it connects"));
        let homes = &net.core.homes;
        let of = |queue: usize| homes.iter().skip(queue).step_by(2).map(|it| it.population());
        assert_eq!((of(0).sum::<usize>(), of(1).sum::<usize>()), (0, at as usize + 1));
    }
    assert_eq!(net.info().workers, 4, "two of queue 1 beside the first two");
    let mut opened = 0;
    let end = Instant::now() + DEADLINE;
    while opened < 3 * FEW {
        assert!(Instant::now() < end, "OPENED never comes");
        let wait = Some(Duration::from_millis(2));
        opened += net.poll(1, 64, wait, |_, _| ()).expect("the net runs");
    }
    assert_eq!(net.poll(0, 64, Some(Duration::ZERO), |_, _| ()), Ok(0));
    assert_eq!(net.shutdown(Duration::ZERO), Ok(()));
}

/// Without threads there is one worker: who is accepted beyond it is refused and counted, who
/// connects ends with LIMIT_MODEL; and there is room again when a connection ends.
#[test]
fn without_threads_the_limit_is_told() {
    for pick in MODELS {
        let mut scene = Scene::new(pick, config(Drive::Host, 0));
        let mut peers = scene.meet(FEW - 1);
        let mut refused = TcpStream::connect(("127.0.0.1", scene.port)).expect("it listens");
        scene.until("a refusal", |scene| scene.net.stats().accept_failures == 1);
        assert!(matches!(refused.read(&mut [0]), Ok(0) | Err(_)), "its end");
        let url = format!("tcp://127.0.0.1:{}", scene.port);
        let connected = scene.net.connect(&url, Endpoint::default(), |_| ());
        connected.expect("it is looked at later");
        scene.until("CLOSED", |scene| scene.causes == [Cause::LimitModel]);
        let listened = scene.net.listen("tcp://127.0.0.1:0", Endpoint::default(), |_| ());
        assert!(listened.is_err(), "no room for a listener");
        scene.talk(&mut peers);
        peers.pop();
        scene.until("an end", |scene| scene.conns.len() == FEW - 2);
        let _more = scene.meet(1);
        assert_eq!(scene.workers(), 1);
        scene.end();
    }
}

/// Connections that come and go at the limit, closed from both ends: none is lost, and in the end
/// there is one worker.
#[test]
fn churn_at_the_limit() {
    for pick in MODELS {
        let mut scene = Scene::new(pick, config(Drive::Pool, 1));
        let mut peers: Vec<TcpStream> = Vec::new();
        let mut made = 0;
        for round in 0..60 {
            peers.extend(scene.meet(1 + round % 5));
            made += 1 + round % 5;
            while peers.len() > round % 11 {
                let peer = peers.swap_remove(round % peers.len());
                let port = peer.local_addr().expect("connected").port();
                if round % 2 == 0 {
                    let token = scene.conns[&port].0;
                    assert_eq!(scene.net.close(token, CloseHow::Reset, None), Ok(()));
                }
                drop(peer);
            }
        }
        drop(peers);
        scene.until("every end", |scene| scene.causes.len() == made);
        scene.until("one worker", |scene| scene.workers() == 1);
        assert_eq!(scene.net.stats().accept_failures, 0);
        scene.end();
    }
}

/// A shutdown in the middle of it: every worker closes what it has, and each end is reported once.
#[test]
fn a_shutdown_ends_all_workers() {
    for pick in MODELS {
        let mut scene = Scene::new(pick, config(Drive::Pool, 1));
        let peers = scene.meet(30);
        assert_eq!(scene.workers(), needed(30));
        assert_eq!(scene.net.shutdown(Duration::ZERO), Ok(()));
        let mut closed = 0;
        while let Ok(batch) = poll(&scene.net, 64, Duration::ZERO) {
            let ends = batch.iter().filter(|told| matches!(told.what, What::Closed(..)));
            closed += ends.count();
        }
        assert_eq!(closed, 30);
        drop(peers);
        scene.end();
    }
}
