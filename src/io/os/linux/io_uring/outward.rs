//! Lane Out: sends and connects, and the wait for room to send datagrams.

use super::Uring;
use super::entry::Kind;
use super::outgoing::Outward;
use crate::io::op::{Completion, Lane, Op, Outcome, Token};
use crate::io::proactor::cancelled;
use std::io;

/// Spare boxes that are kept.
const SPARE_MAX: usize = 1024;

impl Uring {
    /// Begins what the engine asked for on lane Out.
    pub(super) fn send(&mut self, token: Token) {
        let Some(entry) = self.entry(token) else { return };
        let fd = entry.fd();
        let Some(operation) = entry.outward.as_mut().and_then(|outward| outward.build(fd)) else {
            return;
        };
        entry.sending = true;
        // SAFETY: the box stays with the entry until the operation has completed.
        unsafe { self.start(token, Kind::Out, operation) };
    }

    #[inline]
    pub(super) fn sent(&mut self, token: Token, result: i32, done: &mut Vec<Completion>) {
        let Some(entry) = self.entry(token) else { return };
        entry.sending = false;
        let closing = entry.closing;
        let answer = match -result {
            code if code <= 0 => Ok(result as usize),
            libc::ECANCELED => Err(cancelled()),
            libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM if !closing => {
                return self.later.push((token, Lane::Out));
            }
            code => Err(io::Error::from_raw_os_error(code)),
        };
        if let Some(op) = self.take_outward(token) {
            let outcome = match op {
                Op::Send(train) => Outcome::Sent(answer, train),
                Op::Connect(_) => Outcome::Connected(answer.map(drop)),
                Op::SendTo(all) if answer.is_ok() && !closing => {
                    return self.send_to(token, all, done);
                }
                op => op.fail(answer.err().unwrap_or_else(cancelled)),
            };
            done.push(Completion { token, lane: Lane::Out, outcome });
        }
    }

    /// Keeps what the engine asked for on lane Out.
    #[inline]
    pub(super) fn put_outward(&mut self, token: Token, op: Op) {
        let spare = self.spare.pop();
        let Some(entry) = self.entry(token) else { return };
        entry.outward.insert(spare.unwrap_or_else(Outward::new)).op = Some(op);
    }

    #[inline]
    pub(super) fn take_outward(&mut self, token: Token) -> Option<Op> {
        let mut outward = self.entry(token)?.outward.take()?;
        let op = outward.op.take();
        if self.spare.len() < SPARE_MAX {
            self.spare.push(outward);
        }
        op
    }
}
