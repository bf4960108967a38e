//! Datagrams: sends, senders, multicast groups.

use super::address::sockeye_address;
use super::boundary::{bytes_arg, fail, guard, guard_send, in_words, write_sized};
use super::event::{sockeye_event, sockeye_event_kind};
use super::listener::sockeye_listener;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{ADDRESS_BYTES, Error, Kind};
use std::ffi::c_void;

const _: () = assert!(size_of::<sockeye_address>() == ADDRESS_BYTES);

/// What a `udp://` listener has counted.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct sockeye_listener_stats {
    /// `sizeof(sockeye_listener_stats)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// Datagrams that are pending.
    pub outbox_messages: u32,
    /// Bytes that are pending.
    pub outbox_bytes: u64,
    /// Bytes received and delivered as events.
    pub received_bytes: u64,
    /// Datagrams received and delivered as events.
    pub received_messages: u64,
    /// Bytes handed to the system.
    pub sent_bytes: u64,
    /// Datagrams dropped by DROP_OLDEST.
    pub dropped_messages: u64,
    /// Datagrams that the system dropped on arrival: the socket's buffer was full. Counted with the
    /// next one that arrives.
    pub system_drops: u64,
    /// Datagrams dropped here on arrival: the queue was at `queue_max_bytes`, or memory short.
    pub queue_drops: u64,
    /// Datagrams that the system did not send (too long for the path, no route …), and reports that
    /// one did not arrive (ICMP).
    pub send_failures: u64,
}

/// Sends one datagram of 0 to 65,507 bytes from a `udp://` listener to `address`. It is sent once
/// or not at all and may be lost in the network, which is not reported; no failure closes the
/// listener. The call does not wait; datagrams between two flushes leave together.
///
/// If `address` is what `sockeye_event_address` gave, an answer leaves from the address that the
/// peer had sent to, which is in `local`, also from a listener on all addresses. For an address
/// made from text the system chooses.
///
/// Ownership: `address` and `data` are copied.
/// NULL:      `data` may be NULL when `data_len` is 0.
/// Threads:   any thread.
/// Returns:   OK; ERR_AGAIN (the outbox is full or memory is short: nothing was taken, a WRITABLE
///            with this `listener` follows); ERR_TOO_BIG (over 65,507 bytes or the whole outbox);
///            ERR_INVALID (NULL, port 0, an address of another family than the listener's; one
///            bound to `[::]` takes both); ERR_UNSUPPORTED (a listener of connections);
///            ERR_CLOSED; ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn sockeye_send_to(
    net: *mut sockeye_net,
    listener: sockeye_listener,
    address: *const sockeye_address,
    data: *const c_void,
    data_len: usize,
) -> sockeye_status {
    guard_send(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        // SAFETY: the caller gives NULL or an address, and `data_len` readable bytes.
        let (address, data) = unsafe { (address.as_ref(), bytes_arg(data, data_len)?) };
        let target = address.and_then(sockeye_address::target).ok_or(Error::Invalid)?;
        net.send_to(net.token(listener.id, Kind::Listener)?, target, data)
    })
}

/// The sender of a DATAGRAM. It is stored in front of the payload and is valid as long.
///
/// Ownership: the address is borrowed until the next poll of the event's queue.
/// NULL:      fine, there is no address then.
/// Threads:   any thread, while the batch lives.
/// Returns:   the address; NULL for an event of another kind.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_event_address(
    event: *const sockeye_event,
) -> *const sockeye_address {
    // SAFETY: the caller gives NULL or an event.
    match unsafe { event.as_ref() } {
        Some(event)
            if event.kind == sockeye_event_kind::SOCKEYE_EVENT_DATAGRAM as u32
                && !event.data.is_null() =>
        {
            // SAFETY: a datagram's payload lies behind its sender's address, at a multiple of 8.
            unsafe { event.data.sub(ADDRESS_BYTES) }.cast()
        }
        _ => std::ptr::null(),
    }
}

/// Joins a multicast group: the `udp://` listener receives what is sent to it on the interface with
/// this index, or on one that the system chooses (0). The listener is bound to the group's port and
/// to any address of the group's family (`udp://*:7777` for both) or to the group's.
///
/// Ownership: `group` is borrowed until return; its port is ignored.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (no multicast address, or of another family than the listener);
///            ERR_BUSY (joined already); ERR_OS (no such interface …); ERR_UNSUPPORTED (a
///            listener of connections); ERR_CLOSED; ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_listener_join(
    net: *mut sockeye_net,
    listener: sockeye_listener,
    group: *const sockeye_address,
    interface_index: u32,
) -> sockeye_status {
    // SAFETY: as this function's own.
    unsafe { change_membership(net, listener, group, interface_index, true) }
}

/// Leaves a multicast group that `sockeye_listener_join` joined with the same group and interface.
///
/// Ownership: `group` is borrowed until return; its port is ignored.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   as `sockeye_listener_join`; ERR_OS when it was not joined.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_listener_leave(
    net: *mut sockeye_net,
    listener: sockeye_listener,
    group: *const sockeye_address,
    interface_index: u32,
) -> sockeye_status {
    // SAFETY: as this function's own.
    unsafe { change_membership(net, listener, group, interface_index, false) }
}

/// # Safety
/// `net` is NULL or a live net, `group` NULL or an address.
unsafe fn change_membership(
    net: *mut sockeye_net,
    listener: sockeye_listener,
    group: *const sockeye_address,
    interface_index: u32,
    join: bool,
) -> sockeye_status {
    guard(|| {
        // SAFETY: as this function's own.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        // SAFETY: as this function's own.
        let Some(group) = unsafe { group.as_ref() }.and_then(sockeye_address::parse) else {
            return Err(fail(Error::Invalid, "group is NULL or no address"));
        };
        let token = net.token(listener.id, Kind::Listener).map_err(in_words)?;
        net.change_membership(token, group.ip(), interface_index, join).map_err(in_words)
    })
}

/// What a `udp://` listener has counted.
///
/// Ownership: `out_stats` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_STALE; ERR_INVALID (NULL, size below 16); ERR_UNSUPPORTED (a listener of
///            connections: each connection has its own).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_listener_get_stats(
    net: *mut sockeye_net,
    listener: sockeye_listener,
    out_stats: *mut sockeye_listener_stats,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let token = net.token(listener.id, Kind::Listener)?;
        let mut stats = sockeye_listener_stats::from(net.datagram_stats(token, false)?);
        stats.struct_size = size.min(size_of::<sockeye_listener_stats>()) as u32;
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_stats, size, &stats) }
    })
}
