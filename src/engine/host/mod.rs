//! What the host's threads call.

pub mod callback;
pub mod calls;
pub mod carried;
pub mod certificates;
pub mod configure;
pub mod datagrams;
pub mod descriptors;
pub mod facts;
pub mod groups;
pub mod guard;
pub mod layered;
pub mod metrics;
pub mod moves;
pub mod names;
pub mod net;
pub mod process;
pub mod query;
pub mod sends;
pub mod sockaddr;
pub mod stop;
pub mod tcp;
pub mod timers;
pub mod tls;
pub mod url;
pub mod weather;
pub mod zone;
