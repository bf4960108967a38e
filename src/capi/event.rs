//! Events: what a poll hands out.

use super::boundary::{fail, guard, in_words};
use super::conn::sockeye_conn;
use super::listener::sockeye_listener;
use super::net::{enter, sockeye_net};
use crate::engine::{ADDRESS_BYTES, Error, Form, Handed, Net, Notice};
use std::time::Duration;

/// What an event reports. Later versions may add kinds: a host ignores those that it does not know.
#[repr(C)]
pub enum sockeye_event_kind {
    /// No event.
    SOCKEYE_EVENT_NONE = 0,
    /// Accepted, or connected (`listener.id` is 0 then). The first event of a connection.
    SOCKEYE_EVENT_OPENED = 1,
    /// One message of a connection with framing: `data`, `data_len`. `flags` has
    /// SOCKEYE_FLAG_TRUNCATED if it was over `frame_max_bytes` and `overlong` is CUT.
    SOCKEYE_EVENT_MESSAGE = 2,
    /// One datagram, of a `listener` or of a connected `conn`: `data`, `data_len`, never NULL.
    /// `sockeye_event_address` gives its sender; `flags` has SOCKEYE_FLAG_TRUNCATED if it was
    /// longer than `frame_max_bytes` and is truncated.
    SOCKEYE_EVENT_DATAGRAM = 3,
    /// The outbox of `conn`, or of a `udp://` `listener`, has room again after a send was refused
    /// with ERR_AGAIN. `detail`: sends refused since the last WRITABLE.
    SOCKEYE_EVENT_WRITABLE = 4,
    /// The connection changes its queue: its last event in the old one, then its first in the new
    /// one. `detail`: the other queue.
    SOCKEYE_EVENT_MOVED = 5,
    /// The connection's last event, exactly once: `cause`, `os_error`. `detail`: bytes that sends
    /// took and that may not have been handed to the system; bytes of an operation in progress
    /// count, so the number is never too low. If it is not 0 the peer sees a reset, whatever the
    /// cause, except that with PEER and TRUNCATED the pending bytes may still be sent. `code`: with
    /// TRUNCATED, the bytes of the incomplete frame.
    SOCKEYE_EVENT_CLOSED = 6,
    /// The listener's last event, exactly once: `cause`, `os_error`. Its port is free again.
    SOCKEYE_EVENT_LISTENER_CLOSED = 7,
    /// From `sockeye_post`: `detail` and `user_data` are the poster's.
    SOCKEYE_EVENT_POSTED = 8,
    /// The peer ended its side of a connection whose endpoint has `half_open`. Reported once, after
    /// everything that the peer sent. Nothing more is received; the host can still send.
    SOCKEYE_EVENT_ENDED = 9,
    /// A timer has expired. `detail`: its id; `user_data`: what it was started with. `code`: how
    /// many further periods of it have passed, which have no events of their own.
    SOCKEYE_EVENT_TIMER = 10,
    /// What arrived on a connection without framing (RAW): `data`, `data_len`. TCP is a stream, so
    /// this is no message: the peer's sends may come joined or in pieces.
    SOCKEYE_EVENT_BYTES = 11,
    /// The answer to `sockeye_resolve` or `sockeye_resolve_address`. `cause`: 0, or RESOLVE with
    /// the resolver's code in `os_error`. `data`: the addresses, an array of `sockeye_address`, or
    /// the name and the service as two NUL-terminated texts. `user_data`: what the call was given.
    SOCKEYE_EVENT_RESOLVED = 12,
    /// Lanes: the peer of `conn` goes on from another address, which `sockeye_conn_get_info` has.
    SOCKEYE_EVENT_MIGRATED = 13,
}

/// The first kind that is the host's: `sockeye_post_message` takes kinds from here on.
pub const SOCKEYE_EVENT_HOST: u32 = 0x1000;

/// `flags` of a DATAGRAM or MESSAGE: it was longer than `frame_max_bytes`; the rest is lost.
pub const SOCKEYE_FLAG_TRUNCATED: u32 = 1;
/// `flags` of a MESSAGE: a text message of a WebSocket; it is UTF-8.
pub const SOCKEYE_FLAG_TEXT: u32 = 2;
/// `flags` of a MESSAGE: it came in an unreliable lane.
pub const SOCKEYE_FLAG_UNRELIABLE: u32 = 4;

