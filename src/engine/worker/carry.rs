//! The desk of transports: what comes from their sockets, what they have to say, and what is to be
//! sent. `carried.rs` has what to do next with a connection that one of them carries.
//!
//! A transport is its worker's alone, so no lock is held for it. A socket and each connection are
//! in slots of their own, of which one at a time is locked: what is to be done with a connection
//! while the socket's is locked, and the other way round, waits in a list.

use crate::engine::shared::cause::refusal;
use crate::engine::shared::conn::{Conn, Link, Origin, Phase, Report};
use crate::engine::shared::core::{Core, millis};
use crate::engine::shared::counters::count;
use crate::engine::shared::datagrams::{Carriage, DatagramSocket, Target};
use crate::engine::shared::event::Notice;
use crate::engine::shared::reminder::Due;
use crate::engine::shared::table::Resident;
use crate::engine::worker::carriers::{Carrier, Clock};
use crate::engine::worker::desk::{Desk, Order};
use crate::io::datagram::sender_of;
use crate::io::{ADDRESS_BYTES, Arrival, DATAGRAMS_MAX, Datagram, Lane, Role, Token};
use crate::session::{Cause, Millis, Stack};
use crate::transport::lanes::{Micros, Seed};
use crate::transport::{self, Event, Handled, Reason, Stream, Transmit};
use ring::rand::{SecureRandom, SystemRandom};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A transport is told the time of day so often.
const CLOCK_MS: Millis = 1_000;

/// What a transport begins with that is made now: `elapsed` by the net's clock.
fn clock(elapsed: Duration) -> Clock {
    let mut seed = Seed::default();
    // Without random numbers the tokens that it makes are known; those that are checked are not.
    let _ = SystemRandom::new().fill(&mut seed);
    Clock { seed, unix_s: unix_at(elapsed) }
}

/// The time of day at 0 of the net's clock, in seconds since 1970.
fn unix_at(elapsed: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(elapsed).as_secs()
}

/// The turn's time that a transport wants to be called at: not before.
fn due_at(at: Micros) -> Millis {
    millis(Duration::from_micros(at.saturating_add(999)))
}

impl Desk {
    /// Makes the transport of a socket that the model took.
    pub fn begin_carrier(&mut self, token: Token, udp: &mut DatagramSocket) {
        let Some(carriage) = udp.carriage.as_mut().filter(|it| it.number.is_none()) else { return };
        let Some(carrying) = &udp.endpoint.carrying else { return };
        let (origin, clock) = (carriage.origin.clone(), clock(self.elapsed));
        let carrier = Carrier::new(carrying, token, udp.local, origin, clock);
        carriage.number = Some(self.carriers.add(carrier));
    }

    /// Datagrams came for a transport.
    pub fn carry_in(&mut self, core: &Core, number: u32, all: Vec<Arrival>) {
        let Some(carrier) = self.carriers.get(number) else { return };
        let socket = carrier.socket;
        if all.len() < DATAGRAMS_MAX {
            carrier.caught_up = self.now;
        }
        if self.now >= carrier.clocked + CLOCK_MS {
            // The system's may have been set, by which tokens end.
            carrier.endpoint.set_unix(unix_at(self.elapsed));
            carrier.clocked = self.now;
        }
        let (mut system_drops, mut drops, mut accepted, mut bytes) = (0, 0, 0, 0);
        let mut messages = 0;
        for Arrival { mut data, dropped } in all {
            system_drops += u64::from(dropped);
            let Some((peer, local)) = sender_of(&data) else {
                // There was no memory for it.
                drops += 1;
                continue;
            };
            data.advance(ADDRESS_BYTES);
            bytes += data.len() as u64;
            messages += 1;
            let datagram = transport::Datagram { peer, local, data };
            match self.carry_one(core, number, datagram) {
                Handled::New => accepted += 1,
                Handled::Dropped(_) => drops += 1,
                Handled::Existing(_) | Handled::Reply => {}
            }
        }
        self.carriers.touch(number);
        let counters = &core.homes[self.home].counters;
        count(&counters.system_drops, system_drops);
        count(&counters.queue_drops, drops);
        count(&counters.received_bytes, bytes);
        count(&counters.accepted, accepted);
        let Some(mut held) = core.table.hold(socket) else { return };
        let Some(udp) = held.datagram() else { return };
        udp.stats.system_drops += system_drops;
        udp.stats.queue_drops += drops;
        udp.stats.received_bytes += bytes;
        udp.stats.received_messages += messages;
        if let Some(carriage) = &mut udp.carriage {
            carriage.accepted += accepted;
        }
    }

