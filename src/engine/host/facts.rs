//! Facts: what runs, what was counted.

use crate::engine::host::net::Net;
use crate::engine::shared::config::Drive;
use crate::engine::shared::core::Core;
use crate::engine::shared::counters::{ConnStats, NetStats};
use crate::engine::shared::error::Error;
use crate::engine::shared::home::Home;
use crate::io::os::local::Credentials;
use crate::io::{Model, Token};
use std::net::SocketAddr;
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
    pub lingering_max: u32,
}

/// What waits in a queue.
#[allow(missing_docs, reason = "the C ABI's `sockeye_queue_stats` documents each")]
pub struct QueueStats {
    pub events: u64,
    pub bytes: u64,
    pub oldest_ns: u64,
}

/// Facts of a listener.
#[allow(missing_docs, reason = "the C ABI's `sockeye_listener_info` documents each")]
pub struct ListenerInfo {
    pub local: Option<SocketAddr>,
    pub accepted: u64,
}

/// What a connection came by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_arrival` documents each")]
pub enum Arrival {
    Plain = 0,
    Tls = 1,
    Web = 2,
    WebTls = 3,
}

/// Facts of a connection.
#[allow(missing_docs, reason = "the C ABI's `sockeye_conn_info` documents each")]
pub struct ConnInfo {
    pub queue: u32,
    pub peer: Option<SocketAddr>,
    pub proxy: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub credentials: Option<Credentials>,
    pub listener: Option<Token>,
    pub user_data: u64,
    pub arrival: Arrival,
}

/// What a net has counted.
pub fn stats(core: &Core) -> NetStats {
    NetStats {
        connections: core.table.conns(),
        waited_ns: core.homes.iter().map(Home::waited_ns).sum(),
        wakes: core.homes.iter().map(Home::strikes).sum(),
        memory_bytes: core.pool.bytes(),
        frame_bytes: core.pool.frame_bytes(),
        send_bytes: core.pool.send_bytes(),
        queued_bytes: core.queues.iter().map(|queue| queue.bytes()).sum(),
        ..NetStats::sum(core.homes.iter().map(|home| &home.counters))
    }
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
            threads: self.threads.load(Relaxed),
            queues: self.core.queues.len() as u32,
            connections_max: self.core.config.connections_max,
            lingering_max: self.core.config.lingering_max(),
        }
    }

    /// What was counted.
    pub fn stats(&self) -> NetStats {
        stats(&self.core)
    }

    /// What waits in a queue now.
    pub fn queue_stats(&self, queue: u32) -> Result<QueueStats, Error> {
        let queue = self.queue(queue)?;
        let oldest_ns = self.core.age_of(queue).as_nanos() as u64;
        Ok(QueueStats { events: queue.depth() as u64, bytes: queue.bytes(), oldest_ns })
    }

    /// Facts of a listener.
    pub fn listener_info(&self, token: Token) -> Result<ListenerInfo, Error> {
        let mut held = self.core.table.hold(token).ok_or(Error::Stale)?;
        if let Some(udp) = held.datagram().filter(|udp| !udp.hidden) {
            let accepted = udp.carriage.as_ref().map_or(0, |carriage| carriage.accepted);
            return Ok(ListenerInfo { local: udp.local, accepted });
        }
        let listener = held.listener().ok_or(Error::Stale)?;
        Ok(ListenerInfo { local: listener.local, accepted: listener.accepted })
    }

    /// Facts of a connection.
    pub fn conn_info(&self, token: Token) -> Result<ConnInfo, Error> {
        let Ok(mut held) = self.hold_conn(token) else { return self.datagram_info(token) };
        let user_data = held.slot().user_data.load(Acquire);
        let conn = &mut *held;
        Ok(ConnInfo {
            queue: u32::from(conn.queue),
            peer: conn.peer(),
            proxy: conn.proxy(),
            local: conn.local(),
            credentials: conn.credentials(),
            listener: conn.listener(),
            user_data,
            arrival: match (conn.session.tls().is_some(), conn.session.web_facts().is_some()) {
                (false, false) => Arrival::Plain,
                (true, false) => Arrival::Tls,
                (false, true) => Arrival::Web,
                (true, true) => Arrival::WebTls,
            },
        })
    }

    /// What a connection has counted.
    pub fn conn_stats(&self, token: Token) -> Result<ConnStats, Error> {
        let Ok(mut held) = self.hold_conn(token) else {
            return self.datagram_stats(token, true);
        };
        let conn = &mut *held;
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
