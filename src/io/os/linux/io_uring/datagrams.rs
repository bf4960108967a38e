//! Datagrams on both lanes: tried in batches, with a poll where a try has to wait.

use super::Uring;
use super::entry::{Inward, Kind};
use crate::io::common::datagrams::try_send_to;
use crate::io::common::receiving::received;
use crate::io::common::tried::Tried;
use crate::io::datagram::Datagram;
use crate::io::op::{Completion, Lane, Token};
use crate::io::proactor::cancelled;
use io_uring::opcode;
use std::io;
use std::mem;

impl Uring {
    /// Sees to it that the receive of datagrams that the engine waits for comes about.
    pub(super) fn ask_from(&mut self, token: Token) {
        let Some(entry) = self.entry(token) else { return };
        if entry.flying.is_some() {
            return;
        }
        if entry.bulk {
            if !mem::replace(&mut entry.runnable, true) {
                self.runnable.push_back(token);
            }
            return;
        }
        entry.flying = Some(Kind::Poll);
        let poll = opcode::PollAdd::new(entry.fd(), libc::POLLIN as u32).build();
        // SAFETY: it points at nothing.
        unsafe { self.start(token, Kind::Poll, poll) };
    }

    /// Datagrams came or an error did, or the poll for them ended.
    pub(super) fn polled(
        &mut self,
        token: Token,
        result: i32,
        done: &mut Vec<Completion>,
    ) -> usize {
        let Some(entry) = self.entry(token) else { return 0 };
        (entry.flying, entry.stopping) = (None, false);
        let error = match -result {
            _ if entry.closing => cancelled(),
            code if code <= 0 => return self.receive_from(token, done),
            libc::EAGAIN | libc::EINTR | libc::ENOMEM | libc::ENOBUFS => {
                self.later.push((token, Lane::In));
                return 0;
            }
            code => io::Error::from_raw_os_error(code),
        };
        if let Some(op) = entry.take_inward() {
            done.push(Completion { token, lane: Lane::In, outcome: op.fail(error) });
        }
        0
    }

    /// One try to receive. Bytes that it brought.
    pub(super) fn receive_from(&mut self, token: Token, done: &mut Vec<Completion>) -> usize {
        let Some(entry) = self.entries.get_mut(token.index()) else { return 0 };
        let datagrams = self.datagrams.get_or_insert_default();
        let setup = self.stock.setup();
        let (tried, drained) = datagrams.try_recv_from(token, &entry.socket, setup);
        entry.bulk = !drained && !matches!(tried, Tried::Blocked(_));
        match tried {
            Tried::Done(outcome) => {
                entry.inward = Inward::Nothing;
                let completion = Completion { token, lane: Lane::In, outcome };
                let bytes = received(&completion);
                done.push(completion);
                return bytes;
            }
            Tried::Blocked(_) => self.ask_from(token),
            Tried::Starved(_) => self.starve(token),
            Tried::Later(_) => self.later.push((token, Lane::In)),
        }
        0
    }

    /// Sends as many as the system takes now, or waits until it takes any.
    pub(super) fn send_to(&mut self, token: Token, all: Vec<Datagram>, done: &mut Vec<Completion>) {
        let Some(entry) = self.entry(token) else { return };
        match try_send_to(&entry.socket, all).0 {
            Tried::Done(outcome) => done.push(Completion { token, lane: Lane::Out, outcome }),
            Tried::Blocked(op) => {
                self.put_outward(token, op);
                self.send(token);
            }
            Tried::Later(op) | Tried::Starved(op) => {
                self.put_outward(token, op);
                self.later.push((token, Lane::Out));
            }
        }
    }
}
