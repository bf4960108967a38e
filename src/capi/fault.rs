//! Faults: what a bad network would do, on purpose.

use super::boundary::{fail, guard, in_words, init_sized, read_sized, same_fields};
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Way, Weather};

/// What happens to one direction of a socket. 0 in a field: nothing of the kind. A stream's bytes
/// all come, in order and unchanged, whatever is set; doubles, order and changed bytes are of
/// datagrams.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct sockeye_fault_way {
    /// Bytes a second, at most 2^40. A datagram passes when all of it has.
    pub rate_bytes: u64,
    /// Streams: the connection is reset, for both ends, when so many bytes have passed.
    pub reset_after_bytes: u64,
    /// Everything passes so much later, at most 60,000. A connect and an accept do not.
    pub delay_ms: u32,
    /// The delay is up to so much more or less, at most `delay_ms`. Datagrams overtake each other
    /// by it.
    pub jitter_ms: u32,
    /// Nothing passes for so long, at most 60,000, from when it is set or the socket is new.
    pub stall_ms: u32,
    /// Streams: pieces of at most so many bytes, a system call and a receive for each.
    pub split_bytes: u32,
    /// Datagrams that are lost, of a million. Of a stream, receives and sends of so many come
    /// 200 ms later, as if they were lost and sent again, and what is behind them waits.
    pub loss_ppm: u32,
    /// Losses in a row, in the mean, at most 1,000,000; in longer rows where so many could not be
    /// lost otherwise. 0 and 1: each is lost or not by itself.
    pub burst: u32,
    /// Datagrams that pass twice, of a million.
    pub duplicate_ppm: u32,
    /// Datagrams that the next one overtakes, of a million; without a next one they pass 20 ms
    /// later.
    pub reorder_ppm: u32,
    /// Datagrams that pass with one bit changed, of a million.
    pub corrupt_ppm: u32,
    /// Must be 0.
    pub reserved: [u32; 3],
}

/// What happens to both directions. Fill it with `sockeye_fault_init`, then change what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_fault {
    /// The size this program was built with; set by `sockeye_fault_init`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// What all of it is drawn from: the same seed draws the same, for the first socket that it
    /// rules, for the second and so on.
    pub seed: u64,
    /// To what is received.
    pub inward: sockeye_fault_way,
    /// To what is sent.
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

/// Fills `fault` with the defaults, up to `size` bytes, and zeroes what this library does not know
/// of it: nothing happens.
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

/// Has what a bad network does happen to the bytes of a connection (`conn.id`), of a listener and
/// all that it accepted or will (`listener.id`), or of the whole net (0). The nearest one rules: a
/// connection's own, else its listener's, else the net's. From the next turn of its worker on, in
/// place of what was set before; what is on its way by then passes when it was to.
///
/// Needs `config.taps`. It is for tests and for a look at a game over a bad line; a net that asks
/// for no taps has none of it. Each socket is read and sent for ahead, up to 1 MiB a direction, so
/// a send is `sent` when the tap has it. A close, a shutdown and an end of the stream wait for what
/// was sent before, within `linger_ms`. A connection that moves to another worker begins anew.
///
/// Ownership: `fault` is copied.
/// NULL:      `fault` may be NULL: nothing of its own.
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
