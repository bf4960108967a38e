//! Models: which there are, and whether they can run here.

use super::boundary::{fail, guard, text_arg, write_sized, write_text};
use super::status::sockeye_status;
use crate::engine::{self, Error, Model};
use std::ffi::c_char;

/// The input/output models. One host program runs unchanged on each.
#[repr(C)]
pub enum sockeye_model {
    /// The platform's best: EPOLL on Linux, IOCP on Windows, KQUEUE on macOS and BSD.
    SOCKEYE_MODEL_AUTO = 0,
    /// A pair of threads for each socket, blocking recv and send.
    SOCKEYE_MODEL_BLOCKING = 1,
    /// `select`.
    SOCKEYE_MODEL_SELECT = 2,
    /// `poll`; WSAPoll on Windows.
    SOCKEYE_MODEL_POLL = 3,
    /// Native `epoll` (Linux).
    SOCKEYE_MODEL_EPOLL = 4,
    /// tokio's reactor: epoll, kqueue, or AFD over IOCP.
    SOCKEYE_MODEL_TOKIO = 5,
    /// One `io_uring` per worker (Linux 6.1 and later); never chosen by AUTO. A ring belongs to one
    /// thread: drive LEND runs as POOL, HOST needs `workers` 0, and then only the thread that polls
    /// first may poll.
    SOCKEYE_MODEL_IO_URING = 6,
    /// WSAEventSelect (Windows). 63 sockets for each worker: 4,032 with 64 workers.
    SOCKEYE_MODEL_EVENT_SELECT = 7,
    /// Overlapped operations that signal event objects (Windows). 31 sockets for each worker: 1,984
    /// with 64 workers.
    SOCKEYE_MODEL_OVERLAPPED_EVENT = 8,
    /// Overlapped operations that call completion routines (Windows).
    SOCKEYE_MODEL_OVERLAPPED_ROUTINE = 9,
    /// An I/O completion port (Windows).
    SOCKEYE_MODEL_IOCP = 10,
    /// Native `kqueue` (macOS, BSD).
    SOCKEYE_MODEL_KQUEUE = 11,
}

/// The result of `sockeye_model_probe`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_model_info {
    /// `sizeof(sockeye_model_info)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// The `sockeye_model` that was asked for; for AUTO, the model that it selects.
    pub model: u32,
    /// 1: a net with this model can be made now. 0: not, `reason` says why.
    pub available: u32,
    /// Sockets that one worker can watch; 0: no limit of the model's own.
    pub sockets_max: u32,
    /// The lower-case name, NUL-terminated.
    pub name: [c_char; 32],
    /// Why it cannot run here, or the word "available"; NUL-terminated.
    pub reason: [c_char; 184],
}

/// Reports whether `model` can run here and, if not, why. It tries the model.
///
/// Ownership: `out_info` is written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK (look at `available`); ERR_INVALID (unknown number, NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_model_probe(
    model: u32,
    out_info: *mut sockeye_model_info,
    size: usize,
) -> sockeye_status {
    guard(|| {
        let Some(model) = Model::from_number(model) else {
            return Err(fail(
                Error::Invalid,
                format!("model {model} is not a number of sockeye_model"),
            ));
        };
        let probe = engine::probe(model);
        let mut info = sockeye_model_info {
            struct_size: 0,
            model: probe.model as u32,
            available: u32::from(probe.refusal.is_none()),
            sockets_max: probe.sockets_max.unwrap_or(0),
            name: [0; 32],
            reason: [0; 184],
        };
        write_text(&mut info.name, probe.model.name());
        write_text(&mut info.reason, probe.refusal.as_deref().unwrap_or("available"));
        info.struct_size = size.min(size_of::<sockeye_model_info>()) as u32;
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_info, size, &info) }
    })
}

/// The lower-case name of a model, as `sockeye_model_from_name` reads it: "event_select".
///
/// Ownership: borrowed for ever.
/// Threads:   any thread.
/// Returns:   a NUL-terminated text, "unknown" for an unknown number; never NULL.
/// Since:     0.1
#[unsafe(no_mangle)]
pub extern "C" fn sockeye_model_name(model: u32) -> *const c_char {
    Model::from_number(model).map_or(c"unknown", Model::c_name).as_ptr()
}

/// The number of a model from its lower-case name.
///
/// Ownership: `text` is borrowed until return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, unknown, not UTF-8, or over 1024 bytes).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_model_from_name(
    text: *const c_char,
    out_model: *mut u32,
) -> sockeye_status {
    guard(|| {
        if out_model.is_null() {
            return Err(fail(Error::Invalid, "out_model is NULL"));
        }
        // SAFETY: the caller gives a NUL-terminated text or NULL.
        let name = unsafe { text_arg(text, "text") }?;
        let Some(model) = Model::from_name(name) else {
            return Err(fail(Error::Invalid, format!("no model is named \"{name}\"")));
        };
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out_model.write(model as u32) };
        Ok(())
    })
}
