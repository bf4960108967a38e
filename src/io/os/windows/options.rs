//! Options of sockets that the systems have each in its own way.

use super::errors::check;
use super::sys::raw;
use socket2::{SockAddr, Socket, TcpKeepalive};
use std::io;
use std::ptr;
use std::time::Duration;
use windows_sys::Win32::Networking::WinSock as winsock;

/// Probes that stay without an answer before the peer is taken for dead.
const KEEPALIVE_PROBES: u64 = 4;

/// Sets an option of a socket to 1.
pub fn switch_on(socket: &Socket, level: i32, option: i32) -> io::Result<()> {
    let on = 1_i32;
    // SAFETY: four readable bytes.
    let set = unsafe { winsock::setsockopt(raw(socket), level, option, (&raw const on).cast(), 4) };
    check(set).map(drop)
}

/// Gives a socket something that is no option of it. Whether the system knows it is not asked.
fn control<T: Copy>(socket: &Socket, code: u32, value: &T) {
    let (value, len, mut answered) = (ptr::from_ref(value), size_of::<T>() as u32, 0);
    let none = ptr::null_mut();
    // SAFETY: the value is readable, and there is no answer but its length.
    unsafe {
        winsock::WSAIoctl(
            raw(socket),
            code,
            value.cast(),
            len,
            none,
            0,
            &mut answered,
            none.cast(),
            None,
        )
    };
}

/// Before bind: no other socket may take a listener's address, as SO_REUSEADDR would allow here.
/// Old connections in TIME_WAIT do not keep a server from starting again.
pub fn claim_address(socket: &Socket) -> io::Result<()> {
    switch_on(socket, winsock::SOL_SOCKET, winsock::SO_EXCLUSIVEADDRUSE)
}

/// Before a stream is bound to the address that its connect leaves from. A port of the system's
/// choice is chosen when the peer is known, where the system knows that.
pub fn claim_source(socket: &Socket, port: u16) -> io::Result<()> {
    if port == 0 {
        let _ = switch_on(socket, winsock::SOL_SOCKET, winsock::SO_REUSE_UNICASTPORT);
    }
    Ok(())
}

/// Before a connect. A refusal by this machine is final: the system would ask twice more, which
/// takes two seconds. One that does not know the option asks.
pub fn prepare_connect(socket: &Socket, address: &SockAddr) {
    /// TCP_INITIAL_RTO_UNSPECIFIED_RTT
    const RTT_AS_EVER: u16 = u16::MAX;
    if !address.as_socket().is_some_and(|address| address.ip().to_canonical().is_loopback()) {
        return;
    }
    let once = winsock::TCP_INITIAL_RTO_PARAMETERS {
        Rtt: RTT_AS_EVER,
        MaxSynRetransmissions: winsock::TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS as u8,
    };
    control(socket, winsock::SIO_TCP_INITIAL_RTO, &once);
}

/// Keep-alive after so long a silence, with probes that find a dead peer after as long again and up
/// to 3 seconds. A system that does not know TCP_KEEPCNT sends 10 of them.
pub fn keepalive(time: Duration) -> TcpKeepalive {
    let seconds = time.as_secs().max(1);
    let count = seconds.min(KEEPALIVE_PROBES);
    let interval = Duration::from_secs(seconds.div_ceil(count));
    let probes = TcpKeepalive::new().with_time(Duration::from_secs(seconds));
    probes.with_interval(interval).with_retries(count as u32)
}

/// Has other sockets of this machine share the address that the socket is about to be bound to.
pub fn share_address(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// Before bind: no other socket may take the address, as SO_REUSEADDR would allow here.
pub fn claim_datagrams(socket: &Socket) -> io::Result<()> {
    claim_address(socket)
}

/// Sets what every datagram socket is to have, where the system knows it: it may send to all of a
/// network, and a receive does not report errors of earlier datagrams.
pub fn prepare_datagrams(socket: &Socket) {
    let _ = socket.set_broadcast(true);
    // Some systems do not know them.
    for code in [winsock::SIO_UDP_CONNRESET, winsock::SIO_UDP_NETRESET] {
        control(socket, code, &0_u32);
    }
}

/// Has datagrams that are longer than the path takes dropped, in place of cut up:
/// <https://learn.microsoft.com/en-us/windows/win32/winsock/ipproto-ip-socket-options>,
/// IP_DONTFRAGMENT.
pub fn forbid_fragments(socket: &Socket, v6: bool) {
    if v6 {
        let _ = switch_on(socket, winsock::IPPROTO_IPV6, winsock::IPV6_DONTFRAG);
    }
    let _ = switch_on(socket, winsock::IPPROTO_IP, winsock::IP_DONTFRAGMENT);
}

/// How long the peer's system may leave what was sent unacknowledged: this one has no such option.
pub fn set_user_timeout(_: &Socket, _ms: u32) {}
