//! Lanes: `game://`, encrypted reliable and unreliable messages over UDP.

use super::boundary::{bytes_arg, fail, guard, guard_send, init_sized, read_sized, write_sized};
use super::conn::sockeye_conn;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{
    Error, Kind, LANES_MAX, LaneKind, LaneOptions, LanesGiven, control_from_number,
};
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

/// Lanes that a connection may have.
pub const SOCKEYE_LANES_MAX: u32 = 16;
const _: () = assert!(SOCKEYE_LANES_MAX as usize == LANES_MAX);

/// Bytes of a connect token.
pub const SOCKEYE_TOKEN_BYTES: u32 = 2048;
/// Bytes of the key that connect tokens are made with.
pub const SOCKEYE_TOKEN_KEY_BYTES: u32 = 32;

/// What a lane promises.
#[repr(C)]
pub enum sockeye_lane_kind {
    /// Every message arrives, in the order in which they were sent, or the connection closes.
    SOCKEYE_LANE_ORDERED = 0,
    /// Every message arrives, each as soon as it is complete, or the connection closes.
    SOCKEYE_LANE_RELIABLE = 1,
    /// Messages may be lost, and arrive in any order, none twice.
    SOCKEYE_LANE_UNRELIABLE = 2,
    /// Messages may be lost, and none arrives after a newer one.
    SOCKEYE_LANE_SEQUENCED = 3,
}

/// How the rate of a connection is found.
#[repr(C)]
pub enum sockeye_rate_control {
    /// It keeps the path's queues short, and holds its own beside TCP.
    SOCKEYE_RATE_GAME = 0,
    /// BBR.
    SOCKEYE_RATE_BBR = 1,
    /// `rate_max_bytes`, always.
    SOCKEYE_RATE_FIXED = 2,
}

/// One lane. A message that is lost in one delays no other lane.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_lane {
    /// A `sockeye_lane_kind`.
    pub kind: u32,
    /// Lanes with a lower number are sent first, 0 to 255.
    pub priority: u32,
    /// The share of those with the same priority, 1 to 255.
    pub weight: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// Lanes of an endpoint. Fill it with `sockeye_lanes_init`, then change what you need. The URL's
/// query has precedence.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_lanes {
    /// The size this program was built with; set by `sockeye_lanes_init`.
    pub struct_size: u32,
    /// The number of `lanes`, at most `SOCKEYE_LANES_MAX`. Both ends have the same. Default 0: lane
    /// 0 is ORDERED, 1 UNRELIABLE and 2 SEQUENCED, and those two are sent first.
    pub lanes_count: u32,
    /// The lanes, by number. NULL when `lanes_count` is 0.
    pub lanes: *const sockeye_lane,
    /// What the game and its version are: both ends and the token have the same. Default 0.
    pub protocol_id: u64,
    /// To connect: the connect token, `SOCKEYE_TOKEN_BYTES` bytes. The server's addresses are in
    /// it, and the URL is `game://` alone. Default NULL.
    pub token: *const u8,
    /// To listen: the key that tokens are made with, `SOCKEYE_TOKEN_KEY_BYTES` bytes. Default NULL.
    pub token_key: *const u8,
    /// Bytes a second that are sent at least where there is something to send. Default 4,000.
    pub rate_min_bytes: u64,
    /// Bytes a second that are sent at most; 0: any. Default 0.
    pub rate_max_bytes: u64,
    /// A `sockeye_rate_control`. Default GAME.
    pub rate_control: u32,
    /// The largest message, 1 to 16,777,216 bytes. Default 524,288.
    pub message_max_bytes: u32,
    /// The largest datagram, 1,200 to 65,000 bytes: what the path takes is found by trying, from
    /// 1,200 bytes on (RFC 8899). Default 1,472.
    pub mtu_max_bytes: u32,
    /// A peer that was not heard for so long is gone: TIMEOUT_PEER. In milliseconds, 100 or more.
    /// Default 10,000.
    pub peer_timeout_ms: u32,
    /// A peer that was sent nothing for so long is sent a keep-alive. In milliseconds, 10 or more.
    /// Default 500.
    pub ping_ms: u32,
    /// 1: there is no backend. Whoever connects makes its own token, with a key of zeros: neither
    /// end is authenticated, and nothing is private. Both ends say so. Default 0.
    pub open: u32,
    /// 1: peers have no lanes, as other programs that speak netcode: each payload is a DATAGRAM,
    /// and a send is one payload of at most 1,200 bytes. Default 0.
    pub plain: u32,
    /// Must be 0.
    pub reserved: [u32; 5],
}

