//! Descriptors: sockets that the host brings, and takes away.

use super::boundary::{bytes_arg, fail, guard, in_words};
use super::buffer::sockeye_buffer;
use super::conn::sockeye_conn;
use super::endpoint::{read_endpoint, sockeye_endpoint};
use super::listener::sockeye_listener;
use super::net::{enter, enter_shared, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Kind, Parted, descriptor};
use std::ffi::c_void;

/// Opens a listener with a socket that is there already: of TCP or of this machine, which listens,
/// or of UDP, which is bound. `handle` is its descriptor, on Windows its SOCKET. From then on it
/// closes on exec and does not block. A URL does the same: `fd://3`, or by the name that a service
/// manager gave it, `fd://game` (LISTEN_FDNAMES, sd_listen_fds(3)), with the query of
/// `sockeye_listen`. The file of a local socket is not removed with this listener.
///
/// Ownership: OK moves the socket to the library, which closes it; else it stays the host's.
///            `endpoint` is copied; of its socket options none is set on a listener of streams.
/// NULL:      `endpoint` may be NULL for the defaults of `sockeye_endpoint_init`.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (not a socket, one that does not listen, one of another kind, or the
///            endpoint, in words); ERR_LIMIT (`connections_max`, what the model can watch); ERR_OS;
///            ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_listen_adopt(
    net: *mut sockeye_net,
    handle: isize,
    endpoint: *const sockeye_endpoint,
    out_listener: *mut sockeye_listener,
) -> sockeye_status {
    guard(|| {
        if out_listener.is_null() {
            return Err(fail(Error::Invalid, "out_listener is NULL"));
        }
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter_shared(net) }.map_err(in_words)?;
        // SAFETY: the caller gives NULL or an endpoint of its `struct_size`.
        let endpoint = unsafe { read_endpoint(endpoint) }?;
        let write = |id| {
            // SAFETY: not NULL, and the caller's to be written.
            unsafe { out_listener.write(sockeye_listener { id }) }
        };
        net.listen_adopt(handle, endpoint, write).map_err(in_words)
    })
}

/// Gives the socket of a listener of streams back, open and listening. Connections that the system
/// has accepted by itself stay in its backlog for the next accept; the file of a local socket
/// stays. LISTENER_CLOSED (HOST) follows, behind the OPENED of those that this listener had
/// accepted.
///
/// Ownership: OK moves the socket to the host. It closes on exec and does not block.
/// NULL:      not allowed.
/// Threads:   any thread but inside a callback. Waits for the worker, at most a second.
/// Returns:   OK; ERR_CLOSED (closing); ERR_UNSUPPORTED (BLOCKING, the overlapped models, a
///            datagram socket, `config.taps`); ERR_BUSY (not open yet; the worker did not answer:
///            with `workers = 0` the thread that polls is to call); ERR_STALE; ERR_INVALID;
///            ERR_WOULD_DEADLOCK; ERR_SHUTDOWN; ERR_PANIC.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_listener_release(
    net: *mut sockeye_net,
    listener: sockeye_listener,
    out_handle: *mut isize,
) -> sockeye_status {
    guard(|| {
        if out_handle.is_null() {
            return Err(fail(Error::Invalid, "out_handle is NULL"));
        }
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        let token = net.token(listener.id, Kind::Listener).map_err(in_words)?;
        let socket = net.listener_release(token).map_err(in_words)?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out_handle.write(descriptor::give(socket)) };
        Ok(())
    })
}

