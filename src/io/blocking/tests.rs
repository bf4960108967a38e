//! The contract, on real sockets and without an engine.

use super::*;
use crate::buf::{CHUNK_BYTES, Pool, Train};
use crate::io::datagram::{ADDRESS_BYTES, Datagram};
use crate::io::op::Outcome;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const DEADLINE: Duration = Duration::from_secs(20);
const FIRST: Token = Token(1 << 24);

/// A worker with one socket.
struct Scene {
    model: Blocking,
    pool: Pool,
    threads: Arc<AtomicU32>,
    summoned: Arc<AtomicU32>,
    done: Vec<Completion>,
}

fn scene(memory: u64) -> Scene {
    let (pool, threads) = (Pool::new(memory), Arc::<AtomicU32>::default());
    let summoned = Arc::<AtomicU32>::default();
    let setup = Setup {
        pool: pool.clone(),
        recv_max: CHUNK_BYTES,
        threads: threads.clone(),
        summon: Arc::new({
            let summoned = summoned.clone();
            move || {
                summoned.fetch_add(1, SeqCst);
            }
        }),
    };
    let model = Blocking::open(&setup, &()).expect("it opens anywhere");
    let bell = model.bell();
    pool.on_relief(move || bell.ring());
    Scene { model, pool, threads, summoned, done: Vec::new() }
}

/// A connection: its peer, and its own end as the engine has it.
fn pair() -> (TcpStream, Socket) {
    let door = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let peer = TcpStream::connect(door.local_addr().expect("it is bound")).expect("it listens");
    let near = Socket::from(door.accept().expect("a peer").0);
    near.set_nonblocking(true).expect("an option");
    (peer, near)
}

/// A socket for datagrams, connected to its peer or not, as the engine has it, and the peer.
fn datagram_pair(connected: bool) -> (UdpSocket, Socket) {
    let bound = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let (peer, near) = (bound(), bound());
    peer.connect(near.local_addr().expect("it is bound")).expect("it is only noted down");
    if connected {
        near.connect(peer.local_addr().expect("it is bound")).expect("it is only noted down");
    }
    let near = Socket::from(near);
    near.set_nonblocking(true).expect("an option");
    (peer, near)
}

impl Scene {
    fn submit(&mut self, op: Op) {
        self.model.submit(FIRST, op, &mut self.done);
    }

    /// The payloads of the next completion.
    fn next_datagrams(&mut self) -> Vec<Vec<u8>> {
        let Outcome::ReceivedFrom(answer) = self.next() else { panic!("of datagrams") };
        let all = answer.expect("datagrams");
        all.iter().map(|it| it.data[ADDRESS_BYTES..].to_vec()).collect()
    }

    fn threads(&self) -> u32 {
        self.threads.load(SeqCst)
    }

    /// The next completion, by turns that wait.
    fn next(&mut self) -> Outcome {
        let end = Instant::now() + DEADLINE;
        while self.done.is_empty() {
            assert!(Instant::now() < end, "nothing completes");
            self.turn(100);
        }
        self.done.remove(0).outcome
    }

    fn turn(&mut self, timeout_ms: u64) {
        let timeout = Some(Duration::from_millis(timeout_ms));
        self.model.turn(&mut self.done, timeout).expect("it never fails");
    }

    /// Turns until so many threads are left.
    fn until_threads(&mut self, count: u32) {
        let end = Instant::now() + DEADLINE;
        while self.threads() != count {
            assert!(Instant::now() < end, "{} threads", self.threads());
            self.turn(10);
        }
    }
}

fn train(pool: &Pool, len: usize) -> Train {
    let mut train = Train::default();
    train.push(pool.take(len).expect("memory").write_zeros(len));
    train
}

