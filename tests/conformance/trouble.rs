//! Rule 10: no error state spins a core. The echo server of these tests is a child process, so
//! that its descriptors, its time and its system calls are its own.

use crate::common::child::{self, Child};
use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::Peer;
use crate::common::process::{cpu_time, limit_descriptors};
use crate::common::random::Random;
use crate::common::{DEADLINE, Setup, suite, wait_for};
use std::process::Command;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

suite! {
    each: out_of_descriptors, errors_of_accept, interrupted_calls, calls_that_would_block,
        out_of_buffers, waits_without_memory, fewer_descriptors;
}

/// The child: echoes, answers `turns`, ends with its input.
fn serve(setup: Setup, descriptors: Option<u64>) {
    if let Some(count) = descriptors {
        limit_descriptors(count);
    }
    let words = child::words();
    let mut host: Host = setup.host();
    host.echo = true;
    let door = host.door("");
    child::say("port", u64::from(door.port));
    loop {
        match words.try_recv() {
            Ok(_) => child::say("turns", host.net.stats().turns),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => break,
        }
        // Long waits: what the process does in between is the net's own doing.
        host.step(100);
        host.log.retain(|event| event.kind == Kind::Opened);
    }
    host.finish();
}

fn echoes(peer: &mut Peer, word: &[u8]) {
    peer.put(word);
    wait_for("an echo", || peer.has(word.len()));
    assert_eq!(peer.got.drain(..).collect::<Vec<u8>>(), word);
}

/// Rule 10: 64 descriptors and 500 clients. No spin, those inside are served, and accepting
/// resumes when descriptors are free.
pub fn out_of_descriptors(setup: Setup) {
    if child::role().is_some() {
        return serve(setup, Some(64));
    }
    limit_descriptors(4096);
    let mut server = Child::spawn(setup, "serve", &[]);
    let port = server.value("port") as u16;
    let mut peers: Vec<Peer> = (0..500).map(|_| Peer::connect(port)).collect();
    peers.iter_mut().for_each(|peer| peer.put(b"x"));
    wait_for("those inside", || {
        peers.iter_mut().filter_map(|p| p.has(1).then_some(())).count() >= 20
    });

    let (turns, time, begun) = (server.ask("turns"), cpu_time(server.pid()), Instant::now());
    while begun.elapsed() < Duration::from_secs(1) {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let (wall, used) = (begun.elapsed(), cpu_time(server.pid()) - time);
    assert!(used.as_secs_f64() < 0.1 * wall.as_secs_f64(), "{used:?} of {wall:?} on a core");
    // Its polls of 100 ms, and the tries of the listener.
    let turns = server.ask("turns") - turns;
    assert!(turns < 200, "{turns} turns in a second without traffic");

    let (mut inside, outside): (Vec<Peer>, Vec<Peer>) =
        peers.into_iter().partition(|peer| !peer.got.is_empty());
    assert!(inside.len() < 64, "{} inside with 64 descriptors", inside.len());
    for peer in &mut inside {
        peer.got.clear();
        echoes(peer, b"still here");
    }
    drop((inside, outside));
    echoes(&mut Peer::connect(port), b"room again");
    server.end();
}

fn strace(calls: &str) -> Option<Vec<String>> {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace is not installed");
        return None;
    }
    let inject = format!("inject={calls}");
    let names = calls.split(':').next().expect("the calls' names");
    let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e"];
    let mut wrapper: Vec<String> = words.map(str::to_owned).into();
    wrapper.extend([format!("trace={names}"), "-e".into(), inject]);
    Some(wrapper)
}

/// Rule 10: whatever accept answers, the listener lives and serves the next client.
pub fn errors_of_accept(setup: Setup) {
    if child::role().is_some() {
        return serve(setup, None);
    }
    const ERRORS: [&str; 9] = [
        "ECONNABORTED",
        "EPROTO",
        "EMFILE",
        "ENFILE",
        "ENOBUFS",
        "ENOMEM",
        "EINTR",
        "EPERM",
        "EHOSTDOWN",
    ];
    let start = |error: &str| {
        let wrapper = strace(&format!("accept,accept4:error={error}:when=1..3"))?;
        Some((error.to_owned(), Child::spawn(setup, "serve", &wrapper)))
    };
    for pair in ERRORS.chunks(3) {
        let Some(servers) = pair.iter().map(|error| start(error)).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        for (error, server) in servers {
            let port = server.value("port") as u16;
            for round in 0..3 {
                let begun = Instant::now();
                echoes(&mut Peer::connect(port), error.as_bytes());
                assert!(begun.elapsed() < DEADLINE, "{error}, client {round}");
            }
            server.end();
        }
    }
}

