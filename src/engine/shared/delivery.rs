//! Events on their way from a worker to the host: published once a turn, handed out in batches.

use crate::buf::Release;
use crate::engine::shared::core::Core;
use crate::engine::shared::event::{Event, Handed, Notice};
use crate::engine::shared::histogram::Histograms;
use crate::engine::shared::home::Command;
use crate::engine::shared::queue::{KEEP_EVENTS, Poller, Queue};
use crate::engine::shared::table::Slot;
use crate::engine::shared::waiter::Waiting;
use crate::io::Token;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

impl Core {
    /// Puts a turn's events of `bytes` in a queue, and wakes who waits for them. `now`: the net's
    /// clock. `turner`: the home that the calling thread turns, if it turns one.
    pub fn publish(
        &self,
        queue: &Queue,
        batch: &mut Vec<Event>,
        bytes: u64,
        now: Duration,
        turner: Option<usize>,
    ) {
        queue.put(batch, bytes, now);
        match queue.waiter.get() {
            Waiting::Nobody | Waiting::Looking => {}
            Waiting::Parked => queue.unpark(),
            // A worker of this queue calls it when its turn ends.
            Waiting::Called
                if turner.is_some_and(|home| home % self.queues.len() == queue.home) => {}
            Waiting::Called => self.homes[queue.home].wake(),
            Waiting::Turning(home) if Some(home) == turner => {}
            Waiting::Turning(home) => self.homes[home].ring(),
        }
    }

    /// Ends the batch before: payloads go back, slots of closed connections are free again.
    pub fn end_batch(&self, poller: &mut Poller) {
        let mut release = Release::default();
        for event in &mut poller.events[poller.from..poller.next] {
            match std::mem::replace(&mut event.notice, Notice::Gone) {
                Notice::Message { data, .. } | Notice::Datagram { data, .. } => release.add(data),
                Notice::Mail(mail) => release.add(mail.data),
                Notice::Opened { data, .. } => {
                    if let Some(slot) = self.table.slot(event.token) {
                        slot.opened.store(false, Relaxed);
                    }
                    release.add(data);
                }
                Notice::Closed { .. } => self.conn_ended(event.token),
                Notice::Moved { left: true, .. } => self.conn_left(event.token),
                Notice::ListenerClosed { .. } => self.listener_ended(event.token),
                _ => {}
            }
        }
        poller.from = poller.next;
        if poller.pending() == 0 && poller.events.capacity() > KEEP_EVENTS {
            // Now: after a burst nothing may come for long.
            poller.events = Vec::new();
            (poller.from, poller.next) = (0, 0);
        }
    }

    /// Hands out up to `cap` events. Ends early behind an OPENED, so that what the host sets for
    /// a connection there is on every later event.
    #[inline]
    pub fn hand_out(
        &self,
        queue: &Queue,
        poller: &mut Poller,
        cap: usize,
        mut write: impl FnMut(usize, Handed),
    ) -> usize {
        if poller.pending() == 0 {
            if !queue.is_ready() {
                return 0;
            }
            queue.refill(poller);
        }
        let (begun, mut count, mut bytes) = (poller.next, 0, 0);
        let mut last: Option<(Token, Option<&Slot>)> = None;
        while count < cap
            && let Some(event) = poller.events.get_mut(poller.next)
        {
            let slot = match last {
                Some((token, slot)) if token == event.token => slot,
                _ => self.table.slot(event.token),
            };
            last = Some((event.token, slot));
            let mut user_data = 0;
            if let Notice::Timer { timer, missed } = &mut event.notice {
                let Some(told) = self.take_timer(*timer, queue.home) else {
                    // Stopped since then.
                    bytes += event.cost();
                    poller.next += 1;
                    event.notice = Notice::Gone;
                    continue;
                };
                (user_data, *missed) = (told.user_data, told.missed);
            }
            if let Some(slot) = slot {
                user_data = slot.user_data.load(Acquire);
                if slot.opened.load(Relaxed) {
                    break;
                }
                if slot.muted.load(Acquire) && !matches!(event.notice, Notice::Closed { .. }) {
                    bytes += event.cost();
                    poller.next += 1;
                    let left = matches!(event.notice, Notice::Moved { left: true, .. });
                    if left && count > 0 {
                        // Not reported, and looked at when the batch has ended.
                        continue;
                    }
                    event.notice = Notice::Gone;
                    if left {
                        self.conn_left(event.token);
                    }
                    continue;
                }
                if matches!(event.notice, Notice::Opened { .. }) {
                    slot.opened.store(true, Relaxed);
                }
            }
            bytes += event.cost();
            let number = poller.first + poller.next as u64;
            write(count, Handed { event, user_data, number });
            count += 1;
            poller.next += 1;
        }
        self.note_taken(queue, poller, begun);
        if queue.drained(poller, bytes) {
            self.read_again(queue);
        }
        queue.hush(poller);
        count
    }

    /// How long the oldest event of a queue waits; zero without one.
    pub fn age_of(&self, queue: &Queue) -> Duration {
        queue.oldest().map(|came| self.elapsed().saturating_sub(came)).unwrap_or_default()
    }

    /// A poll has handed out the events from `begun` on.
    #[inline]
    fn note_taken(&self, queue: &Queue, poller: &mut Poller, begun: usize) {
        match &self.histograms {
            Some(histograms) => self.note_waits(histograms, queue, poller, begun),
            None => poller.arrivals.take(poller.next - begun, |_, _| {}),
        }
        queue.note_taken(poller);
    }

    /// Counts how long they waited.
    #[cold]
    fn note_waits(
        &self,
        histograms: &Histograms,
        queue: &Queue,
        poller: &mut Poller,
        begun: usize,
    ) {
        let Poller { events, arrivals, next, .. } = poller;
        let (now, mut rest) = (self.elapsed(), &events[begun..*next]);
        arrivals.take(*next - begun, |came, some| {
            let (these, others) = rest.split_at(some);
            rest = others;
            let messages = these.iter().filter(|event| event.own_cost() > 0).count();
            if messages > 0 {
                histograms.polled(queue.home, now.saturating_sub(came), messages as u64);
            }
        });
    }

    /// The queue was drained: its workers look at the connections that waited for it.
    #[cold]
    fn read_again(&self, queue: &Queue) {
        let away = self.abroad.load(SeqCst);
        for home in self.workers() {
            if away || home % self.queues.len() == queue.home {
                self.homes[home].post(Command::Drained);
            }
        }
    }
}
