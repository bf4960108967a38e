//! The life of a net.

use super::boundary::{self, enter, fail, guard, read_sized};
use super::config::sockeye_config;
use super::status::sockeye_status;
use crate::engine::{Error, Net};
use std::{sync::Arc, time::Duration};

/// A net: workers, queues, and every listener and connection in them. Opaque.
pub struct sockeye_net {
    pub(super) net: Arc<Net>,
}

/// Makes a net and starts its workers.
///
/// Ownership: `config` is copied. `*out_net` is the caller's, to be given to `sockeye_free`.
/// NULL:      `config` may be NULL for the defaults; `out_net` not.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (a wrong field, named in words); ERR_UNSUPPORTED (the model or
///            its drive cannot run here, with the reason); ERR_LIMIT (4,095 nets live in this
///            process); ERR_OS (no descriptors, no threads).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_init(
    config: *const sockeye_config,
    out_net: *mut *mut sockeye_net,
) -> sockeye_status {
    guard(|| {
        if out_net.is_null() {
            return fail(Error::Invalid, "out_net is NULL");
        }
        let given = if config.is_null() {
            sockeye_config::default()
        } else {
            // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
            match unsafe { read_sized(config, &sockeye_config::default(), "config") } {
                Ok(config) => config,
                Err(status) => return status,
            }
        };
        let net = match given.parse() {
            Ok(config) => Net::open(config),
            Err(words) => return fail(Error::Invalid, words),
        };
        match net {
            Ok(net) => {
                let net = Box::new(sockeye_net { net });
                // SAFETY: not NULL, and the caller's to be written.
                unsafe { out_net.write(Box::into_raw(net)) };
                0
            }
            Err(refusal) => fail(refusal.error, refusal.words),
        }
    })
}

/// Ends a net: stops its listeners, drains the outboxes for up to `timeout_ms` (negative: 0),
/// resets what is left and joins every thread. It returns as soon as all is sent and, where the
/// system tells, acknowledged by the peers' systems (Linux); it does not wait for peers to end
/// their side. Afterwards polls give what is queued and one
/// CLOSED (SHUTDOWN) for each live connection, then ERR_SHUTDOWN. Calling it again is fine;
/// concurrent callers all wait for the same end.
///
/// NULL:      not allowed.
/// Threads:   any thread. A poller asleep returns at once. With IO_URING and `workers` 0 only the
///            thread that polls can drain: another resets all at once.
/// Returns:   OK; ERR_WOULD_DEADLOCK (from inside a callback or log function); ERR_PANIC (a
///            worker had a fault; the net is ended all the same).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_shutdown(
    net: *mut sockeye_net,
    timeout_ms: i32,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = match unsafe { enter(net) } {
            Ok(net) => net,
            Err(status) => return status,
        };
        boundary::answer(net.shutdown(Duration::from_millis(timeout_ms.max(0) as u64)))
    })
}

/// Frees a net, after a shutdown with timeout 0 if there was none. Every handle and every event
/// of it is gone; buffers acquired or held stay until they are released.
///
/// Ownership: `net` moves to the library; it must not be used again unless BUSY was answered.
/// NULL:      fine, nothing happens.
/// Threads:   one thread, while no other uses the net.
/// Returns:   OK; ERR_BUSY (a poller is inside: the net is shut down but not freed);
///            ERR_WOULD_DEADLOCK (from inside a callback or log function).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_free(net: *mut sockeye_net) -> sockeye_status {
    guard(|| {
        if net.is_null() {
            return 0;
        }
        // SAFETY: not NULL, so a live net.
        let shared = match unsafe { enter(net) } {
            Ok(net) => net,
            Err(status) => return status,
        };
        // A fault of a worker is told by shutdown; here the net goes away with it.
        let _ = shared.shutdown(Duration::ZERO);
        if let Err(error) = shared.retire() {
            return boundary::refuse(error);
        }
        // SAFETY: made by `sockeye_init`, and nobody else uses it.
        drop(unsafe { Box::from_raw(net) });
        0
    })
}
