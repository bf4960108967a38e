//! Fields with numbers that mean nothing: each is refused, and the words name the field.

use super::{ERR_INVALID, ERR_UNSUPPORTED, Net, OK, config, endpoint, last_error};
use sockeye::capi::config::sockeye_config;
use sockeye::capi::conn::{sockeye_close, sockeye_close_with, sockeye_conn, sockeye_connect};
use sockeye::capi::endpoint::sockeye_endpoint;
use sockeye::capi::listener::{sockeye_listen, sockeye_listener};
use sockeye::capi::net::{sockeye_free, sockeye_init};
use std::ffi::CString;
use std::net::TcpListener;
use std::ptr;

type ConfigChange = fn(&mut sockeye_config);
type EndpointChange = fn(&mut sockeye_endpoint);

fn init(change: ConfigChange) -> i32 {
    let mut given = config();
    change(&mut given);
    let mut net = ptr::null_mut();
    // SAFETY: a config, and room for the answer.
    let status = unsafe { sockeye_init(&given, &mut net) };
    if status == OK {
        // SAFETY: a live net of this function's own.
        assert_eq!(unsafe { sockeye_free(net) }, OK);
    }
    assert!(status == OK || net.is_null(), "nothing is written");
    status
}

#[test]
fn of_a_config() {
    let wrong: &[(&str, ConfigChange)] = &[
        ("model", |config| config.model = 12),
        ("model", |config| config.model = u32::MAX),
        ("drive", |config| config.drive = 3),
        ("drive", |config| config.drive = u32::MAX),
        ("flush", |config| config.flush = 2),
        ("flush", |config| config.flush = u32::MAX),
        ("workers", |config| config.workers = 65),
        ("workers", |config| config.workers = u32::MAX - 1),
        ("workers", |config| (config.workers, config.queues) = (1, 2)),
        ("workers", |config| (config.workers, config.queues, config.drive) = (0, 2, 2)),
        ("workers", |config| (config.workers, config.drive) = (0, 0)),
        ("queues", |config| config.queues = 0),
        ("queues", |config| config.queues = 65),
        ("queues", |config| config.queues = u32::MAX),
        ("lease_us", |config| config.lease_us = 0),
        ("lease_us", |config| config.lease_us = 99),
        ("lease_us", |config| config.lease_us = 10_000_001),
        ("connections_max", |config| config.connections_max = 0),
        ("connections_max", |config| config.connections_max = 1 << 24),
        ("lingering_max", |config| config.lingering_max = 1 << 24),
        ("timers_max", |config| config.timers_max = 1 << 24),
        ("gather_us", |config| config.gather_us = 60_000_001),
        ("spin_us", |config| config.spin_us = 60_000_001),
        ("turn_messages", |config| config.turn_messages = 0),
        ("turn_bytes", |config| config.turn_bytes = 1023),
        ("turn_bytes", |config| config.turn_bytes = 65_537),
        ("memory_max_bytes", |config| config.memory_max_bytes = 0),
        ("memory_max_bytes", |config| config.memory_max_bytes = (1 << 20) - 1),
        ("queue_max_bytes", |config| config.queue_max_bytes = 0),
        ("queue_max_bytes", |config| config.queue_max_bytes = (64 << 10) - 1),
        ("reserved", |config| config.reserved[0] = 1),
        ("reserved", |config| *config.reserved.last_mut().unwrap() = u32::MAX),
        ("taps", |config| config.taps = 2),
        ("histograms", |config| config.histograms = 2),
    ];
    for &(field, change) in wrong {
        assert_eq!(init(change), ERR_INVALID, "{field}");
        assert!(last_error().contains(field), "{field} is not named: {}", last_error());
    }
}

