//! Facts: what nets, listeners and connections are, and what was counted.

use super::address::sockeye_address;
use super::boundary::{guard, is_answer_size, same_fields, write_sized, write_text};
use super::conn::sockeye_conn;
use super::datagram::sockeye_listener_stats;
use super::listener::sockeye_listener;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{ConnStats, Error, Kind};
use std::ffi::c_char;

/// What a net runs with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_net_info {
    /// `sizeof(sockeye_net_info)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// The `sockeye_model` that runs, never AUTO.
    pub model: u32,
    /// The `sockeye_drive` that runs.
    pub drive: u32,
    /// Workers that run now; 1, without a thread, where the configuration has 0.
    pub workers: u32,
    /// Threads that the library runs for this net now.
    pub threads: u32,
    /// Queues.
    pub queues: u32,
    /// Connections and listeners that may exist at once.
    pub connections_max: u32,
    /// Connections that may linger beside those; `sockeye_conn_index` is below the sum.
    pub lingering_max: u32,
    /// Why this model: "asked for by name" or the reason of AUTO. NUL-terminated.
    pub model_reason: [c_char; 96],
    /// Why this drive. NUL-terminated.
    pub drive_reason: [c_char; 96],
}

/// What a net has counted since `sockeye_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_net_stats {
    /// `sizeof(sockeye_net_stats)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// Must be ignored.
    pub reserved: u32,
    /// Connections that exist now, including closed ones whose batch has not ended.
    pub connections: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that could not be accepted or were refused at once: no descriptors, limits.
    pub accept_failures: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Messages published as events.
    pub received_messages: u64,
    /// Bytes handed to the system.
    pub sent_bytes: u64,
    /// Send calls to the system that took something.
    pub sent_batches: u64,
    /// Turns of the workers.
    pub turns: u64,
    /// Turns in which a worker waited in the system.
    pub waits: u64,
    /// System calls made only to wake a thread.
    pub wakes: u64,
    /// Bytes of memory in buffers now.
    pub memory_bytes: u64,
    /// Bytes of pending events in all queues now.
    pub queued_bytes: u64,
    /// Datagrams that the system dropped on arrival: the socket's buffer was full.
    pub system_drops: u64,
    /// Datagrams dropped here on arrival: the queue was at `queue_max_bytes`, or memory short.
    pub queue_drops: u64,
    /// Datagrams that the system did not send, and reports that one did not arrive (ICMP).
    pub send_failures: u64,
    /// Of `memory_bytes`, those of incomplete frames: at most 3/8 of `memory_max_bytes`.
    pub frame_bytes: u64,
    /// Of `memory_bytes`, those of pending sends: at most 3/8 of `memory_max_bytes`.
    pub send_bytes: u64,
    /// Connections closed with LIMIT_MEMORY because others needed what they held.
    pub memory_closes: u64,
    /// Waits that the system refused for want of something.
    pub wait_failures: u64,
    /// Nanoseconds that workers waited in the system, all together; `docs/metrics.md`.
    pub waited_ns: u64,
}

/// Facts of a listener.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_listener_info {
    /// `sizeof(sockeye_listener_info)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// The port it listens on, also when the URL said 0.
    pub port: u32,
    /// The address it is bound to.
    pub local: sockeye_address,
    /// Connections accepted.
    pub accepted: u64,
}

/// Facts of a connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_conn_info {
    /// `sizeof(sockeye_conn_info)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// The queue of its events.
    pub queue: u32,
    /// The peer's address; family 0 before a connect has resolved its name. Behind a proxy of
    /// `proxy_from`, what its header says.
    pub peer: sockeye_address,
    /// Its own address; family 0 when not connected.
    pub local: sockeye_address,
    /// The listener that accepted it, or `{0}`.
    pub listener: sockeye_listener,
    /// Its `user_data`.
    pub user_data: u64,
    /// 1 when the three below are known: a `unix:` connection, once connected.
    pub has_credentials: u32,
    /// The process at the other end, as it was when it connected or listened; 0 where the system
    /// does not report it. `SO_PEERCRED` of unix(7), or getpeereid(3).
    pub peer_pid: u32,
    /// Its effective user.
    pub peer_uid: u32,
    /// Its effective group.
    pub peer_gid: u32,
    /// The address of the proxy that made the connection for the peer; family 0: none did.
    pub proxy: sockeye_address,
    /// A `sockeye_arrival`: what stands between its bytes and its messages, once it is open.
    pub arrival: u32,
    /// 0.
    pub reserved: u32,
}

/// What stands between the bytes and the messages of a connection.
#[repr(C)]
pub enum sockeye_arrival {
    /// Nothing.
    SOCKEYE_ARRIVAL_PLAIN = 0,
    /// TLS.
    SOCKEYE_ARRIVAL_TLS = 1,
    /// A WebSocket.
    SOCKEYE_ARRIVAL_WS = 2,
    /// A WebSocket in TLS.
    SOCKEYE_ARRIVAL_WSS = 3,
}

/// What a connection has counted.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct sockeye_conn_stats {
    /// `sizeof(sockeye_conn_stats)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// Messages that are pending.
    pub outbox_messages: u32,
    /// Bytes that are pending, headers included.
    pub outbox_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Messages received.
    pub received_messages: u64,
    /// Bytes handed to the system.
    pub sent_bytes: u64,
    /// Messages dropped by DROP_OLDEST.
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

