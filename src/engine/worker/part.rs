//! Sockets that go back to the host, with what they have on their way.
//!
//! The host's call marks a connection (`Moving::Parting`) or a listener, leaves its `Answer` there,
//! and waits. From then on nothing is cut into messages, sent or accepted. The worker asks the
//! model to let go, once in each turn until nothing is in flight; then it takes the socket out,
//! answers, and ends what is left as the host's close. Until the answer is given either side can
//! withdraw: the connection goes on as if nothing had been asked.

use crate::buf::{Pool, Release, Slice};
use crate::engine::shared::conn::{Conn, End, Moving};
use crate::engine::shared::core::Core;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::groups::deliver::settle;
use crate::engine::shared::home::Command;
use crate::engine::shared::listener::Listener;
use crate::engine::shared::parting::Parted;
use crate::engine::shared::table::Resident;
use crate::engine::worker::desk::{Desk, Order};
use crate::io::{Lane, LetGo, Op, Token};
use crate::session::Cause;

/// What is asked of the model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To let go.
    Go,
    /// To go on with the socket.
    Stay,
}

/// More than any machine has.
const APART: u64 = 1 << 62;
const CANNOT: &str = "this model has no way to end a receive that leaves the connection whole";

impl Desk {
    /// The host wants a socket. It may live with another worker by now.
    pub fn begin_part(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        let home = match held.resident() {
            Resident::Conn(conn) => usize::from(conn.home),
            Resident::Listener(listener) => usize::from(listener.home),
            _ => return,
        };
        drop(held);
        if home != self.home {
            return core.homes[home].post(Command::Part(token));
        }
        if !self.parting.contains(&token) {
            self.parting.push(token);
        }
    }

    /// Has the model asked for all that are to go.
    pub fn order_parts(&mut self) {
        self.orders.extend(self.parting.iter().copied().map(Order::Part));
    }

    /// Carries out one order of these. `ask` asks the model.
    pub fn part(&mut self, core: &Core, token: Token, ask: impl FnMut(Part) -> LetGo) {
        let of_it = self.done.iter().any(|it| it.token == token);
        if of_it || self.batch.iter().any(|event| event.token == token) {
            // To be applied or published before.
            return;
        }
        let Some(mut held) = core.table.hold(token) else { return self.parted(token) };
        match held.resident() {
            Resident::Conn(conn) => self.part_conn(core, token, conn, ask),
            // Those that the host is asked about come in before.
            Resident::Listener(listener) if listener.asks => {}
            Resident::Listener(listener) => self.part_listener(core, token, listener, ask),
            _ => self.parted(token),
        }
    }

    /// What a parting connection is to do: nothing, unless it ends for another reason.
    pub fn tend_parting(&mut self, conn: &mut Conn) -> bool {
        if conn.life.end == End::Not {
            return true;
        }
        conn.moving.stage = Moving::No;
        if let Some(answer) = conn.take_answer() {
            answer.give(Err(Error::Closed.into()));
        }
        false
    }

    fn parted(&mut self, token: Token) {
        self.parting.retain(|it| *it != token);
    }

