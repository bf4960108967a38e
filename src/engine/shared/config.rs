//! What a net and its endpoints are made with.

use crate::buf::CHUNK_BYTES;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::guard::proxies::Proxies;
use crate::engine::shared::guard::table;
use crate::engine::shared::http::HttpOptions;
use crate::engine::shared::lanes::LanesGiven;
use crate::engine::shared::options::SocketOptions;
use crate::engine::shared::tls::TlsOptions;
use crate::io::{Model, Token};
use crate::session::{Framing, FramingKind, Layering, Limits, Overflow};
use crate::transport::{Carrying, Cutter};
use std::sync::Arc;

/// Who turns the workers. The numbers are those of the C ABI.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_drive` documents each")]
pub enum Drive {
    Pool = 0,
    Lend = 1,
    Host = 2,
}

impl Drive {
    /// The drive with this number.
    pub fn from_number(number: u32) -> Option<Drive> {
        [Drive::Pool, Drive::Lend, Drive::Host].get(number as usize).copied()
    }
}

/// When sends leave. The numbers are those of the C ABI.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_flush_mode` documents each")]
pub enum Flush {
    Auto = 0,
    Manual = 1,
}

impl Flush {
    /// The mode with this number.
    pub fn from_number(number: u32) -> Option<Flush> {
        [Flush::Auto, Flush::Manual].get(number as usize).copied()
    }
}

/// How to close. The numbers are those of the C ABI.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_close_how` documents each")]
pub enum CloseHow {
    Graceful = 0,
    Reset = 1,
}

impl CloseHow {
    /// The way with this number.
    pub fn from_number(number: u32) -> Option<CloseHow> {
        [CloseHow::Graceful, CloseHow::Reset].get(number as usize).copied()
    }
}

/// What a public handle names: its top four bits.
#[repr(u64)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A connection.
    Conn = 1,
    /// A listener.
    Listener = 2,
    /// A timer of the host.
    Timer = 3,
    /// A group of connections.
    Group = 4,
}

impl Kind {
    /// The public handle: kind 4 | net tag 12 | generation 24 | index 24.
    #[inline]
    pub fn handle(self, tag: u16, token: Token) -> u64 {
        (self as u64) << 60 | u64::from(tag) << 48 | token.0
    }
}

const QUEUES_MAX: u32 = 64;
/// A connection of more would be the only one.
const WEIGHT_MAX: u32 = 16;
/// Connections that may linger beside the others, of a small net.
const LINGERING_LEAST: u32 = 16;
/// A frame's deadline is that of its framing.
pub const FRAME_TIMEOUT_AUTO: u32 = u32::MAX;
/// Workers of a net, those that come and go included.
pub const WORKERS_MAX: u32 = 64;
/// A minute: more is an error, not a wish.
const PAUSE_MAX_US: u32 = 60_000_000;

/// What a net is made with, checked.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_config` documents each")]
pub struct Config {
    pub model: Model,
    /// None: as many as fit the machine.
    pub workers: Option<u32>,
    pub queues: u32,
    pub drive: Drive,
    pub lease_us: u32,
    pub flush: Flush,
    pub connections_max: u32,
    pub gather_us: u32,
    pub spin_us: u32,
    pub turn_messages: u32,
    pub turn_bytes: u32,
    pub memory_max_bytes: u64,
    pub queue_max_bytes: u64,
    pub taps: bool,
    pub histograms: bool,
    pub timers_max: u32,
    /// Groups at the same time.
    pub groups_max: u32,
    /// Groups that one connection may be in.
    pub conn_groups_max: u32,
    /// None: as `Config::lingering_max` has it.
    pub lingering_max: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            model: Model::Auto,
            workers: None,
            queues: 1,
            drive: Drive::Lend,
            lease_us: 20_000,
            flush: Flush::Auto,
            connections_max: 65_536,
            gather_us: 0,
            spin_us: 0,
            turn_messages: 1024,
            turn_bytes: CHUNK_BYTES as u32,
            memory_max_bytes: 1 << 30,
            queue_max_bytes: 64 << 20,
            taps: false,
            histograms: false,
            timers_max: 1 << 17,
            groups_max: 1 << 14,
            conn_groups_max: 128,
            lingering_max: None,
        }
    }
}

