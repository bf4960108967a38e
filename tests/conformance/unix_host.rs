//! Rule 8, where there are signals and forks: no SIGPIPE reaches the host, and a forked child gets
//! ERR_FORKED.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::net::Net;
#[cfg(target_os = "linux")]
use crate::common::process::refuse_calls;
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, child, suite};
use std::ptr::{from_ref, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

suite! {
    each: no_signal, forked_child, no_thread_for_a_send, woken_by_a_signal;
}

/// The threads that receive take the last ones there are: those peers are answered all the same,
/// and one that does not read has its answers later.
#[cfg(target_os = "linux")]
pub fn no_thread_for_a_send(setup: Setup) {
    const LARGE: usize = 900_000;
    child::alone(setup, || {
        let mut host = setup.host();
        let door = host.door("?frame=u32be");
        let mut peers: Vec<_> = (0..4).map(|_| host.meet(door)).collect();
        if !refuse_calls(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN) {
            return;
        }
        for (peer, conn) in &mut peers {
            host.turn_over_behind(peer, *conn, &1u32.to_be_bytes());
        }
        let (mut peer, conn) = peers.pop().expect("one of them");
        (0..4).for_each(|_| assert_eq!(host.net.send(conn, &vec![5; LARGE / 4]), OK));
        let got = host.read(&mut peer, LARGE + 16);
        assert_eq!(got.iter().filter(|&&it| it == 5).count(), LARGE);
        assert!(!host.is_closed(conn));
        host.finish();
    });
}

#[cfg(not(target_os = "linux"))]
pub fn no_thread_for_a_send(_: Setup) {}

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::SeqCst);
}

/// Rule 8: sending to a peer that is gone raises no SIGPIPE, also where the host has not
/// switched it off.
pub fn no_signal(setup: Setup) {
    child::alone(setup, || {
        // SAFETY: the handler only counts.
        unsafe {
            libc::signal(libc::SIGPIPE, count_signal as *const () as libc::sighandler_t);
        }
        let mut host = setup.host();
        let door = host.door("");
        for _ in 0..20 {
            let (mut peer, conn) = host.meet(door);
            peer.put(b"x");
            host.until("a byte", |host| !host.bytes(conn).is_empty());
            peer.reset();
            host.until("its end", |host| {
                let status = host.net.send(conn, &[0; 1000]);
                assert!([OK, ERR_AGAIN, ERR_CLOSED, ERR_STALE].contains(&status), "{status}");
                host.is_closed(conn)
            });
        }
        for _ in 0..5 {
            reply_to_nobody(&mut host, door);
        }
        host.finish();
        assert_eq!(SIGNALS.load(Ordering::SeqCst), 0);
    });
}

/// A peer that has closed before it is answered: the first part of the reply earns a reset, the
/// next is what raises the signal.
fn reply_to_nobody(host: &mut Host, door: Door) {
    let (mut peer, conn) = host.meet(door);
    peer.put(b"x");
    drop(peer);
    let end = Instant::now() + DEADLINE;
    let mut replied = false;
    while !replied {
        assert!(Instant::now() < end, "not in time: CLOSED");
        let batch = host.batch(2);
        let closed = |at: usize| batch.kind(at) == Kind::Closed && batch.raw[at].conn == conn;
        replied = (0..batch.raw.len()).any(closed);
        if replied {
            assert_eq!(batch.net.send(conn, &[0; 500_000]), OK);
            // The reset may have come already.
            assert!([OK, ERR_CLOSED].contains(&batch.net.send(conn, &[0; 500_000])));
        }
    }
    host.until("a free slot", |host| host.net.stats().connections == 0);
}

static WOKEN: AtomicPtr<Net> = AtomicPtr::new(null_mut());

extern "C" fn wake_net(_: libc::c_int) {
    // SAFETY: a number of this thread's.
    unsafe { *libc::__errno_location() = 4321 };
    // SAFETY: of a net that lives, or NULL.
    if let Some(net) = unsafe { WOKEN.load(Ordering::SeqCst).as_ref() } {
        assert_eq!(net.wake(0), OK);
    }
    // SAFETY: as above.
    assert_eq!(unsafe { *libc::__errno_location() }, 4321);
    SIGNALS.fetch_add(1, Ordering::SeqCst);
}

/// A handler of a signal wakes the poll that it interrupts, wherever that is, though its calls of
/// the system are begun anew; and errno stays.
pub fn woken_by_a_signal(setup: Setup) {
    child::alone(setup, || {
        let mut host = setup.host();
        let door = host.door("");
        let (mut peer, conn) = host.meet(door);
        host.turn_over(&mut peer, conn);
        // SAFETY: an action with a handler that does what a handler may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = wake_net as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
        }
        WOKEN.store(from_ref(&*host.net).cast_mut(), Ordering::SeqCst);
        // SAFETY: no pointers.
        let poller = unsafe { libc::pthread_self() };
        let polls = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..300 {
                    let end = Instant::now() + DEADLINE;
                    while polls.load(Ordering::SeqCst) <= round {
                        assert!(Instant::now() < end, "not in time: poll {round}");
                        thread::yield_now();
                    }
                    // SAFETY: the scope's thread, which lives for longer.
                    assert_eq!(unsafe { libc::pthread_kill(poller, libc::SIGUSR1) }, 0);
                }
            });
            for round in 0..300 {
                polls.store(round + 1, Ordering::SeqCst);
                // SAFETY: no payload is read.
                let batch = unsafe { host.net.poll(0, 8, -1) }.expect("a poll");
                assert_eq!((batch.raw.len(), SIGNALS.load(Ordering::SeqCst)), (0, round + 1));
            }
        });
        WOKEN.store(null_mut(), Ordering::SeqCst);
        host.turn_over(&mut peer, conn);
        host.finish();
    });
}

/// Rule 8: in a forked child every call answers ERR_FORKED and touches nothing of the parent's.
pub fn forked_child(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let timer = host.net.start_timer(0, u32::MAX, 0, 0).expect("a timer");
    // SAFETY: the child calls the library, which refuses at once, and `_exit`: nothing that
    // another thread of the parent could hold.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let net = &host.net;
        let answers = [
            net.send(conn, b"x"),
            net.close(conn, AT_ONCE),
            net.flush(),
            net.post(0, 1, 1),
            net.start_timer(0, 1, 1, 1).map_or_else(|status| status, |_| OK),
            net.stop_timer(timer),
            net.listener_close(door.listener),
            net.pause(conn),
            net.shutdown(0),
            net.conn_info(conn).map_or_else(|status| status, |_| OK),
            // SAFETY: it is refused, so nothing is freed.
            unsafe { net.free() },
        ];
        let wrong = answers.iter().filter(|&&status| status != ERR_FORKED).count();
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(wrong as i32) };
    }
    assert!(child > 0, "a child");
    let mut status = -1;
    // SAFETY: waits for our own child.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "the child was killed: {status:#x}");
    assert_eq!(libc::WEXITSTATUS(status), 0, "calls that were not answered ERR_FORKED");
    host.turn_over(&mut peer, conn);
    host.finish();
}
