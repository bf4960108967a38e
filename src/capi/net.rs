//! Nets: made, driven, ended.

use super::boundary::{fail, guard, in_words, read_sized};
use super::config::sockeye_config;
use super::status::sockeye_status;
use crate::buf::{Mutex, rank};
use crate::engine::{Error, Net, process_ends};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering::*};
use std::{ptr, time::Duration};

/// A net: workers, queues, and every listener and connection in them. Opaque.
pub struct sockeye_net {
    /// From `Arc::into_raw`. NULL: it was freed.
    net: AtomicPtr<Net>,
}

/// Where nets were that are freed, the oldest first. Their memory stays, so that a call on one of
/// them finds that it is freed; the oldest is used again when there are more than `FREED_MIN`.
static FREED: Mutex<rank::Freed, VecDeque<&'static sockeye_net>> = Mutex::new(VecDeque::new());
const FREED_MIN: usize = 256;

impl sockeye_net {
    /// A place for a net.
    fn place(net: Arc<Net>) -> &'static sockeye_net {
        // In a forked child a thread that is not there any more may have locked it.
        let mut freed = FREED.try_lock().filter(|freed| freed.len() > FREED_MIN);
        let again = freed.as_mut().and_then(|freed| freed.pop_front());
        drop(freed);
        let place = again.unwrap_or_else(|| {
            Box::leak(Box::new(sockeye_net { net: AtomicPtr::new(ptr::null_mut()) }))
        });
        place.put(net);
        place
    }

    fn put(&self, net: Arc<Net>) {
        self.net.store(Arc::into_raw(net).cast_mut(), Release);
    }

    /// Takes the net out: from then on calls find none. None: another call took it.
    fn take(&self) -> Option<Arc<Net>> {
        let net = self.net.swap(ptr::null_mut(), AcqRel);
        // SAFETY: from `put`, and taken out once.
        (!net.is_null()).then(|| unsafe { Arc::from_raw(net) })
    }

    /// The net, if it was not freed.
    ///
    /// # Safety
    /// It is not freed during `'a`.
    #[inline]
    pub(super) unsafe fn get<'a>(&self) -> Option<&'a Net> {
        // SAFETY: NULL or from `put`, and this function's own.
        unsafe { self.net.load(Acquire).as_ref() }
    }

    /// The net for a call that may call out to the host, who may free it there.
    ///
    /// # Safety
    /// It is not freed before this returns.
    pub(super) unsafe fn share(&self) -> Option<Arc<Net>> {
        let net = self.net.load(Acquire);
        if net.is_null() {
            return None;
        }
        // SAFETY: from `put`, and this function's own.
        unsafe {
            Arc::increment_strong_count(net);
            Some(Arc::from_raw(net))
        }
    }
}

/// The net behind a pointer, if it was not freed and this process may use it.
///
/// # Safety
/// `net` is NULL or from `sockeye_init`, and is not freed during `'a`.
#[inline]
pub unsafe fn enter<'a>(net: *const sockeye_net) -> Result<&'a Net, Error> {
    // SAFETY: as this function's own.
    let Some(place) = (unsafe { net.as_ref() }) else {
        return Err(Error::Invalid);
    };
    // SAFETY: as this function's own.
    match unsafe { place.get() } {
        Some(net) if net.forked() => Err(Error::Forked),
        Some(net) => Ok(net),
        None => Err(Error::Stale),
    }
}

/// As `enter`, for a call that may call out to the host, who may free the net there.
///
/// # Safety
/// `net` is NULL or from `sockeye_init`, and is not freed before this returns.
pub unsafe fn enter_shared(net: *const sockeye_net) -> Result<Arc<Net>, Error> {
    // SAFETY: as this function's own.
    let _known = unsafe { enter(net) }?;
    // SAFETY: not NULL, as was just seen, and as this function's own.
    unsafe { (*net).share() }.ok_or(Error::Stale)
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
            return Err(fail(Error::Invalid, "out_net is NULL"));
        }
        let given = if config.is_null() {
            sockeye_config::default()
        } else {
            // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
            unsafe { read_sized(config, &sockeye_config::default(), "config") }?
        };
        let config = given.parse().map_err(|words| fail(Error::Invalid, words))?;
        let net = Net::open(config).map_err(in_words)?;
        let net = ptr::from_ref(sockeye_net::place(net)).cast_mut();
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out_net.write(net) };
        Ok(())
    })
}

