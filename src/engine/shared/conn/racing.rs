//! What a connection has to do with its race.

use super::Conn;
use super::race::Race;
use crate::io::Token;
use crate::session::Millis;
use socket2::{SockAddr, Socket};
use std::collections::VecDeque;
use std::mem;

/// Attempts of one connection at a time, its own included.
const ATTEMPTS_MAX: usize = 8;

impl Conn {
    fn race(&self) -> Option<&Race> {
        self.more.as_ref().map(|more| &more.race)
    }

    fn race_mut(&mut self) -> Option<&mut Race> {
        self.more.as_mut().map(|more| &mut more.race)
    }

    /// Whether there are addresses to be tried.
    pub fn has_addresses(&self) -> bool {
        self.race().is_some_and(|race| !race.addresses.is_empty())
    }

    /// The next address to be tried.
    pub fn next_address(&mut self) -> Option<SockAddr> {
        self.race_mut()?.addresses.pop_front()
    }

    /// Gives an address back that could not be tried now.
    pub fn give_back(&mut self, address: SockAddr) {
        self.more().race.addresses.push_front(address);
    }

    /// The addresses, each followed by one of the other family while there are both.
    pub fn set_addresses(&mut self, addresses: impl IntoIterator<Item = SockAddr>) {
        let mut all: VecDeque<SockAddr> = addresses.into_iter().collect();
        let mut sorted = VecDeque::with_capacity(all.len());
        while let Some(first) = all.pop_front() {
            let other = all.iter().position(|it| it.family() != first.family());
            sorted.push_back(first);
            sorted.extend(other.and_then(|at| all.remove(at)));
        }
        self.more().race.addresses = sorted;
    }

    /// The address that its new socket is to be connected to.
    pub fn set_dialled(&mut self, address: SockAddr) {
        let more = self.more();
        (more.race.dialled, more.local) = (Some(Box::new(address)), None);
    }

    pub fn take_dialled(&mut self) -> Option<Box<SockAddr>> {
        self.race_mut()?.dialled.take()
    }

    /// Whether attempts beside its own are made.
    pub fn is_racing(&self) -> bool {
        self.race().is_some_and(|race| !race.attempts.is_empty() || race.won.is_some())
    }

    /// Whether one more attempt may be made beside those that there are.
    pub fn may_race(&self) -> bool {
        self.race().is_none_or(|race| race.attempts.len() + 1 < ATTEMPTS_MAX)
    }

    pub fn add_attempt(&mut self, attempt: Token) {
        self.more().race.attempts.push(attempt);
    }

    /// An attempt is over. False: it was called off before.
    pub fn drop_attempt(&mut self, attempt: Token) -> bool {
        let Some(race) = self.race_mut() else { return false };
        let place = race.attempts.iter().position(|it| *it == attempt);
        place.map(|at| race.attempts.swap_remove(at)).is_some()
    }

    /// The attempts that are to be called off.
    pub fn take_attempts(&mut self) -> Vec<Token> {
        self.race_mut().map(|race| mem::take(&mut race.attempts)).unwrap_or_default()
    }

    /// When the next attempt begins beside those that there are.
    pub fn attempt_at(&self) -> Option<Millis> {
        let race = self.race().filter(|race| !race.addresses.is_empty());
        race.map(|race| race.next_at).filter(|at| *at > 0)
    }

    pub fn set_attempt_at(&mut self, at: Millis) {
        if self.has_addresses() {
            self.more().race.next_at = at;
        }
    }

    /// Addresses still to be tried.
    pub fn addresses_left(&self) -> usize {
        self.race().map_or(0, |race| race.addresses.len())
    }

    /// When its own attempt is given up for the next; 0: not yet known.
    pub fn give_up_at(&self) -> Millis {
        self.race().map_or(0, |race| race.give_up_at)
    }

    pub fn set_give_up_at(&mut self, at: Millis) {
        if at != self.give_up_at() {
            self.more().race.give_up_at = at;
        }
    }

    /// The connection that this is an attempt for.
    pub fn main(&self) -> Option<Token> {
        self.race()?.main
    }

    /// Makes it an attempt for a connection.
    pub fn set_main(&mut self, main: Token) {
        self.more().race.main = Some(main);
    }

    /// An attempt was first: its socket, and the address.
    pub fn set_won(&mut self, socket: Socket, address: SockAddr) {
        self.more().race.won = Some(Box::new((socket, address)));
    }

    pub fn take_won(&mut self) -> Option<(Socket, SockAddr)> {
        self.race_mut()?.won.take().map(|won| *won)
    }

    /// It is connected, or ends: no more attempts begin.
    pub fn end_race(&mut self) {
        if let Some(race) = self.race_mut() {
            race.addresses.clear();
            (race.next_at, race.give_up_at) = (0, 0);
            (race.dialled, race.won) = (None, None);
        }
    }
}
