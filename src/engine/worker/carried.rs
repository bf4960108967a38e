//! What is to be done next with a connection that a transport carries, where that is not the same
//! as with a socket: `tend.rs` comes here for it. In the place of an operation of the model, lane
//! In waits for a message and lane Out for room in the transport.

use crate::buf::{Purpose, Reader, Release, Slice};
use crate::engine::shared::conn::{Conn, End, Eof, Fin, Link, Phase, Report, linger};
use crate::engine::shared::core::Core;
use crate::engine::shared::counters::count;
use crate::engine::shared::event::{Form, Notice};
use crate::engine::worker::desk::Desk;
use crate::io::datagram::address_bytes;
use crate::io::{ADDRESS_BYTES, Lane, Token};
use crate::session::{Cause, FACTS_MS, Millis};
use crate::transport::{Cutter, Message, Stream, Target};
use std::sync::atomic::Ordering::*;

/// The least time of an address, where there is another one to be tried.
const SHARE_MS: Millis = 1000;

impl Desk {
    /// Whether a connection of this queue lives abroad with this worker.
    pub fn is_abroad(&self, core: &Core, queue: usize) -> bool {
        !core.roams && self.home % core.queues.len() != queue
    }

    /// A connection begins here, abroad or not.
    pub fn count_abroad(&mut self, core: &Core, abroad: bool) {
        if abroad {
            core.abroad.store(true, SeqCst);
            self.abroad.told = true;
            self.abroad.count += 1;
        }
    }

    /// Has a transport connect to the next address, once there is one for that.
    #[cold]
    pub fn dial_carried(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if conn.link.is_carried() {
            self.leave_stream(conn);
            core.homes[usize::from(conn.home)].squeeze_in();
            conn.link = Link::new(None);
        }
        let Some(address) = conn.next_address().and_then(|address| address.as_socket()) else {
            return conn.end_abruptly(Cause::Resolve, 0);
        };
        conn.set_peer(Some(address));
        conn.life.phase = Phase::Connecting;
        if conn.has_addresses() {
            let left = conn.deadline().map_or(0, |(end, _)| end.saturating_sub(self.now));
            let share = left / (conn.addresses_left() as Millis + 1);
            conn.set_attempt_at(self.now + share.max(SHARE_MS));
        }
        self.carriers.wanted.push(token);
    }

    /// Puts a connection that connects on a stream of a transport.
    pub fn ride(&mut self, core: &Core, token: Token, conn: &mut Conn, number: u32) {
        let now = self.micros();
        let Some(carrier) = self.carriers.get(number) else { return };
        let Some(peer) = conn.peer() else { return };
        let stream = carrier.vacant();
        carrier.board(token);
        let target = Target { peer, token: conn.connect_token() };
        carrier.endpoint.connect(stream, target, now);
        conn.link = Link::carried(number, stream);
        conn.set_local(carrier.local);
        // The socket has a place with the worker, and this one needs none.
        core.move_out(conn.home.into());
    }

    /// The peer answered.
    pub fn stream_opened(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if conn.life.phase != Phase::Connecting || conn.life.end == End::Abrupt {
            return;
        }
        conn.life.phase = Phase::Open;
        conn.set_connect_token(None);
        conn.begun();
        if conn.life.end != End::Not {
            conn.set_deadline(Some(linger(conn, self.now)));
        } else {
            if let Some((number, stream)) = conn.link.carrier()
                && let Some(carrier) = self.carriers.get(number)
                && let Some(peer) = carrier.endpoint.peer(stream)
            {
                conn.set_peer(Some(peer));
            }
            self.emit(token, Notice::Opened { listener: None, data: Slice::default() });
            self.tell_writable(core, token, conn);
        }
    }

    /// A stream is over. What it has to be read is reported before that is.
    pub fn stream_closed(&mut self, core: &Core, token: Token, conn: &mut Conn, cause: Cause) {
        if conn.life.phase < Phase::Open {
            conn.note_failure((cause, 0), true);
            if conn.has_addresses() && conn.life.end != End::Abrupt {
                self.dial_carried(core, token, conn);
            } else if let Some((cause, os_error)) = conn.failure() {
                conn.end_abruptly(cause, os_error);
            }
            return;
        }
        conn.link.end(Lane::In);
        conn.link.end(Lane::Out);
        conn.life.eof = Eof::Received;
        if !matches!(cause, Cause::Peer | Cause::Host) {
            conn.break_off(cause, 0);
        }
    }

