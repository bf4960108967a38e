//! Workers that reap from one place: a completion may come out of any worker's turn.
//!
//! Still a connection has one worker at any time, and only that one reports or begins anything of
//! it. From when that worker looks at it until its events are published and its operations are
//! begun, it *settles*: a completion that another worker reaped meanwhile is handed over. At any
//! other time the other one takes the connection over together with the completion. So nothing is
//! reported out of order, though no thread is bound to a connection: a CLOSED cannot overtake the
//! MESSAGE that another worker is about to publish, and no operation begins behind a cancel.
//!
//! Each is counted with the first worker of its queue, so that queues are filled evenly. Listeners
//! and datagram sockets keep their worker, and so do all while the net stops.

use crate::engine::shared::conn::Conn;
use crate::engine::shared::core::Core;
use crate::engine::shared::home::Command;
use crate::engine::shared::table::Resident;
use crate::engine::worker::desk::Desk;
use crate::io::{Completion, Token};
use std::mem;

impl Desk {
    /// Leaves of what was reaped what is this worker's to apply, and hands the rest over.
    pub fn claim(&mut self, core: &Core) {
        let reaped = mem::take(&mut self.done);
        self.done = reaped.into_iter().filter_map(|one| self.claim_one(core, one)).collect();
    }

    fn claim_one(&mut self, core: &Core, one: Completion) -> Option<Completion> {
        let mut held = core.table.hold(one.token)?;
        let home = match held.resident() {
            // Its worker had a fault.
            Resident::Conn(conn) if conn.link.is_joined() => return None,
            Resident::Conn(conn) => {
                let elsewhere = usize::from(conn.home) != self.home;
                if elsewhere && !conn.marks.claimed && core.is_running() {
                    // The lists of the other one keep it, its timers included: that one passes on
                    // what comes of them.
                    conn.home = self.home as u8;
                }
                conn.home.into()
            }
            Resident::Listener(listener) => listener.home.into(),
            Resident::Datagram(udp) => udp.home,
            Resident::Free => return None,
        };
        if home == self.home {
            if let Some(conn) = held.conn() {
                self.touch(core, one.token, conn);
            }
            return Some(one);
        }
        drop(held);
        core.homes[home].post(Command::Apply(Box::new(one)));
        None
    }

    /// Begins to settle.
    #[inline]
    pub fn touch(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if core.roams && !mem::replace(&mut conn.marks.claimed, true) {
            self.claimed.push(token);
        }
    }

    /// Everything that this turn reported is published, and its operations are in flight.
    pub fn end_claims(&mut self, core: &Core) {
        if self.claimed.is_empty() {
            return;
        }
        self.publish(core);
        for token in self.claimed.drain(..) {
            if let Some(mut held) = core.table.hold(token)
                && let Some(conn) = held.conn()
            {
                conn.marks.claimed = false;
            }
        }
    }

    /// A deadline of a connection that was taken over is due.
    pub fn overdue(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        let home = usize::from(conn.home);
        if home == self.home {
            return self.conn_due(core, token, conn);
        }
        drop(held);
        core.homes[home].post(Command::Overdue(token));
    }
}
