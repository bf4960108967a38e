//! Hosts and peers that do what a seed says.

use super::conn_log::ConnLog;
use super::ledger::{Ledger, ListenerLog};
use super::peer_log::{PeerLog, payload};
use super::plan::{Act, Plan};
use super::stage::{endpoint, plain};
use super::told::{Told, What};
use super::{Under, now, open_as, set_now};
use crate::buf::{CHUNK_BYTES, Pool, Purpose, Slice};
use crate::engine::shared::core::Core;
use crate::engine::{CloseHow, Error, Kind, Message, Net, Way, Weather};
use crate::io::Token;
use crate::io::sim::{ACCEPT_ERRORS, Answer, Dice, Ending, Faults, World};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

const ZERO: Duration = Duration::ZERO;
/// A shutdown that is given this ends long before: everybody is polite by then.
const LONG: Duration = Duration::from_secs(10);
/// Polls without any event after which nothing comes any more, at the pace of `REST_MS`.
const REST_POLLS: usize = 80;
const REST_MS: u64 = 100;
/// A message of so many bytes is like no other.
const UNIQUE: usize = 8;
/// Polls after which something must be wrong.
const POLLS_MAX: usize = 50_000;
/// Where engines connect to: each address answers in its own way.
const DOORS: [(u16, Answer); 4] =
    [(1, Answer::Accept), (2, Answer::Refuse), (3, Answer::Unreachable), (4, Answer::Silence)];
/// `localhost` at this port refuses by IPv4 and accepts by IPv6.
const SECOND_TRY: u16 = 5;

/// One run.
pub struct Run {
    plan: Plan,
    dice: Dice,
    world: World,
    net: Arc<Net>,
    core: Weak<Core>,
    pool: Pool,
    ledger: Ledger,
    /// Memory that the host keeps, and messages with the bytes they had.
    hogs: Vec<Slice>,
    held: Vec<(Slice, Vec<u8>)>,
    dialled: usize,
}

impl Run {
    /// By what its net's workers watch.
    pub fn new(seed: u64, under: Under) -> Run {
        set_now(1);
        let mut dice = Dice::new(seed);
        let mut plan = Plan::new(&mut dice);
        plan.config.taps = under == Under::Tap;
        let world = World::new(dice.roll(), plan.faults);
        for (port, answer) in DOORS {
            world.set_door(SocketAddr::from(([127, 0, 0, 1], port)), answer);
        }
        let second: IpAddr = "::1".parse().expect("an address");
        world.set_door(SocketAddr::new(second, SECOND_TRY), Answer::Accept);
        let net = open_as(&world, plan.config.clone(), under);
        if under == Under::Tap {
            // Delays are of the system's clock, which a seed does not know.
            let split_bytes = dice.pick(&[1000, 100_000]);
            let way = Way { split_bytes, ..Way::CALM };
            let set = net.set_weather(0, Some(Weather::new(seed, way, way)));
            set.expect("it has taps");
        }
        let mut ledger = Ledger::new(world.clone());
        ledger.limited = plan.faults.sockets > 0;
        let (core, pool) = (Arc::downgrade(&net.core), net.core.pool.clone());
        let (hogs, held) = (Vec::new(), Vec::new());
        Run { plan, dice, world, net, core, pool, ledger, hogs, held, dialled: 0 }
    }

    /// All of it; the answer is the trace.
    pub fn play(mut self) -> u64 {
        self.listen();
        for _ in 0..self.plan.steps {
            let act = self.plan.act(&mut self.dice);
            self.act(act);
            self.meet();
            self.ledger.look_at_bounds(&self.net);
        }
        if self.dice.chance(60) {
            self.rest();
        }
        self.finish()
    }

