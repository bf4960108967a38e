//! Threads: the library's own, announced to the host.

use super::boundary::{fail, guard};
use super::status::sockeye_status;
use crate::engine::{Moment, ThreadHook, set_thread_hook};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// What a thread of the library is about to do.
#[repr(C)]
pub enum sockeye_thread_moment {
    /// It begins, and has done nothing as yet.
    SOCKEYE_THREAD_STARTS = 1,
    /// It ends, and calls nothing of the host's any more.
    SOCKEYE_THREAD_ENDS = 2,
}

/// The host's function for threads: it receives `user` as given, a `sockeye_thread_moment`, and the
/// thread's name. It must not throw. To ask which thread it is, or to change its priority, name or
/// processors, it uses the system's calls for the calling thread.
///
/// Ownership: `name` is borrowed until return.
/// NULL:      `user` is as it was given; `name` is never NULL.
/// Threads:   called on the thread that starts or ends, several at a time.
/// Since:     0.1
pub type sockeye_thread_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, moment: u32, name: *const c_char)>;

/// The host's pointer, given back to it on other threads as it was.
struct User(*mut c_void);

// SAFETY: the library never looks behind it; the host says in `sockeye_set_thread_hook` that it may
// come on any thread.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

/// Calls `hook` on each thread that the library starts, when it starts and when it ends: workers,
/// the threads of the BLOCKING model, and those that look names up. For hosts that register threads
/// with an engine, a profiler or a collector. A look-up that outlives its net, and the thread that
/// frees a net after `sockeye_discard`, do not report their end or are not reported.
///
/// Ownership: `user` is borrowed until another function, or NULL, is set.
/// NULL:      `hook` may be NULL: no thread is reported any more. `user` may be NULL.
/// Threads:   any thread, while no net lives; once for the process.
/// Returns:   OK; ERR_BUSY (a net lives).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_set_thread_hook(
    hook: sockeye_thread_fn,
    user: *mut c_void,
) -> sockeye_status {
    guard(|| {
        let user = User(user);
        let hook = hook.map(|hook| -> ThreadHook {
            Arc::new(move |moment: Moment, name| {
                let user = &user;
                // SAFETY: the host's function with the pointer that it was given for.
                unsafe { hook(user.0, moment as u32, name.as_ptr()) };
            })
        });
        let words = "a net lives: its threads have started as it was set before";
        set_thread_hook(hook).map_err(|error| fail(error, words))
    })
}
