//! A listener's accepts: several at a time, each with a socket for who comes.

use super::accepts::Accept;
use super::calls::{ADDRESSES_BYTES, finish_accept, is_aborted};
use super::hands::Hands;
use super::operation::{Kind, Operation};
use super::reaper::Reaper;
use super::slots::{Held, Inward, Slots};
use crate::io::op::{Accepted, Completion, Lane, Outcome};
use crate::io::os::windows::sys;
use crate::io::proactor::{ACCEPT_MAX, cancelled};
use socket2::Type;
use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::Ordering::SeqCst;

/// Accepts of one listener in flight, and connections that came before the engine asked: together.
const ACCEPTS: usize = 16;

impl<R: Reaper> Hands<R> {
    /// Answers the engine's accept with who is here, and has as many in flight as there may be.
    pub(super) fn ask_accept(&mut self, held: &mut Held, done: &mut Vec<Completion>) {
        loop {
            let Some(doors) = held.behind().doors.as_ref() else { return };
            if doors.flying.len() + doors.arrived.len() >= ACCEPTS {
                break;
            }
            let posted = self.post_accept(held);
            let Some(doors) = held.behind().doors.as_mut() else { return };
            if let Err(error) = posted {
                // With fewer in flight it goes on.
                if doors.flying.is_empty() && doors.arrived.is_empty() {
                    doors.failed = Some(error);
                }
                break;
            }
        }
        self.welcome(held, done);
    }

    fn post_accept(&mut self, held: &mut Held) -> io::Result<()> {
        let (listener, skips) = (held.token, held.skips);
        let Some(doors) = held.behind().doors.as_ref() else { return Ok(()) };
        let accept = Box::new(Accept {
            operation: Operation::new(listener.index() as u32, Kind::Accept),
            listener,
            socket: sys::socket(doors.domain, Type::STREAM)?,
            addresses: UnsafeCell::new([0; ADDRESSES_BYTES]),
        });
        let (event, _) = self.reaper.prepare(&accept.operation, false);
        accept.operation.begin(event);
        let (addresses, overlapped) = (accept.addresses.get(), accept.operation.overlapped());
        // SAFETY: the box stays where it is until the accept is reaped.
        let at_once =
            unsafe { self.calls.accept(&held.socket, &accept.socket, addresses, overlapped) }?;
        if at_once && skips {
            self.come_in(held, *accept, Ok(0));
            return Ok(());
        }
        self.counts.flying.fetch_add(1, SeqCst);
        let accept: *const Accept = Box::into_raw(accept);
        if let Some(doors) = held.behind().doors.as_mut() {
            doors.flying.push(accept);
        }
        // SAFETY: it was just given away, and whoever reaps it waits for the slot's lock.
        self.reaper.begun(unsafe { &(*accept).operation }, false);
        Ok(())
    }

    /// An accept is over: a connection came, or it failed.
    fn come_in(&mut self, held: &mut Held, accept: Accept, answer: io::Result<usize>) {
        let addresses = accept.addresses.into_inner();
        let peer = || self.calls.peer(&addresses).map_or_else(|| accept.socket.peer_addr(), Ok);
        let finish = || finish_accept(&accept.socket, &held.socket).and_then(|()| peer());
        // A peer called: what fails from here on says nothing of the listener.
        let answer = answer.and_then(|_| finish().map_err(|_| sys::accepted_and_lost()));
        let closing = held.closing;
        let Some(doors) = held.behind().doors.as_mut() else { return };
        match answer {
            _ if closing => {}
            Ok(peer) => doors.arrived.push(Accepted { socket: accept.socket, peer }),
            Err(error) if is_aborted(&error) => {}
            Err(error) => doors.failed = Some(error),
        }
    }

    /// Hands over who is here, if the engine asks.
    fn welcome(&mut self, held: &mut Held, done: &mut Vec<Completion>) {
        let (token, asks) = (held.token, held.inward == Inward::Accept);
        let Some(doors) = held.behind().doors.as_mut() else { return };
        if !asks || (doors.arrived.is_empty() && doors.failed.is_none()) {
            return;
        }
        let count = doors.arrived.len().min(ACCEPT_MAX);
        let outcome =
            Outcome::Accepted(doors.arrived.drain(..count).collect(), doors.failed.take());
        held.inward = Inward::Nothing;
        done.push(Completion { token, lane: Lane::In, outcome });
    }

    /// An accept is reaped.
    ///
    /// # Safety
    /// It is that of an `Accept` which was not reaped.
    pub(super) unsafe fn accepted(
        &mut self,
        slots: &Slots,
        operation: &Operation,
        done: &mut Vec<Completion>,
    ) -> usize {
        let place = std::ptr::from_ref(operation).cast::<Accept>();
        // Its listener may be gone.
        // SAFETY: the caller's.
        let held = slots.hold(unsafe { (*place).listener });
        // SAFETY: the caller's; it is freed only here.
        let accept = unsafe { Box::from_raw(place.cast_mut()) };
        let Some(mut held) = held else { return 0 };
        if let Some(doors) = held.behind().doors.as_mut() {
            doors.flying.retain(|&it| it != place);
        }
        let answer = accept.operation.result(&held.socket);
        self.come_in(&mut held, *accept, answer);
        let none = held.behind().doors.as_ref().is_none_or(|doors| doors.flying.is_empty());
        if !held.closing {
            self.welcome(&mut held, done);
            // All failed, and none was reported: as when the system lost the network.
            if none && held.inward == Inward::Accept {
                self.later.push((held.token, Lane::In));
            }
        } else if none {
            self.counts.ending.fetch_sub(1, SeqCst);
            self.fail_inward(&mut held, cancelled(), done);
        }
        0
    }
}
