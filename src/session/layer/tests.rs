//! Two stacks with a layer each, against every way in which the bytes between them can be cut.

#[path = "../../../tests/common/pad.rs"]
pub(crate) mod pad;

use crate::buf::{Arena, Pool, Release, Slice, Train};
use crate::session::{
    Cause, Event, Framing, FramingKind, Layer, Limits, Memory, Millis, Outgoing, Plain, Side,
    Stack, State,
};
use pad::{ALIVE_MS, PAD, Pad, QUIET_PAD};

const NOW: Millis = 1000;

/// One end: a stack with a layer, its memory, and what came out of it.
struct End {
    pool: Pool,
    arena: Arena,
    framing: Framing,
    stack: Stack,
    events: Vec<Told>,
    /// So many bytes of the next trains are written at a time.
    writes: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Told {
    Opened,
    Message(Vec<u8>),
    Ended,
    Broken(Cause),
}

fn framing() -> Framing {
    Framing { kind: FramingKind::Length, ..Framing::default() }
}

impl End {
    fn new(side: Side) -> End {
        let pool = Pool::new(1 << 20);
        let mut stack = Stack::new(NOW, false);
        stack.add_layer(PAD.maker.make(side).expect("it cannot fail"));
        let (arena, framing) = (Arena::new(pool.clone()), framing());
        End { pool, arena, framing, stack, events: Vec::new(), writes: usize::MAX }
    }

    fn both() -> [End; 2] {
        [End::new(Side::Connected), End::new(Side::Accepted)]
    }

    fn send(&mut self, message: &[u8]) {
        let memory = Memory { arena: &self.arena, pool: &self.pool };
        let (session, message) = (self.stack.session_mut(), Outgoing::Copy(message));
        session.send(&self.framing, &Limits::default(), memory, message, false).expect("room");
    }

    /// What it writes now, however few bytes at a time.
    fn write(&mut self, now: Millis) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(train) = self.stack.poll_transmit(&self.pool, u32::MAX, now) {
            assert!(
                self.stack.poll_transmit(&self.pool, u32::MAX, now).is_none(),
                "one train at a time"
            );
            let bytes: Vec<u8> = train.slices().flat_map(|slice| slice.to_vec()).collect();
            let count = bytes.len().min(self.writes);
            all.extend_from_slice(&bytes[..count]);
            self.stack.handle_sent(count, train, &mut Release::default());
        }
        all
    }

    fn receive(&mut self, wire: &[u8], now: Millis) {
        let slice = self.pool.take(wire.len()).expect("memory").write(wire);
        let mut intake = self.stack.handle_received(slice, None, now);
        while let Some(event) = intake.poll_event(&self.framing, &self.pool, now) {
            self.events.push(match event {
                Event::Opened => Told::Opened,
                Event::Ended => Told::Ended,
                Event::Message(data) | Event::Text(data) | Event::Cut(data) => {
                    Told::Message(data.to_vec())
                }
                Event::Broken(cause) => Told::Broken(cause),
                Event::Starved(bytes) => panic!("{bytes} bytes are there"),
            });
        }
        drop(intake);
        assert!(!self.stack.has_input(), "all was parsed");
        if self.stack.poll_opened() {
            self.events.push(Told::Opened);
        }
    }
}

/// Carries bytes both ways, in pieces of `cut` bytes, until nothing more comes.
fn talk(ends: &mut [End; 2], cut: usize) {
    let mut silent = 0;
    for turn in 0.. {
        let (from, to) = (turn % 2, (turn + 1) % 2);
        let wire = ends[from].write(NOW);
        wire.chunks(cut).for_each(|piece| ends[to].receive(piece, NOW));
        silent = if wire.is_empty() { silent + 1 } else { 0 };
        if silent == 2 {
            return;
        }
    }
}

fn messages(end: &End) -> Vec<Told> {
    end.events.clone()
}

#[test]
fn opens_in_two_round_trips_and_not_before() {
    let mut ends = End::both();
    ends[0].send(b"early");
    for (turn, opened) in [(0, [false; 2]), (1, [false; 2]), (0, [false, true]), (1, [true; 2])] {
        let wire = ends[turn].write(NOW);
        assert!(!wire.is_empty(), "a trip each");
        ends[1 - turn].receive(&wire, NOW);
        let told = ends.each_ref().map(|end| end.events == [Told::Opened]);
        assert_eq!(told, opened);
        assert_eq!(ends[0].stack.outbox().messages(), 1, "it waits for the layer");
    }
    talk(&mut ends, 1000);
    assert_eq!(ends[1].events, [Told::Opened, Told::Message(b"early".to_vec())]);
    assert_eq!(ends[0].stack.outbox().bytes(), 0);
}

#[test]
fn every_cut_gives_the_same() {
    for cut in (1..60).chain([100, 2999, 3000, 3001, 5000, 65_536]) {
        for writes in [301, 3003, usize::MAX] {
            let mut ends = End::both();
            ends[1].writes = writes;
            let sent: Vec<Vec<u8>> =
                [0, 1, 5, 2995, 2996, 2997, 9000].map(|len| vec![len as u8; len]).into();
            for message in &sent {
                ends.iter_mut().for_each(|end| end.send(message));
            }
            talk(&mut ends, cut);
            let told = sent.into_iter().map(Told::Message);
            let expected: Vec<Told> = [Told::Opened].into_iter().chain(told).collect();
            for end in &ends {
                assert!(end.events == expected, "cut {cut}, writes {writes}");
            }
        }
    }
}

