//! Faults of the network and of other programs: a port that somebody has, a peer that goes in the
//! middle of a send, a shutdown in the middle of everything.

use super::connect::black_hole;
use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::net::last_error;
use crate::common::peer::Peer;
use crate::common::process::{limit_descriptors, resets};
use crate::common::words::*;
use crate::common::{Setup, child, suite};
use socket2::{Domain, SockAddr, Socket, Type};
use sockeye::capi::conn::sockeye_conn;
use std::net::{SocketAddr, TcpListener, UdpSocket};

suite! {
    each: a_port_of_another_program, nobody_takes_a_port_away, resets_with_sends_in_flight,
        shutdown_in_the_middle_of_everything;
}

/// Who has the port is reported as what it is, and it can be had when it is free.
pub fn a_port_of_another_program(setup: Setup) {
    let mut host = setup.host();
    let other = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("tcp://{}", other.local_addr().expect("it is bound"));
    for _ in 0..3 {
        assert_eq!(host.net.listen(&url, None).err(), Some(ERR_BUSY));
        assert!(!last_error().is_empty());
    }
    drop(other);
    let door = host.door_at(&url, |_| {});
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    let other = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("udp://{}", other.local_addr().expect("it is bound"));
    assert_eq!(host.net.listen(&url, None).err(), Some(ERR_BUSY));
    drop(other);
    host.door_at(&url, |_| {});
    host.finish();
}

/// A listener's port stays its own, also where a program asks to share it.
pub fn nobody_takes_a_port_away(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let address = SockAddr::from(SocketAddr::from(([127, 0, 0, 1], door.port)));
    let thief = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    thief.set_reuse_address(true).expect("an option");
    let taken = thief.bind(&address).and_then(|()| thief.listen(1));
    assert!(taken.is_err(), "two listen on one port");
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// Sends until nothing is taken any more; how many bytes were.
fn choke(host: &mut Host, conn: sockeye_conn) -> u64 {
    let mut taken = 0;
    host.until("a full outbox", |host| match host.net.send(conn, &[7; 16 * 1024]) {
        OK => {
            taken += 16 * 1024;
            false
        }
        status => {
            assert_eq!(status, ERR_AGAIN);
            // Full also for the worker: what it could send is gone.
            host.net.conn_stats(conn).is_ok_and(|stats| stats.outbox_bytes > 0)
        }
    });
    taken
}

/// Peers that reset while a send of theirs is in flight and more waits: each is reported once, with
/// what was not sent, and nothing is left of it.
pub fn resets_with_sends_in_flight(setup: Setup) {
    const PEERS: usize = 12;
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.outbox_max_bytes = 256 * 1024;
        endpoint.send_buffer_bytes = 16 * 1024;
        endpoint.linger_ms = 200;
    });
    let (peers, conns): (Vec<Peer>, Vec<_>) = (0..PEERS).map(|_| host.meet(door)).unzip();
    let taken: Vec<u64> = conns.iter().map(|&conn| choke(&mut host, conn)).collect();
    peers.into_iter().for_each(Peer::reset);
    for (&conn, taken) in conns.iter().zip(taken) {
        let closed = host.closed(conn);
        // A system that ends what it should reset leaves it to a send to find out.
        let ended = !resets() && closed.cause == PEER;
        assert!(closed.cause == RESET || ended, "{closed:?}");
        assert!(closed.detail > 0 && closed.detail <= taken, "{} of {taken}", closed.detail);
        assert_eq!(host.events_of(conn).filter(|event| event.kind == Kind::Closed).count(), 1);
    }
    host.until("free slots", |host| host.net.stats().connections == 0);
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// Hundreds of receives, sends that nobody takes, connects that nobody answers, accepts and
/// datagrams: all in flight when the net is shut down at once. Each connection is reported once.
pub fn shutdown_in_the_middle_of_everything(setup: Setup) {
    const CONNS: usize = 300;
    let most = setup.sockets_max() as usize;
    let conns = if setup.holds(CONNS as u32 + 16) { CONNS } else { most - 16 };
    child::alone(setup, || {
        limit_descriptors(4096);
        let mut host = setup.host();
        let door = host.door_with("", |endpoint| {
            endpoint.send_buffer_bytes = 16 * 1024;
            endpoint.outbox_max_bytes = 64 * 1024;
        });
        for _ in 0..3 {
            host.door("");
            host.door_at("udp://127.0.0.1:0", |_| {});
        }
        let peers: Vec<Peer> = (0..conns).map(|_| Peer::connect(door.port)).collect();
        host.until("OPENED of each", |host| host.count(Kind::Opened) == conns);
        let opened: Vec<sockeye_conn> = host.log.iter().map(|event| event.conn).collect();
        for &conn in opened.iter().step_by(10) {
            choke(&mut host, conn);
        }
        let hole = black_hole();
        for _ in 0..5 {
            host.connect(&hole.url);
        }
        host.step(0);
        assert_eq!(host.net.shutdown(0), OK);
        host.drain();
        let closed = host.log.iter().filter(|event| event.kind == Kind::Closed);
        let causes: Vec<i32> = closed.map(|event| event.cause).collect();
        assert_eq!(causes, vec![SHUTDOWN; conns + 5]);
        assert_eq!(host.count(Kind::ListenerClosed), 7);
        assert_eq!(host.net.info().threads, 0);
        host.finish();
        drop(peers);
    });
}
