//! Large frames: where they are received, what they cost, and what happens without memory.

use super::*;

const LARGE: [usize; 9] = [20 << 10, 0, 5000, 4095, 70_000, 4096, 1, 200_000, 300];

fn framings() -> Vec<Framing> {
    let keep = Framing { length_offset: 3, keep_header: true, ..length(4, true) };
    vec![length(4, false), length(3, true), keep, of_varint()]
}

#[test]
fn large_frames_may_be_cut_at_random() {
    let pool = Bounded::new(4 << 20);
    let mut random = Random(1);
    for framing in framings() {
        let case = Case::new(framing, &LARGE);
        let mut into = 0;
        for round in 0..60 {
            let mut feed = Feed::new(&pool, case.framing);
            let most = [1 << 17, 5000, 300][round % 3];
            let mut rest = &case.stream[..];
            while !rest.is_empty() {
                feed.fill = random.size(most);
                let (piece, next) = rest.split_at(random.size(most).min(rest.len()));
                feed.feed(piece);
                rest = next;
            }
            case.compare(&feed, &[&case.stream]);
            into += feed.into;
        }
        assert!(into > case.stream.len(), "frames were received into their own memory");
    }
}

#[test]
fn large_frames_may_come_byte_by_byte() {
    let pool = Bounded::new(1 << 20);
    for framing in framings() {
        let case = Case::new(framing, &[20 << 10, 0, 5000]);
        let mut feed = Feed::new(&pool, case.framing);
        case.stream.chunks(1).for_each(|piece| feed.feed(piece));
        case.compare(&feed, &[&case.stream]);
        // All at once, but their own memory is filled byte by byte.
        let mut feed = Feed { fill: 1, ..Feed::new(&pool, case.framing) };
        let (begin, rest) = case.stream.split_at(10_000);
        feed.feed(begin);
        feed.feed(rest);
        case.compare(&feed, &[&case.stream]);
        assert!(feed.into > 0);
    }
}

#[test]
fn a_frame_s_own_memory_has_no_room_for_the_next() {
    let pool = Bounded::new(1 << 20);
    let case = Case::new(length(4, false), &[50_000, 10]);
    let mut feed = Feed::new(&pool, case.framing);
    for end in (4..case.ends[0]).step_by(1000) {
        let from = end.saturating_sub(1000);
        match feed.session.poll_recv(NOW) {
            Want::Into(mut chunk) => {
                assert!(chunk.room() <= case.ends[0] - from, "it ends with the frame");
                let slice = chunk.write(&case.stream[from..end]);
                feed.parse(Some((slice, Some(chunk))));
                feed.into += 1;
            }
            _ => {
                let slice = feed.receive(&case.stream[from..end]);
                feed.parse(Some((slice, None)));
            }
        }
    }
    assert!(feed.into > 20 && feed.messages.is_empty());
}

#[test]
fn a_receive_that_brings_nothing_gives_the_memory_back() {
    let pool = Bounded::new(1 << 20);
    let case = Case::new(length(2, false), &[40_000, 3]);
    let mut feed = Feed::new(&pool, case.framing);
    feed.feed(&case.stream[..33_000]);
    let Want::Into(chunk) = feed.session.poll_recv(NOW) else { panic!("a large frame") };
    let event = feed.session.input().poll_event(&feed.framing, &pool, NOW);
    assert!(event.is_none(), "it is away");
    feed.session.handle_returned(chunk);
    feed.feed(&case.stream[33_000..]);
    case.compare(&feed, &[&case.stream]);
}

#[test]
fn a_frame_is_discarded_also_while_its_memory_is_away() {
    let pool = Bounded::new(1 << 20);
    let case = Case::new(length(2, false), &[40_000]);
    let mut feed = Feed::new(&pool, case.framing);
    feed.feed(&case.stream[..33_000]);
    let Want::Into(mut chunk) = feed.session.poll_recv(NOW) else { panic!("a large frame") };
    feed.session.discard();
    let slice = chunk.write(&case.stream[33_000..]);
    feed.parse(Some((slice, Some(chunk))));
    assert!(feed.messages.is_empty() && !feed.session.has_input());
    feed.chunk = None;
    assert_eq!(pool.bytes(), 0, "nothing is kept of it");
}

#[test]
fn without_memory_nothing_is_lost() {
    let pool = Bounded::new(320 << 10);
    let mut random = Random(2);
    for framing in framings() {
        let case = Case::new(framing, &[300, 0, 20 << 10, 5000, 4095, 70_000, 1]);
        let mut starved = 0;
        for round in 0..9 {
            let mut feed = Feed { exhaust: true, ..Feed::new(&pool, case.framing) };
            let most = [60_000, 5000, 600][round % 3];
            let mut rest = &case.stream[..];
            while !rest.is_empty() {
                feed.fill = random.size(most);
                let (piece, next) = rest.split_at(random.size(most).min(rest.len()));
                feed.feed(piece);
                rest = next;
            }
            case.compare(&feed, &[&case.stream]);
            starved += feed.starved;
        }
        assert!(starved > 40, "{starved} times without memory");
    }
}

