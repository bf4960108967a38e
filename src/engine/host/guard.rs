//! The guard as the host sets it.

use crate::engine::host::net::Net;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::guard::GuardStats;
use crate::engine::shared::guard::asked::Ask;
use crate::engine::shared::guard::bans::BANS_MAX;
use crate::engine::shared::guard::rules::{Prefix, Rule, Rules};
use std::sync::Arc;

impl Net {
    /// Replaces all rules.
    pub fn set_guard(&self, rules: &[Rule]) -> Result<(), Refusal> {
        self.check_running()?;
        self.core.guard.set_rules(Rules::new(rules));
        Ok(())
    }

    /// Bans a prefix for so long; 0 lifts its ban.
    pub fn ban(&self, prefix: Prefix, ms: u64) -> Result<(), Refusal> {
        self.check_running()?;
        let now = self.core.now();
        let until = (ms > 0).then(|| now.saturating_add(ms));
        if self.core.guard.ban(prefix, until, now) {
            return Ok(());
        }
        Err(Refusal::new(Error::Limit, format!("there are {BANS_MAX} bans already")))
    }

    /// Has peers asked about, behind all else, or no more.
    pub fn set_admit(&self, ask: Option<Arc<Ask>>) -> Result<(), Error> {
        self.core.guard.admit.set(ask, || {})
    }

    /// What the guard has refused, and what it keeps.
    pub fn guard_stats(&self) -> GuardStats {
        self.core.guard.stats()
    }
}
