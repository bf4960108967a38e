//! The client's side of the handshake.

use super::*;
use crate::transport::lanes::envelope::{Failure, peek};

fn failure(event: ClientEvent) -> Failure {
    match event {
        ClientEvent::Failed(failure) => failure,
        _ => panic!("not failed"),
    }
}

fn kind(packet: &[u8]) -> Kind {
    peek(packet).expect("a packet").kind
}

#[test]
fn ten_times_a_second() {
    let mut client = client(&token(1), 50);
    let mut out = [0; 1200];
    assert_eq!(client.poll_timeout(), Some(50));
    assert_eq!(client.poll_transmit(&mut out, 50), Some(1078));
    assert_eq!(client.poll_transmit(&mut out, 50), None);
    assert_eq!(client.poll_timeout(), Some(100_050));
    assert_eq!(client.poll_transmit(&mut out, 100_049), None);
    assert_eq!(client.poll_transmit(&mut out, 100_050), Some(1078));
}

#[test]
fn a_server_that_does_not_answer() {
    let mut client = client(&token(1), 0);
    assert!(matches!(client.handle_timeout(5 * SECOND - 1), ClientEvent::Nothing));
    assert_eq!(failure(client.handle_timeout(5 * SECOND)), Failure::RequestTimeout);
    // It is over: nothing is sent, and nothing is taken.
    assert_eq!(client.poll_timeout(), None);
    assert_eq!(client.poll_transmit(&mut [0; 1200], 6 * SECOND), None);
    assert!(matches!(client.handle_timeout(6 * SECOND), ClientEvent::Nothing));
    assert_eq!(dropped(client.handle(&mut [0; 100], 6 * SECOND)), Reason::Unexpected);
}

#[test]
fn a_server_that_does_not_answer_any_more() {
    let (mut server, mut client) = (server(), client(&token(1), 0));
    let response = challenged(&mut server, &mut client, player(1));
    assert_eq!(kind(&response), Kind::Response);
    assert_eq!(failure(client.handle_timeout(5 * SECOND)), Failure::ResponseTimeout);
}

#[test]
fn a_token_that_is_over() {
    let public = &[here(); 2];
    for (timeout_s, expire_s) in [(5, 3), (-1, 45), (40, 45)] {
        let config = Config { timeout_s, expire_s, ..config(1, public) };
        let mut client = client(&token::make(&config).expect("a token"), 0);
        let mut now = 0;
        let failed = loop {
            // A little late, so that no packet is due when the token is over.
            client.poll_transmit(&mut [0; 1200], now + 7);
            now = client.poll_timeout().expect("it is not over");
            if let ClientEvent::Failed(failure) = client.handle_timeout(now) {
                break failure;
            }
        };
        assert_eq!((failed, now), (Failure::TokenExpired, expire_s * SECOND));
    }
}

#[test]
fn one_server_after_the_other() {
    let servers = [address("192.0.2.8:1"), address("[2001:db8::1]:2"), here()];
    let token = token::make(&config(1, &servers)).expect("a token");
    let mut client = client(&token, 0);
    assert_eq!(client.peer(), servers[0]);
    // The first does not answer.
    assert!(matches!(client.handle_timeout(5 * SECOND), ClientEvent::Nothing));
    assert_eq!(client.peer(), servers[1]);
    // The second has no room: it has the key too, or it is the same process.
    let mut server = server();
    let mut request = sent(&mut client, 5 * SECOND);
    let mut denied = reply(server.handle(player(1), &mut request, false, UNIX_S, 0));
    assert!(matches!(client.handle(&mut denied, 5 * SECOND), ClientEvent::Nothing));
    assert_eq!(client.peer(), servers[2]);
    let now = 6 * SECOND;
    let mut challenge = reply(ask(&mut server, player(1), &sent(&mut client, now)));
    assert!(matches!(client.handle(&mut challenge, now), ClientEvent::Nothing));
    let response = sent(&mut client, now);
    let mut session = accepted(ask(&mut server, player(1), &response)).session;
    let mut alive = sealed(&mut session, Kind::KeepAlive, &KeepAlive::default().to_bytes());
    let ClientEvent::Connected(connected) = client.handle(&mut alive, now) else {
        panic!("not connected");
    };
    assert_eq!(connected.server, servers[2]);
}

/// Each server numbers what it sends by itself.
#[test]
fn what_the_last_server_has_sent_is_no_replay_of_it() {
    let token = token::make(&config(1, &[address("192.0.2.8:1"), here()])).expect("a token");
    let mut client = client(&token, 0);
    let mut early = sealed(&mut of_server(&token), Kind::Payload, b"x");
    assert_eq!(dropped(client.handle(&mut early, 0)), Reason::Unexpected);
    assert!(matches!(client.handle_timeout(5 * SECOND), ClientEvent::Nothing));
    let mut server = server();
    let now = 5 * SECOND;
    let mut challenge = reply(ask(&mut server, player(1), &sent(&mut client, now)));
    client.handle(&mut challenge, now);
    let response = sent(&mut client, now);
    let mut session = accepted(ask(&mut server, player(1), &response)).session;
    let mut alive = sealed(&mut session, Kind::KeepAlive, &[0; 8]);
    assert!(matches!(client.handle(&mut alive, now), ClientEvent::Connected(_)));
}

#[test]
fn the_last_failure_is_that_of_the_last_server() {
    let servers = [address("192.0.2.8:1"), here()];
    let token = token::make(&config(1, &servers)).expect("a token");
    let mut client = client(&token, 0);
    let mut denied = reply(server().handle(player(1), &mut sent(&mut client, 0), false, UNIX_S, 0));
    assert!(matches!(client.handle(&mut denied, 0), ClientEvent::Nothing));
    assert_eq!(failure(client.handle_timeout(5 * SECOND)), Failure::RequestTimeout);
}

#[test]
fn forged_challenges_change_nothing() {
    let (mut server, mut client) = (server(), client(&token(1), 0));
    let challenge = reply(ask(&mut server, player(1), &sent(&mut client, 0)));
    for bit in 0..challenge.len() * 8 {
        let mut wrong = challenge.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        dropped(client.handle(&mut wrong, 0));
    }
    for len in 0..challenge.len() {
        dropped(client.handle(&mut challenge[..len].to_vec(), 0));
    }
    assert_eq!(kind(&sent(&mut client, SECOND)), Kind::Request);
    assert!(matches!(client.handle(&mut challenge.clone(), SECOND), ClientEvent::Nothing));
    // The first challenge is what is answered.
    dropped(client.handle(&mut challenge.clone(), SECOND));
    assert_eq!(kind(&sent(&mut client, SECOND)), Kind::Response);
}
