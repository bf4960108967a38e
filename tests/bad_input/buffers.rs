//! Buffers that are none: released before, never given, or given by somebody else's event.

use super::message::{Pair, message};
use super::{Net, OK};
use sockeye::capi::buffer::*;
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::event::sockeye_event;
use sockeye::capi::listener::sockeye_listener;
use sockeye::capi::message::{sockeye_bytes, sockeye_send_message};
use sockeye::capi::net::{sockeye_free, sockeye_init};
use sockeye::capi::queue::sockeye_post;
use sockeye::capi::status::sockeye_status_code::SOCKEYE_ERR_STALE;
use std::ptr;

const ERR_STALE: i32 = SOCKEYE_ERR_STALE as i32;
const MADE_UP: [u64; 6] = [1, 0xDEAD_BEEF, 1 << 40, 0xB << 60, 0xB0FF << 48, u64::MAX];

fn acquire(net: &Net, len: usize) -> sockeye_buffer {
    let mut buffer = none(0);
    // SAFETY: a live net and room for the answer.
    assert_eq!(unsafe { sockeye_buffer_acquire(net.0, len, &mut buffer) }, OK);
    buffer
}

fn none(id: u64) -> sockeye_buffer {
    sockeye_buffer { data: ptr::null_mut(), data_len: 9, capacity: 9, id }
}

fn release(buffer: &mut sockeye_buffer) -> i32 {
    // SAFETY: a struct of the caller's; what is in it is what is asked about.
    unsafe { sockeye_buffer_release(buffer) }
}

/// The struct is cleared, so that releasing it again is nothing; a copy of it is stale, also when
/// its memory is somebody else's since.
#[test]
fn released_twice() {
    let net = Net::new();
    let mut first = acquire(&net, 100);
    let mut copy = first;
    assert_eq!(release(&mut first), OK);
    assert!(first.data.is_null() && (first.data_len, first.capacity, first.id) == (0, 0, 0));
    assert_eq!(release(&mut first), OK, "of nothing");
    assert_eq!(release(&mut copy), ERR_STALE);
    assert_eq!(copy.data_len, 0);
    assert!(copy.id != 0, "a refusal changes nothing");
    let mut next: Vec<_> = (0..100).map(|_| acquire(&net, 100)).collect();
    next.iter().for_each(|buffer| {
        // SAFETY: an acquired buffer is the host's to be written.
        unsafe { buffer.data.write_bytes(0x77, 100) };
    });
    assert_eq!(release(&mut copy), ERR_STALE);
    drop(net); // release needs none
    for buffer in &mut next {
        let mut copy = *buffer;
        // SAFETY: it is not released.
        assert!(unsafe { std::slice::from_raw_parts(buffer.data, 100) }.iter().all(|&b| b == 0x77));
        assert_eq!((release(buffer), release(&mut copy)), (OK, ERR_STALE));
    }
}

#[test]
fn ids_that_were_never_given() {
    let pair = Pair::new();
    let bytes = [sockeye_bytes { data: b"x".as_ptr().cast(), len: 1 }];
    let mut released = acquire(&pair.net, 5000);
    let stale = released.id;
    assert_eq!(release(&mut released), OK);
    for id in MADE_UP.into_iter().chain([stale, pair.conn.id]) {
        let mut buffer = none(id);
        assert_eq!((release(&mut buffer), buffer.id), (ERR_STALE, id));
        let mut given = message(&bytes);
        given.buffer_id = id;
        let mut each = 7;
        // SAFETY: a live net, one handle and one answer, a message of live parts.
        let status = unsafe { sockeye_send_message(pair.net.0, &pair.conn, 1, &given, &mut each) };
        assert_eq!((status, each), (ERR_STALE, 7), "{id:#x}");
    }
}

/// Whatever is made up of an event's fields is not looked behind.
#[test]
fn events_that_were_never_told() {
    let net = Net::new();
    for id in MADE_UP {
        for detail in MADE_UP.into_iter().chain([0]) {
            let event = sockeye_event {
                kind: 2,
                cause: 0,
                conn: sockeye_conn { id },
                listener: sockeye_listener { id },
                user_data: 0,
                data: detail as usize as *const u8,
                data_len: u32::MAX,
                os_error: 0,
                detail,
                flags: 0,
                code: 0,
            };
            let mut out = none(0);
            // SAFETY: a live net, an event, room for the answer.
            let status = unsafe { sockeye_event_hold(net.0, &event, &mut out) };
            assert!(status < 0 && out.id == 0, "{status}");
        }
    }
}

/// A net that was freed is known as such, for a good while.
#[test]
fn nets_that_were_freed() {
    let mut nets = Vec::new();
    for _ in 0..3 {
        let mut net = ptr::null_mut();
        // SAFETY: NULL for the defaults, and room for the answer.
        assert_eq!(unsafe { sockeye_init(ptr::null(), &mut net) }, OK);
        // SAFETY: it was made by `sockeye_init`; the library keeps the place of a freed one.
        unsafe {
            assert_eq!(sockeye_free(net), OK);
            assert_eq!(sockeye_free(net), ERR_STALE);
            assert_eq!(sockeye_post(net, 0, 0, 0), ERR_STALE);
        }
        nets.push(net);
    }
    let living = Net::new();
    for net in nets {
        assert_ne!(net, living.0);
        // SAFETY: as above.
        assert_eq!(unsafe { sockeye_post(net, 0, 0, 0) }, ERR_STALE);
    }
}