#[test]
fn every_split_of_a_whole_talk() {
    let mut plain = End::both();
    for end in &mut plain {
        end.send(b"one");
        end.send(&[2; 40]);
    }
    // What the accepting end is sent behind the openings.
    let opening: Vec<Vec<u8>> = (0..4)
        .map(|turn| {
            let wire = plain[turn % 2].write(NOW);
            plain[(turn + 1) % 2].receive(&wire, NOW);
            wire
        })
        .collect();
    let mut rest = plain[0].write(NOW);
    assert!(!plain[0].stack.poll_end(), "it has a goodbye to say");
    rest.extend(plain[0].write(NOW));
    assert!(plain[0].stack.poll_end(), "the goodbye is written");
    let wire = [&*opening[2], &rest].concat();
    let expected =
        [Told::Opened, Told::Message(b"one".to_vec()), Told::Message(vec![2; 40]), Told::Ended];
    for at in 0..=wire.len() {
        let mut end = End::new(Side::Accepted);
        end.receive(&opening[0], NOW);
        end.write(NOW);
        let (first, second) = wire.split_at(at);
        for piece in [first, second] {
            if !piece.is_empty() {
                end.receive(piece, NOW);
            }
        }
        assert_eq!(messages(&end), expected, "split at {at}");
        assert!(!end.stack.is_cut());
    }
}

#[test]
fn a_message_is_one_until_it_is_sealed() {
    let mut ends = End::both();
    talk(&mut ends, 1000);
    let [near, far] = &mut ends;
    near.send(&[1; 60_000]);
    near.send(&[2; 60_000]);
    let train = near.stack.poll_transmit(&near.pool, u32::MAX, NOW).expect("a train");
    assert!(train.len() > 32 << 10 && train.len() < 40 << 10, "{}", train.len());
    assert_eq!((near.stack.outbox().messages(), near.stack.outbox().bytes()), (2, 120_008));
    let half = train.len() / 2;
    let bytes: Vec<u8> = train.slices().flat_map(|slice| slice.to_vec()).collect();
    near.stack.handle_sent(half, train, &mut Release::default());
    far.receive(&bytes[..half], NOW);
    assert_eq!(near.stack.outbox().bytes(), 120_008, "counted until the last byte is written");
    assert!(!near.stack.is_written());
    let rest = near.write(NOW);
    far.receive(&rest, NOW);
    assert_eq!(near.stack.outbox().bytes(), 0);
    assert_eq!(far.events[1..], [1, 2].map(|byte| Told::Message(vec![byte; 60_000])));
    near.send(b"lost");
    let train = near.stack.poll_transmit(&near.pool, u32::MAX, NOW).expect("a train");
    near.stack.handle_sent(1, train, &mut Release::default());
    assert_eq!(near.stack.abandon(), 8, "all of it is given up");
    assert!(near.stack.is_written() && near.write(NOW).is_empty());
}

#[test]
fn without_memory_nothing_is_sealed_and_nothing_lost() {
    let mut ends = End::both();
    talk(&mut ends, 1000);
    let [near, far] = &mut ends;
    near.send(b"waits");
    let mut hold: Vec<_> = std::iter::from_fn(|| near.pool.take(100)).collect();
    assert!(near.stack.poll_transmit(&near.pool, u32::MAX, NOW).is_none());
    assert!(near.stack.starved().is_some_and(|bytes| bytes < 100), "so many are asked for");
    assert_eq!(near.stack.outbox().messages(), 1);
    hold.pop();
    let wire = near.write(NOW);
    assert_eq!(near.stack.starved(), None);
    far.receive(&wire, NOW);
    assert_eq!(far.events[1..], [Told::Message(b"waits".to_vec())]);
}

#[test]
fn it_speaks_by_itself_and_what_is_none_of_it_breaks_it() {
    let mut ends = End::both();
    talk(&mut ends, 1000);
    let [near, far] = &mut ends;
    let at = near.stack.poll_alarm().expect("a silence ends");
    assert!(at > NOW && at <= NOW + ALIVE_MS);
    assert!(!near.stack.handle_alarm(at - 1, true) && near.write(at - 1).is_empty());
    assert!(near.stack.handle_alarm(at, true));
    let wire = near.write(at);
    assert!(!wire.is_empty());
    far.receive(&wire, at);
    assert_eq!(far.events, [Told::Opened], "it is no message");
    assert_eq!(far.stack.quiet_since(), at, "but a sign of life");
    far.receive(b"what?", at);
    assert_eq!(far.events[1..], [Told::Broken(Cause::Protocol)]);
    let mut quiet = QUIET_PAD.maker.make(Side::Connected).expect("it cannot fail");
    assert!(quiet.poll_wire(&Train::default(), &mut Train::default(), &far.pool, NOW).is_ok());
    assert_eq!(quiet.poll_timeout(), None);
    let mut alone = Pad::new(Side::Accepted);
    alone.handle_received(Slice::default(), NOW);
    assert!(matches!(alone.poll_plain(&far.pool, NOW), Plain::Nothing));
    alone.end();
    assert_eq!(alone.state(), State::Done(Cause::Host), "nothing to say goodbye to");
}
