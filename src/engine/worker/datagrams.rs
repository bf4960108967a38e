//! The desk of datagram sockets: what to do next with one. Everything that happens to one ends in
//! `tend_port`.

use crate::buf::Release;
use crate::engine::shared::conn::{LaneState, Tie};
use crate::engine::shared::core::Core;
use crate::engine::shared::counters::count;
use crate::engine::shared::datagrams::{Port, open};
use crate::engine::shared::event::{Event, Notice};
use crate::engine::worker::desk::{Desk, Order, refusal};
use crate::io::os::sys;
use crate::io::{ADDRESS_BYTES, Arrival, DATAGRAMS_MAX, Datagram, Lane, Op, Role, Token};
use crate::session::{Cause, Millis};
use std::io;
use std::mem;
use std::net::SocketAddr;

/// After so many errors of receives, one behind the other, it waits so long before the next.
const ERRORS: (u32, Millis) = (16, 100);

impl Desk {
    /// A command asked to look: a close, a resume. `flushed`: what waited for a flush may leave.
    pub(in crate::engine) fn port_summoned(
        &mut self,
        core: &Core,
        token: Token,
        port: &mut Port,
        flushed: bool,
    ) {
        if flushed {
            port.dirty = false;
            port.outbox.flush();
        }
        self.port_writable(core, token, port);
        self.tend_port(core, token, port);
    }

    /// What is to be done next with a socket, both lanes and its end.
    pub(in crate::engine) fn tend_port(&mut self, core: &Core, token: Token, port: &mut Port) {
        let waits = port.outbox.messages > 0 && !port.abrupt;
        if (port.closing.is_none() || waits)
            && port.link.socket.is_none()
            && port.link.tie == Tie::Loose
        {
            self.dial_port(token, port);
        }
        if port.link.is_adopted() && port.closing.is_none() {
            self.receive(core, token, port);
        }
        if port.link.is_adopted()
            && !port.abrupt
            && !port.link.is_busy(Lane::Out)
            && let Some(batch) = port.outbox.transmit(DATAGRAMS_MAX)
        {
            port.link.lanes[Lane::Out as usize] = LaneState::InFlight;
            self.orders.push(Order::Submit(token, Op::SendTo(batch)));
        }
        if port.closing.is_some() && (port.abrupt || port.outbox.messages == 0) {
            self.finish_port(token, port);
        } else {
            self.schedule_port(core, token, port);
        }
    }

    /// Lane In: tells what a pause kept back, and asks for more.
    fn receive(&mut self, core: &Core, token: Token, port: &mut Port) {
        let limits = &port.endpoint.limits;
        let gated = limits.gate_reads && port.outbox.bytes > limits.outbox_low_bytes as usize;
        if port.paused || gated {
            return;
        }
        for arrival in mem::take(&mut port.kept) {
            self.arrived(core, token, port, arrival);
        }
        if !port.link.is_busy(Lane::In) && port.resume_at <= self.now {
            port.link.lanes[Lane::In as usize] = LaneState::InFlight;
            self.orders.push(Order::Submit(token, Op::RecvFrom));
        }
    }

