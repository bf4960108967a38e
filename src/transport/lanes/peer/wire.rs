//! Frames: what stands in a payload, one behind the other. `docs/lanes.md` has the layouts.

use std::ops::RangeInclusive;

/// The greatest number that a varint has (RFC 9000 §16).
pub const VARINT_MAX: u64 = (1 << 62) - 1;
/// Ranges of an ACK.
pub const RANGES_MAX: usize = 32;
/// What two ends of this version say.
pub const VERSION: u8 = 1;
/// A delay in an ACK is in sixteenths of a millisecond.
const DELAY_UNIT_NS: u64 = 62_500;

mod kind {
    pub const PADDING: u8 = 0;
    pub const PING: u8 = 1;
    pub const ACK: u8 = 2;
    pub const WINDOW: u8 = 3;
    pub const END: u8 = 4;
    pub const HELLO: u8 = 5;
    pub const CHALLENGE: u8 = 6;
    pub const RESPONSE: u8 = 7;
    pub const CLOCK: u8 = 8;
    pub const MESSAGE: u8 = 0x80;
}

const FRAGMENT: u8 = 0x40;
const LENGTH: u8 = 0x20;
const RESERVED: u8 = 0x10;
const LANE: u8 = 0x0F;

/// It is not of this protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// It asks for an acknowledgement.
    Ping,
    Ack(Ack<'a>),
    /// What reliable messages may cost in all.
    Window(u64),
    /// For each reliable lane in order, how many messages there are.
    End(Counts<'a>),
    Hello(Hello),
    Challenge([u8; 8]),
    Response([u8; 8]),
    Clock(Clock),
    Message(Part<'a>),
}

/// An acknowledgement, whose ranges are still encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ack<'a> {
    pub largest: u64,
    /// In microseconds.
    pub delay: u64,
    /// Numbers before `largest` that belong to its range.
    first: u64,
    /// Pairs of a gap and a length.
    more: &'a [u8],
}

/// Numbers that are still encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counts<'a>(&'a [u8]);

/// What an end says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    pub version: u8,
    /// Bits for what it can beyond this version.
    pub features: u64,
    /// The largest datagram that it takes.
    pub datagram_max: u64,
    /// By which its peer is found behind another address; the server's counts.
    pub id: u64,
    /// How many lanes there are.
    pub lanes: u8,
    /// Two bits for the kind of each, lane 0 lowest.
    pub kinds: u32,
}

/// A sample of a clock, in microseconds that wrap at 2^64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// When this was sent, by the clock of its sender.
    pub sent: u64,
    /// The newest sample of the peer that came, and how long ago; 0 and 0: none.
    pub echo: u64,
    pub held: u64,
}

/// A message or a fragment of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    pub lane: u8,
    pub id: u64,
    /// Total and offset, where it is a fragment.
    pub fragment: Option<(u64, u64)>,
    pub data: &'a [u8],
}

/// Takes a varint from the front.
pub fn take_varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let first = *rest.first().ok_or(Malformed)?;
    let len = 1 << (first >> 6);
    let (bytes, tail) = rest.split_at_checked(len).ok_or(Malformed)?;
    *rest = tail;
    let start = u64::from(first & 0x3F);
    Ok(bytes[1..].iter().fold(start, |value, &byte| value << 8 | u64::from(byte)))
}

/// Bytes of a varint.
pub fn varint_len(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (bytes, tail) = rest.split_first_chunk::<N>().ok_or(Malformed)?;
    *rest = tail;
    Ok(*bytes)
}

fn take_bytes<'a>(rest: &mut &'a [u8], len: u64) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(len).map_err(|_| Malformed)?;
    let (bytes, tail) = rest.split_at_checked(len).ok_or(Malformed)?;
    *rest = tail;
    Ok(bytes)
}

/// Takes a frame from the front of a payload. None: only padding is left.
pub fn take_frame<'a>(rest: &mut &'a [u8]) -> Result<Option<Frame<'a>>, Malformed> {
    let Some((&first, tail)) = rest.split_first() else { return Ok(None) };
    *rest = tail;
    let frame = match first {
        kind::MESSAGE.. => Frame::Message(take_part(first, rest)?),
        kind::PADDING => {
            *rest = &[];
            return Ok(None);
        }
        kind::PING => Frame::Ping,
        kind::ACK => Frame::Ack(take_ack(rest)?),
        kind::WINDOW => Frame::Window(take_varint(rest)?),
        kind::END => {
            let len = take_varint(rest)?;
            Frame::End(Counts(take_bytes(rest, len)?))
        }
        kind::HELLO => {
            let len = take_varint(rest)?;
            Frame::Hello(take_hello(take_bytes(rest, len)?)?)
        }
        kind::CHALLENGE => Frame::Challenge(take(rest)?),
        kind::RESPONSE => Frame::Response(take(rest)?),
        kind::CLOCK => Frame::Clock(Clock {
            sent: u64::from_be_bytes(take(rest)?),
            echo: u64::from_be_bytes(take(rest)?),
            held: take_varint(rest)?,
        }),
        _ => return Err(Malformed),
    };
    Ok(Some(frame))
}

