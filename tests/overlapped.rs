//! What the suite over the C ABI cannot see: who reaps, who is woken, and what is in flight when
//! a worker goes.
#![cfg(windows)]

use socket2::Socket;
use sockeye::buf::{CHUNK_BYTES, Pool, Train};
use sockeye::io::op::{Completion, Lane, Op, Outcome, Role, Token};
use sockeye::io::os::windows::iocp::Iocp;
use sockeye::io::os::windows::overlapped::{Common, Overlapped, Reaper};
use sockeye::io::os::windows::overlapped_event::OverlappedEvent;
use sockeye::io::os::windows::overlapped_routine::OverlappedRoutine;
use sockeye::io::proactor::{Proactor, Setup};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(5);

fn setup() -> Setup {
    let (threads, summon) = (Arc::default(), Arc::new(|| {}));
    Setup { pool: Pool::new(64 << 20), recv_max: CHUNK_BYTES, threads, summon }
}

fn token(index: u32) -> Token {
    Token::new(index, 7)
}

/// So many workers of one net.
fn workers<R: Reaper>(count: usize) -> (Common<R>, Vec<Overlapped<R>>) {
    let common = Overlapped::<R>::share(count).expect("a place");
    let open = |_| Overlapped::open(&setup(), &common).expect("a worker");
    let all = (0..count).map(open).collect();
    (common, all)
}

/// A socket for a model, and its peer.
fn pair() -> (Socket, TcpStream) {
    let door = TcpListener::bind("127.0.0.1:0").expect("a port");
    let far = TcpStream::connect(door.local_addr().expect("an address")).expect("a connection");
    let near = Socket::from(door.accept().expect("its other end").0);
    near.set_nonblocking(true).expect("it need not block");
    (near, far)
}

/// Turns one worker until something completes.
fn next<R: Reaper>(worker: &mut Overlapped<R>) -> Vec<Completion> {
    let (mut done, end) = (Vec::new(), Instant::now() + DEADLINE);
    while done.is_empty() {
        assert!(Instant::now() < end, "nothing completed");
        worker.turn(&mut done, Some(LOOK)).expect("a turn");
    }
    done
}

/// The bytes of the one receive that completed.
fn bytes(done: &[Completion]) -> Vec<u8> {
    match done {
        [Completion { outcome: Outcome::Received(Ok(slice), _), .. }] => slice.to_vec(),
        _ => panic!("one receive"),
    }
}

fn failed(done: &[Completion]) -> Vec<(Token, Lane, io::ErrorKind)> {
    let kind = |completion: &Completion| match &completion.outcome {
        Outcome::Received(Err(error), _) | Outcome::Sent(Err(error), _) => error.kind(),
        Outcome::Accepted(_, Some(error)) => error.kind(),
        _ => panic!("it was cancelled"),
    };
    done.iter().map(|it| (it.token, it.lane, kind(it))).collect()
}

/// A train that no socket takes at once, after some.
fn long_train(pool: &Pool) -> Train {
    let mut train = Train::default();
    while !train.is_full() {
        train.push(pool.take(CHUNK_BYTES).expect("memory").write_zeros(CHUNK_BYTES));
    }
    train
}

/// Sends until a send is in flight.
fn clog<R: Reaper>(worker: &mut Overlapped<R>, token: Token, pool: &Pool) {
    let mut done = Vec::new();
    loop {
        worker.submit(token, Op::Send(long_train(pool)), &mut done);
        if done.drain(..).next().is_none() {
            return;
        }
    }
}

#[test]
fn either_worker_reaps() {
    let (_common, mut all) = workers::<Iocp>(2);
    let ((near, mut far), mut done) = (pair(), Vec::new());
    all[0].adopt(token(1), &near, Role::Stream).expect("room");
    for round in 0..20 {
        let (begins, reaps) = (round % 2, (round + 1) % 2);
        all[begins].submit(token(1), Op::Recv(None), &mut done);
        // What is not there yet is reported by the port, to whoever looks.
        all[begins].turn(&mut done, Some(Duration::ZERO)).expect("a turn");
        assert!(done.is_empty());
        far.write_all(&[round as u8]).expect("room");
        assert_eq!(bytes(&next(&mut all[reaps])), [round as u8]);
    }
    all[1].release(token(1));
}

#[test]
fn a_cancel_comes_elsewhere() {
    let (_common, mut all) = workers::<Iocp>(2);
    let ((near, _far), pool, mut done) = (pair(), Pool::new(64 << 20), Vec::new());
    all[0].adopt(token(1), &near, Role::Stream).expect("room");
    all[0].submit(token(1), Op::Recv(None), &mut done);
    clog(&mut all[0], token(1), &pool);
    all[1].cancel(token(1));
    let end = Instant::now() + DEADLINE;
    while done.len() < 2 {
        assert!(Instant::now() < end, "both lanes end");
        all[1].turn(&mut done, Some(LOOK)).expect("a turn");
    }
    let aborted = io::ErrorKind::ConnectionAborted;
    let mut told = failed(&done);
    told.sort_by_key(|&(_, lane, _)| lane as u32);
    assert_eq!(told, [(token(1), Lane::In, aborted), (token(1), Lane::Out, aborted)]);
    all[1].release(token(1));
    assert_eq!(all[0].counts().flying(), 0);
}

