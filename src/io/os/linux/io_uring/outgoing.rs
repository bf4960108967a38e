//! An operation on lane Out while the kernel has it.

use crate::buf::TRAIN_MAX;
use crate::io::op::Op;
use io_uring::{opcode, squeue, types::Fd};

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