const _: () = assert!(size_of::<sockeye_lane>() == 16);
const _: () = assert!(size_of::<sockeye_lanes>() == 80 + 3 * size_of::<usize>());

/// What is known of a connection's path, up to 100 ms old. Times are in microseconds.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct sockeye_lanes_info {
    /// `sizeof(sockeye_lanes_info)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// The round trip, smoothed (RFC 9002); 0: none was measured.
    pub rtt_us: u32,
    /// How much it varies.
    pub jitter_us: u32,
    /// The least of the last 10 seconds.
    pub rtt_min_us: u32,
    /// What packets wait in queues of the path.
    pub queue_us: u32,
    /// The largest datagram that the path is known to take, in bytes.
    pub mtu_bytes: u32,
    /// Bytes a second at which may be sent now.
    pub rate_bytes: u64,
    /// Bytes that were sent and neither acknowledged nor lost.
    pub in_flight_bytes: u64,
    /// Packets that were sent.
    pub packets_sent: u64,
    /// Of these, those that were lost.
    pub packets_lost: u64,
    /// Packets that were received.
    pub packets_received: u64,
    /// Of those that the peer sent, those that did not come.
    pub packets_missing: u64,
    /// Messages of the host that were dropped: too late, or replaced by a newer one of their key.
    pub messages_dropped: u64,
    /// The peer's clock less this one's, in microseconds, where `clock_known`.
    pub clock_offset_us: i64,
    /// 1: `clock_offset_us` was measured.
    pub clock_known: u32,
    /// 1: anybody can read and change what is sent (`open`).
    pub open: u32,
    /// 1: the peer has lanes.
    pub lanes: u32,
    /// 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<sockeye_lanes_info>() == 104);

impl Default for sockeye_lanes {
    fn default() -> Self {
        let options = crate::engine::LaneDefaults::default();
        sockeye_lanes {
            struct_size: size_of::<Self>() as u32,
            lanes_count: 0,
            lanes: ptr::null(),
            protocol_id: options.protocol_id,
            token: ptr::null(),
            token_key: ptr::null(),
            rate_min_bytes: options.rate_min_bytes,
            rate_max_bytes: options.rate_max_bytes,
            rate_control: sockeye_rate_control::SOCKEYE_RATE_GAME as u32,
            message_max_bytes: options.message_max_bytes,
            mtu_max_bytes: options.mtu_max_bytes,
            peer_timeout_ms: (options.peer_timeout / 1000) as u32,
            ping_ms: (options.ping / 1000) as u32,
            open: 0,
            plain: 0,
            reserved: Default::default(),
        }
    }
}

fn invalid(words: impl Into<String>) -> Error {
    fail(Error::Invalid, words)
}

fn flag(field: &str, value: u32) -> Result<bool, Error> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(invalid(format!("lanes.{field}: {value} is neither 0 nor 1"))),
    }
}

impl sockeye_lane {
    fn parse(&self, at: usize) -> Result<LaneOptions, Error> {
        let field = |name: &str| format!("lanes.lanes[{at}].{name}");
        let small = |name: &str, value: u32| {
            u8::try_from(value)
                .map_err(|_| invalid(format!("{} is {value}, at most 255", field(name))))
        };
        if self.reserved != 0 {
            return Err(invalid(format!("{} must be 0", field("reserved"))));
        }
        if self.weight == 0 {
            return Err(invalid(format!("{} is 0, must be 1 to 255", field("weight"))));
        }
        let kind = LaneKind::from_number(self.kind);
        Ok(LaneOptions {
            kind: kind
                .ok_or_else(|| invalid(format!("{}: {} is unknown", field("kind"), self.kind)))?,
            priority: small("priority", self.priority)?,
            weight: small("weight", self.weight)?,
        })
    }
}

