//! An outbox against a plain list of messages: random sends, writes, flushes, losses.

use super::plain::Plain;
use super::sending::bytes_of;
use super::*;

/// Messages with a key have one of so many.
const KEYS: usize = 5;
/// Bytes of the buffer that messages have parts of.
const BUFFER: usize = 30 << 10;

/// What happened, so that a run proves that it went everywhere.
#[derive(Default)]
struct Seen {
    taken: u32,
    refused: u32,
    too_big: u32,
    overflows: u32,
    relieved: u32,
    partial: u32,
    abandoned: u32,
    dropped: u32,
    replaced: u32,
    /// The most slices that a message was.
    slices: usize,
}

/// A session and its model, in step.
struct Pair<'a> {
    pool: &'a Bounded,
    framing: Framing,
    random: Random,
    session: Session,
    train: Option<Train>,
    /// No more of what waits was let go with it.
    cut: bool,
    plain: Plain,
    buffer: Slice,
    next: u8,
    seen: Seen,
}

impl<'a> Pair<'a> {
    fn new(
        pool: &'a Bounded,
        framing: Framing,
        limits: Limits,
        manual: bool,
        seed: u64,
    ) -> Pair<'a> {
        let session = Session::new(NOW, manual);
        let plain = Plain::new(limits, manual);
        let bytes: Vec<u8> = (0..BUFFER).map(|at| (at ^ at >> 8) as u8).collect();
        let buffer = pool.take(BUFFER).expect("memory").write(&bytes);
        let (random, seen) = (Random(seed), Seen::default());
        let train = None;
        Pair { pool, framing, random, session, train, cut: false, plain, buffer, next: 0, seen }
    }

    fn step(&mut self, largest: usize) {
        match self.random.below(100) {
            0..55 => self.send(largest),
            55..70 => self.transmit(),
            70..90 => self.write(),
            90..99 => {
                self.session.flush();
                self.plain.flush();
            }
            _ if self.train.is_none() && self.random.below(5) == 0 => {
                assert_eq!(self.session.abandon() as usize, self.plain.bytes());
                self.plain.waiting.clear();
                self.plain.refused = 0;
                self.seen.abandoned += 1;
            }
            _ => {}
        }
        self.compare();
    }

    fn send(&mut self, largest: usize) {
        let len = match self.random.below(8) {
            0 => 0,
            1 => self.random.below(largest),
            _ => self.random.size(largest),
        };
        let len = if self.framing.kind == FramingKind::Raw { len.max(1) } else { len };
        self.next = self.next.wrapping_add(1);
        let message: Vec<u8> = (0..len).map(|at| self.next.wrapping_add((at >> 3) as u8)).collect();
        let answer = match self.random.below(8) {
            0 | 1 => self.send_parts(&message),
            2 => {
                let slice = Session::frame(&self.framing, self.pool, &message, Purpose::Send)
                    .expect("memory");
                self.send_as(Outgoing::Framed(slice.into_slice()), &message, false)
            }
            _ => {
                let force = self.random.below(150) == 0;
                self.send_as(Outgoing::Copy(&message), &message, force)
            }
        };
        match answer {
            Ok(()) => self.seen.taken += 1,
            Err(SendError::Again) => self.seen.refused += 1,
            Err(SendError::TooBig) => self.seen.too_big += 1,
            Err(SendError::Overflow) => self.seen.overflows += 1,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn send_as(
        &mut self,
        outgoing: Outgoing<'_>,
        message: &[u8],
        force: bool,
    ) -> Result<(), SendError> {
        let (framing, memory) = (&self.framing, self.pool.memory());
        let answer = self.session.send(framing, &self.plain.limits, memory, outgoing, force);
        let wire = frame(framing, &[], message);
        assert_eq!(answer, self.plain.send(wire, 0, force), "{} bytes", message.len());
        answer
    }

    /// Cuts a message in parts, puts pieces of the buffer in the place of some, and sends it,
    /// perhaps under a key.
    fn send_parts(&mut self, message: &[u8]) -> Result<(), SendError> {
        let buffer = self.buffer.clone();
        let parts: Vec<&[u8]> = cut(message, &mut self.random)
            .map(|part| match self.random.below(2) {
                0 => part,
                _ => {
                    let start = self.random.below(BUFFER - part.len());
                    &buffer[start..start + part.len()]
                }
            })
            .collect();
        let bytes = parts.concat();
        let key = match self.framing.kind {
            FramingKind::Raw => 0,
            _ => self.random.below(KEYS) as u64,
        };
        let (framing, limits, memory) = (&self.framing, &self.plain.limits, self.pool.memory());
        let parts = Parts::new(&parts, Some(&buffer)).expect("none is half in it");
        let gathers = limits.overflow != Overflow::DropOldest && self.random.below(2) == 0;
        let answer = if key == 0 && gathers && parts.is_small(GATHER_MAX) {
            self.session.send_parts(framing, limits, memory, &parts)
        } else {
            let mut framed = parts.frame(framing, self.pool, 1, Purpose::Send).expect("memory");
            self.seen.slices = self.seen.slices.max(framed.count());
            self.session.send_framed(framing, limits, memory, &mut framed, key.into())
        };
        let wire = frame(framing, &[], &bytes);
        assert_eq!(answer, self.plain.send(wire, key, false), "{} bytes, {key}", bytes.len());
        answer
    }

    fn transmit(&mut self) {
        let most = match self.random.below(4) {
            0 => self.random.size(20_000),
            _ => u32::MAX as usize,
        };
        let train = self.session.poll_transmit(most as u32, NOW);
        if self.train.is_some() {
            return assert!(train.is_none(), "one train at a time");
        }
        let free = self.plain.free_bytes();
        let Some(train) = train else { return assert!(free.is_empty(), "what may leave leaves") };
        let bytes = bytes_of(&train);
        assert!(free.starts_with(&bytes), "the oldest bytes go first");
        assert!(
            bytes.len() == free.len().min(most) || train.slices().count() == TRAIN_MAX,
            "all, as many as may, or a full one"
        );
        self.cut = bytes.len() == most;
        self.plain.transmitted(bytes.len());
        self.train = Some(train);
    }

    fn write(&mut self) {
        let Some(train) = self.train.take() else { return };
        let count = match self.random.below(4) {
            0 => 0,
            1 => self.random.below(train.len()),
            _ => train.len(),
        };
        let partial = count < self.plain.flying || self.cut;
        sent(&mut self.session, count, train);
        self.plain.sent(count);
        self.compare();
        assert!(partial || self.plain.manual || self.plain.lingering == 0, "a whole train left");
        self.seen.partial += u32::from(partial);
        let told = self.session.poll_writable(&self.plain.limits);
        assert_eq!(told, self.plain.writable(), "at the low mark, once");
        assert_eq!(self.session.poll_writable(&self.plain.limits), None);
        self.seen.relieved += u32::from(told.is_some());
    }

    fn compare(&mut self) {
        let outbox = self.session.outbox();
        assert_eq!(outbox.bytes() as usize, self.plain.bytes());
        let waiting = self.plain.waiting.len();
        let shared = waiting > 0 && self.plain.limits.overflow != Overflow::DropOldest;
        self.plain.lingering =
            (outbox.messages() as usize).checked_sub(waiting).expect("all count");
        assert!(shared || self.plain.lingering == 0, "each message has memory of its own");
        assert_eq!(outbox.dropped(), self.plain.dropped);
        self.seen.dropped = outbox.dropped();
        self.seen.replaced = self.plain.replaced;
    }

    /// Writes what is left.
    fn finish(mut self) -> Seen {
        self.write();
        self.session.flush();
        self.plain.flush();
        while !self.plain.waiting.is_empty() {
            self.transmit();
            self.write();
            self.compare();
        }
        assert!(self.session.poll_transmit(u32::MAX, NOW).is_none());
        assert_eq!(self.session.poll_writable(&self.plain.limits), None);
        self.seen
    }
}

/// Some parts that make the message, an empty one among them.
fn cut<'a>(message: &'a [u8], random: &mut Random) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut at: Vec<usize> =
        (0..random.below(8)).map(|_| random.below(message.len() + 1)).collect();
    at.extend([0, message.len(), message.len()]);
    at.sort_unstable();
    (1..at.len()).map(move |end| &message[at[end - 1]..at[end]])
}

