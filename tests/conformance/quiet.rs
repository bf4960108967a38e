//! Rule 8: nothing of ours reaches the host. No signal, no panic, no output, no descriptor in
//! another program; a forked child gets ERR_FORKED.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::process::{closes_on_exec, descriptors};
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, child, suite};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

suite! {
    each: no_signal, descriptors_close_on_exec, no_output, forked_child;
}

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

/// Rule 8: every descriptor of ours is CLOEXEC: sockets, doorbells, the model's own.
pub fn descriptors_close_on_exec(setup: Setup) {
    child::alone(setup, || {
        let before = descriptors();
        let mut host = setup.host();
        let door = host.door("");
        let (_peer, conn) = host.meet(door);
        host.connect(&format!("tcp://localhost:{}", door.port));
        host.until("OPENED of three", |host| host.count(Kind::Opened) == 3);
        if setup.drive.has_threads() {
            host.net.wait_handle(0).expect("a wait handle");
        }
        assert_eq!(host.net.close(conn, AT_ONCE), OK);
        host.closed(conn);
        let ours: Vec<i32> = descriptors().difference(&before).copied().collect();
        assert!(ours.len() >= 4, "there is something to look at: {ours:?}");
        for descriptor in ours {
            let target = std::fs::read_link(format!("/proc/self/fd/{descriptor}"));
            assert!(closes_on_exec(descriptor), "{descriptor} is {target:?}");
        }
        host.finish();
    });
}

/// Rule 8: not a byte on the host's output or error output, whatever happens.
pub fn no_output(setup: Setup) {
    if child::role().as_deref() == Some("scenario") {
        println!("\n#begin");
        scenario(setup);
        println!("#end");
        return;
    }
    let output = child::command(setup, "scenario", &[]).output().expect("the program runs");
    let words = String::from_utf8(output.stdout).expect("words");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}{errors}");
    assert!(words.contains("\n#begin\n#end\n"), "{words}");
    assert_eq!(errors, "");
}

/// A bit of everything that a library might be tempted to talk about.
fn scenario(setup: Setup) {
    let mut host = setup.host();
    host.net.listen("nonsense", None).expect_err("no URL");
    let door = host.door("?frame=u32be&max=100");
    let (mut liar, conn) = host.meet(door);
    liar.put(&[0xFF; 100]);
    host.closed(conn);
    let (peer, conn) = host.meet(door);
    peer.reset();
    host.closed(conn);
    let refused = host.connect("tcp://127.0.0.1:1");
    host.closed(refused);
    let (_peer, conn) = host.meet(door);
    let _ = host.net.send(conn, &[0; 101]);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    host.closed(conn);
    let (_left, _) = host.meet(door);
    host.finish();
}

/// Rule 8: in a forked child every call answers ERR_FORKED and touches nothing of the parent's.
pub fn forked_child(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
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
