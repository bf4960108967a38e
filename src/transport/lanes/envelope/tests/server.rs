//! The server's side of the handshake.

use super::*;
use crate::transport::lanes::envelope::{Failure, USER_DATA};

#[test]
fn a_handshake() {
    let mut server = server();
    let token = token(42);
    let mut client = client(&token, 0);
    assert_eq!(client.peer(), here());
    let (mut accepted, mut connected) = connect(&mut server, &mut client, player(1));
    let mut user_data = [0; USER_DATA];
    user_data[..17].copy_from_slice(b"a ranger, level 3");
    assert_eq!((accepted.client_id, accepted.user_data), (42, user_data));
    assert_eq!((accepted.timeout_s, connected.timeout_s), (5, 5));
    assert_eq!(server.pending(), 0);
    assert_eq!(server.poll_timeout(), None);

    for kind in [Kind::Payload, Kind::Wide] {
        let ends = [&mut accepted.session, &mut connected.session];
        let [one, other] = ends;
        let mut there = sealed(one, kind, b"there");
        let opened = other.open(&mut there).expect("it opens");
        assert_eq!(there[opened.range], *b"there");
        let mut back = sealed(other, kind, b"back");
        let opened = one.open(&mut back).expect("it opens");
        assert_eq!(back[opened.range], *b"back");
    }
}

#[test]
fn requests_that_are_refused() {
    let mut server = server();
    let good = request(&token(1));
    let mut refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        refusal(server.handle(player(1), &mut packet, true, UNIX_S, 0))
    };
    assert_eq!(refused(&|packet| packet.truncate(1077)), Reason::Malformed);
    assert_eq!(refused(&|packet| packet.push(0)), Reason::Malformed);
    assert_eq!(refused(&|packet| packet.clear()), Reason::Malformed);
    assert_eq!(refused(&|packet| packet[0] = 0x10), Reason::Malformed);
    assert_eq!(refused(&|packet| packet[12] = b'1'), Reason::WrongVersion);
    assert_eq!(refused(&|packet| packet[14] ^= 1), Reason::WrongProtocol);
    assert_eq!(refused(&|packet| packet[22] ^= 1), Reason::TokenInvalid);
    assert_eq!(refused(&|packet| packet[30] ^= 1), Reason::TokenInvalid);
    assert_eq!(refused(&|packet| packet[54] ^= 1), Reason::TokenInvalid);
    assert_eq!(refused(&|packet| packet[1077] ^= 0x80), Reason::TokenInvalid);
    assert_eq!((server.pending(), server.ledger().len()), (0, 0));

    // Each bit of it, and each length.
    for bit in 0..good.len() * 8 {
        let mut packet = good.clone();
        packet[bit / 8] ^= 1 << (bit % 8);
        refusal(ask(&mut server, player(1), &packet));
    }
    for len in 0..good.len() {
        refusal(ask(&mut server, player(1), &good[..len]));
    }
    assert_eq!((server.pending(), server.ledger().len()), (0, 0));
    reply(ask(&mut server, player(1), &good));
}

#[test]
fn tokens_that_are_refused() {
    let mut server = server();
    let config = config(1, &[]);
    let mut refused = |config: Config, unix_s| {
        let mut packet = request(&token::make(&config).expect("a token"));
        refusal(server.handle(player(1), &mut packet, true, unix_s, 0))
    };
    let public = &[here()][..];
    let foreign = Config { key: [1; 32], public, ..config };
    assert_eq!(refused(foreign, UNIX_S), Reason::TokenInvalid);
    let other = Config { protocol_id: PROTOCOL + 1, public, ..config };
    assert_eq!(refused(other, UNIX_S), Reason::WrongProtocol);
    assert_eq!(refused(Config { public, ..config }, UNIX_S + 45), Reason::TokenExpired);
    for elsewhere in [address("192.0.2.1:7778"), address("192.0.2.2:7777")] {
        let elsewhere = Config { public: &[elsewhere], ..config };
        assert_eq!(refused(elsewhere, UNIX_S), Reason::WrongAddress);
    }
    assert_eq!((server.pending(), server.ledger().len()), (0, 0));
    // In time, among others, and as an IPv6 socket calls it.
    let public = &[address("192.0.2.2:7777"), address("[::ffff:192.0.2.1]:7777")];
    let mut packet = request(&token::make(&Config { public, ..config }).expect("a token"));
    reply(server.handle(player(1), &mut packet, true, UNIX_S + 44, 0));
}

