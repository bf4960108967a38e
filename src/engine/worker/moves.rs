//! Moves: a connection changes its queue, and its worker where the model can detach a socket that
//! is in use.
//!
//! *Asked*: the host asked. Its worker reports MOVED in the old queue; from then on nothing is
//! received or reported, and what is sent still leaves (*left*). When the batch with that MOVED has
//! ended it is *due*: the worker has the model detach it (*leaving*) and hands it to a worker of
//! the new queue (*arriving*), which reports MOVED there before anything else. Where the model
//! cannot detach it, or the connection ends, the socket stays: it lives *abroad*, with a worker
//! that serves another queue, and its events are sorted out when they are published.

use crate::buf::Release;
use crate::engine::shared::conn::{Conn, End, Moving, Phase, Report, Tie};
use crate::engine::shared::core::Core;
use crate::engine::shared::event::{Event, Notice};
use crate::engine::shared::groups::deliver::{list_of, settle};
use crate::engine::shared::home::Command;
use crate::engine::worker::desk::{Desk, Order};
use crate::io::{Op, Token};
use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::Ordering::*;

impl Desk {
    /// A command asked to look at a move. It stays with this worker until that was done.
    pub fn tend_moving(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        let home = usize::from(conn.home);
        if home == self.home {
            return self.tend_conn(core, token, conn);
        }
        drop(held);
        core.homes[home].post(Command::Move(token));
    }

    /// What a move asks for, before anything else is done with a connection. True: it is on its
    /// way, and nothing else is to be done.
    #[cold]
    pub fn tend_move(&mut self, core: &Core, token: Token, conn: &mut Conn) -> bool {
        match conn.moving.stage {
            Moving::No | Moving::Left => false,
            Moving::Asked => {
                let told = conn.life.phase == Phase::Open
                    && conn.link.is_adopted()
                    && conn.life.report != Report::Hidden;
                if told && conn.life.end == End::Not && core.is_running() {
                    conn.moving.stage = Moving::Left;
                    let queue = conn.moving.other_queue;
                    self.emit(token, Notice::Moved { queue, left: true });
                }
                false
            }
            // The worker of a carried connection is that of its socket.
            Moving::Due
                if conn.life.end == End::Abrupt
                    || !conn.link.is_adopted()
                    || conn.link.is_carried() =>
            {
                self.stay(core, token, conn);
                false
            }
            Moving::Due => {
                conn.moving.stage = Moving::Leaving;
                self.orders.push(Order::Move(token));
                true
            }
            Moving::Leaving | Moving::Arriving => true,
            Moving::Parting => self.tend_parting(conn),
        }
    }

