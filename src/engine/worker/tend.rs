//! The other half of the desk: what to do next with one connection or listener. Everything that
//! happens to one ends in `tend_conn`, so each rule stands in one place.

use crate::buf::{Chunk, Purpose, Slice};
use crate::engine::shared::conn::{Conn, End, Eof, Fin, Phase, linger};
use crate::engine::shared::conn::{Moving, Report, Tie};
use crate::engine::shared::core::Core;
use crate::engine::shared::event::{Form, Notice};
use crate::engine::shared::home::Command;
use crate::engine::shared::table::Resident;
use crate::engine::worker::desk::{Desk, Order};
use crate::io::os::sys;
use crate::io::{Lane, Op, Token};
use crate::session::{Cause, Event, FramingKind, Want};
use std::mem;

impl Desk {
    /// A command asked to look: a close, a resume, the end of a batch. `flushed`: what waited for
    /// a flush may leave.
    pub fn tend_summoned(&mut self, core: &Core, token: Token, flushed: bool) {
        let Some(mut held) = core.table.hold(token) else { return };
        let elsewhere = held.conn().is_some_and(|conn| {
            let command = if flushed { Command::Flush(token) } else { Command::Tend(token) };
            self.forward(core, conn, command)
        });
        if elsewhere {
            return;
        }
        if !flushed {
            held.came();
        }
        let conn = match held.resident() {
            Resident::Conn(conn) => conn,
            Resident::Listener(listener) => return self.tend_listener(core, token, listener),
            Resident::Datagram(udp) => return self.datagram_summoned(core, token, udp, flushed),
            Resident::Free => return,
        };
        conn.marks.dirty &= !flushed;
        if flushed || conn.life.end != End::Not {
            conn.session.flush();
        }
        let ready = conn.life.phase == Phase::Resolving && conn.has_addresses();
        if ready && conn.life.end != End::Abrupt {
            self.dial(core, token, conn);
        }
        self.tend_conn(core, token, conn);
    }

    /// Its budget of this turn is fresh, or there is memory again.
    pub fn tend_hungry(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        if let Some(udp) = held.datagram() {
            if !self.wait_elsewhere(core, token, udp.home) {
                if let Some(number) = udp.carrier() {
                    self.carriers.touch(number);
                }
                self.datagram_writable(core, token, udp);
            }
            return;
        }
        let Some(conn) = held.conn() else { return };
        if self.wait_elsewhere(core, token, conn.home.into()) {
            return;
        }
        conn.marks.hungry = false;
        self.tell_writable(core, token, conn);
        self.tend_conn(core, token, conn);
    }

    /// Reports WRITABLE if a send was refused and the smallest refused message would be taken now.
    #[inline]
    pub fn tell_writable(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if conn.life.end == End::Not
            && conn.life.phase == Phase::Open
            && !conn.moving.stage.is_quiet()
            && let Some(bytes) = conn.session.owed(&conn.endpoint.limits)
            && self.has_memory(core, token, bytes, conn.session.outbox().bytes() > 0)
            && let Some(refused) = conn.session.poll_writable(&conn.endpoint.limits)
        {
            self.emit(token, Notice::Writable { refused, listener: false });
        }
    }

    /// Whether there is memory for so many bytes to be sent, behind others or not; if not, it is
    /// looked at again when there is.
    #[cold]
    pub fn has_memory(&self, core: &Core, token: Token, bytes: usize, behind: bool) -> bool {
        let purpose = if behind { Purpose::SendMore } else { Purpose::Send };
        if core.pool.would_take(bytes, purpose) {
            return true;
        }
        core.thirst_for(token, self.home, bytes, purpose);
        // The last block may have come back before the line above.
        core.pool.would_take(bytes, purpose)
    }

    /// The queue was drained.
    pub fn tend_stalled(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        match held.resident() {
            Resident::Listener(listener) => {
                listener.stalled = false;
                self.tend_listener(core, token, listener);
            }
            Resident::Conn(conn) if core.roams || usize::from(conn.home) == self.home => {
                conn.marks.stalled = false;
                if !self.wait_elsewhere(core, token, conn.home.into()) {
                    self.tend_conn(core, token, conn);
                }
            }
            _ => {}
        }
    }