/// Begins a connection with a stream socket that is connected already, of TCP or of this machine,
/// and `unread_len` bytes that were received from it and stand in front of what it receives next:
/// they are cut into messages as if they had just arrived. OPENED follows, with no listener, then
/// what the bytes have. From then on the socket closes on exec and does not block.
///
/// Ownership: OK moves the socket to the library, which closes it; else it stays the host's.
///            `endpoint` and `unread` are copied.
/// NULL:      `endpoint` may be NULL for the defaults of `sockeye_endpoint_init`; `unread` when
///            `unread_len` is 0.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (not a connected stream socket, or the endpoint, in words); ERR_LIMIT
///            (`connections_max`); ERR_NO_MEMORY (`memory_max_bytes`); ERR_OS; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_adopt(
    net: *mut sockeye_net,
    handle: isize,
    endpoint: *const sockeye_endpoint,
    unread: *const c_void,
    unread_len: usize,
    out_conn: *mut sockeye_conn,
) -> sockeye_status {
    guard(|| {
        if out_conn.is_null() {
            return Err(fail(Error::Invalid, "out_conn is NULL"));
        }
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter_shared(net) }.map_err(in_words)?;
        // SAFETY: the caller gives NULL or an endpoint of its `struct_size`.
        let endpoint = unsafe { read_endpoint(endpoint) }?;
        // SAFETY: the caller gives `unread_len` readable bytes.
        let unread = unsafe { bytes_arg(unread, unread_len) }
            .map_err(|error| fail(error, "unread is NULL, or unread_len is out of range"))?;
        let write = |id| {
            // SAFETY: not NULL, and the caller's to be written.
            unsafe { out_conn.write(sockeye_conn { id }) }
        };
        net.conn_adopt(handle, endpoint, unread, write).map_err(in_words)
    })
}

/// Takes a connection out of the net: its socket, the bytes that were received and not cut into
/// messages (`*out_unread`, in the form of the wire, the beginning of a frame included), and those
/// that were taken to be sent and not handed to the system (`*out_unsent`, in the form of the wire,
/// the rest of a message that had partly left included). Who sends the one, and gives the other to
/// `sockeye_conn_adopt`, goes on without a byte lost or doubled. CLOSED (HOST, `detail` 0) follows
/// as the last event. The peer notices nothing.
///
/// Messages that wait to be polled were cut already: pause the connection, poll until there is
/// nothing, then release it. With events of it still to be polled the answer is ERR_BUSY, and it
/// goes on as before.
///
/// Ownership: OK moves the socket to the host, and both buffers until `sockeye_buffer_release`; a
///            buffer of no bytes has id 0. They do not count for `memory_max_bytes`. The socket
///            closes on exec and does not block.
/// NULL:      not allowed.
/// Threads:   any thread but inside a callback. Waits for the worker, at most a second.
/// Returns:   OK; ERR_BUSY (not open yet, moving, events still to be polled, in the middle of a
///            message that is being dropped; or the worker did not answer: with `workers = 0` the
///            thread that polls is to call); ERR_CLOSED; ERR_UNSUPPORTED (BLOCKING, the overlapped
///            models, datagrams, a connection with a layer, `config.taps`); ERR_NO_MEMORY (of the
///            system, with which the connection ends); ERR_STALE; ERR_INVALID; ERR_WOULD_DEADLOCK;
///            ERR_SHUTDOWN; ERR_PANIC.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_release(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    out_handle: *mut isize,
    out_unread: *mut sockeye_buffer,
    out_unsent: *mut sockeye_buffer,
) -> sockeye_status {
    guard(|| {
        if out_handle.is_null() || out_unread.is_null() || out_unsent.is_null() {
            return Err(fail(Error::Invalid, "out_handle, out_unread or out_unsent is NULL"));
        }
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        let token = net.token(conn.id, Kind::Conn).map_err(in_words)?;
        let Parted { socket, unread, unsent } = net.conn_release(token).map_err(in_words)?;
        // SAFETY: none is NULL, and they are the caller's to be written.
        unsafe {
            sockeye_buffer::give_all(unread, out_unread)?;
            sockeye_buffer::give_all(unsent, out_unsent)?;
            out_handle.write(descriptor::give(socket));
        }
        Ok(())
    })
}

/// The descriptor of a connection's socket, on Windows its SOCKET, to look at or to set options of
/// the system's on. Reading, writing, shutting down and closing it are the library's.
///
/// Ownership: stays the library's. It is another socket's once the connection is closed.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_CLOSED (it has none any more, or none yet); ERR_STALE; ERR_INVALID.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_native(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    out_handle: *mut isize,
) -> sockeye_status {
    guard(|| {
        if out_handle.is_null() {
            return Err(fail(Error::Invalid, "out_handle is NULL"));
        }
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        let token = net.token(conn.id, Kind::Conn).map_err(in_words)?;
        let handle = net.conn_native(token).map_err(in_words)?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out_handle.write(handle) };
        Ok(())
    })
}
