//! Sessions against every way in which a stream can be cut, and outboxes against a plain list of
//! messages. Expected bytes are made here by hand, not by the code under test.

mod chunking;
mod delimited;
mod framing;
mod keyed;
mod limits;
mod model;
mod outbox;
mod parts;
mod plain;
mod rate;
mod receiving;
mod sending;
mod timeouts;

use super::{Cause, Event, Framed, Framing, FramingKind, GATHER_MAX, Key, Limits, Memory, Millis};
use super::{Moment, Outgoing, Overflow, Overlong, Parts, SendError, Session, Want};
use crate::buf::Purpose;
use crate::buf::{Arena, CHUNK_BYTES, Chunk, Pool, Release, Slice, TRAIN_MAX, Train};
use std::ops::Deref;

/// Where time does not matter.
const NOW: Millis = 1000;

/// Random numbers from a seed: SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A number of 1 to `end`; each magnitude is as likely as the next.
    fn size(&mut self, end: usize) -> usize {
        let bits = self.below(end.ilog2() as usize + 1);
        (1 + self.below(1 << (bits + 1))).min(end)
    }
}

/// A pool that has every block back in the end, and the arena over it.
struct Bounded {
    pool: Pool,
    arena: Arena,
}

/// The most that an arena keeps for the next send.
const ARENA_COST: u64 = 17 << 10;

impl Bounded {
    fn new(bytes_max: u64) -> Bounded {
        let pool = Pool::new(bytes_max);
        Bounded { arena: Arena::new(pool.clone()), pool }
    }

    fn memory(&self) -> Memory<'_> {
        Memory { arena: &self.arena, pool: &self.pool }
    }

    /// Sends one message with ample limits.
    fn send(&self, session: &mut Session, framing: &Framing, message: &[u8]) {
        let message = Outgoing::Copy(message);
        session.send(framing, &Limits::default(), self.memory(), message, false).expect("room");
    }
}

impl Deref for Bounded {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        self.arena = Arena::new(self.pool.clone());
        if !std::thread::panicking() {
            assert_eq!(self.pool.bytes(), 0, "every block came back");
        }
        self.pool.close();
    }
}

/// A session that is fed as a model feeds it: small receives share a chunk, those of a large frame
/// go to its own memory.
struct Feed<'a> {
    pool: &'a Pool,
    framing: Framing,
    session: Session,
    chunk: Option<Chunk>,
    /// The most that one receive into a frame's own memory brings.
    fill: usize,
    /// The pool is emptied before each parse, and filled when the session asks.
    exhaust: bool,
    messages: Vec<Vec<u8>>,
    /// How many of them were cut.
    cut: u32,
    broken: Option<Cause>,
    /// How often there was no memory.
    starved: u32,
    /// Bytes received into a frame's own memory.
    into: usize,
}

