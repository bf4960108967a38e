//! Receives of long frames: tried, a few in a turn and behind all others, and polled for.

use super::Uring;
use super::entry::{Inward, Kind};
use crate::buf::Slice;
use crate::io::common::receiving::{LONG_BYTES, TURN_BYTES};
use crate::io::op::{Completion, Lane, Outcome, Token};
use crate::io::os::unix::sys;
use io_uring::opcode;
use std::thread;

impl Uring {
    /// Whether the engine waits for more of a long frame.
    pub(super) fn is_long(&mut self, token: Token) -> bool {
        self.entry(token).is_some_and(|entry| entry.is_long())
    }

    /// Tries some, when all others of a turn brought so many bytes.
    pub(super) fn receive_long(&mut self, mut bytes: usize, done: &mut Vec<Completion>) {
        let most = TURN_BYTES.min(bytes + LONG_BYTES);
        for _ in 0..self.long.len() {
            let Some(token) = self.long.pop_front() else { return };
            let Some(entry) = self.entry(token) else { continue };
            entry.runnable = false;
            if entry.flying.is_some() || entry.has_surplus() || !entry.is_long() {
                self.ask(token);
                continue;
            }
            bytes += self.try_long(token, done);
            if bytes >= most {
                break;
            }
        }
        if !self.long.is_empty() {
            // There is no end of them: whoever answers the others may need this processor.
            thread::yield_now();
        }
    }

    /// One try. Bytes that it brought.
    fn try_long(&mut self, token: Token, done: &mut Vec<Completion>) -> usize {
        let recv_max = self.stock.recv_max();
        let Some(entry) = self.entry(token) else { return 0 };
        let Some(mut chunk) = entry.behind.as_mut().and_then(|it| it.chunk.take()) else {
            return 0;
        };
        let (spare, room) = chunk.spare();
        // SAFETY: `room` bytes at `spare` are the chunk's, and not shared.
        let answer = match unsafe { sys::recv(&entry.socket, spare, room.min(recv_max)) } {
            Err(error) if sys::would_block(&error) => {
                entry.behind().chunk = Some(chunk);
                entry.flying = Some(Kind::Poll);
                let poll = opcode::PollAdd::new(entry.fd(), libc::POLLIN as u32).build();
                // SAFETY: it points at nothing.
                unsafe { self.start(token, Kind::Poll, poll) };
                return 0;
            }
            Err(error) => Err(error),
            Ok(0) => Ok(Slice::default()),
            Ok(count) => Ok(chunk.take(count)),
        };
        entry.behind = None;
        entry.inward = Inward::Nothing;
        let bytes = answer.as_ref().map_or(0, |slice| slice.len());
        let outcome = Outcome::Received(answer, Some(chunk));
        done.push(Completion { token, lane: Lane::In, outcome });
        bytes
    }

    /// More came, or an end or an error did, or the poll ended.
    pub(super) fn polled_long(
        &mut self,
        token: Token,
        result: i32,
        done: &mut Vec<Completion>,
    ) -> usize {
        if let Some(entry) = self.entry(token) {
            (entry.flying, entry.stopping) = (None, false);
        }
        if result < 0 {
            self.ended(token, result, Lane::In);
        }
        self.resume(token, done);
        0
    }
}
