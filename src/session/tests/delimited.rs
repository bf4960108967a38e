//! Messages that end with a delimiter, against a reference that has the whole stream before it.

use super::*;

fn of_delimiter(delimiter: &[u8], frame_max_bytes: u32, overlong: Overlong) -> Framing {
    let kind = FramingKind::Delimiter;
    let mut framing = Framing { kind, frame_max_bytes, overlong, ..Framing::default() };
    framing.delimiter[..delimiter.len()].copy_from_slice(delimiter);
    framing.delimiter_len = delimiter.len() as u32;
    framing
}

/// The smallest block of the pool, about.
const SMALLEST: usize = 2048;

/// What a stream is, seen whole: messages, how many of them were cut, whether it broke.
fn reference(framing: &Framing, mut rest: &[u8]) -> (Vec<Vec<u8>>, u32, bool) {
    let delimiter = &framing.delimiter[..framing.delimiter_len as usize];
    let (most, size) = (framing.frame_max_bytes as usize, delimiter.len().max(1));
    let end = |rest: &[u8]| match delimiter {
        [] => rest.iter().position(|&byte| byte == b'\n' || byte == b'\r').map(|at| {
            let two = rest[at] == b'\r' && matches!(rest.get(at + 1), Some(b'\n' | 0));
            (at, 1 + usize::from(two))
        }),
        _ => rest.windows(size).position(|window| window == delimiter).map(|at| (at, size)),
    };
    let (mut messages, mut cut) = (Vec::new(), 0);
    while let Some((at, len)) = end(rest).or((rest.len() >= most + size).then_some((rest.len(), 0)))
    {
        if at > most && framing.overlong == Overlong::Close {
            return (messages, cut, true);
        }
        messages.push(rest[..at.min(most)].to_vec());
        cut += u32::from(at > most);
        rest = &rest[at + len..];
    }
    (messages, cut, false)
}

/// Feeds a stream in pieces, whose sizes `piece` chooses.
fn check(pool: &Pool, framing: Framing, stream: &[u8], mut piece: impl FnMut(usize) -> usize) {
    let mut feed = Feed::new(pool, framing);
    let mut rest = stream;
    while !rest.is_empty() && feed.broken.is_none() {
        let (first, more) = rest.split_at(piece(rest.len()).clamp(1, rest.len()));
        feed.feed(first);
        rest = more;
    }
    let (messages, cut, broken) = reference(&framing, stream);
    let words = || format!("{framing:?} of {:?}", String::from_utf8_lossy(stream));
    assert_eq!((&feed.messages, feed.cut), (&messages, cut), "{}", words());
    let cause = broken.then_some(Cause::LimitFrame);
    assert_eq!(feed.broken, cause, "{}", words());
}

#[test]
fn any_stream_is_what_the_reference_says() {
    let pool = Bounded::new(4 << 20);
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let letters: &[u8] = [&b"ab"[..], b"ab\r\n\0", b"abc|"][random.below(3)];
        let delimiter: Vec<u8> = match random.below(3) {
            0 => Vec::new(),
            _ => (0..1 + random.below(8)).map(|_| letters[random.below(letters.len())]).collect(),
        };
        let overlong = [Overlong::Close, Overlong::Cut][random.below(2)];
        let most = 1 + random.below(12) as u32;
        let framing = of_delimiter(&delimiter, most, overlong);
        let mut stream = Vec::new();
        while stream.len() < 60 {
            let ends = random.below(4) == 0;
            if ends && !delimiter.is_empty() {
                stream.extend_from_slice(&delimiter);
            } else {
                stream.push(letters[random.below(letters.len())]);
            }
        }
        let largest = 1 + random.below(20);
        check(&pool, framing, &stream, |_| 1 + random.below(largest));
        check(&pool, framing, &stream, |_| 1);
        check(&pool, framing, &stream, |left| left);
    }
}

#[test]
fn long_messages_grow_with_what_came_and_find_no_memory() {
    let pool = Bounded::new(4 << 20);
    for (delimiter, end) in [(&b""[..], &b"\r\n"[..]), (b"--end--", b"--end--")] {
        let framing = of_delimiter(delimiter, 300_000, Overlong::Close);
        let message: Vec<u8> = (0..200_000_u32).map(|at| b'a' + (at % 20) as u8).collect();
        let stream = [&message[..], end, b"x", end].concat();
        let mut feed = Feed::new(&pool, framing);
        feed.exhaust = true;
        for piece in stream.chunks(7001) {
            feed.feed(piece);
        }
        assert!(feed.starved > 0, "it was to find no memory");
        assert_eq!(feed.messages, [message, b"x".to_vec()]);
    }
}

