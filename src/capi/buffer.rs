//! Buffers: memory that outlives a batch.

use super::boundary::guard;
use super::event::sockeye_event;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::buf::Slice;
use crate::engine::{Error, Kind, kept};

/// Memory of the library that the host holds until `sockeye_buffer_release`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_buffer {
    /// The bytes. Of an acquired buffer the host may write them; of a held message only read.
    pub data: *mut u8,
    /// Bytes in use: of a held message its size, of an acquired buffer 0 until the host sets it.
    pub data_len: u32,
    /// Bytes of room at `data`.
    pub capacity: u32,
    /// Opaque; 0 is none.
    pub id: u64,
}

impl sockeye_buffer {
    const NONE: sockeye_buffer =
        sockeye_buffer { data: std::ptr::null_mut(), data_len: 0, capacity: 0, id: 0 };

    /// Writes all of a slice for the host; of no bytes there is none.
    ///
    /// # Safety
    /// `out` is the caller's to be written.
    pub(super) unsafe fn give_all(slice: Slice, out: *mut sockeye_buffer) -> Result<(), Error> {
        if slice.is_empty() {
            // SAFETY: as this function's own.
            unsafe { out.write(sockeye_buffer::NONE) };
            return Ok(());
        }
        // SAFETY: as this function's own.
        unsafe { sockeye_buffer::give(Ok(slice), |len| len, out) }
    }

    /// Writes the host's reference to `slice`, to be found again by `release` and `send_message`.
    ///
    /// # Safety
    /// `out` is the caller's to be written.
    unsafe fn give(
        slice: Result<Slice, Error>,
        data_len: impl FnOnce(u32) -> u32,
        out: *mut sockeye_buffer,
    ) -> Result<(), Error> {
        let slice = slice?;
        let (data, capacity) = (slice.as_ptr().cast_mut(), slice.len() as u32);
        let id = kept::keep(slice).ok_or(Error::NoMemory)?;
        // SAFETY: as this function's own.
        unsafe { out.write(sockeye_buffer { data, data_len: data_len(capacity), capacity, id }) };
        Ok(())
    }
}

/// Gives a buffer of at least `len` bytes, for the host to write.
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
        let net = unsafe { enter(net) }?;
        if out_buffer.is_null() || len == 0 {
            return Err(Error::Invalid);
        }
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { sockeye_buffer::give(net.acquire(len), |_| 0, out_buffer) }
    })
}

/// Keeps the payload of an event beyond its batch, of any kind that has one. Shares the memory, or
/// copies a message that is under a quarter of its chunk and would pin the rest. The event may be a
/// copy, and its connection may have moved or closed; only its batch must not have ended. It may be
/// of any queue, also inside a callback, and while other queues are polled.
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
        let net = unsafe { enter(net) }?;
        if event.is_null() || out_buffer.is_null() {
            return Err(Error::Invalid);
        }
        // SAFETY: not NULL, so an event.
        let event = unsafe { event.read() };
        if event.data.is_null() {
            return Err(Error::Invalid);
        }
        let hold = |token| net.hold(token, event.detail, event.data);
        let held = match (event.conn.id, event.listener.id) {
            (0, 0) => net.hold_mail(event.data),
            (0, id) => net.token(id, Kind::Listener).and_then(hold),
            (id, _) => net.token(id, Kind::Conn).and_then(hold),
        };
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { sockeye_buffer::give(held, |len| len, out_buffer) }
    })
}

/// Releases a buffer, and clears the struct. Releasing a copy of the struct again is ERR_STALE, and
/// does not affect a later owner of the memory.
///
/// Ownership: moves to the library.
/// NULL:      not allowed; a buffer with id 0 is fine, nothing happens.
/// Threads:   any thread, also after `sockeye_free`.
/// Returns:   OK; ERR_STALE (it was released before, or is no buffer: the struct stays unchanged);
///            ERR_FORKED (a buffer of before the fork); ERR_INVALID (NULL).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_buffer_release(buffer: *mut sockeye_buffer) -> sockeye_status {
    guard(|| {
        if buffer.is_null() {
            return Err(Error::Invalid);
        }
        // SAFETY: not NULL, so a buffer.
        let id = unsafe { buffer.read() }.id;
        if id != 0 {
            kept::release(id)?;
        }
        // SAFETY: as above, and the caller's to be written.
        unsafe { buffer.write(sockeye_buffer::NONE) };
        Ok(())
    })
}
