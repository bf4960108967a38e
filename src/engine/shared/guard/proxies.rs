//! The proxies of a listener: who may say for whom it speaks.

use super::rules::{Prefix, Rule, Rules};
use crate::session::Millis;
use std::net::IpAddr;

/// Where the proxies of a listener are, and how long one may take.
#[derive(Debug)]
pub struct Proxies {
    /// Whom these deny is a proxy.
    from: Rules,
    /// Time for a header; 0: any.
    pub timeout_ms: Millis,
}

impl Proxies {
    /// Proxies of these prefixes, with so much time for a header; 0: any.
    pub fn new(from: impl IntoIterator<Item = Prefix>, timeout_ms: u32) -> Proxies {
        let rules: Vec<Rule> = from.into_iter().map(|prefix| Rule { prefix, deny: true }).collect();
        Proxies { from: Rules::new(&rules), timeout_ms: timeout_ms.into() }
    }

    /// Whether a proxy is at this address.
    pub fn has(&self, ip: IpAddr) -> bool {
        self.from.deny(ip)
    }
}
