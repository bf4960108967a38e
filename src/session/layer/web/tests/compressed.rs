//! Deflated messages.

use super::*;
use crate::session::layer::web::extension::{Deflating, accept, confirm};

fn server() -> WebServer {
    WebServer { compress: true, ..WebServer::default() }
}

fn client() -> WebClient {
    WebClient { compress: true, ..WebClient::default() }
}

/// A server whose client has offered to deflate.
fn open(server: WebServer) -> End {
    let mut end = End::server(server);
    let mut headers = UPGRADE.to_vec();
    headers.push("Sec-WebSocket-Extensions: permessage-deflate");
    end.receive(request("GET / HTTP/1.1", &headers).as_bytes());
    let answer = String::from_utf8(end.say()).expect("text");
    assert!(answer.contains("Sec-WebSocket-Extensions: permessage-deflate; "), "{answer}");
    end
}

fn squeezed(data: &[u8], bits: u8) -> Vec<u8> {
    deflate(&[data], bits, &Pool::new(64 << 20)).expect("it gets smaller").to_vec()
}

#[test]
fn examples_of_the_rfc() {
    let hello: [&[u8]; 3] = [
        b"\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    ];
    for data in hello {
        for cut in 0..data.len() {
            let mut end = open(server());
            end.receive(&masked(RSV1 | TEXT, &data[..cut]));
            end.receive(&masked(FIN, &data[cut..]));
            end.receive(&masked(FIN | RSV1 | TEXT, data));
            assert_eq!(end.messages, vec![(b"Hello".to_vec(), true); 2], "{data:x?}");
        }
    }
    // Two blocks, and a message of none.
    let mut end = open(server());
    end.receive(&masked(
        FIN | RSV1 | TEXT,
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ));
    end.receive(&masked(FIN | RSV1 | BINARY, b"\x00"));
    assert_eq!(end.messages, [(b"Hello".to_vec(), true), (Vec::new(), false)]);
}

#[test]
fn messages_may_refer_to_those_before_where_a_server_does_not_say_otherwise() {
    let mut client = End::client(client());
    let request = String::from_utf8(client.say()).expect("text");
    let mut other = End::server(server());
    other.receive(request.as_bytes());
    let answer = String::from_utf8(other.say()).expect("text");
    client.receive(answer.replace("server_no_context_takeover; ", "").as_bytes());
    client.receive(&bare(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"));
    client.receive(&bare(FIN | RSV1 | TEXT, b"\xf2\x00\x11\x00\x00"));
    assert_eq!(client.messages, vec![(b"Hello".to_vec(), true); 2]);
}

#[test]
fn offers_and_answers() {
    let answer = |offer: &'static str| accept([offer].into_iter()).map(|(_, answer)| answer);
    let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for offer in ["permessage-deflate", "x, Permessage-Deflate; server_no_context_takeover"] {
        assert_eq!(answer(offer).as_deref(), Some(plain), "{offer}");
    }
    let with = |more: &str| Some(format!("{plain}; {more}"));
    assert_eq!(
        answer("permessage-deflate; server_max_window_bits=\"9\""),
        with("server_max_window_bits=9")
    );
    assert_eq!(
        answer("permessage-deflate; client_max_window_bits"),
        with("client_max_window_bits=15")
    );
    let second = "permessage-deflate; server_max_window_bits=8, permessage-deflate; x=\"a,b\", \
                  permessage-deflate; client_max_window_bits=10";
    assert_eq!(answer(second), with("client_max_window_bits=10"));
    let wrong = [
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; unknown",
        "deflate-stream",
    ];
    for offer in wrong {
        assert_eq!(answer(offer), None, "{offer}");
    }
}

#[test]
fn a_client_takes_what_it_offered_alone() {
    let confirmed = |answer: &'static str| confirm([answer].into_iter(), true);
    let agreed = |window_bits, takes_over| Ok(Some(Deflating { window_bits, takes_over }));
    let alone = "permessage-deflate; server_no_context_takeover";
    assert_eq!(confirmed(alone), agreed(Some(15), false));
    assert_eq!(confirmed("permessage-deflate"), agreed(Some(15), true));
    assert_eq!(confirmed("permessage-deflate; client_max_window_bits=11"), agreed(Some(11), true));
    assert_eq!(confirmed("permessage-deflate; client_max_window_bits=8"), agreed(None, true));
    assert_eq!(confirm([].into_iter(), true), Ok(None));
    assert!(confirm([alone].into_iter(), false).is_err());
    for wrong in ["x", "permessage-deflate, x", "permessage-deflate; client_max_window_bits", ""] {
        assert!(confirmed(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn both_ends_deflate() {
    let (mut client, mut server) = pair(client(), server());
    assert_eq!((client.web.compression(), server.web.compression()), (Some(15), Some(15)));
    let text = "all the world's a stage ".repeat(500).into_bytes();
    for bits in 9..=15 {
        let data = squeezed(&text, bits);
        assert!(data.len() < text.len() / 10 && !data.ends_with(&deflate::TAIL));
        server.receive(&client.send(&bare(FIN | RSV1 | TEXT, &data)));
        client.receive(&server.send(&bare(FIN | RSV1 | TEXT, &data)));
    }
    assert_eq!(client.messages, vec![(text.clone(), true); 7]);
    assert_eq!(server.messages, vec![(text, true); 7]);
    assert_eq!((client.web.held_bytes(), client.pool.bytes()), (0, 0));
}

#[test]
fn what_does_not_get_smaller_is_not_deflated() {
    let pool = Pool::new(1 << 20);
    let noise: Vec<u8> =
        (0..200u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for data in [&b""[..], b"x", b"\0\xff", &noise] {
        assert!(deflate(&[data], 15, &pool).is_none(), "{data:?}");
    }
    let parts = [&b"same "[..], b"", &[b's'; 100], b"same "];
    let whole = parts.concat();
    assert_eq!(deflate(&parts, 12, &pool).expect("smaller").to_vec(), squeezed(&whole, 12));
    assert!(deflate(&parts, 12, &Pool::new(0)).is_none());
}

#[test]
fn a_bomb_is_stopped_at_the_maximum() {
    let bomb = squeezed(&vec![0; 8 << 20], 15);
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let mut end = open(WebServer { message_max: 100_000, ..server() });
    end.pool.take_peak();
    end.receive(&masked(FIN | RSV1 | BINARY, &bomb));
    assert_eq!(end.broken, Some(Cause::LimitFrame));
    assert!(end.pool.peak() < 600_000, "{}", end.pool.peak());
    assert_eq!(end.say(), close(1009));
    // One that just fits.
    for (len, fits) in [(100_000, true), (100_001, false)] {
        let mut end = open(WebServer { message_max: 100_000, ..server() });
        end.receive(&masked(FIN | RSV1 | BINARY, &squeezed(&vec![0; len], 15)));
        assert_eq!((end.messages.len(), end.broken.is_none()), (usize::from(fits), fits));
    }
}

#[test]
fn what_is_not_deflated_and_text_that_is_none() {
    let mut end = open(server());
    end.receive(&masked(FIN | RSV1 | BINARY, b"\xff\xff\xff"));
    assert_eq!((end.broken, end.say()), (Some(Cause::Protocol), close(1007)));
    let mut end = open(server());
    end.receive(&masked(FIN | RSV1 | TEXT, &squeezed(&[0xff; 100], 15)));
    assert_eq!((end.broken, end.say()), (Some(Cause::Protocol), close(1007)));
    // Only the first frame says that it is deflated, and control frames never are.
    for wrong in [masked(FIN | RSV1, b"x"), masked(FIN | RSV1 | PING, b"x")] {
        let mut end = open(server());
        end.receive(&[masked(RSV1 | TEXT, b""), wrong].concat());
        assert_eq!(end.say(), close(1002));
    }
}

#[test]
fn inflating_waits_for_memory() {
    let data = vec![7; 50_000];
    let wire = masked(FIN | RSV1 | BINARY, &squeezed(&data, 15));
    for bytes in [0, 1024, 5000, 20_000, 40_000] {
        let mut end = open(server());
        let slice = end.pool.take(wire.len()).expect("memory").write(&wire);
        end.web.handle_received(slice, NOW);
        let (small, _all) = tight(bytes);
        let plain = end.web.poll_plain(&small, NOW);
        assert!(matches!(plain, Plain::Starved(_)), "{bytes}: {plain:?}");
        end.receive(&[]);
        assert!(end.messages == [(data.clone(), false)], "{bytes}");
    }
}
