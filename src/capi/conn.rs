//! Connections: sends, closes, pauses, moves.

use super::boundary::{bytes_arg, fail, guard, guard_send, in_words, status};
use super::endpoint::{door, read_endpoint, sockeye_endpoint};
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{CloseHow, Error, Kind, Net, Token};
use std::ffi::{c_char, c_void};

/// A connection of one net: an old one, or one of another net, answers ERR_STALE for as long as the
/// process lives. `{0}` is none.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct sockeye_conn {
    /// Opaque, but for `sockeye_conn_index`.
    pub id: u64,
}

/// How to close.
#[repr(C)]
pub enum sockeye_close_how {
    /// Sends what is pending, ends the write side, then reads and discards until the peer ends its
    /// side or `linger_ms` is over, so that the peer receives the last message even if it had sent
    /// something that the host did not read. What the system has taken by then still arrives; if
    /// bytes were not taken, the peer sees a reset.
    SOCKEYE_CLOSE_GRACEFUL = 0,
    /// Resets at once; pending bytes are lost and counted in CLOSED's `detail`.
    SOCKEYE_CLOSE_RESET = 1,
}

/// Connects to `url`: `tcp://host:port`, `unix:///path` or `unix:@name`, with a query as for
/// `sockeye_listen`. `?bind=10.0.0.5` or `?bind=[fd00::5]:7000` has it leave from that address of
/// this machine. The name is looked up and the connection made in the background: OPENED
/// reports success, CLOSED without OPENED failure. `*out_conn` is written before a worker learns of
/// the connection; a thread that polls another queue may still see its OPENED before this returns.
/// Sends made before OPENED stay in the outbox until then.
///
/// Datagrams: `udp://host:port` has DATAGRAM events of that one peer, and each send is one datagram
/// of 0 to 65,507 bytes. OPENED means only that the name was found, and an unreachable peer does
/// not close the connection. CLOSED follows the host's own close, `idle_timeout_ms` or a shutdown.
///
/// Ownership: `url` and `endpoint` are copied.
/// NULL:      `endpoint` may be NULL for the defaults of `sockeye_endpoint_init`.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (URL or endpoint, in words); ERR_LIMIT (`connections_max`);
///            ERR_UNSUPPORTED (scheme or framing kind of a later version); ERR_OS (no thread to
///            look the name up); ERR_SHUTDOWN. After a negative answer there is no event.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_connect(
    net: *mut sockeye_net,
    url: *const c_char,
    endpoint: *const sockeye_endpoint,
    out_conn: *mut sockeye_conn,
) -> sockeye_status {
    guard(|| {
        if out_conn.is_null() {
            return Err(fail(Error::Invalid, "out_conn is NULL"));
        }
        // SAFETY: as this function's own.
        let (net, url, endpoint) = unsafe { door(net, url, endpoint) }?;
        let write = |id| {
            // SAFETY: not NULL, and the caller's to be written.
            unsafe { out_conn.write(sockeye_conn { id }) }
        };
        net.connect(url, endpoint, write).map_err(in_words)
    })
}

/// Puts one message into the outbox of `conn`, whole or not at all. The message is sent whole and
/// in order, or the connection closes. The call does not wait, and no event reports success.
///
/// Ownership: `data` is copied.
/// NULL:      `data` may be NULL when `data_len` is 0.
/// Threads:   any thread.
/// Returns:   OK; ERR_AGAIN (the outbox is full or memory is short: nothing was taken, and a
///            WRITABLE follows); ERR_TOO_BIG (over `frame_max_bytes`, the length field or the whole
///            outbox: never AGAIN); ERR_CLOSED; ERR_STALE; ERR_INVALID; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn sockeye_send(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    data: *const c_void,
    data_len: usize,
) -> sockeye_status {
    guard_send(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        // SAFETY: the caller gives `data_len` readable bytes.
        let data = unsafe { bytes_arg(data, data_len) }?;
        net.send(net.token(conn.id, Kind::Conn)?, data)
    })
}

