//! Lane In: receives that repeat, receives into the engine's chunks, accepts, and what is parked.

use super::Uring;
use super::entry::{Address, Inward, Kind};
use super::stock::{BUFFER_BYTES, SMALL};
use crate::buf::{Chunk, Slice};
use crate::io::common::receiving::LONG_ROOM;
use crate::io::op::{Accepted, Completion, Lane, Outcome, Token};
use crate::io::os::unix::sys;
use crate::io::proactor::{ACCEPT_MAX, cancelled};
use io_uring::{cqueue, opcode, squeue};
use socket2::{SockAddr, SockAddrStorage, Socket};
use std::io;
use std::mem;
use std::os::fd::FromRawFd;

/// Bytes parked for one connection, beyond which its receive is ended.
const SURPLUS_MAX: usize = BUFFER_BYTES;

impl Uring {
    /// Sees to it that the receive or accept that the engine waits for comes about.
    pub(super) fn ask(&mut self, token: Token) {
        let (dry, recv_max) = (self.stock.is_dry(), self.stock.recv_max());
        let Some(entry) = self.entry(token) else { return };
        if entry.inward == Inward::Nothing || entry.leaving {
            return;
        }
        if entry.has_surplus() {
            if !mem::replace(&mut entry.runnable, true) {
                self.runnable.push_back(token);
            }
            return;
        }
        match entry.inward {
            Inward::Accept => return self.ask_accept(token),
            Inward::RecvFrom => return self.ask_from(token),
            _ => {}
        }
        let fd = entry.fd();
        let given = entry.behind.as_mut().and_then(|behind| behind.chunk.as_mut());
        let given = given.map(Chunk::spare);
        let (kind, operation) = match (entry.flying, given) {
            (Some(Kind::Multi), Some((_, room))) if room > BUFFER_BYTES => {
                // Large: worth a receive straight to its place.
                entry.bulk = true;
                if !mem::replace(&mut entry.stopping, true) {
                    self.stop(token, Kind::Multi);
                }
                return;
            }
            (Some(_), _) => return,
            (None, Some((_, room))) if room >= LONG_ROOM => {
                if !mem::replace(&mut entry.runnable, true) {
                    self.long.push_back(token);
                }
                return;
            }
            (None, Some((spare, room))) => {
                let room = room.min(recv_max) as u32;
                (Kind::Into, opcode::Recv::new(fd, spare, room).build())
            }
            (None, None) if dry => return self.starve(token),
            (None, None) if entry.bulk => {
                let once = opcode::Recv::new(fd, std::ptr::null_mut(), 0).buf_group(0).build();
                (Kind::Once, once.flags(squeue::Flags::BUFFER_SELECT))
            }
            (None, None) => (Kind::Multi, opcode::RecvMulti::new(fd, 0).build()),
        };
        entry.flying = Some(kind);
        // SAFETY: the chunk stays with the entry, and its block where it is; the stock stays until
        // the ring is closed.
        unsafe { self.start(token, kind, operation) };
    }

    fn ask_accept(&mut self, token: Token) {
        let Some(entry) = self.entry(token) else { return };
        entry.flying = Some(Kind::Accept);
        let fd = entry.fd();
        let address = entry.behind().address.get_or_insert_with(|| {
            Box::new(Address { storage: SockAddrStorage::zeroed(), len: 0 })
        });
        address.len = address.storage.size_of();
        let (storage, len) = (&raw mut address.storage, &raw mut address.len);
        let accept = opcode::Accept::new(fd, storage.cast(), len)
            .flags(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)
            .build();
        // SAFETY: the box stays with the entry until the accept has completed.
        unsafe { self.start(token, Kind::Accept, accept) };
    }

    /// Bytes in a buffer of the stock, or the end of a receive into one.
    #[inline]
    pub(super) fn received(
        &mut self,
        token: Token,
        reaped: &cqueue::Entry,
        more: bool,
        done: &mut Vec<Completion>,
    ) -> usize {
        let len = usize::try_from(reaped.result()).unwrap_or(0);
        let buffer = cqueue::buffer_select(reaped.flags());
        if let Some(buffer) = buffer.filter(|_| len == 0) {
            self.stock.hand_back(buffer);
        }
        let full = BUFFER_BYTES.min(self.stock.recv_max());
        let Some(entry) = self.entry(token) else {
            // Of a socket that was given back meanwhile.
            if let Some(buffer) = buffer.filter(|_| len > 0) {
                self.stock.hand_back(buffer);
            }
            return 0;
        };
        if !more {
            (entry.flying, entry.stopping) = (None, false);
        }
        let next = entry.inward == Inward::Recv && !entry.closing && !entry.has_surplus();
        if len == 0 {
            self.ended(token, reaped.result(), Lane::In);
        } else if let Some(buffer) = buffer {
            let stuffed = len >= full;
            entry.bulk = stuffed || (entry.bulk && len >= SMALL);
            if next && entry.behind.is_none() {
                // The most frequent case.
                entry.inward = Inward::Nothing;
                let outcome = Outcome::Received(Ok(self.stock.land(buffer, len, false)), None);
                done.push(Completion { token, lane: Lane::In, outcome });
            } else {
                let slice = self.stock.land(buffer, len, !next);
                self.park(token, slice, stuffed && !next);
            }
        }
        if next && self.entry(token).is_some_and(|entry| entry.has_surplus()) {
            self.deliver(token, done);
        }
        if !more {
            self.resume(token, done);
        }
        len
    }

