//! `struct_size`: what a program built with another version of the header gives.

use super::message::{Pair, message};
use super::{ERR_INVALID, Net, OK, config, endpoint, last_error};
use sockeye::capi::config::{sockeye_config, sockeye_config_init};
use sockeye::capi::conn::{sockeye_conn, sockeye_connect};
use sockeye::capi::endpoint::{sockeye_endpoint, sockeye_endpoint_init};
use sockeye::capi::fault::{sockeye_fault, sockeye_fault_init};
use sockeye::capi::listener::{sockeye_listen, sockeye_listener};
use sockeye::capi::message::{sockeye_message, sockeye_message_init, sockeye_send_message};
use sockeye::capi::metrics::{sockeye_histogram, sockeye_metrics_write, sockeye_net_get_histogram};
use sockeye::capi::model::{sockeye_model_info, sockeye_model_probe};
use sockeye::capi::net::{sockeye_free, sockeye_init, sockeye_shutdown};
use sockeye::capi::queue::{sockeye_queue_get_stats, sockeye_queue_stats};
use sockeye::capi::stats::*;
use sockeye::capi::status::sockeye_status_code::SOCKEYE_ERR_TOO_BIG;
use sockeye::capi::token::{sockeye_token_config, sockeye_token_config_init};
use std::ptr;

const ERR_TOO_BIG: i32 = SOCKEYE_ERR_TOO_BIG as i32;

/// As much as a struct may have, and a little that it may not.
#[repr(C, align(8))]
struct Room([u8; 8192]);

impl Room {
    /// The bytes of `value`, then zeros.
    fn with<T: Copy>(value: &T) -> Room {
        let mut room = Room([0; 8192]);
        // SAFETY: the room is large and aligned enough, and `T` is plain numbers.
        unsafe { ptr::from_mut(&mut room).cast::<T>().write(*value) };
        room
    }

    fn say(&mut self, size: u32) {
        self.0[..4].copy_from_slice(&size.to_ne_bytes());
    }

    fn said(&self) -> u32 {
        u32::from_ne_bytes(self.0[..4].try_into().expect("four bytes"))
    }
}

/// What init answers to a config of this size, with a byte set at `mark`.
fn init_with(size: u32, mark: Option<usize>) -> i32 {
    let mut room = Room::with(&config());
    room.say(size);
    if let Some(at) = mark {
        room.0[at] = 1;
    }
    let mut net = ptr::null_mut();
    // SAFETY: the room is readable up to 8192 bytes, and sizes above are refused.
    let status = unsafe { sockeye_init(ptr::from_ref(&room).cast(), &mut net) };
    if status == OK {
        // SAFETY: a live net of this function's own.
        assert_eq!(unsafe { sockeye_free(net) }, OK);
    } else {
        assert!(net.is_null(), "nothing is written");
        let words = last_error();
        assert!(words.contains("config"), "in words: {words}");
    }
    status
}

/// What listen answers to an endpoint of this size, with a byte set at `mark`.
fn listen_with(net: &Net, size: u32, mark: Option<usize>) -> i32 {
    let mut room = Room::with(&endpoint());
    room.say(size);
    if let Some(at) = mark {
        room.0[at] = 1;
    }
    let url = c"tcp://127.0.0.1:0".as_ptr();
    let mut door = sockeye_listener { id: 77 };
    // SAFETY: the room is readable up to 8192 bytes, and sizes above are refused.
    let status = unsafe { sockeye_listen(net.0, url, ptr::from_ref(&room).cast(), &mut door) };
    if status != OK {
        assert_eq!(door.id, 77, "nothing is written");
        let words = last_error();
        assert!(words.contains("endpoint"), "in words: {words}");
    }
    status
}

/// Sizes and marks that are refused, and those that are fine, for a struct of `n` bytes.
fn check_sizes(n: u32, ask: impl Fn(u32, Option<usize>) -> i32) {
    for size in [0, 1, 4, n - 1, n - 8, 4097, 8192, 65_536, u32::MAX - 1, u32::MAX] {
        assert_eq!(ask(size, None), ERR_INVALID, "{size}");
    }
    for size in [n, n + 1, n + 8, 4096] {
        assert_eq!(ask(size, None), OK, "{size} with a zero tail");
    }
    for (size, mark) in [(n + 8, n), (n + 8, n + 7), (4096, 4095)] {
        assert_eq!(ask(size, Some(mark as usize)), ERR_INVALID, "{size}, set at {mark}");
    }
    assert_eq!(ask(n + 8, Some(n as usize + 8)), OK, "behind the struct is not the struct");
}