    /// Hands a connection to a worker of its new queue, if the model can detach it.
    pub fn hand_over(
        &mut self,
        core: &Core,
        token: Token,
        detach: impl FnOnce() -> Option<[Option<Op>; 2]>,
    ) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        if self.done.iter().any(|it| it.token == token) {
            // Something of it just completed, and is to be looked at before.
            conn.moving.stage = Moving::Due;
            return self.hungry.push(token);
        }
        // Asked under the lock: who ends the net, or a worker, finds it here or there.
        let goes = core.is_running() && !core.panicked.load(SeqCst) && conn.life.end != End::Abrupt;
        // There first, so that it is counted at any time.
        let place = goes.then(|| core.move_in(Some(conn.moving.other_queue.into()))).flatten();
        let Some((home, ops)) = place.and_then(|home| {
            let ops = detach();
            if ops.is_none() {
                core.move_out(home);
            }
            Some((home, ops?))
        }) else {
            self.stay(core, token, conn);
            return self.tend_conn(core, token, conn);
        };
        let mut release = Release::default();
        for op in ops.into_iter().flatten() {
            conn.link.end(op.lane());
            match op {
                Op::Recv(Some(chunk)) => conn.session.handle_returned(chunk),
                Op::Send(train) => conn.session.handle_sent(0, train, &mut release),
                _ => {}
            }
        }
        debug_assert!(conn.link.is_idle(), "what completed was looked at before");
        self.change_queue(core, token, conn, home);
        conn.link.set_tie(Tie::Loose);
        conn.marks.stalled = false;
        conn.marks.hungry = false;
        self.forget(core, token, &mut conn.reminder);
        conn.moving.stage = Moving::Arriving;
        core.move_out(self.home);
        core.homes[home].post(Command::Adopt(token));
    }

    /// Ends a move whose socket stays with this worker.
    pub fn stay(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        self.change_queue(core, token, conn, self.home);
        if conn.moving.abroad {
            core.abroad.store(true, SeqCst);
            self.abroad.told = true;
            self.abroad.count += usize::from(!conn.link.is_joined());
        }
        self.arrive(core, token, conn);
    }

    /// Whether a socket that this worker was given is that of a move; then it is over.
    pub fn arrives(&mut self, core: &Core, token: Token, conn: &mut Conn) -> bool {
        let arrives = conn.moving.stage == Moving::Arriving;
        if arrives {
            self.arrive(core, token, conn);
        }
        arrives
    }

    /// Reports MOVED in the new queue; all else may follow.
    fn arrive(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        conn.moving.stage = Moving::No;
        self.emit(token, Notice::Moved { queue: conn.moving.other_queue, left: false });
        self.tell_writable(core, token, conn);
    }

    /// From here on its events go to the other queue, and the sends that wait for a flush wait for
    /// that queue's.
    fn change_queue(&mut self, core: &Core, token: Token, conn: &mut Conn, home: usize) {
        let before = core.stage_home(conn);
        settle(core, token, conn);
        mem::swap(&mut conn.queue, &mut conn.moving.other_queue);
        if conn.moving.abroad && !conn.link.is_joined() {
            self.abroad.count -= 1;
        }
        if core.roams && !conn.link.is_joined() && !conn.link.is_carried() {
            core.homes[usize::from(conn.queue)].squeeze_in();
            core.move_out(conn.moving.other_queue.into());
        }
        conn.home = home as u8;
        conn.moving.abroad = !core.roams && home % core.queues.len() != usize::from(conn.queue);
        if core.is_manual() && conn.marks.dirty && core.homes[before].unstage(token) {
            core.homes[core.stage_home(conn)].stage(token);
        }
        core.groups.relist(token.index(), list_of(core, conn));
    }

    /// Whether a connection lives with another worker by now. That one is given the command.
    pub fn forward(&self, core: &Core, conn: &Conn, command: Command) -> bool {
        let home = usize::from(conn.home);
        if home != self.home {
            core.homes[home].post(command);
        }
        home != self.home
    }

    /// Whether a connection or a datagram socket lives with another worker by now, at `home`. That
    /// one looks at it as one that waits for memory.
    pub fn wait_elsewhere(&self, core: &Core, token: Token, home: usize) -> bool {
        if home != self.home {
            core.thirst(token, home);
            core.pool.poke();
            core.homes[home].wake();
        }
        home != self.home
    }

    /// Takes the events of those that live abroad out of the batch and gives them to their
    /// queues. The bytes they count for.
    pub fn publish_abroad(&mut self, core: &Core) -> u64 {
        let sorted = self.abroad.told || (core.roams && core.queues.len() > 1);
        if sorted { self.sort_abroad(core) } else { 0 }
    }

    #[cold]
    fn sort_abroad(&mut self, core: &Core) -> u64 {
        let mut abroad: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
        let mut last = (Token(0), self.queue);
        for event in mem::take(&mut self.batch) {
            if event.token != last.0 {
                let queue = core
                    .table
                    .hold(event.token)
                    .and_then(|mut held| held.conn().map(|conn| usize::from(conn.queue)));
                last = (event.token, queue.unwrap_or(self.queue));
            }
            if last.1 == self.queue {
                self.batch.push(event);
            } else {
                abroad.entry(last.1).or_default().push(event);
            }
        }
        let mut bytes = 0;
        for (queue, mut events) in abroad {
            let of_it = events.iter().map(Event::cost).sum();
            core.publish(&core.queues[queue], &mut events, of_it, self.elapsed, Some(self.home));
            bytes += of_it;
        }
        self.abroad.told = self.abroad.count > 0;
        bytes
    }
}
