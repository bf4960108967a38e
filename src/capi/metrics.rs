//! Metrics: the numbers of a net as text for a monitoring system.

use super::boundary::{guard, in_words, text_arg, write_sized};
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{BUCKETS, Error, Measure, upper_ns};
use std::ffi::c_char;
use std::fmt;

/// A latency that is counted with `config.histograms`.
#[repr(C)]
pub enum sockeye_histogram_kind {
    /// From when a worker received a message until a poll, or a callback, was given it: one for
    /// each message and each datagram. A turn of the worker is one time.
    SOCKEYE_HISTOGRAM_POLL = 0,
    /// From a send until its bytes were written to the system: one for each write, of the oldest
    /// message in it; what waits for a flush or for the peer is in it. Of streams (`tcp://`,
    /// `unix:`) alone.
    SOCKEYE_HISTOGRAM_SEND = 1,
}

/// What was counted of a latency since `sockeye_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_histogram {
    /// `sizeof(sockeye_histogram)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// How many of the buckets are used: 64.
    pub buckets: u32,
    /// Times counted: the sum of the buckets.
    pub count: u64,
    /// Their sum, in nanoseconds.
    pub sum_ns: u64,
    /// By bucket: the longest time in it, in nanoseconds; `UINT64_MAX` for the last. There are nine
    /// for each power of ten, from 1 microsecond to 9 seconds.
    pub upper_ns: [u64; 64],
    /// By bucket: how many times were in it, and in none before.
    pub counts: [u64; 64],
}

const _: () = assert!(BUCKETS == 64 && size_of::<sockeye_histogram>() == 24 + 2 * 64 * 8);

/// As much of a text as there is room for.
struct Cut {
    /// Has room for `cap` bytes.
    buffer: *mut c_char,
    cap: usize,
    /// Bytes of the whole text so far.
    len: usize,
}

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let more = text.len().min(self.cap.saturating_sub(self.len));
        if more > 0 {
            // SAFETY: `len + more <= cap`, and the text is not the caller's.
            unsafe {
                self.buffer.add(self.len).copy_from_nonoverlapping(text.as_ptr().cast(), more)
            };
        }
        self.len += text.len();
        Ok(())
    }
}

/// Writes all that a net has counted, and what is in its queues and workers now, in the text
/// exposition format 0.0.4 of Prometheus: what an HTTP server of the host's answers a scrape with,
/// as `text/plain; version=0.0.4`. The text has no NUL. `docs/metrics.md` has every metric.
///
/// It locks nothing that a worker or another thread would wait for. Numbers grow: who asks for the
/// length first gives a few hundred bytes more.
///
/// Ownership: `buffer` is borrowed until return. `out_len`, the whole text's length in bytes, is
///            written with ERR_TOO_BIG too.
/// NULL:      `buffer` when `cap` is 0, which asks for the length alone.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_TOO_BIG (the text is longer than `cap`; not a byte is written past it, and
///            what is in `buffer` is no text); ERR_INVALID (NULL).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_metrics_write(
    net: *mut sockeye_net,
    buffer: *mut c_char,
    cap: usize,
    out_len: *mut usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        if out_len.is_null() || (buffer.is_null() && cap > 0) {
            return Err(Error::Invalid);
        }
        let mut text = Cut { buffer, cap, len: 0 };
        // It takes whatever is written.
        let _ = net.write_metrics(&mut text);
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out_len.write(text.len) };
        if text.len > cap && cap > 0 { Err(Error::TooBig) } else { Ok(()) }
    })
}

/// What was counted of a latency, by all queues or workers together. Quantiles come of it: the
/// bucket in which half of the times are is the median.
///
/// Ownership: `out_histogram` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_UNSUPPORTED (`config.histograms` is 0); ERR_INVALID (NULL, an unknown kind,
///            size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_net_get_histogram(
    net: *mut sockeye_net,
    kind: u32,
    out_histogram: *mut sockeye_histogram,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let measure = Measure::from_number(kind).ok_or(Error::Invalid)?;
        if out_histogram.is_null() {
            return Err(Error::Invalid);
        }
        let counted = net.latencies(measure).ok_or(Error::Unsupported)?;
        let histogram = sockeye_histogram {
            struct_size: size.min(size_of::<sockeye_histogram>()) as u32,
            buckets: BUCKETS as u32,
            count: counted.count,
            sum_ns: counted.sum_ns,
            upper_ns: std::array::from_fn(|at| upper_ns(at).unwrap_or(u64::MAX)),
            counts: counted.buckets,
        };
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_histogram, size, &histogram) }
    })
}

/// Serves the metrics at a port of their own: `GET /metrics` of HTTP/1.1 is answered with the text
/// of `sockeye_metrics_write`, or as OpenMetrics 1.0 for who accepts that. A thread of the library
/// does so, "sockeye-metrics", with `workers` 0 too. No scrape takes time of a worker, makes an
/// event or counts as a connection.
///
/// Whoever reaches the port reads the numbers, without a password: listen at 127.0.0.1, or in a
/// network of your own. The rules and bans of the guard hold. A request has 8 KiB and 5 seconds; 16
/// connections are answered at the same time.
///
/// Ownership: `url`, `tcp://host:port` without a query, is copied. `out_port` is written with OK:
///            the port, also where the URL says 0.
/// NULL:      `out_port` may be NULL.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, a URL that is none of these); ERR_BUSY (they are served
///            already); ERR_OS (the port cannot be had, or no thread be started); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_metrics_listen(
    net: *mut sockeye_net,
    url: *const c_char,
    out_port: *mut u32,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        // SAFETY: the caller gives a NUL-terminated text or NULL.
        let url = unsafe { text_arg(url, "url") }?;
        let port = net.metrics_listen(url).map_err(in_words)?;
        if !out_port.is_null() {
            // SAFETY: the caller's to be written.
            unsafe { out_port.write(port.into()) };
        }
        Ok(())
    })
}

/// Ends `sockeye_metrics_listen`: when it returns the port is free and the thread has ended. A
/// shutdown does so too, at its end.
///
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK, also where nothing was served; ERR_INVALID (NULL).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_metrics_close(net: *mut sockeye_net) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        unsafe { enter(net) }?.metrics_close();
        Ok(())
    })
}
