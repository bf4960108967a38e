//! A host: polls its net, keeps what was reported, and checks the rules of every event.

use super::event::{Batch, Event, Kind};
use super::net::{Net, last_error};
use super::peer::{End, Peer};
use super::rules::Rules;
use super::veil;
use super::words::{ERR_CLOSED, ERR_SHUTDOWN, FRAMING_RAW, OK};
use super::{DEADLINE, endpoint};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_endpoint;
use sockeye::capi::listener::sockeye_listener;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events that one poll has room for.
const CAP: usize = 256;
/// How long a step of waiting waits in poll.
const STEP_MS: i32 = 2;

/// A listener and its port.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub listener: sockeye_listener,
    pub port: u16,
}

pub struct Host {
    /// Shared with threads that call; only the host polls.
    pub net: Arc<Net>,
    /// Everything told so far, in order.
    pub log: Vec<Event>,
    /// Whether every message is sent back.
    pub echo: bool,
    rules: Rules,
    /// For each queue: poll has answered ERR_SHUTDOWN.
    ended: Vec<bool>,
}

/// Whether these make messages; the URL has precedence.
fn is_framed(url: &str, endpoint: &sockeye_endpoint) -> bool {
    match url.split_once("frame=") {
        // A transport has messages of its own.
        _ if url.starts_with("udp:") => sockeye::engine::carrier_of_tests().is_some(),
        _ if ["ws", "any:", "game:"].iter().any(|it| url.starts_with(it)) => true,
        Some((_, form)) => !form.starts_with("raw"),
        None => endpoint.framing.kind != FRAMING_RAW,
    }
}

impl Host {
    pub fn new(net: Net) -> Host {
        let queues = net.info().queues as usize;
        let ended = vec![false; queues];
        Host { net: Arc::new(net), log: Vec::new(), echo: false, rules: Rules::default(), ended }
    }

    /// A listener on 127.0.0.1, any port, with `query` behind it.
    pub fn door(&mut self, query: &str) -> Door {
        self.door_with(query, |_| {})
    }

    pub fn door_with(&mut self, query: &str, change: impl FnOnce(&mut sockeye_endpoint)) -> Door {
        self.door_at(&format!("tcp://127.0.0.1:0{query}"), change)
    }

    pub fn door_at(&mut self, url: &str, change: impl FnOnce(&mut sockeye_endpoint)) -> Door {
        let endpoint = endpoint(change);
        let listener = self
            .net
            .listen(url, Some(&endpoint))
            .unwrap_or_else(|status| panic!("a door at {url}: {status}, {}", last_error()));
        self.rules.listening(listener.id);
        self.rules.framing(listener.id, is_framed(url, &endpoint));
        let info = self.net.listener_info(listener).expect("a door has a port");
        assert!(info.port != 0 || url.starts_with("unix:"), "a bound port");
        Door { listener, port: info.port as u16 }
    }

    pub fn connect(&mut self, url: &str) -> sockeye_conn {
        self.connect_with(url, |_| {})
    }

    pub fn connect_with(
        &mut self,
        url: &str,
        change: impl FnOnce(&mut sockeye_endpoint),
    ) -> sockeye_conn {
        let endpoint = endpoint(change);
        let conn = self.net.connect(url, Some(&endpoint)).expect("a connect begins");
        let info = self.net.conn_info(conn).expect("a connecting one is known");
        self.rules.connecting(conn.id, info.queue);
        self.rules.framing(conn.id, is_framed(url, &endpoint));
        conn
    }

    /// Gives a connection that stands between two messages another framing.
    pub fn reframe(&mut self, conn: sockeye_conn, endpoint: &sockeye_endpoint, unread: &[u8]) {
        assert_eq!(self.net.configure(conn, endpoint, unread), OK, "{}", last_error());
        self.rules.framing(conn.id, is_framed("", endpoint));
    }

    /// A move that was asked for.
    pub fn expect_move(&mut self, conn: sockeye_conn, queue: u32) {
        self.rules.moving(conn.id, queue);
    }

    /// Asks for a move.
    pub fn move_to(&mut self, conn: sockeye_conn, queue: u32) {
        self.expect_move(conn, queue);
        assert_eq!(self.net.set_queue(conn, queue), OK);
    }

