//! kqueue(2) on Linux, as the library libkqueue of the system has it: `<kqueue/sys/event.h>`.
//! `build.rs` links with it.

use libc::{c_int, c_short, c_uint, c_ushort, c_void, timespec};

#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types, reason = "the name that the other systems have")]
pub struct kevent {
    pub ident: usize,
    pub filter: c_short,
    pub flags: c_ushort,
    pub fflags: c_uint,
    pub data: isize,
    pub udata: *mut c_void,
}

pub const EVFILT_READ: c_short = -1;
pub const EVFILT_WRITE: c_short = -2;
pub const EVFILT_USER: c_short = -11;
pub const EV_ADD: c_ushort = 0x0001;
pub const EV_DELETE: c_ushort = 0x0002;
pub const EV_CLEAR: c_ushort = 0x0020;
pub const EV_EOF: c_ushort = 0x8000;
pub const NOTE_TRIGGER: c_uint = 0x0100_0000;

// SAFETY: declared as the header has them.
unsafe extern "C" {
    pub fn kqueue() -> c_int;
    pub fn kevent(
        kq: c_int,
        changelist: *const kevent,
        nchanges: c_int,
        eventlist: *mut kevent,
        nevents: c_int,
        timeout: *const timespec,
    ) -> c_int;
}
