//! One lane's messages on their way out: those that wait, and those of which it is not known
//! whether they came.

use super::flight::{Flight, Piece};
use crate::session::Key;
use crate::transport::lanes::peer::message::{Data, Message};
use crate::transport::lanes::peer::wire::{Part, VARINT_MAX, Writer};
use crate::transport::lanes::{self, Micros};
use std::collections::{HashMap, VecDeque};

/// A reliable message goes only while fewer lie between it and the oldest that is missing: what the
/// peer remembers of those that came is bounded.
pub const SPAN: u64 = 1 << 14;
/// No fragment is shorter, but for the last one of a message.
const FRAGMENT_MIN: usize = 128;
/// A lane that is empty keeps memory for so many messages.
const SPARE: usize = 4;

/// A message that waits.
struct Queued {
    data: Data,
    deadline: Option<Micros>,
    key: u64,
    /// It went, by its key, and its place is still there.
    gone: bool,
}

/// Bytes and messages that are pending no more.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Released {
    pub bytes: u32,
    pub messages: u32,
}

/// What few lanes have.
#[derive(Default)]
struct Rare {
    /// Pieces that are to be sent again.
    lost: VecDeque<Piece>,
    /// Where messages with a key wait: places, as `popped` counts.
    keys: HashMap<u64, u64>,
}

/// Invariant: only the last of `flights` is not packed to its end, and that where `begun` is
/// something. A lane that is not reliable has no other.
pub struct Lane {
    queue: VecDeque<Queued>,
    flights: VecDeque<Flight>,
    /// The number of the first of `flights`, or else of the next message.
    base: u64,
    /// Places that left the queue.
    popped: u64,
    /// Bytes of the last of `flights` that were packed.
    begun: Option<u32>,
    rare: Option<Box<Rare>>,
    pub released: Released,
    /// What it may still send in its turn among those of its priority.
    pub deficit: i32,
}

/// What a lane has to send next.
#[derive(Clone, Copy, Debug)]
pub struct Next {
    pub source: Source,
    /// Bytes of it, and whether that is a whole message.
    pub len: u32,
    pub whole: bool,
}

/// Where it comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// It is lost.
    Lost,
    /// It is what is left of a message that was begun.
    Begun,
    /// It is a message.
    Fresh,
}

/// Where pieces are packed.
pub struct Target<'a, 'b> {
    pub writer: &'a mut Writer<'b>,
    pub lane: u8,
    pub reliable: bool,
    /// Bytes that the payload is to have at most.
    pub limit: usize,
    /// There is no other message in it.
    pub first: bool,
}

impl Lane {
    /// `first`: the number of its first message.
    pub fn new(first: u64) -> Lane {
        Lane {
            queue: VecDeque::new(),
            flights: VecDeque::new(),
            base: first,
            popped: 0,
            begun: None,
            rare: None,
            released: Released::default(),
            deficit: 0,
        }
    }

    /// The number of the next message that is begun.
    pub fn count(&self) -> u64 {
        self.base + self.flights.len() as u64
    }

    /// Whether everything of it came that is to come.
    pub fn is_done(&self) -> bool {
        self.queue.is_empty() && self.flights.is_empty()
    }

    /// Whether every message was sent to its end, were it lost or not.
    pub fn is_sent(&self) -> bool {
        self.begun.is_none() && self.queue.iter().all(|queued| queued.gone)
    }

    /// Puts a message behind the others, or in place of one with its key. Answers whether it took
    /// the place of one.
    pub fn write(&mut self, message: Message) -> bool {
        let Message { data, deadline, key: Key { key, at_end }, .. } = message;
        let mut queued = Queued { data, deadline, key, gone: false };
        let mut replaced = false;
        if key != 0 {
            let end = self.popped + self.queue.len() as u64;
            let rare = self.rare.get_or_insert_default();
            if let Some(place) = rare.keys.get_mut(&key) {
                let older = &mut self.queue[(*place - self.popped) as usize];
                self.released.add(older.data.len());
                replaced = true;
                if !at_end {
                    std::mem::swap(older, &mut queued);
                    return true;
                }
                (older.data, older.gone) = (Data::default(), true);
                *place = end;
            } else {
                rare.keys.insert(key, end);
            }
        }
        lanes::push(&mut self.queue, queued);
        replaced
    }

