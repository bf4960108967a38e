//! Parts: each writes where no other does, and its block goes with the last of all.

use super::*;

/// What a part has, by lending it for a moment. Its room is gone afterwards.
fn bytes(part: &mut Part) -> Vec<u8> {
    let slice = part.lend();
    let bytes = slice.to_vec();
    part.restore(slice);
    bytes
}

fn written(mut part: Part, bytes: &[u8]) -> Part {
    part.write(bytes);
    part
}

#[test]
fn parts_lie_side_by_side_and_keep_to_their_room() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(1000);
    let whole = chunk.room();
    let (mut first, mut second) = (chunk.part(20), chunk.part(10));
    assert!(chunk.is_empty() && chunk.written().is_empty());
    let after = chunk.write(b"after");
    assert_eq!((first.room(), second.room(), chunk.room()), (20, 10, whole - 35));
    second.write(b"se");
    first.write(b"first");
    second.write(b"");
    second.write(b"cond");
    first.write(&[b'!'; 15]);
    assert_eq!((first.len(), first.room(), second.len(), second.room()), (20, 0, 6, 4));
    let early = Slice::from(first);
    assert_eq!((&*early, early.pinned()), (&b"first!!!!!!!!!!!!!!!"[..], whole));
    assert_eq!((&*after, chunk.written()), (&b"after"[..], &b"after"[..]));
    drop((chunk, after, early));
    assert_eq!(bytes(&mut second), b"second");
}

#[test]
#[should_panic = "the caller has looked at the room"]
fn a_part_does_not_grow_into_the_next() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(1000);
    let (mut first, _second) = (chunk.part(20), chunk.part(10));
    first.write(b"12345");
    first.write(&[1; 16]);
}

#[test]
#[should_panic = "the caller has looked at the room"]
fn what_is_lent_does_not_grow() {
    let pool = Bounded::new(1 << 20);
    let mut part = written(pool.0.part(100, Purpose::Any).expect("room"), b"lent");
    let _slice = part.lend();
    part.write(b"x");
}

#[test]
fn what_is_lent_comes_back() {
    let pool = Bounded::new(1 << 20);
    let mut part = written(pool.0.part(100, Purpose::Any).expect("room"), b"0123456789");
    assert!(part.room() >= 90);
    let slice = part.lend();
    assert_eq!((&*slice, part.len(), part.room()), (&b"0123456789"[..], 10, 0));
    part.restore(slice);
    part.advance(4);
    assert_eq!(bytes(&mut part), b"456789");
    part.advance(6);
    assert!(part.is_empty() && Slice::from(part).is_empty());
    let mut nothing = Part::default();
    nothing.write(b"");
    assert!(nothing.is_empty() && nothing.lend().is_empty());
}

#[test]
fn a_part_is_cut_in_two() {
    let pool = Bounded::new(1 << 20);
    let mut first = written(pool.0.part(100, Purpose::Any).expect("room"), b"firstsecond");
    first.messages = 3;
    let room = first.room();
    let mut second = first.split(5);
    assert_eq!((first.len(), first.room(), first.messages), (5, 0, 0));
    assert_eq!((second.len(), second.room(), second.messages), (6, room, 3));
    second.write(b" and more");
    assert_eq!(bytes(&mut first), b"first");
    drop(first);
    assert_eq!(bytes(&mut second), b"second and more");
    let mut none = second.split(15);
    assert!(none.is_empty() && bytes(&mut none).is_empty());
}

#[test]
fn a_slice_is_a_part_without_room() {
    let pool = Bounded::new(1 << 20);
    let slice = pool.take(100).write(b"abc");
    let mut part = Part::from(slice.clone());
    assert_eq!((part.len(), part.room()), (3, 0));
    drop(slice);
    assert_eq!(bytes(&mut part), b"abc");
    let mut sealed = written(pool.0.part(100, Purpose::Any).expect("room"), b"x");
    sealed.seal();
    assert_eq!((sealed.room(), bytes(&mut sealed)), (0, b"x".to_vec()));
}