/// One event, 64 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_event {
    /// A `sockeye_event_kind`.
    pub kind: u32,
    /// A `sockeye_cause` (CLOSED, LISTENER_CLOSED), else 0.
    pub cause: i32,
    /// The connection, or `{0}`.
    pub conn: sockeye_conn,
    /// OPENED: the listener that accepted the connection. LISTENER_CLOSED, and events of a `udp://`
    /// listener: the listener. Else `{0}`.
    pub listener: sockeye_listener,
    /// The `user_data` of the connection, listener, post or timer, read when this array was filled.
    pub user_data: u64,
    /// The payload, valid until the next poll of this queue. NULL when there is none, or when it is
    /// empty and not that of a DATAGRAM.
    pub data: *const u8,
    /// Its size in bytes.
    pub data_len: u32,
    /// The system's error behind `cause`, or 0.
    pub os_error: i32,
    /// Its meaning depends on the kind. With a payload of a connection or a `udp://` listener: the
    /// library's own number, for `sockeye_event_hold`.
    pub detail: u64,
    /// Its meaning depends on the kind.
    pub flags: u32,
    /// Its meaning depends on the kind. MESSAGE: the lane, 0 where there are none.
    pub code: u32,
}

const _: () = assert!(size_of::<sockeye_event>() == 64);

pub(super) const NO_EVENT: sockeye_event = sockeye_event {
    kind: 0,
    cause: 0,
    conn: sockeye_conn { id: 0 },
    listener: sockeye_listener { id: 0 },
    user_data: 0,
    data: std::ptr::null(),
    data_len: 0,
    os_error: 0,
    detail: 0,
    flags: 0,
    code: 0,
};

/// Waits for events of queue 0 and fills `out_events` with up to `cap` of them. Returns as soon as
/// there is one, at the latest after `timeout_ms`: 0 does not wait, -1 waits without limit. Ends
/// the previous batch: its payloads and the handles closed in it become invalid. Flushes its queue
/// first. The array may end early (no event of the same connection follows an OPENED), so a count
/// below `cap` does not mean that the queue is empty: poll until 0.
///
/// Ownership: payloads are borrowed until the next poll of this queue.
/// NULL:      not allowed, except an array with cap 0 as in `sockeye_set_callback`.
/// Threads:   one thread at a time for each queue; with IO_URING and `workers` 0 always the same
///            thread.
/// Returns:   the count of events, 0 after the timeout or when a shutdown ended the wait;
///            ERR_INVALID (NULL, cap 0 or below, a timeout below -1, or not the thread that a net
///            of IO_URING is bound to); ERR_BUSY (another thread polls the queue, or it has a
///            callback); ERR_SHUTDOWN (every event was delivered); ERR_PANIC (as ERR_SHUTDOWN,
///            after a fault).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_poll_events(
    net: *mut sockeye_net,
    out_events: *mut sockeye_event,
    cap: i32,
    timeout_ms: i32,
) -> i32 {
    // SAFETY: as this function's own.
    unsafe { poll(net, 0, out_events, cap, timeout_ms) }
}

/// `sockeye_poll_events` for one queue of several.
///
/// Ownership: payloads are borrowed until the next poll of this queue.
/// NULL:      not allowed.
/// Threads:   one thread at a time for each queue.
/// Returns:   as `sockeye_poll_events`, and ERR_INVALID for an unknown queue.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_queue_poll_events(
    net: *mut sockeye_net,
    queue: u32,
    out_events: *mut sockeye_event,
    cap: i32,
    timeout_ms: i32,
) -> i32 {
    // SAFETY: as this function's own.
    unsafe { poll(net, queue, out_events, cap, timeout_ms) }
}

/// # Safety
/// `net` is NULL or a live net, `out_events` NULL or `cap` writable events.
unsafe fn poll(
    net: *mut sockeye_net,
    queue: u32,
    out_events: *mut sockeye_event,
    cap: i32,
    timeout_ms: i32,
) -> i32 {
    guard(|| {
        // SAFETY: as this function's own.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        let timeout = (timeout_ms >= 0).then(|| Duration::from_millis(timeout_ms as u64));
        if out_events.is_null() && cap == 0 && timeout_ms >= -1 {
            let count = net.poll_callback(queue, timeout).map_err(in_words)?;
            return Ok(i32::try_from(count).unwrap_or(i32::MAX));
        }
        if out_events.is_null() || cap <= 0 || timeout_ms < -1 {
            return Err(fail(
                Error::Invalid,
                "poll needs an array, a cap of 1 or more, a timeout >= -1",
            ));
        }
        let write = |at: usize, handed: Handed| {
            // SAFETY: `at < cap`, and the caller gives `cap` writable events.
            unsafe { out_events.add(at).write(translate(net, handed)) }
        };
        let words = net.poll_words(queue);
        let count = net.poll(queue, cap as usize, timeout, write);
        Ok(count.map_err(|error| fail(error, words(error)))? as i32)
    })
}