/// Ends a net: stops its listeners, drains the outboxes for up to `timeout_ms` (negative: 0),
/// resets what is left and joins every thread. It returns as soon as everything is sent and, where
/// the system reports that (Linux), acknowledged by the peers' systems; it does not wait for peers
/// to end their side. Afterwards polls deliver the queued events and one CLOSED (SHUTDOWN) for each
/// live connection, then answer ERR_SHUTDOWN. It may be called again; concurrent callers all wait
/// for the same end.
///
/// NULL:      not allowed.
/// Threads:   any thread. A sleeping poll returns at once. With IO_URING and `workers` 0 only the
///            thread that polls can drain: another thread resets all connections at once.
/// Returns:   OK; ERR_WOULD_DEADLOCK (from inside a callback or log function); ERR_PANIC (a worker
///            had a fault; the net has ended nevertheless).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_shutdown(
    net: *mut sockeye_net,
    timeout_ms: i32,
) -> sockeye_status {
    guard(|| {
        if !net.is_null() && process_ends() {
            return Ok(());
        }
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter_shared(net) }?;
        net.shutdown(Duration::from_millis(timeout_ms.max(0) as u64))
    })
}

/// Frees a net, after a shutdown with timeout 0 if there was none. Its handles and events become
/// invalid; buffers that the host acquired or holds stay until they are released. A later call on
/// the net or on a handle of it answers ERR_STALE, at least until 256 more nets were freed.
///
/// Windows ends all other threads before it runs DllMain and the destructors of a DLL's statics at
/// the end of a process: from then on shutdown and free answer OK and touch nothing, and no other
/// function may be called. The system then releases what the net had.
///
/// Ownership: `net` moves to the library, unless it answers ERR_BUSY or ERR_WOULD_DEADLOCK.
/// NULL:      fine, nothing happens.
/// Threads:   one thread, while no other uses the net.
/// Returns:   OK; ERR_BUSY (a poller is inside: the net is shut down but not freed);
///            ERR_WOULD_DEADLOCK (from inside a function of the host's); ERR_STALE (it was
///            freed before).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_free(net: *mut sockeye_net) -> sockeye_status {
    guard(|| {
        if net.is_null() || process_ends() {
            return Ok(());
        }
        // SAFETY: not NULL, so a net.
        let shared = unsafe { enter_shared(net) }?;
        // Shutdown reports a fault of a worker; here the net is freed nevertheless.
        let _ = shared.shutdown(Duration::ZERO);
        shared.retire()?;
        // SAFETY: not NULL, and the memory of such a place stays.
        let place: &'static sockeye_net = unsafe { &*net };
        if place.take().is_none() {
            return Err(Error::Stale);
        }
        FREED.lock().push_back(place);
        Ok(())
    })
}

/// Frees a net from anywhere, also from inside a callback or log function of it or while another
/// thread polls it, and calls no function of the host any more: first it removes the callbacks and
/// the functions of `sockeye_set_log` and `sockeye_set_admit`, and drops the events that were
/// pending for callbacks. From then on every call on the net answers ERR_STALE. Then the net is
/// ended and freed as by `sockeye_free`, before this returns; where that would answer ERR_BUSY or
/// ERR_WOULD_DEADLOCK, a thread of the library does it as soon as the calls that are still inside
/// have returned. A batch that a callback was given lives until the callback returns.
///
/// Ownership: `net` moves to the library, unless it answers ERR_OS.
/// NULL:      fine, nothing happens.
/// Threads:   one thread, while no other thread uses the net except to poll it.
/// Returns:   OK; ERR_STALE (it was freed before); ERR_OS (that thread cannot be created: the net
///            still exists, but calls no function of the host).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_discard(net: *mut sockeye_net) -> sockeye_status {
    guard(|| {
        if net.is_null() {
            return Ok(());
        }
        // SAFETY: not NULL, so a net.
        let shared = unsafe { enter_shared(net) }?;
        shared.silence();
        // SAFETY: as above; the memory of such a place stays.
        let place: &'static sockeye_net = unsafe { &*net };
        let taken = place.take().ok_or(Error::Stale)?;
        if let Err(error) = taken.discard() {
            place.put(shared);
            return Err(error);
        }
        FREED.lock().push_back(place);
        Ok(())
    })
}
