//! A net as a safe value: thin, and close to the C names.

use super::event::{Batch, Buffer, Event};
use super::message::Message;
use super::words::{ERR_INVALID, ERR_STALE, OK};
use sockeye::capi::address::sockeye_address;
use sockeye::capi::buffer::{sockeye_buffer, sockeye_buffer_acquire};
use sockeye::capi::callback::{sockeye_callback_fn, sockeye_set_callback};
use sockeye::capi::config::sockeye_config;
use sockeye::capi::conn as conn_calls;
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::datagram::{self as datagram_calls, sockeye_listener_stats};
#[cfg(unix)]
use sockeye::capi::descriptor;
use sockeye::capi::endpoint::sockeye_endpoint;
use sockeye::capi::event::{sockeye_event, sockeye_queue_poll_events};
use sockeye::capi::fault::{sockeye_fault, sockeye_fault_init, sockeye_fault_set};
use sockeye::capi::listener::{self as listener_calls, sockeye_listener};
use sockeye::capi::log::{sockeye_log_fn, sockeye_set_log};
use sockeye::capi::message::sockeye_send_message;
use sockeye::capi::metrics::{
    sockeye_histogram, sockeye_metrics_close, sockeye_metrics_listen, sockeye_metrics_write,
    sockeye_net_get_histogram,
};
use sockeye::capi::net::{
    sockeye_discard, sockeye_free, sockeye_init, sockeye_net, sockeye_shutdown,
};
use sockeye::capi::queue::{self as queue_calls, sockeye_queue_get_stats, sockeye_queue_stats};
use sockeye::capi::resolve as resolve_calls;
use sockeye::capi::stats::{self as stats_calls, sockeye_conn_info, sockeye_conn_stats};
use sockeye::capi::stats::{sockeye_listener_info, sockeye_net_info, sockeye_net_stats};
use sockeye::capi::tcp::{sockeye_conn_get_tcp_info, sockeye_conns_get_tcp_info, sockeye_tcp_info};
use sockeye::capi::timer::{sockeye_timer, sockeye_timer_start, sockeye_timer_stop};
use sockeye::capi::words::sockeye_last_error;
use std::ffi::{CStr, CString, c_void};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::ptr;

/// The words of this thread's last refusal.
pub fn last_error() -> String {
    // SAFETY: never NULL, NUL-terminated, and no call of this thread comes between.
    unsafe { CStr::from_ptr(sockeye_last_error()) }.to_str().expect("words are UTF-8").to_owned()
}

/// A fault that `change` changed from the default.
pub fn fault(change: impl FnOnce(&mut sockeye_fault)) -> sockeye_fault {
    let mut fault = sockeye_fault::default();
    // SAFETY: room for a fault.
    let status = unsafe { sockeye_fault_init(&mut fault, size_of::<sockeye_fault>()) };
    assert_eq!(status, OK);
    change(&mut fault);
    fault
}

const NO_EVENT: sockeye_event = sockeye_event {
    kind: 0,
    cause: 0,
    conn: sockeye_conn { id: 0 },
    listener: sockeye_listener { id: 0 },
    user_data: 0,
    data: ptr::null(),
    data_len: 0,
    os_error: 0,
    detail: 0,
    flags: 0,
    code: 0,
};

/// A net; freed when dropped.
pub struct Net(*mut sockeye_net);

// SAFETY: every call of the library may come from any thread.
unsafe impl Send for Net {}
// SAFETY: as above.
unsafe impl Sync for Net {}

impl Drop for Net {
    fn drop(&mut self) {
        // SAFETY: a live net, and `&mut self` says that nobody else is in it.
        let status = unsafe { sockeye_free(self.0) };
        let gone = status == OK || status == ERR_STALE; // it was discarded
        assert!(gone || std::thread::panicking(), "free answered {status}");
    }
}

/// Runs one `get_…` call with room for its answer.
fn facts<T>(call: impl FnOnce(*mut T, usize) -> i32) -> Result<T, i32> {
    let mut out = MaybeUninit::<T>::zeroed();
    let status = call(out.as_mut_ptr(), size_of::<T>());
    // SAFETY: the answers are plain numbers, for which zeros are a value too.
    answer(status).map(|_| unsafe { out.assume_init() })
}

fn answer(status: i32) -> Result<i32, i32> {
    if status >= 0 { Ok(status) } else { Err(status) }
}

