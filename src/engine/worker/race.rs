//! Happy Eyeballs (RFC 8305): a peer with several addresses is tried at one after the other, the
//! next beside the former ones when those are silent for `ATTEMPT_DELAY_MS`, at once when one
//! failed. The first that connects is the connection, the others are called off.
//!
//! A connection makes its first attempt itself. One beside it is a connection in a slot of its own
//! that is never reported to the host; when it succeeds, its socket goes over to the connection.
//! Where there is no room for one (slots, sockets, descriptors), the connection gives up its own
//! attempt after a share of the time that is left.

use crate::engine::shared::conn::race::{ATTEMPT_DELAY_MS, Attempted};
use crate::engine::shared::conn::{Conn, End, Phase};
use crate::engine::shared::core::Core;
use crate::engine::shared::home::Command;
use crate::engine::shared::table::Resident;
use crate::engine::worker::desk::{Desk, Order};
use crate::io::{Lane, Role, Token};
use crate::session::{Cause, Millis, Stack};
use socket2::{SockAddr, Socket};

/// The least time of an attempt that is given up for the next.
const SHARE_MS: Millis = 1000;

impl Desk {
    /// The next attempt is due, or one failed.
    pub fn attempt(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        if self.forward_attempt(core, conn, Command::Attempt(token))
            || conn.life.phase != Phase::Connecting
            || conn.life.end == End::Abrupt
            || conn.marks.redial
        {
            return;
        }
        if conn.link.socket().is_none() {
            self.dial(core, token, conn);
            return self.tend_conn(core, token, conn);
        }
        let address = if conn.may_race() { conn.next_address() } else { None };
        let Some(address) = address else { return self.give_up_own(core, token, conn) };
        let (endpoint, home, queue) = (conn.endpoint.clone(), self.home, conn.queue);
        drop(held);
        let begun = self.begin_beside(core, token, &address, |session| {
            Conn::new(endpoint, session, home, queue.into())
        });
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        match begun {
            Some(attempt) => {
                // Its own worker alone changes how far it is, and that is this one.
                conn.add_attempt(attempt);
                conn.set_attempt_at(self.now + ATTEMPT_DELAY_MS);
                self.schedule(core, token, conn);
            }
            None => {
                conn.give_back(address);
                self.give_up_own(core, token, conn);
            }
        }
    }

    /// Begins an attempt in a slot of its own. None: there is no room.
    fn begin_beside(
        &mut self,
        core: &Core,
        main: Token,
        address: &SockAddr,
        conn: impl FnOnce(Stack) -> Conn,
    ) -> Option<Token> {
        let mut conn = conn(Stack::new(self.now, false));
        let place = if core.roams { conn.queue.into() } else { self.home };
        let socket = conn.endpoint.socket.stream(address).ok()?;
        if !core.homes[place].move_in(core.sockets_max) {
            return None;
        }
        conn.set_main(main);
        conn.set_peer(address.as_socket());
        conn.life.phase = Phase::Connecting;
        conn.link.set_socket(socket);
        conn.set_dialled(address.clone());
        let attempt = core.insert(Resident::Conn(conn), 0, place)?;
        self.orders.push(Order::Adopt(attempt, Role::Connecting));
        Some(attempt)
    }

    /// No attempt can be made beside its own: that one is given up when its time is over.
    fn give_up_own(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        let left = conn.deadline().map_or(0, |(end, _)| end.saturating_sub(self.now));
        if conn.give_up_at() == 0 {
            let share = (left / (conn.addresses_left() as Millis + 1)).max(SHARE_MS);
            conn.set_give_up_at(self.now + share);
        }
        if conn.give_up_at() > self.now {
            conn.set_attempt_at(conn.give_up_at());
            return self.schedule(core, token, conn);
        }
        self.leave_own(token, conn);
        self.tend_conn(core, token, conn);
    }

    /// Has the model give back the socket of its own attempt.
    fn leave_own(&mut self, token: Token, conn: &mut Conn) {
        conn.marks.redial = true;
        if conn.link.is_busy(Lane::Out) && conn.link.cancel() {
            self.orders.push(Order::Cancel(token));
        }
    }

    /// An attempt beside a connection's own has ended.
    pub fn attempted(&mut self, core: &Core, token: Token, attempt: Token, answer: Attempted) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        if usize::from(conn.home) != self.home {
            let home = usize::from(conn.home);
            return core.homes[home].post(Command::Attempted(token, attempt, Box::new(answer)));
        }
        // An attempt that was called off meanwhile has no owner: its socket is closed here.
        if !conn.drop_attempt(attempt)
            || conn.life.phase != Phase::Connecting
            || conn.life.end == End::Abrupt
        {
            return;
        }
        match answer {
            Ok((socket, address)) => {
                self.call_off(core, conn);
                conn.end_race();
                conn.set_won(socket, address);
                if conn.link.socket().is_some() {
                    self.leave_own(token, conn);
                } else {
                    self.dial(core, token, conn);
                }
            }
            Err((cause, os_error)) => {
                if conn.has_addresses() {
                    return core.homes[self.home].post(Command::Attempt(token));
                }
                if conn.link.socket().is_none() && !conn.marks.redial && !conn.is_racing() {
                    conn.end_abruptly(cause, os_error);
                }
            }
        }
        self.tend_conn(core, token, conn);
    }

    /// Ends the attempts beside a connection's own.
    pub fn call_off(&mut self, core: &Core, conn: &mut Conn) {
        for attempt in conn.take_attempts() {
            core.homes[self.home].post(Command::CallOff(attempt));
        }
    }

    /// No connection waits for an attempt any more.
    pub fn called_off(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        if !self.forward_attempt(core, conn, Command::CallOff(token)) {
            conn.end_abruptly(Cause::Host, 0);
            self.tend_conn(core, token, conn);
        }
    }

    fn forward_attempt(&self, core: &Core, conn: &Conn, command: Command) -> bool {
        let home = usize::from(conn.home);
        if home == self.home {
            return false;
        }
        core.homes[home].post(command);
        true
    }

    /// The model has given back the socket of an attempt that succeeded: it is the connection's.
    pub fn handed_over(&mut self, core: &Core, token: Token, socket: Socket) {
        let mut main = None;
        if let Some(mut held) = core.table.hold(token)
            && let Some(conn) = held.conn()
        {
            main = conn.main();
        }
        let address = socket.peer_addr();
        if let (Some(main), Ok(address)) = (main, address) {
            let answer = Ok((socket, address));
            core.homes[self.home].post(Command::Attempted(main, token, Box::new(answer)));
        } else if let Some(main) = main {
            let answer = Err((Cause::Reset, 0));
            core.homes[self.home].post(Command::Attempted(main, token, Box::new(answer)));
        }
        self.joined(core, token);
    }
}