impl<'a> Feed<'a> {
    fn new(pool: &'a Pool, framing: Framing) -> Feed<'a> {
        Feed {
            pool,
            framing,
            session: Session::new(NOW, false),
            chunk: None,
            fill: usize::MAX,
            exhaust: false,
            messages: Vec::new(),
            cut: 0,
            broken: None,
            starved: 0,
            into: 0,
        }
    }

    /// Receives all of `bytes`, in as many receives as the session asks for.
    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.broken.is_none() {
            let taken = match self.session.poll_recv(NOW) {
                Want::No => panic!("input is left"),
                Want::Fresh => {
                    let slice = self.receive(bytes);
                    let taken = slice.len();
                    self.parse(Some((slice, None)));
                    taken
                }
                Want::Into(chunk) => self.receive_into(chunk, bytes),
            };
            bytes = &bytes[taken..];
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Slice {
        let bytes = &bytes[..bytes.len().min(CHUNK_BYTES)];
        let mut kept = self.chunk.take().filter(|chunk| chunk.room() >= bytes.len());
        let mut chunk = kept.take().or_else(|| self.pool.take(CHUNK_BYTES)).expect("memory");
        let slice = chunk.write(bytes);
        self.chunk = Some(chunk);
        slice
    }

    fn receive_into(&mut self, mut chunk: Chunk, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(chunk.room()).min(self.fill);
        assert!(taken > 0, "a receive has room");
        let slice = chunk.write(&bytes[..taken]);
        self.parse(Some((slice, Some(chunk))));
        self.into += taken;
        taken
    }

    /// Takes every message of what arrived, or of what was kept.
    fn parse(&mut self, arrived: Option<(Slice, Option<Chunk>)>) {
        let mut hog = if self.exhaust { empty(self.pool) } else { Vec::new() };
        let mut input = match arrived {
            Some((slice, into)) => self.session.handle_received(slice, into, NOW),
            None => self.session.input(),
        };
        while let Some(event) = input.poll_event(&self.framing, self.pool, NOW) {
            match event {
                Event::Message(message) => self.messages.push(message.to_vec()),
                Event::Cut(message) => {
                    self.messages.push(message.to_vec());
                    self.cut += 1;
                }
                Event::Broken(cause) => {
                    assert_eq!(self.broken.replace(cause), None, "broken once");
                    assert!(input.is_empty(), "what cannot be parsed is dropped");
                }
                Event::Opened | Event::Ended | Event::Text(_) => {
                    panic!("{event:?} without a layer")
                }
                Event::Starved(_) => {
                    assert!(!input.is_empty() && !hog.is_empty(), "starved for a reason");
                    drop(input);
                    assert!(self.session.has_input(), "it is kept");
                    assert!(matches!(self.session.poll_recv(NOW), Want::No));
                    if self.starved.is_multiple_of(2) {
                        hog.clear();
                    }
                    self.starved += 1;
                    input = self.session.input();
                }
            }
        }
        drop(input);
        assert!(!self.session.has_input(), "parsed to the end");
    }
}

/// The model wrote `count` bytes of a train and gives it back.
fn sent(session: &mut Session, count: usize, train: Train) {
    session.handle_sent(count, train, &mut Release::default());
}

/// All that the pool has, so that it has none.
fn empty(pool: &Pool) -> Vec<Chunk> {
    let sizes = [CHUNK_BYTES, 16_000, 4000, 1];
    sizes.iter().flat_map(|&size| std::iter::from_fn(move || pool.take(size))).collect()
}

/// A stream, and what it has to give.
struct Case {
    framing: Framing,
    stream: Vec<u8>,
    messages: Vec<Vec<u8>>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Case {
    /// One frame for each payload size; the largest is as large as the framing allows.
    fn new(mut framing: Framing, sizes: &[usize]) -> Case {
        framing.frame_max_bytes = (*sizes.iter().max().expect("a frame")).max(1) as u32;
        let mut case = Case { framing, stream: Vec::new(), messages: Vec::new(), ends: Vec::new() };
        let mut next = 0_u8;
        let mut fresh = |len: usize| -> Vec<u8> {
            let step = || {
                next = next.wrapping_add(7);
                next
            };
            std::iter::repeat_with(step).take(len).collect()
        };
        for &size in sizes {
            let prefix = fresh(framing.length_offset as usize);
            let payload = fresh(size);
            let frame = frame(&framing, &prefix, &payload);
            case.messages.push(if framing.keep_header { frame.clone() } else { payload });
            case.stream.extend(frame);
            case.ends.push(case.stream.len());
        }
        case
    }

    /// One of at most `limit` bytes where a frame of 2 fits at all: empty payloads and others.
    fn small(framing: Framing, limit: usize) -> Case {
        let least = framing.length_adjustment.max(0) as usize;
        let mut sizes = vec![least];
        for size in [2, 0, 1, 3, 0, 1, 0].iter().cycle() {
            sizes.push(least + size);
            if sizes.len() > 2 && Case::new(framing, &sizes).stream.len() > limit {
                sizes.pop();
                return Case::new(framing, &sizes);
            }
        }
        unreachable!("the sizes go on for ever")
    }

    /// Feeds the pieces and looks at what comes out.
    fn check(&self, pool: &Pool, pieces: &[&[u8]]) {
        let mut feed = Feed::new(pool, self.framing);
        pieces.iter().for_each(|piece| feed.feed(piece));
        self.compare(&feed, pieces);
    }

    fn compare(&self, feed: &Feed<'_>, pieces: &[&[u8]]) {
        let fed = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let same = if self.framing.kind == FramingKind::Raw {
            feed.messages.concat() == self.stream[..fed]
        } else {
            let whole = self.ends.iter().filter(|end| **end <= fed).count();
            feed.messages == self.messages[..whole]
        };
        let sizes = || pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>();
        assert!(same && feed.broken.is_none(), "{:?} cut as {:?}", self.framing, sizes());
    }
}

/// The bytes of a frame, by the words of the C header.
fn frame(framing: &Framing, prefix: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as i64 - i64::from(framing.length_adjustment)) as u32;
    let field = match framing.kind {
        FramingKind::Length if framing.little_endian => length.to_le_bytes().to_vec(),
        FramingKind::Length => length.to_be_bytes().to_vec(),
        FramingKind::Varint => varint(length),
        _ => Vec::new(),
    };
    let bytes = framing.length_bytes as usize;
    let field = match (framing.kind, framing.little_endian) {
        (FramingKind::Length, true) => &field[..bytes],
        (FramingKind::Length, false) => &field[4 - bytes..],
        _ => &field,
    };
    [prefix, field, payload].concat()
}

fn varint(mut length: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length > 0x7f {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes
}

/// A length framing with a plain field.
fn length(bytes: u32, little_endian: bool) -> Framing {
    let kind = FramingKind::Length;
    Framing { kind, length_bytes: bytes, little_endian, ..Framing::default() }
}

/// Every field size in both orders.
fn plain_lengths() -> Vec<Framing> {
    (1..=4).flat_map(|bytes| [false, true].map(|little| length(bytes, little))).collect()
}

/// Every field size and order with every kind of offset and adjustment, stripped and kept.
fn all_lengths() -> Vec<Framing> {
    let mut all = Vec::new();
    for plain in plain_lengths() {
        for length_offset in [0, 1, 5] {
            for length_adjustment in [0, -((length_offset + plain.length_bytes) as i32), -1, 2] {
                for keep_header in [false, true] {
                    let adjusted = Framing { length_offset, length_adjustment, ..plain };
                    all.push(Framing { keep_header, ..adjusted });
                }
            }
        }
    }
    all
}

fn of_varint() -> Framing {
    Framing { kind: FramingKind::Varint, ..Framing::default() }
}
