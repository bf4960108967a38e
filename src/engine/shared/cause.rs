//! The causes that errors of the system close a connection with.

use crate::io::os::sys;
use crate::session::Cause;
use socket2::{Domain, Type};
use std::io;
use std::net::SocketAddr;

/// Why a socket could not be made, bound or watched.
pub fn refusal(error: &io::Error) -> (Cause, i32) {
    let cause = match error.kind() {
        io::ErrorKind::QuotaExceeded => Cause::LimitModel,
        _ if sys::out_of_descriptors(error) => Cause::LimitDescriptors,
        // Of an address to leave from: its port is taken, it is none of ours, or not ours to use.
        io::ErrorKind::AddrInUse => Cause::LimitDescriptors,
        io::ErrorKind::AddrNotAvailable => Cause::Unreachable,
        io::ErrorKind::PermissionDenied => Cause::Refused,
        _ => Cause::Reset,
    };
    (cause, error.raw_os_error().unwrap_or(0))
}

/// Why a connection broke.
pub fn breakage(error: &io::Error) -> (Cause, i32) {
    let cause = match sys::kind(error) {
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Cause::Unreachable,
        _ => Cause::Reset,
    };
    (cause, error.raw_os_error().unwrap_or(0))
}

/// Whether a failure says something of the peer, not only that this machine has no such addresses
/// or no way there.
pub fn tells(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable, Unsupported};
    let kind = sys::kind(error);
    !matches!(kind, AddrNotAvailable | HostUnreachable | NetworkUnreachable | Unsupported)
}

/// Whether there is a way to an address, and an address of ours to go from.
fn has_way(peer: Option<SocketAddr>) -> bool {
    let Some(peer) = peer else { return false };
    let probe = sys::socket(Domain::for_address(peer), Type::DGRAM);
    probe.is_ok_and(|probe| probe.connect(&peer.into()).is_ok())
}

/// Why a connection was not made.
pub fn connect_failure(error: &io::Error, peer: Option<SocketAddr>) -> (Cause, i32) {
    let cause = match sys::kind(error) {
        // Of a local socket: no such file, or not ours to use.
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied => Cause::Refused,
        // No port of ours is left to go from: connect(2).
        io::ErrorKind::AddrNotAvailable if has_way(peer) => Cause::LimitDescriptors,
        // This machine has no address of that kind, so there can be no peer.
        io::ErrorKind::AddrNotAvailable => Cause::Refused,
        io::ErrorKind::TimedOut => Cause::TimeoutConnect,
        io::ErrorKind::ConnectionReset => Cause::Reset,
        _ if sys::out_of_ports(error) || sys::out_of_descriptors(error) => Cause::LimitDescriptors,
        _ => Cause::Unreachable,
    };
    (cause, error.raw_os_error().unwrap_or(0))
}

/// Whether an error of a connected socket is about a datagram that was sent before (ICMP).
pub fn is_report(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable};
    matches!(sys::kind(error), ConnectionRefused | ConnectionReset | HostUnreachable)
}