#[test]
#[should_panic = "only what is there can be parted with"]
fn more_than_the_room_cannot_be_parted_with() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(10);
    drop(chunk.part(chunk.room() + 1));
}

#[test]
#[should_panic = "only what is there can be dropped"]
fn more_than_a_part_has_cannot_be_dropped() {
    let pool = Bounded::new(1 << 20);
    written(pool.0.part(10, Purpose::Any).expect("room"), b"abc").advance(4);
}

#[test]
#[should_panic = "only what is there can be cut"]
fn a_part_is_not_cut_behind_its_end() {
    let pool = Bounded::new(1 << 20);
    drop(written(pool.0.part(10, Purpose::Any).expect("room"), b"abc").split(4));
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
        let (mut first, second) = (written(chunk.part(10), b"ab"), chunk.part(10));
        let rest = first.split(1);
        let mut third = written(chunk.part(10), b"c");
        let lent = third.lend();
        drop(third);
        vec![Box::new(chunk), Box::new(lent), Box::new(first), Box::new(second), Box::new(rest)]
    });
    in_every_order(2, |pool| {
        let mut chunk = pool.take(100).expect("under the bound");
        let part = chunk.part(10);
        vec![Box::new(chunk), Box::new(Slice::from(part))]
    });
    in_every_order(1, |pool| {
        vec![Box::new(pool.part(100, Purpose::Any).expect("under the bound"))]
    });
    in_every_order(2, |pool| {
        let slice = pool.take(100).expect("under the bound").write(b"a");
        vec![Box::new(Part::from(slice.clone())), Box::new(slice)]
    });
}

#[test]
fn an_arena_gives_parts_side_by_side() {
    let pool = Bounded::new(100_000);
    let arena = Arena::new(pool.clone());
    assert_eq!(pool.bytes(), 0, "nothing before the first");
    let part = |at: u8| written(arena.part(100).expect("room"), &[at; 100]);
    let mut parts: Vec<Slice> = (0..100).map(|at| part(at).into()).collect();
    let block = pool.bytes();
    let places: Vec<usize> = parts.iter().map(|part| part.as_ptr() as usize).collect();
    assert!(places.windows(2).all(|pair| pair[0] + 100 == pair[1]));
    assert!(parts.iter().enumerate().all(|(at, part)| **part == [at as u8; 100]));
    let large = arena.part(block as usize - HEADER).expect("a whole block");
    assert_eq!(pool.bytes(), 2 * block);
    parts.clear();
    assert_eq!(pool.bytes(), block, "the first block's parts are gone, and it with them");
    let rest: Vec<Chunk> = std::iter::from_fn(|| pool.0.take(1)).collect();
    assert!(arena.part(100).is_none(), "the pool is at its bound");
    drop(rest);
    let large = written(large, b"large");
    let place = Slice::from(large).as_ptr() as usize;
    assert_eq!(pool.bytes(), block, "an arena keeps what it gives from");
    let again = written(arena.part(100).expect("room"), b"again");
    assert_eq!(Slice::from(again).as_ptr() as usize, place, "nobody else has any of it");
    drop(arena);
}

#[test]
fn a_chunk_begins_anew_when_it_is_alone() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(100);
    let room = chunk.room();
    let first = chunk.write(b"first");
    chunk.rewind();
    assert_eq!((chunk.len(), chunk.room()), (5, room - 5), "somebody has a slice");
    let again = first.clone();
    drop(first);
    chunk.rewind();
    assert_eq!(chunk.len(), 5, "and still has");
    drop(again);
    chunk.rewind();
    assert_eq!((chunk.len(), chunk.room()), (0, room));
    let part = written(chunk.part(10), b"part");
    chunk.rewind();
    assert_eq!(chunk.room(), room - 10, "somebody has a part");
    let mut reader = Reader::from(Slice::from(part));
    let piece = reader.take(2);
    drop(reader);
    chunk.rewind();
    assert_eq!((&*piece, chunk.room()), (&b"pa"[..], room - 10), "or a piece of one");
    drop(piece);
    chunk.rewind();
    assert_eq!((&*chunk.write(b"anew"), chunk.written()), (&b"anew"[..], &b"anew"[..]));
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
