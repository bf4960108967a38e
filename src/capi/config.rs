//! Configuration: what a net is made with.

use super::boundary::{guard, init_sized};
use super::status::sockeye_status;
use crate::engine;

/// Who turns the workers.
#[repr(C)]
pub enum sockeye_drive {
    /// Threads do all input and output; polls touch queues only.
    SOCKEYE_DRIVE_POOL = 0,
    /// A poll that would sleep turns the queue's home worker instead, so that its messages cross no
    /// thread. The worker's own thread takes over when no poll has waited for `lease_us`. The
    /// default.
    SOCKEYE_DRIVE_LEND = 1,
    /// Every poll, also with timeout 0, turns the home worker once on the caller's thread. The
    /// worker's own thread takes over when no poll was made for `lease_us`.
    SOCKEYE_DRIVE_HOST = 2,
}

/// When sends are handed to the system.
#[repr(C)]
pub enum sockeye_flush_mode {
    /// A send wakes its worker if that sleeps: it leaves at once, in one call with what was queued
    /// meanwhile.
    SOCKEYE_FLUSH_AUTO = 0,
    /// Sends leave only at a flush or a poll of the connection's queue.
    SOCKEYE_FLUSH_MANUAL = 1,
}

/// `workers`: as many as fit the machine, `max(queues, min(4, cores / 4))`.
pub const SOCKEYE_WORKERS_AUTO: u32 = 0xFFFF_FFFF;

/// `lingering_max`: an eighth of `connections_max`, at least 16.
pub const SOCKEYE_LINGERING_AUTO: u32 = 0xFFFF_FFFF;

/// What a net is made with. Fill it with `sockeye_config_init`, then change what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_config {
    /// The size this program was built with; set by `sockeye_config_init`.
    pub struct_size: u32,
    /// A `sockeye_model`. Default AUTO.
    pub model: u32,
    /// Workers, at most 64. 0: no thread at all, the polling thread does everything (drive HOST,
    /// one queue). Default `SOCKEYE_WORKERS_AUTO`; `sockeye_net_get_info` reports how many run.
    /// Where a worker can watch a limited number of sockets (`sockeye_model_info.sockets_max`), the
    /// net adds workers as they fill, up to 64, and removes them again; not with 0.
    pub workers: u32,
    /// Event queues, 1 to 64, each polled by one thread at a time. Default 1.
    pub queues: u32,
    /// A `sockeye_drive`. Default LEND.
    pub drive: u32,
    /// How long after the host's last poll a worker's own thread takes over, in microseconds, 100
    /// to 10,000,000. HOST counts from the last poll, LEND from the last poll that waited. Choose
    /// more than the tick of the host. Default 20,000.
    pub lease_us: u32,
    /// A `sockeye_flush_mode`. Default AUTO.
    pub flush: u32,
    /// Connections and listeners that may exist at once, 1 to 16,777,215. Past it an accepted peer
    /// is refused and counted, and `sockeye_connect` answers ERR_LIMIT. A connection that lingers
    /// after the host's graceful close does not count, up to `lingering_max` of them. Default
    /// 65,536.
    pub connections_max: u32,
    /// Interrupt moderation for a host that ticks: while events are pending and no thread polls for
    /// them, a worker's own thread does not look at its sockets for up to this many microseconds,
    /// at most 60,000,000. What arrives meanwhile stays in the kernel. A send, a close or a poll
    /// that waits ends the pause at once. Default 0: none. On Windows a timed wait is as exact as
    /// the system's timer: 15.6 ms, unless the process asks for more with timeBeginPeriod.
    pub gather_us: u32,
    /// How long a poll that waits, and a worker's own thread, check for events without sleeping, in
    /// microseconds, at most 60,000,000: the lowest latency, at the price of a busy processor.
    /// Default 0: they sleep at once.
    pub spin_us: u32,
    /// Messages that one connection may deliver in one turn of its worker; the rest is delivered in
    /// the next turn, after those of other connections. Default 1024.
    pub turn_messages: u32,
    /// Received bytes of one connection in one turn, 1024 to 65,536. Default 65,536.
    pub turn_bytes: u32,
    /// Bound on all buffers of the net, at least 1 MiB. Incomplete frames take at most 3/8 of it,
    /// and pending sends at most 3/8: past that, sends answer ERR_AGAIN and frames are not read
    /// further. When half of a share is used, connections that hold part of it and made no progress
    /// (8 KiB) for a second are closed with LIMIT_MEMORY, beginning with those of the address
    /// (IPv6: the /64) that holds most. Default 1 GiB.
    pub memory_max_bytes: u64,
    /// Bound on the bytes of pending events in one queue, at least 64 KiB; each event counts 64
    /// bytes beside its payload. Over it the workers stop reading that queue's connections until
    /// the host has drained half. A connection that fills an eighth is not read meanwhile; a
    /// listener of datagrams that fills half drops what arrives. The messages of one turn may come
    /// on top. Default 64 MiB.
    pub queue_max_bytes: u64,
    /// 1: `sockeye_fault_set` can imitate a bad network. Every byte then takes one more step
    /// through the worker. Default 0: that step does not exist and costs nothing.
    pub taps: u32,
    /// Timers that may exist at once, `sockeye_timer_start`, at most 16,777,215. Each may have one
    /// event in its queue, on top of `queue_max_bytes`. Default 131,072.
    pub timers_max: u32,
    /// Connections that linger after the host's graceful close may exist beside `connections_max`
    /// up to so many, so that a host that is full can still accept a peer and send it a last
    /// message. `sockeye_conn_index` is below the sum of both. At most 16,777,215. Default
    /// `SOCKEYE_LINGERING_AUTO`; `sockeye_net_get_info` reports the number.
    pub lingering_max: u32,
    /// Groups that may exist at once, `sockeye_group_create`, at most 16,777,215. Default 16,384.
    pub groups_max: u32,
    /// Groups that one connection may be in, at most 65,536. Default 128.
    pub conn_groups_max: u32,
    /// 1: latencies are counted, `sockeye_net_get_histogram`: a turn, a poll and a send that waits
    /// alone read the clock. Default 0: they are not.
    pub histograms: u32,
    /// Must be 0.
    pub reserved: [u32; 2],
}

