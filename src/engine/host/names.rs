//! Names that the host asks for.

use crate::engine::host::net::Net;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::resolve::Question;

impl Net {
    /// Looks something up; an event of the queue has the answer.
    pub fn resolve(&self, queue: u32, question: Question, user_data: u64) -> Result<(), Refusal> {
        let _opening = self.opening.read();
        self.check_running()?;
        let unknown = |_| Refusal::new(Error::Invalid, format!("queue {queue} is unknown"));
        let filled = self.queue(queue).map_err(unknown)?;
        // Answers that are not polled, and those still to come, are bounded as posts are.
        if filled.is_full(self.core.config.queue_max_bytes / 2) {
            let words = "half of queue_max_bytes is pending in this queue";
            return Err(Refusal::new(Error::Again, words));
        }
        self.core.names.ask(&self.core, (queue, user_data), question)
    }
}
