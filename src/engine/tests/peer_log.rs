//! What one peer sent, and what of it was reported.

use super::wire::Wire;
use crate::io::sim::{Dice, Peer};
use std::collections::VecDeque;

/// One thing that a peer wrote.
enum Item {
    Message(Vec<u8>),
    /// What no frame begins with.
    Garbage,
}

/// A peer, and what is to be reported of it to the host.
pub struct PeerLog {
    pub peer: Peer,
    wire: Wire,
    /// To be written, as the network takes it.
    outgoing: VecDeque<u8>,
    /// Not reported yet, each with the count of bytes that were written with it.
    items: VecDeque<(u64, Item)>,
    /// Not reported yet, without framing.
    raw: VecDeque<u8>,
    /// Bytes ever queued, and those written.
    queued: u64,
    written: u64,
    /// Bytes it reads in a step; 0: none.
    pub appetite: usize,
    pub ended: bool,
    pub closed: bool,
    pub reset: bool,
    garbage: bool,
    number: u64,
}

impl PeerLog {
    pub fn new(peer: Peer, wire: Wire, appetite: usize) -> PeerLog {
        PeerLog {
            peer,
            wire,
            outgoing: VecDeque::new(),
            items: VecDeque::new(),
            raw: VecDeque::new(),
            queued: 0,
            written: 0,
            appetite,
            ended: false,
            closed: false,
            reset: false,
            garbage: false,
            number: 0,
        }
    }

    /// Whether it does nothing any more but read.
    pub fn is_silent(&self) -> bool {
        self.ended || self.closed || self.reset || self.garbage
    }

    /// Whether it ended within a frame.
    pub fn is_cut(&self) -> bool {
        let whole = self.written == self.queued || self.items.iter().any(|it| it.0 == self.written);
        (self.ended || self.closed) && self.wire != Wire::Raw && (self.garbage || !whole)
    }

    /// Whether everything that is sent to it can arrive.
    pub fn listens(&self) -> bool {
        !self.closed && !self.reset
    }

    /// Writes a message, as far as it fits.
    pub fn send(&mut self, len: usize) {
        self.begin(len);
        self.pump();
    }

    /// Has a message to write.
    pub fn begin(&mut self, len: usize) {
        if self.is_silent() {
            return;
        }
        self.number += 1;
        let payload = payload(self.peer.link() as u64, self.number, len);
        let frame = self.wire.frame(&payload);
        self.queue(&frame);
        if self.wire != Wire::Raw {
            self.items.push_back((self.queued, Item::Message(payload)));
        }
    }

    /// Writes what breaks the framing.
    pub fn send_garbage(&mut self) {
        if let Some(bytes) = self.wire.garbage()
            && !self.is_silent()
        {
            self.queue(bytes);
            self.items.push_back((self.queued, Item::Garbage));
            self.garbage = true;
            self.pump();
        }
    }

    fn queue(&mut self, bytes: &[u8]) {
        self.queued += bytes.len() as u64;
        self.outgoing.extend(bytes);
    }

    /// Writes what waits. True: some of it went.
    pub fn pump(&mut self) -> bool {
        self.drip(usize::MAX)
    }

    /// As `pump`, of so many bytes at most.
    pub fn drip(&mut self, most: usize) -> bool {
        if self.outgoing.is_empty() || self.ended || !self.listens() {
            return false;
        }
        let most = most.min(self.outgoing.len());
        let count = self.peer.write(&self.outgoing.make_contiguous()[..most]);
        let gone = self.outgoing.drain(..count);
        if self.wire == Wire::Raw {
            self.raw.extend(gone);
        } else {
            drop(gone);
        }
        self.written += count as u64;
        count > 0
    }

    pub fn end(&mut self) {
        if !self.ended && self.listens() {
            self.ended = true;
            self.peer.end();
        }
    }

    pub fn close(&mut self) {
        if self.listens() {
            self.closed = true;
            self.peer.close();
        }
    }

    pub fn reset(&mut self) {
        if self.listens() {
            self.reset = true;
            self.peer.reset();
        }
    }

    /// A message of it was reported to the host.
    pub fn told(&mut self, data: &[u8]) {
        let link = self.peer.link();
        if self.wire == Wire::Raw {
            let count = data.len().min(self.raw.len());
            let right = count == data.len() && self.raw.drain(..count).eq(data.iter().copied());
            assert!(right, "link {link}: {} bytes were told that were not sent", data.len());
            return;
        }
        match self.items.pop_front() {
            Some((_, Item::Message(payload))) => {
                let (len, told) = (payload.len(), data.len());
                assert!(payload == data, "link {link}: {told} bytes told, next are {len}");
            }
            Some((_, Item::Garbage)) => panic!("link {link}: garbage was told as a message"),
            None => panic!("link {link}: {} bytes told, nothing was sent", data.len()),
        }
    }

    /// Whether all that was wholly written was reported.
    pub fn is_told(&self) -> bool {
        let whole = self.items.front().is_some_and(|(end, _)| *end <= self.written);
        !whole && self.raw.is_empty()
    }

    /// Whether the next thing to be reported is that the framing is broken.
    pub fn is_broken(&self) -> bool {
        matches!(self.items.front(), Some((end, Item::Garbage)) if *end <= self.written)
    }

    pub fn describe(&self) -> String {
        format!(
            "link {}: {:?} queued {} written {} unread {} items {} raw {} \
             ended {} closed {} reset {}",
            self.peer.link(),
            self.wire,
            self.queued,
            self.written,
            self.peer.unread(),
            self.items.len(),
            self.raw.len(),
            self.ended,
            self.closed,
            self.reset
        )
    }
}

/// The bytes of one message: no two are alike but the shortest.
pub fn payload(stream: u64, number: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(stream << 32 | number);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend(dice.roll().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