pub fn address(from: SocketAddr) -> sockeye_address {
    Some(from).into()
}

impl Net {
    pub fn open(config: &sockeye_config) -> Result<Net, i32> {
        let mut net = ptr::null_mut();
        // SAFETY: both point to live values.
        answer(unsafe { sockeye_init(config, &mut net) }).map(|_| Net(net))
    }

    /// `sockeye_free` while others may still poll; `Err` leaves the net to be used.
    ///
    /// # Safety
    /// After `OK` the net is gone: the value must be forgotten, not dropped.
    pub unsafe fn free(&self) -> i32 {
        // SAFETY: a live net; the rest is the caller's word.
        unsafe { sockeye_free(self.0) }
    }

    pub fn listen(
        &self,
        url: &str,
        endpoint: Option<&sockeye_endpoint>,
    ) -> Result<sockeye_listener, i32> {
        let url = CString::new(url).expect("no NUL");
        let mut out = sockeye_listener { id: 0 };
        let endpoint = endpoint.map_or(ptr::null(), ptr::from_ref);
        // SAFETY: a live net, a text, an endpoint or NULL, room for the answer.
        let status =
            unsafe { listener_calls::sockeye_listen(self.0, url.as_ptr(), endpoint, &mut out) };
        answer(status).map(|_| out)
    }

    pub fn connect(
        &self,
        url: &str,
        endpoint: Option<&sockeye_endpoint>,
    ) -> Result<sockeye_conn, i32> {
        let url = CString::new(url).expect("no NUL");
        let mut out = sockeye_conn { id: 0 };
        let endpoint = endpoint.map_or(ptr::null(), ptr::from_ref);
        // SAFETY: a live net, a text, an endpoint or NULL, room for the answer.
        let status =
            unsafe { conn_calls::sockeye_connect(self.0, url.as_ptr(), endpoint, &mut out) };
        answer(status).map(|_| out)
    }

    #[cfg(unix)]
    pub fn listen_adopt(
        &self,
        handle: isize,
        endpoint: Option<&sockeye_endpoint>,
    ) -> Result<sockeye_listener, i32> {
        let mut out = sockeye_listener { id: 0 };
        let endpoint = endpoint.map_or(ptr::null(), ptr::from_ref);
        // SAFETY: a live net, an endpoint or NULL, room for the answer.
        let status =
            unsafe { descriptor::sockeye_listen_adopt(self.0, handle, endpoint, &mut out) };
        answer(status).map(|_| out)
    }

    #[cfg(unix)]
    pub fn listener_release(&self, door: sockeye_listener) -> Result<isize, i32> {
        let mut out = -1;
        // SAFETY: a live net and room for the answer.
        let status = unsafe { descriptor::sockeye_listener_release(self.0, door, &mut out) };
        answer(status).map(|_| out)
    }

    #[cfg(unix)]
    pub fn conn_adopt(
        &self,
        handle: isize,
        endpoint: Option<&sockeye_endpoint>,
        unread: &[u8],
    ) -> Result<sockeye_conn, i32> {
        let mut out = sockeye_conn { id: 0 };
        let endpoint = endpoint.map_or(ptr::null(), ptr::from_ref);
        let (data, len) = (unread.as_ptr().cast(), unread.len());
        // SAFETY: a live net, an endpoint or NULL, `len` bytes, room for the answer.
        let status = unsafe {
            descriptor::sockeye_conn_adopt(self.0, handle, endpoint, data, len, &mut out)
        };
        answer(status).map(|_| out)
    }

    /// The socket, what was received and not cut, and what was not sent.
    #[cfg(unix)]
    pub fn conn_release(&self, conn: sockeye_conn) -> Result<(isize, Vec<u8>, Vec<u8>), i32> {
        let none = sockeye_buffer { data: ptr::null_mut(), data_len: 0, capacity: 0, id: 0 };
        let (mut handle, mut unread, mut unsent) = (-1, none, none);
        // SAFETY: a live net and room for the answers.
        let status = unsafe {
            descriptor::sockeye_conn_release(self.0, conn, &mut handle, &mut unread, &mut unsent)
        };
        answer(status)?;
        let bytes = |buffer: sockeye_buffer| {
            let kept = Buffer(buffer);
            if buffer.id == 0 { Vec::new() } else { kept.bytes().to_vec() }
        };
        Ok((handle, bytes(unread), bytes(unsent)))
    }