    /// Gives one datagram to a transport.
    fn carry_one(&mut self, core: &Core, number: u32, datagram: transport::Datagram) -> Handled {
        let unknown = Handled::Dropped(Reason::Unknown);
        let now = self.micros();
        let Some(carrier) = self.carriers.get(number) else { return unknown };
        let open = !carrier.shut && carrier.origin.is_some() && core.is_running();
        let full = open && !core.table.has_room();
        let vacant = (open && !full).then(|| carrier.vacant());
        let (peer, local) = (datagram.peer, datagram.local);
        let handled = carrier.endpoint.handle_datagram(datagram, vacant, now);
        match (handled, vacant) {
            (Handled::Existing(stream), _) => {
                let rider = carrier.rider(stream);
                if let Some(mut held) = rider.and_then(|token| core.table.hold(token))
                    && let Some(conn) = held.conn()
                {
                    conn.session.session_mut().handle_message(self.now);
                }
            }
            (Handled::Dropped(Reason::Refused), None) if full => {
                self.turned_away(core, "connections_max is reached");
            }
            (Handled::New, Some(stream)) if !self.admit(core, number, stream, peer, local) => {
                return Handled::Dropped(Reason::Refused);
            }
            _ => {}
        }
        handled
    }

    /// A peer opened a stream: a connection, if there is room for one.
    fn admit(
        &mut self,
        core: &Core,
        number: u32,
        stream: Stream,
        peer: SocketAddr,
        local: Option<IpAddr>,
    ) -> bool {
        let now = self.micros();
        let Some(carrier) = self.carriers.get(number) else { return false };
        let Some(origin) = carrier.origin.clone() else { return false };
        let door = origin.door();
        if (core.guard.is_on() || door.is_some())
            && core.guard.decide(door, Some(peer), self.now).is_err()
        {
            carrier.endpoint.forget(stream, now);
            return false;
        }
        let queues = core.queues.len();
        let queue = origin.queue.map_or_else(|| carrier.next_queue(queues), |it| it as usize);
        let port = carrier.local.map_or(0, |local| local.port());
        let (user_data, listener) = (origin.user_data, origin.listener());
        let mut session = Stack::new(self.now, core.is_manual());
        if let Some(count) = carrier.lanes {
            session.add_lanes(count);
        }
        let greeting = self.greeting(core, number, stream);
        let mut conn = Conn::new(origin, session, self.home, queue);
        conn.set_peer(Some(peer));
        conn.set_local(local.map(|ip| SocketAddr::new(ip, port)));
        conn.link = Link::carried(number, stream);
        (conn.life.phase, conn.life.report) = (Phase::Open, Report::Known);
        let abroad = self.is_abroad(core, queue);
        conn.moving.abroad = abroad;
        let token = core.table.insert(Resident::Conn(conn), user_data);
        let Some(carrier) = self.carriers.get(number) else { return false };
        let Some(token) = token else {
            carrier.endpoint.forget(stream, now);
            self.turned_away(core, "connections_max is reached");
            return false;
        };
        carrier.board(token);
        self.count_abroad(core, abroad);
        self.emit(token, Notice::Opened { listener, data: greeting });
        if let Some(mut held) = core.table.hold(token)
            && let Some(conn) = held.conn()
        {
            self.tend_conn(core, token, conn);
        }
        true
    }

