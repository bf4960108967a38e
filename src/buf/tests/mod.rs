//! Memory comes back whatever the order, keeps its bytes meanwhile, and is bounded.

mod parts;
mod threads;

use super::block::HEADER;
use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

/// A pool that has every block back in the end.
struct Bounded(Pool);

impl Bounded {
    fn new(bytes_max: u64) -> Bounded {
        Bounded(Pool::new(bytes_max))
    }

    /// Room for so many bytes, which is more than they need.
    fn take(&self, capacity: usize) -> Chunk {
        self.0.take(capacity).expect("under the bound")
    }
}

impl std::ops::Deref for Bounded {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.0
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_eq!(self.0.bytes(), 0, "every block came back");
        }
        self.0.close();
    }
}

/// Bytes that depend on their place.
fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 256) as u8).collect()
}

/// Every order of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let insert =
        |order: &Vec<usize>, at: usize| [&order[..at], &[count - 1], &order[at..]].concat();
    shorter.iter().flat_map(|order| (0..count).map(move |at| insert(order, at))).collect()
}

/// Drops what `make` makes, in every order; the pool has its bytes back with the last.
fn in_every_order(count: usize, make: impl Fn(&Pool) -> Vec<Box<dyn Send>>) {
    let pool = Bounded::new(1 << 20);
    for order in orders(count) {
        let mut things: Vec<_> = make(&pool).into_iter().map(Some).collect();
        assert_eq!(things.len(), count);
        for (nth, &at) in order.iter().enumerate() {
            assert!(pool.bytes() > 0, "{nth} of {order:?} are dropped");
            things[at] = None;
        }
        assert_eq!(pool.bytes(), 0, "{order:?}");
    }
}

#[test]
fn what_is_written_is_frozen_in_order() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(1000);
    let room = chunk.room();
    assert!(room >= 1000 && chunk.is_empty());
    let first = chunk.write(b"one");
    let second = chunk.write(b"two");
    let (spare, left) = chunk.spare();
    assert_eq!(left, room - 6);
    // SAFETY: there are `left` bytes, more than five.
    unsafe { spare.copy_from_nonoverlapping(b"three".as_ptr(), 5) };
    let third = chunk.take(5);
    let nothing = chunk.take(0);
    assert_eq!(
        (&*first, &*second, &*third, &*nothing),
        (&b"one"[..], &b"two"[..], &b"three"[..], &b""[..])
    );
    assert_eq!((chunk.written(), chunk.len(), chunk.room()), (&b"onetwothree"[..], 11, room - 11));
    let all = chunk.into_slice();
    assert_eq!((&*all, all.pinned()), (&b"onetwothree"[..], room));
    drop(all);
    assert_eq!((&*first, &*third), (&b"one"[..], &b"three"[..]));
}

#[test]
fn room_is_limited_but_never_below_what_is_written() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(1000);
    let whole = chunk.room();
    chunk.limit_to(whole + 1);
    assert_eq!(chunk.room(), whole);
    drop(chunk.write(b"1234567890"));
    chunk.limit_to(12);
    assert_eq!(chunk.room(), 2);
    chunk.limit_to(100);
    assert_eq!(chunk.room(), 2, "it does not grow again");
    chunk.limit_to(5);
    assert_eq!((chunk.room(), chunk.len()), (0, 10));
}

#[test]
fn slices_are_cut_at_both_ends() {
    let pool = Bounded::new(1 << 20);
    let mut slice = pool.take(10).write(b"0123456789");
    let copy = slice.clone();
    slice.advance(2);
    slice.truncate(5);
    assert_eq!(&*slice, b"23456");
    slice.truncate(9);
    slice.advance(0);
    assert_eq!(&*slice, b"23456");
    slice.advance(5);
    assert!(slice.is_empty());
    assert_eq!(&*copy, b"0123456789");
    assert_eq!(format!("{copy:?}"), "Slice(10 bytes)");
    assert_eq!((Slice::default().len(), Slice::default().pinned()), (0, 0));
}

#[test]
#[should_panic = "only what is there can be frozen"]
fn more_than_the_room_cannot_be_frozen() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(10);
    drop(chunk.take(chunk.room() + 1));
}

#[test]
#[should_panic = "the caller has looked at the room"]
fn more_than_the_room_cannot_be_written() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(10);
    drop(chunk.write(&vec![0; chunk.room() + 1]));
}

