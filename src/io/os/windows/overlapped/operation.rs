//! An operation as the system knows it.

use crate::io::op::Lane;
use crate::io::os::windows::sys;
use socket2::Socket;
use std::cell::UnsafeCell;
use std::io;
use std::ptr;
use windows_sys::Win32::Foundation::{HANDLE, STATUS_PENDING};
use windows_sys::Win32::Networking::WinSock as winsock;
use windows_sys::Win32::System::IO::{CancelIoEx, OVERLAPPED};

/// Which operation of a socket it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// That of a lane.
    Lane(Lane),
    /// One of a listener's accepts, in a box of its own.
    Accept,
}

/// An operation as the system knows it: by the place of its OVERLAPPED.
#[repr(C)]
pub struct Operation {
    /// First, so that the one's place is the other's. The system's alone from `begin` until the
    /// operation is reaped.
    overlapped: UnsafeCell<OVERLAPPED>,
    /// Of its socket's token.
    pub index: u32,
    /// Which of its operations.
    pub kind: Kind,
}

// SAFETY: only its address is used while the system has it, and its fields never change.
unsafe impl Send for Operation {}
// SAFETY: as above; `begin` and `result` are called under the lock of its slot.
unsafe impl Sync for Operation {}

impl Operation {
    /// One that was never begun.
    pub fn new(index: u32, kind: Kind) -> Operation {
        Operation { overlapped: UnsafeCell::default(), index, kind }
    }

    /// How the system names it.
    pub fn overlapped(&self) -> *mut OVERLAPPED {
        self.overlapped.get()
    }

    /// Lays it out for a call. It is not in flight.
    pub fn begin(&self, event: HANDLE) {
        // SAFETY: not in flight, so no other thread looks at it.
        unsafe { *self.overlapped.get() = OVERLAPPED { hEvent: event, ..Default::default() } };
    }

    /// Whether the system is done with it.
    pub fn is_over(&self) -> bool {
        // SAFETY: its own memory, written by the system at any time.
        let status = unsafe { (&raw const (*self.overlapped.get()).Internal).read_volatile() };
        status != STATUS_PENDING as usize
    }

    /// The bytes it moved, or its error as Winsock names it. It is over.
    pub fn result(&self, socket: &Socket) -> io::Result<usize> {
        let (mut count, mut flags) = (0, 0);
        let (socket, overlapped) = (sys::raw(socket), self.overlapped.get());
        // SAFETY: an open socket, an operation that is over, and room for the answers.
        let answer = unsafe {
            winsock::WSAGetOverlappedResult(socket, overlapped, &mut count, 0, &mut flags)
        };
        if answer == 0 { Err(sys::last_error()) } else { Ok(count as usize) }
    }

    /// Has the system end it; it is reaped nevertheless.
    pub fn cancel(&self, socket: &Socket) {
        // SAFETY: no other operation has this name. It fails when it has just completed.
        unsafe { CancelIoEx(sys::raw(socket) as HANDLE, self.overlapped.get()) };
    }
}

/// The operation that the system names so.
///
/// # Safety
/// It is one of ours, in a slot or a box that was not freed.
pub unsafe fn named<'a>(overlapped: *mut OVERLAPPED) -> &'a Operation {
    debug_assert!(!ptr::eq(overlapped, ptr::null()));
    // SAFETY: the caller's: the OVERLAPPED is the first field of one.
    unsafe { &*overlapped.cast::<Operation>() }
}
