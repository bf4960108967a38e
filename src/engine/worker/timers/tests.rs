//! The wheel against a sorted map, and what a turn of it costs.

use super::*;
use crate::engine::shared::reminder::{Reminder, coarse};
use crate::io::Token;
use std::collections::BTreeMap;

const ALL: u32 = u32::MAX;

/// xorshift64*, so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % most
    }

    /// Near and far alike.
    fn wait(&mut self) -> u64 {
        let bits = self.below(33);
        self.below(1 << bits)
    }
}

fn due(number: u64) -> Due {
    match number % 3 {
        0 => Due::Conn(Token(number)),
        1 => Due::Host(number),
        _ => Due::Transport(number),
    }
}

fn fire(wheel: &mut Wheel, now: Millis) -> Vec<Due> {
    std::iter::from_fn(|| wheel.pop(now, &mut ALL.clone())).map(|(_, due)| due).collect()
}

/// A wheel, and what it should have: number, time and name of each entry.
#[derive(Default)]
struct Pair {
    wheel: Wheel,
    model: BTreeMap<u64, (Millis, Timer)>,
}

impl Pair {
    fn set(&mut self, number: u64, at: Millis) {
        let known = self.model.get(&number).map(|entry| entry.1);
        let timer = self.wheel.set(known, due(number), at);
        assert!(known.is_none_or(|known| known == timer), "one entry for each");
        // What is over already is due now.
        self.model.insert(number, (at.max(self.wheel.elapsed), timer));
    }

    fn cancel(&mut self, number: u64) {
        if let Some((_, timer)) = self.model.remove(&number) {
            self.wheel.cancel(timer, due(number));
            self.wheel.cancel(timer, due(number));
        }
    }

    /// With so many steps. False: there were too few.
    fn fire(&mut self, now: Millis, mut steps: u32) -> bool {
        let mut last = 0;
        while let Some((timer, due)) = self.wheel.pop(now, &mut steps) {
            let (Due::Conn(Token(number)) | Due::Host(number) | Due::Transport(number)) = due;
            let (at, known) = self.model.remove(&number).expect("it was set and has not fired");
            assert!((at <= now) && known == timer, "{number} of {at} at {now}");
            assert!(at >= last, "in order");
            last = at.max(last);
        }
        let earliest = self.model.values().map(|entry| entry.0).min();
        let next = self.wheel.next();
        assert_eq!(next.is_none(), earliest.is_none());
        let conns = self.model.keys().any(|&number| matches!(due(number), Due::Conn(_)));
        assert_eq!(self.wheel.has_conns(), conns);
        assert!(next <= earliest, "{next:?} {earliest:?}");
        let over = earliest.is_none_or(|at| at > now);
        assert!(over || (steps == 0 && next.is_some_and(|next| next <= now)), "left behind");
        over
    }
}

#[test]
fn it_tells_what_a_sorted_map_tells() {
    for seed in 1..40 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut pair = Pair::default();
        let mut now = random.wait() << random.below(14);
        for _ in 0..3000 {
            let number = random.below(200);
            match random.below(10) {
                0..5 => pair.set(number, now + random.wait()),
                5 => pair.set(number, now.saturating_sub(random.wait())),
                6 => pair.cancel(number),
                7 => now += random.wait() >> random.below(20),
                // A turn that ended before all was done, and others that come in between.
                8 => drop(pair.fire(now, random.below(20) as u32)),
                _ => assert!(pair.fire(now, ALL)),
            }
        }
        let last = now + (1 << 34);
        assert!(pair.fire(last, ALL) && pair.model.is_empty());
        assert!(pair.wheel.nodes.pages() <= 1, "nothing is kept");
    }
}

#[test]
fn the_last_moment_there_is_comes() {
    let mut wheel = Wheel::default();
    wheel.set(None, Due::Host(1), Millis::MAX);
    wheel.set(None, Due::Host(2), LAST - 1);
    assert_eq!(fire(&mut wheel, LAST - 2), []);
    assert_eq!(fire(&mut wheel, LAST - 1), [Due::Host(2)]);
    assert_eq!(fire(&mut wheel, LAST), [Due::Host(1)]);
    wheel.set(None, Due::Transport(3), 5);
    assert_eq!(fire(&mut wheel, LAST), [Due::Transport(3)], "late is not never");
}