/// The edges of what is allowed.
#[test]
fn of_a_config_that_are_fine() {
    let fine: &[ConfigChange] = &[
        |_| {},
        |config| config.drive = 1,
        |config| (config.workers, config.drive) = (0, 2),
        |config| (config.workers, config.drive) = (0, 1),
        |config| (config.workers, config.queues) = (2, 2),
        |config| config.lease_us = 100,
        |config| config.connections_max = 1,
        |config| (config.turn_messages, config.turn_bytes) = (1, 1024),
        |config| config.memory_max_bytes = 1 << 20,
        |config| config.queue_max_bytes = 64 << 10,
    ];
    for (at, &change) in fine.iter().enumerate() {
        assert_eq!(init(change), OK, "case {at}: {}", last_error());
    }
}

/// Models of another platform are refused with the reason.
#[test]
fn of_a_model_that_cannot_run_here() {
    let foreign = if cfg!(windows) { 4 } else { 10 };
    let mut given = config();
    given.model = foreign;
    let mut net = ptr::null_mut();
    // SAFETY: a config, and room for the answer.
    assert_eq!(unsafe { sockeye_init(&given, &mut net) }, ERR_UNSUPPORTED);
    assert!(net.is_null(), "nothing is written");
    assert!(!last_error().is_empty(), "in words");
}

/// What listen and connect both answer, neither writing anything.
fn open(net: &Net, change: EndpointChange) -> i32 {
    let mut given = endpoint();
    change(&mut given);
    let (mut door, mut conn) = (sockeye_listener { id: 5 }, sockeye_conn { id: 5 });
    let url = c"tcp://127.0.0.1:0".as_ptr();
    // SAFETY: a live net, a text, an endpoint, room for the answer.
    let listened = unsafe { sockeye_listen(net.0, url, &given, &mut door) };
    let words = last_error();
    let url = c"tcp://127.0.0.1:9".as_ptr();
    // SAFETY: as above.
    let connected = unsafe { sockeye_connect(net.0, url, &given, &mut conn) };
    assert_eq!(listened, connected, "listen and connect agree");
    if listened != OK {
        assert_eq!((door.id, conn.id), (5, 5), "nothing is written");
        assert_eq!(words, last_error(), "in the same words");
    }
    listened
}