    // tidy: flat match
    fn act(&mut self, act: Act) {
        match act {
            Act::Poll => self.poll(),
            Act::Send => self.send(),
            Act::SendMany => self.send_many(),
            Act::Close => self.close(CloseHow::Graceful),
            Act::ResetConn => self.close(CloseHow::Reset),
            Act::CloseWith => {
                let size = self.plan.size(&mut self.dice).max(UNIQUE);
                let Some(token) = self.any_conn() else { return };
                let last = payload(token.0, u64::MAX, size);
                self.ledger.close(&self.net, token, CloseHow::Graceful, Some(&last));
            }
            Act::Pause => self.pause(),
            Act::UserData => {
                let Some(token) = self.any_conn() else { return };
                let number = self.dice.roll();
                let answer = self.net.set_user_data(token, number);
                let conn = self.ledger.conns.get_mut(&token).expect("one of them");
                assert_eq!(answer.err(), conn.stale.then_some(Error::Stale));
                conn.user_data = number;
            }
            Act::Dial => self.dial(),
            Act::Listen => self.listen(),
            Act::CloseListener => self.close_listener(),
            Act::Post => self.ledger.post(&self.net),
            Act::Hog => self.hog(),
            Act::Poke => self.poke(),
            Act::Flush => assert_eq!(self.net.flush(None), Ok(())),
            Act::Client => self.client(),
            Act::Talk => {
                let size = self.plan.peer_size(&mut self.dice);
                self.with_peer(|peer| peer.send(size));
            }
            Act::Flood => {
                let size = self.plan.peer_size(&mut self.dice);
                let most = 300 * self.plan.config.turn_messages as usize;
                let count = (200_000 / (size + 10)).min(most).min(3000);
                self.with_peer(|peer| (0..count).for_each(|_| peer.send(size)));
            }
            Act::Garbage => self.with_peer(PeerLog::send_garbage),
            Act::Read => self.let_read(),
            Act::EndPeer => self.with_peer(PeerLog::end),
            Act::ClosePeer => self.with_peer(PeerLog::close),
            Act::ResetPeer => self.with_peer(PeerLog::reset),
            Act::FailAccept => {
                if let Some(listener) = self.any_listener() {
                    let error = self.dice.pick(&ACCEPT_ERRORS);
                    self.world.fail_accept(listener, error);
                }
            }
            Act::Pass => {
                let leap = if self.plan.calm { 2 } else { self.dice.pick(&[1, 1, 10, 100, 1500]) };
                self.pass(leap);
            }
        }
    }

    fn pass(&mut self, leap: u64) {
        set_now(now().expect("set when the run began") + leap);
    }

    fn any_conn(&mut self) -> Option<Token> {
        // Mostly one that lives.
        let live = self.dice.chance(90);
        let wanted = |conn: &ConnLog| conn.is_live() || !live;
        let known = self.ledger.conns.iter().filter(|(_, conn)| wanted(conn));
        let tokens: Vec<Token> = known.map(|(token, _)| *token).collect();
        (!tokens.is_empty()).then(|| self.dice.pick(&tokens))
    }

    fn any_listener(&mut self) -> Option<Token> {
        let open = self.ledger.listeners.iter().filter(|(_, listener)| !listener.told);
        let tokens: Vec<Token> = open.map(|(token, _)| *token).collect();
        (!tokens.is_empty()).then(|| self.dice.pick(&tokens))
    }

    fn with_peer(&mut self, work: impl FnOnce(&mut PeerLog)) {
        let count = self.ledger.peers.len();
        if count > 0 {
            let link = self.dice.below(count);
            work(&mut self.ledger.peers[link]);
        }
    }

    fn poll(&mut self) {
        let cap = self.dice.pick(&self.plan.caps);
        self.check_held();
        let batch = self.ledger.poll(&self.net, cap, ZERO).expect("the net runs");
        for told in &batch {
            if self.dice.chance(15) {
                self.react(told);
            }
        }
    }

    /// What a host does while it handles an event.
    fn react(&mut self, told: &Told) {
        let token = told.token;
        match &told.what {
            What::Message(data, address) if self.dice.chance(40) => {
                let address = std::ptr::with_exposed_provenance(*address);
                match self.net.hold(token, told.number, address) {
                    Ok(slice) => {
                        assert!(*slice == **data, "a message is held as it was");
                        self.held.push((slice, data.clone()));
                    }
                    Err(error) => assert_eq!(error, Error::NoMemory, "a message is in the batch"),
                }
            }
            What::Message(data, _) if data.len() < UNIQUE => self.send_new(token, data.len()),
            What::Message(data, _) => self.send_to(token, &data.clone()),
            What::Opened(_) | What::Closed(..) | What::Writable(_) if self.dice.chance(50) => {
                let size = self.plan.size(&mut self.dice);
                self.send_new(token, size);
            }
            What::Opened(_) | What::Closed(..) if self.dice.chance(30) => {
                let how = self.dice.pick(&[CloseHow::Graceful, CloseHow::Reset]);
                self.ledger.close(&self.net, token, how, None);
            }
            _ => {}
        }
    }