fn run(overflow: Overflow, framing: Framing, seed: u64) -> Seen {
    let pool = Bounded::new(64 << 20);
    let mut all = Seen::default();
    for (round, manual) in (0..24).zip([false, true].into_iter().cycle()) {
        let limits = Limits {
            outbox_max_bytes: [30_000, 100_000, 1500][round % 3],
            outbox_low_bytes: [10_000, 99_999, 0][round % 3],
            outbox_max_messages: [1000, 40, 5, 1][round % 4],
            overflow,
            ..Limits::default()
        };
        let largest = [20 << 10, 300, 5000, 40][round / 3 % 4];
        let mut pair = Pair::new(&pool, framing, limits, manual, seed + round as u64);
        for _ in 0..2000 {
            pair.step(largest);
        }
        let seen = pair.finish();
        all.taken += seen.taken;
        all.refused += seen.refused;
        all.too_big += seen.too_big;
        all.overflows += seen.overflows;
        all.relieved += seen.relieved;
        all.partial += seen.partial;
        all.abandoned += seen.abandoned;
        all.dropped += seen.dropped;
        all.replaced += seen.replaced;
        all.slices = all.slices.max(seen.slices);
        assert!(pool.bytes() <= ARENA_COST, "an outbox without messages has no memory");
    }
    assert!(all.taken > 1000 && all.partial > 1000 && all.too_big > 100 && all.abandoned > 10);
    assert!(all.replaced > 300 || framing.kind == FramingKind::Raw, "{}", all.replaced);
    assert!(all.slices > 3, "no message had several parts that are not copied");
    all
}

#[test]
fn an_outbox_that_rejects_is_a_list_of_messages() {
    for framing in [length(2, false), of_varint(), Framing::default()] {
        let seen = run(Overflow::Reject, framing, 10);
        assert!(seen.refused > 1000 && seen.relieved > 100);
        assert_eq!((seen.dropped, seen.overflows), (0, 0));
    }
}

#[test]
fn an_outbox_that_drops_the_oldest_is_a_list_of_messages() {
    for framing in [length(4, true), of_varint()] {
        let seen = run(Overflow::DropOldest, framing, 20);
        assert!(seen.dropped > 1000 && seen.refused > 100 && seen.relieved > 50);
        assert_eq!(seen.overflows, 0);
    }
}

#[test]
fn an_outbox_that_closes_is_a_list_of_messages() {
    let seen = run(Overflow::Close, length(2, false), 30);
    assert!(seen.overflows > 1000);
    assert_eq!((seen.refused, seen.dropped, seen.relieved), (0, 0, 0));
}
