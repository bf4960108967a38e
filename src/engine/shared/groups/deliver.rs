//! What was sent to a group is given to a member: put into its outbox, as a send of its own would
//! be.

use super::log::Sent;
use crate::engine::shared::conn::Conn;
use crate::engine::shared::core::Core;
use crate::engine::shared::home::Command;
use crate::engine::shared::rendering::{Form, Rendering};
use crate::io::Token;
use crate::session::{Cause, FramingKind, Key, Memory, Overflow, Parts, SendError};
use std::sync::atomic::Ordering::*;

/// What became of a message at a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    Taken,
    /// It has no room for it now.
    Full,
    /// It takes none any more, or not this one.
    Not,
    /// It had no room, and is closed for that.
    Closed,
}

/// A message on its way to the members of one group: framed once for neighbours of one framing.
pub struct Delivery {
    pub sent: Sent,
    /// About how many are given it.
    count: usize,
    rendering: Rendering,
}

impl Delivery {
    pub fn new(sent: Sent, count: usize) -> Delivery {
        Delivery { sent, count, rendering: Rendering::default() }
    }

    /// Gives it to a member, whose slot is locked.
    pub fn give(&mut self, core: &Core, token: Token, conn: &mut Conn) -> Given {
        if self.sent.except == Some(token) || !conn.takes_sends() {
            return Given::Not;
        }
        let given = self.put(core, conn);
        let group = core.groups.counters(self.sent.group);
        match given {
            Given::Taken => {
                core.note_send(token, self.sent.at);
                group.delivered.fetch_add(1, Relaxed)
            }
            _ => group.skipped.fetch_add(1, Relaxed),
        };
        if given == Given::Closed {
            conn.end_abruptly(Cause::LimitOutbox, 0);
        }
        given
    }

    fn put(&mut self, core: &Core, conn: &mut Conn) -> Given {
        let payload = &[&self.sent.payload[..]];
        let Some(parts) = Parts::new(payload, Some(&self.sent.payload)) else { return Given::Not };
        let (framing, limits) = (conn.framing(), &conn.endpoint.limits);
        let (tag, key) = (self.sent.tag, self.sent.tag.key);
        let Ok(wire) = parts.wire_bytes(framing) else { return Given::Not };
        if key.key != 0 && (framing.kind == FramingKind::Raw || wire == 0) {
            return Given::Not;
        }
        if wire > limits.outbox_max_bytes as usize {
            return Given::Not;
        }
        // Where lanes are, a key is the transport's.
        let key = if conn.session.lanes().is_some() { Key::default() } else { key };
        let room = conn.session.outbox().has_room(limits, wire, key)
            && conn.session.lanes().is_none_or(|it| it.has_room(limits, tag.lane, wire));
        if limits.overflow == Overflow::Reject && !room {
            // Without a refusal to be made good: a member that is skipped is owed no WRITABLE.
            return Given::Full;
        }
        if self.rendering.for_conn(conn).is_none() {
            let (form, pool) = (Form::of(conn), &core.pool);
            if self.rendering.make(form, &parts, tag, self.sent.text, pool, self.count).is_err() {
                return Given::Full;
            }
        }
        let Some(framed) = self.rendering.for_conn(conn) else { return Given::Not };
        let arena = &core.homes[usize::from(conn.home)].arena;
        let memory = Memory { arena, pool: &core.pool };
        let endpoint = conn.endpoint.clone();
        let framing = endpoint.framing_of(conn.session.web().is_some());
        let limits = &endpoint.limits;
        match conn.session.send_in_lane(limits, tag.lane, wire, |session| {
            session.send_framed(framing, limits, memory, framed, key)
        }) {
            Ok(()) => Given::Taken,
            Err(SendError::Overflow) => Given::Closed,
            Err(SendError::Again | SendError::Memory) => Given::Full,
            Err(_) => Given::Not,
        }
    }
}

/// The worker on whose lists the memberships of a connection are: the one whose flush releases its
/// sends, or the first of its queue, where that comes and goes.
pub fn list_of(core: &Core, conn: &Conn) -> usize {
    let home = core.stage_home(conn);
    if home < core.base { home } else { core.queues[usize::from(conn.queue)].home }
}

/// Gives a connection, whose slot is locked, all that was sent to its groups until now. What is
/// done to it next comes behind that.
#[inline]
pub fn settle(core: &Core, token: Token, conn: &mut Conn) {
    if core.groups.log.count() > 0 && core.groups.has(token.index()) {
        settle_all(core, token, conn);
    }
}

#[cold]
fn settle_all(core: &Core, token: Token, conn: &mut Conn) {
    let (groups, index) = (&core.groups, token.index());
    let (all, last) = groups.log.since(groups.given(index));
    groups.give(index, last);
    let flushed = groups.log.flushed(list_of(core, conn));
    let (mut leaves, mut waits) = (false, false);
    for sent in all {
        if groups.is_in(sent.group, index) {
            let goes = !core.is_manual() || sent.number <= flushed;
            let group = sent.group;
            match Delivery::new(sent, 1).give(core, token, conn) {
                Given::Taken if goes => leaves = true,
                Given::Taken => waits = true,
                Given::Full => groups.note_full(group, index, true),
                Given::Closed => leaves = true,
                Given::Not => {}
            }
        }
    }
    let home = usize::from(conn.home);
    if leaves {
        // Else one is on its way, or with MANUAL it waits for a flush that these do not.
        if !std::mem::replace(&mut conn.marks.dirty, true) || core.is_manual() {
            core.homes[home].post(Command::Flush(token));
        }
    } else if waits && !std::mem::replace(&mut conn.marks.dirty, true) {
        core.homes[core.stage_home(conn)].stage(token);
    }
}
