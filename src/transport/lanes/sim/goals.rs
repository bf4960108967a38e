//! What `game://` is to achieve, as far as a simulation can tell.

use super::link::Path;
use super::measure::excess;
use super::peers::peers;
use super::sender::Sender;
use super::vectors::{ENDLESS, Rows, check, game, input, row, run, share};
use super::{HEADERS, Kind, MS, Message, Micros, Node, S, Sim, Source};
use crate::transport::lanes::recovery::{Control, Forged, RateConfig, Recovery};

/// Input beside a download: cold, in the first seconds of it, and steady.
fn input_beside_download(seed: u64) -> Rows {
    let cases = [
        (10.0, 40, "10 Mbit/s, RTT 40: p99 excess cold, ms", "  steady, ms"),
        (10.0, 100, "10 Mbit/s, RTT 100: p99 excess cold, ms", "  steady, ms"),
        (100.0, 40, "100 Mbit/s, RTT 40: p99 excess cold, ms", "  steady, ms"),
        (100.0, 100, "100 Mbit/s, RTT 100: p99 excess cold, ms", "  steady, ms"),
    ];
    let mut rows = Rows::new();
    for (mbit, rtt, cold, steady) in cases {
        let one_way = rtt * MS / 2;
        let path = Path::new(mbit, one_way, 100.0);
        // Fewer packets take as long to simulate.
        let until = if mbit > 50.0 { 20 * S } else { 125 * S };
        let record = run(&path, &Path::wide(one_way), seed, &[(S / 2, ENDLESS)], until);
        rows.push(row(cold, 0.0, 7.0, record.excess(S / 2, 4 * S, one_way)));
        rows.push(row(steady, 0.0, 5.0, record.excess(5 * S, until, one_way)));
    }
    rows
}

/// Two connections, and one beside a TCP.
fn shares(seed: u64) -> Rows {
    let cases = [
        (25.0, "share with its kind, queue 25 ms", "  beside CUBIC"),
        (50.0, "share with its kind, queue 50 ms", "  beside CUBIC"),
        (100.0, "share with its kind, queue 100 ms", "  beside CUBIC"),
    ];
    let mut rows = Rows::new();
    for (queue, own, rival) in cases {
        rows.push(row(own, 0.4, 0.6, share(100 * MS, queue, false, seed).0));
        rows.push(row(rival, 0.3, 0.7, share(100 * MS, queue, true, seed).0));
    }
    rows
}

/// Ten ordered messages a second, each way losing one packet in twenty. `beside`: with input.
fn ordered(beside: bool, seed: u64) -> f64 {
    let mut path = Path::new(10.0, 50 * MS, 100.0);
    let mut back = Path::wide(50 * MS);
    path.loss = 0.05;
    back.loss = 0.05;
    let mut sim = Sim::new(path, back, seed);
    let source =
        Source { kind: Kind::Reliable, bytes: 100, period: 100 * MS, from: S, until: 199 * S };
    let mut sources = vec![source];
    if beside {
        sources.push(input());
    }
    sim.add(peers(game(), Some(100 * MS), seed), sources, &[], MS);
    sim.run(200 * S);
    let record = &sim.flows[0].record;
    assert_eq!(record.reliable.len(), 1_980);
    excess(&record.reliable, 0, Micros::MAX, 0)
}

fn small_ordered(seed: u64) -> Rows {
    vec![
        row("ordered at 5 % loss, RTT 100: p99, ms", 0.0, 120.0, ordered(false, seed)),
        row("  beside input", 0.0, 120.0, ordered(true, seed)),
    ]
}

/// Kilobytes on the wire until a peer is found out that acknowledges, 10 ms after it was sent,
/// each packet that it expects.
fn optimist(seed: u64) -> Rows {
    let mut sender = Sender::new(Recovery::new(game(), None, seed, 0));
    sender.write(Message { kind: Kind::Bulk, id: 0, bytes: ENDLESS, at: 0 }, 0);
    let mut wire = 0;
    let mut sent = std::collections::VecDeque::new();
    for now in (0..).step_by(1_000) {
        while let Some(&(at, seq)) = sent.front()
            && at + 10 * MS <= now
        {
            sent.pop_front();
            let done = sender.recovery.handle_ack(&[0..=seq], 0, now, |_, _| ());
            if done == Err(Forged) {
                return vec![row("caught after kB of optimism", 0.0, 1_500.0, wire as f64 / 1e3)];
            }
        }
        for datagram in sender.turn(now) {
            wire += datagram.size as u64 + HEADERS;
            sent.push_back((now, datagram.seq));
        }
    }
    unreachable!("it is caught")
}

#[test]
fn keeps_input_fast_beside_a_download() {
    check(1, input_beside_download);
}

#[test]
fn shares_fairly() {
    check(2, shares);
}

#[test]
fn delivers_small_ordered_messages_in_time() {
    check(1, small_ordered);
}

#[test]
fn catches_an_optimist_early() {
    check(50, optimist);
}

/// BBR fills the path, though not as politely.
fn bbr(seed: u64) -> Rows {
    let config = RateConfig { control: Control::Bbr, ..RateConfig::default() };
    let mut sim = Sim::new(Path::new(10.0, 50 * MS, 300.0), Path::wide(50 * MS), seed);
    sim.add(peers(config, Some(100 * MS), seed), vec![input()], &[(0, ENDLESS)], MS);
    sim.run(25 * S);
    let record = &sim.flows[0].record;
    vec![
        row("BBR: goodput of 10 Mbit/s", 8.0, 10.0, record.goodput(5 * S, 25 * S)),
        row("BBR: p99 excess, ms", 0.0, 150.0, record.excess(5 * S, 25 * S, 50 * MS)),
    ]
}

#[test]
fn fills_a_path_with_bbr() {
    check(2, bbr);
}
