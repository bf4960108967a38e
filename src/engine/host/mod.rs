//! What the host's threads call.

pub mod calls;
pub mod datagrams;
pub mod facts;
pub mod net;
pub mod sends;
pub mod url;
pub mod zone;
