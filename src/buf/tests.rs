//! Memory comes back whatever the order, keeps its bytes meanwhile, and is bounded.

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

/// Bytes that tell where they are.
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
    let second = chunk.write_both(b"t", b"wo");
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
fn a_slice_grows_only_at_the_end_of_its_chunk() {
    let pool = Bounded::new(1 << 20);
    let (mut chunk, mut other) = (pool.take(100), pool.take(100));
    let mut first = chunk.write(b"ab");
    assert!(chunk.extend(&mut first, b"cd") && chunk.extend(&mut first, b""));
    let before = first.clone();
    let mut second = chunk.write(b"xy");
    assert!(!chunk.extend(&mut first, b"no"), "it is not the last");
    assert!(!other.extend(&mut Slice::default(), b"no"), "it is of none");
    drop(other.write(b"abcdxy"));
    assert_eq!(other.len(), chunk.len());
    assert!(!other.extend(&mut second, b"no"), "it is of another chunk");
    let too_much = vec![1; chunk.room() + 1];
    assert!(!chunk.extend(&mut second, &too_much), "there is no room");
    second.advance(1);
    assert!(chunk.extend(&mut second, b"z"), "its beginning does not matter");
    let fitting = vec![1; chunk.room()];
    assert!(chunk.extend(&mut second, &fitting) && chunk.room() == 0);
    assert_eq!((&*first, &*before), (&b"abcd"[..], &b"abcd"[..]));
    assert_eq!((&second[..2], second.len()), (&b"yz"[..], 2 + fitting.len()));
    let mut cut = other.write(b"abc");
    cut.truncate(2);
    assert!(!other.extend(&mut cut, b"no"), "its end is not the chunk's");
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
    assert!(!chunk.extend(&mut Slice::default(), b"123"));
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
#[should_panic = "only what is there can be parted with"]
fn more_than_the_room_cannot_be_parted_with() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(10);
    drop(chunk.part(chunk.room() + 1));
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
fn a_part_is_a_chunk_of_its_own() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(1000);
    let whole = chunk.room();
    let (mut first, mut second) = (chunk.part(20), chunk.part(10));
    let after = chunk.write(b"after");
    assert_eq!((first.room(), second.room(), chunk.room()), (20, 10, whole - 35));
    let mut late = second.write(b"se");
    let early = first.write(b"first");
    assert!(second.extend(&mut late, b"cond"));
    assert!(!first.extend(&mut late, b"no") && !chunk.extend(&mut late, b"no"));
    let more = first.write_both(b"more", b"!");
    assert_eq!((&*early, &*more), (&b"first"[..], &b"more!"[..]));
    assert_eq!((&*late, &*after, second.room()), (&b"second"[..], &b"after"[..], 4));
    assert_eq!(early.pinned(), whole);
    assert!(!second.extend(&mut late, b"12345"), "its room ends before the chunk's");
    drop((chunk, after, first, early, more));
    assert_eq!(&*late, b"second");
}

#[test]
fn a_part_knows_only_its_own_bytes() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(1000);
    let (mut first, mut second) = (chunk.part(20), chunk.part(10));
    assert_eq!((second.len(), second.written()), (0, &b""[..]));
    let slice = second.write(b"two");
    assert_eq!((second.len(), second.written()), (3, &b"two"[..]));
    second.limit_to(5);
    assert_eq!(second.room(), 2);
    drop(first.write(b"one"));
    assert_eq!(&*first.into_slice(), b"one");
    assert!(chunk.is_empty() && chunk.written().is_empty());
    let after = chunk.write(b"after");
    assert_eq!((chunk.len(), chunk.written()), (5, &b"after"[..]));
    assert_eq!(&*chunk.into_slice(), b"after");
    assert_eq!((&*slice, &*after), (&b"two"[..], &b"after"[..]));
}

#[test]
#[should_panic = "what is written is not parted from"]
fn a_chunk_that_was_written_gives_no_parts() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(100);
    drop(chunk.write(b"mine"));
    drop(chunk.part(10));
}

#[test]
fn parts_keep_their_block() {
    in_every_order(5, |pool| {
        let mut chunk = pool.take(100).expect("under the bound");
        let (mut first, second) = (chunk.part(10), chunk.part(10));
        let slices = (first.write(b"a"), first.write(b"b"));
        vec![
            Box::new(chunk),
            Box::new(slices.0),
            Box::new(first),
            Box::new(second),
            Box::new(slices.1),
        ]
    });
    in_every_order(2, |pool| {
        let mut chunk = pool.take(100).expect("under the bound");
        let part = chunk.part(10);
        vec![Box::new(chunk), Box::new(part.into_slice())]
    });
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
    release.add(part.write(b"d"));
    release.add_chunk(part);
    release.add(chunk.write(b"e"));
    release.add_chunk(chunk);
    assert_eq!(pool.bytes(), each);
    drop(release);
    drop(Release::default());
}

#[test]
fn a_slice_survives_as_plain_numbers() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(100);
    drop(chunk.write(b"in front of it"));
    let mut slice = chunk.write(b"0123456789");
    drop(chunk);
    slice.advance(3);
    slice.truncate(4);
    let parts = slice.into_parts();
    assert_eq!(parts.len, 4);
    let out = pool.bytes();
    assert!(out > 0, "the numbers keep the block");
    // SAFETY: these are the parts, once.
    let again = unsafe { Slice::from_parts(parts) };
    assert_eq!((&*again, pool.bytes()), (&b"3456"[..], out));
    drop(again);
    assert_eq!(pool.bytes(), 0);
    let nothing = Slice::default().into_parts();
    assert!(nothing.block.is_null() && nothing.len == 0);
    // SAFETY: as above.
    assert!(unsafe { Slice::from_parts(nothing) }.is_empty());
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
fn an_arena_gives_parts_side_by_side() {
    let pool = Bounded::new(100_000);
    let arena = Arena::new(pool.clone());
    assert_eq!(pool.bytes(), 0, "nothing before the first");
    let mut parts: Vec<Chunk> = (0..100).map(|_| arena.part(100).expect("room")).collect();
    let block = pool.bytes();
    let places: Vec<usize> = parts.iter_mut().map(|part| part.spare().0 as usize).collect();
    assert!(places.windows(2).all(|pair| pair[0] + 100 == pair[1]));
    assert!(parts.iter().all(|part| part.room() == 100));
    let large = arena.part(block as usize - HEADER).expect("a whole block");
    assert_eq!(pool.bytes(), 2 * block);
    drop(parts);
    assert_eq!(pool.bytes(), block, "the first block's parts are gone, and it with them");
    drop(large);
    assert_eq!(pool.bytes(), block, "an arena keeps what it gives from");
    let rest: Vec<Chunk> = std::iter::from_fn(|| pool.0.take(1)).collect();
    assert!(arena.part(100).is_none(), "the pool is at its bound");
    drop(rest);
    drop(arena);
}

#[test]
fn an_arena_gives_its_block_to_the_last_byte() {
    let pool = Bounded::new(100_000);
    let arena = Arena::new(pool.clone());
    let first = arena.part(1000).expect("room");
    let block = pool.bytes();
    let rest = arena.part(ARENA_BYTES - 1000).expect("room");
    assert_eq!((rest.room(), pool.bytes()), (ARENA_BYTES - 1000, block));
    let next = arena.part(0).expect("room");
    assert_eq!((next.room(), pool.bytes()), (0, block));
    drop((first, rest, next, arena));
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