    pub(in crate::engine) fn received_from(
        &mut self,
        core: &Core,
        token: Token,
        answer: io::Result<Vec<Arrival>>,
    ) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(port) = held.port() else { return };
        port.link.lanes[Lane::In as usize] = LaneState::Idle;
        match answer {
            Ok(all) => {
                port.errors = 0;
                port.heard = self.now;
                for arrival in all {
                    self.arrived(core, token, port, arrival);
                }
            }
            Err(_) if port.closing.is_some() => {}
            Err(error) => {
                self.refused(core, port, &error);
                port.errors += 1;
                if port.errors > ERRORS.0 {
                    // Never a spin, never the end of the socket.
                    port.errors = 0;
                    port.resume_at = self.now + ERRORS.1;
                }
            }
        }
        self.tend_port(core, token, port);
    }

    /// Tells one datagram, or counts it: a full queue does not stop the others.
    #[inline]
    fn arrived(&mut self, core: &Core, token: Token, port: &mut Port, arrival: Arrival) {
        if port.closing.is_some() {
            return;
        }
        if port.paused {
            return port.kept.push(arrival);
        }
        let counters = &core.homes[self.home].counters;
        if arrival.dropped > 0 {
            port.stats.system_drops += u64::from(arrival.dropped);
            count(&counters.system_drops, u64::from(arrival.dropped));
        }
        let mut data = arrival.data;
        if data.is_empty() || self.is_full_for(core, token, port) {
            port.stats.queue_drops += 1;
            return count(&counters.queue_drops, 1);
        }
        let most = port.endpoint.framing.frame_max_bytes as usize;
        let truncated = data.len() - ADDRESS_BYTES > most;
        if truncated {
            data.truncate(ADDRESS_BYTES + most);
        }
        let bytes = (data.len() - ADDRESS_BYTES) as u64;
        port.stats.received_bytes += bytes;
        port.stats.received_messages += 1;
        count(&counters.received_bytes, bytes);
        self.batch_messages += 1;
        self.emit(token, Notice::Datagram { data, truncated, connected: port.connected });
    }

    /// Whether the queue has no room for a datagram more: it is full, or one socket has an eighth
    /// of it by itself. A listener serves many peers and may have half.
    #[inline]
    fn is_full_for(&self, core: &Core, token: Token, port: &Port) -> bool {
        let (queue, more) = (&core.queues[self.queue], self.batch_bytes);
        let share = if port.connected { 1 } else { 4 };
        queue.is_crowded(more) && (queue.is_full(more) || queue.is_filled_by(token, share))
    }

    pub(in crate::engine) fn sent_to(
        &mut self,
        core: &Core,
        token: Token,
        answer: io::Result<usize>,
        all: Vec<Datagram>,
        release: &mut Release,
    ) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(port) = held.port() else { return };
        port.link.lanes[Lane::Out as usize] = LaneState::Idle;
        let counters = &core.homes[self.home].counters;
        let done = match answer {
            Ok(done) => {
                port.retried = false;
                let bytes = all[..done].iter().map(|datagram| datagram.data.len() as u64).sum();
                port.stats.sent_bytes += bytes;
                count(&counters.sent_bytes, bytes);
                count(&counters.sent_batches, 1);
                done
            }
            Err(_) if port.abrupt => 0,
            Err(error) => {
                self.refused(core, port, &error);
                // What a connected socket tells of an earlier datagram is not this one's fault.
                let earlier = port.connected && is_report(&error);
                usize::from(!earlier || mem::replace(&mut port.retried, true))
            }
        };
        port.outbox.returned(all, done, |data| release.add(data));
        self.port_writable(core, token, port);
        self.tend_port(core, token, port);
    }

    /// A datagram was not sent, or did not arrive.
    fn refused(&mut self, core: &Core, port: &mut Port, error: &io::Error) {
        port.stats.send_failures += 1;
        count(&core.homes[self.home].counters.send_failures, 1);
        let local = port.local;
        self.say(|| match local {
            Some(local) => format!("a datagram of {local} was not delivered: {error}"),
            None => format!("a datagram was not delivered: {error}"),
        });
    }

    /// Tells that there is room again, if that is owed.
    pub(in crate::engine) fn port_writable(&mut self, core: &Core, token: Token, port: &mut Port) {
        if port.closing.is_none()
            && port.link.is_adopted()
            && let Some(bytes) = port.outbox.owed(&port.endpoint.limits)
            && self.has_memory(core, token, bytes, port.outbox.messages > 0)
        {
            let refused = port.outbox.refused.take();
            self.emit(token, Notice::Writable { refused, listener: !port.connected });
        }
    }

    /// Connects to the next address: for datagrams the system only notes it down.
    fn dial_port(&mut self, token: Token, port: &mut Port) {
        let mut last = None;
        while let Some(address) = port.addresses.pop_front() {
            port.peer = Some(address);
            let socket = open(address, &port.endpoint.socket)
                .and_then(|socket| socket.connect(&address.into()).map(|()| socket));
            match socket {
                Ok(socket) => {
                    port.addresses.clear();
                    port.set_socket(socket);
                    return self.orders.push(Order::Adopt(token, Role::Datagram));
                }
                Err(error) => last = Some(error),
            }
        }
        let Some(error) = last else { return };
        let (cause, os_error) = refusal(&error);
        let cause = if cause == Cause::Reset { Cause::Unreachable } else { cause };
        port.end_abruptly(cause, os_error);
    }

    /// Its name was looked up.
    pub(in crate::engine) fn port_resolved(
        &mut self,
        core: &Core,
        token: Token,
        port: &mut Port,
        found: Result<Vec<SocketAddr>, i32>,
    ) {
        match found {
            Ok(addresses) if !addresses.is_empty() => port.addresses = addresses.into(),
            Ok(_) => port.end_abruptly(Cause::Resolve, 0),
            Err(os_error) => port.end_abruptly(Cause::Resolve, os_error),
        }
        self.tend_port(core, token, port);
    }

    /// The model took the socket, or refused it.
    pub(in crate::engine) fn port_adopted(
        &mut self,
        core: &Core,
        token: Token,
        port: &mut Port,
        answer: io::Result<()>,
    ) {
        port.link.adopted(answer.is_ok());
        if let Err(error) = answer {
            let (cause, os_error) = refusal(&error);
            port.end_abruptly(cause, os_error);
        } else if port.closing.is_none() {
            port.heard = self.now;
            port.deadline = None;
            if port.connected {
                self.emit(token, Notice::Opened(None));
            }
            self.port_writable(core, token, port);
        }
        self.tend_port(core, token, port);
    }

    /// Has the model give the socket back, and tells the end when it is closed.
    fn finish_port(&mut self, token: Token, port: &mut Port) {
        if !port.link.is_idle() {
            if port.link.cancel() {
                self.orders.push(Order::Cancel(token));
            }
            return;
        }
        if port.link.release() {
            self.orders.push(match port.link.socket.take() {
                Some(socket) => Order::Release(token, socket),
                None => Order::Join(token),
            });
        } else if port.link.is_joined() && !mem::replace(&mut port.told, true) {
            self.emit(token, port.end_notice());
        }
    }

    /// Shutdown: in order first, then at once.
    pub(in crate::engine) fn stop_port(
        &mut self,
        core: &Core,
        token: Token,
        port: &mut Port,
        abrupt: bool,
    ) {
        if port.home != self.home {
            return;
        }
        if abrupt || port.link.socket.is_none() {
            port.end_abruptly(Cause::Shutdown, 0);
        } else {
            port.end(Cause::Shutdown, self.now);
            // How long that may take, the shutdown knows.
            port.deadline = None;
        }
        self.tend_port(core, token, port);
    }
}

impl Port {
    /// Its last event.
    fn end_notice(&self) -> Notice {
        let (cause, os_error) = self.closing.unwrap_or((Cause::Host, 0));
        if self.connected {
            Notice::Closed { cause, os_error, unsent: self.outbox.bytes as u64, code: 0 }
        } else {
            Notice::ListenerClosed { cause, os_error }
        }
    }

    /// Its worker had a fault: the last event, if it was not told.
    pub fn fault(&mut self, token: Token, cause: Cause) -> Option<Event> {
        self.link.socket = None;
        self.link.join();
        self.end_abruptly(cause, 0);
        (!mem::replace(&mut self.told, true)).then(|| Event { token, notice: self.end_notice() })
    }
}

/// Whether an error of a connected socket tells of a datagram that was sent before (ICMP).
fn is_report(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable};
    matches!(sys::kind(error), ConnectionRefused | ConnectionReset | HostUnreachable)
}
