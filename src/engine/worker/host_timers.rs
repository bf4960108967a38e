//! Timers of the host in the turns of their worker.
//!
//! The wheel counts whole milliseconds, so an entry fires in the one in which its timer is due,
//! which may be before that. The rest of its time is spent in a heap, so that timers are reported
//! in the order of their times.

use crate::engine::shared::core::Core;
use crate::engine::shared::event::Notice;
use crate::engine::shared::host_timers::Time;
use crate::engine::shared::reminder::{Due, Timer};
use crate::engine::worker::desk::Desk;
use crate::engine::worker::rings::Rings;
use crate::engine::worker::timers::Wheel;
use crate::io::Token;
use crate::session::Millis;
use std::cmp::Reverse;
use std::sync::atomic::Ordering::*;

/// Timers that one turn reports.
const TURN_RINGS: usize = 256;
/// Room that a list keeps.
const KEEP: usize = 1024;

/// The millisecond of the net's clock in which a time lies. That clock begins with 1.
fn millisecond(time: Time) -> Millis {
    time.as_millis() as Millis + 1
}

fn watch(wheel: &mut Wheel, index: u32, entry: Option<Timer>, due: Time) -> Timer {
    wheel.set(entry, Due::Host(index.into()), millisecond(due))
}

impl Desk {
    /// Looks at the timers of the host that were started, stopped or taken.
    pub fn look_at_host_timers(&mut self, core: &Core) {
        let wheel = &mut self.timers;
        core.host_timers.with(|inside| {
            inside.look(self.queue, |index, entry, due| match due {
                Some(due) => Some(watch(wheel, index, entry, due)),
                None => {
                    if let Some(entry) = entry {
                        wheel.cancel(entry, Due::Host(index.into()));
                    }
                    None
                }
            });
        });
        self.note_alarm(core);
    }

    /// Reports those that are due, up to a turn's share; the others follow in the next turn.
    pub fn ring_host_timers(&mut self, core: &Core) {
        if !self.rings.fired.is_empty() || self.rings.next().is_some() {
            let now = core.elapsed();
            let running = core.is_running();
            let mut told = Vec::new();
            let Desk { rings: Rings { fired, soon }, timers, .. } = self;
            // What has yet to fire may be due before some of those that did.
            let unfired = timers.next().unwrap_or(Millis::MAX);
            let is_next = |due: Time| due <= now && millisecond(due) < unfired;
            core.host_timers.with(|inside| {
                soon.extend(
                    fired.drain(..).filter_map(|(at, entry)| inside.fired(at, entry)).map(Reverse),
                );
                while told.len() < TURN_RINGS
                    && let Some(Reverse(ring)) = soon.peek().filter(|it| is_next(it.0.due)).copied()
                {
                    soon.pop();
                    let again = |index, due| watch(timers, index, None, due);
                    told.extend(running.then(|| inside.ring(ring, now, again)).flatten());
                }
            });
            soon.shrink_to(KEEP);
            for timer in told {
                self.emit(Token(0), Notice::Timer { timer, missed: 0 });
            }
        }
        self.note_alarm(core);
    }

    /// Publishes, for polls, when this worker is to turn for a timer of the host.
    fn note_alarm(&self, core: &Core) {
        let alarm = &core.homes[self.home].alarm;
        let next = Some(()).filter(|()| core.host_timers.is_any()).and_then(|()| self.next_timer());
        let next = next.map_or(u64::MAX, |next| next.as_nanos() as u64);
        if alarm.load(Relaxed) != next {
            alarm.store(next, Relaxed);
        }
    }
}
