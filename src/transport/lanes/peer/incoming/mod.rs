//! What arrives: messages whole or in fragments, each once, in the order that its lane promises.

mod lane;
mod partial;

use super::message::Incoming as Message;
use super::outgoing::{MESSAGE_COST, SPAN};
use super::wire::{Counts, Part, VARINT_MAX};
use crate::buf::{Pool, Purpose, Slice};
use crate::session::Cause;
use crate::transport::lanes::{self, LaneKind, LaneOptions};
use lane::{Lane, PARTIAL_MAX};
use partial::{Partial, Refused};
use std::collections::VecDeque;

/// What reliable messages may cost before the first WINDOW.
pub const CREDIT_FIRST: u64 = 256 << 10;
/// What they may cost beyond what was read.
const CREDIT: u64 = 4 << 20;
/// Unreliable messages, and bytes of them, that wait to be read; the newest go.
const UNREAD_MAX: u32 = 256;
const UNREAD_BYTES: usize = 256 << 10;
/// Memory of unreliable messages of which something came.
const HELD_MAX: usize = 1 << 20;
/// An empty queue keeps memory for so many messages.
const SPARE: usize = 4;

/// Why a packet is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// There is no memory: as if it had not come.
    Refused,
    /// The connection ends.
    Broken(Cause),
}

impl From<Refused> for Fault {
    fn from(_: Refused) -> Fault {
        Fault::Refused
    }
}

const PROTOCOL: Fault = Fault::Broken(Cause::Protocol);

/// See the module.
pub struct Incoming {
    lanes: Box<[Lane]>,
    unread: VecDeque<Message>,
    /// Of `unread`, unreliable messages and their bytes.
    unreliable: u32,
    unreliable_bytes: usize,
    /// Bytes of memory of fragments: of unreliable messages, and of reliable ones.
    held: [usize; 2],
    /// Bytes of memory of messages that are not read.
    kept: usize,
    message_max: u32,
    /// What reliable messages cost that came and that were read, and what they may cost.
    spent: u64,
    read: u64,
    credit: u64,
    /// Unreliable messages that there was no room for.
    pub dropped: u64,
}

impl Incoming {
    pub fn new(lanes: usize, message_max: u32) -> Incoming {
        Incoming {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            unread: VecDeque::new(),
            unreliable: 0,
            unreliable_bytes: 0,
            held: [0; 2],
            kept: 0,
            message_max,
            spent: 0,
            read: 0,
            credit: CREDIT_FIRST,
            dropped: 0,
        }
    }

    fn ahead(&self) -> u64 {
        CREDIT.max(2 * (u64::from(self.message_max) + MESSAGE_COST))
    }

    /// Whether the peer is to be told that it may send more.
    pub fn owes_window(&self) -> bool {
        self.read + self.ahead() - self.credit >= self.ahead() / 4
    }

    /// What the peer may send, to be told now.
    pub fn window(&mut self) -> u64 {
        self.credit = self.credit.max((self.read + self.ahead()).min(VARINT_MAX));
        self.credit
    }

    /// Bytes of memory of fragments, and of what is not read.
    pub fn held_bytes(&self) -> usize {
        self.held[0] + self.held[1] + self.kept
    }

    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    pub fn read(&mut self) -> Option<Message> {
        let message = self.unread.pop_front()?;
        self.kept -= message.data.pinned();
        if message.unreliable {
            self.unreliable -= 1;
            self.unreliable_bytes -= message.data.len();
        } else {
            self.read += cost(message.data.len() as u32);
        }
        if self.unread.is_empty() && self.unread.capacity() > SPARE {
            self.unread = VecDeque::new();
        }
        Some(message)
    }

    /// Whether all of these came, which a peer has sent in all on each reliable lane.
    pub fn is_complete(
        &self,
        options: &[LaneOptions],
        mut counts: Counts<'_>,
    ) -> Result<bool, Fault> {
        let mut complete = true;
        for (lane, _) in self.lanes.iter().zip(options).filter(|(_, it)| it.kind.is_reliable()) {
            let count = counts.take().map_err(|_| PROTOCOL)?;
            if count < lane.next {
                return Err(PROTOCOL);
            }
            complete &= count == lane.next;
        }
        if counts.is_empty() { Ok(complete) } else { Err(PROTOCOL) }
    }

