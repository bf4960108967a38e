//! Log: lines for people.

use super::boundary::guard;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Level, Sink};
use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

/// How important a line of the log is.
#[repr(C)]
pub enum sockeye_log_level {
    /// No line.
    SOCKEYE_LOG_NONE = 0,
    /// A fault inside the library.
    SOCKEYE_LOG_ERROR = 1,
    /// Something was refused, or ran out: descriptors, connections.
    SOCKEYE_LOG_WARNING = 2,
    /// A rare step of a net: it listens, it is shut down.
    SOCKEYE_LOG_INFO = 3,
}

/// The host's function for the log: it receives `user` as given, a `sockeye_log_level`, and a
/// NUL-terminated line without an end of line. It must not throw.
///
/// Ownership: `text` is borrowed until return.
/// NULL:      `user` is as it was given; `text` is never NULL.
/// Threads:   called on workers and on threads that call the library, several at a time.
/// Since:     0.1
pub type sockeye_log_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, level: u32, text: *const c_char)>;

/// The host's pointer, given back to it on other threads as it was.
struct User(*mut c_void);

// SAFETY: the library never looks behind it; the host says in `sockeye_set_log` that it may come
// on any thread.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

/// Passes lines of up to `level` to `log`, on workers and on threads that call the library, one
/// line or several at a time, with no lock of the library held. When this returns, the previous
/// function does not run and is never called again; if it makes this call itself, that is so when
/// it returns. The function may call everything except shutdown and free of this net, which answer
/// ERR_WOULD_DEADLOCK; what its thread does to this net meanwhile is not logged.
///
/// Ownership: `user` is borrowed until another function, or NULL, is set.
/// NULL:      `log` may be NULL: no further line is passed. `user` may be NULL.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL net, unknown level); ERR_WOULD_DEADLOCK (the previous function
///            waits, itself or through others, for the one that this thread runs).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_set_log(
    net: *mut sockeye_net,
    log: sockeye_log_fn,
    user: *mut c_void,
    level: u32,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        if level > Level::Info as u32 {
            return Err(Error::Invalid);
        }
        let user = User(user);
        let sink = log.map(|log| -> Arc<Sink> {
            Arc::new(move |level, words| {
                let user = &user;
                let mut bytes = words.into_bytes();
                bytes.retain(|&byte| byte != 0);
                let text = CString::new(bytes).unwrap_or_default();
                // SAFETY: the host's function with the pointer that it was given for.
                unsafe { log(user.0, level as u32, text.as_ptr()) };
            })
        });
        net.set_log(sink, level)
    })
}