    /// Messages that are held do not change, and some are given back.
    fn check_held(&mut self) {
        for (slice, bytes) in &self.held {
            assert!(**slice == **bytes, "a held message changed");
        }
        let most = if self.dice.chance(10) { 0 } else { 20 };
        self.held.truncate(most);
    }

    /// Whether there may not be memory for so many messages: each takes at most one block.
    fn scarce(&self, messages: usize) -> bool {
        let bytes = (messages + 1) * CHUNK_BYTES;
        !self.pool.has_room(bytes) || !self.pool.would_take(bytes, Purpose::SendMore)
    }

    fn send_to(&mut self, token: Token, payload: &[u8]) {
        // Under a key it is sent twice.
        let scarce = self.scarce(2);
        self.ledger.send(&self.net, token, payload, scarce);
    }

    fn send_new(&mut self, token: Token, size: usize) {
        let conn = self.ledger.conns.get_mut(&token).expect("a connection of ours");
        conn.number += 1;
        // Where some are dropped, no two may be alike.
        let size = if conn.drops() { size.max(UNIQUE) } else { size };
        let payload = payload(token.0, conn.number, size);
        self.send_to(token, &payload);
    }

    fn send(&mut self) {
        let Some(token) = self.any_conn() else { return };
        let count = self.dice.pick(&[1, 1, 4, 40]);
        for _ in 0..count {
            let size = self.plan.size(&mut self.dice);
            self.send_new(token, size);
        }
    }

    fn send_many(&mut self) {
        let tokens: Vec<Token> = self.ledger.conns.keys().copied().collect();
        let size = self.plan.size(&mut self.dice).max(UNIQUE);
        let payload = payload(u64::from(u32::MAX), self.dice.roll() >> 32, size);
        let held = (!self.held.is_empty() && self.dice.chance(50)).then(|| {
            let held = &self.held[self.dice.below(self.held.len())].0;
            held.clone()
        });
        let whole = [&payload, held.as_deref().unwrap_or_default()].concat();
        let waits = |token: &Token| self.net.conn_stats(*token).ok();
        let waits: Vec<_> = tokens.iter().map(waits).collect();
        let scarce = self.scarce(tokens.len());
        let mut answers = Vec::new();
        let id = |at: usize| self.net.conn_id(tokens[at]);
        let tell = |at: usize, answer| answers.push((at, answer));
        let taken = match &held {
            // What was received goes on to all, as it is.
            Some(held) => {
                let message =
                    Message { parts: &[&payload, held], buffer: Some(held), ..Message::default() };
                self.net.send_message(tokens.len(), id, &message, tell)
            }
            None => self.net.send_many(tokens.len(), id, &payload, tell),
        };
        let count = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
        match taken {
            Ok(taken) => assert!(taken == count && answers.len() == tokens.len()),
            Err(error) => assert!(error == Error::NoMemory && count == 0 && scarce),
        }
        for (at, answer) in answers {
            let conn = self.ledger.conns.get_mut(&tokens[at]).expect("one of them");
            match &waits[at] {
                None => assert_eq!((answer, conn.stale), (Err(Error::Stale), true)),
                Some(_) if answer == Err(Error::NoMemory) => assert!(scarce),
                Some(stats) => {
                    let waits = (stats.outbox_bytes, stats.outbox_messages);
                    conn.sent(&whole, answer, waits, scarce);
                }
            }
        }
    }

    fn close(&mut self, how: CloseHow) {
        if let Some(token) = self.any_conn() {
            self.ledger.close(&self.net, token, how, None);
        }
    }

    fn pause(&mut self) {
        let Some(token) = self.any_conn() else { return };
        let conn = self.ledger.conns.get_mut(&token).expect("one of them");
        let paused = !conn.paused;
        match self.net.pause(token, paused) {
            Ok(()) => conn.set_paused(paused),
            Err(Error::Closed) => conn.doomed = true,
            Err(error) => assert!(error == Error::Stale && conn.stale, "{error:?}"),
        }
    }