#[test]
fn an_entry_that_fired_is_nobody_else_s_to_cancel() {
    let mut wheel = Wheel::default();
    let old = wheel.set(None, Due::Host(1), 10);
    assert_eq!(fire(&mut wheel, 10), [Due::Host(1)]);
    let new = wheel.set(None, Due::Host(2), 20);
    assert_eq!(old, new, "its place is used again");
    wheel.cancel(old, Due::Host(1));
    let third = wheel.set(Some(old), Due::Host(1), 20);
    assert_ne!(third, new);
    assert_eq!(fire(&mut wheel, 20), [Due::Host(2), Due::Host(1)]);
}

/// 100,000 connections whose deadlines fall together: each turn does its share and no more, none
/// is late by more turns than that takes, and what is set meanwhile waits for its time.
#[test]
fn a_turn_s_share_is_bounded() {
    const COUNT: u64 = 100_000;
    for spread in [1, 50, 64, 4_000, 30_000] {
        let mut wheel = Wheel::default();
        let mut random = Random(spread);
        fire(&mut wheel, 77);
        for number in 0..COUNT {
            wheel.set(None, Due::Host(number), coarse(30_077 + random.below(spread), 77));
        }
        let (mut fired, mut turns, end) = (0, 0, 77 + 30_000 + spread + 64);
        while let Some(at) = wheel.next() {
            assert!(at <= end);
            let mut steps = TURN_STEPS;
            let mut expiries = 0;
            while wheel.pop(at.max(wheel.elapsed), &mut steps).is_some() {
                expiries += 1;
            }
            assert!(expiries <= 256);
            fired += expiries;
            turns += 1;
        }
        assert_eq!(fired, COUNT);
        // Each expires once and moves down at most twice, and a turn may find little to do.
        let most = COUNT * u64::from(EXPIRY_STEPS + 2) / u64::from(TURN_STEPS);
        assert!(turns <= most + 2 * spread.min(1000) + 64, "{turns} turns for {spread}");
        assert!(wheel.nodes.pages() <= 1);
    }
}

/// What a turn costs in which nothing is due does not depend on how many wait.
#[test]
fn waiting_costs_nothing() {
    let mut wheel = Wheel::default();
    for number in 0..100_000 {
        wheel.set(None, Due::Host(number), coarse(1 + number % 30_000 + 30_000, 0));
    }
    let mut steps = ALL;
    for now in 0..30_000 {
        assert_eq!(wheel.pop(now, &mut steps), None);
        assert!(wheel.next() > Some(now));
    }
    assert!(ALL - steps <= 200_000, "each moved down at most twice in half a minute");
}

#[test]
fn one_long_deadline_keeps_no_room_of_others() {
    let mut wheel = Wheel::default();
    for number in 0..10_000 {
        wheel.set(None, Due::Host(number), if number == 5_000 { 1 << 40 } else { number });
    }
    assert_eq!(fire(&mut wheel, 20_000).len(), 9_999);
    assert!(wheel.nodes.pages() <= 2);
    for number in 0..20 {
        wheel.set(None, Due::Host(number), 30_000);
    }
    assert!(wheel.nodes.pages() <= 2, "the first pages are filled first");
}

#[test]
fn a_reminder_knows_its_entry() {
    let (mut here, mut there) = (Wheel::default(), Wheel::default());
    let due = Due::Conn(Token::new(1, 1));
    let mut reminder = Reminder::default();
    assert_eq!((reminder.precedes(1 << 40, 0), reminder.with(0)), (false, None));
    there.set(None, Due::Host(1), 4);
    let first = there.set(None, due, 5);
    assert_eq!(reminder.set(first, 5, 63), None);
    assert_eq!((reminder.with(63), reminder.with(0)), (Some(first), None));
    let second = here.set(reminder.with(0), due, 4);
    assert_eq!(reminder.set(second, 4, 0), Some((63, first)), "to be cancelled there");
    assert!(!reminder.fired(first, 63) && reminder.fired(second, 0) && !reminder.fired(second, 0));
    assert_eq!(reminder.take(), None);
}
