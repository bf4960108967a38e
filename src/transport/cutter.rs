//! How messages stay messages on their way through an outbox.
//!
//! An outbox gathers what it takes in few pieces of memory, and small messages lie side by side in
//! them. Each has a header in front of it there, as a frame on a stream does, so that the trains
//! of an outbox can be cut into messages again. No peer ever sees that header.

use crate::buf::{Reader, Slice};
use crate::session::{Framing, FramingKind, TAG_BYTES, Tag};

/// Bytes of a header where there are no lanes: a length.
const LENGTH_BYTES: usize = 4;

/// Cuts the trains of one outbox into messages.
#[derive(Default)]
pub struct Cutter {
    header: [u8; TAG_BYTES],
    /// Messages have lanes.
    lanes: bool,
    /// Bytes of the header that were seen; all of them in the middle of a message.
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
    /// Where it goes.
    pub tag: Tag,
}

impl Cutter {
    /// The framing of an outbox whose messages are carried.
    pub fn framing(message_max_bytes: u32, lanes: bool) -> Framing {
        Framing {
            kind: if lanes { FramingKind::Lane } else { FramingKind::Length },
            length_bytes: LENGTH_BYTES as u32,
            frame_max_bytes: message_max_bytes,
            ..Framing::default()
        }
    }

    /// Of an outbox whose messages have lanes, or have none.
    pub fn new(lanes: bool) -> Cutter {
        Cutter { lanes, ..Cutter::default() }
    }

    /// Whether the last run ended a message.
    pub fn is_between(&self) -> bool {
        self.seen == 0
    }

    /// The next run of what is left of a slice. None: it is used up.
    pub fn next(&mut self, rest: &mut Reader) -> Option<Run> {
        let header = if self.lanes { TAG_BYTES } else { LENGTH_BYTES };
        while self.seen < header {
            let bytes = rest.rest();
            let most = bytes.len().min(header - self.seen);
            if most == 0 {
                return None;
            }
            self.header[self.seen..self.seen + most].copy_from_slice(&bytes[..most]);
            rest.skip(most);
            self.seen += most;
            (self.left, self.fresh) = (self.len(), true);
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
        let tag = if self.lanes { Tag::read(&self.header).1 } else { Tag::default() };
        Some(Run { data, first, last, len: self.len(), tag })
    }

    /// Bytes of the message that the header is of.
    fn len(&self) -> usize {
        if self.lanes {
            return Tag::read(&self.header).0;
        }
        let [a, b, c, d, ..] = self.header;
        u32::from_be_bytes([a, b, c, d]) as usize
    }
}
