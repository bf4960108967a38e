//! Lanes of an endpoint, as the host gives them.

use crate::transport::lanes::Options;
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct LanesGiven {
    /// How they are done.
    pub options: Options,
    /// What a connect is let in with.
    pub token: Option<Arc<[u8]>>,
    /// The key of tokens was given.
    pub keyed: bool,
}
