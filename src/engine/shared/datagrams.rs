//! What a slot holds for a datagram socket: socket + two lanes + what waits to be sent. To the host
//! it is a listener when it is bound, a connection when it is connected. `calls.rs` has what the
//! host asks of it, `tend.rs` what its worker does.

use crate::buf::{ARENA_BYTES, Chunk, Pool, Purpose, Slice};
use crate::engine::shared::config::Endpoint;
use crate::engine::shared::conn::{Link, Origin};
use crate::engine::shared::counters::ConnStats;
use crate::engine::shared::error::Error;
use crate::engine::shared::guard::Door;
use crate::engine::shared::reminder::Reminder;
use crate::io::{Arrival, Datagram, Weather, as_v6, canonical};
use crate::session::{Cause, Limits, Millis, Overflow, Refused};
use socket2::Socket;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

/// Where a datagram goes, and the address of this machine that it leaves from; None: the system
/// chooses. Both are of one family.
#[derive(Clone, Copy)]
pub struct Target {
    /// Where to.
    pub address: SocketAddr,
    /// Where from.
    pub local: Option<IpAddr>,
}

/// What a datagram socket has to do with the transport behind it.
#[derive(Default)]
pub struct Carriage {
    /// What the connections of a listener begin with.
    pub origin: Option<Arc<Origin>>,
    /// The transport, by its number with the socket's worker, while there is one.
    pub number: Option<u32>,
    /// Connections that were accepted.
    pub accepted: u64,
}

/// A datagram socket.
pub struct DatagramSocket {
    pub endpoint: Endpoint,
    /// A connection; else a listener.
    pub connected: bool,
    /// Neither: it was made by its worker, for connections that it carries.
    pub hidden: bool,
    /// It carries connections, and brings no datagrams to the host.
    pub carriage: Option<Box<Carriage>>,
    pub home: usize,
    pub queue: usize,
    pub link: Link,
    pub local: Option<SocketAddr>,
    pub peer: Option<SocketAddr>,
    /// Addresses of the peer still to be tried.
    pub addresses: VecDeque<SocketAddr>,
    /// Why it ends, once it does.
    pub closing: Option<(Cause, i32)>,
    /// It ends without what waits to be sent.
    pub abrupt: bool,
    pub told: bool,
    pub paused: bool,
    /// A command to look at it is on its way.
    pub dirty: bool,
    /// The last send reported an error of an earlier datagram; the next error is of this one.
    pub retried: bool,
    /// The end of connecting, or of a graceful close.
    pub deadline: Option<(Millis, Cause)>,
    /// Of its next deadline, or of `resume_at`.
    pub reminder: Reminder,
    /// When something was received last.
    pub heard: Millis,
    /// Errors of receives, one behind the other, and when it receives again after many.
    pub errors: u32,
    pub resume_at: Millis,
    /// Received while it was paused: at most one receive.
    pub kept: Vec<Arrival>,
    pub outbox: DatagramOutbox,
    /// Of a listener that bounds how fast an address sends.
    pub door: Option<Door>,
    /// What the host has done to its datagrams.
    pub weather: Option<Arc<Weather>>,
    /// It is to close, and waits until a tap holds nothing any more, or has.
    pub awaits_tap: bool,
    /// Its tap was asked to be quiet, behind a cancel.
    pub quieted: bool,
    /// But for what the outbox counts.
    pub stats: ConnStats,
}

/// Datagrams that wait to be sent.
#[derive(Default)]
pub struct DatagramOutbox {
    waiting: VecDeque<Datagram>,
    /// So many from the front were flushed.
    flushed: usize,
    /// Bytes and datagrams, those that the model has included.
    pub bytes: usize,
    pub messages: usize,
    /// What small ones are copied to.
    chunk: Option<Chunk>,
    pub refused: Refused,
    dropped: u64,
}

/// What became of a datagram that the outbox was asked to take.
pub enum Taken {
    Yes,
    /// No room: ask again.
    No,
    /// No room: the policy is to close.
    Close,
}

impl DatagramOutbox {
    /// Takes a datagram, or drops older ones for it, as the policy says. `past`: whatever waits.
    pub fn push(&mut self, datagram: Datagram, limits: &Limits, past: bool) -> Taken {
        let (bytes, messages) = (limits.outbox_max_bytes as usize, limits.outbox_max_messages);
        while !past
            && (self.bytes + datagram.data.len() > bytes || self.messages >= messages as usize)
        {
            match limits.overflow {
                Overflow::DropOldest if self.drop_oldest() => {}
                Overflow::Reject | Overflow::DropOldest => {
                    self.refused.add(datagram.data.len());
                    return Taken::No;
                }
                Overflow::Close => return Taken::Close,
            }
        }
        self.bytes += datagram.data.len();
        self.messages += 1;
        self.waiting.push_back(datagram);
        Taken::Yes
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.waiting.pop_front() else { return false };
        self.flushed = self.flushed.saturating_sub(1);
        self.dropped += 1;
        self.left(oldest.data.len());
        true
    }

    fn left(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.messages -= 1;
        if self.messages == 0 {
            // An idle socket has no memory.
            self.chunk = None;
            self.waiting.shrink_to(64);
        }
    }

    /// A copy, beside others where it is small. None: no memory.
    pub fn copy(&mut self, pool: &Pool, data: &[u8]) -> Option<Slice> {
        if data.is_empty() {
            return Some(Slice::default());
        }
        if self.chunk.as_ref().is_none_or(|chunk| chunk.room() < data.len()) {
            self.chunk = Some(pool.take_for(ARENA_BYTES.max(data.len()), Purpose::Send)?);
        }
        Some(self.chunk.as_mut()?.write(data))
    }