#[test]
fn a_byte_at_a_time_holds_at_most_twice_what_came() {
    let pool = Bounded::new(4 << 20);
    let mut feed = Feed::new(&pool, of_delimiter(b"", 1 << 20, Overlong::Close));
    for came in 1..20_000_usize {
        feed.feed(b"x");
        let held = feed.session.held_bytes();
        assert!(held >= came && held <= 2 * came + SMALLEST, "{held} bytes for {came}");
    }
}

#[test]
fn what_belongs_to_a_line_is_no_part_of_what_follows_it() {
    let pool = Bounded::new(1 << 20);
    let lines = of_delimiter(b"", 100, Overlong::Close);
    let binary = Framing { kind: FramingKind::Length, length_bytes: 2, ..Framing::default() };
    // The LF comes with what follows, or a length does that begins with 0 as a NUL would.
    for follows in [&b"\n\0\x02hi"[..], b"\0\x02hi"] {
        let mut feed = Feed::new(&pool, lines);
        feed.feed(b"name\r");
        assert_eq!(feed.messages, [b"name"]);
        feed.session.reframe(false);
        feed.framing = binary;
        feed.feed(follows);
        assert_eq!(feed.messages[1], b"hi");
    }
}

#[test]
fn what_is_put_back_comes_first() {
    let pool = Bounded::new(1 << 20);
    let mut feed = Feed::new(&pool, of_delimiter(b"", 100, Overlong::Close));
    assert!(feed.session.unread(&pool, b"back") && feed.session.unread(&pool, b""));
    feed.parse(None);
    assert!(feed.messages.is_empty());
    feed.feed(b"ward\n");
    assert_eq!(feed.messages, [b"backward"]);
}

#[test]
fn messages_are_sent_as_they_are_or_with_their_delimiter() {
    let pool = Bounded::new(1 << 20);
    for (delimiter, append, expected) in
        [(&b""[..], false, &b"look"[..]), (b"", true, b"look\r\n"), (b"|*|", true, b"look|*|")]
    {
        let mut framing = of_delimiter(delimiter, 4, Overlong::Close);
        framing.append_delimiter = append;
        let mut session = Session::new(NOW, false);
        pool.send(&mut session, &framing, b"look");
        let parts: [&[u8]; 2] = [b"lo", b"ok"];
        let parts = Parts::new(&parts, None).expect("parts");
        session.send_parts(&framing, &Limits::default(), pool.memory(), &parts).expect("room");
        let mut framed = parts.frame(&framing, &pool, 1, Purpose::Send).expect("memory");
        assert_eq!(framed.bytes(), expected.len());
        let sent = session.send_framed(
            &framing,
            &Limits::default(),
            pool.memory(),
            &mut framed,
            Key::default(),
        );
        sent.expect("room");
        let train = session.poll_transmit(u32::MAX, NOW).expect("something");
        let bytes: Vec<u8> = train.slices().flat_map(|slice| slice.to_vec()).collect();
        assert_eq!(bytes, expected.repeat(3));
        session.handle_sent(bytes.len(), train, &mut Release::default());
        let long = Session::wire_bytes(&framing, b"longer");
        assert_eq!(long, if append { Err(SendError::TooBig) } else { Ok(6) });
    }
}

#[test]
fn records_have_one_size() {
    let pool = Bounded::new(1 << 20);
    let kind = FramingKind::Fixed;
    let framing = Framing { kind, frame_max_bytes: 4, ..Framing::default() };
    let stream = b"abcdefghij";
    for size in 1..=stream.len() {
        let mut feed = Feed::new(&pool, framing);
        stream.chunks(size).for_each(|piece| feed.feed(piece));
        assert_eq!(feed.messages, [b"abcd", b"efgh"], "pieces of {size}");
        assert_eq!(feed.session.partial_bytes(), 2);
    }
    assert_eq!(Session::wire_bytes(&framing, b"abcd"), Ok(4));
    assert_eq!(Session::wire_bytes(&framing, b"abc"), Err(SendError::Malformed));
    assert_eq!(Session::wire_bytes(&framing, b"abcde"), Err(SendError::TooBig));
}
