//! The thread and the program that call the library.

/// Runs `work` without pthread_cancel(3) ending the thread in the middle of it: a cancellation
/// would unwind through frames of ours, which ends the process. It takes effect at the host's next
/// cancellation point. In glibc each of the two calls is a load and a store.
#[inline]
#[cfg(target_os = "linux")]
pub fn uncancelled<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: as pthread_setcancelstate(3) has it.
    unsafe extern "C" {
        fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
    }
    /// PTHREAD_CANCEL_DISABLE of glibc and musl.
    const DISABLE: libc::c_int = 1;
    let mut before = DISABLE;
    // SAFETY: the number is this function's own.
    unsafe { pthread_setcancelstate(DISABLE, &mut before) };
    let answer = work();
    // SAFETY: the state that was there before; POSIX lets the second pointer go unused here.
    unsafe { pthread_setcancelstate(before, &mut before) };
    answer
}

/// Elsewhere a thread that is cancelled unwinds nothing of ours that is known.
#[inline]
#[cfg(not(target_os = "linux"))]
pub fn uncancelled<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Runs `work` in a signal handler: the code that was interrupted finds errno as it was.
#[inline]
pub fn keeping_errno<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: this thread's errno.
    let before = unsafe { *errno() };
    let answer = work();
    // SAFETY: as above.
    unsafe { *errno() = before };
    answer
}

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as errno;
#[cfg(target_os = "linux")]
use libc::__errno_location as errno;
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
use libc::__error as errno;

/// Whether this code is in a shared library, with a Rust runtime of its own.
#[cfg(target_os = "linux")]
pub fn is_shared_library() -> bool {
    let base = |address: usize| {
        let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
        // SAFETY: dladdr only compares the address, and fills what it is given.
        let known = unsafe { libc::dladdr(address as *const _, found.as_mut_ptr()) } != 0;
        // SAFETY: filled, or all zeros, which are a value too.
        known.then(|| unsafe { found.assume_init() }.dli_fbase)
    };
    // SAFETY: no pointers.
    let program = base(unsafe { libc::getauxval(libc::AT_ENTRY) } as usize);
    let ours = base(is_shared_library as fn() -> bool as usize);
    ours.is_some() && ours != program
}

/// Not asked elsewhere: only what is known to be ours is kept quiet there.
#[cfg(not(target_os = "linux"))]
pub fn is_shared_library() -> bool {
    false
}