/// Reads the lanes of an endpoint. None: there are none.
///
/// # Safety
/// `lanes` is NULL or has as many readable bytes as its `struct_size` says; it has as many lanes as
/// it says, and its token and its key are NULL or have as many bytes as these have.
pub(super) unsafe fn read_lanes(
    lanes: *const sockeye_lanes,
) -> Result<Option<Box<LanesGiven>>, Error> {
    if lanes.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
    let given = unsafe { read_sized(lanes, &sockeye_lanes::default(), "lanes") }?;
    if given.reserved.iter().any(|&it| it != 0) {
        return Err(invalid("lanes.reserved must be 0"));
    }
    if given.lanes_count > SOCKEYE_LANES_MAX {
        return Err(invalid(format!("lanes.lanes_count is {}, at most 16", given.lanes_count)));
    }
    let mut out = LanesGiven::default();
    let options = &mut out.options;
    if given.lanes_count > 0 {
        if given.lanes.is_null() {
            return Err(invalid("lanes.lanes is NULL"));
        }
        // SAFETY: not NULL, and the caller gives so many.
        let all = unsafe { std::slice::from_raw_parts(given.lanes, given.lanes_count as usize) };
        let parsed = all.iter().enumerate().map(|(at, lane)| lane.parse(at));
        options.lanes = parsed.collect::<Result<_, _>>()?;
    }
    options.protocol_id = given.protocol_id;
    (options.rate_min_bytes, options.rate_max_bytes) = (given.rate_min_bytes, given.rate_max_bytes);
    options.control = control_from_number(given.rate_control)
        .ok_or_else(|| invalid(format!("lanes.rate_control: {} is unknown", given.rate_control)))?;
    options.message_max_bytes = given.message_max_bytes;
    options.mtu_max_bytes = given.mtu_max_bytes;
    options.peer_timeout = u64::from(given.peer_timeout_ms) * 1000;
    options.ping = u64::from(given.ping_ms) * 1000;
    options.open = flag("open", given.open)?;
    if flag("plain", given.plain)? {
        if given.lanes_count > 0 {
            return Err(invalid("lanes.plain: there are no lanes then"));
        }
        options.lanes.clear();
    }
    if !given.token.is_null() {
        // SAFETY: not NULL, and the caller gives a whole token.
        let token =
            unsafe { std::slice::from_raw_parts(given.token, SOCKEYE_TOKEN_BYTES as usize) };
        out.token = Some(Arc::from(token));
    }
    if !given.token_key.is_null() {
        // SAFETY: not NULL, and the caller gives a whole key.
        out.options.key =
            unsafe { given.token_key.cast::<[u8; SOCKEYE_TOKEN_KEY_BYTES as usize]>().read() };
        out.keyed = true;
    }
    Ok(Some(Box::new(out)))
}

/// Fills `lanes` with the defaults, up to `size` bytes, and zeroes the bytes after those that this
/// library knows.
///
/// Ownership: `lanes` is the caller's, written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or a size that no release had and that is not larger).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_lanes_init(
    lanes: *mut sockeye_lanes,
    size: usize,
) -> sockeye_status {
    // SAFETY: the caller gives `size` writable bytes.
    guard(|| unsafe { init_sized(lanes, size, sockeye_lanes::default()) })
}

/// Gives one message to a connection, to be sent in one of its lanes. Each lane has an outbox of
/// `outbox_max_bytes`: what a full lane refuses, another one still takes. Connections without lanes
/// (`tcp://` and the like) take it as `sockeye_send` does, whatever the lane.
///
/// Ownership: `data` is copied.
/// NULL:      `data` may be NULL when `data_len` is 0.
/// Threads:   any thread. A later send of the same thread in the same lane is sent after this one.
/// Returns:   as `sockeye_send`, and ERR_INVALID (the connection has no such lane).
/// Since:     0.1
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn sockeye_send_lane(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    lane: u32,
    data: *const c_void,
    data_len: usize,
) -> sockeye_status {
    guard_send(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        // SAFETY: the caller gives `data_len` readable bytes.
        let data = unsafe { bytes_arg(data, data_len) }?;
        if lane >= SOCKEYE_LANES_MAX {
            return Err(Error::Invalid);
        }
        net.send_in_lane(net.token(conn.id, Kind::Conn)?, lane as u8, data)?;
        Ok(0)
    })
}

/// What is known of the path of a connection with lanes.
///
/// Ownership: `out_info` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_UNSUPPORTED (no lanes); ERR_STALE; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_get_lanes(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    out_info: *mut sockeye_lanes_info,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let facts = net.lane_facts(net.token(conn.id, Kind::Conn)?)?.ok_or(Error::Unsupported)?;
        let info = sockeye_lanes_info {
            struct_size: size.min(size_of::<sockeye_lanes_info>()) as u32,
            rtt_us: facts.rtt_us,
            jitter_us: facts.jitter_us,
            rtt_min_us: facts.rtt_min_us,
            queue_us: facts.queue_us,
            mtu_bytes: facts.mtu_bytes,
            rate_bytes: facts.rate_bytes,
            in_flight_bytes: facts.in_flight_bytes,
            packets_sent: facts.packets_sent,
            packets_lost: facts.packets_lost,
            packets_received: facts.packets_received,
            packets_missing: facts.packets_missing,
            messages_dropped: facts.messages_dropped,
            clock_offset_us: facts.clock_offset_us.unwrap_or(0),
            clock_known: u32::from(facts.clock_offset_us.is_some()),
            open: u32::from(facts.open),
            lanes: u32::from(facts.lanes),
            reserved: 0,
        };
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_info, size, &info) }
    })
}
