//! Large and many writes: to a peer that never reads, one behind the other, back again, and until
//! the very end.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::peer::End;
use crate::common::random::{Random, digest};
use crate::common::words::*;
use crate::common::{Setup, frame, suite, unframe};

suite! {
    each: ten_thousand_to_a_silent_peer, one_byte_behind_ten_megabytes, a_lot_there_and_back,
        again_and_again_until_the_shutdown;
}

/// A door whose connections may owe 16 MB over a small buffer of the system's.
fn wide_door(host: &mut Host) -> Door {
    host.door_with("?frame=u32be&max=12000000", |endpoint| {
        endpoint.send_buffer_bytes = 16 * 1024;
        endpoint.outbox_max_bytes = 16 << 20;
        endpoint.linger_ms = 20_000;
    })
}

/// Ten thousand messages of a kilobyte to a peer that reads nothing. Each is taken or refused;
/// after a reset the taken ones are counted to the byte, sent and unsent.
pub fn ten_thousand_to_a_silent_peer(setup: Setup) {
    let mut host = setup.host();
    let door = wide_door(&mut host);
    let (_peer, conn) = host.meet(door);
    let message = [9; 1024];
    let mut taken = 0;
    for number in 0..10_000 {
        match host.net.send(conn, &message) {
            OK => taken += 1,
            status => assert_eq!(status, ERR_AGAIN, "message {number}"),
        }
        if number % 100 == 0 {
            host.step(0);
        }
    }
    assert_eq!(host.net.flush(), OK);
    assert!(taken > 1000, "{taken} taken");
    host.rests();
    let before = host.net.conn_stats(conn).expect("it lives");
    assert!(before.outbox_bytes > 0, "a peer that never reads took all");
    assert_eq!(before.sent_bytes + before.outbox_bytes, taken * 1028);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (HOST, before.outbox_bytes));
    assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Closed]);
    host.finish();
}

/// A small message behind a large one that is stuck: both are counted while they wait, and
/// arrive in order.
pub fn one_byte_behind_ten_megabytes(setup: Setup) {
    let mut host = setup.host();
    let door = wide_door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let large = Random::new(25).bytes(10 << 20);
    assert_eq!(host.net.send(conn, &large), OK);
    assert_eq!(host.net.send(conn, b"!"), OK);
    assert_eq!(host.net.flush(), OK);
    host.rests();
    let stats = host.net.conn_stats(conn).expect("it lives");
    let all = (large.len() + 4 + 5) as u64;
    assert_eq!(stats.sent_bytes + stats.outbox_bytes, all);
    assert!(stats.outbox_messages >= 1 && stats.outbox_bytes > 5, "the large one is stuck");
    let arrived = host.read(&mut peer, all as usize);
    let messages = unframe(&arrived);
    assert_eq!(messages.len(), 2);
    assert!(messages[0] == large && messages[1] == b"!");
    host.sent(conn);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    assert_eq!(host.read_to_end(&mut peer), (vec![], End::Fin));
    drop(peer);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (HOST, 0));
    host.finish();
}

/// Every byte of many comes back, and nothing is owed at the end.
pub fn a_lot_there_and_back(setup: Setup) {
    const ALL: usize = 24 << 20;
    let mut host = setup.host();
    let door = wide_door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let block = frame(&Random::new(26).bytes(60_000));
    let sent: Vec<u8> =
        block.iter().copied().cycle().take(ALL / block.len() * block.len()).collect();
    let (mut at, mut back, mut echoed) = (0, Vec::new(), 0);
    host.until("all of it", |host| {
        // What is on its way stays far below what the outbox may hold.
        let room = (back.len() + (4 << 20)).min(sent.len());
        at += peer.offer(&sent[at..room.max(at)]);
        while echoed < host.log.len() {
            if host.log[echoed].kind == Kind::Message {
                let data = std::mem::take(&mut host.log[echoed].data);
                assert_eq!(host.net.send(conn, &data), OK);
            }
            echoed += 1;
        }
        peer.has(usize::MAX);
        back.append(&mut peer.got);
        back.len() >= sent.len()
    });
    assert_eq!((back.len(), digest(&back)), (sent.len(), digest(&sent)));
    // The peer may have it before it is reported on this side.
    host.sent(conn);
    let stats = host.net.conn_stats(conn).expect("it lives");
    assert_eq!((stats.sent_bytes, stats.outbox_bytes), (sent.len() as u64, 0));
    assert_eq!(stats.received_bytes, sent.len() as u64);
    host.finish();
}

/// A host that sends whenever there is room, until it shuts down in the middle of it: what was
/// taken arrives whole, then the end, once.
pub fn again_and_again_until_the_shutdown(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.send_buffer_bytes = 16 * 1024;
        endpoint.outbox_max_bytes = 64 * 1024;
    });
    let (peer, conn) = host.meet(door);
    let reader = std::thread::spawn(move || {
        let (mut stream, mut all) = (peer.into_stream(), Vec::new());
        std::io::Read::read_to_end(&mut stream, &mut all).map(|_| all)
    });
    let mut taken = 0u32;
    host.until("several refusals", |host| {
        let mut message = [1; 2000];
        loop {
            message[..4].copy_from_slice(&taken.to_be_bytes());
            match host.net.send(conn, &message) {
                OK => taken += 1,
                status => break assert_eq!(status, ERR_AGAIN),
            }
        }
        host.count(Kind::Writable) >= 5
    });
    assert!(taken >= 100, "{taken}");
    assert_eq!(host.net.shutdown(20_000), OK);
    assert_eq!(host.closed(conn).cause, SHUTDOWN);
    let arrived = reader.join().expect("no panic").expect("an orderly end");
    let numbers: Vec<u32> = unframe(&arrived)
        .iter()
        .map(|message| u32::from_be_bytes(message[..4].try_into().expect("four bytes")))
        .collect();
    assert_eq!(numbers, (0..taken).collect::<Vec<u32>>(), "all that was taken, in order");
    host.finish();
}