    /// Asks the transports that something was done with for all that comes of it. No slot is
    /// locked.
    pub fn drive_carriers(&mut self, core: &Core) {
        while !self.carriers.at_rest() {
            while let Some((number, cause, os_error)) = self.carriers.wrecked.pop() {
                self.wreck(core, number, cause, os_error);
            }
            while let Some(token) = self.carriers.wanted.pop() {
                self.make_carrier(core, token);
            }
            if let Some(number) = self.carriers.next_touched() {
                self.drive(core, number);
            }
        }
    }

    fn drive(&mut self, core: &Core, number: u32) {
        while let Some(event) = self.carriers.get(number).and_then(|it| it.endpoint.poll_event()) {
            self.stream_event(core, number, event);
        }
        let Some(socket) = self.carriers.get(number).map(|it| it.socket) else { return };
        if let Some(mut held) = core.table.hold(socket)
            && let Some(udp) = held.datagram()
        {
            self.tend_datagram(core, socket, udp);
        }
        let Some(carrier) = self.carriers.get(number) else { return };
        let due = Due::Transport(number.into());
        match (carrier.timer, carrier.endpoint.poll_timeout().map(due_at)) {
            (Some((_, before)), Some(at)) if before == at => {}
            (timer, Some(at)) => {
                let timer = self.timers.set(timer.map(|(timer, _)| timer), due, at);
                carrier.timer = Some((timer, at));
            }
            (Some((timer, _)), None) => {
                self.timers.cancel(timer, due);
                carrier.timer = None;
            }
            (None, None) => {}
        }
    }

    /// A time that a transport asked for has come.
    pub fn transport_due(&mut self, number: u32) {
        let now = self.micros();
        let Some(carrier) = self.carriers.get(number) else { return };
        carrier.timer = None;
        carrier.endpoint.handle_timeout(now);
        self.carriers.touch(number);
    }

    fn stream_event(&mut self, core: &Core, number: u32, event: Event) {
        let stream = event.stream();
        let rider = self.carriers.get(number).and_then(|carrier| carrier.rider(stream));
        let Some(token) = rider else { return };
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        debug_assert_eq!(conn.link.carrier(), Some((number, stream)), "a stream has one rider");
        match event {
            Event::Opened(_) => self.stream_opened(core, token, conn),
            Event::Readable(_) => conn.link.end(Lane::In),
            Event::Writable(_) => conn.link.end(Lane::Out),
            Event::Released(_, lane, bytes) => self.lane_released(core, token, conn, lane, bytes),
            Event::Migrated(_) => self.stream_migrated(token, conn),
            Event::Closed(_, cause) => self.stream_closed(core, token, conn, cause),
        }
        self.tend_conn(core, token, conn);
    }

    /// Has a transport fill the outbox of its socket, when that has nothing else to send.
    pub fn load(&mut self, core: &Core, token: Token, udp: &mut DatagramSocket) {
        let Some(number) = udp.carrier() else { return };
        let now = self.micros();
        let Some(carrier) = self.carriers.get(number) else { return };
        carrier.shut |= udp.closing.is_some();
        if !udp.link.is_adopted() || udp.link.is_busy(Lane::Out) || udp.outbox.messages > 0 {
            return;
        }
        let mut loaded = 0;
        while loaded < DATAGRAMS_MAX {
            match carrier.endpoint.poll_transmit(&core.pool, now) {
                Transmit::Nothing => break,
                Transmit::Datagram(transport::Datagram { peer, local, data }) => {
                    let target = udp.target(Target { address: peer, local });
                    let Ok(Target { address, local }) = target else { continue };
                    let datagram = Datagram { address: Some(address), local, data };
                    udp.outbox.push(datagram, &udp.endpoint.limits, true);
                    loaded += 1;
                }
                Transmit::Starved(bytes) => {
                    if self.has_memory(core, token, bytes, false) {
                        // It came back meanwhile.
                        self.hungry.push(token);
                    }
                    break;
                }
            }
        }
        if loaded > 0 {
            udp.outbox.flush();
            // Who waited for room may go on.
            self.carriers.touch(number);
        }
    }

