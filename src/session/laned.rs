//! A session whose messages go into lanes: what each of them has pending is counted, from a send
//! until the transport needs it no more.

use super::event::SendError;
use super::lanes::Lanes;
use super::limits::Limits;
use super::session::Session;
use super::stack::{Kind, Stack};
use std::mem;

/// A session whose messages go into lanes, which a transport has.
pub(super) struct Laned {
    pub session: Session,
    pub lanes: Lanes,
}

impl Stack {
    /// Has its messages go into so many lanes.
    pub fn add_lanes(&mut self, count: usize) {
        let session = mem::take(self.session_mut());
        self.0 = Kind::Laned(Box::new(Laned { session, lanes: Lanes::new(count) }));
    }

    /// Its lanes, if it has any.
    #[inline]
    pub fn lanes(&self) -> Option<&Lanes> {
        match &self.0 {
            Kind::Laned(all) => Some(&all.lanes),
            Kind::Bare(_) | Kind::Layered(_) => None,
        }
    }

    /// As `lanes`, to be changed.
    #[inline]
    pub fn lanes_mut(&mut self) -> Option<&mut Lanes> {
        match &mut self.0 {
            Kind::Laned(all) => Some(&mut all.lanes),
            Kind::Bare(_) | Kind::Layered(_) => None,
        }
    }

    /// Gives it a message by `send`, where that of a lane has room there. `wire`: its bytes in the
    /// outbox, at most.
    #[inline]
    pub fn send_in_lane<T: From<SendError>>(
        &mut self,
        limits: &Limits,
        lane: u8,
        wire: usize,
        send: impl FnOnce(&mut Session) -> Result<(), T>,
    ) -> Result<(), T> {
        let Kind::Laned(all) = &mut self.0 else { return send(self.session_mut()) };
        all.lanes.admit(limits, lane, wire)?;
        let before = all.session.outbox().bytes();
        send(&mut all.session)?;
        all.lanes.take(lane, all.session.outbox().bytes() - before);
        Ok(())
    }

    /// Gives it a message by `send` that is taken also where there is no room.
    pub fn send_over<T>(
        &mut self,
        send: impl FnOnce(&mut Session) -> Result<(), T>,
    ) -> Result<(), T> {
        let before = self.outbox().bytes();
        send(self.session_mut())?;
        let more = self.outbox().bytes() - before;
        if let Some(lanes) = self.lanes_mut() {
            lanes.take(0, more);
        }
        Ok(())
    }

    /// Bytes of messages that the host has pending.
    pub fn pending_bytes(&self) -> u64 {
        self.lanes().map_or_else(|| self.outbox().bytes().into(), Lanes::bytes)
    }
}