/// Sends the same message to many connections. Each takes it or not, as in `sockeye_send`; the
/// bytes are copied once for adjacent connections with the same framing.
///
/// Ownership: `conns` and `data` are copied; `out_each`, if given, has room for `count` answers.
/// NULL:      `out_each` may be NULL; `conns` when `count` is 0; `data` when `data_len` is 0.
/// Threads:   any thread. A later send of the same thread is sent after this one.
/// Returns:   how many took it; ERR_INVALID; ERR_NO_MEMORY (no connection took it); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn sockeye_send_many(
    net: *mut sockeye_net,
    conns: *const sockeye_conn,
    count: usize,
    data: *const c_void,
    data_len: usize,
    out_each: *mut sockeye_status,
) -> sockeye_status {
    guard_send(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        // SAFETY: the caller gives `data_len` readable bytes.
        let data = unsafe { bytes_arg(data, data_len) }?;
        // SAFETY: the caller gives `count` handles, and room for as many answers or NULL.
        let targets = unsafe { Targets::new(conns, count, out_each) }?;
        let tell = |at: usize, answer| targets.tell(at, answer);
        Ok(net.send_many(count, |at| targets.conn(at), data, tell)? as sockeye_status)
    })
}

/// The connections of a send to many, and where their answers go.
pub(super) struct Targets {
    conns: *const sockeye_conn,
    count: usize,
    out_each: *mut sockeye_status,
}

impl Targets {
    /// Invalid: NULL for some, or more than can be counted in an answer.
    ///
    /// # Safety
    /// As long as it is used, `conns` is NULL or has `count` handles, and `out_each` is NULL or
    /// has room for `count` answers.
    pub unsafe fn new(
        conns: *const sockeye_conn,
        count: usize,
        out_each: *mut sockeye_status,
    ) -> Result<Targets, Error> {
        let well = (!conns.is_null() || count == 0) && count <= i32::MAX as usize;
        well.then_some(Targets { conns, count, out_each }).ok_or(Error::Invalid)
    }

    /// One's handle.
    pub fn conn(&self, at: usize) -> u64 {
        assert!(at < self.count, "no such connection was given");
        // SAFETY: there are `count` handles, by the word of who made this.
        unsafe { self.conns.add(at).read() }.id
    }

    /// Writes one's answer, if they are asked for.
    pub fn tell(&self, at: usize, answer: Result<(), Error>) {
        assert!(at < self.count, "no such connection was given");
        if !self.out_each.is_null() {
            // SAFETY: there is room for `count` answers, by the word of who made this.
            unsafe { self.out_each.add(at).write(status(answer)) };
        }
    }
}

/// Closes a connection. Later polls report only its CLOSED; the host skips events that are already
/// in its array.
///
/// NULL:      not allowed.
/// Threads:   any thread, any number of times. RESET after GRACEFUL escalates.
/// Returns:   OK; ERR_CLOSED (already closing or closed); ERR_STALE; ERR_INVALID (unknown how);
///            ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_close(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    how: u32,
) -> sockeye_status {
    // SAFETY: as this function's own; no bytes are given.
    guard(|| unsafe { close(net, conn, how, None) })
}

/// Closes a connection after one last message, which is taken even when the outbox is full. With
/// RESET the message is not sent.
///
/// Ownership: `data` is copied.
/// NULL:      `data` may be NULL when `data_len` is 0 (an empty last message).
/// Threads:   any thread.
/// Returns:   as `sockeye_close`, and ERR_TOO_BIG (over `frame_max_bytes` or the length field:
///            the connection stays open); ERR_NO_MEMORY.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_close_with(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    how: u32,
    data: *const c_void,
    data_len: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives `data_len` readable bytes.
        let data = unsafe { bytes_arg(data, data_len) }?;
        // SAFETY: as this function's own.
        unsafe { close(net, conn, how, Some(data)) }
    })
}

/// # Safety
/// `net` is NULL or a live net.
unsafe fn close(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    how: u32,
    last: Option<&[u8]>,
) -> Result<(), Error> {
    // SAFETY: as this function's own.
    let net = unsafe { enter(net) }?;
    let how = CloseHow::from_number(how).ok_or(Error::Invalid)?;
    net.close(net.token(conn.id, Kind::Conn)?, how, last)
}

/// Runs one call on a connection.
///
/// # Safety
/// `net` is NULL or a live net.
unsafe fn on_conn(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    call: impl FnOnce(&Net, Token) -> Result<(), Error>,
) -> sockeye_status {
    guard(|| {
        // SAFETY: as this function's own.
        let net = unsafe { enter(net) }?;
        call(net, net.token(conn.id, Kind::Conn)?)
    })
}

/// Stops reading a connection. Queued events are still delivered; later messages and the peer's end
/// are reported after `sockeye_conn_resume`. A reset is reported at once, or within a few seconds
/// where the system does not report it by itself, or when a send fails; what was not delivered
/// before is lost. `idle_timeout_ms` applies, except while bytes of the peer are pending.
///
/// NULL:      not allowed.
/// Threads:   any thread, any number of times.
/// Returns:   OK; ERR_CLOSED; ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_pause(
    net: *mut sockeye_net,
    conn: sockeye_conn,
) -> sockeye_status {
    // SAFETY: the caller gives NULL or a live net.
    unsafe { on_conn(net, conn, |net, token| net.pause(token, true)) }
}

