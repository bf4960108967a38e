//! What is counted: a worker's counters, and what a net's and a connection's statistics are made
//! of.

use std::sync::atomic::{AtomicU64, Ordering::*};

/// The counters of a worker and the statistics of a net, from one table: a metric more is a line
/// here and a field of the C ABI's `sockeye_net_stats`.
macro_rules! counters {
    (
        counted { $($counted:ident,)* }
        own { $($(#[$doc:meta])* $own:ident,)* }
        found { $($found:ident,)* }
    ) => {
        /// What a worker counted, written by its turner.
        #[derive(Default)]
        #[allow(missing_docs, reason = "the C ABI's `sockeye_net_stats` documents each")]
        pub struct Counters {
            $(pub $counted: AtomicU64,)*
            $($(#[$doc])* pub $own: AtomicU64,)*
        }

        /// What a net has counted.
        #[derive(Default)]
        #[allow(missing_docs, reason = "the C ABI's `sockeye_net_stats` documents each")]
        pub struct NetStats {
            $(pub $counted: u64,)*
            $(pub $found: u64,)*
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
        }
    };
}

counters! {
    counted {
        accepted,
        accept_failures,
        received_bytes,
        received_messages,
        sent_bytes,
        sent_batches,
        system_drops,
        queue_drops,
        send_failures,
        memory_closes,
        turns,
        waits,
    }
    own {
        /// Waits that the system refused for want of something.
        wait_failures,
    }
    found {
        connections,
        wakes,
        memory_bytes,
        frame_bytes,
        send_bytes,
        queued_bytes,
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
