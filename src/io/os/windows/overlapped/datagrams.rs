//! Lane In of a datagram socket: the first comes to memory of the socket's own, which it pins; the
//! next are tried for in batches.

use super::calls::{self, for_later};
use super::hands::Hands;
use super::reaper::Reaper;
use super::slots::{Held, Inward, Landing};
use crate::buf::{CHUNK_BYTES, Slice};
use crate::io::common::receiving::received;
use crate::io::common::tried::Tried;
use crate::io::datagram::{ADDRESS_BYTES, Arrival, address_bytes};
use crate::io::op::{Completion, Lane, Outcome};
use crate::io::os::windows::datagrams::is_of_another;
use crate::io::os::windows::pktinfo::Incoming;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ptr;
use windows_sys::Win32::Networking::WinSock as winsock;

impl<R: Reaper> Hands<R> {
    /// Has the system receive the next datagram.
    pub(super) fn watch_from(&mut self, held: &mut Held, done: &mut Vec<Completion>) {
        if held.behind().datagram.is_none() {
            let Some(chunk) = self.setup.pool.take(CHUNK_BYTES) else {
                return self.starved.push(held.token);
            };
            let landing = Landing { chunk, incoming: Incoming::new() };
            held.behind().datagram = Some(Box::new(landing));
        }
        let Some(landing) = held.behind().datagram.as_deref_mut() else { return };
        let (spare, room) = landing.chunk.spare();
        let nothing = winsock::WSABUF { len: 0, buf: ptr::null_mut() };
        let places = [winsock::WSABUF { len: room as u32, buf: spare }, nothing];
        let incoming = &raw mut landing.incoming;
        // SAFETY: the box and its chunk stay where they are until the operation is reaped.
        let begun = unsafe {
            self.start(held, Lane::In, |socket, overlapped, routine| {
                let none = ptr::null_mut();
                let answer = (*incoming).receive(socket, places, none, overlapped, routine);
                answer.and_then(calls::begun)
            })
        };
        match begun {
            // It has what it waited for: tried again, it would wait for the next.
            Ok(true) => {
                let slot = held.slot;
                let answer = slot.operations[Lane::In as usize].result(&held.socket);
                self.landed(held, answer, done);
            }
            Ok(false) => {}
            Err(error) if for_later(&error) || is_of_another(&error) => {
                self.later.push((held.token, Lane::In));
            }
            Err(error) => self.fail_inward(held, error, done),
        }
    }

    /// A datagram came, or an error. Bytes.
    pub(super) fn landed(
        &mut self,
        held: &mut Held,
        answer: io::Result<usize>,
        done: &mut Vec<Completion>,
    ) -> usize {
        let len = match answer {
            Ok(len) => len,
            Err(error) if is_of_another(&error) || for_later(&error) => {
                held.bulk = true;
                self.runnable.push(held.token);
                return 0;
            }
            Err(error) => {
                self.fail_inward(held, error, done);
                return 0;
            }
        };
        let Some(landing) = held.behind().datagram.as_deref_mut() else { return 0 };
        let data = self.copy(landing, len).unwrap_or_default();
        let bytes = data.len();
        held.inward = Inward::Nothing;
        // More may be behind it.
        held.bulk = true;
        let outcome = Outcome::ReceivedFrom(Ok(vec![Arrival { data, dropped: 0 }]));
        done.push(Completion { token: held.token, lane: Lane::In, outcome });
        bytes
    }

    /// The datagram, with its sender's address in front. None: no memory.
    fn copy(&mut self, landing: &mut Landing, len: usize) -> Option<Slice> {
        let (sender, local) = landing.incoming.told();
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut own = self.setup.pool.take(ADDRESS_BYTES + len)?;
        own.put(&address_bytes(sender.unwrap_or(nobody), local));
        let (payload, room) = landing.chunk.spare();
        // SAFETY: the system wrote `len` bytes there, within the chunk's room.
        own.put(unsafe { std::slice::from_raw_parts(payload, len.min(room)) });
        Some(own.into_slice())
    }

    /// One try for a batch. Bytes.
    pub(super) fn receive_from(&mut self, held: &mut Held, done: &mut Vec<Completion>) -> usize {
        let token = held.token;
        let datagrams = self.datagrams.get_or_insert_default();
        let (tried, drained) = datagrams.try_recv_from(token, &held.socket, &self.setup);
        held.bulk = !drained && !matches!(tried, Tried::Blocked(_));
        match tried {
            Tried::Done(outcome) => {
                held.inward = Inward::Nothing;
                let completion = Completion { token, lane: Lane::In, outcome };
                let bytes = received(&completion);
                done.push(completion);
                return bytes;
            }
            Tried::Blocked(_) => self.watch_from(held, done),
            Tried::Starved(_) => self.starved.push(token),
            Tried::Later(_) => self.later.push((token, Lane::In)),
        }
        0
    }
}
