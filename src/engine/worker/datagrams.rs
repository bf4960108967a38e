//! The desk of datagram sockets: what to do next with one. Everything that happens to one ends in
//! `tend_datagram`.

use crate::buf::Release;
use crate::engine::shared::cause::{is_report, refusal};
use crate::engine::shared::conn::Tie;
use crate::engine::shared::core::Core;
use crate::engine::shared::counters::count;
use crate::engine::shared::datagrams::DatagramSocket;
use crate::engine::shared::event::{Event, Notice};
use crate::engine::worker::desk::{Desk, Order};
use crate::io::datagram::sender_of;
use crate::io::{ADDRESS_BYTES, Arrival, DATAGRAMS_MAX, Datagram, Lane, Op, Role, Token};
use crate::session::{Cause, Millis};
use std::io;
use std::mem;
use std::net::SocketAddr;

/// After so many errors of receives, one behind the other, it waits so long before the next.
const ERRORS: (u32, Millis) = (16, 100);

impl Desk {
    /// A command asked to look: a close, a resume. `flushed`: what waited for a flush may leave.
    pub(in crate::engine) fn datagram_summoned(
        &mut self,
        core: &Core,
        token: Token,
        udp: &mut DatagramSocket,
        flushed: bool,
    ) {
        if flushed {
            udp.dirty = false;
            udp.outbox.flush();
        }
        self.datagram_writable(core, token, udp);
        self.tend_datagram(core, token, udp);
    }

    /// What is to be done next with a socket, both lanes and its end.
    pub(in crate::engine) fn tend_datagram(
        &mut self,
        core: &Core,
        token: Token,
        udp: &mut DatagramSocket,
    ) {
        let waits = udp.outbox.messages > 0 && !udp.abrupt;
        if (udp.closing.is_none() || waits)
            && udp.link.socket().is_none()
            && udp.link.tie() == Tie::Loose
        {
            self.dial_datagram(token, udp);
        }
        let carries = udp.carriage.is_some() && {
            self.load(core, token, udp);
            self.carries(core, udp)
        };
        if udp.link.is_adopted() && (udp.closing.is_none() || carries) {
            self.receive(core, token, udp);
        }
        if udp.link.is_adopted()
            && (!udp.abrupt || carries)
            && !udp.link.is_busy(Lane::Out)
            && let Some(batch) = udp.outbox.transmit(DATAGRAMS_MAX)
        {
            udp.link.begin(Lane::Out);
            self.orders.push(Order::Submit(token, Op::SendTo(batch)));
        }
        if udp.closing.is_some() && !carries && (udp.abrupt || udp.outbox.messages == 0) {
            if core.config.taps && self.is_datagram_tapped(token, udp) {
                return self.schedule_datagram(core, token, udp);
            }
            self.finish_datagram(token, udp);
        } else {
            self.schedule_datagram(core, token, udp);
        }
    }