    #[cfg(unix)]
    pub fn conn_native(&self, conn: sockeye_conn) -> Result<isize, i32> {
        let mut out = -1;
        // SAFETY: a live net and room for the answer.
        let status = unsafe { descriptor::sockeye_conn_native(self.0, conn, &mut out) };
        answer(status).map(|_| out)
    }

    pub fn listener_close(&self, door: sockeye_listener) -> i32 {
        // SAFETY: a live net.
        unsafe { listener_calls::sockeye_listener_close(self.0, door) }
    }

    #[must_use]
    pub fn send(&self, conn: sockeye_conn, data: &[u8]) -> i32 {
        // SAFETY: a live net and `data.len()` bytes.
        unsafe { conn_calls::sockeye_send(self.0, conn, data.as_ptr().cast(), data.len()) }
    }

    /// `sockeye_send_many`: its answer, and each connection's.
    pub fn send_many(&self, conns: &[sockeye_conn], data: &[u8]) -> (i32, Vec<i32>) {
        let mut each = vec![ERR_INVALID; conns.len()];
        // SAFETY: a live net, `conns.len()` handles and answers, `data.len()` bytes.
        let taken = unsafe {
            conn_calls::sockeye_send_many(
                self.0,
                conns.as_ptr(),
                conns.len(),
                data.as_ptr().cast(),
                data.len(),
                each.as_mut_ptr(),
            )
        };
        (taken, each)
    }

    /// `sockeye_send_message`: its answer, and each connection's.
    pub fn send_message(&self, conns: &[sockeye_conn], message: &Message<'_>) -> (i32, Vec<i32>) {
        let mut each = vec![ERR_INVALID; conns.len()];
        let (to, count) = (conns.as_ptr(), conns.len());
        let taken = message.with_raw(|message| {
            // SAFETY: a live net, `count` handles and answers, a message of live parts.
            unsafe { sockeye_send_message(self.0, to, count, message, each.as_mut_ptr()) }
        });
        (taken, each)
    }

    /// `send_message` to one: its own answer.
    #[must_use]
    pub fn send_parts(&self, conn: sockeye_conn, message: &Message<'_>) -> i32 {
        let (taken, each) = self.send_message(&[conn], message);
        if taken < 0 {
            return taken;
        }
        assert_eq!(taken, i32::from(each[0] == OK), "the count is of those that took it");
        each[0]
    }

    #[must_use]
    pub fn send_to(&self, door: sockeye_listener, to: SocketAddr, data: &[u8]) -> i32 {
        let (data, len, to) = (data.as_ptr(), data.len(), address(to));
        // SAFETY: a live net, an address, `len` bytes.
        unsafe { datagram_calls::sockeye_send_to(self.0, door, &to, data.cast(), len) }
    }

    /// Answers a datagram, from the address of this machine that it asked.
    #[cfg_attr(windows, allow(dead_code, reason = "Wine does not carry the source of an answer"))]
    #[must_use]
    pub fn answer(&self, asked: &Event, data: &[u8]) -> i32 {
        let to = sockeye_address { local: asked.asked, ..address(asked.sender.expect("has one")) };
        let (bytes, len) = (data.as_ptr(), data.len());
        // SAFETY: a live net, an address, `len` bytes.
        unsafe { datagram_calls::sockeye_send_to(self.0, asked.listener, &to, bytes.cast(), len) }
    }

    /// `sockeye_listener_join` or `sockeye_listener_leave`.
    pub fn change_membership(
        &self,
        door: sockeye_listener,
        group: IpAddr,
        interface: u32,
        join: bool,
    ) -> i32 {
        let group = address(SocketAddr::new(group, 0));
        let call = match join {
            true => datagram_calls::sockeye_listener_join,
            false => datagram_calls::sockeye_listener_leave,
        };
        // SAFETY: a live net and an address.
        unsafe { call(self.0, door, &group, interface) }
    }

    pub fn listener_stats(&self, door: sockeye_listener) -> Result<sockeye_listener_stats, i32> {
        // SAFETY: a live net and room for the answer.
        facts(|out, size| unsafe {
            datagram_calls::sockeye_listener_get_stats(self.0, door, out, size)
        })
    }

    pub fn close(&self, conn: sockeye_conn, how: u32) -> i32 {
        // SAFETY: a live net.
        unsafe { conn_calls::sockeye_close(self.0, conn, how) }
    }

