//! What errors of the system mean: of Winsock, and of what lies beneath it.

use crate::io::common::wait::Wait;
use std::io;
use windows_sys::Win32::Foundation as system;
use windows_sys::Win32::Networking::WinSock as winsock;

/// What the last call on a socket failed with.
pub fn last_error() -> io::Error {
    // SAFETY: no pointers.
    io::Error::from_raw_os_error(unsafe { winsock::WSAGetLastError() })
}

/// The value of a call on a socket, or its error.
pub fn check(answer: i32) -> io::Result<i32> {
    if answer == winsock::SOCKET_ERROR { Err(last_error()) } else { Ok(answer) }
}

/// Nothing to do now: wait for a report.
pub fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// A connect goes on in the background.
pub fn in_progress(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(winsock::WSAEWOULDBLOCK | winsock::WSAEINPROGRESS | winsock::WSAEALREADY)
    )
}

/// The system has no buffers for a moment, as Winsock says it or as what lies beneath does.
pub fn no_buffers(error: &io::Error) -> bool {
    const SHORT: [u32; 8] = [
        system::ERROR_NOT_ENOUGH_MEMORY,
        system::ERROR_OUTOFMEMORY,
        system::ERROR_NO_SYSTEM_RESOURCES,
        system::ERROR_NONPAGED_SYSTEM_RESOURCES,
        system::ERROR_PAGED_SYSTEM_RESOURCES,
        system::ERROR_WORKING_SET_QUOTA,
        system::ERROR_COMMITMENT_LIMIT,
        system::ERROR_NOT_ENOUGH_QUOTA,
    ];
    let said = |code: i32| code == winsock::WSAENOBUFS || SHORT.contains(&(code as u32));
    error.kind() == io::ErrorKind::OutOfMemory || error.raw_os_error().is_some_and(said)
}

/// As a failed connect has it.
pub const REFUSED: i32 = winsock::WSAECONNREFUSED;

/// As a system without IPv6 has it.
pub const NO_FAMILY: i32 = winsock::WSAEAFNOSUPPORT;

/// This machine has no such family of addresses.
pub fn has_no_family(error: &io::Error) -> bool {
    let told = error.raw_os_error();
    matches!(told, Some(NO_FAMILY | winsock::WSAEPROTONOSUPPORT | winsock::WSAEADDRNOTAVAIL))
}

/// What an error of a call that waits for many sockets means.
pub fn wait_failure(error: &io::Error) -> Wait {
    match error.raw_os_error() {
        Some(winsock::WSAEINTR) => Wait::Again,
        Some(winsock::WSAEMFILE | winsock::WSAENETDOWN) => Wait::Passing,
        _ if no_buffers(error) => Wait::Passing,
        _ => Wait::Fatal,
    }
}

/// No port of ours is left for a connect.
pub fn out_of_ports(error: &io::Error) -> bool {
    no_buffers(error) || error.raw_os_error() == Some(winsock::WSAEADDRINUSE)
}

/// What kind of an error this is, also where the standard library does not say. Completions report
/// the network in the system's own numbers, calls in those of Winsock.
pub fn kind(error: &io::Error) -> io::ErrorKind {
    const REFUSED: i32 = system::ERROR_CONNECTION_REFUSED as i32;
    const PORT_UNREACHABLE: i32 = system::ERROR_PORT_UNREACHABLE as i32;
    const ABORTED: i32 = system::ERROR_CONNECTION_ABORTED as i32;
    const GONE: i32 = system::ERROR_NETNAME_DELETED as i32;
    const ENDED: i32 = system::ERROR_GRACEFUL_DISCONNECT as i32;
    match error.raw_os_error() {
        Some(REFUSED | PORT_UNREACHABLE) => io::ErrorKind::ConnectionRefused,
        Some(winsock::WSAENETRESET | winsock::WSAECONNABORTED | ABORTED | GONE) => {
            io::ErrorKind::ConnectionReset
        }
        Some(winsock::WSAESHUTDOWN | winsock::WSAEDISCON | ENDED) => io::ErrorKind::BrokenPipe,
        Some(winsock::WSAEHOSTDOWN) => io::ErrorKind::HostUnreachable,
        Some(winsock::WSAENETDOWN) => io::ErrorKind::NetworkUnreachable,
        _ => error.kind(),
    }
}

/// The process or the system has no handles left.
pub fn out_of_descriptors(error: &io::Error) -> bool {
    const FILES: i32 = system::ERROR_TOO_MANY_OPEN_FILES as i32;
    matches!(error.raw_os_error(), Some(winsock::WSAEMFILE | FILES))
}

/// An accept that failed for the one connection: once a peer has called, whatever fails is that
/// peer's. For want of handles or memory it is the listener's, and where the network or the
/// listener itself is gone.
pub fn accept_goes_on(error: &io::Error) -> bool {
    const LISTENERS: [i32; 8] = [
        winsock::WSAEFAULT,
        winsock::WSAEINVAL,
        winsock::WSAENOTSOCK,
        winsock::WSAEOPNOTSUPP,
        winsock::WSAENETDOWN,
        winsock::WSANOTINITIALISED,
        winsock::WSAEACCES,
        winsock::WSAEINPROGRESS,
    ];
    let code = error.raw_os_error();
    let listeners = code.is_none_or(|code| LISTENERS.contains(&code));
    !listeners && !out_of_descriptors(error) && !no_buffers(error)
}

/// What stands for the error of a connection that was accepted and broke before it was adopted.
pub fn accepted_and_lost() -> io::Error {
    io::Error::from_raw_os_error(winsock::WSAECONNABORTED)
}