/// A connection and a listener of datagrams count the same.
macro_rules! stats_of_sockets {
    ($($answer:ident)+) => {$(
        impl From<ConnStats> for $answer {
            fn from(stats: ConnStats) -> Self {
                same_fields!(stats => $answer {
                    outbox_messages,
                    outbox_bytes,
                    received_bytes,
                    received_messages,
                    sent_bytes,
                    dropped_messages,
                    system_drops,
                    queue_drops,
                    send_failures,
                } and {
                    struct_size: size_of::<Self>() as u32,
                })
            }
        }
    )+};
}
stats_of_sockets! { sockeye_conn_stats sockeye_listener_stats }

/// What a net runs with, and why.
///
/// Ownership: `out_info` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_net_get_info(
    net: *mut sockeye_net,
    out_info: *mut sockeye_net_info,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let facts = unsafe { enter(net) }?.info();
        let mut info = sockeye_net_info {
            struct_size: size.min(size_of::<sockeye_net_info>()) as u32,
            model: facts.model as u32,
            drive: facts.drive as u32,
            workers: facts.workers,
            threads: facts.threads,
            queues: facts.queues,
            connections_max: facts.connections_max,
            lingering_max: facts.lingering_max,
            model_reason: [0; 96],
            drive_reason: [0; 96],
        };
        write_text(&mut info.model_reason, facts.model_reason);
        write_text(&mut info.drive_reason, facts.drive_reason);
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_info, size, &info) }
    })
}

/// What a net has counted. Each number is exact, but they are not taken at one instant.
///
/// Ownership: `out_stats` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_net_get_stats(
    net: *mut sockeye_net,
    out_stats: *mut sockeye_net_stats,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let facts = unsafe { enter(net) }?.stats();
        let stats = same_fields!(facts => sockeye_net_stats {
            connections,
            accepted,
            accept_failures,
            received_bytes,
            received_messages,
            sent_bytes,
            sent_batches,
            turns,
            waits,
            wakes,
            memory_bytes,
            queued_bytes,
            system_drops,
            queue_drops,
            send_failures,
            frame_bytes,
            send_bytes,
            memory_closes,
            wait_failures,
            waited_ns,
        } and {
            struct_size: size.min(size_of::<sockeye_net_stats>()) as u32,
            reserved: 0,
        });
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_stats, size, &stats) }
    })
}

/// The port and address of a listener.
///
/// Ownership: `out_info` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_STALE; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_listener_get_info(
    net: *mut sockeye_net,
    listener: sockeye_listener,
    out_info: *mut sockeye_listener_info,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let facts = net.listener_info(net.token(listener.id, Kind::Listener)?)?;
        let info = sockeye_listener_info {
            struct_size: size.min(size_of::<sockeye_listener_info>()) as u32,
            port: facts.local.map_or(0, |address| u32::from(address.port())),
            local: facts.local.into(),
            accepted: facts.accepted,
        };
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_info, size, &info) }
    })
}

/// The addresses of a connection. A closed one answers while the batch with its CLOSED lives.
///
/// Ownership: `out_info` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_STALE; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_get_info(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    out_info: *mut sockeye_conn_info,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let facts = net.conn_info(net.token(conn.id, Kind::Conn)?)?;
        let listener = facts.listener.map_or(0, |token| net.listener_id(token));
        let (pid, uid, gid) = facts.credentials.map_or((0, 0, 0), |it| (it.pid, it.uid, it.gid));
        let info = sockeye_conn_info {
            struct_size: size.min(size_of::<sockeye_conn_info>()) as u32,
            queue: facts.queue,
            peer: facts.peer.into(),
            local: facts.local.into(),
            listener: sockeye_listener { id: listener },
            user_data: facts.user_data,
            has_credentials: u32::from(facts.credentials.is_some()),
            peer_pid: pid,
            peer_uid: uid,
            peer_gid: gid,
            proxy: facts.proxy.into(),
            arrival: facts.arrival as u32,
            reserved: 0,
        };
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_info, size, &info) }
    })
}

/// What a connection has counted. A closed one answers while the batch with its CLOSED lives.
///
/// Ownership: `out_stats` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_STALE; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_get_stats(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    out_stats: *mut sockeye_conn_stats,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let stats = net.conn_stats(net.token(conn.id, Kind::Conn)?)?;
        let mut stats = sockeye_conn_stats::from(stats);
        stats.struct_size = size.min(size_of::<sockeye_conn_stats>()) as u32;
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_stats, size, &stats) }
    })
}

/// What many connections have counted. A stale handle gets `struct_size` 0, and zeros.
///
/// Ownership: `conns` is borrowed until return; `out_stats` has room for `count` structs of `size`:
///            each is written up to `size` bytes, and begins `size` bytes after the one before.
/// NULL:      not allowed, unless `count` is 0.
/// Threads:   any thread, also after a shutdown.
/// Returns:   how many were not stale; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conns_get_stats(
    net: *mut sockeye_net,
    conns: *const sockeye_conn,
    count: usize,
    out_stats: *mut sockeye_conn_stats,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let missing = count > 0 && (conns.is_null() || out_stats.is_null());
        if missing || count > i32::MAX as usize || !is_answer_size(size) {
            return Err(Error::Invalid);
        }
        let mut alive = 0;
        for at in 0..count {
            // SAFETY: the caller gives `count` handles.
            let conn = unsafe { conns.add(at).read() };
            let stats = net.token(conn.id, Kind::Conn).and_then(|t| net.conn_stats(t));
            alive += i32::from(stats.is_ok());
            let mut stats = stats.map(sockeye_conn_stats::from).unwrap_or_default();
            stats.struct_size = stats.struct_size.min(size as u32);
            // SAFETY: the caller gives room for `count` structs of this size.
            unsafe { write_sized(out_stats.byte_add(at * size), size, &stats) }?;
        }
        Ok(alive)
    })
}
