//! Groups as the host makes, fills and sends to them; `shared/groups` has how they work.

use crate::engine::host::net::Net;
use crate::engine::host::sends::Message;
use crate::engine::shared::config::Kind;
use crate::engine::shared::conn::End;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::groups::deliver::{list_of, settle};
use crate::engine::shared::groups::log::Sent;
use crate::engine::shared::home::Command;
use crate::io::Token;
use crate::session::Parts;
use std::sync::atomic::Ordering::*;

/// What a group has counted.
pub struct GroupStats {
    pub members: u32,
    pub full: u32,
    pub sends: u64,
    pub delivered: u64,
    pub skipped: u64,
}

impl Net {
    /// Makes a group without members; `out` is given its handle.
    pub fn create_group(&self, out: impl FnOnce(u64)) -> Result<(), Refusal> {
        self.check_running()?;
        let most = self.core.config.groups_max;
        let full = || Refusal::new(Error::Limit, format!("groups_max is reached: {most}"));
        let group = self.core.groups.insert().ok_or_else(full)?;
        out(Kind::Group.handle(self.core.table.tag(), group));
        Ok(())
    }

    /// Ends a group. Its members are given what was sent to it before.
    pub fn destroy_group(&self, group: Token) -> Result<(), Error> {
        self.check_running()?;
        let core = &*self.core;
        core.groups.end(group)?;
        while let Some(conn) = core.groups.any_of(group) {
            if let Some((token, mut held)) = core.table.hold_at(conn)
                && let Some(conn) = held.conn()
            {
                settle(core, token, conn);
                // It may have left by itself.
                let _ = core.groups.remove(group.index() as u32, token.index());
            }
        }
        Ok(())
    }

    /// Puts a connection into a group. It may be in it already.
    pub fn add_to_group(&self, group: Token, token: Token) -> Result<(), Error> {
        self.check_running()?;
        let core = &*self.core;
        let _lives = core.groups.get(group)?;
        let mut held = self.hold_conn(token).map_err(|error| self.of_streams(token, error))?;
        let conn = &mut *held;
        if conn.life.end != End::Not {
            return Err(Error::Closed);
        }
        settle(core, token, conn);
        core.groups.add(group, token.index(), list_of(core, conn))
    }

    /// Takes a connection out of a group. Stale: it is not in it.
    pub fn remove_from_group(&self, group: Token, token: Token) -> Result<(), Error> {
        self.check_running()?;
        let core = &*self.core;
        let _lives = core.groups.get(group)?;
        let mut held = self.hold_conn(token).map_err(|error| self.of_streams(token, error))?;
        settle(core, token, &mut held);
        core.groups.remove(group.index() as u32, token.index())
    }

    /// Why a connection cannot be in a group: one of datagrams is none of a stream.
    fn of_streams(&self, token: Token, error: Error) -> Error {
        let held = self.core.table.hold(token);
        let datagrams = held.is_some_and(|mut held| held.datagram().is_some());
        if datagrams { Error::Unsupported } else { error }
    }

    /// Sends a message to all members but one. Answers how many of them were full when they were
    /// last given something.
    #[inline]
    pub fn send_to_group(
        &self,
        group: Token,
        except: Option<Token>,
        message: &Message<'_>,
    ) -> Result<u32, Error> {
        self.check_running()?;
        let core = &*self.core;
        let known = core.groups.get(group)?;
        let homes = known.homes();
        let parts = Parts::new(message.parts, message.buffer).ok_or(Error::Invalid)?;
        let payload = parts.gather(&core.pool).ok_or(Error::NoMemory)?;
        let full = known.full.load(Relaxed);
        let (group, tag, text) = (group.index() as u32, self.tag_of(message), message.text);
        let at = core.histograms.as_ref().map(|_| core.elapsed());
        let sent = Sent { number: 0, group, except, tag, text, payload, at };
        if !core.groups.log.append(sent, homes) {
            return Err(Error::NoMemory);
        }
        known.sends.fetch_add(1, Relaxed);
        if !core.is_manual() {
            for home in (0..core.base).filter(|home| homes >> home & 1 != 0) {
                if core.groups.log.call(home) {
                    core.homes[home].post(Command::FanOut);
                }
            }
        }
        Ok(full)
    }

    /// What a group has counted.
    pub fn group_stats(&self, group: Token) -> Result<GroupStats, Error> {
        let group = self.core.groups.get(group)?;
        Ok(GroupStats {
            members: group.count(),
            full: group.full.load(Relaxed),
            sends: group.sends.load(Relaxed),
            delivered: group.delivered.load(Relaxed),
            skipped: group.skipped.load(Relaxed),
        })
    }
}