    /// What is to be done next with a connection, both lanes and its end.
    pub fn tend_conn(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        conn.assert_valid();
        self.touch(core, token, conn);
        if conn.moving.stage != Moving::No && self.tend_move(core, token, conn) {
            return;
        }
        if conn.marks.redial && conn.life.end != End::Abrupt {
            self.release_socket(token, conn);
            return self.schedule(core, token, conn);
        }
        if conn.life.end == End::Not && conn.is_connected() && conn.link.is_adopted() {
            self.read(core, token, conn);
        }
        if conn.life.end == End::Peer && conn.life.report < Report::Closed {
            self.tell_closed(core, token, conn);
        }
        if conn.life.end != End::Abrupt && conn.is_connected() && conn.link.is_adopted() {
            self.write(core, token, conn);
            if conn.life.phase == Phase::Opening {
                self.look_at_layer(core, token, conn);
            }
            self.wind_up(core, token, conn);
        }
        if conn.life.end == End::Abrupt {
            return self.finish(core, token, conn);
        }
        self.schedule(core, token, conn);
    }

    /// Lane In: parses what is here, reports the peer's end, or asks for more.
    #[inline]
    fn read(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if conn.link.is_carried() {
            return self.read_carried(core, token, conn);
        }
        let spent = conn.endpoint.limits.receive_rate > 0 && !conn.may_receive(self.now);
        if conn.is_held_back() || conn.marks.hungry {
            if conn.marks.paused
                && let Some((cause, os_error)) = conn.broken()
            {
                conn.end_abruptly(cause, os_error);
            }
            return;
        }
        if conn.session.has_input() {
            if conn.life.phase == Phase::Open && self.is_stalled(core, token, conn) {
                return;
            }
            self.parse(core, token, conn, None);
            // Where it steps it may stand behind a message now, which was all of the input.
            if conn.session.has_input() || conn.is_held_back() || conn.life.end != End::Not {
                return;
            }
        }
        if conn.life.eof != Eof::No {
            match conn.broken() {
                Some((cause, os_error)) => conn.end_abruptly(cause, os_error),
                // The send in flight fails at once, and its error says whether this was a reset.
                None if conn.is_sending() && sys::hung_up(conn.link.socket()) => {}
                None if conn.life.phase == Phase::Opening => conn.end_abruptly(Cause::Truncated, 0),
                None if conn.session.partial_bytes() > 0 || conn.session.is_cut() => {
                    conn.life.end = End::Peer;
                    conn.life.cause = Cause::Truncated;
                }
                None if conn.endpoint.limits.half_open => {
                    if mem::replace(&mut conn.life.eof, Eof::Told) != Eof::Told {
                        self.emit(token, Notice::Ended);
                    }
                }
                None => {
                    conn.life.end = End::Peer;
                    conn.life.cause = Cause::Peer;
                }
            }
            return;
        }
        let limits = &conn.endpoint.limits;
        let gated = limits.gate_reads && conn.session.outbox().bytes() > limits.outbox_low_bytes;
        if conn.link.is_busy(Lane::In)
            || spent
            || ((gated || self.is_stalled(core, token, conn)) && conn.life.phase == Phase::Open)
        {
            return;
        }
        if conn.endpoint.limits.min_receive_rate > 0 {
            conn.await_rest(self.now);
        }
        let chunk = match conn.session.poll_recv(self.now) {
            Want::No => return,
            Want::Fresh => None,
            Want::Into(chunk) => Some(chunk),
        };
        conn.link.begin(Lane::In);
        self.orders.push(Order::Submit(token, Op::Recv(chunk)));
    }

