//! What a peer may not do, and what is bounded whatever it does.

use super::network::*;
use crate::buf::Pool;
use crate::session::{Cause, Side};
use crate::transport::lanes::peer::outgoing::SPAN;
use crate::transport::lanes::peer::wire::*;
use crate::transport::lanes::peer::{Peer, PeerEvent};
use std::sync::Arc;

/// A peer that is given frames as somebody else would write them.
struct Victim {
    peer: Peer,
    pool: Pool,
    seq: u64,
}

impl Victim {
    fn new() -> Victim {
        let peer = Peer::new(&Arc::new(config()), Side::Accepted, 1, None, 1, 0);
        Victim { peer, pool: Pool::new(64 << 20), seq: 0 }
    }

    fn give(&mut self, with: impl FnOnce(&mut Writer<'_>)) -> Result<(), Cause> {
        let mut out = vec![0; 4_096];
        let mut writer = Writer::new(&mut out);
        with(&mut writer);
        let len = writer.finish();
        self.seq += 1;
        self.peer.handle_payload(self.seq, false, &out[..len], &self.pool, 0)
    }

    fn message(&mut self, lane: u8, id: u64, data: &[u8]) -> Result<(), Cause> {
        let part = Part { lane, id, fragment: None, data: &[] };
        self.give(|it| it.part(&part, data.len(), |out| out.copy_from_slice(data)))
    }

    fn fragment(
        &mut self,
        lane: u8,
        id: u64,
        total: u64,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Cause> {
        let part = Part { lane, id, fragment: Some((total, offset)), data: &[] };
        self.give(|it| it.part(&part, data.len(), |out| out.copy_from_slice(data)))
    }

    fn read(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.peer.read()).map(|it| it.data.to_vec()).collect()
    }

    /// Whether the last packet is acknowledged.
    fn acknowledges(&self) -> bool {
        self.peer.acks.contains(self.seq)
    }
}

const PROTOCOL: Result<(), Cause> = Err(Cause::Protocol);

#[test]
fn fragments_may_overlap() {
    let whole: Vec<u8> = (0..100).collect();
    let mut random = Random(3);
    for lane in [0, 1] {
        for _ in 0..200 {
            let mut victim = Victim::new();
            while !victim.peer.incoming.has_unread() {
                let start = random.below(100) as usize;
                let len = 1 + random.below(100 - start as u64) as usize;
                let piece = &whole[start..start + len];
                assert_eq!(victim.fragment(lane, 0, 100, start as u64, piece), Ok(()));
                assert!(victim.peer.held_bytes() < 64 << 10);
                assert!(victim.seq < 10_000);
            }
            assert_eq!(victim.read(), [&whole[..]]);
            assert_eq!(victim.peer.held_bytes(), 0);
        }
    }
}

#[test]
fn fragments_that_do_not_fit_break_the_rules() {
    let gigantic = 4 << 30;
    assert_eq!(Victim::new().fragment(0, 0, gigantic, 0, b"x"), Err(Cause::LimitFrame));
    assert_eq!(Victim::new().fragment(1, 0, gigantic, 0, b"x"), Err(Cause::LimitFrame));
    for lane in 0..3 {
        assert_eq!(Victim::new().fragment(lane, 0, 10, 8, b"abc"), PROTOCOL);
        assert_eq!(Victim::new().fragment(lane, 0, 10, VARINT_MAX, b"abc"), PROTOCOL);
        assert_eq!(Victim::new().fragment(lane, 0, 10, 3, b""), PROTOCOL, "it would never end");
        assert_eq!(Victim::new().fragment(lane, 0, 0, 0, b""), PROTOCOL);
        let mut victim = Victim::new();
        assert_eq!(victim.fragment(lane, 0, 10, 0, b"abc"), Ok(()));
        assert_eq!(victim.fragment(lane, 0, 11, 3, b"abc"), PROTOCOL);
    }
    assert_eq!(Victim::new().message(3, 0, b"no such lane"), PROTOCOL);
    let mut victim = Victim::new();
    let bytes = [0x90, 0, 1];
    assert_eq!(victim.peer.handle_payload(1, false, &bytes, &victim.pool, 0), PROTOCOL);
}

#[test]
fn a_claimed_size_takes_no_memory() {
    let mut victim = Victim::new();
    // Once WINDOW was said, several of the largest may be begun.
    let window = victim.peer.incoming.window();
    for id in 0..window / (524_288 + 512) {
        assert_eq!(victim.fragment(0, id, 524_288, 524_287, b"x"), Ok(()));
        assert!(victim.acknowledges());
    }
    assert!(victim.pool.bytes() < 16 << 10, "{}", victim.pool.bytes());
    assert_eq!(victim.fragment(0, 100, 524_288, 524_287, b"x"), PROTOCOL, "beyond the credit");
}

#[test]
fn many_tiny_fragments_are_bounded() {
    let mut victim = Victim::new();
    victim.peer.incoming.window();
    let (mut refused, mut most) = (0, 0);
    for id in 0..8 {
        for at in 0..20_000 {
            assert_eq!(victim.fragment(0, id, 500_000, 2 + 2 * at, b"x"), Ok(()));
            refused += u64::from(!victim.acknowledges());
        }
        most = most.max(victim.pool.bytes());
    }
    assert!(refused > 0 && most < 20 << 20, "{refused} refused, {most} bytes");
    // What comes in order is taken all the same, and makes room.
    assert_eq!(victim.fragment(0, 0, 500_000, 0, b"xx"), Ok(()));
    assert!(victim.acknowledges());
}

#[test]
fn many_messages_that_are_begun_are_bounded() {
    let mut victim = Victim::new();
    victim.peer.incoming.window();
    let mut refused = 0;
    for id in (0..8_000).rev() {
        assert_eq!(victim.fragment(0, id, 3, 0, b"x"), Ok(()));
        assert_eq!(victim.fragment(0, id, 3, 2, b"x"), Ok(()));
        refused += u64::from(!victim.acknowledges());
    }
    assert!(refused == 0 && victim.pool.bytes() < 12 << 20, "{}", victim.pool.bytes());
    assert!(victim.peer.held_bytes() > 4 << 20);
    let mut begun = 8_000;
    while victim.fragment(0, begun, 3, 0, b"x") == Ok(()) {
        begun += 1;
    }
    assert_eq!(begun, (4 << 20) / (3 + 512));
}

#[test]
fn unreliable_messages_that_never_end_give_way() {
    let mut victim = Victim::new();
    for id in 0..10_000 {
        assert_eq!(victim.fragment(1, id, 500_000, 1_000, &[1; 1_000]), Ok(()));
        assert_eq!(victim.fragment(2, id, 500_000, 0, &[1; 1_000]), Ok(()));
        assert!(victim.acknowledges());
    }
    assert!(victim.pool.bytes() < 64 << 10, "{}", victim.pool.bytes());
    // An older one does not take the place of a newer one.
    assert_eq!(victim.fragment(1, 5, 3_000, 0, &[1; 1_000]), Ok(()));
    assert_eq!(victim.fragment(1, 5, 3_000, 1_000, &[1; 2_000]), Ok(()));
    assert_eq!(victim.read(), [[0; 0]; 0]);
    // Those that come still do.
    assert_eq!(victim.fragment(1, 9_999, 2_000, 0, &[1; 1_000]), PROTOCOL, "another total");
    assert_eq!(victim.fragment(1, 10_000, 2_000, 0, &[1; 1_000]), Ok(()));
    assert_eq!(victim.fragment(1, 10_000, 2_000, 1_000, &[1; 1_000]), Ok(()));
    assert_eq!(victim.read(), [vec![1; 2_000]]);
}

#[test]
fn unread_messages_are_bounded() {
    let mut victim = Victim::new();
    for id in 0..1_000 {
        assert_eq!(victim.message(1, id, &[1; 10]), Ok(()));
    }
    assert_eq!(victim.read().len(), 256);
    for id in 1_000..2_000 {
        assert_eq!(victim.message(1, id, &[1; 4_000]), Ok(()));
    }
    assert_eq!(victim.peer.incoming.dropped, 744 + 1_000 - 131);
    assert_eq!(victim.read().len(), 131, "as long as the longest message");
    // Reliable ones are bounded by the credit, empty ones as well.
    let mut taken = 0;
    while victim.message(0, taken, b"") == Ok(()) {
        taken += 1;
        assert!(taken < 10_000);
    }
    assert_eq!(taken, 512);
}

#[test]
fn holes_are_bounded() {
    let mut victim = Victim::new();
    assert_eq!(victim.message(0, SPAN, b"x"), PROTOCOL);
    let mut victim = Victim::new();
    assert_eq!(victim.message(0, SPAN - 1, b"x"), Ok(()));
    assert_eq!(victim.message(0, 0, b"x"), Ok(()));
    assert_eq!(victim.message(0, SPAN, b"x"), Ok(()));
}

#[test]
fn numbers_go_to_their_end() {
    let mut victim = Victim::new();
    for lane in [1, 2] {
        for id in [VARINT_MAX - 1, VARINT_MAX] {
            assert_eq!(victim.message(lane, id, b"x"), Ok(()));
        }
        assert_eq!(victim.message(lane, 5, b"x"), Ok(()));
    }
    assert_eq!(victim.message(2, VARINT_MAX, b"x"), Ok(()));
    assert_eq!(victim.read().len(), 5, "SEQUENCED has none that is older");
    victim.seq = VARINT_MAX - 1;
    assert_eq!(victim.message(1, 6, b"x"), Ok(()));
    assert_eq!(victim.message(1, 7, b"x"), PROTOCOL, "its number cannot be acknowledged");
    let mut net = Network::new(config(), Weather::default(), 1);
    for lane in 0..3 {
        net.ends[0].peer.outgoing.start_at(lane, VARINT_MAX - 2);
        net.ends[1].peer.incoming.start_at(lane, VARINT_MAX - 2);
        for _ in 0..5 {
            net.write(0, lane as u8, b"x");
        }
    }
    net.run_until(1_000 * MS);
    assert_eq!((net.ends[1].inbox.len(), net.ends[1].broken), (9, None), "3 of each lane");
    net.ends[1].next = VARINT_MAX - 1;
    (0..10).for_each(|_| net.write(1, 1, &[1; 1_000]));
    net.run_until(2_000 * MS);
    assert!(net.ends[1].next <= VARINT_MAX + 1 && net.ends[0].broken.is_none());
}

#[test]
fn acknowledging_what_was_never_sent_ends_it() {
    let mut victim = Victim::new();
    assert_eq!(victim.give(|it| it.ack(&[(0, 0)], 0, 1_000)), PROTOCOL);
    let mut victim = Victim::new();
    let mut next = 1;
    let ready = victim.peer.poll_payload(&mut next, &mut [0; 1_200], 0).unwrap();
    assert_eq!((ready.seq, ready.wide), (1, false));
    assert_eq!(victim.give(|it| it.ack(&[(1, 1)], 0, 1_000)), Ok(()));
    assert_eq!(victim.give(|it| it.ack(&[(1, 2)], 0, 1_000)), PROTOCOL);
    // Ranges that would begin below 0, or that are too many.
    for bytes in [&[2, 5, 0, 0, 6][..], &[2, 5, 0, 1, 0, 9, 0], &[2, 5, 0, 0x20, 0]] {
        let mut victim = Victim::new();
        assert_eq!(victim.peer.handle_payload(1, false, bytes, &victim.pool, 0), PROTOCOL);
    }
}

#[test]
fn an_end_is_checked() {
    let mut victim = Victim::new();
    assert_eq!(victim.message(0, 0, b"x"), Ok(()));
    assert_eq!(victim.give(|it| it.end([0].into_iter())), PROTOCOL, "more came");
    assert_eq!(Victim::new().give(|it| it.end([0, 0].into_iter())), PROTOCOL, "one lane");
    assert_eq!(Victim::new().give(|it| it.end([].into_iter())), PROTOCOL);
    let mut victim = Victim::new();
    assert_eq!(victim.give(|it| it.end([2].into_iter())), Ok(()));
    for id in [1, 0] {
        assert_eq!(victim.peer.poll_event(), None);
        assert_eq!(victim.message(0, id, b"x"), Ok(()));
    }
    assert_eq!(victim.peer.poll_event(), Some(PeerEvent::Readable));
    assert_eq!(victim.peer.poll_event(), Some(PeerEvent::Ended));
    assert_eq!(victim.peer.poll_event(), None);
}

#[test]
fn other_lanes_are_told_apart() {
    let hello =
        Hello { version: 1, features: 0, datagram_max: 1_200, id: 9, lanes: 3, kinds: 0b00_10_00 };
    assert_eq!(Victim::new().give(|it| it.hello(&hello)), Err(Cause::Version));
    let hello = Hello { kinds: 0b11_10_00, datagram_max: 0, features: 1 << 40, ..hello };
    let mut victim = Victim::new();
    assert_eq!(victim.give(|it| it.hello(&hello)), Ok(()));
    assert_eq!(victim.peer.wide(), Some(1), "its own: it is the server");
}

#[test]
fn without_memory_a_packet_did_not_come() {
    let mut victim = Victim::new();
    victim.pool = Pool::new(4_096);
    let held: Vec<_> = std::iter::from_fn(|| victim.pool.take(400)).collect();
    assert_eq!(victim.message(0, 0, &[1; 300]), Ok(()));
    assert_eq!(victim.fragment(0, 1, 3_000, 500, &[1; 300]), Ok(()));
    assert!(!victim.acknowledges() && victim.read().is_empty());
    drop(held);
    assert_eq!(victim.message(0, 0, &[1; 300]), Ok(()));
    assert!(victim.acknowledges());
    assert_eq!(victim.read(), [vec![1; 300]]);
}
