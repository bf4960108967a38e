//! Lane Out: sends and connects, handed to the system where it does not do them at once.

use super::calls::{self, finish_connect, for_later, is_aborted};
use super::hands::Hands;
use super::outgoing::Outward;
use super::reaper::Reaper;
use super::slots::Held;
use crate::io::common::datagrams::try_send_to;
use crate::io::common::tried::Tried;
use crate::io::op::{Completion, Lane, Op, Outcome};
use crate::io::os::windows::pktinfo::is_no_source;
use crate::io::os::windows::sys;
use crate::io::proactor::cancelled;
use std::io;
use std::ptr;
use windows_sys::Win32::Networking::WinSock as winsock;

/// Bytes of a send that the system is given to wait with. It reports none of them before it took
/// all, and a peer that takes a little at a time is no stuck one.
const WAITING_MAX: usize = 64 * 1024;

impl<R: Reaper> Hands<R> {
    /// Begins what the engine asks for on lane Out, and mostly ends it.
    pub(super) fn send(&mut self, held: &mut Held, op: Op, done: &mut Vec<Completion>) {
        let token = held.token;
        let (op, later) = match op {
            Op::Send(train) => match sys::send(&held.socket, &train) {
                Err(error) if sys::would_block(&error) => (Op::Send(train), false),
                Err(error) if sys::no_buffers(&error) => (Op::Send(train), true),
                answer => {
                    let outcome = Outcome::Sent(answer, train);
                    return done.push(Completion { token, lane: Lane::Out, outcome });
                }
            },
            Op::SendTo(all) => match try_send_to(&held.socket, all).0 {
                Tried::Done(outcome) => {
                    return done.push(Completion { token, lane: Lane::Out, outcome });
                }
                Tried::Blocked(op) => (op, false),
                Tried::Later(op) | Tried::Starved(op) => (op, true),
            },
            op => (op, false),
        };
        held.outward = Some(Outward::new(op));
        if later {
            self.later.push((token, Lane::Out));
        } else {
            self.hand_over(held, done);
        }
    }

    /// Begins it again, after the system was short of memory.
    pub(super) fn send_again(&mut self, held: &mut Held, done: &mut Vec<Completion>) {
        if let Some(outward) = held.outward.take() {
            self.send(held, outward.op, done);
        }
    }

    /// Has the system do it.
    fn hand_over(&mut self, held: &mut Held, done: &mut Vec<Completion>) {
        let Some(outward) = held.outward.as_deref_mut() else { return };
        // The box stays where it is until the operation is reaped; the lock is not left meanwhile.
        let outward: *mut Outward = outward;
        let functions = self.calls;
        let borrowed = sys::borrow(&held.socket);
        let none = ptr::null_mut();
        // SAFETY: the operation and its buffers stay in their box, with the entry, until it is
        // reaped.
        let begun = unsafe {
            let outward = &mut *outward;
            self.start(held, Lane::Out, |socket, overlapped, routine| match &outward.op {
                Op::Connect(address) => functions.connect(&borrowed, address, overlapped),
                Op::Send(train) => {
                    let (pieces, count) = sys::pieces(train, WAITING_MAX);
                    let pieces = pieces.as_ptr();
                    let answer =
                        winsock::WSASend(socket, pieces, count, none, 0, overlapped, routine);
                    calls::begun(answer == 0)
                }
                Op::SendTo(_) => match &mut outward.first {
                    Some(first) => calls::begun(first.send(socket, overlapped, routine)),
                    None => Err(io::ErrorKind::InvalidInput.into()),
                },
                Op::Accept | Op::Recv(_) | Op::RecvFrom => Err(io::ErrorKind::InvalidInput.into()),
            })
        };
        let slot = held.slot;
        match begun {
            Ok(true) => {
                let answer = slot.operations[Lane::Out as usize].result(&held.socket);
                self.sent(held, answer, done);
            }
            Ok(false) => {}
            Err(error) => self.sent(held, Err(error), done),
        }
    }

    /// It is over, or never began.
    pub(super) fn sent(
        &mut self,
        held: &mut Held,
        answer: io::Result<usize>,
        done: &mut Vec<Completion>,
    ) {
        let Some(mut outward) = held.outward.take() else { return };
        let answer = match answer {
            Err(error) if is_no_source(&error) && outward.had_source() => {
                held.outward = Some(outward);
                return self.later.push((held.token, Lane::Out));
            }
            Err(error) if is_aborted(&error) => Err(cancelled()),
            Err(error) if for_later(&error) && !held.closing && !outward.connects() => {
                held.outward = Some(outward);
                return self.later.push((held.token, Lane::Out));
            }
            answer => answer,
        };
        let outcome = match outward.op {
            Op::Send(train) => Outcome::Sent(answer, train),
            Op::SendTo(all) => Outcome::SentTo(answer.map(|_| 1), all),
            Op::Connect(_) => Outcome::Connected(answer.and_then(|_| finish_connect(&held.socket))),
            op => op.fail(cancelled()),
        };
        done.push(Completion { token: held.token, lane: Lane::Out, outcome });
    }
}
