//! How messages stay messages on their way through an outbox.
//!
//! An outbox gathers what it takes in few pieces of memory, and small messages lie side by side in
//! them. Each has its length in front of it there, as a frame on a stream does, so that the trains
//! of an outbox can be cut into messages again. No peer ever sees that header.

use crate::buf::{Reader, Slice};
use crate::session::{Framing, FramingKind};

/// Bytes of a header.
const HEADER: usize = 4;

/// Cuts the trains of one outbox into messages.
#[derive(Default)]
pub struct Cutter {
    header: [u8; HEADER],
    /// Bytes of it that were seen; all of them in the middle of a message.
    seen: usize,
    /// Bytes of the message that are still to come.
    left: usize,
    /// Nothing of the message was handed out.
    fresh: bool,
}

/// Some bytes of one message.
#[derive(Debug)]
pub struct Run {
    /// The bytes. Empty in a message without any, and nowhere else.
    pub data: Slice,
    /// The message begins with them.
    pub first: bool,
    /// It ends with them.
    pub last: bool,
    /// Bytes of the whole message.
    pub len: usize,
}

impl Cutter {
    /// The framing of an outbox whose messages are carried.
    pub fn framing(message_max_bytes: u32) -> Framing {
        Framing {
            kind: FramingKind::Length,
            length_bytes: HEADER as u32,
            frame_max_bytes: message_max_bytes,
            ..Framing::default()
        }
    }

    /// Whether the last run ended a message.
    pub fn is_between(&self) -> bool {
        self.seen == 0
    }

    /// The next run of what is left of a slice. None: it is used up.
    pub fn next(&mut self, rest: &mut Reader) -> Option<Run> {
        while self.seen < HEADER {
            let byte = *rest.rest().first()?;
            rest.skip(1);
            self.header[self.seen] = byte;
            self.seen += 1;
            (self.left, self.fresh) = (u32::from_be_bytes(self.header) as usize, true);
        }
        let most = rest.rest().len().min(self.left);
        if most == 0 && self.left > 0 {
            return None;
        }
        let first = std::mem::take(&mut self.fresh);
        self.left -= most;
        let last = self.left == 0;
        if last {
            self.seen = 0;
        }
        let data = if most > 0 { rest.take(most) } else { Slice::default() };
        Some(Run { data, first, last, len: u32::from_be_bytes(self.header) as usize })
    }
}