fn is_cancelled(outcome: &Outcome) -> bool {
    let error = match outcome {
        Outcome::Accepted(_, error) => error.as_ref(),
        Outcome::Received(answer, _) => answer.as_ref().err(),
        Outcome::Connected(answer) => answer.as_ref().err(),
        Outcome::Sent(answer, _) => answer.as_ref().err(),
        Outcome::ReceivedFrom(answer) => answer.as_ref().err(),
        Outcome::SentTo(answer, _) => answer.as_ref().err(),
    };
    error.is_some_and(|error| error.kind() == cancelled().kind())
}

#[test]
fn a_lane_has_a_thread_from_its_first_operation_on() {
    let mut scene = scene(1 << 20);
    let (mut peer, near) = pair();
    scene.model.adopt(FIRST, &near, Role::Stream).expect("room");
    scene.submit(Op::Recv(None));
    assert_eq!(scene.threads(), 1, "it only listens");
    peer.write_all(b"hello").expect("open");
    assert!(matches!(scene.next(), Outcome::Received(Ok(slice), None) if &*slice == b"hello"));
    assert_eq!(scene.summoned.load(SeqCst), 0, "what a peer sends waits for the host");
    let train = train(&scene.pool, 5);
    scene.submit(Op::Send(train));
    assert_eq!(scene.threads(), 2);
    assert!(matches!(scene.next(), Outcome::Sent(Ok(5), _)));
    let end = Instant::now() + DEADLINE;
    while scene.summoned.load(SeqCst) == 0 {
        assert!(Instant::now() < end, "what is to leave does not wait");
        thread::park_timeout(Duration::from_millis(1));
    }
    scene.model.release(FIRST);
    drop(near);
    scene.until_threads(0);
}

/// What makes the model fair as far as it is its own: a turn gives out what all threads have, one
/// operation of each lane, however much one of them brings.
#[test]
fn one_turn_brings_what_every_thread_has() {
    const QUIET: u32 = 8;
    let mut scene = scene(1 << 20);
    let pairs: Vec<_> = (0..=QUIET).map(|_| pair()).collect();
    for (at, (peer, near)) in pairs.iter().enumerate() {
        let token = Token::new(at as u32, 1);
        scene.model.adopt(token, near, Role::Stream).expect("room");
        scene.model.submit(token, Op::Recv(None), &mut scene.done);
        let len = if at == 0 { CHUNK_BYTES } else { 1 };
        (&*peer).write_all(&vec![7; len]).expect("open");
    }
    let end = Instant::now() + DEADLINE;
    while scene.model.shared.count() <= QUIET as usize {
        assert!(Instant::now() < end, "each thread receives by itself");
        thread::park_timeout(Duration::from_millis(1));
    }
    scene.turn(0);
    let mut tokens: Vec<Token> = scene.done.drain(..).map(|it| it.token).collect();
    tokens.sort();
    assert!((0..=QUIET).map(|at| Token::new(at, 1)).eq(tokens), "each once");
    (0..=QUIET).for_each(|at| scene.model.release(Token::new(at, 1)));
    drop(pairs);
    scene.until_threads(0);
}

