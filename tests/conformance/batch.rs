//! Rule 5: a batch ends at the next poll. One lifetime for payloads and for dying handles.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::{End, Peer};
use crate::common::random::digest;
use crate::common::words::*;
use crate::common::{Setup, frame, suite, wait_for};
use sockeye::capi::conn::sockeye_conn;

suite! {
    each: payloads_outlive_their_connection, a_closed_one_answers_in_its_batch,
        reply_after_fin, long_reply_after_fin, no_reply_after_the_batch, what_does_not_fit_stays;
    threaded: payloads_are_not_touched_by_workers;
}

/// Waits for a batch that ends a connection, and gives the events to `look` while it lives.
fn batch_with_closed(
    host: &mut Host,
    conn: sockeye_conn,
    look: impl FnOnce(&crate::common::event::Batch<'_>),
) {
    let end = std::time::Instant::now() + crate::common::DEADLINE;
    loop {
        let batch = host.batch(2);
        let closed = |at: &usize| batch.kind(*at) == Kind::Closed && batch.raw[*at].conn == conn;
        if (0..batch.raw.len()).any(|at| closed(&at)) {
            return look(&batch);
        }
        assert!(std::time::Instant::now() < end, "not in time: CLOSED");
    }
}

/// Rule 5: the payloads of a batch stay as they are though their connection is closed, the
/// others go on sending, and the workers go on receiving.
pub fn payloads_outlive_their_connection(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peer, conn) = host.meet(door);
    let messages: Vec<Vec<u8>> = (0..40u8).map(|at| vec![at; 500 * usize::from(at)]).collect();
    let stream: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
    peer.put(&stream);
    let mut seen = 0;
    while seen < messages.len() {
        let batch = host.batch(2);
        // Closing ends the connection, not what was handed out of it.
        let last = seen + batch.raw.len() == messages.len();
        if last {
            assert_eq!(batch.net.close(conn, AT_ONCE), OK);
            assert_eq!(batch.net.send(conn, b"x"), ERR_CLOSED);
        }
        for at in 0..batch.raw.len() {
            assert!(batch.payload(at) == messages[seen], "message {seen}");
            seen += 1;
        }
    }
    assert_eq!(host.closed(conn).cause, HOST);
    host.finish();
}

/// Rule 5: while the host looks at a batch, workers that go on receiving write elsewhere.
pub fn payloads_are_not_touched_by_workers(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peers, _): (Vec<Peer>, Vec<_>) = (0..20).map(|_| host.meet(door)).unzip();
    for peer in &mut peers {
        peer.put(&frame(&[0xAA; 3000]));
    }
    let mut seen = 0;
    while seen < peers.len() {
        let batch = host.batch(2);
        seen += batch.raw.len();
        let digests = |batch: &crate::common::event::Batch<'_>| -> Vec<u64> {
            (0..batch.raw.len()).map(|at| digest(batch.payload(at))).collect()
        };
        let before = digests(&batch);
        let goal = batch.net.stats().received_bytes + 20 * 3004;
        for peer in &mut peers {
            peer.put(&frame(&[0x55; 3000]));
        }
        wait_for("bytes received behind the batch", || batch.net.stats().received_bytes >= goal);
        assert_eq!(digests(&batch), before);
        assert!((0..batch.raw.len()).all(|at| batch.payload(at).len() == 3000));
    }
    host.finish();
}

/// Rule 5: in the batch with its CLOSED a connection still tells its facts and takes nothing;
/// afterwards it is stale.
pub fn a_closed_one_answers_in_its_batch(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.user_data = 5);
    let (mut peer, conn) = host.meet(door);
    peer.put(b"12345");
    host.until("MESSAGE", |host| host.bytes(conn).len() == 5);
    let port = peer.address().port();
    peer.reset();
    batch_with_closed(&mut host, conn, |batch| {
        let info = batch.net.conn_info(conn).expect("facts of a dying one");
        assert_eq!((info.user_data, info.peer.port), (5, port));
        let stats = batch.net.conn_stats(conn).expect("counts of a dying one");
        assert_eq!((stats.received_bytes, stats.received_messages), (5, 1));
        assert_eq!(batch.net.send(conn, b"x"), ERR_CLOSED);
        assert_eq!(batch.net.close(conn, GRACEFUL), ERR_CLOSED);
        assert_eq!(batch.net.close(conn, AT_ONCE), ERR_CLOSED);
    });
    host.step(0);
    assert_eq!(host.net.conn_info(conn).err(), Some(ERR_STALE));
    assert_eq!(host.net.conn_stats(conn).err(), Some(ERR_STALE));
    assert_eq!(host.net.send(conn, b"x"), ERR_STALE);
    host.finish();
}

/// Rule 5: `printf x | nc`: after the peer's FIN a reply is taken while the batch with the
/// CLOSED lives, and it arrives.
pub fn reply_after_fin(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    peer.put(b"x");
    peer.fin();
    batch_with_closed(&mut host, conn, |batch| {
        assert_eq!(batch.net.send(conn, b"one, "), OK);
        assert_eq!(batch.net.send(conn, b"two"), OK);
    });
    assert_eq!(host.bytes(conn), b"x");
    assert_eq!(host.read_to_end(&mut peer), (b"one, two".to_vec(), End::Fin));
    host.finish();
}

/// Rule 5: also a long one, to a peer that takes its time.
pub fn long_reply_after_fin(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.send_buffer_bytes = 16 * 1024);
    let (mut peer, conn) = host.meet(door);
    peer.fin();
    let reply: Vec<u8> = (0..1_000_000u32).map(|at| (at % 253) as u8).collect();
    batch_with_closed(&mut host, conn, |batch| {
        assert_eq!(batch.net.send(conn, &reply), OK);
    });
    let (arrived, end) = host.read_to_end(&mut peer);
    assert!(arrived == reply, "{} bytes", arrived.len());
    assert_eq!(end, End::Fin);
    host.finish();
}

/// Rule 5: nothing is taken behind that batch, and the peer sees the end.
pub fn no_reply_after_the_batch(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    peer.fin();
    assert_eq!(host.closed(conn).cause, PEER);
    host.step(0);
    assert_eq!(host.net.send(conn, b"late"), ERR_STALE);
    assert_eq!(host.read_to_end(&mut peer), (vec![], End::Fin));
    host.until("the slot is free", |host| host.net.stats().connections == 0);
    host.finish();
}

/// What does not fit into the host's array stays, in order: an array of one shows the same.
pub fn what_does_not_fit_stays(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u16be");
    let mut peer = Peer::connect(door.port);
    let words: Vec<Vec<u8>> = (0..100u8).map(|at| vec![at; 10]).collect();
    for word in &words {
        peer.put(&[&[0, 10], &word[..]].concat());
    }
    peer.fin();
    let end = std::time::Instant::now() + crate::common::DEADLINE;
    while host.count(Kind::Closed) == 0 {
        assert!(host.step_queue(0, 1, 2) <= 1);
        assert!(std::time::Instant::now() < end, "not in time: CLOSED");
    }
    let conn = host.log[0].conn;
    assert_eq!(host.messages(conn), words);
    assert_eq!(host.log.len(), 102);
    host.finish();
}
