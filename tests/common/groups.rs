//! Groups of a net, as safe calls.

use super::message::Message;
use super::net::Net;
use super::words::OK;
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::group::{
    sockeye_group, sockeye_group_add, sockeye_group_count, sockeye_group_create,
    sockeye_group_destroy, sockeye_group_get_stats, sockeye_group_remove, sockeye_group_send,
    sockeye_group_stats,
};

pub const NOBODY: sockeye_conn = sockeye_conn { id: 0 };

impl Net {
    pub fn group(&self) -> Result<sockeye_group, i32> {
        let mut group = sockeye_group { id: 0 };
        // SAFETY: a live net, room for the answer.
        match unsafe { sockeye_group_create(self.raw(), &mut group) } {
            OK => Ok(group),
            status => Err(status),
        }
    }

    #[must_use]
    pub fn join(&self, group: sockeye_group, conn: sockeye_conn) -> i32 {
        // SAFETY: a live net.
        unsafe { sockeye_group_add(self.raw(), group, conn) }
    }

    #[must_use]
    pub fn part(&self, group: sockeye_group, conn: sockeye_conn) -> i32 {
        // SAFETY: a live net.
        unsafe { sockeye_group_remove(self.raw(), group, conn) }
    }

    #[must_use]
    pub fn destroy(&self, group: sockeye_group) -> i32 {
        // SAFETY: a live net.
        unsafe { sockeye_group_destroy(self.raw(), group) }
    }

    pub fn members(&self, group: sockeye_group) -> i32 {
        // SAFETY: a live net.
        unsafe { sockeye_group_count(self.raw(), group) }
    }

    /// Sends to all members but one; how many were known to be full.
    pub fn tell_but(
        &self,
        group: sockeye_group,
        except: sockeye_conn,
        message: &Message<'_>,
    ) -> Result<u32, i32> {
        let mut skipped = u32::MAX;
        let status = message.with_raw(|message| {
            // SAFETY: a live net, a message of live parts, room for the answer.
            unsafe { sockeye_group_send(self.raw(), group, except, message, &mut skipped) }
        });
        if status == OK { Ok(skipped) } else { Err(status) }
    }

    /// Sends bytes to all members.
    pub fn tell(&self, group: sockeye_group, data: &[u8]) -> Result<u32, i32> {
        self.tell_but(group, NOBODY, &Message::new(&[data]))
    }

    pub fn group_stats(&self, group: sockeye_group) -> Result<sockeye_group_stats, i32> {
        // SAFETY: plain numbers.
        let mut stats: sockeye_group_stats = unsafe { std::mem::zeroed() };
        let size = size_of::<sockeye_group_stats>();
        // SAFETY: a live net, room for the answer.
        match unsafe { sockeye_group_get_stats(self.raw(), group, &mut stats, size) } {
            OK => Ok(stats),
            status => Err(status),
        }
    }
}