#[test]
#[should_panic = "only what is there can be dropped"]
fn more_than_a_slice_has_cannot_be_dropped() {
    let pool = Bounded::new(1 << 20);
    let mut slice = pool.take(10).write(b"abc");
    slice.advance(4);
}

#[test]
fn a_block_comes_back_with_its_last_user() {
    in_every_order(4, |pool| {
        let mut chunk = pool.take(100).expect("under the bound");
        let (first, second) = (chunk.write(b"a"), chunk.write(b"b"));
        vec![Box::new(first.clone()), Box::new(second), Box::new(chunk), Box::new(first)]
    });
    in_every_order(3, |pool| {
        let mut chunk = pool.take(100).expect("under the bound");
        let first = chunk.write(b"a");
        vec![Box::new(chunk.into_slice()), Box::new(first.clone()), Box::new(first)]
    });
    in_every_order(1, |pool| vec![Box::new(pool.take(100).expect("room").into_slice())]);
}

#[test]
fn a_reader_hands_out_what_it_has_in_order() {
    let pool = Bounded::new(1 << 20);
    let bytes = numbered(5000);
    for step in [1, 7, 24, 78, 5000] {
        let mut reader = Reader::from(pool.take(5000).write(&bytes));
        let mut pieces = Vec::new();
        while !reader.rest().is_empty() {
            pieces.push(reader.take(step.min(reader.rest().len())));
            let skipped = 1.min(reader.rest().len());
            reader.skip(skipped);
        }
        assert!(reader.take(0).is_empty());
        for (piece, expected) in pieces.iter().zip(bytes.chunks(step + 1)) {
            assert_eq!(**piece, expected[..expected.len().min(step)]);
        }
        assert_eq!(pieces.len(), bytes.len().div_ceil(step + 1));
        // From the middle outwards: no order is special.
        while !pieces.is_empty() {
            assert!(pool.bytes() > 0);
            drop(pieces.swap_remove(pieces.len() / 2));
        }
        assert_eq!(pool.bytes(), 0, "pieces of {step}");
    }
}

#[test]
fn a_reader_s_references_come_back_whatever_is_left() {
    in_every_order(4, |pool| {
        let slice = pool.take(100).expect("under the bound").write(b"abcdef");
        let mut reader = Reader::from(slice);
        let pieces = (reader.take(2), reader.take(0), reader.take(1));
        assert_eq!(reader.rest(), b"def");
        vec![Box::new(pieces.0), Box::new(reader), Box::new(pieces.1), Box::new(pieces.2)]
    });
    in_every_order(2, |pool| {
        let mut reader = Reader::from(pool.take(100).expect("under the bound").write(b"abc"));
        let pieces = (reader.take(1), reader.take(2));
        assert!(reader.rest().is_empty() && reader.take(0).is_empty());
        reader.clear();
        vec![Box::new(pieces.1), Box::new(pieces.0)]
    });
    let pool = Bounded::new(1 << 20);
    let mut reader = Reader::from(pool.take(100).write(b"abc"));
    reader.skip(3);
    assert_eq!(pool.bytes(), 0, "nothing is left of it");
    let mut reader = Reader::from(pool.take(100).write(b"abc"));
    assert_eq!(&*reader.take(3), b"abc");
    reader.clear();
    reader.clear();
}

#[test]
fn released_slices_of_one_block_go_together() {
    let pool = Bounded::new(1 << 20);
    let one = |bytes: &[u8]| pool.take(100).write(bytes);
    let (first, second) = (one(b"a"), one(b"b"));
    let each = pool.bytes() / 2;
    let mut release = Release::default();
    release.add(first.clone());
    release.add(first);
    assert_eq!(pool.bytes(), 2 * each, "they wait for their neighbours");
    release.add(Slice::default());
    release.add(second.clone());
    assert_eq!(pool.bytes(), each, "the first block's run is over");
    release.add(one(b"c"));
    assert_eq!(pool.bytes(), 2 * each, "somebody else has the second");
    drop(second);
    assert_eq!(pool.bytes(), each);
    drop(release);
    assert_eq!(pool.bytes(), 0);
    let mut release = Release::default();
    let mut chunk = pool.take(100);
    let mut part = chunk.part(50);
    part.write(b"d");
    release.add(part.into());
    release.add(chunk.into_slice());
    assert_eq!(pool.bytes(), each);
    drop(release);
    drop(Release::default());
}

