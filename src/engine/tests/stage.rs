//! Where single stories are played: one net without threads, its network, and the ledger.

use super::conn_log::{ConnLog, Style};
use super::ledger::{Ledger, ListenerLog};
use super::peer_log::PeerLog;
use super::told::Told;
use super::wire::Wire;
use super::{now, open, set_now, threadless};
use crate::engine::{Config, Endpoint, Kind, Net};
use crate::io::Token;
use crate::io::sim::{Faults, World};
use crate::session::Limits;
use std::sync::Arc;
use std::time::Duration;

/// More turns than anything takes that happens at once.
const SOON: usize = 60;

/// See the module.
pub struct Stage {
    pub world: World,
    pub net: Arc<Net>,
    pub ledger: Ledger,
}

/// Frames with a length, and the limits that are the default.
pub fn plain() -> Style {
    Style {
        wire: Wire::U32,
        frame_max: 1 << 16,
        limits: Limits::default(),
        user_data: 7,
        weight: 1,
    }
}

impl Stage {
    /// A net in a network with faults.
    pub fn new(config: Config, faults: Faults) -> Stage {
        Stage::seeded(1, config, faults)
    }

    /// As `new`, with other luck.
    pub fn seeded(seed: u64, config: Config, faults: Faults) -> Stage {
        set_now(1);
        let world = World::new(seed, faults);
        let net = open(&world, config);
        let mut ledger = Ledger::new(world.clone());
        ledger.limited = faults.sockets > 0;
        Stage { world, net, ledger }
    }

    /// A net like any other.
    pub fn plain() -> Stage {
        Stage::new(threadless(), Faults::default())
    }

    pub fn listen(&mut self, style: Style) -> Token {
        self.listen_with(style, "")
    }

    /// As `listen`, with more in its query.
    pub fn listen_with(&mut self, style: Style, more: &str) -> Token {
        let url = format!("tcp://127.0.0.1:0?{}{more}", style.wire.query(style.frame_max));
        let mut id = 0;
        let listened = self.net.listen(&url, endpoint(&style), |given| id = given);
        listened.expect("a port is free");
        let token = self.net.token(id, Kind::Listener).expect("its own handle");
        self.ledger.listeners.insert(token, ListenerLog { style, shut: false, told: false });
        token
    }

    pub fn dial(&mut self, url: &str, style: Style) -> Token {
        let url = format!("{url}?{}", style.wire.query(style.frame_max));
        let mut id = 0;
        let dialled = self.net.connect(&url, endpoint(&style), |given| id = given);
        dialled.expect("it is looked at later");
        let token = self.net.token(id, Kind::Conn).expect("its own handle");
        self.ledger.conns.insert(token, ConnLog::new(style, None));
        token
    }

    /// A client begins to connect; the number of its link.
    pub fn client(&mut self, listener: Token, window: usize) -> usize {
        let style = self.ledger.listeners[&listener].style;
        let peer = self.world.connect(listener, window).expect("it listens");
        self.ledger.peers.push(PeerLog::new(peer, style.wire, 0));
        self.ledger.peers.len() - 1
    }

    /// A listener, a client of it and the connection between them.
    pub fn pair(&mut self, style: Style, window: usize) -> (Token, usize) {
        let listener = self.listen(style);
        let link = self.client(listener, window);
        self.soon();
        (self.world.token_of(link).expect("it is accepted"), link)
    }

    /// Time passes.
    pub fn pass(&self, ms: u64) {
        set_now(now().expect("set when the stage was made") + ms);
    }

    /// Some polls; all that they report.
    pub fn polls(&mut self, count: usize, cap: usize) -> Vec<Told> {
        let mut all = Vec::new();
        for _ in 0..count {
            let batch = self.ledger.poll(&self.net, cap, Duration::ZERO);
            all.extend(batch.expect("the net runs"));
            self.ledger.look_at_bounds(&self.net);
        }
        all
    }

    /// All that is reported without further calls, and without time.
    pub fn soon(&mut self) -> Vec<Told> {
        self.polls(SOON, 64)
    }

    pub fn send(&mut self, token: Token, payload: &[u8]) {
        self.ledger.send(&self.net, token, payload, false);
    }

    /// Takes the other end of what the engine connected.
    pub fn meet(&mut self, style: Style) -> usize {
        let peer = self.world.incoming().expect("the engine connected");
        assert_eq!(peer.link(), self.ledger.peers.len(), "links are counted");
        self.ledger.peers.push(PeerLog::new(peer, style.wire, 0));
        self.ledger.peers.len() - 1
    }
}

/// What the engine is given for a style.
pub fn endpoint(style: &Style) -> Endpoint {
    let Style { user_data, limits, weight, .. } = *style;
    Endpoint { user_data, limits, weight, ..Endpoint::default() }
}
