//! What leaves: lanes by priority, those of one priority in turn by their weights.

mod copies;
mod flight;
mod lane;

pub use flight::{Piece, Pieces};
pub use lane::{Released, SPAN};

use super::message::Message;
use super::wire::Writer;
use crate::transport::lanes::recovery::COPIED_MAX;
use crate::transport::lanes::{LaneKind, LaneOptions, Micros};
use copies::Copies;
use lane::{Lane, Next, Source, Target};

/// What a reliable message counts beside its bytes: about the memory that a receiver needs for an
/// empty one.
pub const MESSAGE_COST: u64 = 512;
/// Reliable messages up to this size do not wait for the window.
const SMALL: u32 = COPIED_MAX as u32;
/// Nor do others up to this size, which fits in any packet.
const SMALL_UNRELIABLE: u32 = 1100;
/// Bytes of a turn for each unit of weight.
const QUANTUM: i32 = 1200;
/// A lane that is sent before others leaves them one byte in so many.
const RESERVE: i64 = 10;

/// See the module.
pub struct Outgoing {
    lanes: Box<[Lane]>,
    copies: Copies,
    /// Lanes that may have something to send, a bit for each.
    ready: u16,
    /// Lanes with something in `released`.
    released: u16,
    /// Of those of one priority, whose turn it is.
    turn: u8,
    /// What lanes that are sent later are owed, in bytes.
    owed: i64,
    /// What reliable messages may cost in all, and what those that were begun cost.
    pub credit: u64,
    spent: u64,
    /// Messages that were dropped.
    pub dropped: u64,
}

/// What a packet may have of messages.
#[derive(Clone, Copy)]
pub struct Room {
    /// Bytes of the payload.
    pub limit: usize,
    /// The same for packets with bulk; None: there is to be none.
    pub bulk: Option<usize>,
}

/// What a packet has of messages.
#[derive(Default)]
pub struct Packed {
    /// Pieces that are sent again if it is lost.
    pub pieces: Pieces,
    pub messages: u32,
    pub bulk: bool,
}

fn is_small(kind: LaneKind, next: &Next) -> bool {
    next.whole && next.len <= if kind.is_reliable() { SMALL } else { SMALL_UNRELIABLE }
}

impl Outgoing {
    pub fn new(lanes: usize, credit: u64) -> Outgoing {
        Outgoing {
            lanes: (0..lanes).map(|_| Lane::new(0)).collect(),
            copies: Copies::default(),
            ready: 0,
            released: 0,
            turn: 0,
            owed: 0,
            credit,
            spent: 0,
            dropped: 0,
        }
    }

    pub fn write(&mut self, message: Message) {
        let lane = usize::from(message.lane);
        self.ready |= 1 << lane;
        if self.lanes[lane].write(message) {
            self.dropped += 1;
            self.released |= 1 << lane;
        }
    }

    /// When a message is to be sent another time.
    pub fn copy_due(&self) -> Option<Micros> {
        self.copies.first().map(|copy| copy.due)
    }

    /// Forgets those that came.
    fn drop_copies(&mut self) {
        while let Some(copy) = self.copies.first()
            && self.lanes[usize::from(copy.lane)].flying(copy.id).is_none()
        {
            self.copies.drop_first();
        }
    }

    /// Packs messages another time that are due, as far as `may` lets so many bytes go.
    pub fn pack_copies(
        &mut self,
        writer: &mut Writer<'_>,
        limit: usize,
        now: Micros,
        packed: &mut Packed,
        mut may: impl FnMut(usize) -> bool,
    ) {
        self.drop_copies();
        while let Some(copy) = self.copies.first().filter(|copy| copy.due <= now) {
            let lane = &mut self.lanes[usize::from(copy.lane)];
            let first = packed.messages == 0;
            let mut target = Target { writer, lane: copy.lane, reliable: true, limit, first };
            let len = lane.flying(copy.id).map_or(0, |data| data.len() as usize);
            if Writer::part_head(copy.id, None, len) + len > target.writer.room(limit) {
                return;
            }
            if !may(len) {
                self.copies.drop_first();
            } else if let Some(piece) = lane.pack_copy(copy.id, &mut target) {
                packed.pieces.push(piece);
                packed.messages += 1;
                self.copies.advance(now);
            }
            self.drop_copies();
        }
    }

