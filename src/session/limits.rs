//! Every bound of a session, by name.

/// Milliseconds of a clock that only goes forward; its zero is the net's start.
pub type Millis = u64;

/// A time in six bytes, for what every connection has: 8900 years of milliseconds.
#[derive(Clone, Copy, Default)]
pub struct Moment([u16; 3]);

impl From<Millis> for Moment {
    #[inline]
    fn from(now: Millis) -> Moment {
        debug_assert!(now >> 48 == 0, "it is later than it can be");
        Moment([now as u16, (now >> 16) as u16, (now >> 32) as u16])
    }
}

impl From<Moment> for Millis {
    #[inline]
    fn from(Moment([low, middle, high]): Moment) -> Millis {
        Millis::from(low) | Millis::from(middle) << 16 | Millis::from(high) << 32
    }
}

/// What happens to a message that the outbox has no room for.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overflow {
    /// It is refused.
    Reject = 0,
    /// The oldest messages of which nothing was written go.
    DropOldest = 1,
    /// The connection goes.
    Close = 2,
}

impl Overflow {
    /// The policy with this number.
    pub fn from_number(number: u32) -> Option<Overflow> {
        [Overflow::Reject, Overflow::DropOldest, Overflow::Close].get(number as usize).copied()
    }
}

/// The least that a rate may be: a receive may bring 64 KiB at once, and then waits for a minute.
const RATE_MIN: u32 = 1024;
/// What an outbox takes beside a largest frame, by default.
const BESIDE_FRAME_BYTES: u32 = 64 << 10;
/// The default for frames of the default's size.
const OUTBOX_BYTES: u32 = (1 << 20) + BESIDE_FRAME_BYTES;

/// Bounds of one session. A timeout of 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_endpoint` documents each")]
pub struct Limits {
    pub outbox_max_bytes: u32,
    pub outbox_low_bytes: u32,
    pub outbox_max_messages: u32,
    pub overflow: Overflow,
    pub gate_reads: bool,
    pub connect_timeout_ms: u32,
    pub idle_timeout_ms: u32,
    pub first_byte_timeout_ms: u32,
    pub frame_timeout_ms: u32,
    pub send_timeout_ms: u32,
    pub linger_ms: u32,
    pub half_open: bool,
    pub receive_rate: u32,
    pub send_rate: u32,
    pub min_receive_rate: u32,
    pub min_receive_window_ms: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            outbox_max_bytes: OUTBOX_BYTES,
            outbox_low_bytes: OUTBOX_BYTES / 4,
            outbox_max_messages: 65_536,
            overflow: Overflow::Reject,
            gate_reads: false,
            connect_timeout_ms: 10_000,
            idle_timeout_ms: 0,
            first_byte_timeout_ms: 0,
            frame_timeout_ms: 10_000,
            send_timeout_ms: 30_000,
            linger_ms: 2_000,
            half_open: false,
            receive_rate: 0,
            send_rate: 0,
            min_receive_rate: 0,
            min_receive_window_ms: 5_000,
        }
    }
}

impl Limits {
    /// Whether a peer may be late with what it sends.
    #[inline]
    pub fn times_receives(&self) -> bool {
        self.first_byte_timeout_ms | self.idle_timeout_ms | self.frame_timeout_ms != 0
    }

    /// Whether any rate is bounded.
    pub fn has_rates(&self) -> bool {
        self.receive_rate | self.send_rate | self.min_receive_rate != 0
    }

    /// The shortest time that any of them allows a peer, if one does.
    #[inline]
    pub fn shortest_timeout(&self) -> Option<Millis> {
        let receives = [self.first_byte_timeout_ms, self.idle_timeout_ms, self.frame_timeout_ms];
        // A step down makes the longest of 0.
        let shortest = receives.map(|ms| ms.wrapping_sub(1)).into_iter().min()?;
        let shortest = shortest.min(self.send_timeout_ms.wrapping_sub(1));
        shortest.checked_add(1).map(Millis::from)
    }

    /// Puts numbers in the place of zeros that stand for a default: the outbox takes a frame of
    /// `frame_max` bytes and some, and WRITABLE comes at a quarter.
    pub fn resolve(&mut self, frame_max: u32) {
        if self.outbox_max_bytes == 0 {
            self.outbox_max_bytes = frame_max.saturating_add(BESIDE_FRAME_BYTES);
        }
        if self.outbox_low_bytes == 0 {
            self.outbox_low_bytes = self.outbox_max_bytes / 4;
        }
    }

    /// No outbox takes more than the `memory` that all have together: what can never fit is too
    /// big.
    pub fn cap(&mut self, memory: u64) {
        let most = u32::try_from(memory).unwrap_or(u32::MAX);
        self.outbox_max_bytes = self.outbox_max_bytes.min(most);
        self.outbox_low_bytes = self.outbox_low_bytes.min(most / 4 * 3);
    }

    /// Whether the numbers go together; the message names the field.
    pub fn check(&self) -> Result<(), String> {
        if self.outbox_max_bytes < 1024 {
            return Err("endpoint.outbox_max_bytes must be 1024 or more, or 0".into());
        }
        if self.outbox_low_bytes >= self.outbox_max_bytes {
            return Err("endpoint.outbox_low_bytes must be below outbox_max_bytes".into());
        }
        if self.outbox_max_messages == 0 {
            return Err("endpoint.outbox_max_messages must be 1 or more".into());
        }
        let rates = [("receive_rate", self.receive_rate), ("send_rate", self.send_rate)];
        if let Some((field, _)) = rates.iter().find(|(_, rate)| (1..RATE_MIN).contains(rate)) {
            return Err(format!("endpoint.{field} must be {RATE_MIN} or more, or 0"));
        }
        if self.min_receive_rate > 0 && self.min_receive_window_ms == 0 {
            return Err("endpoint.min_receive_window_ms must be 1 or more".into());
        }
        Ok(())
    }
}