    /// Whether a socket that is to close still carries connections, or has some of their last
    /// words. When it does not, its transport is gone.
    pub fn carries(&mut self, core: &Core, udp: &mut DatagramSocket) -> bool {
        let Some(number) = udp.carrier() else { return false };
        let Some(carrier) = self.carriers.get(number) else { return false };
        if !carrier.is_empty() {
            return true;
        }
        if udp.hidden && udp.closing.is_none() {
            udp.end(Cause::Host, self.now);
            carrier.shut = true;
        }
        if udp.closing.is_none() {
            return true;
        }
        let speaks = udp.outbox.messages > 0 || carrier.endpoint.poll_timeout().is_some();
        let late = udp.deadline.is_some_and(|(at, _)| at <= self.now);
        if speaks && udp.link.is_adopted() && !late {
            if udp.deadline.is_none() && core.is_running() {
                udp.linger(self.now);
            }
            return true;
        }
        if let Some((timer, _)) = carrier.timer {
            self.timers.cancel(timer, Due::Transport(number.into()));
        }
        self.carriers.remove(number);
        if let Some(carriage) = &mut udp.carriage {
            carriage.number = None;
        }
        false
    }

    /// A socket for connections that are carried could not be had: they end.
    pub fn wreck(&mut self, core: &Core, number: u32, cause: Cause, os_error: i32) {
        let Some(carrier) = self.carriers.get(number) else { return };
        carrier.shut = true;
        for token in carrier.riders() {
            let Some(mut held) = core.table.hold(token) else { continue };
            let Some(conn) = held.conn() else { continue };
            conn.end_abruptly(cause, os_error);
            self.tend_conn(core, token, conn);
        }
    }

    /// Makes a socket with a transport for a connection that found none, and has it connect.
    fn make_carrier(&mut self, core: &Core, token: Token) {
        let Some((origin, v6)) = self.wants_carrier(core, token) else { return };
        let made = self.new_carrier(core, &origin, v6);
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        match made {
            Ok(number) => {
                self.ride(core, token, conn, number);
                self.carriers.touch(number);
            }
            Err((cause, os_error)) => conn.end_abruptly(cause, os_error),
        }
        self.tend_conn(core, token, conn);
    }

    /// What a connection begins with that waits for a transport, and whether its peer has an IPv6
    /// address.
    fn wants_carrier(&self, core: &Core, token: Token) -> Option<(Arc<Origin>, bool)> {
        let mut held = core.table.hold(token)?;
        let conn = held.conn()?;
        let waits = conn.awaits_carrier();
        waits.then(|| (conn.endpoint.clone(), conn.peer().is_some_and(|peer| peer.is_ipv6())))
    }

    fn new_carrier(
        &mut self,
        core: &Core,
        origin: &Arc<Origin>,
        v6: bool,
    ) -> Result<u32, (Cause, i32)> {
        let carrying = origin.carrying.as_ref().ok_or((Cause::Internal, 0))?;
        if let Some(number) = self.carriers.shared(carrying, v6).filter(|_| carrying.shares) {
            return Ok(number);
        }
        let any = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let mut udp = DatagramSocket::new((***origin).clone(), false, self.home, self.queue);
        udp.hidden = true;
        let socket = udp.endpoint.socket.bound_datagrams(&[SocketAddr::new(any, 0)]);
        udp.set_socket(socket.map_err(|error| refusal(&error))?);
        udp.carriage = Some(Box::new(Carriage::default()));
        if !core.homes[self.home].move_in(core.sockets_max) {
            return Err((Cause::LimitModel, 0));
        }
        let local = udp.local;
        let entry = Resident::Datagram(Box::new(udp));
        let socket = core.insert(entry, 0, self.home).ok_or((Cause::LimitModel, 0))?;
        let carrier = Carrier::new(carrying, socket, local, None, clock(self.elapsed));
        let number = self.carriers.add(carrier);
        if let Some(mut held) = core.table.hold(socket)
            && let Some(carriage) = held.datagram().and_then(|udp| udp.carriage.as_mut())
        {
            carriage.number = Some(number);
        }
        self.orders.push(Order::Adopt(socket, Role::Datagram));
        Ok(number)
    }
}
