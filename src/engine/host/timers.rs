//! Timers as the host starts and stops them.

use crate::engine::host::net::Net;
use crate::engine::shared::config::Kind;
use crate::engine::shared::error::{Error, Refusal};
use crate::io::Token;
use std::time::Duration;

impl Net {
    /// Starts a timer: due after `after_ms`, and then every `every_ms` if that is not 0. `out` is
    /// given its handle before any worker knows it.
    pub fn start_timer(
        &self,
        queue: u32,
        (after_ms, every_ms): (u32, u32),
        user_data: u64,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let core = &*self.core;
        let due = core.elapsed() + Duration::from_millis(after_ms.into());
        self.check_running()?;
        let queue = self.queue(queue)?.home;
        let full = || {
            let most = core.config.timers_max;
            Refusal::new(Error::Limit, format!("timers_max is reached: {most}"))
        };
        let timer = core.host_timers.insert(queue, due, every_ms, user_data).ok_or_else(full)?;
        out(self.timer_id(timer));
        core.watch_timer(timer, queue);
        Ok(())
    }

    /// Stops a timer: no later poll reports it.
    pub fn stop_timer(&self, token: Token) -> Result<(), Error> {
        self.check_running()?;
        self.core.stop_timer(token)
    }

    /// The public handle of a timer.
    pub fn timer_id(&self, token: Token) -> u64 {
        Kind::Timer.handle(self.core.table.tag(), token)
    }
}