    pub fn close_with(&self, conn: sockeye_conn, how: u32, last: &[u8]) -> i32 {
        // SAFETY: a live net and `last.len()` bytes.
        unsafe {
            conn_calls::sockeye_close_with(self.0, conn, how, last.as_ptr().cast(), last.len())
        }
    }

    pub fn pause(&self, conn: sockeye_conn) -> i32 {
        // SAFETY: a live net.
        unsafe { conn_calls::sockeye_conn_pause(self.0, conn) }
    }

    pub fn configure(&self, conn: sockeye_conn, endpoint: &sockeye_endpoint, unread: &[u8]) -> i32 {
        // SAFETY: both live through the call.
        unsafe {
            let (unread, len) = (unread.as_ptr().cast(), unread.len());
            conn_calls::sockeye_conn_configure(self.0, conn, endpoint, unread, len)
        }
    }

    pub fn resume(&self, conn: sockeye_conn) -> i32 {
        // SAFETY: a live net.
        unsafe { conn_calls::sockeye_conn_resume(self.0, conn) }
    }

    pub fn is_open(&self, conn: sockeye_conn) -> i32 {
        // SAFETY: a live net.
        unsafe { conn_calls::sockeye_conn_is_open(self.0, conn) }
    }

    pub fn set_user_data(&self, conn: sockeye_conn, user_data: u64) -> i32 {
        // SAFETY: a live net.
        unsafe { conn_calls::sockeye_conn_set_user_data(self.0, conn, user_data) }
    }

    pub fn set_queue(&self, conn: sockeye_conn, queue: u32) -> i32 {
        // SAFETY: a live net.
        unsafe { conn_calls::sockeye_conn_set_queue(self.0, conn, queue) }
    }

    /// # Safety
    /// `callback` may be called with `user`, on any thread, until another function or NULL is set,
    /// and no payload of an earlier batch of this queue may be read after it.
    pub unsafe fn set_callback(
        &self,
        queue: u32,
        callback: sockeye_callback_fn,
        user: *mut c_void,
    ) -> i32 {
        // SAFETY: a live net; the rest is the caller's word.
        unsafe { sockeye_set_callback(self.0, queue, callback, user) }
    }

    /// A poll without an array, for callbacks without worker threads.
    pub fn poll_callback(&self, queue: u32, timeout_ms: i32) -> i32 {
        // SAFETY: a live net; an array of nothing.
        unsafe { sockeye_queue_poll_events(self.0, queue, ptr::null_mut(), 0, timeout_ms) }
    }

