//! Listeners: opening and closing.

use super::boundary::{fail, guard, in_words};
use super::endpoint::{door, sockeye_endpoint};
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Kind};
use std::ffi::c_char;

/// A listener of one net. `{0}` is none.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct sockeye_listener {
    /// Opaque.
    pub id: u64,
}

/// Opens a listener at `url`: `tcp://0.0.0.0:7777`, `tcp://[::]:0`, `tcp://localhost:7777`,
/// `tcp://*:7777`. Binds and listens before it returns, so the port and every error are final. With
/// port 0 the system chooses one, which `sockeye_listener_get_info` reports.
///
/// `*` is every address of this machine, IPv6 and IPv4 with one socket, and IPv4 alone where there
/// is no IPv6. `0.0.0.0` is IPv4 alone and `[::]` IPv6 alone (see `v6only`), so two listeners can
/// have one port. An IPv4 peer is shown as one, never as v4-mapped.
///
/// The query goes before `endpoint`, as in `tcp://*:7777?frame=u16le&max=64K&idle=2m`. docs/urls.md
/// has the table of its keys: `frame` (`raw`, `u8`, `u16be` to `u32le`, `varint`, `line`,
/// `delimiter`, `fixed`), `max`, `delimiter`, `append`, `overlong`; `outbox`, `outbox_low`,
/// `outbox_messages`, `overflow`, `gate_reads`; `half_open`, `step`, `queue`; `connect_timeout`,
/// `idle`, `first_byte`, `frame_timeout`, `send_timeout`, `linger`; `receive_rate`, `send_rate`,
/// `min_receive_rate`, `min_receive_window`, `weight`; `backlog`, `per_address`,
/// `per_address_rate`, `accept_rate`, `datagram_rate`; `nodelay`, `keepalive`, `user_timeout`,
/// `recv_buffer`, `send_buffer`, `share`, `v6only`, `bind`. Durations have a unit (`500ms`, `30s`,
/// `2m`), sizes and rates may (`64K`, `4M`). A key twice, an unknown one, and one that the endpoint
/// has no use for are ERR_INVALID.
///
/// Local sockets, unix(7), on Unix: `unix:///run/game.sock`, or `unix:@name` for an abstract name
/// (Linux). The file is created with the process's umask and removed with the listener. A file that
/// a killed server left is replaced; one that is in use is ERR_BUSY.
///
/// Datagrams: `udp://0.0.0.0:7777`, with `?max=SIZE` to truncate longer ones, and `&share=1` (or
/// `endpoint.share`) to let other listeners have the same address and port. What arrives is
/// reported as DATAGRAM events of the listener; `sockeye_send_to` sends, and an answer leaves from
/// the address that the peer had sent to.
///
/// A link-local IPv6 address names its interface after a percent sign, by number or, on Unix, by
/// name: `tcp://[fe80::1%25eth0]:7777` (RFC 6874) or `tcp://[fe80::1%eth0]:7777`.
///
/// Ownership: `url` and `endpoint` are copied.
/// NULL:      `endpoint` may be NULL for the defaults of `sockeye_endpoint_init`.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (URL or endpoint, in words); ERR_BUSY (the port or path is in use);
///            ERR_DENIED (a privileged port, a directory without permission); ERR_LIMIT
///            (`connections_max`, descriptors, what the model can watch); ERR_UNSUPPORTED (scheme
///            or framing kind of a later version); ERR_OS; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_listen(
    net: *mut sockeye_net,
    url: *const c_char,
    endpoint: *const sockeye_endpoint,
    out_listener: *mut sockeye_listener,
) -> sockeye_status {
    guard(|| {
        if out_listener.is_null() {
            return Err(fail(Error::Invalid, "out_listener is NULL"));
        }
        // SAFETY: as this function's own.
        let (net, url, endpoint) = unsafe { door(net, url, endpoint) }?;
        let write = |id| {
            // SAFETY: not NULL, and the caller's to be written.
            unsafe { out_listener.write(sockeye_listener { id }) }
        };
        net.listen(url, endpoint, write).map_err(in_words)
    })
}

/// Closes a listener. Its last event is LISTENER_CLOSED; its connections stay open. After that
/// event the port is free again. Windows may keep it for as long as one of the connections lives:
/// then `sockeye_listen` answers ERR_BUSY.
///
/// NULL:      not allowed.
/// Threads:   any thread, any number of times.
/// Returns:   OK; ERR_CLOSED (already closing); ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_listener_close(
    net: *mut sockeye_net,
    listener: sockeye_listener,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        net.listener_close(net.token(listener.id, Kind::Listener)?)
    })
}
