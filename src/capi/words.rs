//! Words: the texts of statuses, causes and errors, and the version of the library.

use super::boundary::{self, guard};
use super::status::{SOCKEYE_ABI_VERSION, sockeye_status, words_of};
use crate::engine::Error;
use std::ffi::{CStr, c_char};

const CAUSE_TEXTS: [&CStr; 36] = [
    c"none",
    c"closed by the peer",
    c"connection reset",
    c"connection refused",
    c"host or network unreachable",
    c"name not found",
    c"connect timed out",
    c"idle for too long",
    c"no first byte in time",
    c"frame not completed in time",
    c"peer does not read",
    c"graceful close timed out",
    c"frame over the limit",
    c"outbox over the limit",
    c"memory limit reached",
    c"unknown",
    c"out of descriptors",
    c"model is full",
    c"framing broken by the peer",
    c"closed by the host",
    c"shut down",
    c"internal fault",
    c"closed by the peer within a frame",
    c"handshake not completed in time",
    c"nothing from the peer in time",
    c"certificate not valid at this time",
    c"certificate for another name",
    c"certificate not trusted",
    c"TLS alert from the peer",
    c"TLS broken by the peer",
    c"connect token not valid here",
    c"connect token expired",
    c"connect token used before",
    c"server full",
    c"version not known to the peer",
    c"message slower than it has to be",
];

fn text(texts: &[&'static CStr], index: Option<usize>) -> *const c_char {
    index.and_then(|i| texts.get(i)).map_or(c"unknown".as_ptr(), |text| text.as_ptr())
}

/// Words for a status: "stale handle". A count answers "done", an unknown number "unknown".
///
/// Ownership: borrowed for ever.
/// Threads:   any thread.
/// Returns:   a NUL-terminated text, never NULL.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn sockeye_status_text(status: sockeye_status) -> *const c_char {
    words_of(status).as_ptr()
}

/// Words for a cause that a client can show its player: "connection refused".
///
/// Ownership: borrowed for ever.
/// Threads:   any thread.
/// Returns:   a NUL-terminated text, never NULL.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn sockeye_cause_text(cause: i32) -> *const c_char {
    text(&CAUSE_TEXTS, usize::try_from(cause).ok())
}

/// Writes the operating system's words for `code` (an `os_error`) to `buffer`, cut to `cap` bytes
/// with its NUL.
///
/// Ownership: `buffer` is borrowed until return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   the text's length in bytes without the NUL; ERR_INVALID (NULL or cap 0).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_os_error_text(
    code: i32,
    buffer: *mut c_char,
    cap: usize,
) -> sockeye_status {
    guard(|| {
        if buffer.is_null() || cap == 0 {
            return Err(Error::Invalid);
        }
        let text = std::io::Error::from_raw_os_error(code).to_string();
        // No character is cut: a system may speak any language.
        let len = text.floor_char_boundary((cap - 1).min(i32::MAX as usize));
        // SAFETY: the caller gives `cap` writable bytes, and `len < cap`.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), len);
            buffer.add(len).write(0);
        }
        Ok(len as sockeye_status)
    })
}

/// Words for the last refusal of this thread: a sentence where there is more to say than the
/// status does, else that of `sockeye_status_text`. Each call that answers a status below 0 sets
/// it, except `sockeye_wake`; a call that succeeds leaves it as it is. Empty at first.
///
/// Ownership: borrowed until this thread's next call that sets it.
/// Threads:   any thread; each has its own.
/// Returns:   a NUL-terminated text, never NULL.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn sockeye_last_error() -> *const c_char {
    boundary::last_error()
}

/// The version of the library that runs: "0.1.0".
///
/// Ownership: borrowed for ever.
/// Threads:   any thread.
/// Returns:   a NUL-terminated text, never NULL.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn sockeye_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the binary interface. It grows when functions or fields are added; a host
/// refuses a library whose number is below the one it was built with, `SOCKEYE_ABI_VERSION`.
///
/// Threads:   any thread.
/// Returns:   the number, 1 or more.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn sockeye_abi_version() -> u32 {
    SOCKEYE_ABI_VERSION
}
