//! Nets: workers, queues and every listener and connection in them. The one place where a
//! completion meets a session. Read `worker/turn.rs` first.
//!
//! A line of code knows by its folder which threads run it: `host` is called by the host's
//! threads, `worker` is what a turn does, and `shared` is what both touch. The doors between them
//! are `host → shared ← worker`.

mod host;
mod open;
mod shared;
#[cfg(test)]
mod tests;
mod worker;

pub use crate::buf::heap;
pub use crate::io::datagram::ADDRESS_BYTES;
pub use crate::io::model::{Model, probe};
pub use crate::io::op::Token;
pub use crate::io::os::descriptor;
pub use crate::io::os::sys::{keeping_errno, process_ends, uncancelled};
pub use crate::io::os::tcp::TcpInfo;
pub use crate::io::threads::{Moment, ThreadHook};
pub use crate::io::{Way, Weather};
pub use crate::session::{
    Cause, Framing, FramingKind, Key, Limits, Overflow, Overlong, Page, Utf8,
};
pub use crate::transport::lanes::{
    Control, LANES_MAX, LaneKind, LaneOptions, Options as LaneDefaults, control_from_number,
};
pub use host::carried::{carrier_of_tests, carry_for_tests};
pub use host::facts::{Arrival, ConnInfo, ListenerInfo, NetInfo, QueueStats};
pub use host::layered::{layer_for_tests, layer_of_tests};
pub use host::net::Net;
pub use host::process::set_thread_hook;
pub use host::sends::Message;
pub use host::sockaddr;
pub use host::tokens::{TokenConfig, make_token};
pub use host::zone::parse_address;
pub use shared::callback::Receiver;
pub use shared::config::Scheme;
pub use shared::config::{CloseHow, Config, Drive, Endpoint, FRAME_TIMEOUT_AUTO, Flush, Kind};
pub use shared::counters::{ConnStats, NetStats};
pub use shared::datagrams::Target;
pub use shared::error::{Error, Refusal};
pub use shared::event::{Event, Form, Handed, Mail, Notice};
pub use shared::guard::GuardStats;
pub use shared::guard::asked::{ADMIT, Ask, REFUSE};
pub use shared::guard::proxies::Proxies;
pub use shared::guard::rules::{Prefix, Rule};
pub use shared::guard::table::Limits as GuardLimits;
pub use shared::histogram::{BUCKETS, Latencies, Measure, upper_ns};
pub use shared::http::HttpOptions;
pub use shared::kept;
pub use shared::lanes::LanesGiven;
pub use shared::log::{Level, Sink};
pub use shared::options::SocketOptions;
pub use shared::parting::Parted;
pub use shared::resolve::{Question, Service};
pub use shared::resolved::RESOLVED;
pub use shared::tls::{Chain, ClientAuth, TlsOptions, Verify};
pub use worker::timers;
