//! What the host asks of a datagram socket.

use crate::buf::{ARENA_BYTES, Purpose};
use crate::engine::host::facts::{Arrival, ConnInfo};
use crate::engine::host::net::Net;
use crate::engine::host::sends::Message;
use crate::engine::host::url::{Dial, Place};
use crate::engine::shared::config::{CloseHow, Endpoint};
use crate::engine::shared::conn::Origin;
use crate::engine::shared::counters::ConnStats;
use crate::engine::shared::datagrams::{Carriage, DatagramSocket, Taken, Target};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::guard::Door;
use crate::engine::shared::home::Command;
use crate::engine::shared::log::Level;
use crate::engine::shared::table::{Held, Resident};
use crate::io::{DATAGRAM_MAX_BYTES, Datagram, Token};
use crate::session::Cause;
use socket2::{InterfaceIndexOrAddress, SockAddr, Socket};
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// Larger datagrams are copied outside of the socket's lock.
const LOCKED_COPY_MAX: usize = 4096;

impl DatagramSocket {
    fn change_membership(&self, group: IpAddr, interface: u32, join: bool) -> io::Result<()> {
        let Some(socket) = self.link.socket() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let index = InterfaceIndexOrAddress::Index(interface);
        match (group, join) {
            (IpAddr::V4(group), true) => socket.join_multicast_v4_n(&group, &index),
            (IpAddr::V4(group), false) => socket.leave_multicast_v4_n(&group, &index),
            (IpAddr::V6(group), true) => socket.join_multicast_v6(&group, interface),
            (IpAddr::V6(group), false) => socket.leave_multicast_v6(&group, interface),
        }
    }
}

impl Net {
    /// Binds a datagram socket; `out` is given its handle before any worker knows it.
    pub(in crate::engine) fn listen_port(
        &self,
        place: Place,
        mut endpoint: Endpoint,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let addresses = place.into_listen(&mut endpoint.socket)?;
        let internet: Vec<SocketAddr> = addresses.iter().filter_map(SockAddr::as_socket).collect();
        let address = *internet.first().ok_or(Error::Invalid)?;
        let refused = |error| Refusal::system(&format!("bind to {address}"), &error);
        let socket = endpoint.socket.bound_datagrams(&internet).map_err(refused)?;
        let local = socket.local_addr().ok().and_then(|local| local.as_socket());
        self.add_port(local.unwrap_or(address), endpoint, || socket, out)
    }

    /// A datagram socket that is bound to `local`. It is asked for when nothing can fail any more.
    pub(in crate::engine) fn add_port(
        &self,
        local: SocketAddr,
        endpoint: Endpoint,
        socket: impl FnOnce() -> Socket,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let (queue, turn) = (endpoint.queue.unwrap_or(0), self.next_listener.fetch_add(1, Relaxed));
        let (user_data, carried) = (endpoint.user_data, endpoint.carrying.is_some());
        let mut udp = DatagramSocket::new(endpoint, false, 0, queue as usize);
        let no_room = || Refusal::new(Error::Limit, "no worker of this model has room");
        let home = self.core.place_listener(queue, turn).ok_or_else(no_room)?;
        udp.home = home;
        let door = udp.endpoint.guard.map(|limits| Door::new(limits, &self.core.guard));
        // Of those that are carried the connections are bounded, not the datagrams.
        let (door, of_conns) = if carried { (None, door) } else { (door, None) };
        udp.door = door;
        let origin =
            carried.then(|| Arc::new(Origin::bound(udp.endpoint.clone(), Some(local), of_conns)));
        udp.carriage = origin
            .clone()
            .map(|origin| Box::new(Carriage { origin: Some(origin), ..Carriage::default() }));
        let full = || Refusal::new(Error::Limit, "connections_max is reached");
        let entry = Resident::Datagram(Box::new(udp));
        let token = self.core.insert(entry, user_data, home).ok_or_else(full)?;
        if let Some(origin) = origin {
            origin.set_listener(token);
        }
        let mut held = self.core.table.hold(token);
        if let Some(udp) = held.as_mut().and_then(Held::datagram) {
            udp.set_socket(socket());
        }
        drop(held);
        out(self.listener_id(token));
        self.core.homes[home].post(Command::Adopt(token));
        self.core.log.note(Level::Info, || format!("receiving datagrams on {local}"));
        Ok(())
    }