    /// Lane In: reports messages up to the budget of a turn, then the peer's end.
    #[cold]
    pub fn read_carried(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        self.look_at_path(conn);
        if conn.is_held_back() || conn.marks.hungry {
            if conn.marks.paused
                && let Some((cause, os_error)) = conn.broken()
            {
                conn.end_abruptly(cause, os_error);
            }
            return;
        }
        let read = conn.link.is_busy(Lane::In) || self.take_messages(core, token, conn);
        if read && conn.life.eof != Eof::No && conn.life.end == End::Not {
            match conn.broken() {
                Some((cause, os_error)) => conn.end_abruptly(cause, os_error),
                // A stream has one end for both sides, so none of it is ever half open.
                None => (conn.life.end, conn.life.cause) = (End::Peer, Cause::Peer),
            }
        }
    }

    /// Whether nothing is left to be read.
    fn take_messages(&mut self, core: &Core, token: Token, conn: &mut Conn) -> bool {
        let limits = &conn.endpoint.limits;
        let gated =
            limits.gate_reads && conn.session.pending_bytes() > limits.outbox_low_bytes.into();
        if gated || self.is_stalled(core, token, conn) {
            return false;
        }
        for _ in 0..core.config.turn_messages {
            let Some((number, stream)) = conn.link.carrier() else { return false };
            let Some(carrier) = self.carriers.get(number) else { return false };
            let Some(message) = carrier.endpoint.read(stream) else {
                if conn.life.eof == Eof::No {
                    // It starts the clocks that wait for the peer.
                    let _ = conn.session.poll_recv(self.now);
                    conn.link.begin(Lane::In);
                }
                return true;
            };
            let Message { data, lane, unreliable, plain } = message;
            if data.len() > conn.endpoint.framing.frame_max_bytes as usize {
                conn.end_abruptly(Cause::LimitFrame, 0);
                return false;
            }
            conn.received_bytes += data.len() as u64;
            conn.received_messages += 1;
            self.batch_messages += 1;
            if plain {
                self.emit_plain(core, token, conn, &data);
                continue;
            }
            self.emit(token, Notice::Message { data, form: Form::Carried { lane, unreliable } });
        }
        conn.marks.hungry = true;
        self.hungry.push(token);
        false
    }

    /// A datagram of a peer that has no lanes.
    fn emit_plain(&mut self, core: &Core, token: Token, conn: &Conn, data: &[u8]) {
        let front = conn.peer().map_or([0; ADDRESS_BYTES], |peer| address_bytes(peer, None));
        let len = ADDRESS_BYTES + data.len();
        let Some(mut chunk) = core.pool.take_for(len, Purpose::Any) else {
            return count(&core.homes[self.home].counters.queue_drops, 1);
        };
        chunk.put(&front);
        chunk.put(data);
        let data = chunk.into_slice();
        self.emit(token, Notice::Datagram { data, truncated: false, connected: true });
    }

    /// What the peer was let in with, to be reported with its opening.
    pub fn greeting(&mut self, core: &Core, number: u32, stream: Stream) -> Slice {
        let Some(carrier) = self.carriers.get(number) else { return Slice::default() };
        let bytes = carrier.endpoint.greeting(stream);
        let chunk = (!bytes.is_empty()).then(|| core.pool.take(bytes.len())).flatten();
        chunk.map_or_else(Slice::default, |mut chunk| chunk.write(bytes))
    }

    /// Bytes of a lane are pending no more.
    pub fn lane_released(
        &mut self,
        core: &Core,
        token: Token,
        conn: &mut Conn,
        lane: u8,
        bytes: u32,
    ) {
        if let Some(lanes) = conn.session.lanes_mut() {
            lanes.release(lane, bytes);
        }
        self.tell_writable(core, token, conn);
    }

    /// Notes what the transport knows of a connection's path, from time to time.
    pub fn look_at_path(&mut self, conn: &mut Conn) {
        let (now, elapsed) = (self.now, self.micros());
        let Some((number, stream)) = conn.link.carrier() else { return };
        let Some(lanes) = conn.session.lanes_mut() else { return };
        if lanes.wants_facts(now, FACTS_MS)
            && let Some(carrier) = self.carriers.get(number)
            && let Some(facts) = carrier.endpoint.facts(stream, elapsed)
        {
            lanes.set_facts(facts, now);
        }
    }

    /// The peer goes on from another address.
    pub fn stream_migrated(&mut self, token: Token, conn: &mut Conn) {
        let Some((number, stream)) = conn.link.carrier() else { return };
        let Some(carrier) = self.carriers.get(number) else { return };
        conn.migrate(carrier.endpoint.peer(stream));
        if conn.life.end == End::Not {
            self.emit(token, Notice::Migrated);
        }
    }

