//! The tries of datagrams: a batch is received to slots of a chunk, and sent as one.

use super::tried::Tried;
use crate::buf::{CHUNK_BYTES, Chunk, Slice};
use crate::io::datagram::{ADDRESS_BYTES, ALIGN, Arrival, DATAGRAMS_MAX, Datagram, address_bytes};
use crate::io::op::{Op, Outcome, Token};
use crate::io::os::sys::{self, Received, Receiver, SLOT_BYTES};
use crate::io::proactor::Setup;
use socket2::Socket;
use std::collections::HashMap;

/// A chunk with room for fewer datagrams is given up.
const SLOTS_MIN: usize = 8;

/// What receives of all sockets of a worker share.
#[derive(Default)]
pub struct Datagrams {
    receiver: Receiver,
    /// The chunk that datagrams go to, as many to a chunk as fit.
    chunk: Option<Chunk>,
    /// What each socket has lost in all, as the system last reported. Most lose nothing.
    lost: HashMap<Token, u32>,
}

impl Datagrams {
    /// The second answer: the lane is drained, a further try would block.
    pub(in crate::io) fn try_recv_from(
        &mut self,
        token: Token,
        socket: &Socket,
        setup: &Setup,
    ) -> (Tried, bool) {
        let slots = |chunk: &Chunk| (chunk.room() / SLOT_BYTES).min(DATAGRAMS_MAX);
        let Datagrams { receiver, chunk: shared, lost } = self;
        if shared.as_ref().is_none_or(|chunk| slots(chunk) < SLOTS_MIN) {
            *shared = None;
            *shared = setup.pool.take(CHUNK_BYTES);
        }
        let Some(chunk) = shared else { return (Tried::Starved(Op::RecvFrom), false) };
        let most = slots(chunk);
        // SAFETY: the chunk has room for so many slots, and no other thread writes there.
        let count = match unsafe { receiver.receive(socket, chunk.spare().0, most) } {
            Ok(count) => count,
            Err(error) if sys::would_block(&error) => {
                return (Tried::Blocked(Op::RecvFrom), false);
            }
            Err(error) if sys::no_buffers(&error) => return (Tried::Later(Op::RecvFrom), false),
            Err(error) => return (Tried::Done(Outcome::ReceivedFrom(Err(error))), false),
        };
        let arrival = |at: usize| {
            let received = receiver.received(at);
            let dropped = received.drops.map_or(0, |all| {
                let before = lost.insert(token, all).unwrap_or_default();
                all.wrapping_sub(before)
            });
            let data = place(chunk, &received, at + 1 == count, setup);
            Arrival { data: data.unwrap_or_default(), dropped }
        };
        let all = (0..count).map(arrival).collect();
        (Tried::Done(Outcome::ReceivedFrom(Ok(all))), count < most)
    }

    /// Begins the chunk anew if none of it is shared.
    pub(in crate::io) fn rewind(&mut self) {
        if let Some(chunk) = &mut self.chunk {
            chunk.rewind();
        }
    }

    /// The socket goes.
    pub(in crate::io) fn forget(&mut self, token: Token) {
        self.lost.remove(&token);
    }
}

/// Puts the sender's address in front of a payload and hands both out: as they lie in the next
/// slot, or copied where the payload is larger. The last one gives back what it does not need of
/// its slot. None: no memory.
fn place(chunk: &mut Chunk, received: &Received, last: bool, setup: &Setup) -> Option<Slice> {
    let address = address_bytes(received.sender, received.local);
    let (slot, _) = chunk.spare();
    // SAFETY: the slot begins with room for an address.
    unsafe { slot.copy_from_nonoverlapping(address.as_ptr(), ADDRESS_BYTES) };
    let len = ADDRESS_BYTES + received.len;
    let taken = if last { len.next_multiple_of(ALIGN).min(SLOT_BYTES) } else { SLOT_BYTES };
    let mut slice = chunk.take(taken);
    slice.truncate(len);
    if received.overhang.is_empty() {
        return Some(slice);
    }
    let mut own = setup.pool.take(len + received.overhang.len())?;
    own.put(&slice);
    own.put(received.overhang);
    Some(own.into_slice())
}

/// The second answer: the lane is full, a further try would block.
pub(in crate::io) fn try_send_to(socket: &Socket, all: Vec<Datagram>) -> (Tried, bool) {
    match sys::send_batch(socket, &all) {
        Err(error) if sys::would_block(&error) => (Tried::Blocked(Op::SendTo(all)), false),
        Err(error) if sys::no_buffers(&error) => (Tried::Later(Op::SendTo(all)), false),
        // The next try reports what stopped it: mostly not a full lane.
        answer => (Tried::Done(Outcome::SentTo(answer, all)), false),
    }
}
