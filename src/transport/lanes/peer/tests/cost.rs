//! What a peer costs.

use super::network::*;
use crate::transport::lanes::peer::{Config, Message, Peer};
use std::hint::black_box;
use std::time::Instant;

#[test]
fn an_idle_peer_is_small() {
    let mut net = Network::new(config(), Weather::default(), 1);
    net.run_until(2_000 * MS);
    let bytes = size_of::<Peer>() + net.ends[0].peer.heap_bytes();
    assert!(bytes <= 1_200, "{bytes}");
    println!("{} and {}", size_of::<Peer>(), bytes - size_of::<Peer>());
}

/// One message of 64 B each way at 30 Hz, as in a game.
fn measure(lane: u8) -> f64 {
    let mut net = Network::new(Config::clone(&config()), Weather::default(), 1);
    net.run_until(1_000 * MS);
    let bytes = net.slice(&[7; 64]);
    let mut out = vec![0; 2_048];
    let start = Instant::now();
    const TURNS: u64 = 300_000;
    for _ in 0..TURNS {
        net.now += 33 * MS;
        for end in 0..2 {
            let it = &mut net.ends[end];
            let message = Message {
                lane,
                data: bytes.clone().into(),
                deadline: None,
                key: Default::default(),
            };
            it.peer.write(message);
            let now = net.now + 10 * MS * end as u64;
            if it.peer.poll_timeout().is_some_and(|at| at <= now) {
                it.peer.handle_timeout(now);
            }
            let ready = it.peer.poll_payload(&mut it.next, &mut out, now).unwrap();
            assert!(it.peer.poll_payload(&mut it.next, &mut out[ready.len..], now).is_none());
            while let Some(event) = it.peer.poll_event() {
                black_box(event);
            }
            let other = &mut net.ends[1 - end];
            let payload = &out[..ready.len];
            other.peer.handle_payload(ready.seq, false, payload, &net.pool, now).unwrap();
            while let Some(event) = other.peer.poll_event() {
                black_box(event);
            }
            while let Some(message) = other.peer.read() {
                black_box(message);
            }
        }
    }
    start.elapsed().as_nanos() as f64 / (2 * TURNS) as f64
}

#[test]
#[ignore = "it measures"]
fn what_a_message_costs() {
    println!("unreliable {:.0} ns, ordered {:.0} ns", measure(1), measure(0));
}
