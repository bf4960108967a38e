//! Facts: what runs, what was counted.

use crate::engine::host::net::Net;
use crate::engine::shared::config::Drive;
use crate::engine::shared::error::Error;
use crate::engine::shared::home::Home;
use crate::io::os::local::Credentials;
use crate::io::{Model, Token};
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::*;

/// What a net runs with.
#[allow(missing_docs, reason = "the C ABI's `sockeye_net_info` documents each")]
pub struct NetInfo {
    pub model: Model,
    pub model_reason: &'static str,
    pub drive: Drive,
    pub drive_reason: &'static str,
    pub workers: u32,
    pub threads: u32,
    pub queues: u32,
    pub connections_max: u32,
}

/// What a net has counted.
#[allow(missing_docs, reason = "the C ABI's `sockeye_net_stats` documents each")]
pub struct NetStats {
    pub connections: u64,
    pub accepted: u64,
    pub accept_failures: u64,
    pub received_bytes: u64,
    pub received_messages: u64,
    pub sent_bytes: u64,
    pub sent_batches: u64,
    pub system_drops: u64,
    pub queue_drops: u64,
    pub send_failures: u64,
    pub turns: u64,
    pub waits: u64,
    pub wakes: u64,
    pub memory_bytes: u64,
    pub queued_bytes: u64,
    pub frame_bytes: u64,
    pub send_bytes: u64,
    pub memory_closes: u64,
}

/// Facts of a listener.
#[allow(missing_docs, reason = "the C ABI's `sockeye_listener_info` documents each")]
pub struct ListenerInfo {
    pub local: Option<SocketAddr>,
    pub accepted: u64,
}

/// Facts of a connection.
#[allow(missing_docs, reason = "the C ABI's `sockeye_conn_info` documents each")]
pub struct ConnInfo {
    pub queue: u32,
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub credentials: Option<Credentials>,
    pub listener: Option<Token>,
    pub user_data: u64,
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

impl Net {
    /// What runs, and why.
    pub fn info(&self) -> NetInfo {
        let (model, model_reason) = self.model();
        let (drive, drive_reason) = self.drive;
        NetInfo {
            model,
            model_reason,
            drive,
            drive_reason,
            workers: self.core.workers().count() as u32,
            threads: self.crew.threads.load(Relaxed),
            queues: self.core.queues.len() as u32,
            connections_max: self.core.config.connections_max,
        }
    }

    /// What was counted.
    pub fn stats(&self) -> NetStats {
        let homes = &self.core.homes;
        let sum = |counter: fn(&crate::engine::shared::home::Counters) -> &AtomicU64| {
            homes.iter().map(|home| counter(&home.counters).load(Relaxed)).sum()
        };
        NetStats {
            connections: self.core.table.conns(),
            accepted: sum(|counters| &counters.accepted),
            accept_failures: sum(|counters| &counters.accept_failures),
            received_bytes: sum(|counters| &counters.received_bytes),
            received_messages: sum(|counters| &counters.received_messages),
            sent_bytes: sum(|counters| &counters.sent_bytes),
            sent_batches: sum(|counters| &counters.sent_batches),
            system_drops: sum(|counters| &counters.system_drops),
            queue_drops: sum(|counters| &counters.queue_drops),
            send_failures: sum(|counters| &counters.send_failures),
            turns: sum(|counters| &counters.turns),
            waits: sum(|counters| &counters.waits),
            wakes: homes.iter().map(Home::strikes).sum(),
            memory_bytes: self.core.pool.bytes(),
            frame_bytes: self.core.pool.frame_bytes(),
            send_bytes: self.core.pool.send_bytes(),
            memory_closes: sum(|counters| &counters.memory_closes),
            queued_bytes: self.core.queues.iter().map(|queue| queue.bytes()).sum(),
        }
    }

    /// Facts of a listener.
    pub fn listener_info(&self, token: Token) -> Result<ListenerInfo, Error> {
        let mut held = self.core.table.hold(token).ok_or(Error::Stale)?;
        if let Some(port) = held.port() {
            return Ok(ListenerInfo { local: port.local, accepted: 0 });
        }
        let listener = held.listener().ok_or(Error::Stale)?;
        Ok(ListenerInfo { local: listener.local, accepted: listener.accepted })
    }

    /// Facts of a connection.
    pub fn conn_info(&self, token: Token) -> Result<ConnInfo, Error> {
        let Ok(mut held) = self.hold_conn(token) else { return self.port_info(token) };
        let user_data = held.slot().user_data.load(Acquire);
        let conn = held.conn().ok_or(Error::Stale)?;
        Ok(ConnInfo {
            queue: u32::from(conn.queue),
            peer: conn.peer(),
            local: conn.local(),
            credentials: conn.credentials(),
            listener: conn.listener(),
            user_data,
        })
    }

    /// What a connection has counted.
    pub fn conn_stats(&self, token: Token) -> Result<ConnStats, Error> {
        let Ok(mut held) = self.hold_conn(token) else {
            return self.port_stats(token, true);
        };
        let conn = held.conn().ok_or(Error::Stale)?;
        let outbox = conn.session.outbox();
        Ok(ConnStats {
            outbox_messages: outbox.messages(),
            outbox_bytes: u64::from(outbox.bytes()),
            received_bytes: conn.received_bytes,
            received_messages: conn.received_messages,
            sent_bytes: conn.sent_bytes,
            dropped_messages: u64::from(outbox.dropped()),
            system_drops: 0,
            queue_drops: 0,
            send_failures: 0,
        })
    }
}
