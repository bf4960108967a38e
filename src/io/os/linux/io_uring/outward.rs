//! Lane Out: sends and connects, and the wait for room to send datagrams.

use super::Uring;
use super::entry::Kind;
use crate::buf::TRAIN_MAX;
use crate::io::op::{Completion, Lane, Op, Outcome, Token};
use crate::io::proactor::cancelled;
use io_uring::{opcode, squeue, types::Fd};
use std::io;

/// Spare boxes that are kept.
const SPARE_MAX: usize = 1024;

/// An operation on lane Out with what the kernel reads for it, at one place until it is over.
pub struct Outward {
    /// None while the box is spare.
    pub op: Option<Op>,
    pieces: [libc::iovec; TRAIN_MAX],
    message: libc::msghdr,
}

// SAFETY: the pointers are into the train of `op`, which goes with it, and into itself.
unsafe impl Send for Outward {}

impl Outward {
    /// A box to be used again and again.
    pub fn new() -> Box<Outward> {
        let none = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: all zeros are a valid msghdr.
        let message = unsafe { std::mem::zeroed() };
        Box::new(Outward { op: None, pieces: [none; TRAIN_MAX], message })
    }

    /// What the kernel is to do. The box stays where it is, with its operation, until that is over.
    pub fn build(&mut self, fd: Fd) -> Option<squeue::Entry> {
        let train = match self.op.as_ref()? {
            Op::Connect(to) => {
                return Some(opcode::Connect::new(fd, to.as_ptr().cast(), to.len()).build());
            }
            Op::Send(train) => train,
            Op::SendTo(_) => return Some(opcode::PollAdd::new(fd, libc::POLLOUT as u32).build()),
            Op::Accept | Op::Recv(_) | Op::RecvFrom => return None,
        };
        let first = train.slices().next()?;
        if first.len() == train.len() {
            let send = opcode::Send::new(fd, first.as_ptr(), first.len() as u32);
            return Some(send.flags(libc::MSG_NOSIGNAL).build());
        }
        let mut count = 0;
        for (piece, slice) in self.pieces.iter_mut().zip(train.slices()) {
            let base = slice.as_ptr().cast_mut().cast();
            *piece = libc::iovec { iov_base: base, iov_len: slice.len() };
            count += 1;
        }
        self.message.msg_iov = self.pieces.as_mut_ptr();
        self.message.msg_iovlen = count as _;
        let send = opcode::SendMsg::new(fd, &raw const self.message);
        Some(send.flags(libc::MSG_NOSIGNAL as u32).build())
    }
}

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