    /// What it has to send next. Messages that are too late go: `dropped` counts them.
    pub fn next(&mut self, reliable: bool, now: Micros, dropped: &mut u64) -> Option<Next> {
        if let Some(next) = self.next_lost() {
            return Some(next);
        }
        if let Some(offset) = self.begun {
            let len = self.flights.back().map_or(0, |flight| flight.len()) - offset;
            return Some(Next { source: Source::Begun, len, whole: false });
        }
        if self.flights.len() as u64 >= SPAN || self.count() > VARINT_MAX {
            return None;
        }
        loop {
            let queued = self.queue.front()?;
            let late = !reliable && queued.deadline.is_some_and(|deadline| deadline <= now);
            if !late && !queued.gone {
                return Some(Next { source: Source::Fresh, len: queued.data.len(), whole: true });
            }
            *dropped += u64::from(late);
            let queued = self.pop()?;
            if late {
                self.released.add(queued.data.len());
            }
        }
    }

    fn next_lost(&mut self) -> Option<Next> {
        let lost = &mut self.rare.as_mut()?.lost;
        while let Some(piece) = lost.front_mut() {
            let index = piece.id.checked_sub(self.base).map(|index| index as usize);
            let flight = index.and_then(|index| self.flights.get(index));
            if let Some(flight) = flight.filter(|flight| flight.misses(piece)) {
                let len = piece.end - piece.start;
                return Some(Next { source: Source::Lost, len, whole: len == flight.len() });
            }
            lost.pop_front();
        }
        None
    }

    fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        if queued.key != 0
            && !queued.gone
            && let Some(rare) = &mut self.rare
        {
            rare.keys.remove(&queued.key);
        }
        self.popped += 1;
        if self.queue.is_empty() && self.queue.capacity() > SPARE {
            self.queue = VecDeque::new();
        }
        Some(queued)
    }

    /// Packs what `next` has answered, or the beginning of it. None: there is no room. Else the
    /// piece, and bytes of the packet that it took.
    pub fn pack(&mut self, next: Next, target: &mut Target<'_, '_>) -> Option<(Piece, usize)> {
        let (id, start) = match next.source {
            Source::Lost => {
                let piece = self.rare.as_ref()?.lost.front()?;
                (piece.id, piece.start)
            }
            Source::Begun => (self.count() - 1, self.begun?),
            Source::Fresh => (self.count(), 0),
        };
        let total = match next.source {
            Source::Fresh => next.len,
            _ => self.flights[(id - self.base) as usize].len(),
        };
        let room = target.writer.room(target.limit);
        let whole = Writer::part_head(id, None, next.len as usize) + next.len as usize;
        let fragment = (u64::from(total), u64::from(start));
        let (fragment, len) = if next.whole && whole <= room {
            (None, next.len)
        } else if next.whole && !target.first {
            return None;
        } else {
            let head = Writer::part_head(id, Some(fragment), room);
            let len = room.checked_sub(head)?.min(next.len as usize);
            if len == 0 || (len < FRAGMENT_MIN && len < next.len as usize) {
                return None;
            }
            (Some(fragment), len as u32)
        };
        let part = Part { lane: target.lane, id, fragment, data: &[] };
        let piece = Piece { id, start, end: start + len, lane: target.lane };
        let before = target.writer.len();
        if next.source == Source::Fresh {
            let queued = self.pop()?;
            if !target.reliable && len == total {
                target.writer.part(&part, len as usize, |out| queued.data.copy(0, out));
                self.base += 1;
                self.released.add(total);
                return Some((piece, target.writer.len() - before));
            }
            lanes::push(&mut self.flights, Flight::new(queued.data));
        }
        let flight = &mut self.flights[(id - self.base) as usize];
        target.writer.part(&part, len as usize, |out| flight.data.copy(start, out));
        let bytes = target.writer.len() - before;
        flight.handle_sent(&piece);
        self.advance(next, &piece, total, target.reliable);
        Some((piece, bytes))
    }

    /// A piece was packed: it is not next any more.
    fn advance(&mut self, next: Next, piece: &Piece, total: u32, reliable: bool) {
        if next.source == Source::Lost {
            let Some(rare) = &mut self.rare else { return };
            match rare.lost.front_mut() {
                Some(lost) if piece.end < lost.end => lost.start = piece.end,
                _ => drop(rare.lost.pop_front()),
            }
            return;
        }
        self.begun = (piece.end < total).then_some(piece.end);
        if !reliable && self.begun.is_none() {
            self.flights.pop_back();
            self.base += 1;
            self.released.add(total);
        }
    }

    /// Takes the next message.
    pub fn take(&mut self) -> Option<Data> {
        let queued = loop {
            let queued = self.pop()?;
            if !queued.gone {
                break queued;
            }
        };
        self.released.add(queued.data.len());
        Some(queued.data)
    }

    /// A whole message that was sent and did not come: its bytes.
    pub fn flying(&self, id: u64) -> Option<&Data> {
        let index = id.checked_sub(self.base)? as usize;
        self.flights.get(index).filter(|flight| !flight.is_done()).map(|flight| &flight.data)
    }

    /// Packs a message that was sent another time, where there is room for all of it.
    pub fn pack_copy(&mut self, id: u64, target: &mut Target<'_, '_>) -> Option<Piece> {
        let index = id.checked_sub(self.base)? as usize;
        let flight = self.flights.get_mut(index)?;
        let len = flight.len();
        let bytes = Writer::part_head(id, None, len as usize) + len as usize;
        if bytes > target.writer.room(target.limit) {
            return None;
        }
        let part = Part { lane: target.lane, id, fragment: None, data: &[] };
        target.writer.part(&part, len as usize, |out| flight.data.copy(0, out));
        let piece = Piece { id, start: 0, end: len, lane: target.lane };
        flight.handle_sent(&piece);
        Some(piece)
    }

    /// The peer has a piece.
    pub fn handle_acked(&mut self, piece: &Piece) {
        let Some(index) = piece.id.checked_sub(self.base) else { return };
        let Some(flight) = self.flights.get_mut(index as usize) else { return };
        if let Some(len) = flight.handle_acked(piece) {
            self.released.add(len);
        }
        while self.flights.front().is_some_and(Flight::is_done) {
            self.flights.pop_front();
            self.base += 1;
        }
        if self.flights.is_empty() {
            if self.flights.capacity() > SPARE {
                self.flights = VecDeque::new();
            }
            self.rare = self.rare.take().filter(|rare| !rare.keys.is_empty());
        }
    }

    /// A piece is lost. Answers whether it is to be sent again.
    pub fn handle_lost(&mut self, piece: &Piece) -> bool {
        let Some(index) = piece.id.checked_sub(self.base) else { return false };
        let Some(flight) = self.flights.get_mut(index as usize) else { return false };
        if !flight.handle_lost(piece) {
            return false;
        }
        self.rare.get_or_insert_default().lost.push_back(*piece);
        true
    }

    /// Marks the beginning of what is not acknowledged to be sent again, up to `len` bytes of it.
    /// Answers whether there is something.
    pub fn probe(&mut self, len: u32) -> bool {
        if self.rare.as_ref().is_some_and(|rare| !rare.lost.is_empty()) {
            return true;
        }
        let lane = self.flights.iter().position(|flight| !flight.is_done());
        let Some(index) = lane else { return false };
        let last = index + 1 == self.flights.len();
        let flight = &self.flights[index];
        let sent = if last { self.begun.unwrap_or(flight.len()) } else { flight.len() };
        let Some((start, end)) = flight.missing(sent) else { return false };
        let end = end.min(start.saturating_add(len));
        let piece = Piece { id: self.base + index as u64, start, end, lane: 0 };
        self.rare.get_or_insert_default().lost.push_back(piece);
        true
    }
}

impl Released {
    fn add(&mut self, bytes: u32) {
        self.bytes += bytes;
        self.messages += 1;
    }
}

#[cfg(test)]
impl Lane {
    pub fn heap_bytes(&self) -> usize {
        assert!(self.rare.is_none(), "an idle lane has nothing rare");
        let (queue, flights) = (self.queue.capacity(), self.flights.capacity());
        queue * size_of::<Queued>() + flights * size_of::<Flight>()
    }
}