impl Config {
    /// Whether the numbers go together; the message names the field.
    pub fn check(&self) -> Result<(), String> {
        let within = |field: &str, value: u32, low: u32, high: u32| {
            let inside = (low..=high).contains(&value);
            let words = || format!("config.{field} is {value}, must be {low} to {high}");
            inside.then_some(()).ok_or_else(words)
        };
        within("queues", self.queues, 1, QUEUES_MAX)?;
        within("connections_max", self.connections_max, 1, (1 << Token::INDEX_BITS) - 1)?;
        within("lease_us", self.lease_us, 100, 10_000_000)?;
        within("gather_us", self.gather_us, 0, PAUSE_MAX_US)?;
        within("spin_us", self.spin_us, 0, PAUSE_MAX_US)?;
        let lingering = self.lingering_max.unwrap_or(0);
        within("lingering_max", lingering, 0, (1 << Token::INDEX_BITS) - 1)?;
        within("timers_max", self.timers_max, 0, (1 << Token::INDEX_BITS) - 1)?;
        within("groups_max", self.groups_max, 0, (1 << Token::INDEX_BITS) - 1)?;
        within("conn_groups_max", self.conn_groups_max, 0, 1 << 16)?;
        within("turn_messages", self.turn_messages, 1, u32::MAX)?;
        within("turn_bytes", self.turn_bytes, 1024, CHUNK_BYTES as u32)?;
        if self.memory_max_bytes < 1 << 20 {
            return Err("config.memory_max_bytes must be 1 MiB or more".into());
        }
        if self.queue_max_bytes < 64 << 10 {
            return Err("config.queue_max_bytes must be 64 KiB or more".into());
        }
        match self.workers {
            Some(0) if self.queues != 1 => Err("config.workers 0 needs queues 1".into()),
            Some(0) if self.drive == Drive::Pool => {
                Err("config.workers 0 has no pool: drive must be HOST or LEND".into())
            }
            Some(0) | None => Ok(()),
            Some(workers) => within("workers", workers, self.queues, WORKERS_MAX),
        }
    }

    /// Connections that linger beside `connections_max`.
    pub fn lingering_max(&self) -> u32 {
        let most = (1 << Token::INDEX_BITS) - 1 - self.connections_max;
        self.lingering_max.unwrap_or((self.connections_max / 8).max(LINGERING_LEAST)).min(most)
    }

    /// Workers that run; one without a thread for 0.
    pub fn workers_in_all(&self) -> u32 {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        self.workers.unwrap_or_else(|| self.queues.max((cores / 4).min(4))).max(1)
    }
}

/// What stands between the bytes and the messages of a URL's connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scheme {
    /// Nothing.
    #[default]
    Plain,
    /// `tls:`.
    Tls,
    /// `ws:`.
    Web,
    /// `wss:`.
    WebTls,
    /// `any:`, what the peer turns out to be.
    Any,
    /// `game:`, lanes over datagrams.
    Game,
}

impl Scheme {
    /// Whether all of its messages are those of WebSockets.
    pub fn is_web(self) -> bool {
        matches!(self, Scheme::Web | Scheme::WebTls)
    }
}

/// What the connections of one listener, or one outgoing one, are made with.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// None: each new connection goes to the queue with the fewest.
    pub queue: Option<u32>,
    /// What a new connection's events carry.
    pub user_data: u64,
    /// How its stream is cut.
    pub framing: Framing,
    /// Its bounds.
    pub limits: Limits,
    /// Its socket.
    pub socket: SocketOptions,
    /// How many times a turn's messages they may bring; 0: one time.
    pub weight: u32,
    /// The host decides message by message how the stream goes on.
    pub step: bool,
    /// The URL's scheme, as far as it says what stands between bytes and messages.
    pub scheme: Scheme,
    /// How HTTP is answered and WebSockets are done.
    pub http: Option<Box<HttpOptions>>,
    /// Of `any://`: frames of the endpoint's own are among what may come.
    pub sniff: Option<bool>,
    /// How messages are cut where a peer may turn out to be a WebSocket.
    pub web_framing: Framing,
    /// How TLS is done. None: as a client does it by default.
    pub tls: Option<Box<TlsOptions>>,
    /// Time for a layer to open; 0: any.
    pub handshake_timeout_ms: u32,
    /// So many connections of a listener may be opening; 0: `HANDSHAKES_MAX`.
    pub handshakes_max: u32,
    /// What stands between its bytes and its messages.
    pub layer: Option<Layering>,
    /// Lanes of `game://`, as the host gives them.
    pub lanes: Option<Box<LanesGiven>>,
    /// What a connect is let in with.
    pub connect_token: Option<Arc<[u8]>>,
    /// What carries its connections over datagrams.
    pub carrying: Option<Carrying>,
    /// How many a listener lets in, and how fast.
    pub guard: Option<table::Limits>,
    /// The proxies that a listener believes.
    pub proxies: Option<Arc<Proxies>>,
}