    /// Begins a connected datagram socket; `out` is given its handle before any worker knows it.
    pub(in crate::engine) fn connect_port(
        &self,
        place: Place,
        endpoint: Endpoint,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let core = &self.core;
        let dial = place.into_connect(&endpoint.socket)?;
        let placed = core.place(endpoint.queue);
        let (queue, home) = placed.unwrap_or_else(|| core.squeeze(endpoint.queue));
        let (user_data, timeout) = (endpoint.user_data, endpoint.limits.connect_timeout_ms);
        let mut udp = DatagramSocket::new(endpoint, true, home, queue);
        udp.deadline =
            (timeout > 0).then(|| (core.now() + u64::from(timeout), Cause::TimeoutConnect));
        let name = match dial {
            Dial::Addresses(addresses) => {
                udp.addresses = addresses.iter().filter_map(SockAddr::as_socket).collect();
                None
            }
            Dial::Name(name, port) => Some((name, port)),
        };
        let full = || Refusal::new(Error::Limit, "connections_max is reached");
        let entry = Resident::Datagram(Box::new(udp));
        let token = core.insert(entry, user_data, home).ok_or_else(full)?;
        if let Some(name) = name {
            self.look_up(token, home, name)?;
        }
        out(self.conn_id(token));
        core.homes[home].post(Command::Tend(token));
        Ok(())
    }

