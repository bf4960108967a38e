//! One connection of a socket.

use super::timers::Armed;
use crate::session::Cause;
use crate::transport::lanes::Micros;
use crate::transport::lanes::envelope::{Client, KeepAlive, Session};
use crate::transport::lanes::peer::Peer;
use std::net::{IpAddr, SocketAddr};

/// See the module.
pub struct Line {
    pub peer: SocketAddr,
    /// The address of this machine that it speaks to.
    pub local: Option<IpAddr>,
    pub state: State,
    /// Its entry in the socket's timers.
    pub armed: Armed,
    /// It stands in the list of those that may have something to send.
    pub listed: bool,
    /// That it can be read was told.
    pub readable: bool,
}

pub enum State {
    /// It asks to be let in.
    Opening(Box<Client>),
    Open(Box<Open>),
    /// It was not let in, and that was told.
    Over,
}

/// What an open connection has.
pub struct Open {
    pub session: Session,
    pub lanes: Peer,
    /// Packets that came, and the greatest number of one.
    pub received: u64,
    pub newest: u64,
    pub heard: Micros,
    pub sent: Micros,
    /// A peer that was not heard for so long is gone; MAX: never.
    pub timeout: Micros,
    /// What it says where its address is not known; 0: a server says it.
    pub id: u64,
    /// What it was asked was answered from an address that is not its own.
    pub responded: Option<[u8; 8]>,
    /// A client says who it is until then: its address may be another one now.
    pub abroad: Micros,
    /// The client, as its token names it.
    pub client_id: u64,
    /// The number and the size of the server's table, as keep-alives of netcode have them.
    pub place: KeepAlive,
    /// A keep-alive is to be sent at once.
    pub greets: bool,
    /// The host closed it in order.
    pub ends: bool,
    /// Why it is over: nothing is sent any more, and what came is still to be read.
    pub over: Option<Cause>,
    /// The peer has ended it, and is still to know that this arrived.
    pub owes: bool,
    /// An address that may be the peer's from now on.
    pub path: Option<Box<Path>>,
}

/// Another address of the peer, to be proven.
pub struct Path {
    pub peer: SocketAddr,
    pub local: Option<IpAddr>,
    /// What it has to answer with.
    pub data: [u8; 8],
    /// It is to be asked.
    pub asks: bool,
    /// Until then.
    pub until: Micros,
    /// When it is asked again.
    pub again: Micros,
}

impl Open {
    /// One that begins now.
    pub fn new(session: Session, lanes: Peer, timeout: Micros, now: Micros) -> Open {
        Open {
            session,
            lanes,
            received: 0,
            newest: 0,
            heard: now,
            sent: now,
            timeout,
            id: 0,
            responded: None,
            abroad: 0,
            client_id: 0,
            place: KeepAlive::default(),
            greets: true,
            ends: false,
            over: None,
            owes: false,
            path: None,
        }
    }

    /// When it wants to be looked at.
    pub fn due(&self, ping: Micros) -> Micros {
        if self.over.is_some() {
            return Micros::MAX;
        }
        let at = self.lanes.poll_timeout().unwrap_or(Micros::MAX);
        let path = self.path.as_ref().map_or(Micros::MAX, |path| path.again.min(path.until));
        at.min(self.sent.saturating_add(ping))
            .min(self.heard.saturating_add(self.timeout))
            .min(path)
    }

    /// The next sequence of a packet that is sent now.
    pub fn take_sequence(&mut self, now: Micros) -> u64 {
        self.sent = now;
        self.session.next += 1;
        self.session.next - 1
    }

    /// What a goodbye means that the peer did not announce: what was under way may be lost.
    pub fn cut(&self, plain: bool) -> Cause {
        match (plain, self.ends && self.lanes.is_settled()) {
            (true, _) => Cause::Peer,
            (false, true) => Cause::Host,
            (false, false) => Cause::Reset,
        }
    }
}

impl Line {
    pub fn new(peer: SocketAddr, local: Option<IpAddr>, state: State) -> Line {
        Line { peer, local, state, armed: Armed::default(), listed: false, readable: false }
    }

    /// What an open one has.
    pub fn open(&mut self) -> Option<&mut Open> {
        match &mut self.state {
            State::Open(open) => Some(open),
            State::Opening(_) | State::Over => None,
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        match &self.state {
            State::Open(open) => open.over.is_some(),
            State::Opening(_) => false,
            State::Over => true,
        }
    }
}