    fn dial(&mut self) {
        if self.dialled + self.ledger.peers.len() >= self.plan.conns_max {
            return;
        }
        self.dialled += 1;
        let style = self.plan.style(&mut self.dice);
        // A tap has a won attempt wait a turn longer for its connection, which does not happen
        // here.
        let second = if self.plan.config.taps { 1 } else { SECOND_TRY };
        let port = self.dice.pick(&[1, 1, 1, 1, 2, 3, 4, second, second]);
        let host = if port == SECOND_TRY { "localhost" } else { "127.0.0.1" };
        let url = format!("tcp://{host}:{port}?{}", style.wire.query(style.frame_max));
        let mut id = 0;
        match self.net.connect(&url, endpoint(&style), |given| id = given) {
            Ok(()) => {
                let token = self.net.token(id, Kind::Conn).expect("its own handle");
                self.ledger.conns.insert(token, ConnLog::new(style, None));
            }
            Err(refusal) => self.is_full(refusal.error),
        }
    }

    fn is_full(&self, error: Error) {
        let most = self.plan.config.connections_max as usize;
        let full = self.net.core.table.tokens().len() >= most;
        assert!(error == Error::Limit && full, "refused with {error:?}");
    }

    fn listen(&mut self) {
        if self.ledger.listeners.len() >= 4 {
            return;
        }
        let style = self.plan.style(&mut self.dice);
        let url = format!("tcp://127.0.0.1:0?{}", style.wire.query(style.frame_max));
        let mut id = 0;
        match self.net.listen(&url, endpoint(&style), |given| id = given) {
            Ok(()) => {
                let token = self.net.token(id, Kind::Listener).expect("its own handle");
                let log = ListenerLog { style, shut: false, told: false };
                self.ledger.listeners.insert(token, log);
            }
            Err(refusal) => self.is_full(refusal.error),
        }
    }

    fn close_listener(&mut self) {
        let Some(token) = self.any_listener() else { return };
        let answer = self.net.listener_close(token);
        let listener = self.ledger.listeners.get_mut(&token).expect("one of them");
        if !self.ledger.limited {
            assert_eq!(answer.err(), listener.shut.then_some(Error::Closed));
        }
        listener.shut |= answer.is_ok();
    }

    fn hog(&mut self) {
        if self.dice.chance(40) {
            return self.hogs.clear();
        }
        // Sometimes next to all that is left.
        let left = self.plan.config.memory_max_bytes - self.pool.bytes();
        let left = (left as usize).saturating_sub(self.dice.below(300_000)).min(4 << 20);
        let len = self.dice.pick(&[100, 50_000, left]);
        match self.net.acquire(len) {
            Ok(slice) => self.hogs.push(slice),
            Err(error) => {
                assert!(error == Error::NoMemory && !self.pool.has_room(len + CHUNK_BYTES))
            }
        }
    }

    fn poke(&mut self) {
        let stale = self.ledger.conns.iter().filter(|(_, conn)| conn.stale);
        let mut tokens: Vec<Token> = stale.map(|(token, _)| *token).collect();
        tokens.extend(&self.ledger.stale_listeners);
        // And one that never was: generations begin with 1.
        tokens.push(Token::new(self.dice.below(2000) as u32, 0));
        let token = self.dice.pick(&tokens);
        self.ledger.poke_stale(&self.net, token);
    }

    fn client(&mut self) {
        if self.dialled + self.ledger.peers.len() >= self.plan.conns_max {
            return;
        }
        let Some(listener) = self.any_listener() else { return };
        let window = self.dice.pick(&[50, 3000, 65_536]);
        let style = self.ledger.listeners[&listener].style;
        let Some(peer) = self.world.connect(listener, window) else { return };
        let appetite = self.dice.pick(&[0, 10, 1000, 100_000]);
        self.ledger.peers.push(PeerLog::new(peer, style.wire, appetite));
    }