    /// A datagram socket that is a connection to the host, or a listener.
    pub(in crate::engine) fn hold_datagram(
        &self,
        token: Token,
        connected: bool,
    ) -> Result<Held<'_>, Error> {
        let mut held = self.core.table.hold(token).ok_or(Error::Stale)?;
        if !connected && held.listener().is_some() {
            return Err(Error::Unsupported);
        }
        let same = held.datagram().is_some_and(|udp| udp.connected == connected && !udp.hidden);
        if same { Ok(held) } else { Err(Error::Stale) }
    }

    /// Gives one datagram to a listener, to be sent to `to`.
    pub fn send_to(&self, token: Token, to: Target, data: &[u8]) -> Result<(), Error> {
        self.check_running()?;
        if data.len() > DATAGRAM_MAX_BYTES {
            return Err(Error::TooBig);
        }
        self.send_datagram(token, Some(to), data, false)
    }

    /// Gives one datagram to a socket, to be sent to `to` or to its peer. `past`: past the
    /// bounds of its outbox.
    pub(in crate::engine) fn send_datagram(
        &self,
        token: Token,
        to: Option<Target>,
        data: &[u8],
        past: bool,
    ) -> Result<(), Error> {
        let pool = &self.core.pool;
        let copied = (data.len() > LOCKED_COPY_MAX && data.len() <= DATAGRAM_MAX_BYTES)
            .then(|| pool.take_for(data.len(), Purpose::Send).map(|mut chunk| chunk.write(data)));
        let mut held = self.hold_datagram(token, to.is_none())?;
        let udp = held.datagram().ok_or(Error::Stale)?;
        if udp.carriage.is_some() {
            return Err(Error::Unsupported);
        }
        if udp.closing.is_some() {
            return Err(Error::Closed);
        }
        let max = udp.endpoint.limits.outbox_max_bytes as usize;
        if data.len() > DATAGRAM_MAX_BYTES || data.len() > max {
            return Err(Error::TooBig);
        }
        let to = to.map(|to| udp.target(to)).transpose()?;
        let copied = copied.unwrap_or_else(|| udp.outbox.copy(pool, data));
        let (home, data_len) = (udp.home, data.len());
        let Some(data) = copied else {
            udp.outbox.refused.add(data.len().max(ARENA_BYTES));
            drop(held);
            self.thirst(token, home, data_len, Purpose::Send);
            return Err(Error::Again);
        };
        let (address, local) = (to.map(|to| to.address), to.and_then(|to| to.local));
        self.take_datagram(token, held, Datagram { address, local, data }, past)
    }

    /// Gives a message in parts to a connected socket, as one datagram.
    pub(in crate::engine) fn send_datagram_of(
        &self,
        token: Token,
        message: &Message<'_>,
    ) -> Result<(), Error> {
        drop(self.hold_datagram(token, true)?);
        if message.key.key != 0 {
            return Err(Error::Invalid);
        }
        if message.parts.iter().map(|part| part.len()).sum::<usize>() > DATAGRAM_MAX_BYTES {
            return Err(Error::TooBig);
        }
        self.send_datagram(token, None, &message.parts.concat(), false)
    }

    fn take_datagram(
        &self,
        token: Token,
        mut held: Held<'_>,
        datagram: Datagram,
        past: bool,
    ) -> Result<(), Error> {
        let udp = held.datagram().ok_or(Error::Stale)?;
        let home = udp.home;
        match udp.outbox.push(datagram, &udp.endpoint.limits, past) {
            Taken::No => Err(Error::Again),
            Taken::Yes if mem::replace(&mut udp.dirty, true) => Ok(()),
            Taken::Yes if self.core.is_manual() => {
                // Under the lock: who finds it dirty may rely on the next flush.
                self.core.homes[home].stage(token);
                Ok(())
            }
            Taken::Yes => {
                drop(held);
                self.core.homes[home].post(Command::Flush(token));
                Ok(())
            }
            Taken::Close => {
                udp.end_abruptly(Cause::LimitOutbox, 0);
                self.core.summon(token, held, home);
                Err(Error::Closed)
            }
        }
    }

    /// Closes a socket, behind a last datagram if one is given.
    pub(in crate::engine) fn close_port(
        &self,
        token: Token,
        connected: bool,
        how: CloseHow,
        last: Option<&[u8]>,
    ) -> Result<(), Error> {
        let ending = self
            .hold_datagram(token, connected)?
            .datagram()
            .is_some_and(|udp| udp.closing.is_some());
        if let (Some(last), CloseHow::Graceful, false) = (last, how, ending) {
            self.send_datagram(token, None, last, true).map_err(|error| match error {
                Error::Again => Error::NoMemory,
                error => error,
            })?;
        }
        let mut held = self.hold_datagram(token, connected)?;
        let slot = held.slot();
        let udp = held.datagram().ok_or(Error::Stale)?;
        match how {
            CloseHow::Graceful if udp.closing.is_none() => udp.end(Cause::Host, self.core.now()),
            CloseHow::Reset if !udp.abrupt => udp.end_abruptly(Cause::Host, 0),
            _ => return Err(Error::Closed),
        }
        slot.muted.store(connected, Release);
        let home = udp.home;
        self.core.summon(token, held, home);
        Ok(())
    }

    /// Stops or resumes receiving.
    pub(in crate::engine) fn pause_port(&self, token: Token, paused: bool) -> Result<(), Error> {
        let mut held = self.hold_datagram(token, true)?;
        let udp = held.datagram().ok_or(Error::Stale)?;
        if udp.closing.is_some() {
            return Err(Error::Closed);
        }
        udp.paused = paused;
        let home = udp.home;
        self.core.summon(token, held, home);
        Ok(())
    }

    /// Joins or leaves a multicast group.
    pub fn change_membership(
        &self,
        token: Token,
        group: IpAddr,
        interface: u32,
        join: bool,
    ) -> Result<(), Refusal> {
        self.check_running()?;
        if !group.is_multicast() {
            return Err(Refusal::new(Error::Invalid, format!("{group} is no multicast group")));
        }
        let mut held = self.hold_datagram(token, false)?;
        let udp = held.datagram().ok_or(Error::Stale)?;
        if udp.closing.is_some() {
            return Err(Error::Closed.into());
        }
        let other = udp.local.is_some_and(|local| local.is_ipv4() != group.is_ipv4());
        if other && !(group.is_ipv4() && udp.is_dual()) {
            let words = format!("{group} is of another family than the listener");
            return Err(Refusal::new(Error::Invalid, words));
        }
        udp.change_membership(group, interface, join).map_err(|error| {
            let tried = if join { "join" } else { "leave" };
            Refusal::system(&format!("{tried} {group} on interface {interface}"), &error)
        })
    }

    /// Facts of a connected one.
    pub(in crate::engine) fn datagram_info(&self, token: Token) -> Result<ConnInfo, Error> {
        let mut held = self.hold_datagram(token, true)?;
        let user_data = held.slot().user_data.load(Acquire);
        let udp = held.datagram().ok_or(Error::Stale)?;
        let (peer, local) = (udp.peer, udp.local);
        let queue = udp.queue as u32;
        Ok(ConnInfo {
            arrival: Arrival::Plain,
            queue,
            peer,
            local,
            listener: None,
            user_data,
            credentials: None,
            proxy: None,
        })
    }

    /// What a socket has counted.
    pub fn datagram_stats(&self, token: Token, connected: bool) -> Result<ConnStats, Error> {
        let mut held = self.hold_datagram(token, connected)?;
        held.datagram().map(|udp| udp.stats()).ok_or(Error::Stale)
    }
}