#[test]
fn small_streams_survive_the_want_of_memory_at_every_cut() {
    let pool = Bounded::new(128 << 10);
    for framing in plain_lengths().into_iter().chain([of_varint()]) {
        let case = Case::small(framing, 14);
        for cut in 1..case.stream.len() {
            let mut feed = Feed { exhaust: true, ..Feed::new(&pool, case.framing) };
            let (first, second) = case.stream.split_at(cut);
            feed.feed(first);
            feed.feed(second);
            case.compare(&feed, &[first, second]);
            let begun = !case.ends.contains(&cut);
            assert_eq!(feed.starved > 0, begun, "only a frame that began needs memory");
        }
    }
}

#[test]
fn whole_frames_are_not_copied() {
    let pool = Bounded::new(1 << 20);
    let case = Case::new(length(2, false), &[10, 0, 300, 5]);
    let mut session = Session::new(NOW, false);
    let mut chunk = pool.take(CHUNK_BYTES).expect("memory");
    let slice = chunk.write(&case.stream);
    let stream = slice.as_ptr() as usize..slice.as_ptr() as usize + slice.len();
    let out = pool.bytes();
    let mut input = session.handle_received(slice, None, NOW);
    let mut kept = Vec::new();
    while let Some(Event::Message(message)) = input.poll_event(&case.framing, &pool, NOW) {
        assert!(message.is_empty() || stream.contains(&(message.as_ptr() as usize)));
        kept.push(message);
    }
    assert!(kept.iter().map(|message| &**message).eq(case.messages.iter().map(|m| &**m)));
    assert_eq!(pool.bytes(), out, "no memory but the receive's");
    drop(input);
    drop((chunk, session));
    assert_eq!(pool.bytes(), out, "the messages keep it");
}

#[test]
fn memory_grows_with_what_was_received() {
    let pool = Bounded::new(128 << 20);
    let framing = Framing { frame_max_bytes: 32 << 20, ..length(4, false) };
    let total = 32 << 20;
    let mut feed = Feed::new(&pool, framing);
    feed.feed(&(total as u32).to_be_bytes());
    let mut received = 0;
    let piece = [5; 40_000];
    while received < total {
        let step = piece.len().min(total - received);
        feed.feed(&piece[..step]);
        received += step;
        let shared = feed.chunk.take().map_or(0, |_| CHUNK_BYTES);
        let most = (received * 2 + shared + 1024).min(total + CHUNK_BYTES + 1024);
        assert!(received == total || pool.bytes() <= most as u64, "{received}: {}", pool.bytes());
    }
    assert_eq!(feed.messages.len(), 1);
    assert!(feed.messages[0].len() == total && feed.messages[0].iter().all(|byte| *byte == 5));
}

#[test]
fn what_is_not_parsed_is_kept_for_the_next_time() {
    let pool = Bounded::new(1 << 20);
    let case = Case::new(length(2, false), &[10, 0, 3000, 5, 7, 1]);
    // One message at a time, in two receives whose cut is anywhere.
    for cut in 1..case.stream.len() {
        let mut feed = Feed::new(&pool, case.framing);
        for piece in [&case.stream[..cut], &case.stream[cut..]] {
            let slice = feed.receive(piece);
            drop(feed.session.handle_received(slice, None, NOW));
            assert!(feed.session.has_input());
            loop {
                let event = feed.session.input().poll_event(&case.framing, &pool, NOW);
                let Some(Event::Message(message)) = event else { break };
                feed.messages.push(message.to_vec());
            }
            assert!(!feed.session.has_input());
        }
        case.compare(&feed, &[&case.stream]);
    }
}

/// A host pauses while a frame is received into its own memory: it is reported after the resume,
/// without another byte.
#[test]
fn a_frame_that_is_whole_but_untold_is_input() {
    let pool = Pool::new(1 << 20);
    let framing = length(4, false);
    let mut session = Session::new(1, false);
    let payload = vec![7; 30_000];
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend(&payload);
    let mut first = pool.take(16_500).expect("room");
    let slice = first.write(&bytes[..16_500]);
    let mut input = session.handle_received(slice, None, 1);
    assert!(input.poll_event(&framing, &pool, 1).is_none());
    drop(input);
    let mut at = 16_500;
    while at < bytes.len() {
        assert!(!session.has_input());
        let Want::Into(mut chunk) = session.poll_recv(1) else { break };
        let count = chunk.room().min(bytes.len() - at);
        let slice = chunk.write(&bytes[at..at + count]);
        at += count;
        let mut input = session.handle_received(slice, Some(chunk), 1);
        if at < bytes.len() {
            assert!(input.poll_event(&framing, &pool, 1).is_none());
        }
    }
    assert_eq!(at, bytes.len(), "all of it into its own memory");
    assert!(session.has_input(), "it waits to be told");
    assert!(matches!(session.poll_recv(1), Want::No));
    let mut input = session.input();
    let told = input.poll_event(&framing, &pool, 1);
    assert!(matches!(told, Some(Event::Message(data)) if *data == *payload));
}
