//! Lane In of a stream: a receive of nothing completes when there is something.

use super::calls::{self, for_later};
use super::hands::Hands;
use super::reaper::Reaper;
use super::slots::{Held, Inward};
use crate::buf::Slice;
use crate::io::common::receiving::with_room;
use crate::io::op::{Completion, Lane, Outcome};
use crate::io::os::windows::sys;
use crate::io::proactor::cancelled;
use std::io;
use std::ptr;
use windows_sys::Win32::Networking::WinSock as winsock;

impl<R: Reaper> Hands<R> {
    /// Sees to it that what the engine waits for on lane In comes about.
    pub(super) fn ask(&mut self, held: &mut Held, done: &mut Vec<Completion>) {
        match held.inward {
            Inward::Nothing => {}
            Inward::Accept => self.ask_accept(held, done),
            _ if held.bulk => self.runnable.push(held.token),
            Inward::Recv => self.watch(held),
            Inward::RecvFrom => self.watch_from(held, done),
        }
    }

    /// Has the system report when there is something to receive.
    fn watch(&mut self, held: &mut Held) {
        let nothing = winsock::WSABUF { len: 0, buf: ptr::null_mut() };
        // SAFETY: there is no memory that it writes to.
        let begun = unsafe {
            self.start(held, Lane::In, |socket, overlapped, routine| {
                let (mut flags, none) = (0, ptr::null_mut());
                let answer =
                    winsock::WSARecv(socket, &nothing, 1, none, &mut flags, overlapped, routine);
                calls::begun(answer == 0)
            })
        };
        match begun {
            Ok(true) => self.runnable.push(held.token),
            Ok(false) => {}
            Err(error) if for_later(&error) => self.later.push((held.token, Lane::In)),
            Err(error) => {
                // What came before may still be here.
                held.behind().broken = Some(error);
                self.runnable.push(held.token);
            }
        }
    }

    /// There is something on lane In, or its end. Bytes.
    pub(super) fn announced(
        &mut self,
        held: &mut Held,
        answer: io::Result<usize>,
        spent: bool,
        done: &mut Vec<Completion>,
    ) -> usize {
        if held.closing {
            self.fail_inward(held, cancelled(), done);
            return 0;
        }
        if held.inward == Inward::RecvFrom {
            return self.landed(held, answer, done);
        }
        if let Err(error) = answer
            && !calls::is_aborted(&error)
        {
            held.behind().broken = Some(error);
        }
        if spent {
            self.runnable.push(held.token);
            return 0;
        }
        self.receive(held, done)
    }

    /// One try of the receive that waits. Bytes.
    pub(super) fn receive(&mut self, held: &mut Held, done: &mut Vec<Completion>) -> usize {
        match held.inward {
            _ if held.flying[Lane::In as usize] => 0,
            Inward::Recv => self.receive_bytes(held, done),
            Inward::RecvFrom => self.receive_from(held, done),
            Inward::Nothing | Inward::Accept => 0,
        }
    }

    fn receive_bytes(&mut self, held: &mut Held, done: &mut Vec<Completion>) -> usize {
        let behind = held.behind.as_deref_mut();
        let mut given = behind.and_then(|behind| behind.chunk.take());
        let chunk = match &mut given {
            Some(chunk) => chunk,
            None => match with_room(&mut self.chunk, &self.setup) {
                Some(chunk) => chunk,
                None => {
                    self.starved.push(held.token);
                    return 0;
                }
            },
        };
        let (spare, room) = chunk.spare();
        let room = room.min(self.setup.recv_max);
        // SAFETY: `room` bytes at `spare` are the chunk's, and not shared.
        let received = unsafe { sys::recv(&held.socket, spare, room) };
        let broken = |held: &mut Held| held.behind.as_mut().and_then(|it| it.broken.take());
        let answer = match received {
            Ok(count) if count > 0 => Ok(chunk.take(count)),
            // An error that was reported once is not reported again.
            Ok(_) => broken(held).map_or(Ok(Slice::default()), Err),
            Err(error) if for_later(&error) => match broken(held) {
                Some(error) => Err(error),
                None => {
                    if given.is_some() {
                        held.behind().chunk = given;
                    }
                    held.bulk = false;
                    if sys::no_buffers(&error) {
                        self.later.push((held.token, Lane::In));
                    } else {
                        self.watch(held);
                    }
                    return 0;
                }
            },
            Err(error) => Err(broken(held).unwrap_or(error)),
        };
        let bytes = answer.as_ref().map_or(0, |slice| slice.len());
        held.bulk = bytes == room || held.behind.as_ref().is_some_and(|it| it.broken.is_some());
        if !held.bulk {
            held.behind = None;
        }
        held.inward = Inward::Nothing;
        let outcome = Outcome::Received(answer, given);
        done.push(Completion { token: held.token, lane: Lane::In, outcome });
        bytes
    }
}
