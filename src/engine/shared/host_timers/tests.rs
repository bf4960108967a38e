//! Handles of timers, what a stop leaves behind, and periods that merge.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn timers(most: u32) -> HostTimers {
    HostTimers::new(most, 2, 1)
}

/// As a worker does: watches what changed, and reports what is due.
fn turn(timers: &HostTimers, queue: usize, now: Time) -> Vec<Token> {
    let mut due = Vec::new();
    timers.with(|inside| {
        inside.look(queue, |index, _, at| {
            due.extend(at.filter(|&at| at <= now).map(|_| index));
            at.and(Timer::named(index + 1))
        });
        let rings: Vec<Ring> =
            due.iter().filter_map(|&index| inside.fired(index, Timer::named(index + 1)?)).collect();
        let again = |index, _| Timer::named(index + 1).expect("one more than an index");
        rings.into_iter().filter_map(|ring| inside.ring(ring, now, again)).collect()
    })
}

fn start(timers: &HostTimers, due: Time, every_ms: u32) -> Token {
    let token = timers.insert(0, due, every_ms, 7).expect("there is room");
    timers.with(|inside| inside.call(token.index()));
    token
}

#[test]
fn a_stopped_timer_keeps_its_slot_while_its_event_is_queued() {
    let timers = timers(1);
    let token = start(&timers, MS, 0);
    assert_eq!(turn(&timers, 0, MS), [token]);
    assert_eq!(timers.with(|inside| inside.stop(token)), Ok(()));
    assert_eq!(timers.with(|inside| inside.stop(token)), Err(Error::Stale));
    assert!(timers.insert(0, MS, 0, 0).is_none(), "its event is in the queue");
    assert!(timers.with(|inside| inside.take(token, || MS)).is_none());
    assert!(!timers.is_any() && timers.insert(0, MS, 0, 0).is_some());
}

#[test]
fn periods_merge_and_none_is_lost() {
    let timers = timers(1);
    let token = start(&timers, 10 * MS, 10);
    assert_eq!(turn(&timers, 0, 35 * MS), [token], "10, 20 and 30 at once");
    let told = timers.with(|inside| inside.take(token, || 39 * MS)).expect("it runs");
    assert_eq!((told.user_data, told.missed, told.calls), (7, 2, false));
    let entry = Timer::named(token.index() as u32 + 1).expect("as `turn` makes them");
    let ring = |now: Time| {
        timers.with(|inside| {
            let ring = inside.fired(token.index() as u32, entry).expect("it is watched");
            inside.ring(ring, now, |_, _| entry)
        })
    };
    assert_eq!(ring(40 * MS), Some(token));
    assert_eq!(ring(50 * MS), None, "one event waits, and the worker does not come back");
    assert!(timers.with(|inside| inside.fired(token.index() as u32, entry)).is_none());
    let told = timers.with(|inside| inside.take(token, || 79 * MS)).expect("it runs");
    assert_eq!((told.missed, told.calls), (3, true), "50, 60 and 70");
    assert_eq!(turn(&timers, 0, 79 * MS), []);
    assert_eq!(ring(80 * MS), Some(token), "by what was asked for");
}

#[test]
fn more_periods_than_can_be_counted() {
    let timers = timers(1);
    let token = start(&timers, MS, 1);
    let years = 6_000_000_000 * MS.as_millis() as u64;
    assert_eq!(turn(&timers, 0, Duration::from_millis(years)), [token]);
    let told = timers.with(|inside| inside.take(token, || MS)).expect("it runs");
    assert_eq!(told.missed, u32::MAX - 1, "as many as there are numbers");
}

#[test]
fn handles_are_new_ones_and_a_slot_whose_generations_are_used_up_is_retired() {
    let timers = timers(1);
    let mut last = start(&timers, MS, 0);
    for _ in 0..3 * SPARE {
        assert_eq!(timers.with(|inside| inside.stop(last)), Ok(()));
        let next = start(&timers, MS, 0);
        assert_ne!(next, last);
        last = next;
    }
    assert_eq!(timers.with(|inside| inside.stop(last)), Ok(()));
    assert!(timers.with(|inside| inside.slots.len()) <= SPARE + 2);
    timers.with(|inside| {
        inside.slots.iter_mut().for_each(|slot| slot.generation = Token::GENERATION_MAX - 1);
    });
    let before = timers.with(|inside| inside.queues[0].free.len());
    let token = start(&timers, MS, 0);
    assert_eq!(token.generation(), Token::GENERATION_MAX - 1);
    assert_eq!(timers.with(|inside| inside.stop(token)), Ok(()));
    assert_eq!(timers.with(|inside| inside.stop(token)), Err(Error::Stale));
    assert_eq!(timers.with(|inside| inside.queues[0].free.len()), before - 1, "retired");
    assert_eq!(timers.highest(), Token::GENERATION_MAX);
}

/// What is started and stopped again and again while no worker turns lies on the list once.
#[test]
fn no_list_grows() {
    let timers = timers(2);
    for _ in 0..10_000 {
        let token = start(&timers, MS, 1);
        assert_eq!(timers.with(|inside| inside.stop(token)), Ok(()));
    }
    let (slots, changed) =
        timers.with(|inside| (inside.slots.len(), inside.queues[0].changed.len()));
    assert!(slots <= SPARE + 2 && changed <= slots, "{changed} of {slots}");
    assert_eq!(turn(&timers, 0, MS), []);
}