    /// Turns input into messages, up to the budget of a turn: what arrived, or what was left.
    #[inline]
    pub fn parse(
        &mut self,
        core: &Core,
        token: Token,
        conn: &mut Conn,
        arrived: Option<(Slice, Option<Chunk>)>,
    ) {
        let web = conn.session.web().is_some();
        let mut input = match arrived {
            Some((slice, chunk)) => conn.session.handle_received(slice, chunk, self.now),
            None => conn.session.input(),
        };
        let waits = match conn.life.phase {
            Phase::Open => conn.marks.paused || conn.moving.stage.is_quiet(),
            _ => input.is_costly() && self.waits_for_its_turn(token, &mut input),
        };
        if waits {
            return;
        }
        let framing = conn.endpoint.framing_of(web);
        let step = conn.endpoint.step;
        let whole = if framing.kind == FramingKind::Raw { Form::Bytes } else { Form::Whole };
        let mut again = false;
        let most = core.config.turn_messages.saturating_mul(conn.endpoint.weight);
        for _ in 0..most {
            let (data, form) = match input.poll_event(framing, &core.pool, self.now) {
                None => return,
                Some(Event::Message(data)) => (data, whole),
                Some(Event::Text(data)) => (data, Form::Text),
                Some(Event::Cut(data)) => (data, Form::Cut),
                Some(Event::Opened) => {
                    drop(input);
                    self.opened(core, token, conn);
                    return self.parse(core, token, conn, None);
                }
                Some(Event::Ended) => {
                    conn.life.eof = Eof::Received;
                    return;
                }
                Some(Event::Broken(cause)) => {
                    drop(input);
                    return conn.fail(cause);
                }
                Some(Event::Starved(bytes)) => {
                    conn.marks.hungry = true;
                    core.thirst_for(token, self.home, bytes, Purpose::Frame);
                    if core.pool.would_take(bytes, Purpose::Frame)
                        && !mem::replace(&mut again, true)
                    {
                        // Memory came back meanwhile.
                        continue;
                    }
                    return;
                }
            };
            self.emit_message(token, data, form);
            conn.received_messages += 1;
            if step {
                conn.marks.paused = true;
                return;
            }
        }
        if !input.is_empty() {
            conn.marks.hungry = true;
            self.hungry.push(token);
        }
    }

    #[inline(always)]
    fn emit_message(&mut self, token: Token, data: Slice, form: Form) {
        self.batch_messages += 1;
        self.emit(token, Notice::Message { data, form });
    }

    /// Whether a connection is not to be read now: the queue is full, or this one has an eighth of
    /// it by itself. Then it waits until enough of that is drained.
    #[inline]
    pub fn is_stalled(&mut self, core: &Core, token: Token, conn: &mut Conn) -> bool {
        let (at, more) = (usize::from(conn.queue), self.batch_bytes);
        let queue = &core.queues[at];
        if !queue.is_crowded(more) {
            return false;
        }
        if queue.is_full(more) || !queue.is_filled_by(token, 1) {
            return self.stall(core, token, at, &mut conn.marks.stalled);
        }
        if !mem::replace(&mut conn.marks.stalled, true) {
            self.stalled.push(token);
        }
        queue.crowd();
        if !queue.is_filled_by(token, 1) {
            // Drained in between: whoever drained it may not have seen the list.
            core.homes[self.home].post(Command::Drained);
        }
        true
    }

    /// Whether the queue is full; then this one waits until it is drained.
    pub fn stall(&mut self, core: &Core, token: Token, queue: usize, stalled: &mut bool) -> bool {
        let (queue, more) = (&core.queues[queue], self.batch_bytes);
        if !queue.is_full(more) {
            return false;
        }
        if !mem::replace(stalled, true) {
            self.stalled.push(token);
        }
        if queue.stall(more) {
            return true;
        }
        // Drained in between: whoever drained it may not have seen the list.
        core.homes[self.home].post(Command::Drained);
        true
    }

    /// Lane Out: gives the model what may leave.
    #[inline]
    fn write(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if conn.link.is_carried() {
            return self.write_carried(core, token, conn);
        }
        if conn.link.is_busy(Lane::Out) || conn.broken().is_some() {
            return;
        }
        let bounded = conn.endpoint.limits.send_rate > 0;
        let most = if bounded { conn.may_send(self.now) } else { u32::MAX };
        if most == 0 {
            return;
        }
        if let Some(train) = conn.session.poll_transmit(&core.pool, most, self.now) {
            if bounded {
                conn.sends(train.len());
            }
            conn.link.begin(Lane::Out);
            if let Some(histograms) = &core.histograms {
                let rest = conn.session.outbox().bytes() as usize > train.len();
                histograms.leaves(token.index(), !rest);
            }
            self.orders.push(Order::Submit(token, Op::Send(train)));
        } else if let Some(bytes) = conn.session.starved() {
            core.thirst_for(token, self.home, bytes, Purpose::Any);
            if core.pool.would_take(bytes, Purpose::Any) {
                // Memory came back meanwhile.
                self.hungry.push(token);
            }
        } else if conn.life.end == End::Not
            && let Some(cause) = conn.session.failure()
        {
            conn.end_abruptly(cause, 0);
        }
    }