const _: () = assert!(size_of::<sockeye_config>() == 96);

impl Default for sockeye_config {
    fn default() -> Self {
        let config = engine::Config::default();
        sockeye_config {
            struct_size: size_of::<Self>() as u32,
            model: config.model as u32,
            workers: SOCKEYE_WORKERS_AUTO,
            queues: config.queues,
            drive: config.drive as u32,
            lease_us: config.lease_us,
            flush: config.flush as u32,
            connections_max: config.connections_max,
            gather_us: config.gather_us,
            spin_us: config.spin_us,
            turn_messages: config.turn_messages,
            turn_bytes: config.turn_bytes,
            memory_max_bytes: config.memory_max_bytes,
            queue_max_bytes: config.queue_max_bytes,
            taps: config.taps.into(),
            timers_max: config.timers_max,
            lingering_max: SOCKEYE_LINGERING_AUTO,
            groups_max: config.groups_max,
            conn_groups_max: config.conn_groups_max,
            histograms: config.histograms.into(),
            reserved: Default::default(),
        }
    }
}

impl sockeye_config {
    /// Checks every number; the message names the field.
    pub(super) fn parse(&self) -> Result<engine::Config, String> {
        let workers = (self.workers != SOCKEYE_WORKERS_AUTO).then_some(self.workers);
        let lingering_max =
            (self.lingering_max != SOCKEYE_LINGERING_AUTO).then_some(self.lingering_max);
        let unknown = |field: &str, value: u32| format!("config.{field}: {value} is unknown");
        if self.reserved.iter().any(|&it| it != 0) {
            return Err("config.reserved must be 0".into());
        }
        for (name, flag) in [("taps", self.taps), ("histograms", self.histograms)] {
            if flag > 1 {
                return Err(format!("config.{name} is {flag}, must be 0 or 1"));
            }
        }
        let config = engine::Config {
            model: engine::Model::from_number(self.model)
                .ok_or_else(|| unknown("model", self.model))?,
            drive: engine::Drive::from_number(self.drive)
                .ok_or_else(|| unknown("drive", self.drive))?,
            flush: engine::Flush::from_number(self.flush)
                .ok_or_else(|| unknown("flush", self.flush))?,
            workers,
            queues: self.queues,
            lease_us: self.lease_us,
            connections_max: self.connections_max,
            gather_us: self.gather_us,
            spin_us: self.spin_us,
            turn_messages: self.turn_messages,
            turn_bytes: self.turn_bytes,
            memory_max_bytes: self.memory_max_bytes,
            queue_max_bytes: self.queue_max_bytes,
            taps: self.taps == 1,
            timers_max: self.timers_max,
            lingering_max,
            groups_max: self.groups_max,
            conn_groups_max: self.conn_groups_max,
            histograms: self.histograms == 1,
        };
        config.check()?;
        Ok(config)
    }
}

/// Fills `config` with the defaults, up to `size` bytes, and zeroes the bytes after those that this
/// library knows.
///
/// Ownership: `config` is the caller's, written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or a size that no release had and that is not larger).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_config_init(
    config: *mut sockeye_config,
    size: usize,
) -> sockeye_status {
    // SAFETY: the caller gives `size` writable bytes.
    guard(|| unsafe { init_sized(config, size, sockeye_config::default()) })
}
