//! The end of a net: what all workers are sent, and what is reported of connections whose worker
//! reports nothing any more.

use crate::engine::shared::conn::Report;
use crate::engine::shared::core::{Core, RUNNING, STOPPING};
use crate::engine::shared::event::{Event, Notice};
use crate::engine::shared::home::{Command, Home};
use crate::engine::shared::queue::Queue;
use crate::engine::shared::table::Resident;
use crate::io::os::sys;
use crate::session::Cause;
use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::Ordering::*;

impl Core {
    /// A worker had a fault: the others close what they have, and pollers look.
    pub fn everybody_stops(&self) {
        if self.state.compare_exchange(RUNNING, STOPPING, SeqCst, SeqCst).is_ok() {
            self.tell_all(true);
        }
        self.queues.iter().for_each(Queue::unpark);
    }

    /// Has every worker look whether the ends that it sent are acknowledged.
    pub fn look(&self) {
        for home in self.workers() {
            self.homes[home].post(Command::Look);
        }
    }

    pub fn tell_all(&self, abrupt: bool) {
        for home in self.workers() {
            self.homes[home].post(Command::Stop { abrupt });
        }
    }

    pub fn left(&self) -> usize {
        self.homes.iter().map(Home::population).sum()
    }

    /// Reports the end of all connections whose worker reports nothing any more: it had a fault, or
    /// is gone. None: of every worker.
    pub fn report_lost(&self, home: Option<usize>, cause: Cause) {
        let is_gone = |of: usize| home.is_none_or(|home| home == of);
        let (mut batches, mut handed) = (BTreeMap::<usize, Vec<Event>>::new(), Vec::new());
        for token in self.table.tokens() {
            let Some(mut held) = self.table.hold(token) else { continue };
            match held.resident() {
                Resident::Listener(listener) if is_gone(listener.home.into()) => {
                    let queue = usize::from(listener.home) % self.queues.len();
                    batches.entry(queue).or_default().extend(listener.fault(token, cause));
                }
                Resident::Datagram(udp) if is_gone(udp.home) => {
                    let queue = udp.queue;
                    batches.entry(queue).or_default().extend(udp.fault(token, cause));
                }
                Resident::Conn(conn) if is_gone(conn.home.into()) => {
                    let moved = conn.cut_move();
                    if conn.link.join() && moved.is_none() {
                        continue;
                    }
                    conn.end_abruptly(cause, 0);
                    conn.give_up();
                    if let Some(socket) = conn.link.take_socket() {
                        match cause == Cause::Shutdown || conn.life.reset || conn.unsent() > 0 {
                            true => sys::reset(&socket),
                            false => sys::end(&socket),
                        }
                    }
                    handed.extend(conn.listener().filter(|_| mem::take(&mut conn.marks.handed)));
                    self.groups.leave(token.index());
                    if conn.life.report == Report::Known {
                        conn.life.report = Report::Closed;
                        let (cause, os_error, unsent) =
                            (conn.life.cause, conn.os_error(), conn.unsent());
                        let closed = Notice::Closed { cause, os_error, unsent, code: 0 };
                        let notices = moved.into_iter().chain([closed]);
                        let events = notices.map(|notice| Event { token, notice });
                        batches.entry(conn.queue.into()).or_default().extend(events);
                    }
                }
                _ => {}
            }
        }
        handed.into_iter().for_each(|token| self.handed_told(token));
        if let Some(home) = home {
            self.homes[home].clear();
        }
        for (queue, mut batch) in batches {
            let bytes = batch.iter().map(Event::cost).sum();
            self.publish(&self.queues[queue], &mut batch, bytes, self.elapsed(), None);
        }
    }
}