fn take_ack<'a>(rest: &mut &'a [u8]) -> Result<Ack<'a>, Malformed> {
    let largest = take_varint(rest)?;
    let delay = take_varint(rest)?.saturating_mul(DELAY_UNIT_NS) / 1000;
    let count = take_varint(rest)?;
    let first = take_varint(rest)?;
    if count >= RANGES_MAX as u64 || first > largest {
        return Err(Malformed);
    }
    let all = *rest;
    for _ in 0..count * 2 {
        take_varint(rest)?;
    }
    Ok(Ack { largest, delay, first, more: &all[..all.len() - rest.len()] })
}

fn take_hello(mut rest: &[u8]) -> Result<Hello, Malformed> {
    let [version] = take(&mut rest)?;
    let features = take_varint(&mut rest)?;
    let datagram_max = take_varint(&mut rest)?;
    let id = u64::from_be_bytes(take(&mut rest)?);
    let [lanes] = take(&mut rest)?;
    let kinds = u32::from_be_bytes(take(&mut rest)?);
    // What a later version adds stands behind.
    Ok(Hello { version, features, datagram_max, id, lanes, kinds })
}

fn take_part<'a>(first: u8, rest: &mut &'a [u8]) -> Result<Part<'a>, Malformed> {
    if first & RESERVED != 0 {
        return Err(Malformed);
    }
    let id = take_varint(rest)?;
    let fragment = match first & FRAGMENT {
        0 => None,
        _ => Some((take_varint(rest)?, take_varint(rest)?)),
    };
    let len = if first & LENGTH != 0 { take_varint(rest)? } else { rest.len() as u64 };
    let data = take_bytes(rest, len)?;
    Ok(Part { lane: first & LANE, id, fragment, data })
}

impl Ack<'_> {
    /// Whether all of it is one range.
    pub fn range(&self) -> Option<RangeInclusive<u64>> {
        self.more.is_empty().then(|| self.largest - self.first..=self.largest)
    }

    /// Writes its ranges, newest first, and answers how many there are.
    pub fn ranges(&self, out: &mut [RangeInclusive<u64>; RANGES_MAX]) -> Result<usize, Malformed> {
        let mut start = self.largest - self.first;
        out[0] = start..=self.largest;
        let (mut count, mut rest) = (1, self.more);
        while !rest.is_empty() {
            let gap = take_varint(&mut rest)?;
            let len = take_varint(&mut rest)?;
            let end = start.checked_sub(gap + 2).ok_or(Malformed)?;
            start = end.checked_sub(len).ok_or(Malformed)?;
            out[count] = start..=end;
            count += 1;
        }
        Ok(count)
    }
}