    /// The orderly end: what waits is written, our side is ended, the peer's is awaited.
    #[inline]
    fn wind_up(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        let ending = match conn.life.end {
            End::Graceful => true,
            End::Peer => conn.life.report == Report::Over || !core.is_running(),
            End::Not | End::Abrupt => false,
        };
        if !ending {
            return;
        }
        if conn.link.is_carried() {
            return self.wind_up_carried(core, conn);
        }
        if conn.deadline().is_none() && conn.life.cause != Cause::Shutdown {
            conn.set_deadline(Some(linger(conn, self.now)));
        }
        if conn.life.end == End::Graceful || conn.session.failure().is_some() {
            self.drain(core, token, conn);
        }
        if conn.life.phase == Phase::Opening && conn.life.eof != Eof::No {
            conn.break_off(Cause::Truncated, 0);
        }
        if let Some((cause, os_error)) = conn.broken() {
            if u64::from(conn.session.outbox().bytes()) + conn.unsent() > 0
                && conn.life.cause == Cause::Host
            {
                conn.blame(cause, os_error);
            }
            conn.life.end = End::Abrupt;
            return;
        }
        let written = conn.session.is_written();
        if written && !conn.link.is_busy(Lane::Out) {
            if !conn.session.poll_end() {
                // The layer ends its side, and is looked at again when that is written.
                return self.write(core, token, conn);
            }
            if core.config.taps && conn.life.fin == Fin::No {
                conn.life.fin = Fin::Waits;
                return self.await_tap(token, conn);
            }
            if matches!(conn.life.fin, Fin::No | Fin::Waits) {
                conn.life.fin = Fin::Sent;
                if let Some(socket) = conn.link.socket() {
                    // It fails when the peer has reset it, which the next receive reports.
                    let _ = socket.shutdown(std::net::Shutdown::Write);
                }
            }
            let over = if core.is_running() {
                conn.life.eof != Eof::No || conn.endpoint.limits.linger_ms == 0
            } else {
                // A shutdown waits for what the peer's system has, not for what the peer does.
                self.is_acknowledged(token, conn)
            };
            if over {
                conn.life.end = End::Abrupt;
            }
        }
    }

    /// Whether the peer's system has acknowledged everything, where this system reports it; if not,
    /// the connection is looked at again.
    fn is_acknowledged(&mut self, token: Token, conn: &mut Conn) -> bool {
        let socket = conn.link.socket().filter(|_| conn.peer().is_some());
        let acknowledged = !socket.is_some_and(sys::has_unacknowledged);
        if !acknowledged && conn.life.fin == Fin::Sent {
            conn.life.fin = Fin::Awaited;
            self.awaited.push(token);
        }
        acknowledged
    }

    /// Looks at those whose end was not acknowledged when a shutdown last looked.
    pub fn tend_awaited(&mut self, core: &Core) {
        for token in mem::take(&mut self.awaited) {
            let Some(mut held) = core.table.hold(token) else { continue };
            let Some(conn) = held.conn() else { continue };
            conn.life.fin = Fin::Sent;
            self.tend_conn(core, token, conn);
        }
    }

    /// Reads and discards, so that unread input does not turn our end into a reset.
    fn drain(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        conn.session.discard();
        self.drop_input(core, conn, Slice::default());
        if !conn.link.is_busy(Lane::In) && conn.life.eof == Eof::No {
            conn.link.begin(Lane::In);
            self.orders.push(Order::Submit(token, Op::Recv(None)));
        }
    }

    /// What arrived while a connection ends: only its layer uses it.
    pub fn drop_input(&self, core: &Core, conn: &mut Conn, slice: Slice) {
        if conn.session.is_layered() {
            match conn.session.handle_unwanted(slice, &core.pool, self.now) {
                Some(cause) => conn.break_off(cause, 0),
                None if !conn.session.is_cut() && conn.life.eof == Eof::No => {
                    conn.life.eof = Eof::Received
                }
                None => {}
            }
        }
    }