    /// Moves a connection and waits until that is reported on its new queue.
    pub fn moved_to(&mut self, conn: sockeye_conn, queue: u32) {
        let before = self.log.len();
        self.move_to(conn, queue);
        self.until("MOVED on the new queue", |host| {
            let mut events = host.log[before..].iter();
            events.any(|it| (it.kind, it.conn, it.queue) == (Kind::Moved, conn, queue))
        });
    }

    /// What another thread opened, on queue 0; nothing of it was told yet.
    pub fn got(&mut self, conns: &[sockeye_conn], doors: &[sockeye_listener]) {
        conns.iter().for_each(|conn| self.rules.connecting(conn.id, 0));
        doors.iter().for_each(|door| self.rules.listening(door.id));
    }

    /// A raw peer and the connection that the host got for it.
    pub fn meet(&mut self, door: Door) -> (Peer, sockeye_conn) {
        let before = self.log.len();
        let peer = Peer::connect(door.port);
        let mut conn = None;
        let port = peer.address().port();
        self.until("OPENED of a new peer", |host| {
            let of_it = |event: &&Event| {
                event.kind == Kind::Opened
                    && event.listener == door.listener
                    && host.net.conn_info(event.conn).is_ok_and(|info| info.peer.port == port)
            };
            conn = host.log[before..].iter().find(of_it).map(|event| event.conn);
            conn.is_some() && peer.is_open()
        });
        (peer, conn.expect("just found"))
    }

    /// Polls each queue once, waiting up to `timeout_ms` on the first. Returns how many events.
    pub fn step(&mut self, timeout_ms: i32) -> usize {
        let before = self.log.len();
        for queue in 0..self.ended.len() {
            let timeout = if queue == 0 { timeout_ms } else { 0 };
            self.step_queue(queue as u32, CAP, timeout);
        }
        self.log.len() - before
    }

    /// Polls one queue once. Returns how many events.
    pub fn step_queue(&mut self, queue: u32, cap: usize, timeout_ms: i32) -> usize {
        match self.try_step(queue, cap, timeout_ms) {
            Ok(count) => count,
            Err(ERR_SHUTDOWN) => {
                self.ended[queue as usize] = true;
                0
            }
            Err(status) => panic!("poll answered {status}"),
        }
    }

    /// Polls one queue once; the answer, also when it is a refusal.
    pub fn try_step(&mut self, queue: u32, cap: usize, timeout_ms: i32) -> Result<usize, i32> {
        veil::open_all();
        // SAFETY: earlier batches are gone: each borrows the whole host.
        let events = unsafe { self.net.poll(queue, cap, timeout_ms) }?.events();
        self.rules.look(&events);
        let count = events.len();
        for event in events {
            if self.echo && event.kind == Kind::Message {
                let status = self.net.send(event.conn, &event.data);
                assert!(status == OK || status == ERR_CLOSED, "the echo was answered {status}");
            }
            self.log.push(event);
        }
        Ok(count)
    }

