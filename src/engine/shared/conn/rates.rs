//! What a connection has whose endpoint bounds a rate.

use crate::session::{Bucket, Pace};

/// See the module.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Of what is received.
    pub inward: Bucket,
    /// Of what is given to the model to be sent.
    pub outward: Bucket,
    /// While a receive waits for the rest of a message.
    pub pace: Option<Pace>,
}
