//! The rules of behaviour, watched: DESIGN.md, section 4, rules 1, 2, 4 and 6.
//!
//! Everything that a host asks and is given, and everything that its peers write and read, goes
//! through here; whatever is against the rules panics with words.

use super::conn_log::{Closed, ConnLog, Style};
use super::peer_log::PeerLog;
use super::told::{self, Told, What};
use super::wire::Wire;
use crate::engine::shared::conn::{Eof, Fin};
use crate::engine::{CloseHow, Error, Kind, Message, Net};
use crate::io::Token;
use crate::io::sim::{Ending, World};
use crate::session::Cause;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// A listener as its host knows it.
pub struct ListenerLog {
    pub style: Style,
    pub shut: bool,
    pub told: bool,
}

/// See the module.
pub struct Ledger {
    pub world: World,
    pub conns: BTreeMap<Token, ConnLog>,
    pub listeners: BTreeMap<Token, ListenerLog>,
    /// By the number of their link.
    pub peers: Vec<PeerLog>,
    /// CLOSED and LISTENER_CLOSED of the last batch: stale when the next begins.
    dying: Vec<Token>,
    pub stale_listeners: Vec<Token>,
    posted: u64,
    told_posted: u64,
    /// shutdown was called.
    pub over: bool,
    /// Sockets of a worker are limited.
    pub limited: bool,
    /// FNV-1a over all that happened.
    pub trace: u64,
}

impl Ledger {
    pub fn new(world: World) -> Ledger {
        Ledger {
            world,
            conns: BTreeMap::new(),
            listeners: BTreeMap::new(),
            peers: Vec::new(),
            dying: Vec::new(),
            stale_listeners: Vec::new(),
            posted: 0,
            told_posted: 0,
            over: false,
            limited: false,
            trace: 0xCBF2_9CE4_8422_2325,
        }
    }