    /// A payload came, which is a message.
    pub fn handle_plain(&mut self, payload: &[u8], pool: &Pool) -> Result<(), Refused> {
        let data = copy(payload, pool)?;
        self.deliver(0, data, true);
        Ok(())
    }

    /// A message or a fragment came. Answers whether it is reliable.
    pub fn handle(
        &mut self,
        options: &[LaneOptions],
        part: &Part<'_>,
        pool: &Pool,
    ) -> Result<bool, Fault> {
        let lane = usize::from(part.lane);
        let kind = options.get(lane).ok_or(PROTOCOL)?.kind;
        let total = self.check(part)?;
        if kind.is_reliable() {
            self.handle_reliable(kind, part, total, pool)?;
        } else {
            self.handle_unreliable(kind, part, total, pool)?;
        }
        Ok(kind.is_reliable())
    }

    /// The size of the message that a part is of.
    fn check(&self, part: &Part<'_>) -> Result<u32, Fault> {
        let len = part.data.len() as u64;
        let (total, offset) = part.fragment.unwrap_or((len, 0));
        if total > u64::from(self.message_max) {
            return Err(Fault::Broken(Cause::LimitFrame));
        }
        let empty = part.fragment.is_some() && len == 0;
        if empty || offset > total || len > total - offset {
            return Err(PROTOCOL);
        }
        Ok(total as u32)
    }

    fn handle_reliable(
        &mut self,
        kind: LaneKind,
        part: &Part<'_>,
        total: u32,
        pool: &Pool,
    ) -> Result<(), Fault> {
        let lane = &mut self.lanes[usize::from(part.lane)];
        if lane.came(part.id) {
            return Ok(());
        }
        if part.id - lane.next >= SPAN {
            return Err(PROTOCOL);
        }
        let before = lane.get_partial(part.id).map(Partial::total);
        if before.is_some_and(|before| before != total) {
            return Err(PROTOCOL);
        }
        let oldest = part.id == lane.next;
        if before.is_none() && part.fragment.is_some() && !oldest && !self.may_wait() {
            return Err(Fault::Refused);
        }
        let spent = if before.is_none() { self.spent + cost(total) } else { self.spent };
        if spent > self.credit {
            return Err(PROTOCOL);
        }
        let Some(data) = self.assemble(part, total, true, pool)? else {
            self.spent = spent;
            return Ok(());
        };
        self.spent = spent;
        let lane = &mut self.lanes[usize::from(part.lane)];
        let early = kind == LaneKind::Ordered && part.id != lane.next;
        lane.mark(part.id);
        if early {
            self.kept += data.pinned();
            lane.missing.get_or_insert_default().early.insert(part.id, data);
            return Ok(());
        }
        self.deliver(part.lane, data, false);
        let lane = &mut self.lanes[usize::from(part.lane)];
        if let Some(missing) = &mut lane.missing {
            while let Some(entry) = missing.early.first_entry()
                && *entry.key() < lane.next
            {
                let data = entry.remove();
                self.unread.push_back(Message { data, lane: part.lane, unreliable: false });
            }
            lane.shrink();
        }
        Ok(())
    }