#[test]
fn a_cancel_ends_an_accept() {
    let mut scene = scene(1 << 20);
    let door = Socket::from(TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    scene.model.adopt(FIRST, &door, Role::Listener).expect("room");
    for at_once in [true, false] {
        scene.submit(Op::Accept);
        if !at_once {
            scene.turn(20);
        }
        scene.model.cancel(FIRST);
        assert!(is_cancelled(&scene.next()), "at once: {at_once}");
    }
}

#[test]
fn a_cancel_ends_a_receive_without_a_trace() {
    for at_once in [true, false] {
        let mut scene = scene(1 << 20);
        let (mut peer, near) = pair();
        scene.model.adopt(FIRST, &near, Role::Stream).expect("room");
        scene.submit(Op::Recv(None));
        if !at_once {
            scene.turn(20);
        }
        scene.model.cancel(FIRST);
        assert!(is_cancelled(&scene.next()), "at once: {at_once}");
        scene.model.release(FIRST);
        near.set_linger(Some(Duration::ZERO)).expect("an option");
        drop(near);
        let read = peer.read(&mut [0]).expect_err("a reset, not an end before it");
        assert_eq!(read.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_cancel_ends_a_send_that_blocks() {
    let mut scene = scene(64 << 20);
    let (_peer, near) = pair();
    scene.model.adopt(FIRST, &near, Role::Stream).expect("room");
    loop {
        let train = train(&scene.pool, CHUNK_BYTES);
        scene.submit(Op::Send(train));
        let end = Instant::now() + Duration::from_millis(200);
        while scene.done.is_empty() && Instant::now() < end {
            scene.turn(20);
        }
        if scene.done.is_empty() {
            break;
        }
        assert!(matches!(scene.next(), Outcome::Sent(Ok(_), _)));
    }
    scene.model.cancel(FIRST);
    // What the system took before it blocked counts.
    let outcome = scene.next();
    let part = matches!(outcome, Outcome::Sent(Ok(sent), _) if sent < CHUNK_BYTES);
    assert!(part || is_cancelled(&outcome));
}

#[test]
fn a_cancel_ends_a_connect() {
    let door = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    door.bind(&any.into()).expect("a port is free");
    door.listen(0).expect("it is bound");
    let address = door.local_addr().expect("it is bound");
    // One waits to be accepted; no other is answered.
    let place = address.as_socket().expect("an internet address");
    let _first = TcpStream::connect(place).expect("it listens");
    let mut scene = scene(1 << 20);
    let near = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    scene.model.adopt(FIRST, &near, Role::Connecting).expect("room");
    scene.submit(Op::Connect(Box::new(address)));
    scene.turn(50);
    assert!(scene.done.is_empty(), "it is not answered");
    scene.model.cancel(FIRST);
    assert!(is_cancelled(&scene.next()));
}

#[test]
fn a_receive_without_memory_waits_for_it() {
    let mut scene = scene(CHUNK_BYTES as u64 + 4096);
    let (mut peer, near) = pair();
    scene.model.adopt(FIRST, &near, Role::Stream).expect("room");
    let hog = scene.pool.take(CHUNK_BYTES).expect("all there is");
    scene.submit(Op::Recv(None));
    peer.write_all(b"x").expect("open");
    scene.turn(100);
    assert!(scene.done.is_empty(), "there is no memory");
    drop(hog);
    assert!(matches!(scene.next(), Outcome::Received(Ok(slice), None) if &*slice == b"x"));
}

#[test]
fn a_cancel_ends_a_receive_of_datagrams() {
    for (connected, at_once) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut scene = scene(1 << 20);
        let (peer, near) = datagram_pair(connected);
        scene.model.adopt(FIRST, &near, Role::Datagram).expect("room");
        scene.submit(Op::RecvFrom);
        peer.send(b"").expect("it is there");
        assert_eq!(scene.next_datagrams(), [b""], "an empty one is no interrupt");
        scene.submit(Op::RecvFrom);
        if !at_once {
            scene.turn(20);
            assert!(scene.done.is_empty(), "nothing has come");
        }
        scene.model.cancel(FIRST);
        assert!(is_cancelled(&scene.next()), "connected: {connected}, at once: {at_once}");
        scene.model.release(FIRST);
        scene.until_threads(0);
    }
}

#[test]
fn datagrams_without_memory_wait_for_it() {
    let mut scene = scene(CHUNK_BYTES as u64 + 4096);
    let (peer, near) = datagram_pair(false);
    scene.model.adopt(FIRST, &near, Role::Datagram).expect("room");
    let hog = scene.pool.take(CHUNK_BYTES).expect("all there is");
    scene.submit(Op::RecvFrom);
    for payload in ["one", "", "three"] {
        peer.send(payload.as_bytes()).expect("it is there");
    }
    scene.turn(100);
    assert!(scene.done.is_empty(), "there is no memory");
    drop(hog);
    assert_eq!(scene.next_datagrams(), [&b"one"[..], b"", b"three"], "one batch");
    // The pool has no more, but the chunk has.
    scene.submit(Op::RecvFrom);
    peer.send(b"more").expect("it is there");
    assert_eq!(scene.next_datagrams(), [b"more"]);
}

#[test]
fn datagrams_are_sent_up_to_one_that_cannot_be() {
    let mut scene = scene(1 << 20);
    let (peer, near) = datagram_pair(false);
    scene.model.adopt(FIRST, &near, Role::Datagram).expect("room");
    let to = peer.local_addr().expect("it is bound");
    // IPv6 on a socket of IPv4 is no way.
    let no_way = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, to.port()));
    let datagram = |address| {
        let data = scene.pool.take(8).expect("memory").write(b"datagram");
        Datagram { address: Some(address), local: None, data }
    };
    let mut all = vec![datagram(to), datagram(to), datagram(no_way), datagram(to)];
    for (sent, left) in [(Some(2), 2), (None, 1), (Some(1), 0)] {
        scene.submit(Op::SendTo(all));
        let Outcome::SentTo(answer, back) = scene.next() else { panic!("of datagrams") };
        assert_eq!(answer.ok(), sent);
        all = back;
        all.drain(..sent.unwrap_or(1));
        assert_eq!(all.len(), left);
    }
    peer.set_read_timeout(Some(DEADLINE)).expect("an option");
    for _ in 0..3 {
        let mut bytes = [0; 16];
        assert_eq!(peer.recv(&mut bytes).expect("it was sent"), 8);
    }
}

#[test]
fn a_drop_joins_threads_in_the_middle_of_it() {
    for memory in [1 << 20, 0] {
        let mut scene = scene(memory);
        let (mut peer, near) = pair();
        scene.model.adopt(FIRST, &near, Role::Stream).expect("room");
        scene.submit(Op::Recv(None));
        if memory == 0 {
            peer.write_all(b"x").expect("open");
        }
        scene.turn(20);
        let threads = scene.threads.clone();
        drop(scene);
        assert_eq!(threads.load(SeqCst), 0);
    }
}

/// A long receive has its turn until it is collected, and those that wait come in the order in
/// which they asked.
#[test]
fn long_receives_come_one_at_a_time_and_in_order() {
    const COUNT: usize = 4;
    let mut scene = scene(1 << 20);
    let mut pairs: Vec<_> = (0..COUNT).map(|_| pair()).collect();
    let token = |at: usize| Token(FIRST.0 + at as u64);
    let end = Instant::now() + DEADLINE;
    let until = |met: &dyn Fn() -> bool| {
        while !met() {
            assert!(Instant::now() < end, "it never comes to that");
            thread::yield_now();
        }
    };
    for (at, (peer, near)) in pairs.iter_mut().enumerate() {
        scene.model.adopt(token(at), near, Role::Stream).expect("room");
        peer.write_all(b"some").expect("open");
        let chunk = scene.pool.take(CHUNK_BYTES).expect("memory");
        scene.model.submit(token(at), Op::Recv(Some(chunk)), &mut scene.done);
        match at {
            0 => until(&|| scene.model.shared.is_told()),
            _ => until(&|| scene.model.shared.long_waiting() == at),
        }
    }
    let mut order = Vec::new();
    for at in 0..COUNT {
        let waiting = scene.model.shared.long_waiting();
        assert_eq!(waiting, COUNT - 1 - at, "one at a time");
        assert!(
            pairs[at + 1..].iter().all(|(_, near)| sys::shows(near, Look::Unread)),
            "nobody else received"
        );
        scene.turn(0);
        order.extend(scene.done.drain(..).map(|it| it.token));
        if at + 1 < COUNT {
            until(&|| scene.model.shared.is_told());
        }
    }
    assert_eq!(order, (0..COUNT).map(token).collect::<Vec<_>>());
}