    /// Lane In: reports what a pause kept back, and asks for more.
    fn receive(&mut self, core: &Core, token: Token, udp: &mut DatagramSocket) {
        let limits = &udp.endpoint.limits;
        let gated = limits.gate_reads
            && udp.carriage.is_none()
            && udp.outbox.bytes > limits.outbox_low_bytes as usize;
        if udp.paused || gated {
            return;
        }
        for arrival in mem::take(&mut udp.kept) {
            self.arrived(core, token, udp, arrival);
        }
        if !udp.link.is_busy(Lane::In) && udp.resume_at <= self.now {
            udp.link.begin(Lane::In);
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
        let Some(udp) = held.datagram() else { return };
        udp.link.end(Lane::In);
        match answer {
            Ok(all) => {
                udp.errors = 0;
                udp.heard = self.now;
                if let Some(number) = udp.carrier() {
                    drop(held);
                    // The socket is looked at when the turn drives its transport.
                    return self.carry_in(core, number, all);
                }
                for arrival in all {
                    self.arrived(core, token, udp, arrival);
                }
            }
            Err(_) if udp.closing.is_some() => {}
            Err(error) => {
                self.refused(core, udp, &error);
                udp.errors += 1;
                if udp.errors > ERRORS.0 {
                    // Never a spin, never the end of the socket.
                    udp.errors = 0;
                    udp.resume_at = self.now + ERRORS.1;
                }
            }
        }
        self.tend_datagram(core, token, udp);
    }

    /// Reports one datagram, or counts it: a full queue does not stop the others.
    #[inline]
    fn arrived(&mut self, core: &Core, token: Token, udp: &mut DatagramSocket, arrival: Arrival) {
        if udp.closing.is_some() {
            return;
        }
        if udp.paused {
            return udp.kept.push(arrival);
        }
        let counters = &core.homes[self.home].counters;
        if arrival.dropped > 0 {
            udp.stats.system_drops += u64::from(arrival.dropped);
            count(&counters.system_drops, u64::from(arrival.dropped));
        }
        let mut data = arrival.data;
        // Whom the host connects to is the host's to decide.
        if (core.guard.is_on() || udp.door.is_some()) && !udp.connected {
            let sender = sender_of(&data).map(|(sender, _)| sender);
            if core.guard.decide(udp.door.as_ref(), sender, self.now).is_err() {
                return;
            }
        }
        if data.is_empty() || self.is_full_for(core, token, udp) {
            udp.stats.queue_drops += 1;
            return count(&counters.queue_drops, 1);
        }
        let most = udp.endpoint.framing.frame_max_bytes as usize;
        let truncated = data.len() - ADDRESS_BYTES > most;
        if truncated {
            data.truncate(ADDRESS_BYTES + most);
        }
        let bytes = (data.len() - ADDRESS_BYTES) as u64;
        udp.stats.received_bytes += bytes;
        udp.stats.received_messages += 1;
        count(&counters.received_bytes, bytes);
        self.batch_messages += 1;
        self.emit(token, Notice::Datagram { data, truncated, connected: udp.connected });
    }

    /// Whether the queue has no room for a datagram more: it is full, or one socket has an eighth
    /// of it by itself. A listener serves many peers and may have half.
    #[inline]
    fn is_full_for(&self, core: &Core, token: Token, udp: &DatagramSocket) -> bool {
        let (queue, more) = (&core.queues[self.queue], self.batch_bytes);
        let share = if udp.connected { 1 } else { 4 };
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
        let Some(udp) = held.datagram() else { return };
        udp.link.end(Lane::Out);
        let counters = &core.homes[self.home].counters;
        let done = match answer {
            Ok(done) => {
                udp.retried = false;
                let bytes = all[..done].iter().map(|datagram| datagram.data.len() as u64).sum();
                udp.stats.sent_bytes += bytes;
                count(&counters.sent_bytes, bytes);
                count(&counters.sent_batches, 1);
                done
            }
            Err(_) if udp.abrupt => 0,
            Err(error) => {
                self.refused(core, udp, &error);
                // An error of a connected socket may be about an earlier datagram, not this one.
                let earlier = udp.connected && is_report(&error);
                usize::from(!earlier || mem::replace(&mut udp.retried, true))
            }
        };
        udp.outbox.returned(all, done, |data| release.add(data));
        self.datagram_writable(core, token, udp);
        self.tend_datagram(core, token, udp);
    }

    /// A datagram was not sent, or did not arrive.
    fn refused(&mut self, core: &Core, udp: &mut DatagramSocket, error: &io::Error) {
        udp.stats.send_failures += 1;
        count(&core.homes[self.home].counters.send_failures, 1);
        let local = udp.local;
        self.say(|| match local {
            Some(local) => format!("a datagram of {local} was not delivered: {error}"),
            None => format!("a datagram was not delivered: {error}"),
        });
    }

    /// Reports WRITABLE, if a send was refused and there is room again.
    pub(in crate::engine) fn datagram_writable(
        &mut self,
        core: &Core,
        token: Token,
        udp: &mut DatagramSocket,
    ) {
        if udp.closing.is_none()
            && udp.link.is_adopted()
            && let Some(bytes) = udp.outbox.owed(&udp.endpoint.limits)
            && self.has_memory(core, token, bytes, udp.outbox.messages > 0)
        {
            let refused = udp.outbox.refused.take();
            self.emit(token, Notice::Writable { refused, listener: !udp.connected });
        }
    }

    /// Connects to the next address: for datagrams the system only notes it down.
    fn dial_datagram(&mut self, token: Token, udp: &mut DatagramSocket) {
        let mut last = None;
        while let Some(address) = udp.addresses.pop_front() {
            udp.peer = Some(address);
            match udp.endpoint.socket.connected_datagrams(address) {
                Ok(socket) => {
                    udp.addresses.clear();
                    udp.set_socket(socket);
                    return self.orders.push(Order::Adopt(token, Role::Datagram));
                }
                Err(error) => last = Some(error),
            }
        }
        let Some(error) = last else { return };
        let (cause, os_error) = refusal(&error);
        let cause = if cause == Cause::Reset { Cause::Unreachable } else { cause };
        udp.end_abruptly(cause, os_error);
    }

    /// Its name was looked up.
    pub(in crate::engine) fn datagram_resolved(
        &mut self,
        core: &Core,
        token: Token,
        udp: &mut DatagramSocket,
        found: Result<Vec<SocketAddr>, i32>,
    ) {
        match found {
            Ok(addresses) => {
                let options = udp.endpoint.socket;
                udp.addresses =
                    addresses.into_iter().filter(|address| options.reaches(*address)).collect();
                if udp.addresses.is_empty() {
                    udp.end_abruptly(Cause::Resolve, 0);
                }
            }
            Err(os_error) => udp.end_abruptly(Cause::Resolve, os_error),
        }
        self.tend_datagram(core, token, udp);
    }

    /// The model took the socket, or refused it.
    pub(in crate::engine) fn datagram_adopted(
        &mut self,
        core: &Core,
        token: Token,
        udp: &mut DatagramSocket,
        answer: io::Result<()>,
    ) {
        udp.link.adopted(answer.is_ok());
        if let Err(error) = answer {
            let (cause, os_error) = refusal(&error);
            udp.end_abruptly(cause, os_error);
            self.carriers.wrecked.extend(udp.carrier().map(|number| (number, cause, os_error)));
        } else if udp.closing.is_none() {
            udp.heard = self.now;
            udp.deadline = None;
            if udp.connected {
                self.emit(token, Notice::opened(None));
            }
            self.begin_carrier(token, udp);
            self.datagram_writable(core, token, udp);
        }
        self.tend_datagram(core, token, udp);
    }

    /// Has the model give the socket back, and reports the end when it is closed.
    fn finish_datagram(&mut self, token: Token, udp: &mut DatagramSocket) {
        if !udp.link.is_idle() {
            if udp.link.cancel() {
                self.orders.push(Order::Cancel(token));
            }
            return;
        }
        if udp.link.release() {
            self.orders.push(match udp.link.take_socket() {
                Some(socket) => Order::Release(token, socket),
                None => Order::Join(token),
            });
        } else if udp.link.is_joined() && !mem::replace(&mut udp.told, true) && !udp.hidden {
            self.emit(token, udp.end_notice());
        }
    }

    /// Shutdown: in order first, then at once.
    pub(in crate::engine) fn stop_datagram(
        &mut self,
        core: &Core,
        token: Token,
        udp: &mut DatagramSocket,
        abrupt: bool,
    ) {
        if udp.home != self.home {
            return;
        }
        if abrupt || udp.link.socket().is_none() {
            udp.end_abruptly(Cause::Shutdown, 0);
        } else {
            udp.end(Cause::Shutdown, self.now);
            // How long that may take, the shutdown knows.
            udp.deadline = None;
        }
        self.tend_datagram(core, token, udp);
    }
}

impl DatagramSocket {
    /// Its last event.
    fn end_notice(&self) -> Notice {
        let (cause, os_error) = self.closing.unwrap_or((Cause::Host, 0));
        if self.connected {
            Notice::Closed { cause, os_error, unsent: self.outbox.bytes as u64, code: 0 }
        } else {
            Notice::ListenerClosed { cause, os_error }
        }
    }

    /// Its worker had a fault: the last event, if it was not reported.
    pub fn fault(&mut self, token: Token, cause: Cause) -> Option<Event> {
        self.link.take_socket();
        self.link.join();
        self.end_abruptly(cause, 0);
        let first = !mem::replace(&mut self.told, true) && !self.hidden;
        first.then(|| Event { token, notice: self.end_notice() })
    }
}