    /// One batch of queue 0 to look at while it lives, also noted in the log.
    pub fn batch(&mut self, timeout_ms: i32) -> Batch<'_> {
        // SAFETY: earlier batches are gone: each borrows the whole host.
        let batch = unsafe { self.net.poll(0, CAP, timeout_ms) }.expect("poll answers");
        let events = batch.events();
        self.rules.look(&events);
        self.log.extend(events);
        batch
    }

    /// Polls until something is so; panics with `what` when it does not come in time.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Host) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !done(self) {
            if Instant::now() > end {
                let last = &self.log[self.log.len().saturating_sub(5)..];
                panic!("not in time: {what}; {} events, last {last:?}", self.log.len());
            }
            self.step(STEP_MS);
        }
    }

    pub fn events_of(&self, conn: sockeye_conn) -> impl Iterator<Item = &Event> {
        self.log.iter().filter(move |event| event.conn == conn)
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.log.iter().filter(|event| event.kind == kind).count()
    }

    pub fn kinds_of(&self, conn: sockeye_conn) -> Vec<Kind> {
        self.events_of(conn).map(|event| event.kind).collect()
    }

    /// The payloads of a connection's messages.
    pub fn messages(&self, conn: sockeye_conn) -> Vec<&[u8]> {
        let messages = self.events_of(conn).filter(|event| event.kind == Kind::Message);
        messages.map(|event| event.data.as_slice()).collect()
    }

    /// The bytes of a connection's messages, one behind the other.
    pub fn bytes(&self, conn: sockeye_conn) -> Vec<u8> {
        self.messages(conn).concat()
    }

    pub fn is_closed(&self, conn: sockeye_conn) -> bool {
        self.events_of(conn).any(|event| event.kind == Kind::Closed)
    }

    /// Waits for CLOSED and returns it.
    pub fn closed(&mut self, conn: sockeye_conn) -> Event {
        self.until("CLOSED", |host| host.is_closed(conn));
        self.events_of(conn).last().expect("at least CLOSED").clone()
    }

    /// Waits until nothing of a connection is pending: its model has reported what the system took,
    /// which can be after the peer has it.
    pub fn sent(&mut self, conn: sockeye_conn) {
        self.until("an empty outbox", |host| {
            host.net.conn_stats(conn).is_ok_and(|stats| stats.outbox_bytes == 0)
        });
    }

    /// Waits until a connection has given so many messages.
    pub fn await_messages(&mut self, conn: sockeye_conn, count: usize) {
        self.until("messages", |host| host.messages(conn).len() >= count);
    }

    /// What a peer receives until it has `len` bytes.
    pub fn read(&mut self, peer: &mut Peer, len: usize) -> Vec<u8> {
        self.until("bytes at the peer", |_| peer.has(len));
        peer.got.drain(..len).collect()
    }

    /// What a peer receives until its connection ends, and how it ends.
    pub fn read_to_end(&mut self, peer: &mut Peer) -> (Vec<u8>, End) {
        self.until("the end at the peer", |_| {
            peer.has(usize::MAX);
            peer.end.is_some()
        });
        (std::mem::take(&mut peer.got), peer.end.expect("just seen"))
    }

    /// Writes more than the system takes at once.
    pub fn write(&mut self, peer: &mut Peer, bytes: &[u8]) {
        let mut at = 0;
        self.until("room at the peer", |_| {
            at += peer.offer(&bytes[at..]);
            at == bytes.len()
        });
    }

    /// A message there and back on another connection, so often that every worker has turned:
    /// what should not come would have come.
    pub fn turn_over(&mut self, peer: &mut Peer, conn: sockeye_conn) {
        self.turn_over_behind(peer, conn, &[]);
    }

    /// The same where a message of one byte has this header.
    pub fn turn_over_behind(&mut self, peer: &mut Peer, conn: sockeye_conn, header: &[u8]) {
        for round in 0..5u8 {
            let before = self.bytes(conn).len();
            let wire = [header, &[round]].concat();
            peer.put(&wire);
            self.until("a byte there", |host| host.bytes(conn).len() == before + 1);
            assert_eq!(self.net.send(conn, &[round]), OK);
            assert_eq!(self.read(peer, wire.len()), wire);
        }
    }

    /// Waits for 300 ms in poll while nothing comes; a worker turns seldom meanwhile.
    pub fn rests(&mut self) {
        // What was on its way comes first.
        while self.step(30) > 0 {}
        let mut turns = u64::MAX;
        // A busy machine may be late with the end of what began before; who spins never rests.
        for _ in 0..5 {
            let (before, begun) = (self.net.stats().turns, Instant::now());
            assert_eq!(self.step(300), 0, "nothing comes: {:?}", self.log.last());
            assert!(begun.elapsed() >= Duration::from_millis(299), "{:?}", begun.elapsed());
            turns = self.net.stats().turns - before;
            if turns <= 10 {
                return;
            }
        }
        panic!("{turns} turns in 300 ms without an event");
    }

    /// Polls until every queue has answered ERR_SHUTDOWN.
    pub fn drain(&mut self) {
        self.until("ERR_SHUTDOWN", |host| host.ended.iter().all(|&ended| ended));
    }

    /// Shuts down, drains, and checks that everything was closed. The net is freed on return.
    pub fn finish(mut self) {
        assert_eq!(self.net.shutdown(0), OK);
        self.drain();
        self.rules.all_closed();
    }
}
