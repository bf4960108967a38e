//! Deadlines: what is due of a connection or a datagram socket, and what happens then.
//!
//! A peer is late only if nothing of it waits. When a deadline is over, the worker asks the system
//! and then the model for what came and was not yet reported (`Order::Look`), and closes only if
//! there is nothing. So a process that was stopped, a host with a hitch or a long turn make no
//! peer late: the look that counts begins after the gap.

use crate::engine::shared::cause::breakage;
use crate::engine::shared::conn::{Conn, End, Eof, Phase};
use crate::engine::shared::core::Core;
use crate::engine::shared::datagrams::DatagramSocket;
use crate::engine::shared::home::Command;
use crate::engine::shared::reminder::{Due, FARTHEST_MS, Reminder, Timer, coarse};
use crate::engine::shared::table::Resident;
use crate::engine::worker::desk::{Desk, Order};
use crate::engine::worker::timers::TURN_STEPS;
use crate::io::os::sys;
use crate::io::{Lane, Look, Token};
use crate::session::{Cause, Millis};

/// The next look at a peer of which something waits, or at a paused one that may be reset.
const AGAIN_MS: Millis = 1000;

impl Desk {
    /// Has the worker look at a socket at `at`.
    pub fn remind(&mut self, core: &Core, token: Token, reminder: &mut Reminder, at: Millis) {
        let timer = self.timers.set(reminder.with(self.home), Due::Conn(token), at);
        if let Some((home, timer)) = reminder.set(timer, at, self.home) {
            core.homes[home].post(Command::Forget(token, timer));
        }
    }

    /// Takes a socket's entry from the timers.
    pub fn forget(&mut self, core: &Core, token: Token, reminder: &mut Reminder) {
        match reminder.take() {
            Some((home, timer)) if home == self.home => self.timers.cancel(timer, Due::Conn(token)),
            Some((home, timer)) => core.homes[home].post(Command::Forget(token, timer)),
            None => {}
        }
    }

    /// When to look at what is due at `at`. What is over already waits for something that is on
    /// its way.
    #[inline]
    fn look_at(&self, at: Millis) -> Millis {
        let at = if at > self.now { coarse(at, self.now) } else { self.now + AGAIN_MS };
        at.min(self.now + FARTHEST_MS)
    }

    /// Puts the next deadline among the worker's timers, or a look before it. What is due in less
    /// than the shortest limit was due before, and is there since then.
    #[inline]
    pub fn schedule(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        let limit = conn.endpoint.limits.shortest_timeout();
        let soonest = self.now + limit.unwrap_or(FARTHEST_MS).min(FARTHEST_MS);
        if !conn.is_plain() || (limit.is_some() && !conn.reminder.precedes(soonest, self.now)) {
            self.schedule_by(core, token, conn, soonest);
        }
    }

    /// Puts the next deadline among the worker's timers, if it is not there; or a look at `most`,
    /// if that is sooner.
    fn schedule_by(&mut self, core: &Core, token: Token, conn: &mut Conn, most: Millis) {
        let unheard = conn.is_unheard().then_some(self.now + AGAIN_MS);
        let lanes = self.due(conn).map(|due| due.map(|(at, _)| self.look_at(at.min(most))));
        let rate = conn.rate_alarm(self.now);
        let alarms = [unheard, conn.attempt_at(), conn.session.poll_alarm(), rate];
        let Some(at) = lanes.into_iter().chain(alarms).flatten().min() else { return };
        if !conn.reminder.precedes(at, self.now) {
            self.remind(core, token, &mut conn.reminder, at);
        }
    }

    /// When the peer is late on each lane, and for what.
    fn due(&self, conn: &Conn) -> [Option<(Millis, Cause)>; 2] {
        let open = conn.is_open();
        let busy = |lane: Lane| open && conn.link.is_busy(lane);
        let accepted = conn.listener().is_some();
        let limits = &conn.endpoint.limits;
        // A layer that opens waits for what the peer sends.
        let opening = conn.life.phase == Phase::Opening && conn.life.end == End::Not;
        let inward = if opening {
            conn.deadline()
        } else if busy(Lane::In) {
            let silence = conn.session.poll_timeout(limits, accepted, true, false);
            silence.into_iter().chain(conn.pace_due()).min_by_key(|(at, _)| *at)
        } else if open && conn.life.eof != Eof::Told {
            conn.session.poll_idle(limits)
        } else {
            None
        };
        let stuck = conn.session.poll_timeout(limits, accepted, false, busy(Lane::Out));
        let outward = match (conn.deadline().filter(|_| !opening), stuck) {
            (Some(end), Some(stuck)) if stuck.0 < end.0 => Some(stuck),
            (end, stuck) => end.or(stuck),
        };
        // The clock counts whole milliseconds: one more, or it would be up to one early.
        [inward, outward].map(|due| due.map(|(at, cause)| (at + 1, cause)))
    }

    /// Looks at those whose reminder is due, up to a turn's share; the others come in the next.
    pub fn fire_timers(&mut self, core: &Core) {
        let mut steps = TURN_STEPS;
        #[cfg(test)]
        crate::engine::tests::set_timers(&mut self.timers);
        while let Some((timer, due)) = self.timers.pop(self.now, &mut steps) {
            if let Due::Conn(_) = due
                && !self.timers.has_conns()
            {
                // The last send was long ago.
                core.pool.trim();
            }
            match due {
                Due::Conn(token) => self.reminded(core, token, timer),
                Due::Host(index) => self.rings.fired.push((index as u32, timer)),
                Due::Transport(number) => self.transport_due(number as u32),
            }
        }
        #[cfg(test)]
        crate::engine::tests::note_steps(TURN_STEPS - steps);
        self.ring_host_timers(core);
    }

