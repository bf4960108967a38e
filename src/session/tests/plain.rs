//! What an outbox ought to be: a plain list of messages.

use super::*;
use std::collections::VecDeque;

/// A message that waits.
pub struct Waiting {
    pub frame: Vec<u8>,
    /// 0: none.
    pub key: u64,
    /// Bytes written.
    pub sent: usize,
    /// Waits for a flush.
    pub held: bool,
    /// Some of it is with the model.
    pub flying: bool,
    /// Some of it was with the model.
    pub flown: bool,
}

impl Waiting {
    /// Neither dropped nor replaced.
    fn stays(&self) -> bool {
        self.flying || self.sent > 0
    }

    fn rest(&self) -> usize {
        self.frame.len() - self.sent
    }
}

/// See the module.
pub struct Plain {
    pub limits: Limits,
    pub manual: bool,
    pub waiting: VecDeque<Waiting>,
    /// Bytes with the model.
    pub flying: usize,
    /// Messages that are written and still counted: those that share memory leave together.
    pub lingering: usize,
    pub refused: u32,
    /// The smallest of them.
    least: usize,
    pub dropped: u32,
    /// Messages in the place of an older one.
    pub replaced: u32,
}

impl Plain {
    pub fn new(limits: Limits, manual: bool) -> Plain {
        let waiting = VecDeque::new();
        let (flying, lingering, refused, least, dropped, replaced) = (0, 0, 0, 0, 0, 0);
        Plain { limits, manual, waiting, flying, lingering, refused, least, dropped, replaced }
    }

    pub fn bytes(&self) -> usize {
        self.waiting.iter().map(Waiting::rest).sum()
    }

    pub fn free_bytes(&self) -> Vec<u8> {
        let free = self.waiting.iter().take_while(|message| !message.held);
        free.flat_map(|message| message.frame[message.sent..].iter().copied()).collect()
    }

    fn messages(&self) -> usize {
        self.waiting.len() + self.lingering
    }

    fn fits(&self, bytes: usize, messages: usize, wire: usize) -> bool {
        bytes + wire <= self.limits.outbox_max_bytes as usize
            && messages < self.limits.outbox_max_messages as usize
    }

    /// Where the message is whose place a newer one takes.
    fn older(&self, key: u64) -> Option<usize> {
        let mut waiting = self.waiting.iter();
        waiting.position(|message| key != 0 && message.key == key && !message.flown)
    }

    /// Whether there is room for a message of `key`, without the older one.
    fn has_room(&self, wire: usize, key: u64) -> bool {
        let older = self.older(key).map(|at| self.waiting[at].rest());
        let messages = self.messages() - usize::from(older.is_some());
        self.fits(self.bytes() - older.unwrap_or(0), messages, wire)
    }

    pub fn send(&mut self, frame: Vec<u8>, key: u64, force: bool) -> Result<(), SendError> {
        if !force {
            self.admit(frame.len(), key)?;
        }
        if let Some(older) = self.older(key) {
            self.waiting[older].frame = frame;
            self.replaced += 1;
            return Ok(());
        }
        let held = self.manual;
        self.waiting.push_back(Waiting { frame, key, sent: 0, held, flying: false, flown: false });
        Ok(())
    }

    fn admit(&mut self, wire: usize, key: u64) -> Result<(), SendError> {
        if wire > self.limits.outbox_max_bytes as usize {
            return Err(SendError::TooBig);
        }
        if self.has_room(wire, key) {
            return Ok(());
        }
        let staying = self.waiting.iter().filter(|message| message.stays());
        let bytes = staying.clone().map(Waiting::rest).sum();
        match self.limits.overflow {
            Overflow::Close => Err(SendError::Overflow),
            Overflow::DropOldest if self.fits(bytes, staying.count(), wire) => {
                while !self.has_room(wire, key) {
                    let oldest = self.waiting.iter().position(|message| !message.stays());
                    self.waiting.remove(oldest.expect("those that stay leave room"));
                    self.dropped += 1;
                }
                Ok(())
            }
            _ => {
                self.least = if self.refused == 0 { wire } else { self.least.min(wire) };
                self.refused += 1;
                Err(SendError::Again)
            }
        }
    }

    pub fn flush(&mut self) {
        self.waiting.iter_mut().for_each(|message| message.held = false);
    }

    pub fn transmitted(&mut self, mut len: usize) {
        self.flying = len;
        for message in &mut self.waiting {
            message.flying = len > 0;
            message.flown |= len > 0;
            len = len.saturating_sub(message.rest());
        }
    }

    pub fn sent(&mut self, mut count: usize) {
        self.flying = 0;
        self.waiting.iter_mut().for_each(|message| message.flying = false);
        while count > 0 {
            let front = self.waiting.front_mut().expect("no more is written than waits");
            let step = count.min(front.rest());
            front.sent += step;
            count -= step;
            if front.rest() == 0 {
                self.waiting.pop_front();
            }
        }
    }

    pub fn writable(&mut self) -> Option<u32> {
        let low = self.bytes() <= self.limits.outbox_low_bytes as usize
            && self.messages() <= self.limits.outbox_max_messages as usize / 2;
        let fits = self.fits(self.bytes(), self.messages(), self.least);
        (low && fits && self.refused > 0).then(|| std::mem::take(&mut self.refused))
    }
}