#[test]
fn no_room() {
    let mut server = server();
    let token = token(1);
    let mut client = client(&token, 0);
    let request = sent(&mut client, 0);
    let mut denied = reply(server.handle(player(1), &mut request.clone(), false, UNIX_S, 0));
    assert_eq!((denied.len(), server.pending()), (25, 0));
    let event = client.handle(&mut denied, 0);
    assert!(matches!(event, ClientEvent::Failed(Failure::Denied)));

    // The last place is gone between challenge and response, then there is one again.
    let mut client = super::client(&token, 0);
    let mut response = challenged(&mut server, &mut client, player(1));
    let denied = reply(server.handle(player(1), &mut response, false, UNIX_S, 0));
    assert_eq!(denied.len(), 25);
    let response = sent(&mut client, SECOND);
    accepted(ask(&mut server, player(1), &response));
}

#[test]
fn handshakes_are_bounded_and_end() {
    let mut server = server();
    for id in 1..=4 {
        reply(ask(&mut server, player(id), &request(&token(id.into()))));
    }
    assert_eq!(refusal(ask(&mut server, player(5), &request(&token(5)))), Reason::Full);
    assert_eq!(server.pending(), 4);
    assert_eq!(server.poll_timeout(), Some(5 * SECOND));
    server.handle_timeout(5 * SECOND - 1);
    assert_eq!(server.pending(), 4);
    // One that comes then finds the place of those that are over.
    let mut packet = request(&token(5));
    reply(server.handle(player(5), &mut packet, true, UNIX_S, 5 * SECOND));
    assert_eq!((server.pending(), server.poll_timeout()), (1, Some(10 * SECOND)));
    server.handle_timeout(10 * SECOND);
    assert_eq!((server.pending(), server.poll_timeout()), (0, None));
}

#[test]
fn a_handshake_has_ten_seconds_at_most() {
    for (timeout_s, longest) in [(-1, 10), (0, 10), (1, 1), (i32::MAX, 10)] {
        let mut server = server();
        let public = &[here()];
        let token = token::make(&Config { timeout_s, ..config(1, public) }).expect("a token");
        reply(ask(&mut server, player(1), &request(&token)));
        assert_eq!(server.poll_timeout(), Some(longest * SECOND), "{timeout_s}");
    }
}

#[test]
fn a_response_that_comes_too_late() {
    let mut server = server();
    let token = token(1);
    let mut client = client(&token, 0);
    let mut response = challenged(&mut server, &mut client, player(1));
    let late = server.handle(player(1), &mut response.clone(), true, UNIX_S + 5, 5 * SECOND);
    assert_eq!(refusal(late), Reason::Unknown);
    // The client asks once more, and its old response is good enough.
    let mut request = request(&token);
    reply(server.handle(player(1), &mut request, true, UNIX_S + 5, 5 * SECOND));
    accepted(server.handle(player(1), &mut response, true, UNIX_S + 5, 6 * SECOND));
}

#[test]
fn tokens_are_remembered_until_they_expire() {
    let mut server = server();
    let mut asked = |life: u64, unix_s: u64, from: u16| {
        let public = &[here()];
        let config = Config { expire_s: life, ..config(1000 * life + u64::from(from), public) };
        let mut packet = request(&token::make(&config).expect("a token"));
        server.handle(player(from), &mut packet, true, unix_s, 100 * SECOND * (unix_s - UNIX_S));
        server.ledger().len()
    };
    for (count, life) in (1..=8).enumerate() {
        assert_eq!(asked(life, UNIX_S, 1), count + 1);
    }
    // Of too many, the one that expires first is forgotten; of those that expired, all are.
    assert_eq!(asked(9, UNIX_S, 1), 8);
    assert_eq!(asked(10, UNIX_S + 5, 1), 5);
}

#[test]
fn one_connection_for_a_client() {
    let mut server = server();
    connect(&mut server, &mut client(&token(1), 0), player(1));
    let (first, second) = (token(1), token(1));
    assert_eq!(refusal(ask(&mut server, player(2), &request(&first))), Reason::Connected);
    server.release(1);
    // Two handshakes of the same client: one of them gets the connection.
    let (mut one, mut two) = (client(&first, 0), client(&second, 0));
    let responses = [
        challenged(&mut server, &mut one, player(2)),
        challenged(&mut server, &mut two, player(3)),
    ];
    accepted(ask(&mut server, player(2), &responses[0]));
    assert_eq!(refusal(ask(&mut server, player(3), &responses[1])), Reason::Connected);
}

#[test]
fn doors_with_one_ledger() {
    let mut one = server();
    let ledger = one.ledger().clone();
    let mut two = Server::sharing(server_config(), [8; 32], ledger);
    let token = token(1);
    let request = request(&token);
    reply(ask(&mut one, player(1), &request));
    assert_eq!(refusal(ask(&mut two, player(2), &request)), Reason::TokenUsed);
    connect(&mut one, &mut client(&token, 0), player(1));
    assert_eq!(refusal(ask(&mut two, player(1), &request)), Reason::Connected);
    two.release(1);
    assert_eq!(refusal(ask(&mut two, player(1), &request)), Reason::TokenUsed);
}