    fn reminded(&mut self, core: &Core, token: Token, timer: Timer) {
        let Some(mut held) = core.table.hold(token) else { return };
        let reminder = match held.resident() {
            Resident::Conn(conn) => &mut conn.reminder,
            Resident::Listener(listener) => &mut listener.reminder,
            Resident::Datagram(udp) => &mut udp.reminder,
            Resident::Free => return,
        };
        if !reminder.fired(timer, self.home) {
            return;
        }
        let conn = match held.resident() {
            Resident::Conn(conn) => conn,
            Resident::Listener(listener) => return self.tend_listener(core, token, listener),
            Resident::Datagram(udp) => return self.datagram_due(core, token, udp),
            Resident::Free => return,
        };
        let home = usize::from(conn.home);
        if home == self.home {
            self.conn_due(core, token, conn);
        } else if core.roams {
            drop(held);
            core.homes[home].post(Command::Overdue(token));
        }
    }

    /// Closes a connection if it is late, asks whether it is, or watches its next deadline.
    pub fn conn_due(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if conn.is_unheard()
            && let Some(error) = conn.link.socket().and_then(sys::broken)
        {
            let (cause, os_error) = breakage(&error);
            conn.end_abruptly(cause, os_error);
            return self.tend_conn(core, token, conn);
        }
        if conn.attempt_at().is_some_and(|at| at <= self.now) {
            conn.set_attempt_at(0);
            core.homes[self.home].post(Command::Attempt(token));
        }
        let limits = &conn.endpoint.limits;
        let paced = limits.receive_rate | limits.send_rate != 0;
        let reading = conn.link.is_busy(Lane::In) || conn.life.phase != Phase::Open;
        if conn.session.handle_alarm(self.now, reading) || paced {
            self.hungry.push(token);
        }
        let mut asked = false;
        for (at, cause) in self.due(conn).into_iter().flatten() {
            if at > self.now {
                continue;
            }
            let reading = conn.link.is_busy(Lane::In);
            let look = match cause {
                Cause::TimeoutLinger => return self.late(core, token, conn, cause),
                // Its name is being looked up, or only attempts in other slots are in progress.
                Cause::TimeoutConnect
                    if conn.life.phase == Phase::Resolving || !conn.link.is_adopted() =>
                {
                    return self.late(core, token, conn, cause);
                }
                Cause::TimeoutConnect | Cause::TimeoutSend if conn.life.phase != Phase::Opening => {
                    Look::Output
                }
                _ if reading => Look::Input,
                // It was told that there is something to be read.
                _ if conn.link.is_carried() => continue,
                // It sent what the host does not take.
                _ if conn.session.has_input() => continue,
                _ => Look::Unread,
            };
            self.orders.push(Order::Look(token, look));
            asked = true;
        }
        if !asked {
            conn.relax();
            self.schedule_by(core, token, conn, Millis::MAX);
        }
    }

    /// Whether something of a peer that seemed late waits: `found`. Else it is late.
    pub fn looked_at(&mut self, core: &Core, token: Token, look: Look, found: bool) {
        let Some(mut held) = core.table.hold(token) else { return };
        if let Some(udp) = held.datagram() {
            return self.datagram_looked_at(core, token, udp, found);
        }
        let Some(conn) = held.conn() else { return };
        let home = usize::from(conn.home);
        if home != self.home {
            drop(held);
            return core.homes[home].post(Command::Overdue(token));
        }
        // A socket that was made since then is not yet the model's.
        let adopted = conn.link.is_adopted();
        match self.due(conn)[look.lane() as usize] {
            Some((at, cause))
                if at <= self.now && adopted && (!found || self.has_caught_up(conn, at)) =>
            {
                self.late(core, token, conn, cause);
            }
            _ => self.schedule_by(core, token, conn, Millis::MAX),
        }
    }

    fn late(&mut self, core: &Core, token: Token, conn: &mut Conn, cause: Cause) {
        conn.set_deadline(None);
        conn.end_abruptly(cause, 0);
        self.tend_conn(core, token, conn);
    }

    /// Puts the next deadline of a datagram socket among the worker's timers, if it is not there.
    pub fn schedule_datagram(&mut self, core: &Core, token: Token, udp: &mut DatagramSocket) {
        let due = udp.due().map(|(at, _)| self.look_at(at));
        let resume = Some(udp.resume_at).filter(|&at| at > self.now);
        let Some(at) = [due, resume].into_iter().flatten().min() else { return };
        if !udp.reminder.precedes(at, self.now) {
            self.remind(core, token, &mut udp.reminder, at);
        }
    }

    fn datagram_due(&mut self, core: &Core, token: Token, udp: &mut DatagramSocket) {
        match udp.due() {
            Some((at, Cause::TimeoutIdle)) if at <= self.now && udp.kept.is_empty() => {
                self.orders.push(Order::Look(token, Look::Input));
            }
            Some((at, cause)) if at <= self.now && cause != Cause::TimeoutIdle => {
                udp.end_abruptly(cause, 0);
            }
            _ => {}
        }
        self.tend_datagram(core, token, udp);
    }

    fn datagram_looked_at(
        &mut self,
        core: &Core,
        token: Token,
        udp: &mut DatagramSocket,
        found: bool,
    ) {
        if !found
            && let Some((at, cause)) = udp.due()
            && at <= self.now
        {
            udp.end_abruptly(cause, 0);
        }
        self.tend_datagram(core, token, udp);
    }
}