    /// Takes the other ends of what the engine connected.
    fn meet(&mut self) {
        while let Some(peer) = self.world.incoming() {
            let token = self.world.token_of(peer.link()).expect("connected by the engine");
            // An attempt that was called off when it was connected is not the host's.
            let style = self.ledger.conns.get(&token).map_or_else(plain, |conn| conn.style);
            let appetite = self.dice.pick(&[0, 10, 1000, 100_000]);
            assert_eq!(peer.link(), self.ledger.peers.len(), "links are counted");
            self.ledger.peers.push(PeerLog::new(peer, style.wire, appetite));
        }
    }

    fn let_read(&mut self) {
        for link in 0..self.ledger.peers.len() {
            let appetite = self.ledger.peers[link].appetite;
            self.ledger.read(link, appetite);
            self.ledger.peers[link].pump();
        }
    }

    /// Gives everybody time for everything, and sees that nothing was forgotten.
    fn rest(&mut self) {
        self.hogs.clear();
        self.held.clear();
        self.world.set_faults(Faults { accept: 0, ..self.plan.faults });
        let paused = self.ledger.conns.iter().filter(|(_, conn)| conn.paused && !conn.stale);
        for token in paused.map(|(token, _)| *token).collect::<Vec<_>>() {
            if self.net.pause(token, false).is_ok() {
                let conn = self.ledger.conns.get_mut(&token).expect("one of them");
                conn.set_paused(false);
            }
        }
        let (mut idle, mut polls, mut unread) = (0, 0, 0);
        while idle < REST_POLLS {
            idle += 1;
            polls += 1;
            assert!(polls < POLLS_MAX, "it never comes to rest");
            self.meet();
            for link in 0..self.ledger.peers.len() {
                let read = self.ledger.read(link, usize::MAX);
                let peer = &mut self.ledger.peers[link];
                peer.peer.widen();
                let open = peer.listens() && !peer.ended;
                let ended = open && peer.peer.ending() != Ending::Open;
                if ended {
                    peer.end();
                }
                if read > 0 || peer.pump() || ended {
                    idle = 0;
                }
            }
            self.pass(REST_MS);
            let batch = self.ledger.poll(&self.net, 64, ZERO).expect("the net runs");
            self.ledger.look_at_bounds(&self.net);
            let left = self.ledger.peers.iter().map(|peer| peer.peer.unread()).sum();
            if !batch.is_empty() || std::mem::replace(&mut unread, left) != left {
                idle = 0;
            }
        }
        self.ledger.look_at_rest(&self.net);
    }

    /// Shutdown, what is reported after it, and what is left of the net.
    fn finish(mut self) -> u64 {
        // Draining takes memory to receive into, which what is queued and kept may use up.
        let drains = self.pool.has_room(32 * CHUNK_BYTES);
        // What waits for its rate wants time, which passes no more.
        let slow = self.ledger.conns.values().any(|conn| conn.style.limits.send_rate > 0);
        let timeout = if self.dice.chance(50) && drains && !slow { LONG } else { ZERO };
        if timeout == LONG {
            self.world.be_polite();
        }
        let began = Instant::now();
        self.ledger.over = true;
        let to_end = self.net.shutdown(timeout);
        assert_eq!(to_end, Ok(()));
        let late = timeout == LONG && began.elapsed() > LONG / 2;
        assert!(!late, "the net does not drain: {}", self.ledger.describe(&self.net));
        assert_eq!(self.net.shutdown(ZERO), to_end, "shutdown is idempotent");
        if self.dice.chance(70) {
            let mut polls = 0;
            let error = loop {
                polls += 1;
                assert!(polls < POLLS_MAX, "a net that has ended tells events for ever");
                match self.ledger.poll(&self.net, 7, ZERO) {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(error, Error::Shutdown);
            self.meet();
            self.ledger.look_at_end();
            assert_eq!(self.net.core.table.tokens(), [], "slots are left");
        }
        let Run { net, core, pool, ledger, hogs, held, .. } = self;
        assert_eq!(net.retire(), Ok(()), "nobody is inside");
        drop(net);
        assert!(core.upgrade().is_none(), "somebody still has the net");
        for (slice, bytes) in held {
            assert!(*slice == *bytes, "a held message changed after the net was freed");
        }
        drop(hogs);
        assert_eq!(pool.bytes(), 0, "memory is left");
        ledger.trace
    }
}
