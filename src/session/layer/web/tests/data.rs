//! Messages, and frames that make none.

use super::*;

/// What a server makes of these bytes, cut at each place: messages, what it says, how it ends.
fn taken(server: &WebServer, wire: &[u8]) -> (Messages, Vec<u8>, Option<Cause>) {
    let outcome = |cut: usize| {
        let mut end = End::open(server.clone());
        end.receive(&wire[..cut]);
        end.receive(&wire[cut..]);
        let says = end.say();
        (end.messages, says, end.broken)
    };
    let whole = outcome(0);
    for cut in 1..wire.len() {
        assert!(outcome(cut) == whole, "cut at {cut}");
    }
    whole
}

fn messages(all: &[(&[u8], bool)]) -> Messages {
    all.iter().map(|&(data, text)| (data.to_vec(), text)).collect()
}

#[test]
fn examples_of_the_rfc() {
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let (came, says, broken) = taken(&WebServer::default(), hello);
    assert_eq!((came, says, broken), (messages(&[(b"Hello", true)]), Vec::new(), None));
    assert_eq!(masked(FIN | TEXT, b"Hello"), hello);
    let ping = b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(taken(&WebServer::default(), ping).1, b"\x8a\x05Hello");
    let (mut client, _server) = pair(WebClient::default(), WebServer::default());
    client.receive(b"\x81\x05\x48\x65\x6c\x6c\x6f\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f");
    assert_eq!(client.messages, messages(&[(b"Hello", true), (b"Hello", true)]));
    for (len, header) in [(256, &b"\x82\x7e\x01\x00"[..]), (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0")] {
        client.messages.clear();
        client.receive(&[header, &vec![7; len]].concat());
        assert_eq!(client.messages, [(vec![7; len], false)]);
        assert!(bare(FIN | BINARY, &vec![7; len]).starts_with(header));
    }
}

#[test]
fn fragments_with_control_frames_between_them() {
    let wire = [
        masked(TEXT, "na\u{ef}".as_bytes().split_at(3).0),
        masked(FIN | PING, b"1"),
        masked(0, &"na\u{ef}".as_bytes()[3..]),
        masked(FIN | PONG, b"unasked"),
        masked(0, b""),
        masked(FIN | PING, b""),
        masked(FIN, b"ve"),
        masked(BINARY, b""),
        masked(FIN, b""),
        masked(FIN | BINARY, b"\xff"),
    ]
    .concat();
    let (came, says, broken) = taken(&WebServer::default(), &wire);
    let text = "na\u{ef}ve".as_bytes();
    assert_eq!(came, messages(&[(text, true), (b"", false), (b"\xff", false)]));
    assert_eq!((says.as_slice(), broken), (&b"\x8a\x011\x8a\0"[..], None));
}

#[test]
fn frames_that_are_wrong() {
    let long = |lead: u8, tail: &[u8]| [&[lead, 0xff], tail].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no mask", bare(FIN | TEXT, b"x")),
        ("RSV1", masked(FIN | RSV1 | TEXT, b"x")),
        ("RSV2", masked(FIN | 0x20 | TEXT, b"x")),
        ("RSV3", masked(FIN | 0x10 | PING, b"x")),
        ("opcode 3", masked(FIN | 3, b"x")),
        ("opcode 11", masked(FIN | 11, b"x")),
        ("a long ping", masked(FIN | PING, &[0; 126])),
        ("a ping in pieces", masked(PING, b"x")),
        ("nothing to go on with", masked(FIN, b"x")),
        ("a message within one", [masked(TEXT, b"x"), masked(FIN | TEXT, b"y")].concat()),
        ("126 for 125", [&[FIN | BINARY, 0xfe, 0, 125], &MASK[..]].concat()),
        ("127 for 65535", long(FIN | BINARY, &[0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4])),
        ("the top bit", long(FIN | BINARY, &[0x80, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4])),
        ("half a code", masked(FIN | CLOSE, b"x")),
    ];
    for (what, wire) in cases {
        let (came, says, broken) = taken(&WebServer::default(), &wire);
        assert_eq!((came.len(), broken), (0, Some(Cause::Protocol)), "{what}");
        assert_eq!(says, close(1002), "{what}");
    }
    let (mut client, _server) = pair(WebClient::default(), WebServer::default());
    client.receive(&masked(FIN | TEXT, b"x"));
    assert_eq!(client.broken, Some(Cause::Protocol));
}

#[test]
fn a_wrong_frame_is_known_by_its_first_byte() {
    let mut end = End::open(WebServer::default());
    end.receive(&[FIN | 3]);
    assert_eq!(end.broken, Some(Cause::Protocol));
    // What comes in front of it is a message.
    let mut end = End::open(WebServer::default());
    end.receive(&[&masked(FIN | TEXT, b"x")[..], &[FIN | 3]].concat());
    assert_eq!((end.messages.len(), end.broken), (1, Some(Cause::Protocol)));
}