    /// Whether small messages and whether others could go, were it for them alone.
    pub fn pending(&mut self, options: &[LaneOptions], now: Micros) -> (bool, bool) {
        let (mut small, mut bulk) = (false, false);
        let mut rest = self.ready;
        while rest != 0 {
            let lane = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if let Some(next) = self.next(lane, options[lane].kind, now) {
                let is_small = is_small(options[lane].kind, &next);
                (small, bulk) = (small || is_small, bulk || !is_small);
            }
        }
        (small, bulk)
    }

    /// What a lane could send now.
    fn next(&mut self, lane: usize, kind: LaneKind, now: Micros) -> Option<Next> {
        let it = &mut self.lanes[lane];
        let next = it.next(kind.is_reliable(), now, &mut self.dropped);
        if it.released.messages > 0 {
            self.released |= 1 << lane;
        }
        if next.is_none() && it.is_sent() {
            self.ready &= !(1 << lane);
            it.deficit = 0;
        }
        next.filter(|next| {
            let fresh = kind.is_reliable() && next.source == Source::Fresh;
            !fresh || self.spent + cost(next.len) <= self.credit
        })
    }

    /// Packs messages behind what stands in the packet.
    pub fn pack(
        &mut self,
        options: &[LaneOptions],
        writer: &mut Writer<'_>,
        room: Room,
        now: Micros,
        packed: &mut Packed,
    ) {
        self.pack_some(options, writer, Room { bulk: None, ..room }, now, packed);
        if room.bulk.is_some() {
            self.pack_some(options, writer, room, now, packed);
        }
    }

    fn pack_some(
        &mut self,
        options: &[LaneOptions],
        writer: &mut Writer<'_>,
        room: Room,
        now: Micros,
        packed: &mut Packed,
    ) {
        let mut rest = self.ready;
        while rest != 0 {
            let (lane, reserved) = self.pick(options, rest);
            let kind = options[lane].kind;
            let next = self.next(lane, kind, now);
            let limit = match &next {
                Some(next) if is_small(kind, next) => Some(room.limit),
                _ => room.bulk,
            };
            let Some((next, limit)) = next.zip(limit) else {
                rest &= !(1 << lane);
                continue;
            };
            let reliable = kind.is_reliable();
            let first = packed.messages == 0;
            let mut target = Target { writer, lane: lane as u8, reliable, limit, first };
            let Some((piece, bytes)) = self.lanes[lane].pack(next, &mut target) else {
                rest &= !(1 << lane);
                continue;
            };
            if reliable {
                packed.pieces.push(piece);
                if next.source == Source::Fresh {
                    self.spent += cost(next.len);
                    if piece.end == next.len && next.len <= SMALL {
                        self.copies.add(lane as u8, piece.id, now);
                    }
                }
            } else if self.lanes[lane].released.messages > 0 {
                self.released |= 1 << lane;
            }
            packed.messages += 1;
            packed.bulk |= !is_small(kind, &next);
            self.charge(options, lane, bytes, rest, reserved);
        }
    }

    /// The lane whose turn it is among those of `rest`, which are some, and whether it is for what
    /// those before it left it.
    fn pick(&mut self, options: &[LaneOptions], rest: u16) -> (usize, bool) {
        if rest.is_power_of_two() {
            return (rest.trailing_zeros() as usize, false);
        }
        let of =
            |bits: u16| (0..16).filter(move |lane| bits & 1 << lane != 0).map(|lane| lane as usize);
        let least = of(rest).map(|lane| options[lane].priority).min().unwrap_or(0);
        let group = |priority| {
            of(rest)
                .filter(|&lane| options[lane].priority == priority)
                .fold(0, |to, it| to | 1 << it)
        };
        let (mut lanes, mut reserved): (u16, bool) = (group(least), false);
        let later = of(rest & !lanes).map(|lane| options[lane].priority).min();
        if let Some(later) = later
            && self.owed >= i64::from(QUANTUM)
        {
            (lanes, reserved) = (group(later), true);
        }
        // Whose turn it is goes first, then those behind it, then those before it.
        let turned = lanes & (u16::MAX << self.turn);
        let order = |lanes: u16| of(turned).chain(of(lanes & !turned));
        loop {
            if let Some(lane) = order(lanes).find(|&lane| self.lanes[lane].deficit > 0) {
                self.turn = lane as u8;
                return (lane, reserved);
            }
            of(lanes).for_each(|lane| {
                self.lanes[lane].deficit += QUANTUM * i32::from(options[lane].weight);
            });
            self.turn = 0;
        }
    }