    fn part_conn(
        &mut self,
        core: &Core,
        token: Token,
        conn: &mut Conn,
        mut ask: impl FnMut(Part) -> LetGo,
    ) {
        let asked = conn.moving.stage == Moving::Parting;
        let refusal = if !asked {
            Some(Error::Busy.into())
        } else if conn.life.end != End::Not || conn.broken().is_some() {
            Some(Error::Closed.into())
        } else if core.queues[usize::from(conn.queue)].holds(token) {
            let words = "events are still to be polled: pause it and poll until there are none";
            Some(Refusal::new(Error::Busy, words))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return self.keep_conn(core, token, conn, refusal, ask);
        }
        let (ops, surplus) = match ask(Part::Go) {
            LetGo::Later => return,
            LetGo::Never => {
                let refusal = Refusal::new(Error::Unsupported, CANNOT);
                return self.keep_conn(core, token, conn, refusal, ask);
            }
            LetGo::Done(ops, surplus) => (ops, surplus),
        };
        self.parted(token);
        let mut release = Release::default();
        for op in ops.into_iter().flatten() {
            conn.link.end(op.lane());
            match op {
                Op::Recv(Some(chunk)) => conn.session.handle_returned(chunk),
                Op::Send(train) => conn.session.handle_sent(0, train, &mut release),
                _ => {}
            }
        }
        settle(core, token, conn);
        let session = conn.session.session_mut();
        let unread = gathered(session.unread_runs().chain(surplus.iter().map(|it| &it[..])));
        let unsent = session.take_unsent();
        let unsent = gathered(unsent.iter().map(|it| &it[..]));
        conn.link.adopted(false);
        conn.moving.stage = Moving::No;
        let answer = conn.take_answer();
        match (unread, unsent, conn.take_socket()) {
            (Some(unread), Some(unsent), Some(socket)) => {
                conn.end_abruptly(Cause::Host, 0);
                if let Some(answer) = answer {
                    answer.give(Ok(Parted { socket, unread, unsent }));
                }
            }
            // The system has no memory. What was received has no place any more.
            _ => {
                conn.life.reset = true;
                conn.end_abruptly(Cause::LimitMemory, 0);
                if let Some(answer) = answer {
                    answer.give(Err(Error::NoMemory.into()));
                }
            }
        }
        self.tend_conn(core, token, conn);
    }

    /// It goes on as if nothing had been asked, or ends for another reason.
    fn keep_conn(
        &mut self,
        core: &Core,
        token: Token,
        conn: &mut Conn,
        refusal: Refusal,
        mut ask: impl FnMut(Part) -> LetGo,
    ) {
        self.parted(token);
        let _ = ask(Part::Stay);
        if conn.moving.stage == Moving::Parting {
            conn.moving.stage = Moving::No;
        }
        if let Some(answer) = conn.take_answer() {
            answer.give(Err(refusal));
        }
        self.tell_writable(core, token, conn);
        self.tend_conn(core, token, conn);
    }

    fn part_listener(
        &mut self,
        core: &Core,
        token: Token,
        listener: &mut Listener,
        mut ask: impl FnMut(Part) -> LetGo,
    ) {
        let refusal = if listener.parting.is_none() {
            Some(Error::Busy.into())
        } else if listener.closing.is_some() || !listener.link.is_adopted() {
            Some(Error::Closed.into())
        } else {
            match ask(Part::Go) {
                LetGo::Later => return,
                LetGo::Never => Some(Refusal::new(Error::Unsupported, CANNOT)),
                LetGo::Done(..) => None,
            }
        };
        self.parted(token);
        let answer = listener.parting.take();
        if let Some(refusal) = refusal {
            let _ = ask(Part::Stay);
            if let Some(answer) = answer {
                answer.give(Err(refusal));
            }
            return self.tend_listener(core, token, listener);
        }
        listener.link.end(Lane::In);
        listener.link.adopted(false);
        if let Some(file) = listener.file.take() {
            file.keep();
        }
        listener.closing = Some((Cause::Host, 0));
        if let Some((answer, socket)) = answer.zip(listener.link.take_socket()) {
            let (unread, unsent) = (Slice::default(), Slice::default());
            answer.give(Ok(Parted { socket, unread, unsent }));
        }
        self.orders.push(Order::Join(token));
    }
}

/// Runs of bytes as one buffer of the host's. It is outside the net's memory, of which as much is
/// about to go back: a full pool keeps no connection from going.
fn gathered<'a>(runs: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Slice> {
    let len = runs.clone().map(<[u8]>::len).sum();
    if len == 0 {
        return Some(Slice::default());
    }
    let mut chunk = Pool::new(APART).take(len)?;
    runs.for_each(|run| chunk.put(run));
    Some(chunk.into_slice())
}
