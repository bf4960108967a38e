//! Listening: ports that cannot be had, peers that wait to be accepted, descriptors that are used
//! again.

use crate::common::event::{Event, Kind};
use crate::common::host::Host;
use crate::common::net::last_error;
use crate::common::peer::{End, Peer};
use crate::common::words::*;
use crate::common::{Setup, frame, suite};
use sockeye::capi::conn::sockeye_conn;
use std::collections::HashMap;

suite! {
    each: a_port_in_use, a_foreign_address, ports_of_the_systems_choice,
        callers_wait_for_the_host, a_descriptor_used_again_is_another;
}

/// What is left of a refused listen: words, and no event ever.
fn is_refused(host: &mut Host, url: &str, status: i32) {
    assert_eq!(host.net.listen(url, None).err(), Some(status), "{url}");
    assert!(!last_error().is_empty(), "{url}: refused in words");
}

/// The first door lives on, and its port is free once it has closed.
pub fn a_port_in_use(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let url = format!("tcp://127.0.0.1:{}", door.port);
    (0..3).for_each(|_| is_refused(&mut host, &url, ERR_BUSY));
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    let again = host.door_at(&url, |_| {});
    host.meet(again);
    assert_eq!(host.count(Kind::ListenerClosed), 1, "the refused ones had no event");
    host.finish();
}

/// 198.51.100.0/24 is for documents (RFC 5737) and nobody's own.
pub fn a_foreign_address(setup: Setup) {
    let mut host = setup.host();
    is_refused(&mut host, "tcp://198.51.100.77:0", ERR_OS);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    assert_eq!(host.count(Kind::ListenerClosed), 0);
    host.finish();
}

/// Port 0, also several times: each gets a port of its own, told at once.
pub fn ports_of_the_systems_choice(setup: Setup) {
    let mut host = setup.host();
    let doors: Vec<_> = (0..5).map(|_| host.door("")).collect();
    let mut ports: Vec<u16> = doors.iter().map(|door| door.port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 5, "{ports:?}");
    for door in doors {
        let (mut peer, conn) = host.meet(door);
        host.turn_over(&mut peer, conn);
    }
    host.finish();
}

/// Peers that connect, speak and leave before the host polls for the first time: each is reported
/// whole and in order, whoever accepted them when.
pub fn callers_wait_for_the_host(setup: Setup) {
    const CALLERS: u8 = 40;
    if !setup.holds(1 + u32::from(CALLERS)) {
        return;
    }
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let mut stay = Vec::new();
    for number in 0..CALLERS {
        let mut peer = Peer::connect(door.port);
        peer.put(&frame(&[number]));
        peer.put(&frame(&[number, number]));
        if number % 2 == 0 {
            stay.push(peer);
        }
    }
    host.until("all of them", |host| {
        let [messages, ends] = [Kind::Message, Kind::Closed].map(|kind| host.count(kind));
        messages == 2 * usize::from(CALLERS) && ends == usize::from(CALLERS / 2)
    });
    let opened = host.log.iter().filter(|event| event.kind == Kind::Opened);
    let conns: Vec<sockeye_conn> = opened.map(|event| event.conn).collect();
    assert_eq!(conns.len(), usize::from(CALLERS));
    for &conn in &conns {
        let number = host.messages(conn)[0][0];
        assert_eq!(host.messages(conn), [&[number][..], &[number, number]]);
        assert_eq!(host.is_closed(conn), number % 2 == 1, "caller {number}");
    }
    for conn in conns.into_iter().filter(|&conn| !host.is_closed(conn)).collect::<Vec<_>>() {
        assert_eq!(host.net.close(conn, GRACEFUL), OK);
    }
    for peer in &mut stay {
        assert_eq!(host.read_to_end(peer), (vec![], End::Fin));
    }
    drop(stay);
    host.until("the ends", |host| host.count(Kind::Closed) == usize::from(CALLERS));
    host.finish();
}

/// Connections are reset with bytes on their way while new ones come, so that the system gives
/// the same descriptors again at once: what is told of one is of its own peer.
pub fn a_descriptor_used_again_is_another(setup: Setup) {
    const ROUNDS: u32 = 200;
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let mut owners: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut peers = Vec::new();
    for round in 0..ROUNDS {
        for at in 0..4u32 {
            let mut peer = Peer::connect(door.port);
            (0..3).for_each(|_| peer.put(&frame(&(4 * round + at).to_be_bytes())));
            peers.push(peer);
        }
        let before = host.log.len();
        host.until("a message", |host| {
            host.log[before..].iter().any(|event| event.kind == Kind::Message)
        });
        for event in host.log.drain(..).collect::<Vec<Event>>() {
            match event.kind {
                Kind::Message => {
                    let owner = owners.entry(event.conn.id).or_insert(event.data.clone());
                    assert_eq!(owner, &event.data, "round {round}: of another peer");
                    // The rest of its bytes is on its way.
                    let status = host.net.close(event.conn, AT_ONCE);
                    assert!([OK, ERR_CLOSED].contains(&status), "{status}");
                }
                Kind::Closed => assert!([HOST, RESET, PEER].contains(&event.cause), "{event:?}"),
                _ => {}
            }
        }
        if peers.len() > 12 {
            peers.drain(..8);
        }
    }
    let mut numbers: Vec<Vec<u8>> = owners.into_values().collect();
    let known = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), known, "each number has one connection");
    assert!(known >= ROUNDS as usize, "{known}");
    host.finish();
}
