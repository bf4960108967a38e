//! The call that moves a connection to another queue; `worker/moves.rs` has the steps.

use crate::engine::host::net::Net;
use crate::engine::shared::conn::{End, Moving};
use crate::engine::shared::error::Error;
use crate::engine::shared::home::Command;
use crate::io::Token;

impl Net {
    /// Moves a connection to another queue; see the C ABI's `sockeye_conn_set_queue`.
    pub fn conn_set_queue(&self, token: Token, queue: u32) -> Result<(), Error> {
        self.check_running()?;
        let known = self.core.queues.get(queue as usize).is_some();
        let next = u8::try_from(queue).ok().filter(|_| known).ok_or(Error::Invalid)?;
        let mut held = self.hold_conn(token)?;
        let conn = &mut *held;
        if conn.life.end != End::Not {
            return Err(Error::Closed);
        }
        if conn.moving.stage != Moving::No {
            return Err(Error::Busy);
        }
        if conn.queue == next {
            return Ok(());
        }
        conn.moving.stage = Moving::Asked;
        conn.moving.other_queue = next;
        let home = usize::from(conn.home);
        drop(held);
        self.core.homes[home].post(Command::Move(token));
        Ok(())
    }
}
