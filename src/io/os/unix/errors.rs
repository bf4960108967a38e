//! What errors of the system mean.

use crate::io::common::wait::Wait;
use std::io;

/// The value of a system call, or its error.
pub fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// As a failed connect has it.
pub const REFUSED: i32 = libc::ECONNREFUSED;

/// As a system without IPv6 has it.
pub const NO_FAMILY: i32 = libc::EAFNOSUPPORT;

/// This machine has no such family of addresses: socket(2), and bind where it has none of them.
pub fn has_no_family(error: &io::Error) -> bool {
    let told = error.raw_os_error();
    matches!(told, Some(NO_FAMILY | libc::EPROTONOSUPPORT | libc::EADDRNOTAVAIL))
}

/// Nothing to do now: wait for a report.
pub fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// A connect goes on in the background.
pub fn in_progress(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

/// The system has no buffers for a moment.
pub fn no_buffers(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

/// What an error of a call that waits for many sockets means: epoll_wait(2), poll(2), select(2),
/// io_uring_enter(2), and what a model calls to be able to wait again.
pub fn wait_failure(error: &io::Error) -> Wait {
    match error.raw_os_error() {
        Some(libc::EINTR) => Wait::Again,
        Some(
            libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN | libc::EBUSY | libc::EMFILE | libc::ENFILE,
        ) => Wait::Passing,
        None if error.kind() == io::ErrorKind::OutOfMemory => Wait::Passing,
        _ => Wait::Fatal,
    }
}

/// No port of ours is left for a connect.
pub fn out_of_ports(error: &io::Error) -> bool {
    no_buffers(error)
}

/// What kind of an error this is: as the standard library says.
pub fn kind(error: &io::Error) -> io::ErrorKind {
    error.kind()
}

/// The process or the system has no descriptors left.
pub fn out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// An accept that failed for the one connection, not for the listener: accept(2), ERROR HANDLING.
pub fn accept_goes_on(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ECONNABORTED | libc::EPROTO | libc::ECONNRESET | libc::EPERM | libc::EINTR)
    )
}