#[test]
fn a_bell_wakes_its_own() {
    let (_common, all) = workers::<Iocp>(2);
    let bells: Vec<_> = all.iter().map(Proactor::bell).collect();
    let (woken, wakes) = mpsc::channel();
    for (at, mut worker) in all.into_iter().enumerate() {
        let woken = woken.clone();
        thread::spawn(move || {
            let bell = worker.bell();
            loop {
                worker.turn(&mut Vec::new(), None).expect("a turn");
                if !bell.hush() {
                    continue;
                }
                if woken.send(at).is_err() {
                    return;
                }
            }
        });
    }
    let wait = || wakes.recv_timeout(DEADLINE).expect("somebody wakes");
    for round in 0..500 {
        let at = round / 3 % 2;
        bells[at].ring();
        assert_eq!(wait(), at, "round {round}");
    }
    drop(wakes);
    bells.iter().for_each(sockeye::io::Bell::ring);
}

/// The tests of one model.
macro_rules! each {
    ($($model:ident $reaper:ty;)+) => {
        $(
            mod $model {
                use super::*;

                #[test]
                fn dropped_with_many_in_flight() {
                    super::dropped_with_many_in_flight::<$reaper>();
                }

                #[test]
                fn a_cancel_ends_both_lanes() {
                    super::a_cancel_ends_both_lanes::<$reaper>();
                }

                #[test]
                fn a_listener_goes_with_accepts_in_flight() {
                    super::a_listener_goes_with_accepts_in_flight::<$reaper>();
                }
            }
        )+
    };
}

each! {
    iocp Iocp;
    overlapped_event OverlappedEvent;
    overlapped_routine OverlappedRoutine;
}

/// Nothing that the system may write to is freed before it has let go of it.
fn dropped_with_many_in_flight<R: Reaper>() {
    let (common, mut all) = workers::<R>(1);
    let mut worker = all.pop().expect("one");
    let (pool, mut done, mut sockets) = (Pool::new(512 << 20), Vec::new(), Vec::new());
    let (doors, conns) = if R::SOCKETS_MAX.is_some() { (15, 16) } else { (120, 80) };
    for index in 0..doors {
        let door = Socket::from(TcpListener::bind("127.0.0.1:0").expect("a port"));
        door.set_nonblocking(true).expect("it need not block");
        worker.adopt(token(index), &door, Role::Listener).expect("room");
        worker.submit(token(index), Op::Accept, &mut done);
        sockets.push((door, None));
    }
    for index in doors..doors + conns {
        let (near, far) = pair();
        worker.adopt(token(index), &near, Role::Stream).expect("room");
        worker.submit(token(index), Op::Recv(None), &mut done);
        clog(&mut worker, token(index), &pool);
        sockets.push((near, Some(far)));
    }
    worker.turn(&mut done, Some(Duration::ZERO)).expect("a turn");
    assert!(worker.counts().flying() >= 16 * doors as usize, "{}", worker.counts().flying());
    let counts = worker.counts().clone();
    drop(worker);
    assert_eq!(counts.flying(), 0, "all were reaped");
    assert!(!common.is_forsaken());
}

fn a_cancel_ends_both_lanes<R: Reaper>() {
    let (_common, mut all) = workers::<R>(1);
    let worker = &mut all[0];
    let ((near, mut far), pool, mut done) = (pair(), Pool::new(64 << 20), Vec::new());
    worker.adopt(token(3), &near, Role::Stream).expect("room");
    worker.submit(token(3), Op::Recv(None), &mut done);
    worker.turn(&mut done, Some(Duration::ZERO)).expect("a turn");
    clog(worker, token(3), &pool);
    assert_eq!(worker.counts().flying(), 2);
    worker.cancel(token(3));
    let end = Instant::now() + DEADLINE;
    while done.len() < 2 {
        assert!(Instant::now() < end, "both lanes end");
        worker.turn(&mut done, Some(LOOK)).expect("a turn");
    }
    assert_eq!(failed(&done).len(), 2);
    assert_eq!(worker.counts().flying(), 0, "joined");
    worker.release(token(3));
    drop(near);
    // What was sent before is there, and then an end.
    let mut rest = Vec::new();
    far.set_read_timeout(Some(DEADLINE)).expect("a limit");
    let _ = far.read_to_end(&mut rest);
    assert!(!rest.is_empty());
}

/// Its accepts outlive it, and the slot is another's meanwhile.
fn a_listener_goes_with_accepts_in_flight<R: Reaper>() {
    let (common, mut all) = workers::<R>(1);
    let (worker, mut doors) = (&mut all[0], Vec::new());
    for round in 0..20 {
        let (token, mut done) = (Token::new(2, round), Vec::new());
        let door = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = door.local_addr().expect("an address");
        let door = Socket::from(door);
        door.set_nonblocking(true).expect("it need not block");
        worker.adopt(token, &door, Role::Listener).expect("room");
        worker.submit(token, Op::Accept, &mut done);
        let _peer = TcpStream::connect(address).expect("a connection");
        if done.is_empty() {
            done = next(worker);
        }
        assert!(matches!(&done[..], [Completion { outcome: Outcome::Accepted(all, None), .. }]
            if all.len() == 1));
        // The lane is idle now, and the other accepts are in flight.
        assert!(worker.counts().flying() > 0);
        worker.release(token);
        // Not even closed: that would end them, too.
        doors.push(door);
    }
    let end = Instant::now() + DEADLINE;
    while worker.counts().flying() > 0 {
        assert!(Instant::now() < end, "the accepts end with their listeners");
        worker.turn(&mut Vec::new(), Some(LOOK)).expect("a turn");
    }
    drop(all);
    assert!(!common.is_forsaken());
}