    /// Lets all that waits leave.
    pub fn flush(&mut self) {
        self.flushed = self.waiting.len();
    }

    /// The next that may leave, at most so many.
    pub fn transmit(&mut self, most: usize) -> Option<Vec<Datagram>> {
        let count = self.flushed.min(most);
        self.flushed -= count;
        (count > 0).then(|| self.waiting.drain(..count).collect())
    }

    /// What the model gave back: the first `done` are gone, the others wait again.
    pub fn returned(&mut self, mut all: Vec<Datagram>, done: usize, mut gone: impl FnMut(Slice)) {
        for datagram in all.drain(..done) {
            self.left(datagram.data.len());
            gone(datagram.data);
        }
        self.flushed += all.len();
        for datagram in all.into_iter().rev() {
            self.waiting.push_front(datagram);
        }
    }

    /// The memory with which the smallest that was refused is taken, if a WRITABLE is owed and,
    /// but for memory, due.
    pub fn owed(&self, limits: &Limits) -> Option<usize> {
        let room = self.refused.least()?;
        let most = limits.outbox_max_bytes as usize;
        let roomy = self.bytes <= limits.outbox_low_bytes as usize
            && self.bytes + room.min(most) <= most
            && self.messages <= limits.outbox_max_messages as usize / 4;
        roomy.then_some(room)
    }
}

impl DatagramSocket {
    /// One without a socket as yet.
    pub fn new(endpoint: Endpoint, connected: bool, home: usize, queue: usize) -> DatagramSocket {
        DatagramSocket {
            endpoint,
            connected,
            hidden: false,
            carriage: None,
            home,
            queue,
            link: Link::new(None),
            local: None,
            peer: None,
            addresses: VecDeque::new(),
            closing: None,
            abrupt: false,
            told: false,
            paused: false,
            dirty: false,
            retried: false,
            deadline: None,
            reminder: Reminder::default(),
            heard: 0,
            errors: 0,
            resume_at: 0,
            kept: Vec::new(),
            outbox: DatagramOutbox::default(),
            door: None,
            weather: None,
            awaits_tap: false,
            quieted: false,
            stats: ConnStats::default(),
        }
    }

    /// The transport behind it, by its number.
    #[inline]
    pub fn carrier(&self) -> Option<u32> {
        self.carriage.as_ref()?.number
    }

    /// Gives it its socket.
    pub fn set_socket(&mut self, socket: Socket) {
        let local = socket.local_addr().ok().and_then(|address| address.as_socket());
        self.local = local.map(canonical);
        self.link.set_socket(socket);
    }

    /// Ends it without what waits to be sent, unless that is so already.
    pub fn end_abruptly(&mut self, cause: Cause, os_error: i32) {
        if !self.abrupt {
            self.abrupt = true;
            self.closing = Some((cause, os_error));
        }
    }

    /// Ends it behind what waits to be sent, at most until its linger is over.
    pub fn end(&mut self, cause: Cause, now: Millis) {
        if self.closing.is_none() {
            self.closing = Some((cause, 0));
            self.outbox.flush();
            // One that carries connections lingers when they are gone.
            if self.carriage.is_none() {
                self.linger(now);
            }
        }
    }

    /// What waits to be sent has so much time from now on.
    pub fn linger(&mut self, now: Millis) {
        let linger = Millis::from(self.endpoint.limits.linger_ms);
        self.deadline = Some((now + linger, Cause::TimeoutLinger));
    }

    /// The next time at which it is late, and with what.
    pub fn due(&self) -> Option<(Millis, Cause)> {
        let idle = Millis::from(self.endpoint.limits.idle_timeout_ms);
        let listens =
            self.connected && self.link.is_adopted() && idle > 0 && self.closing.is_none();
        let late = listens.then(|| (self.heard + idle, Cause::TimeoutIdle));
        // The clock counts whole milliseconds: one more, or it would be up to one early.
        self.deadline.or(late).map(|(at, cause)| (at + 1, cause))
    }

    /// Whether it is bound to every address of both families.
    pub fn is_dual(&self) -> bool {
        let any_v6 = self.local.is_some_and(|local| local.ip() == Ipv6Addr::UNSPECIFIED);
        any_v6 && !self.connected && !self.endpoint.socket.v6only
    }

    /// Where a datagram to `to` goes, and the address of this machine that it leaves from if the
    /// socket has several, as the socket's family has them.
    pub fn target(&self, to: Target) -> Result<Target, Error> {
        let any = self.local.is_some_and(|local| local.ip().is_unspecified());
        // One of IPv4 may be given in the form of IPv6.
        let address = canonical(to.address);
        let local = to.local.map(|local| local.to_canonical()).filter(|_| any);
        match (address, self.local) {
            _ if address.port() == 0 => Err(Error::Invalid),
            (SocketAddr::V4(v4), Some(SocketAddr::V6(_))) if self.is_dual() => {
                let address = SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into();
                Ok(Target { address, local: local.map(|local| as_v6(local).into()) })
            }
            (_, Some(own)) if own.is_ipv4() == address.is_ipv4() => Ok(Target { address, local }),
            _ => Err(Error::Invalid),
        }
    }

    /// What was counted.
    pub fn stats(&self) -> ConnStats {
        ConnStats {
            outbox_messages: self.outbox.messages as u32,
            outbox_bytes: self.outbox.bytes as u64,
            dropped_messages: self.outbox.dropped,
            ..self.stats
        }
    }
}