/// Reads a paused connection again.
///
/// NULL:      not allowed.
/// Threads:   any thread, any number of times.
/// Returns:   OK; ERR_CLOSED; ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_resume(
    net: *mut sockeye_net,
    conn: sockeye_conn,
) -> sockeye_status {
    // SAFETY: the caller gives NULL or a live net.
    unsafe { on_conn(net, conn, |net, token| net.pause(token, false)) }
}

/// Sets the number that every later event of `conn` carries: an index or a pointer of the host. Set
/// while the host handles OPENED, it is in every event that follows.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_set_user_data(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    user_data: u64,
) -> sockeye_status {
    // SAFETY: the caller gives NULL or a live net.
    unsafe { on_conn(net, conn, |net, token| net.set_user_data(token, user_data)) }
}

/// Moves a connection to another queue. The old queue delivers the events that were reported
/// before, then MOVED with the new queue in `detail`, its last event of the connection. When that
/// batch has ended, the new queue reports MOVED with the old queue in `detail`, then all later
/// events. Nothing is received in between. Messages sent meanwhile stay in order and leave at the
/// latest with the new queue's MOVED. The socket moves to a worker of the new queue too, where the
/// model can detach a socket.
///
/// A connection that is still connecting moves after its OPENED. A close before the first MOVED
/// cancels the move, and the old queue reports CLOSED; after it the new queue does. A shutdown ends
/// the move at once: the new queue reports MOVED and CLOSED even if the old batch has not ended.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK, also for the queue that it is in, without an event; ERR_INVALID (NULL, unknown
///            queue); ERR_BUSY (an earlier move has not ended: its second MOVED was not delivered);
///            ERR_CLOSED; ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_set_queue(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    queue: u32,
) -> sockeye_status {
    // SAFETY: the caller gives NULL or a live net.
    unsafe { on_conn(net, conn, |net, token| net.conn_set_queue(token, queue)) }
}

/// Gives a connection another endpoint: timeouts, rates, weight, outbox, overflow and `half_open`
/// at any time. On a connection whose endpoint has `step` and that stands after OPENED or between
/// two messages, the framing too, and `step` itself, which may end so; then it goes on, as after
/// `sockeye_conn_resume`. Messages that were sent before keep the framing they were sent with. The
/// `queue`, `user_data` and the options of the socket stay as they are, and so do the frames of a
/// WebSocket, which takes no `unread` and no `half_open`.
///
/// `unread`: bytes that come before those that were not yet delivered: the host's own, or the part
/// of the last event that it did not use.
///
/// Ownership: `endpoint` and `unread` are copied.
/// NULL:      `endpoint` may be NULL for the defaults of `sockeye_endpoint_init`; `unread` when
///            `unread_len` is 0.
/// Threads:   any thread.
/// Returns:   OK; ERR_BUSY (another framing, `step` or `unread` while the connection does not stand
///            between two messages); ERR_INVALID (endpoint, in words); ERR_UNSUPPORTED (`unread` of
///            a WebSocket); ERR_NO_MEMORY; ERR_CLOSED; ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_configure(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    endpoint: *const sockeye_endpoint,
    unread: *const c_void,
    unread_len: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        // SAFETY: the caller gives NULL or an endpoint of its `struct_size`.
        let endpoint = unsafe { read_endpoint(endpoint) }?;
        // SAFETY: the caller gives `unread_len` readable bytes.
        let unread = unsafe { bytes_arg(unread, unread_len) }?;
        let token = net.token(conn.id, Kind::Conn)?;
        net.configure(token, endpoint, unread).map_err(in_words)
    })
}

/// Whether the host has not closed `conn`. A loop over a batch skips by it what stands behind a
/// close: 0 says that a handler closed this connection, so that only its CLOSED still counts. When
/// it was the peer who ended it, what it sent before is not skipped: that answers 1 as long as the
/// batch with CLOSED lives.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   1; 0 (a close by the host was answered with OK); ERR_STALE; ERR_INVALID (NULL).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_is_open(
    net: *mut sockeye_net,
    conn: sockeye_conn,
) -> sockeye_status {
    guard_send(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        Ok(sockeye_status::from(net.is_open(net.token(conn.id, Kind::Conn)?)?))
    })
}