#[test]
fn sizes_of_a_config() {
    check_sizes(size_of::<sockeye_config>() as u32, init_with);
}

#[test]
fn sizes_of_an_endpoint() {
    let net = Net::new();
    check_sizes(size_of::<sockeye_endpoint>() as u32, |size, mark| listen_with(&net, size, mark));
}

#[test]
fn sizes_of_a_message() {
    let net = Net::new();
    check_sizes(size_of::<sockeye_message>() as u32, |size, mark| {
        let mut room = Room::with(&message(&[]));
        room.say(size);
        if let Some(at) = mark {
            room.0[at] = 1;
        }
        let given = ptr::from_ref(&room).cast();
        // SAFETY: the room is readable up to 8192 bytes, and sizes above are refused.
        unsafe { sockeye_send_message(net.0, ptr::null(), 0, given, ptr::null_mut()) }
    });
    assert_eq!(last_error(), "invalid argument", "the words of its status");
}

/// `…_init` writes as much as it is told and zeroes what it does not know.
fn check_init<T>(init: impl Fn(*mut T, usize) -> i32) {
    let n = size_of::<T>();
    for size in [0, 1, 4, n - 1, 4097, usize::MAX] {
        let mut room = Room([0xAA; 8192]);
        let status = init(ptr::from_mut(&mut room).cast(), size);
        assert_eq!(status, ERR_INVALID, "{size}");
        assert!(room.0.iter().all(|&byte| byte == 0xAA), "nothing is written");
    }
    for size in [n, n + 8, 4096] {
        let mut room = Room([0xAA; 8192]);
        assert_eq!(init(ptr::from_mut(&mut room).cast(), size), OK, "{size}");
        assert_eq!(room.said() as usize, size);
        assert!(room.0[n..size].iter().all(|&byte| byte == 0), "the tail is zero");
        assert!(room.0[size..].iter().all(|&byte| byte == 0xAA), "not a byte more");
    }
}

#[test]
fn sizes_of_the_inits() {
    // SAFETY: `check_init` gives as many bytes as it says, or a size that is refused.
    check_init::<sockeye_config>(|out, size| unsafe { sockeye_config_init(out, size) });
    // SAFETY: as above.
    check_init::<sockeye_endpoint>(|out, size| unsafe { sockeye_endpoint_init(out, size) });
    // SAFETY: as above.
    check_init::<sockeye_message>(|out, size| unsafe { sockeye_message_init(out, size) });
    // SAFETY: as above.
    check_init::<sockeye_fault>(|out, size| unsafe { sockeye_fault_init(out, size) });
    // SAFETY: as above.
    check_init::<sockeye_token_config>(|out, size| unsafe { sockeye_token_config_init(out, size) });
}

/// An answer is written up to the caller's size, says how much that is, and not a byte more.
fn check_answer<T>(ask: impl Fn(*mut T, usize) -> i32) {
    let n = size_of::<T>();
    for size in [0, 1, 15, usize::MAX] {
        let mut room = Room([0xAA; 8192]);
        assert_eq!(ask(ptr::from_mut(&mut room).cast(), size), ERR_INVALID, "{size}");
        assert!(room.0.iter().all(|&byte| byte == 0xAA), "nothing is written");
    }
    for size in [16, n - 8, n, n + 8, 4096] {
        let mut room = Room([0xAA; 8192]);
        assert_eq!(ask(ptr::from_mut(&mut room).cast(), size), OK, "{size}");
        assert_eq!(room.said() as usize, size.min(n));
        assert!(room.0[n.min(size)..size].iter().all(|&byte| byte == 0), "the tail is zero");
        assert!(room.0[size..].iter().all(|&byte| byte == 0xAA), "not a byte more");
    }
}

