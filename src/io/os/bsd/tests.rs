//! What is KQUEUE's own. What all such models have to do is in `unix/tests.rs`.

use super::kqueue::Kqueue;
use crate::io::bell::Bell;
use crate::io::op::{LANES, Lane, Token};
use crate::io::readiness::{Readiness, Ready};
use socket2::{Domain, SockRef, Socket, Type};
use std::collections::HashSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

fn open() -> (Kqueue, Bell) {
    Kqueue::open().expect("it runs here")
}

fn pair() -> (Socket, Socket) {
    let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("a pair");
    near.set_nonblocking(true).expect("an option");
    (near, far)
}

fn look(poller: &mut Kqueue, bell: &Bell, timeout: Duration) -> Vec<Ready> {
    let mut ready = Vec::new();
    poller.wait(&mut ready, Some(timeout), bell).expect("it waits");
    ready
}

/// Both lanes of more sockets than one wait has room for become ready at once, and none is missed.
#[test]
fn more_at_once_than_one_wait_takes() {
    const SOCKETS: usize = 400;
    let (mut poller, bell) = open();
    let pairs: Vec<_> = (0..SOCKETS).map(|_| pair()).collect();
    for (at, (near, _)) in pairs.iter().enumerate() {
        let token = Token::new(at as u32, 1);
        poller.add(token, near).expect("it is watched");
        LANES.iter().for_each(|&lane| poller.arm(token, lane).expect("it is armed"));
    }
    // All are ready for writing at once; what follows is about edges.
    while !look(&mut poller, &bell, SHORT).is_empty() {}
    for (_, far) in &pairs {
        (&*far).write_all(b"news").expect("room");
    }
    let (mut told, end) = (HashSet::new(), Instant::now() + DEADLINE);
    while told.len() < SOCKETS {
        assert!(Instant::now() < end, "{} of {SOCKETS} reported", told.len());
        let ready = look(&mut poller, &bell, SHORT);
        let inward = ready.iter().filter(|it| it.lane == Lane::In);
        told.extend(inward.map(|it| it.token.index()));
    }
}

/// The error of a connection comes with its end, once.
#[test]
fn an_end_brings_its_error() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let near = Socket::from(listener.accept().expect("a caller").0);
    let (mut poller, bell) = open();
    let token = Token::new(3, 7);
    poller.add(token, &near).expect("it is watched");
    assert!(poller.error(token).is_none());
    SockRef::from(&far).set_linger(Some(Duration::ZERO)).expect("an option");
    drop(far);
    let ready = look(&mut poller, &bell, DEADLINE);
    assert!(ready.iter().any(|it| it.token == token && it.lane == Lane::In && it.ended));
    let error = poller.error(token).expect("its error");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
    assert!(poller.error(token).is_none(), "once");
}

/// What came for a socket that left is not reported of the next with its number.
#[test]
fn a_number_used_again() {
    let (mut poller, bell) = open();
    let ((first, far), (second, quiet)) = (pair(), pair());
    poller.add(Token::new(5, 1), &first).expect("it is watched");
    (&far).write_all(b"late").expect("room");
    poller.remove(Token::new(5, 1), &first);
    drop(first);
    poller.add(Token::new(5, 2), &second).expect("it is watched");
    assert!(look(&mut poller, &bell, SHORT).is_empty());
    (&quiet).write_all(b"news").expect("room");
    let ready = look(&mut poller, &bell, DEADLINE);
    assert!(ready.iter().any(|it| it.token == Token::new(5, 2)) && ready.len() == 1);
}

/// No timeout is too long for the system, and the bell ends each.
#[test]
fn the_bell_ends_the_longest_wait() {
    for timeout in [None, Some(Duration::MAX), Some(Duration::from_secs(1 << 33))] {
        let (mut poller, bell) = open();
        let ringer = bell.clone();
        let waiting = thread::spawn(move || {
            let mut ready = Vec::new();
            poller.wait(&mut ready, timeout, &bell).expect("it waits");
            ready.len()
        });
        ringer.ring();
        let end = Instant::now() + DEADLINE;
        while !waiting.is_finished() {
            assert!(Instant::now() < end, "it waits on: {timeout:?}");
            thread::yield_now();
        }
        assert_eq!(waiting.join().expect("no panic"), 0, "the bell is no socket");
    }
}
