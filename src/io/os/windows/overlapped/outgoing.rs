//! An operation on lane Out while the system has it.

use crate::io::op::Op;
use crate::io::os::windows::pktinfo::Outgoing;

/// An operation on lane Out with what the system reads for it, at one place until it is reaped.
pub struct Outward {
    pub op: Op,
    /// The first of its datagrams.
    pub first: Option<Outgoing>,
}

impl Outward {
    pub fn new(op: Op) -> Box<Outward> {
        let first = match &op {
            Op::SendTo(all) => all.first().map(Outgoing::new),
            _ => None,
        };
        Box::new(Outward { op, first })
    }

    /// Takes from its first datagram the address that it was to leave from, if it has one.
    pub fn had_source(&mut self) -> bool {
        let Op::SendTo(all) = &mut self.op else { return false };
        all.first_mut().is_some_and(|first| first.local.take().is_some())
    }

    /// Whether it is a connect.
    pub fn connects(&self) -> bool {
        matches!(self.op, Op::Connect(_))
    }
}
