//! Buffers that outlive a batch.

use super::boundary::{self, enter, guard};
use super::event::sockeye_event;
use super::net::sockeye_net;
use super::status::sockeye_status;
use crate::buf::Slice;
use crate::engine::{Error, Kind};

/// A piece of the library's memory in the host's hands, until `sockeye_buffer_release`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_buffer {
    /// The bytes. Of an acquired buffer the host may write them; of a held message only read.
    pub data: *mut u8,
    /// Bytes in use: of a held message its size, of an acquired buffer 0 until the host sets it.
    pub data_len: u32,
    /// Bytes of room behind `data`.
    pub capacity: u32,
    /// Opaque; 0 is none.
    pub id: u64,
}

impl sockeye_buffer {
    /// The host's reference to `slice`, to be found again by `release` and `send_message`.
    fn from_slice(slice: Slice, data_len: u32) -> sockeye_buffer {
        let (data, capacity) = (slice.as_ptr().cast_mut(), slice.len() as u32);
        sockeye_buffer { data, data_len, capacity, id: slice.into_number() }
    }
}

/// Gives a buffer of at least `len` bytes to be written by the host.
///
/// Ownership: the host's until `sockeye_buffer_release`, also beyond `sockeye_free`.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, len 0); ERR_TOO_BIG (over 2 GiB); ERR_NO_MEMORY
///            (`memory_max_bytes`); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_buffer_acquire(
    net: *mut sockeye_net,
    len: usize,
    out_buffer: *mut sockeye_buffer,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = match unsafe { enter(net) } {
            Ok(net) => net,
            Err(status) => return status,
        };
        if out_buffer.is_null() || len == 0 {
            return boundary::refuse(Error::Invalid);
        }
        match net.acquire(len) {
            Ok(slice) => {
                // SAFETY: not NULL, and the caller's to be written.
                unsafe { out_buffer.write(sockeye_buffer::from_slice(slice, 0)) };
                0
            }
            Err(error) => boundary::refuse(error),
        }
    })
}

/// Keeps the payload of an event of the current batch beyond it. Shares the memory where that
/// pins little, and copies where the message is under a quarter of its chunk.
///
/// Ownership: the host's until `sockeye_buffer_release`, also beyond `sockeye_free`; read only.
/// NULL:      not allowed.
/// Threads:   any thread, while the batch lives.
/// Returns:   OK; ERR_INVALID (NULL, an event without payload); ERR_STALE (its batch has ended);
///            ERR_NO_MEMORY (`memory_max_bytes`).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_event_hold(
    net: *mut sockeye_net,
    event: *const sockeye_event,
    out_buffer: *mut sockeye_buffer,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = match unsafe { enter(net) } {
            Ok(net) => net,
            Err(status) => return status,
        };
        if event.is_null() || out_buffer.is_null() {
            return boundary::refuse(Error::Invalid);
        }
        // SAFETY: not NULL, so an event.
        let event = unsafe { event.read() };
        if event.data.is_null() {
            return boundary::refuse(Error::Invalid);
        }
        let token = match event.conn.id {
            0 => net.token(event.listener.id, Kind::Listener),
            id => net.token(id, Kind::Conn),
        };
        let held = token.and_then(|token| net.hold(token, event.code, event.data));
        match held {
            Ok(slice) => {
                let len = slice.len() as u32;
                // SAFETY: not NULL, and the caller's to be written.
                unsafe { out_buffer.write(sockeye_buffer::from_slice(slice, len)) };
                0
            }
            Err(error) => boundary::refuse(error),
        }
    })
}

/// Gives a buffer back.
///
/// Ownership: moves to the library. The struct is not changed; release it once.
/// NULL:      not allowed; a buffer with id 0 is fine, nothing happens.
/// Threads:   any thread, also after `sockeye_free`.
/// Returns:   OK; ERR_INVALID.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_buffer_release(buffer: *const sockeye_buffer) -> sockeye_status {
    guard(|| {
        if buffer.is_null() {
            return boundary::refuse(Error::Invalid);
        }
        // SAFETY: not NULL, so a buffer.
        let buffer = unsafe { buffer.read() };
        if buffer.id != 0 {
            // SAFETY: from `acquire` or `hold`, unchanged, and released once, as documented.
            drop(unsafe { Slice::from_number(buffer.id) });
        }
        0
    })
}