    /// Lane Out: gives the transport messages of the outbox while it has room for them.
    #[cold]
    pub fn write_carried(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        let Some((number, stream)) = conn.link.carrier() else { return };
        if conn.link.is_busy(Lane::Out) || conn.life.eof != Eof::No || conn.broken().is_some() {
            return;
        }
        let cutter = Cutter::new(conn.session.lanes().is_some());
        let (mut cutter, mut release) = (cutter, Release::default());
        let now = self.micros();
        let mut wrote = false;
        while !conn.link.is_busy(Lane::Out)
            && let Some(train) = conn.session.poll_transmit(&core.pool, u32::MAX, self.now)
        {
            let Some(carrier) = self.carriers.get(number) else { return };
            wrote = true;
            // What of the train is gone with the messages that were taken, so far.
            let (mut taken, mut seen) = (0, 0);
            'train: for slice in train.slices() {
                let mut rest = Reader::from(slice.clone());
                while let Some(run) = cutter.next(&mut rest) {
                    let len = run.data.len() as u64;
                    if carrier.endpoint.write(stream, run, now).is_err() {
                        conn.link.begin(Lane::Out);
                        break 'train;
                    }
                    conn.sent_bytes += len;
                    taken = seen + slice.len() - rest.rest().len();
                }
                seen += slice.len();
            }
            if !conn.link.is_busy(Lane::Out) {
                taken = train.len();
            }
            conn.session.handle_sent(taken, train, &mut release);
        }
        if wrote {
            self.carriers.touch(number);
            self.tell_writable(core, token, conn);
        }
    }

    /// The orderly end: what waits is written, the stream is closed, and the transport says when
    /// that is done.
    #[cold]
    pub fn wind_up_carried(&mut self, core: &Core, conn: &mut Conn) {
        let Some((number, stream)) = conn.link.carrier() else { return };
        match conn.life.end {
            End::Graceful => {}
            End::Peer if conn.life.report == Report::Over || !core.is_running() => {
                conn.life.end = End::Abrupt;
                return;
            }
            _ => return,
        }
        if conn.deadline().is_none() && conn.life.cause != Cause::Shutdown {
            conn.set_deadline(Some(linger(conn, self.now)));
        }
        let now = self.micros();
        let Some(carrier) = self.carriers.get(number) else { return };
        // What nobody is told any more.
        while carrier.endpoint.read(stream).is_some() {}
        if let Some((cause, os_error)) = conn.broken() {
            if conn.session.pending_bytes() > 0 && conn.life.cause == Cause::Host {
                conn.blame(cause, os_error);
            }
            conn.life.end = End::Abrupt;
        } else if conn.life.eof != Eof::No {
            conn.life.end = End::Abrupt;
        } else if conn.session.is_written() && conn.life.fin == Fin::No {
            conn.life.fin = Fin::Sent;
            carrier.endpoint.close(stream, now);
            self.carriers.touch(number);
            if conn.endpoint.limits.linger_ms == 0 && core.is_running() {
                conn.life.end = End::Abrupt;
            }
        }
    }

    /// A connection that ends leaves its stream: in order, or with a reset.
    #[cold]
    pub fn leave_stream(&mut self, conn: &mut Conn) {
        if !conn.link.is_adopted() {
            return;
        }
        let Some((number, stream)) = conn.link.carrier() else { return };
        conn.link.end(Lane::In);
        conn.link.end(Lane::Out);
        conn.link.adopted(false);
        let now = self.micros();
        let Some(carrier) = self.carriers.get(number) else { return };
        if !conn.life.reset && conn.life.fin == Fin::No {
            carrier.endpoint.close(stream, now);
        }
        carrier.endpoint.forget(stream, now);
        carrier.leave(stream);
        self.carriers.touch(number);
    }

    /// The socket behind a connection, to be asked whether something of the peer waits.
    pub fn socket_behind(&mut self, core: &Core, token: Token) -> Option<Token> {
        let mut held = core.table.hold(token)?;
        let (number, _) = held.conn()?.link.carrier()?;
        Some(self.carriers.get(number)?.socket)
    }

    /// Whether all that had come for a connection by then was received. A socket that many are
    /// behind may have something that waits at any time.
    pub fn has_caught_up(&mut self, conn: &Conn, at: Millis) -> bool {
        let Some((number, _)) = conn.link.carrier() else { return false };
        self.carriers.get(number).is_some_and(|carrier| carrier.caught_up >= at)
    }
}

impl Conn {
    /// Whether it is to connect, and no transport has it.
    pub fn awaits_carrier(&self) -> bool {
        self.endpoint.carrying.is_some()
            && !self.link.is_carried()
            && self.life.phase == Phase::Connecting
            && self.life.end != End::Abrupt
    }
}