#[test]
fn text_is_utf8_from_the_first_byte_that_is_not() {
    for wrong in [&b"\xc0\x80"[..], b"\xed\xa0\x80", b"\xf4\x90", b"ok\x80", b"\xf8"] {
        let wire = masked(FIN | TEXT, wrong);
        let (came, says, broken) = taken(&WebServer::default(), &wire);
        assert_eq!((came.len(), says), (0, close(1007)), "{wrong:x?}");
        assert_eq!(broken, Some(Cause::Protocol));
        // Also where the rest of the frame, or of the message, never comes.
        let begun = masked(TEXT, &[wrong, b"more"].concat());
        let mut end = End::open(WebServer::default());
        end.receive(&begun[..6 + wrong.len()]);
        assert_eq!(end.broken, Some(Cause::Protocol), "{wrong:x?}");
        let mut end = End::open(WebServer::default());
        for byte in &begun[..6 + wrong.len()] {
            end.receive(&[*byte]);
        }
        assert_eq!(end.broken, Some(Cause::Protocol), "{wrong:x?}");
    }
    // A character that is not whole at the end.
    for wire in
        [masked(FIN | TEXT, b"\xe2\x82"), [masked(TEXT, b"\xe2"), masked(FIN, b"")].concat()]
    {
        assert_eq!(taken(&WebServer::default(), &wire).1, close(1007));
    }
    assert_eq!(taken(&WebServer::default(), &masked(FIN | BINARY, b"\xff\xff")).2, None);
}

#[test]
fn messages_over_the_maximum() {
    let server = WebServer { message_max: 100, ..WebServer::default() };
    let (came, ..) = taken(&server, &masked(FIN | BINARY, &[1; 100]));
    assert_eq!(came.len(), 1);
    let claims = masked(FIN | BINARY, &[1; 101])[..6].to_vec();
    let pieces = [masked(BINARY, &[1; 60]), masked(0, &[1; 40]), masked(FIN, &[1])].concat();
    for wire in [claims, pieces, [&[FIN | BINARY, 0xff, 0x7f], &[0xff; 7][..], &MASK].concat()] {
        let (came, says, broken) = taken(&server, &wire);
        assert_eq!((came.len(), says), (0, close(1009)));
        assert_eq!(broken, Some(Cause::LimitFrame));
    }
}

#[test]
fn memory_grows_with_what_came() {
    let server = WebServer { message_max: 32 << 20, ..WebServer::default() };
    let mut end = End::open(server.clone());
    end.receive(&masked(BINARY, &vec![1; 16 << 20])[..20_000]);
    assert!((19_000..50_000).contains(&end.web.held_bytes()), "{}", end.web.held_bytes());
    // More than the pool ever has.
    let mut end = End::open(server);
    end.pool = Pool::new(1 << 20);
    end.receive(&masked(BINARY, &vec![1; 16 << 20])[..1000]);
    assert_eq!(end.broken, Some(Cause::LimitMemory));
}

#[test]
fn without_memory_nothing_is_lost() {
    let mut end = End::open(WebServer::default());
    let wire = [masked(FIN | TEXT, b"one"), masked(BINARY, b"two"), masked(FIN, b"!")].concat();
    let ((small, _all), received) = (tight(0), Pool::new(1 << 20));
    let mut starved = 0;
    for byte in wire {
        let slice = received.take(1).expect("memory").write(&[byte]);
        end.web.handle_received(slice, NOW);
        match end.web.poll_plain(&small, NOW) {
            Plain::Nothing => {}
            Plain::Starved(_) => starved += 1,
            Plain::Message { data, text } => end.messages.push((data.to_vec(), text)),
            plain => panic!("{plain:?}"),
        }
        end.receive(&[]);
    }
    assert_eq!(end.messages, messages(&[(b"one", true), (b"two!", false)]));
    assert_eq!(starved, 2, "once for each message");
}

#[test]
fn small_messages_of_a_receive_share_one_chunk() {
    let mut end = End::open(WebServer::default());
    let wire = masked(FIN | BINARY, &[5; 64]).repeat(20);
    let slice = end.pool.take(wire.len()).expect("memory").write(&wire);
    let before = end.pool.bytes();
    end.web.handle_received(slice, NOW);
    let mut kept = Vec::new();
    while let Plain::Message { data, .. } = end.web.poll_plain(&end.pool, NOW) {
        kept.push(data);
    }
    assert_eq!(kept.len(), 20);
    assert!(kept.iter().all(|data| data[..] == [5; 64]));
    assert!(end.pool.bytes() <= before, "the received chunk is gone, one is in its place");
}

#[test]
fn it_is_small() {
    let size = size_of::<Web>();
    assert!(size <= 240, "{size} bytes");
    let end = End::open(WebServer::default());
    assert_eq!((end.web.held_bytes(), end.pool.bytes()), (0, 0));
    assert!(end.web.opening.is_none());
}