    /// Two runs of one seed note the same.
    pub fn note(&mut self, words: &[u64]) {
        for byte in words.iter().flat_map(|word| word.to_le_bytes()) {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    /// Polls, and looks at every event of the batch.
    pub fn poll(&mut self, net: &Net, cap: usize, timeout: Duration) -> Result<Vec<Told>, Error> {
        for token in self.dying.drain(..) {
            match self.conns.get_mut(&token) {
                Some(conn) => conn.stale = true,
                None => self.stale_listeners.push(token),
            }
        }
        let batch = told::poll(net, cap, timeout)?;
        if batch.is_empty() {
            assert_eq!(net.stats().queued_bytes, 0, "nothing is told and something waits");
            self.conns.values_mut().for_each(|conn| conn.silence += 1);
        }
        for (at, told) in batch.iter().enumerate() {
            self.told(told);
            let opened = matches!(told.what, What::Opened(_));
            let behind = batch[at + 1..].iter().any(|later| later.token == told.token);
            assert!(!opened || !behind, "an event stands behind its OPENED in one array");
        }
        self.look_at_dying(net);
        Ok(batch)
    }

    fn told(&mut self, told: &Told) {
        let Told { token, user_data, .. } = *told;
        self.note(&[token.0, user_data]);
        if let What::ListenerClosed(cause) = told.what {
            return self.listener_closed(token, cause);
        }
        if let What::Posted(number) = told.what {
            self.told_posted += 1;
            return assert_eq!(number, self.told_posted, "POSTED comes in order");
        }
        if let What::Timer(..) = told.what {
            return;
        }
        if let What::Opened(Some(listener)) = told.what {
            let known = self.listeners.get(&listener).expect("OPENED of a listener of ours");
            assert!(!known.told, "OPENED behind its listener's LISTENER_CLOSED");
            let fresh = self.conns.insert(token, ConnLog::new(known.style, Some(listener)));
            assert!(fresh.is_none(), "OPENED of {token:?} came twice");
        }
        let conn = self.conns.get_mut(&token).expect("an event of a connection that is known");
        assert_eq!(user_data, conn.user_data, "user_data of {token:?}");
        assert!(conn.is_live(), "{token:?} was told {:?} behind its CLOSED", told.what);
        let link = self.world.link_of(token);
        if let What::Closed(cause, unsent) = told.what {
            let connects = conn.listener.is_none();
            let peer = link.and_then(|link| self.peers.get(link));
            conn.close(Closed { cause, unsent, late: self.over }, peer, connects);
            let shut_down = self.over || cause != Cause::Shutdown;
            assert!(shut_down, "closed with SHUTDOWN by a net that runs");
            self.dying.push(token);
            return self.note(&[1, cause as u64, unsent]);
        }
        assert!(conn.shut.is_none(), "{token:?} was closed by its host and told {:?}", told.what);
        if let What::Opened(_) = told.what {
            assert!(!conn.opened, "OPENED of {token:?} came twice");
            conn.opened = true;
            return;
        }
        assert!(conn.opened, "{token:?} was told {:?} before OPENED", told.what);
        match &told.what {
            What::Message(data, _) => {
                assert!(!conn.is_quiet(), "{token:?} is paused and was told a message");
                let link = link.expect("a connection with a message is connected");
                self.peers[link].told(data);
                self.note(&[2, data.len() as u64]);
            }
            What::Writable(refused) => {
                conn.writable(*refused);
                self.note(&[3, u64::from(*refused)]);
            }
            _ => unreachable!("looked at above"),
        }
    }

    fn listener_closed(&mut self, token: Token, cause: Cause) {
        let limited = self.limited;
        let listener = self.listeners.get_mut(&token).expect("a listener of ours");
        assert!(!listener.told, "LISTENER_CLOSED came twice");
        let right = match cause {
            Cause::Host => listener.shut,
            Cause::Shutdown => self.over,
            Cause::LimitModel => limited,
            _ => false,
        };
        assert!(right, "a listener closed with {cause:?}");
        listener.told = true;
        self.dying.push(token);
        self.note(&[4, cause as u64]);
    }

    /// Connections whose CLOSED is in the batch still answer.
    fn look_at_dying(&self, net: &Net) {
        for &token in &self.dying {
            if self.conns.contains_key(&token) {
                assert!(net.conn_info(token).is_ok(), "{token:?} is gone before its batch is over");
            } else {
                assert!(net.listener_info(token).is_ok(), "{token:?} is gone before its batch");
            }
        }
    }

    /// A connection or listener that is gone answers nothing but STALE, to any call.
    pub fn poke_stale(&self, net: &Net, token: Token) {
        let stale = Err(Error::Stale);
        assert_eq!(net.send(token, b"stale"), stale);
        assert_eq!(net.close(token, CloseHow::Reset, None), stale);
        assert_eq!(net.close(token, CloseHow::Graceful, Some(b"stale")), stale);
        assert_eq!(net.pause(token, true), stale);
        assert_eq!(net.set_user_data(token, u64::MAX), stale);
        assert_eq!(net.listener_close(token), stale);
        assert_eq!(net.conn_info(token).err(), Some(Error::Stale));
        assert_eq!(net.conn_stats(token).err(), Some(Error::Stale));
        assert_eq!(net.listener_info(token).err(), Some(Error::Stale));
        let foreign = Kind::Conn.handle(0, token) ^ 1 << 60;
        assert_eq!(net.token(foreign, Kind::Conn).err(), Some(Error::Stale));
    }

    /// The host posted something.
    pub fn post(&mut self, net: &Net) {
        match net.post(0, self.posted + 1, 0) {
            Ok(()) => self.posted += 1,
            Err(error) => assert_eq!(error, Error::Again, "a post was refused"),
        }
    }

    /// The host sends. `scarce`: memory may be short.
    pub fn send(&mut self, net: &Net, token: Token, payload: &[u8], scarce: bool) {
        let framed = self.conns.get(&token).is_some_and(|conn| conn.style.wire != Wire::Raw);
        if !framed || !payload.len().is_multiple_of(8) {
            self.send_one(net, token, payload, 0, scarce);
            return;
        }
        // Under one of few keys, and at once again: no turn came between, so that the older one
        // waits.
        let key = 1 + (payload.len() / 8 % 4) as u64;
        let older = [payload, b"older"].concat();
        let (waits, _) = self.send_one(net, token, &older, key, scarce);
        let (taken, replaced) = self.send_one(net, token, payload, key, scarce);
        assert!(replaced || !waits || !taken, "the older one of two stands beside the newer");
    }

    /// Sends, perhaps under a key. Answers whether it was taken, and whether in another's place.
    fn send_one(
        &mut self,
        net: &Net,
        token: Token,
        payload: &[u8],
        key: u64,
        scarce: bool,
    ) -> (bool, bool) {
        let before = net.conn_stats(token);
        let answer = match payload.len() % 4 {
            0 => send_in_parts(net, token, payload, key),
            _ if key > 0 => send_in_parts(net, token, payload, key),
            _ => net.send(token, payload),
        };
        let mut replaced = false;
        if let (Ok(before), Ok(after)) = (&before, net.conn_stats(token)) {
            let dropped = after.dropped_messages - before.dropped_messages;
            match answer {
                Err(error) => assert_eq!(dropped, 0, "dropped for one that was refused: {error:?}"),
                Ok(()) if key == 0 => {}
                Ok(()) => {
                    let more = u64::from(after.outbox_messages) + dropped;
                    replaced = more == u64::from(before.outbox_messages);
                }
            }
        }
        self.note(&[5, token.0, payload.len() as u64, u64::from(answer.is_ok())]);
        let conn = self.conns.get_mut(&token).expect("a connection of ours");
        if conn.stale {
            assert_eq!(answer, Err(Error::Stale), "a send to what is gone");
            return (false, false);
        }
        let before = before.expect("it answers until it is stale");
        let waits = (before.outbox_bytes, before.outbox_messages);
        match replaced {
            true => conn.sent_in_place(key, payload, answer, waits, scarce),
            false => conn.sent_under(key, payload, answer, waits, scarce),
        }
        (answer.is_ok(), replaced)
    }

    /// The host closes, perhaps behind a last message.
    pub fn close(&mut self, net: &Net, token: Token, how: CloseHow, last: Option<&[u8]>) {
        let answer = net.close(token, how, last);
        self.note(&[6, token.0, how as u64, u64::from(answer.is_ok())]);
        let conn = self.conns.get_mut(&token).expect("a connection of ours");
        match answer {
            Ok(()) => {
                let again = conn.shut == Some(CloseHow::Graceful) && how == CloseHow::Reset;
                assert!(conn.is_live() && (conn.shut.is_none() || again), "closed once more");
                conn.shut = Some(how);
                if let Some(last) = last {
                    let frame = conn.style.wire.frame(last);
                    conn.take(frame);
                }
            }
            Err(Error::Closed) => conn.doomed = true,
            Err(Error::Stale) => assert!(conn.stale, "a live connection is not stale"),
            Err(Error::TooBig | Error::NoMemory) => assert!(last.is_some(), "nothing to refuse"),
            Err(error) => panic!("a close was answered with {error:?}"),
        }
    }

    /// A peer reads.
    pub fn read(&mut self, link: usize, most: usize) -> usize {
        let bytes = self.peers[link].peer.read(most);
        if !bytes.is_empty() {
            self.note(&[7, link as u64, bytes.len() as u64]);
            let token = self.world.token_of(link).expect("somebody wrote it");
            let conn = self.conns.get_mut(&token).expect("its host knows it");
            conn.arrived(&bytes);
        }
        bytes.len()
    }

    /// The bounds that have a name.
    pub fn look_at_bounds(&self, net: &Net) {
        assert!(!net.core.panicked.load(SeqCst), "a worker had a fault");
        let config = &net.core.config;
        let stats = net.stats();
        assert!(stats.memory_bytes <= config.memory_max_bytes, "{} bytes out", stats.memory_bytes);
        assert_eq!(population(net), net.core.homes[0].population(), "sockets counted");
        let most = u64::from(config.connections_max + config.lingering_max());
        let slots = net.core.table.tokens().len();
        assert!(slots as u64 <= most, "{slots} slots");
        // One receive of each connection was in flight when the queue became full; and what is no
        // message is not held back.
        let frames = self.listeners.values().map(|listener| listener.style.frame_max as u64);
        let frame = frames.max().unwrap_or(0).max(1 << 16);
        let each = u64::from(config.turn_bytes) + 64 * u64::from(config.turn_messages) + frame;
        let bound = config.queue_max_bytes + most * (each + 4 * 64);
        assert!(stats.queued_bytes <= bound, "{} bytes queued, {bound} max", stats.queued_bytes);
    }

    /// After everybody had time for everything: nothing withheld is forgotten.
    pub fn look_at_rest(&self, net: &Net) {
        for (token, conn) in &self.conns {
            let link = self.world.link_of(*token);
            let peer = link.map(|link| &self.peers[link]);
            let told = peer.map_or_else(String::new, PeerLog::describe);
            let told = told + &conn.describe() + &describe(net, *token);
            if !conn.is_live() {
                let open = peer.is_some_and(|peer| peer.peer.ending() == Ending::Open);
                assert!(!open, "{token:?} is closed and its peer was not told: {told}");
                continue;
            }
            assert!(conn.shut.is_none() && !conn.doomed, "{token:?} never closes: {told}");
            assert!(conn.opened, "{token:?} neither opens nor closes: {told}");
            assert!(!conn.is_owed(), "a WRITABLE of {token:?} never comes: {told}");
            let peer = peer.expect("what opened has a peer");
            assert!(peer.is_told(), "a message never comes: {told}");
            assert!(!peer.is_silent(), "the end of {token:?} never comes: {told}");
            assert!(conn.has_all_arrived(), "a taken message of {token:?} never arrives: {told}");
        }
        for listener in self.listeners.values() {
            assert!(listener.told || !listener.shut, "a LISTENER_CLOSED never comes");
        }
        for peer in &self.peers {
            let token = self.world.token_of(peer.peer.link());
            let known = token.is_some_and(|token| self.conns.contains_key(&token));
            // Who found no room was closed.
            let gone = peer.peer.ending() != Ending::Open;
            assert!(known || gone, "an OPENED never comes: {}", peer.describe());
        }
        assert_eq!(self.posted, self.told_posted, "a POSTED never comes");
        let conns = self.conns.values().filter(|conn| conn.is_live()).count();
        let listeners = self.listeners.values().filter(|listener| !listener.told).count();
        assert_eq!(net.stats().connections, conns as u64, "connections counted");
        assert_eq!(net.core.table.tokens().len(), conns + listeners, "slots in use");
    }

    /// Every connection that is not gone, for a failure's words.
    pub fn describe(&self, net: &Net) -> String {
        let live = self.conns.keys().filter(|token| net.core.table.slot(**token).is_some());
        let words = live.map(|token| {
            let peer = self.world.link_of(*token).map(|link| self.peers[link].describe());
            format!("{token:?} {}{}", peer.unwrap_or_default(), describe(net, *token))
        });
        words.collect::<Vec<_>>().join("\n")
    }

    /// After shutdown, and every event of it: every connection was reported, and what had to arrive
    /// did.
    pub fn look_at_end(&mut self) {
        for link in 0..self.peers.len() {
            while self.read(link, usize::MAX) > 0 {}
        }
        for (token, conn) in &self.conns {
            let closed = conn.closed.unwrap_or_else(|| panic!("CLOSED of {token:?} never came"));
            let link = self.world.link_of(*token);
            let Some(peer) = link.map(|link| &self.peers[link]) else { continue };
            let told = peer.describe();
            let ending = peer.peer.ending();
            assert!(ending != Ending::Open, "the peer of {token:?} was not told: {told}");
            if conn.shut == Some(CloseHow::Reset) && closed.cause == Cause::Host {
                assert_eq!(ending, Ending::Reset, "{token:?} was to be reset: {told}");
            }
            let graceful = conn.shut == Some(CloseHow::Graceful) && closed.cause == Cause::Host;
            if graceful && conn.opened && peer.listens() {
                assert!(conn.has_all_arrived(), "the last words of {token:?} are lost: {told}");
                // A shutdown does not wait for the peer's end: what it still sends is answered by
                // a reset.
                let orderly = ending == Ending::Ended || closed.late;
                assert!(orderly, "{token:?} was to end in order: {told}");
            }
        }
        for (token, listener) in &self.listeners {
            assert!(listener.told, "LISTENER_CLOSED of {token:?} never came");
        }
    }
}

/// Connections and listeners that are not closed, counted one by one.
fn population(net: &Net) -> usize {
    let lives = |token: &Token| {
        let Some(mut held) = net.core.table.hold(*token) else { return false };
        if let Some(listener) = held.listener() {
            return listener.link.socket().is_some();
        }
        held.conn().is_some_and(|conn| !conn.link.is_joined())
    };
    net.core.table.tokens().iter().filter(|token| lives(token)).count()
}

/// What the engine thinks of a connection.
fn describe(net: &Net, token: Token) -> String {
    let Some(mut held) = net.core.table.hold(token) else { return " (gone)".into() };
    let Some(conn) = held.conn() else { return " (no connection)".into() };
    let flags = [
        (conn.marks.paused, "paused"),
        (conn.marks.stalled, "stalled"),
        (conn.marks.hungry, "parse_later"),
        (conn.marks.dirty, "dirty"),
        (conn.life.eof != Eof::No, "eof"),
        (conn.life.fin != Fin::No, "fin"),
        (conn.session.has_input(), "input"),
    ];
    let flags: Vec<&str> = flags.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
    let (end, lanes, out) = (conn.life.end, conn.link.lanes(), conn.session.outbox().bytes());
    let (report, tie) = (conn.life.report, conn.link.tie());
    let memory = net.core.pool.bytes();
    format!(
        " | {:?} {end:?} {report:?} {tie:?} {lanes:?} {flags:?} outbox {out} memory {memory}",
        conn.life.phase
    )
}

/// Sends a message in two parts to one connection.
fn send_in_parts(net: &Net, token: Token, payload: &[u8], key: u64) -> Result<(), Error> {
    let (first, rest) = payload.split_at(payload.len() / 3);
    let message = Message { parts: &[first, rest], key: key.into(), ..Message::default() };
    let mut answer = Err(Error::Invalid);
    let taken = net.send_message(1, |_| net.conn_id(token), &message, |_, given| answer = given);
    assert_eq!(taken?, usize::from(answer.is_ok()), "the count is of those that took it");
    answer
}
