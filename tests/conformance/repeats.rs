//! Rules 6 and 10: what a host does again and again makes no list grow, and is answered by no
//! event that invites it to go on for nothing.

use crate::common::event::Kind;
use crate::common::process::resident_bytes;
use crate::common::words::*;
use crate::common::{Setup, child, stays, suite};
use std::time::Duration;

suite! {
    each: resumes, sends_without_memory, writable_when_it_would_be_taken;
    threaded: a_resume_is_no_flush;
}

/// What a million entries would take at least.
const ROOM: u64 = 6 << 20;

/// Rule 6: pause and resume while no thread turns the worker.
pub fn resumes(setup: Setup) {
    child::alone(setup, || {
        let mut host = setup.host();
        let door = host.door("");
        let (mut peer, conn) = host.meet(door);
        let before = resident_bytes();
        for _ in 0..1_000_000 {
            assert_eq!(host.net.pause(conn), OK);
            assert_eq!(host.net.resume(conn), OK);
        }
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < ROOM, "{grown} bytes for a million of resumes");
        host.turn_over(&mut peer, conn);
        host.finish();
    });
}

/// Rule 6: sends that are refused for want of memory while no thread turns the worker.
pub fn sends_without_memory(setup: Setup) {
    child::alone(setup, || {
        let mut host = setup.host_with(|config| config.memory_max_bytes = 8 << 20);
        let door = host.door("");
        let (mut peer, conn) = host.meet(door);
        let mut hog = Vec::new();
        for len in [1 << 20, 1 << 16, 1 << 12, 1] {
            hog.extend(std::iter::from_fn(|| host.net.acquire(len).ok()));
        }
        while host.net.send(conn, &[7; 5000]) == OK {}
        let before = resident_bytes();
        for _ in 0..2_000_000 {
            assert_eq!(host.net.send(conn, &[7; 5000]), ERR_AGAIN);
        }
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < ROOM, "{grown} bytes for two million of refusals");
        drop(hog);
        host.until("WRITABLE", |host| {
            peer.has(usize::MAX);
            host.count(Kind::Writable) == 1
        });
        assert_eq!(host.net.send(conn, &[7; 5000]), OK);
        host.finish();
    });
}

/// Rule 10: WRITABLE comes when the message that was refused would be taken, and not before.
pub fn writable_when_it_would_be_taken(setup: Setup) {
    let mut host = setup.host_with(|config| config.memory_max_bytes = 8 << 20);
    let door = host.door("?frame=u32be&max=4194304");
    let (mut peer, conn) = host.meet(door);
    let large = vec![7; 900_000];
    let mut hog: Vec<_> = std::iter::from_fn(|| host.net.acquire(200_000).ok()).collect();
    hog.truncate(hog.len() - 2);
    assert_eq!(host.net.send(conn, &large), ERR_AGAIN);
    stays("no WRITABLE without the memory for it", Duration::from_millis(200), || {
        assert_eq!(host.net.send(conn, b"small"), OK, "there is memory for this");
        host.step(2);
        peer.has(usize::MAX);
        host.count(Kind::Writable) == 0
    });
    drop(hog);
    host.until("WRITABLE", |host| {
        peer.has(usize::MAX);
        host.count(Kind::Writable) == 1
    });
    assert_eq!(host.net.send(conn, &large), OK);
    host.finish();
}

/// With flush MANUAL sends leave at a flush or a poll, and at nothing else.
pub fn a_resume_is_no_flush(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    for round in 0..3 {
        assert_eq!(host.net.send(conn, &[round]), OK);
        assert_eq!(host.net.pause(conn), OK);
        assert_eq!(host.net.resume(conn), OK);
        stays("it waits for the flush", Duration::from_millis(50), || !peer.has(1));
        assert_eq!(host.net.flush(), OK);
        assert_eq!(host.read(&mut peer, 1), [round]);
    }
    host.finish();
}
