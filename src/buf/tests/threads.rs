//! The same with several threads at once.

use super::*;
use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

/// How long a thread waits for what has to happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// Takes a chunk, and waits to be woken where there is none.
fn take_or_wait(pool: &Pool, capacity: usize, relief: &(Mutex<u64>, Condvar)) -> Chunk {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let epoch = *relief.0.lock().expect("no panic");
        if let Some(chunk) = pool.take(capacity) {
            return chunk;
        }
        pool.thirst();
        if pool.has_room(capacity) {
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let now = relief.0.lock().expect("no panic");
        let wait = relief.1.wait_timeout_while(now, left, |now| *now == epoch);
        assert!(!wait.expect("no panic").1.timed_out(), "nobody woke the thirsty");
    }
}

#[test]
fn two_threads_give_back_what_two_others_take() {
    const MESSAGES: u64 = 20_000;
    let capacity = 4096 - HEADER;
    let pool = Bounded::new(16 * 4096);
    let relief = Arc::new((Mutex::new(0), Condvar::new()));
    pool.on_relief({
        let relief = relief.clone();
        move || {
            *relief.0.lock().expect("no panic") += 1;
            relief.1.notify_all();
        }
    });
    let out = AtomicU64::new(0);
    let (pool, out, relief) = (&pool, &out, &relief);
    thread::scope(|scope| {
        for seed in 0..2_u64 {
            let (sender, receiver) = mpsc::channel::<(u64, Slice)>();
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    let mut chunk = take_or_wait(pool, capacity, relief);
                    let before = out.fetch_add(4096, SeqCst);
                    assert!(before + 4096 <= 16 * 4096, "over the bound");
                    let fill = (number * 3 + seed) as u8;
                    drop(chunk.write(&[fill; 8]));
                    sender.send((number, chunk.into_slice())).expect("the reader is there");
                }
            });
            scope.spawn(move || {
                let mut release = Release::default();
                for (number, slice) in receiver {
                    assert_eq!(*slice, [(number * 3 + seed) as u8; 8]);
                    out.fetch_sub(4096, SeqCst);
                    if number % 5 == 0 {
                        release.add(slice)
                    } else {
                        drop(slice)
                    }
                    if number % 7 == 0 {
                        release = Release::default();
                    }
                }
            });
        }
    });
}

#[test]
fn one_block_s_slices_are_dropped_by_four_threads() {
    let pool = Bounded::new(4 << 20);
    for round in 0..300 {
        let mut chunk = pool.take(if round % 2 == 0 { 400 } else { 20_000 });
        let mut part = chunk.part(200);
        part.write(&[round as u8; 50]);
        let rest = part.split(50);
        let shared = Slice::from(part);
        let gate = AtomicBool::new(false);
        thread::scope(|scope| {
            for at in 0..4 {
                let mut reader = Reader::from(shared.clone());
                let (own, gate) = (chunk.write(&[at; 9]), &gate);
                scope.spawn(move || {
                    while !gate.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                    for _ in 0..10 {
                        assert_eq!(*reader.take(5), [round as u8; 5]);
                        drop(own.clone());
                    }
                    assert_eq!(*own, [at; 9]);
                });
            }
            gate.store(true, SeqCst);
            drop((shared, rest, chunk));
        });
        assert_eq!(pool.bytes(), 0);
    }
}

#[test]
fn an_arena_serves_four_threads() {
    let pool = Bounded::new(1 << 20);
    let arena = Arena::new(pool.clone());
    thread::scope(|scope| {
        for seed in 0..4_u8 {
            let arena = &arena;
            scope.spawn(move || {
                let mut kept = std::collections::VecDeque::new();
                for number in 0..3000_usize {
                    let len = 1 + (number * 37 + usize::from(seed)) % 500;
                    let mut part = arena.part(len).expect("under the bound");
                    let fill = seed.wrapping_add(number as u8);
                    part.write(&vec![fill; len]);
                    kept.push_back((fill, Slice::from(part)));
                    if kept.len() > 20
                        && let Some((fill, slice)) = kept.pop_front()
                    {
                        assert!(slice.iter().all(|byte| *byte == fill));
                    }
                }
            });
        }
    });
}

#[test]
fn a_chunk_begins_anew_only_behind_its_readers() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(CHUNK_BYTES);
    let whole = chunk.room();
    let mut anew = 0;
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel::<(u8, Slice)>(4);
        scope.spawn(move || {
            for (fill, slice) in receiver {
                assert!(slice.iter().all(|byte| *byte == fill));
            }
        });
        for round in 0..50_000_usize {
            let before = chunk.len();
            chunk.rewind();
            anew += usize::from(chunk.len() < before);
            if chunk.room() < 64 {
                chunk = pool.take(whole);
            }
            let fill = round as u8;
            sender.send((fill, chunk.write(&[fill; 64]))).expect("the reader is there");
            if round % 7 == 0 {
                thread::yield_now();
            }
        }
    });
    chunk.rewind();
    assert!(chunk.is_empty() && anew > 0, "{anew} times");
}

#[test]
fn a_pool_is_closed_while_blocks_come_back() {
    for _ in 0..100 {
        let pool = Bounded::new(8 << 20);
        let gate = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                let (pool, gate) = (&pool, &gate);
                let kept: Vec<Slice> =
                    (0..30).map(|at| pool.take(at * 100).write(&[at as u8])).collect();
                scope.spawn(move || {
                    while !gate.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                    for (at, slice) in kept.into_iter().enumerate() {
                        assert_eq!(*slice, [at as u8]);
                        drop(slice);
                        drop(pool.0.take(10));
                    }
                });
            }
            gate.store(true, SeqCst);
            pool.close();
        });
    }
}
