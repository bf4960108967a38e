//! Who is let in at a `game://` listener: connect tokens of a backend; and players whose address
//! changes.

use super::lanes::{Relay, accepted, address, meet_over};
use crate::common::event::{Event, Kind};
use crate::common::host::{Door, Host};
use crate::common::lanes::lanes;
use crate::common::net::{self, last_error};
use crate::common::words::*;
use crate::common::{Setup, endpoint, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_endpoint;
use sockeye::capi::lanes::{SOCKEYE_TOKEN_BYTES, sockeye_lanes};
use sockeye::capi::token::{sockeye_token_config, sockeye_token_config_init, sockeye_token_make};
use std::mem::MaybeUninit;

suite! {
    each: a_token_of_a_backend, a_token_is_used_once, a_token_that_is_over, another_key,
        a_full_server, few_of_one_address, a_player_that_moves, an_eavesdropper;
}

const KEY: [u8; 32] = [0x5a; 32];
const PROTOCOL: u64 = 0x0123_4567_89ab_cdef;
const TOKEN_BYTES: usize = SOCKEYE_TOKEN_BYTES as usize;

/// A token for a door.
fn token(door: Door, change: impl FnOnce(&mut sockeye_token_config)) -> Box<[u8; TOKEN_BYTES]> {
    let server = net::address(address(door));
    let mut config = MaybeUninit::<sockeye_token_config>::zeroed();
    let mut out = Box::new([0; TOKEN_BYTES]);
    // SAFETY: the struct is plain numbers and pointers, writable, its size is given, and what it
    // points to lives until the call is over.
    unsafe {
        let size = size_of::<sockeye_token_config>();
        assert_eq!(sockeye_token_config_init(config.as_mut_ptr(), size), OK);
        let mut config = config.assume_init();
        (config.key, config.protocol_id, config.client_id) = (KEY, PROTOCOL, 77);
        (config.addresses, config.addresses_count) = (&server, 1);
        (config.user_data, config.user_data_len) = (b"player seven".as_ptr().cast(), 12);
        change(&mut config);
        assert_eq!(sockeye_token_make(&config, out.as_mut_ptr()), OK);
    }
    out
}

fn door_with(host: &mut Host, change: impl FnOnce(&mut sockeye_lanes)) -> Door {
    let with = lanes(|lanes| {
        (lanes.token_key, lanes.protocol_id) = (KEY.as_ptr(), PROTOCOL);
        change(lanes);
    });
    host.door_at("game://127.0.0.1:0", |endpoint| endpoint.lanes = &with)
}

/// Begins a connection with a token.
fn connect(host: &mut Host, token: &[u8; TOKEN_BYTES], timeout_ms: u32) -> sockeye_conn {
    let with = lanes(|lanes| lanes.token = token.as_ptr());
    host.connect_with("game://", |endpoint| {
        (endpoint.lanes, endpoint.connect_timeout_ms) = (&with, timeout_ms);
    })
}

fn opened(host: &Host, conn: sockeye_conn) -> Option<&Event> {
    host.events_of(conn).find(|event| event.kind == Kind::Opened)
}

/// The server learns what the backend says of a player, and the ends are not open to anybody.
pub fn a_token_of_a_backend(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let conn = connect(&mut host, &token(door, |_| {}), 5000);
    host.until("both ends", |host| opened(host, conn).is_some() && accepted(host, door).len() == 1);
    let other = accepted(&host, door)[0];
    let said = opened(&host, other).expect("it is open").data.clone();
    assert_eq!((said.len(), &said[..12]), (256, &b"player seven"[..]));
    assert!(said[12..].iter().all(|byte| *byte == 0));
    assert_eq!(host.net.lanes_info(conn).expect("it lives").open, 0);
    assert_eq!(host.net.send(conn, b"hello"), OK);
    host.await_messages(other, 1);
    host.finish();
}

/// A second connection with a token that has opened one is not answered.
pub fn a_token_is_used_once(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let token = token(door, |_| {});
    let first = connect(&mut host, &token, 5000);
    host.until("OPENED", |host| opened(host, first).is_some());
    let second = connect(&mut host, &token, 500);
    assert_eq!(host.closed(second).cause, TIMEOUT_CONNECT);
    assert_eq!(accepted(&host, door).len(), 1);
    assert!(!host.is_closed(first));
    host.finish();
}

/// A token is good for as long as it says, by the clock of who has it.
pub fn a_token_that_is_over(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    // Nobody is there, so that it is waited for.
    let gone = host.net.listener_close(door.listener);
    assert_eq!(gone, OK);
    host.until("it is closed", |host| host.count(Kind::ListenerClosed) == 1);
    let conn = connect(&mut host, &token(door, |config| config.expire_s = 1), 10_000);
    assert_eq!(host.closed(conn).cause, TOKEN_EXPIRED);
    host.finish();
}

/// What another backend has made opens nothing, and what is no token is refused in words.
pub fn another_key(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let conn = connect(&mut host, &token(door, |config| config.key = [1; 32]), 500);
    assert_eq!(host.closed(conn).cause, TIMEOUT_CONNECT);
    let conn = connect(&mut host, &token(door, |config| config.protocol_id = 1), 500);
    assert_eq!(host.closed(conn).cause, TIMEOUT_CONNECT);
    assert_eq!(accepted(&host, door), []);
    let nothing = [7; TOKEN_BYTES];
    let with = lanes(|lanes| lanes.token = nothing.as_ptr());
    let endpoint = endpoint(|endpoint| endpoint.lanes = &with);
    assert!(host.net.connect("game://", Some(&endpoint)).is_err());
    assert!(last_error().contains("no connect token"), "{}", last_error());
    host.finish();
}

/// A server without a place says so.
pub fn a_full_server(setup: Setup) {
    let mut host = setup.host_with(|config| config.connections_max = 4);
    let door = door_with(&mut host, |_| {});
    let first = connect(&mut host, &token(door, |_| {}), 5000);
    host.until("OPENED", |host| opened(host, first).is_some() && accepted(host, door).len() == 1);
    let mut raw = setup.host();
    let other = token(door, |config| config.client_id = 78);
    let second = connect(&mut raw, &other, 5000);
    raw.until("it is told", |raw| {
        host.step(0);
        raw.is_closed(second)
    });
    assert_eq!(raw.closed(second).cause, FULL);
    raw.finish();
    host.finish();
}

/// The listener's guard bounds how many come in of one address.
pub fn few_of_one_address(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("game://127.0.0.1:0?token=open&per_address=1", |_| {});
    let url = format!("game://127.0.0.1:{}?token=open", door.port);
    let first = host.connect(&url);
    host.until("OPENED", |host| opened(host, first).is_some() && accepted(host, door).len() == 1);
    let soon = |endpoint: &mut sockeye_endpoint| endpoint.connect_timeout_ms = 500;
    let second = host.connect_with(&url, soon);
    assert_eq!(host.closed(second).cause, TIMEOUT_CONNECT);
    assert_eq!(host.net.close(first, GRACEFUL), OK);
    host.closed(first);
    host.until("it has left", |host| host.count(Kind::Closed) == 3);
    // Its place is free when the batch with its CLOSED is over.
    let mut third = host.connect_with(&url, soon);
    host.until("OPENED again", |host| {
        if host.is_closed(third) {
            third = host.connect_with(&url, soon);
        }
        opened(host, third).is_some() && accepted(host, door).len() == 2
    });
    assert_eq!(accepted(&host, door).len(), 2);
    host.finish();
}

/// A player whose packets come from another address goes on, and the server's host is told.
pub fn a_player_that_moves(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("game://127.0.0.1:0?token=open", |_| {});
    let mut relay = Relay::to(address(door));
    let (conn, other) = meet_over(&mut host, door, &mut relay, |_| {});
    assert_eq!(host.net.send(conn, b"before"), OK);
    host.until("it comes", |host| {
        relay.pass();
        host.messages(other).len() == 1
    });
    let before = host.net.conn_info(other).expect("it lives").peer;
    relay.moves();
    assert_eq!(host.net.send(conn, b"behind"), OK);
    host.until("MIGRATED, and the message", |host| {
        relay.pass();
        let moved = host.kinds_of(other).contains(&Kind::Migrated);
        moved && host.messages(other).len() == 2
    });
    let now = host.net.conn_info(other).expect("it lives").peer;
    assert_ne!((now.port, now.bytes), (before.port, before.bytes));
    assert_eq!(host.net.send(other, b"back"), OK);
    host.until("the way back", |host| {
        relay.pass();
        host.messages(conn).len() == 1
    });
    assert!(!host.is_closed(conn) && !host.is_closed(other));
    drop(relay);
    host.finish();
}

/// Who is on the path and changes, cuts, repeats or swaps packets gets nothing in, and takes
/// nothing away.
pub fn an_eavesdropper(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("game://127.0.0.1:0?token=open", |_| {});
    let mut relay = Relay::to(address(door));
    let (conn, other) = meet_over(&mut host, door, &mut relay, |_| {});
    for number in 0..60_u8 {
        assert_eq!(host.net.send(conn, &[number; 40]), OK);
        assert_eq!(host.net.send(other, &[number; 40]), OK);
    }
    let mut count = 0_usize;
    host.until("all of it", |host| {
        relay.pass_with(|bytes| {
            count += 1;
            let mut all = vec![bytes.clone()];
            match count % 4 {
                // A bit is changed in one copy, and another one is cut.
                0 => {
                    let mut changed = bytes.clone();
                    let at = count * 7 % changed.len();
                    changed[at] ^= 1 << (count % 8);
                    all.insert(0, changed);
                    all.push(bytes[..bytes.len() - 1].to_vec());
                }
                1 => all.push(bytes),
                // It is lost.
                2 if count % 8 == 2 => all.clear(),
                _ => {}
            }
            all
        });
        host.messages(other).len() == 60 && host.messages(conn).len() == 60
    });
    for conn in [conn, other] {
        for (number, message) in host.messages(conn).iter().enumerate() {
            assert_eq!(*message, [number as u8; 40]);
        }
        assert!(!host.is_closed(conn));
    }
    host.finish();
}
