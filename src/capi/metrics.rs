//! Metrics: the numbers of a net as text for a monitoring system.

use super::boundary::guard;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::Error;
use std::ffi::c_char;
use std::fmt;

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
