//! Messages in parts that are none: each is refused as a whole, and nothing is sent or written.

use super::{ERR_INVALID, Net, OK};
use sockeye::capi::buffer::{sockeye_buffer, sockeye_buffer_acquire, sockeye_buffer_release};
use sockeye::capi::conn::{sockeye_conn, sockeye_connect};
use sockeye::capi::message::*;
use sockeye::capi::stats::{sockeye_conn_get_stats, sockeye_conn_stats};
use sockeye::capi::status::sockeye_status_code::SOCKEYE_ERR_TOO_BIG;
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::ptr;

type Change = fn(&mut sockeye_message);

/// A message of these parts, which have to outlive it.
pub fn message(parts: &[sockeye_bytes]) -> sockeye_message {
    let mut message = MaybeUninit::<sockeye_message>::zeroed();
    // SAFETY: plain numbers and a pointer, writable, with their size.
    let mut message = unsafe {
        assert_eq!(sockeye_message_init(message.as_mut_ptr(), size_of::<sockeye_message>()), OK);
        message.assume_init()
    };
    message.parts = parts.as_ptr();
    message.parts_count = parts.len() as u32;
    message
}

fn part(bytes: &[u8]) -> sockeye_bytes {
    sockeye_bytes { data: bytes.as_ptr().cast(), len: bytes.len() }
}

/// A connection of a net, and somebody who takes it.
pub struct Pair {
    pub net: Net,
    pub conn: sockeye_conn,
    _there: TcpListener,
}

impl Pair {
    pub fn new() -> Pair {
        let net = Net::new();
        let there = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("tcp://{}?frame=u32be", there.local_addr().expect("bound"));
        let url = CString::new(url).expect("no NUL");
        let mut conn = sockeye_conn { id: 0 };
        // SAFETY: a live net, a text, the defaults, room for the answer.
        let status = unsafe { sockeye_connect(net.0, url.as_ptr(), ptr::null(), &mut conn) };
        assert_eq!(status, OK);
        Pair { net, conn, _there: there }
    }

    /// The answer, and that of the connection, which is 7 where none was written.
    fn send(&self, message: &sockeye_message) -> (i32, i32) {
        let mut each = 7;
        // SAFETY: a live net, one handle and one answer, a message of live parts.
        let status = unsafe { sockeye_send_message(self.net.0, &self.conn, 1, message, &mut each) };
        (status, each)
    }

    fn refuses(&self, message: &sockeye_message, what: &str) {
        assert_eq!(self.send(message), (ERR_INVALID, 7), "{what}");
    }

    /// Bytes taken so far, whether they left or not.
    fn taken(&self) -> u64 {
        let mut stats = sockeye_conn_stats::default();
        let size = size_of::<sockeye_conn_stats>();
        // SAFETY: a live net and room for the answer.
        assert_eq!(unsafe { sockeye_conn_get_stats(self.net.0, self.conn, &mut stats, size) }, OK);
        stats.outbox_bytes + stats.sent_bytes
    }
}

#[test]
fn fields_that_mean_nothing() {
    let pair = Pair::new();
    let parts = [part(b"x")];
    let wrong: &[(&str, Change)] = &[
        ("flags", |message| message.flags = 4),
        ("flags", |message| message.flags = 1 << 31),
        ("reserved", |message| message.reserved = 1),
        ("reserved", |message| message.reserved = u32::MAX),
        ("parts", |message| message.parts = ptr::null()),
        ("parts_count", |message| message.parts_count = 65),
        ("parts_count", |message| message.parts_count = u32::MAX),
    ];
    for &(field, change) in wrong {
        let mut given = message(&parts);
        change(&mut given);
        pair.refuses(&given, field);
    }
    assert_eq!(pair.taken(), 0);
    let mut none = message(&[]);
    none.parts = ptr::null();
    assert_eq!(pair.send(&none), (1, OK), "an empty message needs no parts");
    assert_eq!(pair.send(&message(&parts)), (1, OK));
    assert_eq!(pair.taken(), 4 + 5);
}

#[test]
fn parts_that_are_none() {
    let pair = Pair::new();
    let nothing = sockeye_bytes { data: ptr::null(), len: 0 };
    for len in [1, 4096, usize::MAX] {
        let wrong = sockeye_bytes { data: ptr::null(), len };
        pair.refuses(&message(&[part(b"x"), wrong]), "NULL with a length");
    }
    for len in [usize::MAX, usize::MAX / 2 + 1] {
        let wrong = sockeye_bytes { data: b"x".as_ptr().cast(), len };
        pair.refuses(&message(&[wrong, part(b"x")]), "more than there can be");
    }
    assert_eq!(pair.send(&message(&[nothing, part(b"x"), nothing])), (1, OK));
    assert_eq!(pair.send(&message(&[part(b"x"); 64])), (1, OK));
    pair.refuses(&message(&[part(b"x"); 65]), "65 parts");
    assert_eq!(pair.taken(), 5 + 68);
}

/// Lengths that only together are more than there can be are looked at by nobody.
#[test]
fn parts_that_wrap() {
    let pair = Pair::new();
    let big = SOCKEYE_ERR_TOO_BIG as i32;
    // The length is a lie; what cannot be sent is not read.
    let huge = sockeye_bytes { data: ptr::without_provenance(64), len: usize::MAX / 2 };
    for parts in [&[huge, huge, part(b"xyz")][..], &[huge; 3], &[huge; 64]] {
        let mut given = message(parts);
        assert_eq!(pair.send(&given), (0, big));
        given.key = 1;
        assert_eq!(pair.send(&given), (0, big));
    }
    assert_eq!(pair.taken(), 0);
}

#[test]
fn parts_half_in_the_buffer() {
    let pair = Pair::new();
    let mut buffer = sockeye_buffer { data: ptr::null_mut(), data_len: 0, capacity: 0, id: 0 };
    // SAFETY: a live net and room for the answer.
    assert_eq!(unsafe { sockeye_buffer_acquire(pair.net.0, 5000, &mut buffer) }, OK);
    assert_eq!(buffer.capacity, 5000);
    let at = |start: isize, len: usize| sockeye_bytes {
        data: buffer.data.wrapping_offset(start).cast_const().cast(),
        len,
    };
    let with = |parts: &[sockeye_bytes]| {
        let mut given = message(parts);
        given.buffer_id = buffer.id;
        given
    };
    // Lengths of what lies outside are lies; what is refused is not read.
    for (start, len) in [(-1, 2), (-1, 5001), (-1, 5002), (0, 5001), (4999, 2), (2500, 5000)] {
        pair.refuses(&with(&[at(start, len)]), "half in");
        pair.refuses(&with(&[part(b"x"), at(0, 5000), at(start, len)]), "half in, and others");
    }
    assert_eq!(pair.taken(), 0);
    assert_eq!(pair.send(&with(&[at(0, 5000), at(1, 4998), at(0, 0), at(5000, 0)])), (1, OK));
    assert_eq!(pair.send(&with(&[part(b"outside")])), (1, OK));
    assert_eq!(pair.taken(), 4 + 9998 + 4 + 7);
    // SAFETY: made by the library, released once.
    assert_eq!(unsafe { sockeye_buffer_release(&mut buffer) }, OK);
}
