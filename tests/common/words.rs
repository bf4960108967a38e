//! The numbers of the ABI by short names.

use sockeye::capi::config::{sockeye_drive, sockeye_flush_mode};
use sockeye::capi::conn::sockeye_close_how;
use sockeye::capi::endpoint::{self, sockeye_framing_kind, sockeye_overflow};
use sockeye::capi::status::{sockeye_cause, sockeye_status_code};

pub const OK: i32 = sockeye_status_code::SOCKEYE_OK as i32;
pub const ERR_INVALID: i32 = sockeye_status_code::SOCKEYE_ERR_INVALID as i32;
pub const ERR_STALE: i32 = sockeye_status_code::SOCKEYE_ERR_STALE as i32;
pub const ERR_CLOSED: i32 = sockeye_status_code::SOCKEYE_ERR_CLOSED as i32;
pub const ERR_AGAIN: i32 = sockeye_status_code::SOCKEYE_ERR_AGAIN as i32;
pub const ERR_TOO_BIG: i32 = sockeye_status_code::SOCKEYE_ERR_TOO_BIG as i32;
pub const ERR_UNSUPPORTED: i32 = sockeye_status_code::SOCKEYE_ERR_UNSUPPORTED as i32;
pub const ERR_BUSY: i32 = sockeye_status_code::SOCKEYE_ERR_BUSY as i32;
pub const ERR_OS: i32 = sockeye_status_code::SOCKEYE_ERR_OS as i32;
pub const ERR_LIMIT: i32 = sockeye_status_code::SOCKEYE_ERR_LIMIT as i32;
pub const ERR_SHUTDOWN: i32 = sockeye_status_code::SOCKEYE_ERR_SHUTDOWN as i32;
pub const ERR_WOULD_DEADLOCK: i32 = sockeye_status_code::SOCKEYE_ERR_WOULD_DEADLOCK as i32;
#[cfg(unix)]
pub const ERR_FORKED: i32 = sockeye_status_code::SOCKEYE_ERR_FORKED as i32;
pub const ERR_PANIC: i32 = sockeye_status_code::SOCKEYE_ERR_PANIC as i32;
pub const ERR_NO_MEMORY: i32 = sockeye_status_code::SOCKEYE_ERR_NO_MEMORY as i32;

pub const PEER: i32 = sockeye_cause::SOCKEYE_CAUSE_PEER as i32;
pub const RESET: i32 = sockeye_cause::SOCKEYE_CAUSE_RESET as i32;
pub const REFUSED: i32 = sockeye_cause::SOCKEYE_CAUSE_REFUSED as i32;
pub const UNREACHABLE: i32 = sockeye_cause::SOCKEYE_CAUSE_UNREACHABLE as i32;
pub const RESOLVE: i32 = sockeye_cause::SOCKEYE_CAUSE_RESOLVE as i32;
pub const TIMEOUT_CONNECT: i32 = sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_CONNECT as i32;
pub const TIMEOUT_IDLE: i32 = sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_IDLE as i32;
pub const TIMEOUT_FIRST_BYTE: i32 = sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_FIRST_BYTE as i32;
pub const TIMEOUT_FRAME: i32 = sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_FRAME as i32;
pub const TIMEOUT_RATE: i32 = sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_RATE as i32;
pub const TIMEOUT_SEND: i32 = sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_SEND as i32;
pub const TIMEOUT_LINGER: i32 = sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_LINGER as i32;
pub const LIMIT_FRAME: i32 = sockeye_cause::SOCKEYE_CAUSE_LIMIT_FRAME as i32;
pub const LIMIT_MEMORY: i32 = sockeye_cause::SOCKEYE_CAUSE_LIMIT_MEMORY as i32;
pub const LIMIT_OUTBOX: i32 = sockeye_cause::SOCKEYE_CAUSE_LIMIT_OUTBOX as i32;
#[cfg_attr(windows, allow(dead_code, reason = "only a test of Unix has none left"))]
pub const LIMIT_DESCRIPTORS: i32 = sockeye_cause::SOCKEYE_CAUSE_LIMIT_DESCRIPTORS as i32;
pub const PROTOCOL: i32 = sockeye_cause::SOCKEYE_CAUSE_PROTOCOL as i32;
pub const HOST: i32 = sockeye_cause::SOCKEYE_CAUSE_HOST as i32;
pub const INTERNAL: i32 = sockeye_cause::SOCKEYE_CAUSE_INTERNAL as i32;
pub const TIMEOUT_PEER: i32 = sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_PEER as i32;
pub const TOKEN_EXPIRED: i32 = sockeye_cause::SOCKEYE_CAUSE_TOKEN_EXPIRED as i32;
pub const FULL: i32 = sockeye_cause::SOCKEYE_CAUSE_FULL as i32;
pub const TIMEOUT_HANDSHAKE: i32 = sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_HANDSHAKE as i32;
pub const TLS_CERTIFICATE_EXPIRED: i32 =
    sockeye_cause::SOCKEYE_CAUSE_TLS_CERTIFICATE_EXPIRED as i32;
pub const TLS_CERTIFICATE_NAME: i32 = sockeye_cause::SOCKEYE_CAUSE_TLS_CERTIFICATE_NAME as i32;
pub const TLS_CERTIFICATE_UNTRUSTED: i32 =
    sockeye_cause::SOCKEYE_CAUSE_TLS_CERTIFICATE_UNTRUSTED as i32;
pub const TLS_ALERT: i32 = sockeye_cause::SOCKEYE_CAUSE_TLS_ALERT as i32;
pub const TRUNCATED: i32 = sockeye_cause::SOCKEYE_CAUSE_TRUNCATED as i32;
pub const SHUTDOWN: i32 = sockeye_cause::SOCKEYE_CAUSE_SHUTDOWN as i32;

pub const DRIVE_POOL: u32 = sockeye_drive::SOCKEYE_DRIVE_POOL as u32;
pub const DRIVE_LEND: u32 = sockeye_drive::SOCKEYE_DRIVE_LEND as u32;
pub const DRIVE_HOST: u32 = sockeye_drive::SOCKEYE_DRIVE_HOST as u32;
pub const FLUSH_MANUAL: u32 = sockeye_flush_mode::SOCKEYE_FLUSH_MANUAL as u32;

pub const GRACEFUL: u32 = sockeye_close_how::SOCKEYE_CLOSE_GRACEFUL as u32;
pub const AT_ONCE: u32 = sockeye_close_how::SOCKEYE_CLOSE_RESET as u32;

pub const OVERFLOW_DROP_OLDEST: u32 = sockeye_overflow::SOCKEYE_OVERFLOW_DROP_OLDEST as u32;
pub const OVERFLOW_CLOSE: u32 = sockeye_overflow::SOCKEYE_OVERFLOW_CLOSE as u32;

pub const FRAMING_RAW: u32 = sockeye_framing_kind::SOCKEYE_FRAMING_RAW as u32;
pub const FRAMING_DELIMITER: u32 = sockeye_framing_kind::SOCKEYE_FRAMING_DELIMITER as u32;
pub const FRAMING_FIXED: u32 = sockeye_framing_kind::SOCKEYE_FRAMING_FIXED as u32;
pub const FRAMING_LENGTH: u32 = sockeye_framing_kind::SOCKEYE_FRAMING_LENGTH as u32;
pub const QUEUE_SPREAD: u32 = endpoint::SOCKEYE_QUEUE_SPREAD;
