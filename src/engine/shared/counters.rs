//! What is counted: a worker's counters, and what a net's and a connection's statistics are made
//! of.

use std::sync::atomic::{AtomicU64, Ordering::*};

/// The counters of a worker, the statistics of a net and its metrics, from one table: a metric more
/// is a line here with its words, and a field of the C ABI's `sockeye_net_stats`.
macro_rules! counters {
    (
        counted { $(#[doc = $counted_help:literal] $counted:ident,)* }
        found { $(#[doc = $found_help:literal] $found:ident: $kind:ident,)* }
    ) => {
        /// What a worker counted, written by its turner.
        #[derive(Default)]
        pub struct Counters {
            $(#[doc = $counted_help] pub $counted: AtomicU64,)*
        }

        /// What a net has counted.
        #[derive(Default)]
        pub struct NetStats {
            $(#[doc = $counted_help] pub $counted: u64,)*
            $(#[doc = $found_help] pub $found: u64,)*
        }

        impl NetStats {
            /// What all workers counted together.
            pub fn sum<'a>(workers: impl Iterator<Item = &'a Counters>) -> NetStats {
                let mut all = NetStats::default();
                for counters in workers {
                    $(all.$counted += counters.$counted.load(Relaxed);)*
                }
                all
            }

            /// Each number, with its name, what it is and its words.
            pub fn each(&self, mut see: impl FnMut(&str, MetricKind, &str, u64)) {
                $(
                    let name = stringify!($counted);
                    see(name, MetricKind::Counter, $counted_help.trim(), self.$counted);
                )*
                $(
                    let name = stringify!($found);
                    see(name, MetricKind::$kind, $found_help.trim(), self.$found);
                )*
            }
        }
    };
}

/// What becomes of a number with time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It is what there is now.
    Gauge,
}

counters! {
    counted {
        /// Connections accepted.
        accepted,
        /// Connections that could not be accepted, or were refused at once.
        accept_failures,
        /// Bytes received.
        received_bytes,
        /// Messages published as events.
        received_messages,
        /// Bytes handed to the system.
        sent_bytes,
        /// Send calls to the system that took something.
        sent_batches,
        /// Datagrams that the system dropped on arrival.
        system_drops,
        /// Datagrams dropped on arrival because a queue was full, or memory short.
        queue_drops,
        /// Datagrams that the system did not send, and reports that one did not arrive.
        send_failures,
        /// Connections closed because others needed the memory that they held.
        memory_closes,
        /// Turns of the workers.
        turns,
        /// Turns in which a worker waited in the system.
        waits,
        /// Waits that the system refused for want of something.
        wait_failures,
    }
    found {
        /// Nanoseconds that workers waited in the system.
        waited_ns: Counter,
        /// System calls made only to wake a thread.
        wakes: Counter,
        /// Connections that exist now.
        connections: Gauge,
        /// Bytes of memory in buffers now.
        memory_bytes: Gauge,
        /// Of the memory, bytes of incomplete frames.
        frame_bytes: Gauge,
        /// Of the memory, bytes of pending sends.
        send_bytes: Gauge,
        /// Bytes of pending events in all queues now.
        queued_bytes: Gauge,
    }
}

/// Adds to a counter that only this thread writes.
pub fn count(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed) + by, Relaxed);
}

/// What a connection, or a listener of datagrams, has counted.
#[derive(Clone, Copy, Default)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_conn_stats` documents each")]
pub struct ConnStats {
    pub outbox_messages: u32,
    pub outbox_bytes: u64,
    pub received_bytes: u64,
    pub received_messages: u64,
    pub sent_bytes: u64,
    pub dropped_messages: u64,
    pub system_drops: u64,
    pub queue_drops: u64,
    pub send_failures: u64,
}
