//! What others' implementations fell into.

use super::*;
use crate::transport::lanes::envelope::replay::{Replay, WINDOW};
use std::collections::HashSet;

/// The sequence number of a packet, as it stands in it.
fn sequence(packet: &[u8]) -> u64 {
    let mut number = [0; 8];
    let bytes = usize::from(packet[0] >> 4);
    number[..bytes].copy_from_slice(&packet[1..1 + bytes]);
    u64::from_le_bytes(number)
}

/// The challenges of a server have the keys of the connection, and so must not have its numbers:
/// neither of this server nor of one that is started again while the token is good.
#[test]
fn no_nonce_twice_after_a_restart() {
    let token = token(1);
    let mut numbers = HashSet::new();
    for seed in 0..20 {
        let mut server = Server::new(server_config(), [seed; 32]);
        for _ in 0..20 {
            let challenge = reply(ask(&mut server, player(1), &request(&token)));
            assert!(sequence(&challenge) >= 1 << 63);
            assert!(numbers.insert(sequence(&challenge)));
        }
    }
    // Nor do the responses of a client, whose connection counts from 0.
    let mut numbers = HashSet::new();
    for seed in 0..20 {
        let mut client = Client::new(&token, [seed; 32], 0).expect("it is right");
        let response = challenged(&mut server(), &mut client, player(1));
        assert!(sequence(&response) >= 1 << 63);
        assert!(numbers.insert(sequence(&response)));
    }
}

/// Nor those of a client that goes on to the next server, with the same keys.
#[test]
fn no_nonce_twice_at_the_next_server() {
    let servers = [address("192.0.2.8:1"), here()];
    let token = token::make(&config(1, &servers)).expect("a token");
    let mut client = client(&token, 0);
    let first = challenged(&mut server(), &mut client, player(1));
    assert!(matches!(client.handle_timeout(5 * SECOND), ClientEvent::Nothing));
    let now = 5 * SECOND;
    let mut challenge = reply(ask(&mut server(), player(1), &sent(&mut client, now)));
    client.handle(&mut challenge, now);
    assert_ne!(sequence(&sent(&mut client, now)), sequence(&first));
}

#[test]
fn numbers_before_a_connection_come_round_in_their_half() {
    let mut sequence = u64::MAX;
    assert_eq!(super::super::server::next(&mut sequence), u64::MAX);
    assert_eq!(super::super::server::next(&mut sequence), 1 << 63);
    assert_eq!(super::super::server::next(&mut sequence), (1 << 63) + 1);
}

/// The test for what is too old must not add to a number that is nearly the last.
#[test]
fn replay_protection_at_the_end_of_the_sequence() {
    let mut replay = Replay::default();
    for sequence in (u64::MAX - 2 * WINDOW..=u64::MAX).step_by(2) {
        assert!(replay.is_new(sequence));
        replay.remember(sequence);
        assert!(!replay.is_new(sequence));
    }
    replay.remember(u64::MAX);
    assert!(!replay.is_new(u64::MAX));
    assert!(!replay.is_new(u64::MAX - WINDOW));
    assert!(!replay.is_new(0));
}

#[test]
fn a_token_is_of_one_address() {
    let mut server = server();
    let token = token(1);
    let request = request(&token);
    reply(ask(&mut server, player(1), &request));
    assert_eq!(refusal(ask(&mut server, player(2), &request)), Reason::TokenUsed);
    reply(ask(&mut server, player(1), &request));
    assert_eq!((server.pending(), server.ledger().len()), (1, 1));
}

/// Who recorded a handshake, and sends it again from the address that it came from once the
/// connection is over, would open one that nobody has: it would be there until it times out.
#[test]
fn a_recorded_handshake_opens_nothing() {
    let mut server = server();
    let token = token(1);
    let mut client = client(&token, 0);
    let request = sent(&mut client, 0);
    let mut challenge = reply(ask(&mut server, player(1), &request));
    client.handle(&mut challenge, 0);
    let response = sent(&mut client, 0);
    accepted(ask(&mut server, player(1), &response));
    server.release(1);
    assert_eq!(refusal(ask(&mut server, player(1), &request)), Reason::TokenUsed);
    assert_eq!(refusal(ask(&mut server, player(1), &response)), Reason::Unknown);
}