    /// Polls one queue.
    ///
    /// # Safety
    /// No payload of an earlier batch of this queue may be read after it.
    pub unsafe fn poll(&self, queue: u32, cap: usize, timeout_ms: i32) -> Result<Batch<'_>, i32> {
        let mut raw = vec![NO_EVENT; cap];
        let into = raw.as_mut_ptr();
        // SAFETY: a live net and room for `cap` events.
        let count = answer(unsafe {
            sockeye_queue_poll_events(self.0, queue, into, cap as i32, timeout_ms)
        })?;
        raw.truncate(count as usize);
        Ok(Batch { net: self, raw, queue })
    }

    pub fn flush(&self) -> i32 {
        // SAFETY: a live net.
        unsafe { queue_calls::sockeye_flush(self.0) }
    }

    pub fn queue_flush(&self, queue: u32) -> i32 {
        // SAFETY: a live net.
        unsafe { queue_calls::sockeye_queue_flush(self.0, queue) }
    }

    pub fn post(&self, queue: u32, detail: u64, user_data: u64) -> i32 {
        // SAFETY: a live net.
        unsafe { queue_calls::sockeye_post(self.0, queue, detail, user_data) }
    }

    pub fn wake(&self, queue: u32) -> i32 {
        // SAFETY: a live net.
        unsafe { queue_calls::sockeye_wake(self.0, queue) }
    }

    pub fn post_message(&self, queue: u32, kind: u32, numbers: (u64, u64), data: &[u8]) -> i32 {
        let (detail, user_data) = numbers;
        // SAFETY: a live net, and the bytes of the message.
        unsafe {
            let (data, len) = (data.as_ptr().cast(), data.len());
            queue_calls::sockeye_post_message(self.0, queue, kind, detail, user_data, data, len)
        }
    }

    pub fn resolve(&self, queue: u32, name: &str, service: Option<&str>, user_data: u64) -> i32 {
        let c_text = |text: &str| CString::new(text).expect("no NUL");
        let (name, service) = (c_text(name), service.map(c_text));
        let service = service.as_ref().map_or(ptr::null(), |service| service.as_ptr());
        // SAFETY: a live net and texts.
        unsafe { resolve_calls::sockeye_resolve(self.0, queue, name.as_ptr(), service, user_data) }
    }

    pub fn resolve_address(&self, queue: u32, address: &sockeye_address, user_data: u64) -> i32 {
        // SAFETY: a live net and an address.
        unsafe { resolve_calls::sockeye_resolve_address(self.0, queue, address, user_data) }
    }

    pub fn start_timer(
        &self,
        queue: u32,
        after_ms: u32,
        every_ms: u32,
        user_data: u64,
    ) -> Result<u64, i32> {
        let mut out = sockeye_timer { id: 0 };
        // SAFETY: a live net and room for the answer.
        answer(unsafe {
            sockeye_timer_start(self.0, queue, after_ms, every_ms, user_data, &mut out)
        })
        .map(|_| out.id)
    }

    pub fn stop_timer(&self, id: u64) -> i32 {
        // SAFETY: a live net.
        unsafe { sockeye_timer_stop(self.0, sockeye_timer { id }) }
    }

    pub fn wait_handle(&self, queue: u32) -> Result<i32, i32> {
        let mut out = 0isize;
        // SAFETY: a live net and room for the answer.
        answer(unsafe { queue_calls::sockeye_wait_handle(self.0, queue, &mut out) })
            .map(|_| out as i32)
    }

    pub fn wait_port(&self, queue: u32, port: isize, key: u64) -> i32 {
        // SAFETY: a live net.
        unsafe { queue_calls::sockeye_wait_port(self.0, queue, port, key) }
    }

    /// # Safety
    /// `log` may be called with `user`, on any thread, until another function or NULL is set.
    pub unsafe fn set_log(&self, log: sockeye_log_fn, user: *mut c_void, level: u32) -> i32 {
        // SAFETY: a live net; the rest is the caller's word.
        unsafe { sockeye_set_log(self.0, log, user, level) }
    }

    /// `sockeye_fault_set`, for a connection, a listener or the net (0).
    pub fn fault(&self, id: u64, fault: Option<&sockeye_fault>) -> i32 {
        // SAFETY: a live net, a fault or NULL.
        unsafe { sockeye_fault_set(self.0, id, fault.map_or(ptr::null(), ptr::from_ref)) }
    }

    pub fn shutdown(&self, timeout_ms: i32) -> i32 {
        // SAFETY: a live net.
        unsafe { sockeye_shutdown(self.0, timeout_ms) }
    }

    /// Frees it from wherever this is; dropping it is nothing then.
    pub fn discard(&self) -> i32 {
        // SAFETY: a net, and the test lets no other thread call it meanwhile.
        unsafe { sockeye_discard(self.0) }
    }

    pub fn raw(&self) -> *mut sockeye_net {
        self.0
    }

    pub fn acquire(&self, len: usize) -> Result<Buffer, i32> {
        let mut out = sockeye_buffer { data: ptr::null_mut(), data_len: 0, capacity: 0, id: 0 };
        // SAFETY: a live net and room for the answer.
        answer(unsafe { sockeye_buffer_acquire(self.0, len, &mut out) }).map(|_| Buffer(out))
    }

    /// `sockeye_event_hold` with an event of any age.
    pub fn hold(&self, event: &sockeye_event) -> Result<Buffer, i32> {
        let mut out = sockeye_buffer { data: ptr::null_mut(), data_len: 0, capacity: 0, id: 0 };
        // SAFETY: a live net, an event, room for the answer.
        let status = unsafe { sockeye::capi::buffer::sockeye_event_hold(self.0, event, &mut out) };
        answer(status).map(|_| Buffer(out))
    }

    pub fn info(&self) -> sockeye_net_info {
        // SAFETY: a live net and room for the answer.
        facts(|out, size| unsafe { stats_calls::sockeye_net_get_info(self.0, out, size) })
            .expect("get_info answers")
    }

    pub fn stats(&self) -> sockeye_net_stats {
        // SAFETY: a live net and room for the answer.
        facts(|out, size| unsafe { stats_calls::sockeye_net_get_stats(self.0, out, size) })
            .expect("get_stats answers")
    }

    /// `sockeye_metrics_write`, with the length asked for first.
    pub fn metrics(&self) -> String {
        let mut len = 0;
        // SAFETY: a live net, no room, and room for the length.
        let status = unsafe { sockeye_metrics_write(self.0, ptr::null_mut(), 0, &mut len) };
        assert_eq!(status, OK);
        let mut text = vec![0_u8; len + 1000];
        let (room, cap) = (text.as_mut_ptr().cast(), text.len());
        // SAFETY: a live net, room for the text and its length.
        assert_eq!(unsafe { sockeye_metrics_write(self.0, room, cap, &mut len) }, OK);
        text.truncate(len);
        String::from_utf8(text).expect("a text")
    }

    /// `sockeye_metrics_listen`: the port.
    pub fn metrics_listen(&self, url: &str) -> Result<u16, i32> {
        let (url, mut port) = (CString::new(url).expect("no NUL"), 0);
        // SAFETY: a live net, a text, and room for the port.
        answer(unsafe { sockeye_metrics_listen(self.0, url.as_ptr(), &mut port) })?;
        Ok(port as u16)
    }

    pub fn metrics_close(&self) -> i32 {
        // SAFETY: a live net.
        unsafe { sockeye_metrics_close(self.0) }
    }

    pub fn histogram(&self, kind: u32) -> Result<sockeye_histogram, i32> {
        // SAFETY: a live net and room for the answer.
        facts(|out, size| unsafe { sockeye_net_get_histogram(self.0, kind, out, size) })
    }

    pub fn queue_stats(&self, queue: u32) -> sockeye_queue_stats {
        // SAFETY: a live net and room for the answer.
        facts(|out, size| unsafe { sockeye_queue_get_stats(self.0, queue, out, size) })
            .expect("a queue")
    }

    pub fn listener_info(&self, door: sockeye_listener) -> Result<sockeye_listener_info, i32> {
        // SAFETY: a live net and room for the answer.
        facts(|out, size| unsafe {
            stats_calls::sockeye_listener_get_info(self.0, door, out, size)
        })
    }

    pub fn conn_info(&self, conn: sockeye_conn) -> Result<sockeye_conn_info, i32> {
        // SAFETY: a live net and room for the answer.
        facts(|out, size| unsafe { stats_calls::sockeye_conn_get_info(self.0, conn, out, size) })
    }

    pub fn conn_stats(&self, conn: sockeye_conn) -> Result<sockeye_conn_stats, i32> {
        // SAFETY: a live net and room for the answer.
        facts(|out, size| unsafe { stats_calls::sockeye_conn_get_stats(self.0, conn, out, size) })
    }

    pub fn tcp_info(&self, conn: sockeye_conn) -> Result<sockeye_tcp_info, i32> {
        // SAFETY: a live net and room for the answer.
        facts(|out, size| unsafe { sockeye_conn_get_tcp_info(self.0, conn, out, size) })
    }

    /// `sockeye_conns_get_tcp_info`: of how many there is an answer, and each.
    pub fn many_tcp_infos(&self, conns: &[sockeye_conn]) -> (i32, Vec<sockeye_tcp_info>) {
        let mut each = vec![sockeye_tcp_info { struct_size: 1, ..Default::default() }; conns.len()];
        let (count, size) = (conns.len(), size_of::<sockeye_tcp_info>());
        // SAFETY: a live net, so many handles and answers.
        let known = unsafe {
            sockeye_conns_get_tcp_info(self.0, conns.as_ptr(), count, each.as_mut_ptr(), size)
        };
        (known, each)
    }

    /// `sockeye_conns_get_stats`: how many were alive, and each.
    pub fn many_stats(&self, conns: &[sockeye_conn]) -> (i32, Vec<sockeye_conn_stats>) {
        let mut each =
            vec![sockeye_conn_stats { struct_size: 1, ..Default::default() }; conns.len()];
        let size = size_of::<sockeye_conn_stats>();
        // SAFETY: a live net, `conns.len()` handles and answers.
        let alive = unsafe {
            let (conns, each) = (conns, each.as_mut_ptr());
            stats_calls::sockeye_conns_get_stats(self.0, conns.as_ptr(), conns.len(), each, size)
        };
        (alive, each)
    }
}