    /// A lane took so many bytes while those of `rest` had something to send.
    fn charge(
        &mut self,
        options: &[LaneOptions],
        lane: usize,
        bytes: usize,
        rest: u16,
        reserved: bool,
    ) {
        if rest.is_power_of_two() {
            self.owed = 0;
            return;
        }
        self.lanes[lane].deficit -= bytes as i32;
        let priority = options[lane].priority;
        if reserved {
            self.owed -= bytes as i64;
        } else if (0..options.len())
            .any(|it| rest & 1 << it != 0 && options[it].priority > priority)
        {
            self.owed = (self.owed + bytes as i64 / RESERVE).min(4 * i64::from(QUANTUM));
        }
    }

    /// Writes the next message as a payload where there are no lanes; what is too long for one is
    /// dropped.
    pub fn pack_plain(&mut self, out: &mut [u8]) -> Option<usize> {
        let data = self.lanes[0].take()?;
        self.released |= 1;
        let out = out.get_mut(..data.len() as usize)?;
        data.copy(0, out);
        Some(out.len())
    }

    pub fn handle_acked(&mut self, piece: &Piece) {
        let lane = &mut self.lanes[usize::from(piece.lane)];
        lane.handle_acked(piece);
        if lane.released.messages > 0 {
            self.released |= 1 << piece.lane;
            self.drop_copies();
        }
    }

    pub fn handle_lost(&mut self, piece: &Piece) {
        if self.lanes[usize::from(piece.lane)].handle_lost(piece) {
            self.ready |= 1 << piece.lane;
        }
    }

    /// Makes a lane send again what was sent first and did not come, up to `len` bytes.
    pub fn probe(&mut self, options: &[LaneOptions], len: u32) -> bool {
        let mut lanes = self.lanes.iter_mut().zip(options);
        let found = lanes.position(|(lane, it)| it.kind.is_reliable() && lane.probe(len));
        self.ready |= found.map_or(0, |lane| 1 << lane);
        found.is_some()
    }

    /// How many messages each lane has begun, in order.
    pub fn counts<'a>(
        &'a self,
        options: &'a [LaneOptions],
    ) -> impl Iterator<Item = u64> + Clone + 'a {
        let reliable = |it: &(&LaneOptions, _)| it.0.kind.is_reliable();
        options.iter().zip(&self.lanes).filter(reliable).map(|(_, lane)| lane.count())
    }

    /// Whether nothing waits that was never sent.
    pub fn is_sent(&self) -> bool {
        self.lanes.iter().all(Lane::is_sent)
    }

    /// Whether every message came, or was sent where that is not asked.
    pub fn is_done(&self) -> bool {
        self.lanes.iter().all(Lane::is_done)
    }

    /// What became of messages of some lane.
    pub fn take_released(&mut self) -> Option<(u8, Released)> {
        if self.released == 0 {
            return None;
        }
        let lane = self.released.trailing_zeros();
        self.released &= self.released - 1;
        Some((lane as u8, std::mem::take(&mut self.lanes[lane as usize].released)))
    }
}

fn cost(len: u32) -> u64 {
    u64::from(len) + MESSAGE_COST
}

#[cfg(test)]
impl Outgoing {
    /// As if a lane had begun so many messages, which all came.
    pub fn start_at(&mut self, lane: usize, first: u64) {
        self.lanes[lane] = Lane::new(first);
    }

    pub fn heap_bytes(&self) -> usize {
        self.lanes.iter().map(Lane::heap_bytes).sum::<usize>() + size_of_val(&*self.lanes)
    }
}