#[test]
fn sizes_of_answers() {
    let net = Net::new();
    let (mut door, mut conn) =
        (sockeye_listener { id: 0 }, sockeye::capi::conn::sockeye_conn { id: 0 });
    let url = c"tcp://127.0.0.1:0".as_ptr();
    // SAFETY: a live net, a text, the defaults, room for the answer.
    assert_eq!(unsafe { sockeye_listen(net.0, url, ptr::null(), &mut door) }, OK);
    let url = c"tcp://127.0.0.1:9".as_ptr();
    // SAFETY: as above.
    let status = unsafe { sockeye_connect(net.0, url, ptr::null(), &mut conn) };
    assert_eq!(status, OK);
    // SAFETY: here and below `check_answer` gives as many bytes as it says, or is refused.
    check_answer::<sockeye_model_info>(|out, size| unsafe { sockeye_model_probe(0, out, size) });
    // SAFETY: as above.
    check_answer::<sockeye_net_info>(|out, size| unsafe { sockeye_net_get_info(net.0, out, size) });
    check_answer::<sockeye_net_stats>(|out, size| {
        // SAFETY: as above.
        unsafe { sockeye_net_get_stats(net.0, out, size) }
    });
    check_answer::<sockeye_queue_stats>(|out, size| {
        // SAFETY: as above.
        unsafe { sockeye_queue_get_stats(net.0, 0, out, size) }
    });
    let counting = Net::with(|config| config.histograms = 1);
    check_answer::<sockeye_histogram>(|out, size| {
        // SAFETY: as above.
        unsafe { sockeye_net_get_histogram(counting.0, 1, out, size) }
    });
    check_answer::<sockeye_listener_info>(|out, size| {
        // SAFETY: as above.
        unsafe { sockeye_listener_get_info(net.0, door, out, size) }
    });
    check_answer::<sockeye_conn_info>(|out, size| {
        // SAFETY: as above.
        unsafe { sockeye_conn_get_info(net.0, conn, out, size) }
    });
    check_answer::<sockeye_conn_stats>(|out, size| {
        // SAFETY: as above.
        unsafe { sockeye_conn_get_stats(net.0, conn, out, size) }
    });
}

/// The bulk answer takes the caller's size as its stride, whatever release that is of, and tells a
/// stale handle by a `struct_size` of 0.
#[test]
fn sizes_of_the_bulk_answer() {
    let pair = Pair::new();
    let conns = [sockeye_conn { id: 0 }, pair.conn, sockeye_conn { id: 1 }];
    let n = size_of::<sockeye_conn_stats>();
    let mut room = vec![0x55u8; 3 * 5000];
    let ask = |room: &mut [u8], size| {
        let out = room.as_mut_ptr().cast();
        // SAFETY: three handles; room for three answers of each size that is taken.
        unsafe { sockeye_conns_get_stats(pair.net.0, conns.as_ptr(), 3, out, size) }
    };
    for size in [0, 15, 4097, usize::MAX] {
        assert_eq!((ask(&mut room, size), room[0]), (ERR_INVALID, 0x55), "{size}");
    }
    for size in [16, 17, n - 8, n, n + 8, 4096] {
        room.fill(0x55);
        assert_eq!(ask(&mut room, size), 1, "{size}");
        let each: Vec<&[u8]> = room.chunks(size).take(3).collect();
        assert!(each[0].iter().chain(each[2]).all(|&byte| byte == 0), "{size}: stale");
        let told = u32::from_ne_bytes(each[1][..4].try_into().expect("four bytes"));
        assert_eq!(told as usize, size.min(n), "{size}");
        assert!(each[1][n.min(size)..].iter().all(|&byte| byte == 0), "{size}: the tail");
        assert!(room[3 * size..].iter().all(|&byte| byte == 0x55), "{size}: not a byte more");
    }
}

/// The text of the metrics is whole or refused, and not a byte is written past its room.
#[test]
fn sizes_of_the_metrics() {
    let net = Net::new();
    // SAFETY: a live net, whose numbers stay from now on.
    assert_eq!(unsafe { sockeye_shutdown(net.0, 0) }, OK);
    let ask = |room: &mut [u8], cap| {
        let mut len = 0;
        // SAFETY: as much room as is said, and room for the length.
        let status =
            unsafe { sockeye_metrics_write(net.0, room.as_mut_ptr().cast(), cap, &mut len) };
        (status, len)
    };
    let (status, len) = ask(&mut [], 0);
    assert!(status == OK && len > 1000, "{status}, {len}");
    let mut room = vec![0x55; len + 100];
    assert_eq!(ask(&mut room, len), (OK, len));
    let whole = room.clone();
    assert_eq!((&whole[..7], whole[len - 1]), (&b"# HELP "[..], b'\n'));
    assert!(whole[len..].iter().all(|&byte| byte == 0x55), "no NUL either");
    for cap in [1, 7, len / 2, len - 1] {
        room.fill(0x55);
        assert_eq!(ask(&mut room, cap), (ERR_TOO_BIG, len), "{cap}");
        assert_eq!(room[..cap], whole[..cap], "{cap}");
        assert!(room[cap..].iter().all(|&byte| byte == 0x55), "{cap}");
    }
}
