//! How the connections of one endpoint do `game://`.

use super::recovery::{Control, RateConfig};
use super::{Micros, peer};
use std::net::SocketAddr;
use std::sync::Arc;

/// Random bytes that everything random of a transport is made from.
pub type Seed = [u8; 32];

/// A key of connect tokens.
pub type Key = [u8; 32];

/// What a lane promises. The numbers are those of the C ABI.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LaneKind {
    /// Every message, in the order in which they were sent.
    Ordered = 0,
    /// Every message, in any order.
    Reliable = 1,
    /// Messages may be lost, and come in any order.
    Unreliable = 2,
    /// Messages may be lost, and none comes behind a newer one.
    Sequenced = 3,
}

impl LaneKind {
    /// The kind with this number.
    pub fn from_number(number: u32) -> Option<LaneKind> {
        use LaneKind::*;
        [Ordered, Reliable, Unreliable, Sequenced].get(number as usize).copied()
    }

    /// Whether no message is lost.
    pub fn is_reliable(self) -> bool {
        matches!(self, LaneKind::Ordered | LaneKind::Reliable)
    }
}

/// One lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneOptions {
    /// What it promises.
    pub kind: LaneKind,
    /// Lanes with a lower number are sent first.
    pub priority: u8,
    /// The share that it has of what those of its priority send; 1 or more.
    pub weight: u8,
}

/// Lanes that a connection may have.
pub const LANES_MAX: usize = 16;

/// Those of an endpoint that names none.
pub const LANES: [LaneOptions; 3] = [
    LaneOptions { kind: LaneKind::Ordered, priority: 1, weight: 1 },
    LaneOptions { kind: LaneKind::Unreliable, priority: 0, weight: 1 },
    LaneOptions { kind: LaneKind::Sequenced, priority: 0, weight: 1 },
];

/// The control with this number of the C ABI.
pub fn control_from_number(number: u32) -> Option<Control> {
    [Control::Game, Control::Bbr, Control::Fixed].get(number as usize).copied()
}

/// See the module.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// What the game and its version are; both ends have the same.
    pub protocol_id: u64,
    /// What tokens are made with.
    pub key: Key,
    /// There is no backend: whoever connects makes a token of its own, with a key of zeros.
    pub open: bool,
    /// The addresses of this server as tokens have them; none: they are not looked at.
    pub public: Vec<SocketAddr>,
    /// 1 to `LANES_MAX`; none: datagrams of peers that have no lanes.
    pub lanes: Vec<LaneOptions>,
    /// The longest message.
    pub message_max_bytes: u32,
    /// How its rate is found.
    pub control: Control,
    /// It is never less.
    pub rate_min_bytes: u64,
    /// It is never more; 0: any.
    pub rate_max_bytes: u64,
    /// The largest datagram.
    pub mtu_max_bytes: u32,
    /// A peer that was not heard for so long is gone.
    pub peer_timeout: Micros,
    /// A peer that was sent nothing for so long is sent a keep-alive.
    pub ping: Micros,
    /// Time for a peer to answer, by the token that an open client makes.
    pub connect_timeout_s: i32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            protocol_id: 0,
            key: Key::default(),
            open: false,
            public: Vec::new(),
            lanes: LANES.into(),
            message_max_bytes: 512 << 10,
            control: Control::Game,
            rate_min_bytes: 4_000,
            rate_max_bytes: 0,
            mtu_max_bytes: 1_472,
            peer_timeout: 10_000_000,
            ping: 500_000,
            connect_timeout_s: 10,
        }
    }
}

impl Options {
    /// What a connection is told that is up.
    pub fn of_peers(&self) -> Arc<peer::Config> {
        Arc::new(peer::Config {
            lanes: self.lanes.clone(),
            message_max_bytes: self.message_max_bytes,
            rate: RateConfig {
                control: self.control,
                rate_min_bytes: self.rate_min_bytes,
                rate_max_bytes: self.rate_max_bytes,
            },
            mtu_max: self.mtu_max_bytes as usize,
            plain: self.lanes.is_empty(),
        })
    }

    /// How many lanes a connection has: one where a peer has none.
    pub fn lanes(&self) -> usize {
        self.lanes.len().max(1)
    }
}
