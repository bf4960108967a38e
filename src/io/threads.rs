//! The library's own threads: none takes the host's signals, and each is announced to the host
//! where that asked for it.

use crate::buf::{RwLock, rank};
use crate::io::os::sys;
use std::ffi::{CStr, CString};
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// What a thread is about to do. The C ABI's `sockeye_thread_moment` has the same numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// It begins.
    Starts = 1,
    /// It ends.
    Ends = 2,
}

/// The host's function, and the thread's name.
pub type ThreadHook = Arc<dyn Fn(Moment, &CStr) + Send + Sync>;

/// One for the process. It is written only while no net lives, so that no start of a thread waits
/// for the lock.
static HOOK: RwLock<rank::ThreadHook, Option<ThreadHook>> = RwLock::new(None);

/// Announces its thread's end, unless that is forgotten.
pub struct Announced {
    hook: Option<ThreadHook>,
    name: CString,
}

impl Announced {
    fn tell(&self, moment: Moment) {
        if let Some(hook) = &self.hook {
            rank::may_call_out();
            hook(moment, &self.name);
        }
    }

    /// Whoever wants to hear of it may be gone.
    pub fn forget(&mut self) {
        self.hook = None;
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.tell(Moment::Ends);
    }
}

/// Sets the host's function, or none. While no net lives.
pub fn set_hook(hook: Option<ThreadHook>) {
    *HOOK.write() = hook;
}

/// Starts a thread. `stack`: bytes, or as the system has it.
pub fn start(
    name: String,
    stack: Option<usize>,
    body: impl FnOnce(&mut Announced) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let hook = HOOK.read().clone();
    let told = CString::new(name.as_str()).unwrap_or_default();
    let mut thread = Builder::new().name(name);
    if let Some(bytes) = stack {
        thread = thread.stack_size(bytes);
    }
    sys::without_signals(|| {
        thread.spawn(move || {
            let mut announced = Announced { hook, name: told };
            announced.tell(Moment::Starts);
            body(&mut announced);
        })
    })
}