#[test]
fn a_source_gives_more_and_less_than_foreseen() {
    let pool = Bounded::new(1 << 20);
    let slice = || {
        let mut chunk = pool.take(100);
        drop(chunk.write(b"in front of it"));
        chunk.write(b"0123456789")
    };
    for (foreseen, count) in [(0, 0), (0, 3), (3, 0), (3, 2), (3, 3), (3, 7)] {
        let mut source = Source::new(slice(), foreseen);
        let mut parts: Vec<Slice> = (0..count).map(|at| source.part(at, 10 - at)).collect();
        let early = parts.pop();
        drop(early);
        drop(source);
        for (at, part) in parts.iter().enumerate() {
            assert_eq!(**part, b"0123456789"[at..]);
        }
        assert_eq!(pool.bytes() > 0, !parts.is_empty(), "{count} of {foreseen}");
        drop(parts);
        assert_eq!(pool.bytes(), 0, "{count} of {foreseen}");
    }
    drop(Source::new(Slice::default(), 5));
}

#[test]
#[should_panic = "only what is there can be given"]
fn a_source_gives_only_what_it_has() {
    let pool = Bounded::new(1 << 20);
    let slice = pool.take(100).write(b"0123456789");
    drop(Source::new(slice, 1).part(5, 6));
}

#[test]
fn a_train_has_its_slices_in_order() {
    let pool = Bounded::new(1 << 20);
    let mut train = Train::default();
    assert!(train.is_empty() && !train.is_full() && train.slices().all(|slice| slice.is_empty()));
    let mut chunk = pool.take(1000);
    let bytes = numbered(300);
    for (at, piece) in bytes.chunks(20).take(TRAIN_MAX).enumerate() {
        assert!(!train.is_full(), "there are {at}");
        train.push(chunk.write(piece));
        assert_eq!((train.len(), train.slices().count()), (chunk.len(), at + 1));
    }
    train.push(chunk.write(b"last"));
    assert!(train.is_full() && !train.is_empty());
    drop(chunk);
    let seen: Vec<u8> = train.slices().flat_map(|slice| slice.to_vec()).collect();
    assert_eq!(seen, [&bytes, &b"last"[..]].concat());
    let back: Vec<Slice> = train.into_slices().collect();
    assert_eq!(back.len(), TRAIN_MAX);
    assert!(back.iter().flat_map(|slice| slice.iter()).eq(&seen));
}

#[test]
fn a_pool_is_bounded() {
    let pool = Bounded::new(200_000);
    for capacity in [0, 1, 480, 481, 4000, 16_000, 20_000, CHUNK_BYTES, 100_000, 200_000 - HEADER] {
        let mut chunks = Vec::new();
        while let Some(chunk) = pool.0.take(capacity) {
            assert!(chunk.room() >= capacity && chunks.len() < 500);
            assert!(pool.bytes() <= 200_000);
            chunks.push(chunk);
        }
        let each = pool.bytes() / chunks.len() as u64;
        assert!(each >= (capacity + HEADER) as u64 && pool.bytes() + each > 200_000);
        assert!(!pool.has_room(chunks[0].room()));
        drop(chunks.pop());
        assert!(pool.has_room(capacity) && pool.0.take(capacity).is_some());
        drop(chunks);
        assert_eq!(pool.bytes(), 0);
    }
    for capacity in [200_001 - HEADER, usize::MAX, u32::MAX as usize + 1, isize::MAX as usize] {
        assert!(pool.0.take(capacity).is_none());
        assert_eq!(pool.bytes(), 0, "what is refused is not counted");
    }
    let endless = Bounded::new(u64::MAX);
    assert!(endless.0.take(usize::MAX).is_none() && endless.0.take(1 << 40).is_none());
}

#[test]
fn a_pool_gives_the_same_block_again() {
    let pool = Bounded::new(1 << 20);
    let place = |mut chunk: Chunk| chunk.spare().0 as usize;
    for capacity in [100, 4000, 16_000, CHUNK_BYTES] {
        let first = place(pool.take(capacity));
        assert_eq!(first % 16, 0);
        assert_eq!(place(pool.take(capacity)), first, "a chunk of {capacity}");
    }
}