    /// Keeps what was received until the engine asks, and ends a receive that ran too far ahead.
    #[inline]
    fn park(&mut self, token: Token, slice: Slice, stuffed: bool) {
        let Some(entry) = self.entry(token) else { return };
        if entry.closing {
            return;
        }
        entry.behind().surplus.push_back(slice);
        let ahead = stuffed || entry.inward == Inward::Nothing;
        if ahead
            && entry.flying == Some(Kind::Multi)
            && !entry.stopping
            && (stuffed || entry.surplus_bytes() >= SURPLUS_MAX)
        {
            entry.stopping = true;
            self.stop(token, Kind::Multi);
        }
    }

    /// A receive brought no bytes: the end of the stream, or an error.
    pub(super) fn ended(&mut self, token: Token, result: i32, lane: Lane) {
        let Some(entry) = self.entry(token) else { return };
        match -result {
            0 => entry.behind().end = Some(None),
            libc::ECANCELED | libc::EINTR => {}
            // There are more from now on; `resume` asks again.
            libc::ENOBUFS => self.stock.grow(),
            libc::EAGAIN | libc::ENOMEM => self.later.push((token, lane)),
            code => entry.behind().end = Some(Some(io::Error::from_raw_os_error(code))),
        }
    }

    /// The kernel does nothing for lane In any more: what the engine waits for is begun anew, or
    /// ends because the connection does.
    pub(super) fn resume(&mut self, token: Token, done: &mut Vec<Completion>) {
        let later = self.later.contains(&(token, Lane::In));
        let Some(entry) = self.entry(token) else { return };
        if entry.closing {
            if let Some(op) = entry.take_inward() {
                done.push(Completion { token, lane: Lane::In, outcome: op.fail(cancelled()) });
            }
        } else if !later {
            self.ask(token);
        }
    }

    /// Answers the engine's receive with the first of what is parked.
    #[inline]
    pub(super) fn deliver(&mut self, token: Token, done: &mut Vec<Completion>) -> usize {
        let recv_max = self.stock.recv_max();
        let Some(entry) = self.entry(token) else { return 0 };
        let Some(behind) = entry.behind.as_deref_mut() else { return 0 };
        let mut chunk = behind.chunk.take();
        let answer = match (behind.surplus.pop_front(), &mut chunk) {
            (Some(mut slice), Some(chunk)) => {
                let len = slice.len().min(chunk.room()).min(recv_max);
                let copy = chunk.write(&slice[..len]);
                slice.advance(len);
                if !slice.is_empty() {
                    behind.surplus.push_front(slice);
                }
                Ok(copy)
            }
            (Some(slice), None) => Ok(slice),
            (None, _) => match behind.end.as_mut().and_then(Option::take) {
                Some(error) => Err(error),
                None => Ok(Slice::default()),
            },
        };
        if behind.surplus.is_empty() && behind.end.is_none() {
            entry.behind = None;
        }
        entry.inward = Inward::Nothing;
        let bytes = answer.as_ref().map_or(0, |slice| slice.len());
        let outcome = Outcome::Received(answer, chunk);
        done.push(Completion { token, lane: Lane::In, outcome });
        bytes
    }

    /// Bytes in a chunk of the engine's.
    pub(super) fn received_into(
        &mut self,
        token: Token,
        result: i32,
        done: &mut Vec<Completion>,
    ) -> usize {
        let Some(entry) = self.entry(token) else { return 0 };
        (entry.flying, entry.stopping) = (None, false);
        let len = usize::try_from(result).unwrap_or(0);
        let chunk = entry.behind.as_mut().and_then(|behind| behind.chunk.as_mut());
        if let Some(chunk) = chunk.filter(|_| len > 0) {
            let slice = chunk.take(len);
            let chunk = entry.behind.take().and_then(|behind| behind.chunk);
            entry.inward = Inward::Nothing;
            let outcome = Outcome::Received(Ok(slice), chunk);
            done.push(Completion { token, lane: Lane::In, outcome });
            return len;
        }
        self.ended(token, result, Lane::In);
        self.resume(token, done);
        0
    }

    pub(super) fn accepted(&mut self, token: Token, result: i32, done: &mut Vec<Completion>) {
        // SAFETY: fresh from the kernel and not shared.
        let socket = (result >= 0).then(|| unsafe { Socket::from_raw_fd(result) });
        let Some(entry) = self.entry(token) else { return };
        (entry.flying, entry.stopping) = (None, false);
        let address = entry.behind.as_mut().and_then(|behind| behind.address.take());
        let (mut all, mut error) = (Vec::new(), None);
        if entry.closing {
            // Who came while the door was being closed finds it closed, as the backlog does.
            error = Some(cancelled());
        } else if let (Some(socket), Some(address)) = (socket, address) {
            // SAFETY: the kernel wrote an address of this length.
            let peer = unsafe { SockAddr::new(address.storage, address.len) };
            all.push(Accepted { socket, peer });
            while all.len() < ACCEPT_MAX && error.is_none() {
                match sys::accept(&entry.socket) {
                    Ok((socket, peer)) => all.push(Accepted { socket, peer }),
                    Err(more) if sys::would_block(&more) => break,
                    Err(more) => error = Some(more),
                }
            }
        } else if matches!(-result, libc::EAGAIN | libc::EINTR) {
            return self.later.push((token, Lane::In));
        } else {
            error = Some(io::Error::from_raw_os_error(-result));
        }
        entry.inward = Inward::Nothing;
        let outcome = Outcome::Accepted(all, error);
        done.push(Completion { token, lane: Lane::In, outcome });
    }
}
