//! Timers of the host, as its calls and polls meet them; `host_timers` has what there is.

use crate::engine::shared::core::Core;
use crate::engine::shared::error::Error;
use crate::engine::shared::home::Command;
use crate::engine::shared::host_timers::Told;
use crate::io::Token;

impl Core {
    /// Has its worker watch a new timer.
    pub fn watch_timer(&self, token: Token, queue: usize) {
        if self.host_timers.with(|inside| inside.call(token.index())) {
            self.call_for_timers(queue);
        }
    }

    /// Stops a timer, also when its event is queued.
    pub fn stop_timer(&self, token: Token) -> Result<(), Error> {
        self.host_timers.with(|inside| inside.stop(token))
    }

    /// What a poll of this queue reports of a timer whose event it has reached. None: nothing.
    pub fn take_timer(&self, token: Token, queue: usize) -> Option<Told> {
        let told = self.host_timers.with(|inside| inside.take(token, || self.elapsed()))?;
        if told.calls {
            self.call_for_timers(queue);
        }
        Some(told)
    }

    fn call_for_timers(&self, queue: usize) {
        self.homes[self.queues[queue].home].post(Command::Timers);
    }
}
