//! Messages in parts: one message to one or to many, without a copy where it can be.

use super::boundary::{bytes_arg, copy_sized, guard, guard_send, init_sized};
use super::conn::{Targets, sockeye_conn};
use super::lanes::SOCKEYE_LANES_MAX;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Key, Message, Utf8, kept};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// Parts that one message may have.
pub const SOCKEYE_MESSAGE_PARTS_MAX: u32 = 64;

/// `flags` of a message with a key: it replaces the older one and is sent behind everything that is
/// pending.
pub const SOCKEYE_MESSAGE_AT_END: u32 = 1;
/// `flags`: to WebSockets it is a text message, in UTF-8; others are binary. To other connections
/// it makes no difference.
pub const SOCKEYE_MESSAGE_TEXT: u32 = 2;

/// A run of bytes in the host's memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_bytes {
    /// The first byte; may be NULL when `len` is 0.
    pub data: *const c_void,
    /// How many.
    pub len: usize,
}

/// A message in parts. Fill it with `sockeye_message_init`, then change what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_message {
    /// The size this program was built with; set by `sockeye_message_init`.
    pub struct_size: u32,
    /// `SOCKEYE_MESSAGE_AT_END`, `SOCKEYE_MESSAGE_TEXT`, both or 0.
    pub flags: u32,
    /// Names what the message is about, where only the newest one counts. A message replaces an
    /// older one with the same key to the same connection, if no byte of that was handed to the
    /// system: it takes its place in the order. Needs a framing other than RAW. Default 0: no key.
    pub key: u64,
    /// The parts, which make up the message in this order. May be NULL when `parts_count` is 0.
    pub parts: *const sockeye_bytes,
    /// The number of parts, at most `SOCKEYE_MESSAGE_PARTS_MAX`; 0 is an empty message.
    pub parts_count: u32,
    /// The lane, where the connection has lanes. Default 0.
    pub lane: u32,
    /// The `id` of a buffer that the host holds: parts in its memory are not copied, except those
    /// under 4 KiB, for which a copy is cheaper. Each part lies wholly inside the buffer or wholly
    /// outside. Default 0: none.
    pub buffer_id: u64,
    /// Unreliable lanes: the message is dropped if it was not sent within so many milliseconds; 0:
    /// never. Default 0.
    pub deadline_ms: u32,
    /// Must be 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<sockeye_bytes>() == 16);
const _: () = assert!(size_of::<sockeye_message>() == 48);

impl Default for sockeye_message {
    fn default() -> Self {
        sockeye_message {
            struct_size: size_of::<Self>() as u32,
            flags: 0,
            key: 0,
            parts: ptr::null(),
            parts_count: 0,
            lane: 0,
            buffer_id: 0,
            deadline_ms: 0,
            reserved: 0,
        }
    }
}

impl sockeye_message {
    /// Runs `send` with the message, if it is one.
    ///
    /// # Safety
    /// There are `parts_count` parts, each with as many bytes as it says.
    pub(super) unsafe fn with<T>(
        &self,
        send: impl FnOnce(&Message<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let count = self.parts_count as usize;
        let flags = SOCKEYE_MESSAGE_AT_END | SOCKEYE_MESSAGE_TEXT;
        let known = self.flags & !flags == 0 && self.reserved == 0;
        let known = known && self.lane < SOCKEYE_LANES_MAX;
        let given = !self.parts.is_null() || count == 0;
        let mut room = [const { MaybeUninit::uninit() }; SOCKEYE_MESSAGE_PARTS_MAX as usize];
        if !known || !given || count > room.len() {
            return Err(Error::Invalid);
        }
        let room = &mut room[..count];
        for (at, part) in room.iter_mut().enumerate() {
            // SAFETY: the caller gives `count` parts, and `at < count`.
            let bytes = unsafe { self.parts.add(at).read() };
            // SAFETY: the caller gives as many bytes as the part says.
            part.write(unsafe { bytes_arg(bytes.data, bytes.len) }?);
        }
        // SAFETY: each of them was written.
        let parts = unsafe { room.assume_init_ref() };
        let buffer = match self.buffer_id {
            0 => None,
            id => Some(kept::find(id)?),
        };
        let at_end = self.flags & SOCKEYE_MESSAGE_AT_END != 0;
        let key = Key { key: self.key, at_end };
        let text = self.flags & SOCKEYE_MESSAGE_TEXT != 0;
        if text && !is_text(parts) {
            return Err(Error::Invalid);
        }
        let (lane, deadline_ms) = (self.lane as u8, self.deadline_ms);
        send(&Message { parts, key, text, lane, deadline_ms, buffer: buffer.as_ref() })
    }
}

/// Whether the parts make a text in UTF-8; a character may be split over two of them.
fn is_text(parts: &[&[u8]]) -> bool {
    let mut check = Utf8::default();
    parts.iter().all(|part| check.feed(part)) && check.is_whole()
}

/// Fills `message` with the defaults, up to `size` bytes, and zeroes the bytes after those that
/// this library knows.
///
/// Ownership: `message` is the caller's, written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or a size that no release had and that is not larger).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_message_init(
    message: *mut sockeye_message,
    size: usize,
) -> sockeye_status {
    // SAFETY: the caller gives `size` writable bytes.
    guard(|| unsafe { init_sized(message, size, sockeye_message::default()) })
}

/// Sends one message in parts to one connection or to many. Each takes it, whole or not at all, as
/// in `sockeye_send`, and frames it as one message. What is copied is copied once for adjacent
/// connections with the same framing.
///
/// Ownership: `conns`, `message` and the parts are copied, except parts in the buffer, to which the
///            library takes a reference of its own. The host may release its reference at once, and
///            does not write to the buffer's memory after it was first sent. `out_each`, if given,
///            has room for `count` answers.
/// NULL:      `out_each` may be NULL; `conns` when `count` is 0; `parts` when `parts_count` is 0;
///            a part's `data` when its `len` is 0.
/// Threads:   any thread. A later send of the same thread is sent after this one, unless its key
///            gives it the place of an older message.
/// Returns:   how many took it; ERR_INVALID (also a part that is half in the buffer, too many
///            parts, a text that is no UTF-8); ERR_STALE (no connection took it: the buffer was
///            released, or is none);
///            ERR_NO_MEMORY (no connection took it; with one connection a WRITABLE follows, as
///            after ERR_AGAIN); ERR_SHUTDOWN. In `out_each` the answers of `sockeye_send`, and
///            ERR_INVALID (a key without framing), ERR_NO_MEMORY.
/// Since:     0.1
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn sockeye_send_message(
    net: *mut sockeye_net,
    conns: *const sockeye_conn,
    count: usize,
    message: *const sockeye_message,
    out_each: *mut sockeye_status,
) -> sockeye_status {
    guard_send(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        if message.is_null() {
            return Err(Error::Invalid);
        }
        // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
        let message = unsafe { copy_sized(message, &sockeye_message::default()) };
        // SAFETY: the caller gives `count` handles, and room for as many answers or NULL.
        let targets = unsafe { Targets::new(conns, count, out_each) };
        let (Ok(message), Ok(targets)) = (message, targets) else { return Err(Error::Invalid) };
        let tell = |at: usize, answer| targets.tell(at, answer);
        let conn = |at: usize| targets.conn(at);
        // SAFETY: the caller gives the parts.
        let taken = unsafe { message.with(|message| net.send_message(count, conn, message, tell)) };
        Ok(taken? as sockeye_status)
    })
}