#[test]
fn the_thirsty_are_woken_once() {
    let pool = Bounded::new(1 << 20);
    let woken = Arc::new(AtomicU64::new(0));
    for step in [1, 100] {
        let (woken, here) = (woken.clone(), thread::current().id());
        pool.on_relief(move || {
            assert_ne!(thread::current().id(), here, "by the thread that gave it back");
            woken.fetch_add(step, SeqCst);
        });
    }
    let give_back = |chunk: Chunk| {
        thread::scope(|scope| scope.spawn(|| drop(chunk)).join().expect("no panic"));
        woken.swap(0, SeqCst)
    };
    assert_eq!(give_back(pool.take(10)), 0, "nobody was thirsty");
    pool.thirst();
    assert_eq!(woken.load(SeqCst), 0, "nothing came back");
    assert_eq!(give_back(pool.take(100_000)), 101);
    assert_eq!(give_back(pool.take(10)), 0, "they are told once");
    pool.thirst();
    pool.thirst();
    assert_eq!(give_back(pool.take(10)), 101);
    pool.thirst();
    pool.close();
    assert_eq!(give_back(pool.take(10)), 0, "the net is gone");
}

#[test]
fn blocks_outlive_their_pool() {
    let mut slices = Vec::new();
    let shared = {
        let pool = Pool::new(1 << 20);
        for capacity in [10, 4000, CHUNK_BYTES, 100_000] {
            let mut chunk = pool.take(capacity).expect("under the bound");
            slices.push(chunk.write(&capacity.to_le_bytes()));
            slices.push(chunk.write(b"x"));
        }
        drop(pool.take(100));
        pool.close();
        drop(slices.pop());
        let late = pool.take(10).expect("a closed pool still has memory");
        slices.push(late.into_slice());
        pool.close();
        drop(pool.take(10));
        Arc::downgrade(pool.shared())
    };
    assert_eq!(*slices[4], CHUNK_BYTES.to_le_bytes());
    for slice in slices {
        assert!(shared.upgrade().is_some(), "a block knows where it belongs");
        thread::spawn(move || drop(slice)).join().expect("no panic");
    }
    assert!(shared.upgrade().is_none(), "nothing is left of a closed pool");
}

/// A mapper that counts what is out.
mod counted {
    use super::super::mapper::{HEAP, Mapper};
    use std::ptr::NonNull;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    pub static OUT: AtomicUsize = AtomicUsize::new(0);
    pub const MAPPER: Mapper = Mapper { map, remap, unmap };

    fn map(len: usize) -> Option<NonNull<u8>> {
        OUT.fetch_add(len, SeqCst);
        (HEAP.map)(len)
    }

    /// # Safety
    /// As for `Mapper::remap`.
    unsafe fn remap(at: NonNull<u8>, old: usize, new: usize) -> Option<NonNull<u8>> {
        OUT.fetch_add(new.wrapping_sub(old), SeqCst);
        // SAFETY: the caller's.
        unsafe { (HEAP.remap)(at, old, new) }
    }

    /// # Safety
    /// As for `Mapper::unmap`.
    unsafe fn unmap(at: NonNull<u8>, len: usize) {
        OUT.fetch_sub(len, SeqCst);
        // SAFETY: the caller's.
        unsafe { (HEAP.unmap)(at, len) };
    }
}

#[test]
fn large_blocks_go_back_to_the_system_at_once() {
    const MIB: usize = 1 << 20;
    const KEPT: usize = 4 * MIB;
    let out = || counted::OUT.load(SeqCst);
    let pool = Pool::mapping(1 << 30, counted::MAPPER);
    let grown = |n: usize| {
        let mut chunk = pool.frame(80 * 1024, MIB).expect("there is room");
        chunk.put(&[n as u8; 80 * 1024]);
        for have in [200, 400, 800, 1024] {
            assert!(pool.grow(&mut chunk, have * 1024, MIB));
        }
        assert!(chunk.written().iter().all(|&byte| byte == n as u8), "what is written stays");
        chunk
    };
    for round in 0..3 {
        let burst: Vec<_> = (0..40).map(grown).collect();
        assert!(out() >= 40 * MIB, "{} bytes in round {round}", out());
        drop(burst);
        assert_eq!(pool.bytes(), 0);
        assert!(out() <= KEPT, "{} bytes after round {round}", out());
    }
    assert!(out() > 0, "a few stay for the next");
    // What a kept block has too much is part of what may be kept.
    let small: Vec<_> = (0..40).map(|_| pool.frame(70 * 1024, 70 * 1024)).collect();
    assert!(out() <= KEPT + 40 * 80 * 1024, "{} bytes", out());
    drop(small);
    assert!(out() <= KEPT, "{} bytes at the end", out());
    pool.trim();
    assert_eq!(out(), 0, "all went back");
}