#[test]
fn of_an_endpoint() {
    let net = Net::new();
    let wrong: &[(&str, EndpointChange)] = &[
        ("queue", |endpoint| endpoint.queue = 1),
        ("queue", |endpoint| endpoint.queue = u32::MAX - 1),
        ("overflow", |endpoint| endpoint.overflow = 3),
        ("overflow", |endpoint| endpoint.overflow = u32::MAX),
        ("gate_reads", |endpoint| endpoint.gate_reads = 2),
        ("half_open", |endpoint| endpoint.half_open = 2),
        ("share", |endpoint| endpoint.share = 2),
        ("nodelay", |endpoint| endpoint.nodelay = 2),
        ("nodelay", |endpoint| endpoint.nodelay = u32::MAX),
        ("outbox_max_bytes", |endpoint| endpoint.outbox_max_bytes = 1),
        ("outbox_max_bytes", |endpoint| endpoint.outbox_max_bytes = 1023),
        ("outbox_low_bytes", |endpoint| endpoint.outbox_low_bytes = 2 << 20),
        ("outbox_low_bytes", |endpoint| endpoint.outbox_low_bytes = u32::MAX),
        ("outbox_max_messages", |endpoint| endpoint.outbox_max_messages = 0),
        ("reserved", |endpoint| endpoint.reserved[0] = 1),
        ("receive_rate", |endpoint| endpoint.receive_rate = 1),
        ("send_rate", |endpoint| endpoint.send_rate = 1023),
        ("min_receive_rate", |endpoint| endpoint.min_receive_rate = 1),
        ("min_receive_window_ms", |endpoint| {
            (endpoint.framing.kind, endpoint.min_receive_rate) = (1, 1);
            endpoint.min_receive_window_ms = 0;
        }),
        ("weight", |endpoint| endpoint.weight = 17),
        ("kind", |endpoint| endpoint.framing.kind = 5),
        ("kind", |endpoint| endpoint.framing.kind = u32::MAX),
        ("little_endian", |endpoint| endpoint.framing.little_endian = 2),
        ("keep_header", |endpoint| endpoint.framing.keep_header = 2),
        ("keep_header", |endpoint| endpoint.framing.keep_header = 1),
        ("length_bytes", |endpoint| {
            (endpoint.framing.kind, endpoint.framing.length_bytes) = (1, 0);
        }),
        ("length_bytes", |endpoint| {
            (endpoint.framing.kind, endpoint.framing.length_bytes) = (1, 5);
        }),
        ("length_offset", |endpoint| {
            (endpoint.framing.kind, endpoint.framing.length_offset) = (1, 13);
        }),
        ("frame_max_bytes", |endpoint| endpoint.framing.kind = 4),
        ("step", |endpoint| endpoint.step = 2),
        ("v6only", |endpoint| endpoint.v6only = 2),
        ("delimiter_len", |endpoint| {
            (endpoint.framing.kind, endpoint.framing.delimiter_len) = (3, 9);
        }),
        ("delimiter_len", |endpoint| endpoint.framing.delimiter_len = 1),
        ("append_delimiter", |endpoint| endpoint.framing.append_delimiter = 1),
        ("append_delimiter", |endpoint| {
            (endpoint.framing.kind, endpoint.framing.append_delimiter) = (3, 2);
        }),
        ("overlong", |endpoint| {
            (endpoint.framing.kind, endpoint.framing.overlong) = (3, 2);
        }),
        ("overlong", |endpoint| (endpoint.framing.kind, endpoint.framing.overlong) = (1, 1)),
        ("frame_max_bytes", |endpoint| endpoint.framing.frame_max_bytes = 1 << 31),
    ];
    for &(field, change) in wrong {
        assert_eq!(open(&net, change), ERR_INVALID, "{field}");
        assert!(last_error().contains(field), "{field} is not named: {}", last_error());
    }
    assert_eq!(
        open(&net, |endpoint| *endpoint.framing.reserved.last_mut().unwrap() = 1),
        ERR_INVALID
    );
    assert!(last_error().contains("reserved"), "{}", last_error());
}

/// DROP_OLDEST drops whole messages: without framing there are none.
#[test]
fn dropping_needs_framing() {
    let net = Net::new();
    assert_eq!(open(&net, |endpoint| endpoint.overflow = 1), ERR_INVALID);
    assert!(last_error().contains("overflow"), "{}", last_error());
    let framed: EndpointChange = |endpoint| (endpoint.overflow, endpoint.framing.kind) = (1, 1);
    assert_eq!(open(&net, framed), OK);
}

/// Lines and records, with as little as each needs.
#[test]
fn lines_and_records() {
    let net = Net::new();
    assert_eq!(open(&net, |endpoint| endpoint.framing.kind = 3), OK);
    let records: EndpointChange = |endpoint| {
        (endpoint.framing.kind, endpoint.framing.frame_max_bytes) = (4, 1);
    };
    assert_eq!(open(&net, records), OK);
}

/// Ways to close that are none.
#[test]
fn unknown_ways_to_close() {
    let net = Net::new();
    let mut conn = sockeye_conn { id: 0 };
    let there = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("tcp://{}", there.local_addr().expect("bound"));
    let url = CString::new(url).expect("no NUL");
    // SAFETY: a live net, a text, the defaults, room for the answer.
    assert_eq!(unsafe { sockeye_connect(net.0, url.as_ptr(), ptr::null(), &mut conn) }, OK);
    for how in [2, 3, u32::MAX] {
        // SAFETY: a live net.
        assert_eq!(unsafe { sockeye_close(net.0, conn, how) }, ERR_INVALID);
        // SAFETY: a live net and one byte.
        let status = unsafe { sockeye_close_with(net.0, conn, how, b"x".as_ptr().cast(), 1) };
        assert_eq!(status, ERR_INVALID);
    }
    // SAFETY: a live net.
    assert_eq!(unsafe { sockeye_close(net.0, conn, 1) }, OK, "it was not closed by them");
}