    fn handle_unreliable(
        &mut self,
        kind: LaneKind,
        part: &Part<'_>,
        total: u32,
        pool: &Pool,
    ) -> Result<(), Fault> {
        let lane = &self.lanes[usize::from(part.lane)];
        let sequenced = kind == LaneKind::Sequenced;
        if sequenced && part.id < lane.next {
            return Ok(());
        }
        if part.fragment.is_some() {
            let before = lane.get_partial(part.id).map(Partial::total);
            if before.is_some_and(|before| before != total) {
                return Err(PROTOCOL);
            }
            if before.is_none() && !self.make_room(usize::from(part.lane), part.id) {
                return Ok(());
            }
        }
        let Some(data) = self.assemble(part, total, false, pool)? else { return Ok(()) };
        let lane = &mut self.lanes[usize::from(part.lane)];
        if sequenced {
            lane.next = part.id + 1;
            if let Some(missing) = &mut lane.missing {
                let newer = missing.partial.split_off(&lane.next);
                let older = std::mem::replace(&mut missing.partial, newer);
                self.held[0] -= older.values().map(Partial::held).sum::<usize>();
            }
        }
        lane.shrink();
        self.deliver(part.lane, data, true);
        Ok(())
    }

    /// Gives up the oldest of the unreliable messages of which something came, where a new one
    /// needs its place. Answers whether there is one.
    fn make_room(&mut self, lane: usize, id: u64) -> bool {
        let most = HELD_MAX.max(2 * self.message_max as usize);
        while let Some(missing) = &mut self.lanes[lane].missing {
            if missing.partial.len() < PARTIAL_MAX && self.held[0] < most {
                return true;
            }
            let oldest = missing.partial.first_entry().filter(|oldest| *oldest.key() < id);
            let Some(oldest) = oldest.map(|oldest| oldest.remove()) else { return false };
            self.held[0] -= oldest.held();
        }
        self.held[0] < most
    }

    /// Whether there is to be memory for what is early. A sender that fills its packets needs less.
    fn may_wait(&self) -> bool {
        self.held[1] < 3 * self.ahead() as usize
    }

    /// The whole of a message, if this was all that was missing.
    fn assemble(
        &mut self,
        part: &Part<'_>,
        total: u32,
        reliable: bool,
        pool: &Pool,
    ) -> Result<Option<Slice>, Fault> {
        let reliable = usize::from(reliable);
        let may_wait = self.may_wait();
        let lane = &mut self.lanes[usize::from(part.lane)];
        let Some((_, offset)) = part.fragment else {
            let data = copy(part.data, pool)?;
            if let Some(partial) = lane.remove_partial(part.id) {
                self.held[reliable] -= partial.held();
            }
            return Ok(Some(data));
        };
        let partial = lane.partial(part.id, total);
        let before = partial.held();
        let added = partial.add(offset as u32, part.data, may_wait, pool);
        let data = if added.is_ok() { partial.take(pool) } else { None };
        self.held[reliable] = self.held[reliable] - before + partial.held();
        added?;
        if data.is_some() {
            lane.remove_partial(part.id);
        }
        Ok(data)
    }

    fn deliver(&mut self, lane: u8, data: Slice, unreliable: bool) {
        if unreliable {
            let most = UNREAD_BYTES.max(self.message_max as usize);
            if self.unreliable >= UNREAD_MAX || self.unreliable_bytes + data.len() > most {
                self.dropped += 1;
                return;
            }
            self.unreliable += 1;
            self.unreliable_bytes += data.len();
        }
        self.kept += data.pinned();
        lanes::push(&mut self.unread, Message { data, lane, unreliable });
    }
}

fn copy(data: &[u8], pool: &Pool) -> Result<Slice, Refused> {
    if data.is_empty() {
        return Ok(Slice::default());
    }
    let mut chunk = pool.take_for(data.len(), Purpose::Frame).ok_or(Refused)?;
    chunk.put(data);
    pool.settle(&chunk);
    Ok(chunk.into_slice())
}

fn cost(len: u32) -> u64 {
    u64::from(len) + MESSAGE_COST
}

#[cfg(test)]
impl Incoming {
    /// As if so many messages of a lane had come.
    pub fn start_at(&mut self, lane: usize, first: u64) {
        self.lanes[lane].next = first;
    }

    pub fn heap_bytes(&self) -> usize {
        let missing = self.lanes.iter().filter(|lane| lane.missing.is_some()).count();
        assert_eq!(missing, 0, "a lane with something missing is not idle");
        size_of_val(&*self.lanes) + self.unread.capacity() * size_of::<Message>()
    }
}