impl<'a> Counts<'a> {
    pub fn new(bytes: &'a [u8]) -> Counts<'a> {
        Counts(bytes)
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The next number.
    pub fn take(&mut self) -> Result<u64, Malformed> {
        take_varint(&mut self.0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Writes frames into a payload. Whoever writes has looked at `room`.
pub struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
    /// Where the length of the last frame stands, and its size: a message at the end needs none.
    last: Option<(usize, usize, usize)>,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut [u8]) -> Writer<'a> {
        Writer { out, len: 0, last: None }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes that may still be written where the payload is to have at most `limit`.
    pub fn room(&self, limit: usize) -> usize {
        limit.min(self.out.len()).saturating_sub(self.len)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn byte(&mut self, byte: u8) {
        self.out[self.len] = byte;
        self.len += 1;
    }

    fn varint(&mut self, value: u64) {
        debug_assert!(value <= VARINT_MAX);
        match varint_len(value) {
            1 => self.byte(value as u8),
            2 => self.bytes(&(value as u16 | 0x4000).to_be_bytes()),
            4 => self.bytes(&(value as u32 | 0x8000_0000).to_be_bytes()),
            _ => self.bytes(&(value | 0xC000_0000_0000_0000).to_be_bytes()),
        }
    }

    fn start(&mut self, kind: u8) {
        self.last = None;
        self.byte(kind);
    }

    pub fn ping(&mut self) {
        self.start(kind::PING);
    }

    /// Fills up to `len` bytes.
    pub fn padding(&mut self, len: usize) {
        self.last = None;
        self.out[self.len..len].fill(kind::PADDING);
        self.len = len;
    }

    /// An ACK of `ranges`, newest first, with as many of them as there is room for.
    pub fn ack(&mut self, ranges: &[(u64, u64)], delay: u64, limit: usize) {
        let Some((&(start, largest), older)) = ranges.split_first() else { return };
        let delay = (delay.saturating_mul(1000) / DELAY_UNIT_NS).min(VARINT_MAX);
        let head = varint_len(largest) + varint_len(delay) + varint_len(largest - start);
        let Some(mut room) = self.room(limit).checked_sub(2 + head) else { return };
        let mut before = start;
        let mut fit = |&&(start, end): &&(u64, u64)| {
            let bytes = varint_len(before - end - 2) + varint_len(end - start);
            before = start;
            room.checked_sub(bytes).map(|rest| room = rest).is_some()
        };
        let count = older.iter().take(RANGES_MAX - 1).take_while(&mut fit).count();
        self.start(kind::ACK);
        self.varint(largest);
        self.varint(delay);
        self.varint(count as u64);
        self.varint(largest - start);
        let mut before = start;
        for &(start, end) in &older[..count] {
            self.varint(before - end - 2);
            self.varint(end - start);
            before = start;
        }
    }

    pub fn window(&mut self, credit: u64) {
        self.start(kind::WINDOW);
        self.varint(credit.min(VARINT_MAX));
    }

    /// `counts`: of the reliable lanes, at most 16.
    pub fn end(&mut self, counts: impl Iterator<Item = u64> + Clone) {
        self.start(kind::END);
        self.varint(counts.clone().map(varint_len).sum::<usize>() as u64);
        counts.for_each(|count| self.varint(count));
    }

    pub fn hello(&mut self, hello: &Hello) {
        self.start(kind::HELLO);
        let len = 14 + varint_len(hello.features) + varint_len(hello.datagram_max);
        self.varint(len as u64);
        self.byte(hello.version);
        self.varint(hello.features);
        self.varint(hello.datagram_max);
        self.bytes(&hello.id.to_be_bytes());
        self.byte(hello.lanes);
        self.bytes(&hello.kinds.to_be_bytes());
    }

    pub fn challenge(&mut self, data: [u8; 8]) {
        self.start(kind::CHALLENGE);
        self.bytes(&data);
    }

    pub fn response(&mut self, data: [u8; 8]) {
        self.start(kind::RESPONSE);
        self.bytes(&data);
    }

    pub fn clock(&mut self, clock: &Clock) {
        self.start(kind::CLOCK);
        self.bytes(&clock.sent.to_be_bytes());
        self.bytes(&clock.echo.to_be_bytes());
        self.varint(clock.held.min(VARINT_MAX));
    }

    /// A message or a fragment of `len` bytes, which `fill` writes.
    pub fn part(&mut self, part: &Part<'_>, len: usize, fill: impl FnOnce(&mut [u8])) {
        let fragment = if part.fragment.is_some() { FRAGMENT } else { 0 };
        let frame = self.len;
        self.start(kind::MESSAGE | LENGTH | fragment | part.lane);
        self.varint(part.id);
        if let Some((total, offset)) = part.fragment {
            self.varint(total);
            self.varint(offset);
        }
        let length = self.len;
        self.varint(len as u64);
        self.last = Some((frame, length, self.len - length));
        fill(&mut self.out[self.len..self.len + len]);
        self.len += len;
    }

    /// Bytes of a part with everything before its data.
    pub fn part_head(id: u64, fragment: Option<(u64, u64)>, len: usize) -> usize {
        let fragment = fragment.map_or(0, |(total, at)| varint_len(total) + varint_len(at));
        1 + varint_len(id) + fragment + varint_len(len as u64)
    }

    /// The size of the payload. A message at its end loses its length, which the payload tells.
    pub fn finish(mut self) -> usize {
        if let Some((frame, length, bytes)) = self.last.take() {
            self.out[frame] &= !LENGTH;
            self.out.copy_within(length + bytes..self.len, length);
            self.len -= bytes;
        }
        self.len
    }
}