/// A mebibyte and more there and back through a child whose calls fail now and then.
fn echo_under(setup: Setup, calls: &str) {
    let Some(wrapper) = strace(calls) else { return };
    let server = Child::spawn(setup, "serve", &wrapper);
    let mut peer = Peer::connect(server.value("port") as u16);
    let mut sent = Random::new(10).bytes(1 << 20);
    // What is on its way fits into the child's receive buffer, with room for a byte more.
    let mut window = 48 * 1024;
    let (mut at, mut seen, mut since) = (0, 0, Instant::now());
    wait_for("the echo", || {
        let room = (peer.got.len() + window).min(sent.len());
        at += peer.offer(&sent[at..room.max(at)]);
        let done = peer.has(sent.len());
        if peer.got.len() > seen {
            (seen, since) = (peer.got.len(), Instant::now());
        } else if since.elapsed() > Duration::from_millis(50) {
            // The system itself never says EAGAIN while there is something to do, and an edge
            // that was spent on such a lie does not come again: a byte more makes a new one.
            (window, since) = (window + 1, Instant::now());
            if at == sent.len() {
                sent.push(7);
            }
        }
        done
    });
    assert!(peer.got == sent, "byte for byte");
    assert_eq!(peer.end, None);
    server.end();
}

/// Rule 10: EINTR on each call that can give it.
pub fn interrupted_calls(setup: Setup) {
    if child::role().is_some() {
        return serve(setup, None);
    }
    // A question mark: not every machine has the call.
    const CALLS: &str = "recvfrom,recvmsg,sendto,sendmsg,accept4,\
                         ?epoll_wait,epoll_pwait,?epoll_pwait2,?poll,ppoll,?io_uring_enter";
    echo_under(setup, &format!("{CALLS}:error=EINTR:when=3+3"));
}

/// Rule 10: EAGAIN from sends and receives that had something to do.
pub fn calls_that_would_block(setup: Setup) {
    if child::role().is_some() {
        return serve(setup, None);
    }
    echo_under(setup, "recvfrom,recvmsg:error=EAGAIN:when=3+7");
    echo_under(setup, "sendto,sendmsg:error=EAGAIN:when=3+7");
    if setup.is_bound() {
        echo_under(setup, "io_uring_enter:error=EAGAIN:when=3+7");
        echo_under(setup, "io_uring_enter:error=EBUSY:when=3+7");
    }
}

/// Rule 10: ENOBUFS from a send is a want of room, not the end of the connection.
pub fn out_of_buffers(setup: Setup) {
    if child::role().is_some() {
        return serve(setup, None);
    }
    echo_under(setup, "sendto,sendmsg:error=ENOBUFS:when=3+7");
}

/// Rule 10: a wait that the system has no memory for passes.
pub fn waits_without_memory(setup: Setup) {
    if child::role().is_some() {
        return serve(setup, None);
    }
    const WAITS: &str = "?epoll_wait,epoll_pwait,?epoll_pwait2,?poll,ppoll,?select,?pselect6,\
                         ?io_uring_enter";
    for error in ["ENOMEM", "ENOBUFS"] {
        echo_under(setup, &format!("{WAITS}:error={error}:when=9+20"));
    }
}

/// Rule 10: the limit of descriptors is lowered below what is open. Everybody inside is served,
/// and whoever comes is when it is raised again.
pub fn fewer_descriptors(setup: Setup) {
    child::alone(setup, || {
        limit_descriptors(4096);
        let mut host = setup.host();
        host.echo = true;
        let door = host.door("");
        let mut inside: Vec<_> = (0..40).map(|_| host.meet(door)).collect();
        for limit in [12, 3, 1] {
            limit_descriptors(limit);
            for (peer, _) in &mut inside {
                peer.put(b"still here");
            }
            for (peer, _) in &mut inside {
                assert_eq!(host.read(peer, 10), b"still here", "limit {limit}");
            }
        }
        limit_descriptors(4096);
        let (mut peer, _) = host.meet(door);
        peer.put(b"room again");
        assert_eq!(host.read(&mut peer, 10), b"room again");
        host.finish();
    });
}
