//! Lanes: endpoints, sends and what is known of a path.

use super::net::Net;
use super::words::OK;
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::lanes::{
    sockeye_conn_get_lanes, sockeye_lanes, sockeye_lanes_info, sockeye_lanes_init,
    sockeye_send_lane,
};
use std::mem::MaybeUninit;

/// The default lanes.
pub const ORDERED: u32 = 0;
pub const UNRELIABLE: u32 = 1;
pub const SEQUENCED: u32 = 2;

/// The defaults, changed.
pub fn lanes(change: impl FnOnce(&mut sockeye_lanes)) -> sockeye_lanes {
    let mut lanes = MaybeUninit::<sockeye_lanes>::zeroed();
    // SAFETY: the struct is plain numbers and pointers, writable, and its size is given.
    let mut lanes = unsafe {
        let size = size_of::<sockeye_lanes>();
        assert_eq!(sockeye_lanes_init(lanes.as_mut_ptr(), size), OK);
        lanes.assume_init()
    };
    change(&mut lanes);
    lanes
}

impl Net {
    pub fn send_lane(&self, conn: sockeye_conn, lane: u32, data: &[u8]) -> i32 {
        // SAFETY: the net lives, and the bytes are there.
        unsafe { sockeye_send_lane(self.raw(), conn, lane, data.as_ptr().cast(), data.len()) }
    }

    pub fn lanes_info(&self, conn: sockeye_conn) -> Result<sockeye_lanes_info, i32> {
        let mut info = sockeye_lanes_info::default();
        let size = size_of::<sockeye_lanes_info>();
        // SAFETY: the net lives, and there is room for the struct.
        match unsafe { sockeye_conn_get_lanes(self.raw(), conn, &mut info, size) } {
            OK => Ok(info),
            status => Err(status),
        }
    }
}