    fn tell_closed(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        core.groups.leave(token.index());
        if conn.life.report == Report::Known {
            conn.life.report = Report::Closed;
            let unsent = conn.unsent() + conn.session.pending_bytes();
            let (cause, os_error) = (conn.life.cause, conn.os_error());
            let code = match cause {
                Cause::Truncated => conn.session.partial_bytes(),
                Cause::TlsAlert | Cause::Peer | Cause::Protocol => conn.session.code().into(),
                _ => 0,
            };
            self.emit(token, Notice::Closed { cause, os_error, unsent, code });
        } else {
            // It was never reported to the host, so no batch will end it.
            conn.life.report = Report::Over;
            if conn.life.phase == Phase::Opening && core.is_running() {
                self.not_opened(core, conn);
            }
            if let Some(main) = conn.main() {
                let answer = Err((conn.life.cause, conn.os_error()));
                core.homes[self.home].post(Command::Attempted(main, token, Box::new(answer)));
            }
        }
    }

    /// Reports CLOSED, and joins the two lanes.
    fn finish(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if core.config.taps && !conn.link.is_carried() && self.is_tapped(token, conn) {
            return;
        }
        if conn.life.report < Report::Closed && !conn.moving.stage.is_quiet() {
            self.tell_closed(core, token, conn);
        }
        if conn.link.is_joined() {
            return;
        }
        if mem::take(&mut conn.marks.handed) {
            // It ended before this worker reported it: its listener waits no longer.
            self.handed.extend(conn.listener());
        }
        // Pending bytes are lost, and a stream that was cut must not look complete.
        conn.life.reset |= conn.unsent() > 0 || conn.session.pending_bytes() > 0;
        // Who does not come in is reset, as where that is decided at once.
        conn.life.reset |= conn.is_outside();
        conn.session.discard();
        self.call_off(core, conn);
        conn.end_race();
        if conn.link.is_carried() {
            self.leave_stream(conn);
        }
        if !conn.link.is_idle() {
            if conn.link.cancel() {
                if conn.life.reset && conn.link.is_busy(Lane::Out) {
                    // Before the lane is cancelled, which the peer may take for an orderly end.
                    conn.reset_now();
                }
                self.orders.push(Order::Cancel(token));
            }
            return;
        }
        conn.give_up();
        conn.marks.redial = false;
        if conn.link.socket().is_some() {
            self.release_socket(token, conn);
        } else if conn.link.release() {
            self.orders.push(Order::Join(token));
        }
    }

    /// Has the model give the socket back, to be closed.
    fn release_socket(&mut self, token: Token, conn: &mut Conn) {
        if !conn.link.is_idle() {
            return;
        }
        let Some(socket) = conn.take_socket() else { return };
        if conn.life.reset {
            sys::reset(&socket);
        } else if conn.life.eof == Eof::No || matches!(conn.life.fin, Fin::No | Fin::Waits) {
            sys::end(&socket);
        }
        conn.link.set_tie(if conn.marks.redial { Tie::Loose } else { Tie::Released });
        self.orders.push(Order::Release(token, socket));
    }

    /// The model has given a socket back and it is closed.
    pub fn joined(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        let conn = match held.resident() {
            Resident::Conn(conn) => conn,
            Resident::Listener(listener) => {
                listener.link.join();
                self.forget(core, token, &mut listener.reminder);
                return self.tend_listener(core, token, listener);
            }
            Resident::Datagram(udp) => {
                udp.link.join();
                self.forget(core, token, &mut udp.reminder);
                self.tend_datagram(core, token, udp);
                if udp.hidden {
                    core.table.free(token, held);
                }
                return core.socket_closed(self.home);
            }
            Resident::Free => return,
        };
        if mem::replace(&mut conn.marks.redial, false) {
            self.dial(core, token, conn);
            return self.tend_conn(core, token, conn);
        }
        if conn.link.join() {
            return;
        }
        self.forget(core, token, &mut conn.reminder);
        self.abroad.count -= usize::from(conn.moving.abroad);
        let free = conn.life.report == Report::Over;
        if !conn.link.is_carried() {
            core.socket_closed(if core.roams { conn.queue.into() } else { self.home });
        }
        if free {
            core.table.free(token, held);
        }
    }
}
