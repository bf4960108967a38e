//! Buffers beyond the batch: held messages and acquired memory live until they are released,
//! also when the net is gone.

use crate::common::event::{Buffer, Kind};
use crate::common::host::Host;
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{Setup, frame, suite};

suite! {
    each: held_small_and_large, holding_little_pins_little, held_too_late, nothing_to_hold,
        a_post_is_held, acquired_outlives_the_net, acquired_is_bounded, released_memory_comes_back;
}

/// Holds every message until there are `count`.
fn hold_all(host: &mut Host, count: usize) -> Vec<Buffer> {
    let end = std::time::Instant::now() + crate::common::DEADLINE;
    let mut held = Vec::new();
    while held.len() < count {
        assert!(std::time::Instant::now() < end, "not in time: messages");
        let batch = host.batch(2);
        for at in 0..batch.raw.len() {
            if batch.kind(at) == Kind::Message {
                held.push(batch.hold(at).expect("a live message can be held"));
            }
        }
    }
    held
}

/// A held message keeps its bytes behind its batch, its connection and its net; small ones (a
/// copy) and large ones (the received memory itself) alike.
pub fn held_small_and_large(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peer, conn) = host.meet(door);
    let mut random = Random::new(5);
    let sizes = [1, 10, 1000, 20_000, 60_000, 200_000, 7];
    let messages: Vec<Vec<u8>> = sizes.iter().map(|&size| random.bytes(size)).collect();
    for message in &messages {
        host.write(&mut peer, &frame(message));
    }
    // `write` polls while it waits for room; what came meanwhile is in the log and not held.
    let seen = host.messages(conn).len();
    let held = hold_all(&mut host, messages.len() - seen);
    for _ in 0..50 {
        peer.put(&frame(&[0xEE; 4000]));
    }
    host.await_messages(conn, messages.len() + 50);
    drop(peer);
    host.closed(conn);
    host.finish();
    for (buffer, message) in held.iter().zip(&messages[seen..]) {
        assert!(buffer.bytes() == message, "{} bytes", message.len());
    }
}

/// Holding one small message of many pins its bytes, not all that came with it.
pub fn holding_little_pins_little(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peer, conn) = host.meet(door);
    let mut held: Vec<Buffer> = Vec::new();
    for round in 0..50u8 {
        peer.put(&frame(&[round; 100]));
        held.extend(hold_all(&mut host, 1));
        peer.put(&frame(&[0xEE; 60_000]));
        host.await_messages(conn, 2 * usize::from(round) + 2);
    }
    host.step(0);
    let memory = host.net.stats().memory_bytes;
    assert!(memory < 50 * 8192, "{memory} bytes for 50 messages of 100");
    assert!(held.iter().enumerate().all(|(at, held)| held.bytes() == [at as u8; 100]));
    drop(held);
    host.finish();
}

/// A message whose batch has ended cannot be held.
pub fn held_too_late(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    peer.put(b"too late");
    let mut event = None;
    while event.is_none() {
        let batch = host.batch(2);
        event = (0..batch.raw.len()).find(|&at| batch.kind(at) == Kind::Message).map(|at| {
            assert_eq!(batch.hold(at).expect("in time").bytes(), b"too late");
            batch.raw[at]
        });
    }
    let event = event.expect("just found");
    host.step(0);
    assert_eq!(host.net.hold(&event).err(), Some(ERR_STALE));
    drop(peer);
    host.closed(conn);
    host.step(0);
    assert_eq!(host.net.hold(&event).err(), Some(ERR_STALE));
    host.finish();
}

/// The payload of a post, large or small, of its batch and of no later one.
pub fn a_post_is_held(setup: Setup) {
    let mut host = setup.host();
    for payload in [vec![1; 10], vec![2; 50_000]] {
        assert_eq!(host.net.post_message(0, 0x1000, (1, 2), &payload), OK);
        let batch = host.batch(0);
        assert_eq!((batch.raw.len(), batch.kind(0)), (1, Kind::Host));
        let (held, event) = (batch.hold(0).expect("its batch lives"), batch.raw[0]);
        host.step(0);
        assert_eq!(host.net.hold(&event).err(), Some(ERR_STALE));
        assert_eq!(held.bytes(), payload);
    }
    host.finish();
}

/// Events without a payload have nothing to hold.
pub fn nothing_to_hold(setup: Setup) {
    let mut host = setup.host();
    assert_eq!(host.net.post(0, 1, 2), OK);
    let batch = host.batch(0);
    assert_eq!((batch.raw.len(), batch.kind(0)), (1, Kind::Posted));
    assert_eq!(batch.hold(0).err(), Some(ERR_INVALID));
    host.finish();
}

/// An acquired buffer is the host's to write, and outlives the net.
pub fn acquired_outlives_the_net(setup: Setup) {
    let host = setup.host();
    let mut buffers: Vec<Buffer> = [1, 100, 4096, 65_536, 1_000_000]
        .map(|len| {
            let mut buffer = host.net.acquire(len).expect("there is room");
            assert!(buffer.room().len() >= len);
            buffer
        })
        .into();
    host.finish();
    for (at, buffer) in buffers.iter_mut().enumerate() {
        buffer.room().fill(at as u8 + 1);
    }
    for (at, buffer) in buffers.iter_mut().enumerate() {
        assert!(buffer.room().iter().all(|&byte| byte == at as u8 + 1), "nobody else's");
    }
}

/// What can never be given is TOO_BIG, what is not there now NO_MEMORY.
pub fn acquired_is_bounded(setup: Setup) {
    let host = setup.host_with(|config| config.memory_max_bytes = 4 << 20);
    assert_eq!(host.net.acquire(0).err(), Some(ERR_INVALID));
    assert_eq!(host.net.acquire((2 << 30) + 1).err(), Some(ERR_TOO_BIG));
    let mut held = Vec::new();
    let refused = loop {
        match host.net.acquire(256 * 1024) {
            Ok(buffer) => held.push(buffer),
            Err(status) => break status,
        }
        assert!(held.len() <= 16, "4 MiB have no more");
    };
    assert_eq!(refused, ERR_NO_MEMORY);
    assert!(held.len() >= 8, "most of it can be had: {}", held.len());
    assert!(host.net.stats().memory_bytes <= 4 << 20);
    held.clear();
    host.net.acquire(256 * 1024).expect("released memory can be had again");
    host.finish();
}

/// Memory in use goes down again when the host gives back what it held.
pub fn released_memory_comes_back(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peer, _) = host.meet(door);
    let before = host.net.stats().memory_bytes;
    let mut held = Vec::new();
    for _ in 0..20 {
        peer.put(&frame(&[7; 60_000]));
        held.extend(hold_all(&mut host, 1));
    }
    let most = host.net.stats().memory_bytes;
    assert!(most >= before + 20 * 60_000, "held memory is counted: {before} to {most}");
    drop(held);
    host.step(0);
    let after = host.net.stats().memory_bytes;
    assert!(after < before + 300_000, "{before} to {most} to {after}");
    host.finish();
}