/// An address in a handshake has keys, but no connection.
#[test]
fn sealed_packets_before_the_response() {
    let (mut server, token) = (server(), token(1));
    let response = challenged(&mut server, &mut client(&token, 0), player(1));
    let mut session = Session::new(keys(&token), PROTOCOL);
    for (kind, plain) in [
        (Kind::KeepAlive, &[0; 8][..]),
        (Kind::Payload, b"x"),
        (Kind::Wide, b"x"),
        (Kind::Disconnect, b""),
        (Kind::Denied, b""),
    ] {
        let packet = sealed(&mut session, kind, plain);
        assert_eq!(refusal(ask(&mut server, player(1), &packet)), Reason::Unknown);
    }
    assert_eq!(server.pending(), 1);
    accepted(ask(&mut server, player(1), &response));
}

/// Nor has the client one before it has heard so from its server.
#[test]
fn sealed_packets_before_the_keep_alive() {
    let (mut server, mut client) = (server(), client(&token(1), 0));
    let response = challenged(&mut server, &mut client, player(1));
    let mut session = accepted(ask(&mut server, player(1), &response)).session;
    for (kind, plain) in [(Kind::Payload, &b"x"[..]), (Kind::Wide, b"x"), (Kind::Disconnect, b"")] {
        let mut packet = sealed(&mut session, kind, plain);
        assert_eq!(dropped(client.handle(&mut packet, 0)), Reason::Unexpected);
    }
    // And before its challenge there is no keep-alive.
    let token = token(2);
    let (mut early, mut session) = (super::client(&token, 0), of_server(&token));
    let mut challenge = reply(ask(&mut server, player(2), &sent(&mut early, 0)));
    let mut alive = sealed(&mut session, Kind::KeepAlive, &[0; 8]);
    assert_eq!(dropped(early.handle(&mut alive, 0)), Reason::Unexpected);
    assert!(matches!(early.handle(&mut challenge, 0), ClientEvent::Nothing));
}

/// What another was challenged with proves nothing about this client.
#[test]
fn the_challenge_of_another() {
    let (mut server, one, two) = (server(), token(1), token(2));
    let mut response = challenged(&mut server, &mut client(&one, 0), player(1));
    challenged(&mut server, &mut client(&two, 0), player(2));
    assert_eq!(refusal(ask(&mut server, player(2), &response)), Reason::Forged);
    assert_eq!(refusal(ask(&mut server, player(3), &response)), Reason::Unknown);

    let opened = of_server(&one).open(&mut response).expect("it opens");
    let body = &response[opened.range];
    let mut sealer = Session::new(keys(&two), PROTOCOL);
    let with_own_keys = sealed(&mut sealer, Kind::Response, body);
    assert_eq!(refusal(ask(&mut server, player(2), &with_own_keys)), Reason::Forged);
    let mut sealer = Session::new(keys(&one), PROTOCOL);
    let as_it_was = sealed(&mut sealer, Kind::Response, body);
    accepted(ask(&mut server, player(1), &as_it_was));
}

/// What a server says is never more than what it was told, whoever it was.
#[test]
fn no_reply_is_longer_than_what_it_answers() {
    let mut server = server();
    for room in [true, false] {
        for id in 10..14 {
            let token = token(id);
            let mut client = client(&token, 0);
            let mut request = sent(&mut client, 0);
            let len = request.len();
            let mut answer = reply(server.handle(player(id as u16), &mut request, room, UNIX_S, 0));
            assert!(answer.len() < len);
            if room {
                client.handle(&mut answer, 0);
                let mut response = sent(&mut client, 0);
                let len = response.len();
                let answer =
                    reply(server.handle(player(id as u16), &mut response, false, UNIX_S, 0));
                assert!(answer.len() < len);
            }
        }
    }
}