/// What `handshakes_max` is where the host does not say. Each may take 10 KiB.
const HANDSHAKES_MAX: u32 = 1024;

impl Endpoint {
    /// Puts numbers in the place of zeros that stand for a default, and says whether all go
    /// together and this version can do it. `datagrams`: for those, not for a stream. `memory`:
    /// what all outboxes may take.
    pub fn resolve(&mut self, queues: u32, datagrams: bool, memory: u64) -> Result<(), Refusal> {
        self.framing.resolve();
        self.limits.resolve(self.framing.frame_max_bytes);
        if self.limits.frame_timeout_ms == FRAME_TIMEOUT_AUTO {
            self.limits.frame_timeout_ms = match self.framing.kind {
                FramingKind::Delimiter => 0,
                _ => Limits::default().frame_timeout_ms,
            };
        }
        if self.queue.is_some_and(|queue| queue >= queues) {
            let words = format!("endpoint.queue: the net has {queues}");
            return Err(Refusal::new(Error::Invalid, words));
        }
        if self.handshakes_max == 0 {
            self.handshakes_max = HANDSHAKES_MAX;
        }
        self.weight = self.weight.max(1);
        if self.weight > WEIGHT_MAX {
            let words = format!("endpoint.weight is {}, must be 1 to {WEIGHT_MAX}", self.weight);
            return Err(Refusal::new(Error::Invalid, words));
        }
        if datagrams && self.framing.kind != FramingKind::Raw {
            let words = "endpoint.framing: a datagram is a message as it is (RAW)";
            return Err(Refusal::new(Error::Invalid, words));
        }
        if self.socket.share && !datagrams {
            let words = "share: two udp:// listeners may share an address, no others";
            return Err(Refusal::new(Error::Invalid, words));
        }
        self.web_framing = self.framing.web();
        let raw = self.framing.kind == FramingKind::Raw && !datagrams;
        if raw && self.limits.overflow == Overflow::DropOldest {
            let words = "endpoint.overflow DROP_OLDEST needs framing: RAW has no messages to drop";
            return Err(Refusal::new(Error::Invalid, words));
        }
        if datagrams && self.proxies.is_some() {
            let words = "guard.proxy_from is for tcp:// listeners: no header in a datagram is read";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        if datagrams && self.limits.has_rates() {
            let words = "endpoint.receive_rate, send_rate and min_receive_rate are for streams \
                         (tcp://, unix:)";
            return Err(Refusal::new(Error::Invalid, words));
        }
        if datagrams && self.weight > 1 {
            let words = "endpoint.weight is for streams (tcp://, unix:)";
            return Err(Refusal::new(Error::Invalid, words));
        }
        if raw && self.limits.min_receive_rate > 0 {
            let words = "endpoint.min_receive_rate needs framing: RAW has no messages that begin";
            return Err(Refusal::new(Error::Invalid, words));
        }
        let bare = datagrams && self.scheme != Scheme::Game;
        let guard = || self.guard.map_or(Ok(()), |guard| guard.check(bare));
        let words = self.framing.check().and_then(|()| self.limits.check()).and_then(|()| guard());
        words.map_err(|words| Refusal::new(Error::Invalid, words))?;
        self.limits.cap(memory);
        Ok(())
    }

    /// How the messages of a connection are cut; `web`: of one that turned out to be a WebSocket.
    #[inline]
    pub fn framing_of(&self, web: bool) -> &Framing {
        if web { &self.web_framing } else { &self.framing }
    }

    /// Has its connections carried, of a resolved endpoint of datagrams: they have messages, and
    /// whatever stands between bytes and these is the transport's.
    pub fn carry(&mut self, carrying: Carrying) {
        let most = self.framing.frame_max_bytes.min(carrying.message_max_bytes);
        self.framing = Cutter::framing(most, carrying.lanes().is_some());
        self.layer = None;
        self.carrying = Some(carrying);
    }
}
