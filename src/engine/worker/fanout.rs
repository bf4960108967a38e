//! What the host sent to groups is given to the members on this worker's lists.

use crate::engine::shared::conn::Conn;
use crate::engine::shared::core::Core;
use crate::engine::shared::groups::Visit;
use crate::engine::shared::groups::deliver::{Delivery, Given};
use crate::engine::shared::home::Command;
use crate::engine::worker::desk::Desk;
use crate::io::Token;
use std::mem;

/// Members that are visited in one turn. So many that what the rooms of a member were sent in a
/// tick leaves with one call.
const VISITS: usize = 16 * 1024;
/// Members that are looked up at a time.
const STRIDE: usize = 64;

impl Desk {
    /// A send to a group has something for this worker.
    pub fn called_by_groups(&mut self, core: &Core) {
        core.groups.log.answer(self.home);
        self.fan_out.wanted = true;
    }

    /// Gives members what is theirs, so many of them a turn. It leaves only then: a member of
    /// several groups is sent with one call what all of them were.
    pub fn fan_out(&mut self, core: &Core) {
        self.give_out(core);
        for token in mem::take(&mut self.fan_out.given) {
            self.tend_given(core, token);
        }
    }

    fn give_out(&mut self, core: &Core) {
        let mut left = VISITS;
        while self.fan_out.wanted {
            let Some(delivery) = self.fan_out.now.take().or_else(|| self.next_delivery(core))
            else {
                self.fan_out.wanted = false;
                return;
            };
            self.visit_members(core, delivery, &mut left);
            if left == 0 {
                return;
            }
        }
    }

    /// The next that was sent, with the walk over its members begun.
    fn next_delivery(&mut self, core: &Core) -> Option<Delivery> {
        let log = &core.groups.log;
        let most = if core.is_manual() { log.flushed(self.home) } else { u64::MAX };
        let sent = log.next(self.home, self.fan_out.last, most)?;
        core.groups.walk(sent.group, self.home);
        let count = core.groups.counters(sent.group).count();
        Some(Delivery::new(sent, count as usize))
    }

    fn visit_members(&mut self, core: &Core, mut delivery: Delivery, left: &mut usize) {
        let mut visits = [Visit::default(); STRIDE];
        loop {
            let room = STRIDE.min(*left);
            if room == 0 {
                self.fan_out.now = Some(delivery);
                return;
            }
            let count = core.groups.step(self.home, &mut visits[..room]);
            for visit in &visits[..count] {
                self.visit_member(core, &mut delivery, *visit);
            }
            *left -= count;
            if count < room {
                break;
            }
        }
        self.fan_out.last = delivery.sent.number;
        core.groups.log.done(self.home, delivery.sent.number);
    }

    fn visit_member(&mut self, core: &Core, delivery: &mut Delivery, visit: Visit) {
        let index = visit.conn as usize;
        let Some((token, mut held)) = core.table.hold_at(visit.conn) else { return };
        let Some(conn) = held.conn() else { return };
        let (groups, number) = (&core.groups, delivery.sent.number);
        // Since it was looked up it may have left the group or settled. Or the slot has a new
        // connection, to which nothing is owed that was sent before it joined a group.
        if groups.given(index) >= number || !groups.has(index) {
            return;
        }
        groups.give(index, number);
        // What may leave already has somebody who sees to that.
        let leaves = conn.session.outbox().is_sendable();
        let given = delivery.give(core, token, conn);
        if (given == Given::Full) != visit.full && given != Given::Not {
            groups.note_full(delivery.sent.group, index, given == Given::Full);
        }
        if matches!(given, Given::Taken | Given::Closed) {
            self.send_off(core, token, conn, leaves);
        }
    }

    /// A member was given something: it leaves with this turn.
    fn send_off(&mut self, core: &Core, token: Token, conn: &mut Conn, leaves: bool) {
        if usize::from(conn.home) == self.home {
            conn.session.flush();
            if !leaves {
                self.fan_out.given.push(token);
            }
        } else if !mem::replace(&mut conn.marks.dirty, true) {
            core.homes[usize::from(conn.home)].post(Command::Flush(token));
        }
    }
    fn tend_given(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        // In the meantime it may have moved.
        if !self.forward(core, conn, Command::Flush(token)) {
            self.tend_conn(core, token, conn);
        }
    }
}
