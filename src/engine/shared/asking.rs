//! Calls the functions of the host's that have waited until no lock is held: asks for its word
//! about peers, and passes on lines of the log.

use crate::engine::shared::config::Kind;
use crate::engine::shared::conn::Origin;
use crate::engine::shared::core::Core;
use crate::engine::shared::guard::asked::{ADMIT, Asked, REFUSE};
use crate::engine::shared::guard::reason::Reason;
use crate::engine::shared::home::Command;
use crate::engine::shared::log::Level;
use crate::io::os::sys;
use crate::io::{Accepted, Token};
use std::sync::Arc;

impl Core {
    /// Whether something waits that `call_out` calls for a worker.
    #[inline]
    pub fn calls_out(&self, home: usize) -> bool {
        self.homes[home].asked.wait() || self.log.waits()
    }

    /// Calls the host for what a worker has noted. The caller holds no lock.
    pub fn call_out(&self, home: usize) {
        if self.homes[home].asked.wait() {
            self.ask_all(home);
        }
        self.log.tell_later();
    }

    /// Asks about peers that wait. While the net stops they are refused, and nobody is asked.
    pub fn ask_all(&self, home: usize) {
        for Asked { listener, mut peers } in self.homes[home].asked.take() {
            if let Some(origin) = self.origin_of(listener) {
                peers.retain(|one| self.admits(listener, one) || self.keep_out(&origin, one));
            }
            self.homes[home].post(Command::Admitted(listener, peers));
        }
    }

    fn origin_of(&self, listener: Token) -> Option<Arc<Origin>> {
        self.table.hold(listener)?.listener().map(|listener| listener.endpoint.clone())
    }

    /// What the host says of a peer.
    fn admits(&self, listener: Token, one: &Accepted) -> bool {
        if !self.is_running() {
            return false;
        }
        let (id, peer) = (Kind::Listener.handle(self.table.tag(), listener), one.peer.as_socket());
        let answer = self.guard.admit.call(|ask| ask(id, peer));
        match answer {
            None | Some(ADMIT) => return true,
            Some(REFUSE) => {}
            Some(other) => self.guard.wonder(|| {
                let words = "the function of sockeye_set_admit answered";
                let words = format!("{words} {other}, which is taken for SOCKEYE_REFUSE");
                self.log.tell(Level::Warning, || words);
            }),
        }
        self.guard.refuse(Reason::Admit);
        if let Some(line) = self.guard.line(peer, Reason::Admit, self.now()) {
            self.log.tell(Level::Warning, || line);
        }
        false
    }

    /// Resets a peer that had been let in so far. False, for `retain`.
    pub fn keep_out(&self, origin: &Origin, one: &Accepted) -> bool {
        let peer = one.peer.as_socket();
        // Who comes by a proxy is counted when its header is known.
        if !origin.is_proxy(peer) {
            origin.left(peer);
        }
        sys::reset(&one.socket);
        false
    }
}