/// The kind and the flags of an event with a payload.
#[inline]
fn kind_of(form: Form) -> (u32, u32) {
    let message = sockeye_event_kind::SOCKEYE_EVENT_MESSAGE as u32;
    match form {
        Form::Bytes => (sockeye_event_kind::SOCKEYE_EVENT_BYTES as u32, 0),
        Form::Cut => (message, SOCKEYE_FLAG_TRUNCATED),
        Form::Text => (message, SOCKEYE_FLAG_TEXT),
        Form::Carried { unreliable: true, .. } => (message, SOCKEYE_FLAG_UNRELIABLE),
        Form::Whole | Form::Carried { .. } => (message, 0),
    }
}

/// Where a payload is, NULL where it is empty, and its size.
fn payload(data: &[u8]) -> (*const u8, u32) {
    (if data.is_empty() { std::ptr::null() } else { data.as_ptr() }, data.len() as u32)
}

/// An event as C sees it.
#[inline]
pub(super) fn translate(net: &Net, handed: Handed) -> sockeye_event {
    let event = handed.event;
    let mut out = sockeye_event { user_data: handed.user_data, ..NO_EVENT };
    let conn = || sockeye_conn { id: net.conn_id(event.token) };
    match &event.notice {
        Notice::Message { data, form } => {
            (out.kind, out.flags) = kind_of(*form);
            out.conn = conn();
            (out.data, out.data_len) = payload(data);
            out.detail = handed.number;
            if let Form::Carried { lane, .. } = form {
                out.code = u32::from(*lane);
            }
        }
        Notice::Opened { listener, data } => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_OPENED as u32;
            out.conn = conn();
            (out.data, out.data_len) = payload(data);
            out.listener.id = listener.map_or(0, |token| net.listener_id(token));
        }
        Notice::Datagram { data, truncated, connected } => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_DATAGRAM as u32;
            match connected {
                true => out.conn = conn(),
                false => out.listener.id = net.listener_id(event.token),
            }
            let payload = &data[ADDRESS_BYTES..];
            out.data = payload.as_ptr();
            out.data_len = payload.len() as u32;
            out.detail = handed.number;
            out.flags = if *truncated { SOCKEYE_FLAG_TRUNCATED } else { 0 };
        }
        Notice::Writable { refused, listener } => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_WRITABLE as u32;
            match listener {
                true => out.listener.id = net.listener_id(event.token),
                false => out.conn = conn(),
            }
            out.detail = u64::from(*refused);
        }
        Notice::Moved { queue, left: _ } => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_MOVED as u32;
            out.conn = conn();
            out.detail = u64::from(*queue);
        }
        Notice::Closed { cause, os_error, unsent, code } => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_CLOSED as u32;
            out.conn = conn();
            (out.cause, out.os_error) = (*cause as i32, *os_error);
            (out.detail, out.code) = (*unsent, *code);
        }
        Notice::ListenerClosed { cause, os_error } => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_LISTENER_CLOSED as u32;
            out.listener.id = net.listener_id(event.token);
            out.cause = *cause as i32;
            out.os_error = *os_error;
        }
        Notice::Ended => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_ENDED as u32;
            out.conn = conn();
        }
        Notice::Migrated => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_MIGRATED as u32;
            out.conn = conn();
        }
        Notice::Gone => {}
        notice => translate_own(net, notice, &mut out),
    }
    out
}

/// What is of no connection and no listener, but of the host itself.
fn translate_own(net: &Net, notice: &Notice, out: &mut sockeye_event) {
    match notice {
        Notice::Posted { detail, user_data } => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_POSTED as u32;
            out.detail = *detail;
            out.user_data = *user_data;
        }
        Notice::Timer { timer, missed } => {
            out.kind = sockeye_event_kind::SOCKEYE_EVENT_TIMER as u32;
            out.detail = net.timer_id(*timer);
            out.code = *missed;
        }
        Notice::Mail(mail) => {
            out.kind = mail.kind;
            (out.cause, out.os_error) = (mail.cause, mail.os_error);
            (out.detail, out.user_data) = (mail.detail, mail.user_data);
            (out.data, out.data_len) = payload(&mail.data);
        }
        _ => {}
    }
}
