//! The thread and the program that call the library.

use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
    GetModuleHandleExW, GetModuleHandleW,
};

/// Runs `work`. No thread is cancelled here.
#[inline]
pub fn uncancelled<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Runs `work`. No handler of a signal interrupts a thread here.
#[inline]
pub fn keeping_errno<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Whether this code is in a DLL, with a Rust runtime of its own.
pub fn is_shared_library() -> bool {
    let how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    let address = is_shared_library as fn() -> bool as usize as *const u16;
    let mut ours = std::ptr::null_mut();
    // SAFETY: with that flag the address is one inside of the module that is looked for.
    let known = unsafe { GetModuleHandleExW(how, address, &mut ours) } != 0;
    // SAFETY: NULL names the program.
    known && ours != unsafe { GetModuleHandleW(std::ptr::null()) }
}
