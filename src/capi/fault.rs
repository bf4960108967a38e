//! Faults: imitating a bad network on purpose.

use super::boundary::{fail, guard, in_words, init_sized, read_sized, same_fields};
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Way, Weather};

/// The faults of one direction of a socket. 0 in a field: none of that kind. The bytes of a stream
/// always arrive, in order and unchanged; duplicates, reordering and corruption are for datagrams.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct sockeye_fault_way {
    /// Bytes a second, at most 2^40. A datagram passes when its last byte has.
    pub rate_bytes: u64,
    /// Streams: the connection is reset, for both ends, when this many bytes have passed.
    pub reset_after_bytes: u64,
    /// Everything passes this much later, at most 60,000, except connects and accepts.
    pub delay_ms: u32,
    /// The delay is up to this much more or less, at most `delay_ms`. Datagrams may overtake each
    /// other.
    pub jitter_ms: u32,
    /// Nothing passes for this long, at most 60,000, from the call that sets it, or from the
    /// beginning of a new socket.
    pub stall_ms: u32,
    /// Streams: bytes pass in pieces of at most this size, each in a system call and a receive of
    /// its own.
    pub split_bytes: u32,
    /// Datagrams lost, per million. In a stream this share of receives and sends passes 200 ms
    /// later, as if lost and sent again, and so does what follows it.
    pub loss_ppm: u32,
    /// Mean number of losses in a row, at most 1,000,000; more where the rate of losses needs it. 0
    /// and 1: losses are independent of each other.
    pub burst: u32,
    /// Datagrams that pass twice, per million.
    pub duplicate_ppm: u32,
    /// Datagrams that the next one overtakes, per million; without a next one they pass 20 ms
    /// later.
    pub reorder_ppm: u32,
    /// Datagrams that pass with one bit changed, per million.
    pub corrupt_ppm: u32,
    /// Must be 0.
    pub reserved: [u32; 3],
}

/// The faults of both directions. Fill it with `sockeye_fault_init`, then change what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_fault {
    /// The size this program was built with; set by `sockeye_fault_init`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The seed of all random draws: the same seed gives the same draws to the first socket that it
    /// applies to, to the second, and so on.
    pub seed: u64,
    /// Applied to what is received.
    pub inward: sockeye_fault_way,
    /// Applied to what is sent.
    pub outward: sockeye_fault_way,
}

const _: () = assert!(size_of::<sockeye_fault_way>() == 64);
const _: () = assert!(size_of::<sockeye_fault>() == 144);

impl Default for sockeye_fault {
    fn default() -> Self {
        sockeye_fault {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            seed: 0,
            inward: sockeye_fault_way::default(),
            outward: sockeye_fault_way::default(),
        }
    }
}

impl sockeye_fault_way {
    fn parse(&self, name: &str) -> Result<Way, String> {
        if self.reserved.iter().any(|&it| it != 0) {
            return Err(format!("fault.{name}.reserved must be 0"));
        }
        let way = same_fields!(self => Way {
            delay_ms,
            jitter_ms,
            stall_ms,
            split_bytes,
            loss_ppm,
            burst,
            duplicate_ppm,
            reorder_ppm,
            corrupt_ppm,
            rate_bytes,
            reset_after_bytes,
        });
        way.check(name)?;
        Ok(way)
    }
}

impl sockeye_fault {
    /// Checks every number; the message names the field.
    fn parse(&self) -> Result<Weather, String> {
        if self.reserved != 0 {
            return Err("fault.reserved must be 0".into());
        }
        let (inward, outward) = (self.inward.parse("inward")?, self.outward.parse("outward")?);
        Ok(Weather::new(self.seed, inward, outward))
    }
}

/// Fills `fault` with the defaults, up to `size` bytes, and zeroes the bytes after those that this
/// library knows. The defaults are no faults.
///
/// Ownership: `fault` is the caller's, written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or a size that no release had and that is not larger).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_fault_init(
    fault: *mut sockeye_fault,
    size: usize,
) -> sockeye_status {
    // SAFETY: the caller gives `size` writable bytes.
    guard(|| unsafe { init_sized(fault, size, sockeye_fault::default()) })
}

/// Sets the faults of a connection (`conn.id`), of a listener with all connections that it accepted
/// or will accept (`listener.id`), or of the whole net (0). A connection's own setting has
/// precedence, then its listener's, then the net's. It replaces the previous setting from the next
/// turn of the worker on; bytes that are delayed by then pass at their time.
///
/// Needs `config.taps`. It is meant for tests, and for trying a game on a bad line. The tap reads
/// ahead of the host and takes sends ahead of the system, up to 1 MiB in each direction, so bytes
/// count as sent when the tap has taken them. A close, a shutdown and the end of a stream wait for
/// what was sent before, within `linger_ms`. For a connection that moves to another worker the
/// faults start over.
///
/// Ownership: `fault` is copied.
/// NULL:      `fault` may be NULL: no setting of its own.
/// Threads:   any thread, any number of times.
/// Returns:   OK; ERR_INVALID (NULL net, a value out of its range: `sockeye_last_error` names the
///            field); ERR_UNSUPPORTED (`config.taps` is 0); ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_fault_set(
    net: *mut sockeye_net,
    id: u64,
    fault: *const sockeye_fault,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        if fault.is_null() {
            return net.set_weather(id, None).map_err(in_words);
        }
        // SAFETY: not NULL, and the caller gives a struct of the size that it says.
        let fault = unsafe { read_sized(fault, &sockeye_fault::default(), "fault") }?;
        let weather = fault.parse().map_err(|words| fail(Error::Invalid, words))?;
        net.set_weather(id, Some(weather)).map_err(in_words)
    })
}
