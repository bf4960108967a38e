//! SIM for a worker that gives its sockets dense numbers, as it does for most models. The network
//! still speaks of them as the net does, so that a run is the same either way.

use super::Sim;
use crate::io::bell::Bell;
use crate::io::op::{Completion, Look, Op, Role, Token};
use crate::io::proactor::{Affinity, Proactor, Setup};
use socket2::Socket;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

/// See the module. What the worker's numbers have to be is asserted here.
pub struct Dense {
    sim: Sim,
    /// The number that is lent next, and the net's token for it.
    next: Option<(Token, Token)>,
    /// The net's token for each number, and the number for each.
    tokens: BTreeMap<Token, Token>,
    numbers: BTreeMap<Token, Token>,
    /// Numbers that were lent, with their generations.
    used: BTreeSet<Token>,
}

impl Dense {
    fn token(&self, lent: Token) -> Token {
        *self.tokens.get(&lent).unwrap_or_else(|| panic!("{lent:?} is not lent"))
    }

    /// Puts numbers in the place of the net's tokens, in what is done from `before` on.
    fn number(&self, done: &mut [Completion]) {
        for completion in done {
            completion.token = self.numbers[&completion.token];
        }
    }
}

impl Proactor for Dense {
    const AFFINITY: Affinity = Affinity::Free;

    type Shared = ();

    fn share(workers: usize) -> io::Result<()> {
        Sim::share(workers)
    }

    fn open(setup: &Setup, shared: &()) -> io::Result<Dense> {
        let (tokens, numbers) = (BTreeMap::new(), BTreeMap::new());
        let sim = Sim::open(setup, shared)?;
        Ok(Dense { sim, next: None, tokens, numbers, used: BTreeSet::new() })
    }

    fn bell(&self) -> Bell {
        self.sim.bell()
    }

    fn name(&mut self, lent: Token, token: Token) {
        self.next = Some((lent, token));
    }

    fn adopt(&mut self, lent: Token, socket: &Socket, role: Role) -> io::Result<()> {
        let token = self.next.take().filter(|next| next.0 == lent).expect("it is named first").1;
        let lowest = (0..).find(|at| self.tokens.keys().all(|other| other.index() != *at));
        assert_eq!(Some(lent.index()), lowest, "the lowest number that is free");
        assert!(self.used.insert(lent), "{lent:?} was lent before");
        let answer = self.sim.adopt(token, socket, role);
        if answer.is_ok() {
            self.tokens.insert(lent, token);
            self.numbers.insert(token, lent);
        }
        answer
    }

    fn pass_over(&mut self, token: Token) {
        self.sim.release(token);
    }

    fn release(&mut self, lent: Token) {
        let token = self.token(lent);
        self.sim.release(token);
        self.tokens.remove(&lent);
        self.numbers.remove(&token);
    }

    fn submit(&mut self, lent: Token, op: Op, done: &mut Vec<Completion>) {
        let before = done.len();
        self.sim.submit(self.token(lent), op, done);
        self.number(&mut done[before..]);
    }

    fn waits(&mut self, lent: Token, socket: &Socket, look: Look) -> bool {
        self.sim.waits(self.token(lent), socket, look)
    }

    fn cancel(&mut self, lent: Token) {
        self.sim.cancel(self.token(lent));
    }

    fn turn(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> io::Result<()> {
        let before = done.len();
        let answer = self.sim.turn(done, timeout);
        self.number(&mut done[before..]);
        answer
    }
}
