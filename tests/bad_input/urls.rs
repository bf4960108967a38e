//! URLs that are none, and ports that cannot be had: each is refused in words.

use super::{ERR_BUSY, ERR_INVALID, ERR_OS, ERR_UNSUPPORTED, Net, OK, endpoint, last_error};
use sockeye::capi::conn::{sockeye_conn, sockeye_connect};
use sockeye::capi::listener::{sockeye_listen, sockeye_listener};
use std::ffi::CString;
use std::net::TcpListener;
use std::ptr;

/// What listen answers; nothing is written unless it is OK.
fn listen(net: &Net, url: impl Into<Vec<u8>>) -> i32 {
    let url = CString::new(url).expect("no NUL");
    let mut door = sockeye_listener { id: 5 };
    // SAFETY: a live net, a text, the defaults, room for the answer.
    let status = unsafe { sockeye_listen(net.0, url.as_ptr(), ptr::null(), &mut door) };
    assert_eq!(status == OK, door.id != 5, "written only when done");
    status
}

fn connect(net: &Net, url: impl Into<Vec<u8>>) -> i32 {
    let url = CString::new(url).expect("no NUL");
    let mut conn = sockeye_conn { id: 5 };
    // SAFETY: a live net, a text, the defaults, room for the answer.
    let status = unsafe { sockeye_connect(net.0, url.as_ptr(), ptr::null(), &mut conn) };
    assert_eq!(status == OK, conn.id != 5, "written only when done");
    status
}

/// Refused both ways, in words that hold `word`.
fn refused(net: &Net, url: &str, status: i32, word: &str) {
    for answer in [listen(net, url), connect(net, url)] {
        assert_eq!(answer, status, "{url}");
        assert!(last_error().contains(word), "{url}: \"{word}\" is not in \"{}\"", last_error());
    }
}

#[test]
fn that_are_none() {
    let net = Net::new();
    for (url, word) in [
        ("", "URL"),
        ("nonsense", "URL"),
        ("127.0.0.1:7777", "URL"),
        ("//127.0.0.1:7777", "URL"),
        ("gopher://127.0.0.1:7777", "gopher"),
        ("http://127.0.0.1:7777", "http"),
        ("tcp:127.0.0.1:7777", "host"),
        ("tcp://", "port"),
        ("tcp://:7777", "host"),
        ("tcp://127.0.0.1", "port"),
        ("tcp://127.0.0.1:", "port"),
        ("tcp://127.0.0.1:x", "URL"),
        ("tcp://127.0.0.1:-1", "URL"),
        ("tcp://127.0.0.1:65536", "65536"),
        ("tcp://127.0.0.1:99999999999999999999", "port"),
        ("tcp://[::1", "URL"),
        ("tcp://[::1]", "port"),
        ("tcp://me@127.0.0.1:7777", "host"),
        ("tcp://127.0.0.1:7777/path", "URL"),
        ("tcp://127.0.0.1:7777#part", "URL"),
        ("tcp://127.0.0.1 :7777", "URL"),
        ("tcp://127.0.0.1:7777?colour=red", "colour"),
        ("tcp://127.0.0.1:7777?frame", "frame"),
        ("tcp://127.0.0.1:7777?frame=", "frame"),
        ("tcp://127.0.0.1:7777?frame=u64be", "u64be"),
        ("tcp://127.0.0.1:7777?frame=U32BE", "U32BE"),
        ("tcp://127.0.0.1:7777?max=", "max"),
        ("tcp://127.0.0.1:7777?max=-1", "max"),
        ("tcp://127.0.0.1:7777?max=many", "many"),
        ("tcp://127.0.0.1:7777?frame=u32be&max=99999999999", "max"),
        ("tcp://127.0.0.1:7777?frame=u32be&max=0", "max"),
        ("tcp://127.0.0.1:7777?frame=u32be&max=4294967295", "max"),
        ("tcp://127.0.0.1:7777?frame=u32be&&max=9", "frame"),
        ("tcp://127.0.0.1:7777?frame=u8&frame=u8", "frame="),
        ("tcp://127.0.0.1:7777?max=100", "max="),
        ("tcp://127.0.0.1:7777?frame_timeout=1s", "frame_timeout="),
        ("tcp://127.0.0.1:7777?frame=u8&delimiter=%0A", "delimiter="),
        ("tcp://127.0.0.1:7777?frame=delimiter", "delimiter="),
        ("tcp://127.0.0.1:7777?frame=fixed", "frame_max_bytes"),
        ("tcp://127.0.0.1:7777?idle=30", "idle=30"),
        ("tcp://127.0.0.1:7777?keepalive=100ms", "keepalive=100ms"),
        ("tcp://127.0.0.1:7777?outbox=1G", "outbox=1G"),
        ("tcp://127.0.0.1:7777?outbox=1", "outbox"),
        ("tcp://127.0.0.1:7777?overflow=drop_oldest", "overflow"),
        ("tcp://127.0.0.1:7777?queue=9", "queue"),
        ("tcp://127.0.0.1:7777?share=1", "share="),
        ("tcp://127.0.0.1:7777?v6only=0", "v6only="),
        ("udp://127.0.0.1:7777?frame=u8", "frame="),
        ("udp://127.0.0.1:7777?nodelay=1", "nodelay="),
    ] {
        refused(&net, url, ERR_INVALID, word);
    }
}

/// Schemes of a later version say so.
#[test]
fn of_a_later_version() {
    let net = Net::new();
    refused(&net, "quic://127.0.0.1:7777", ERR_UNSUPPORTED, "quic");
}

#[test]
fn of_tls_without_a_certificate() {
    assert_eq!(listen(&Net::new(), "tls://127.0.0.1:0"), ERR_INVALID);
    assert!(last_error().contains("cert_pem"), "{}", last_error());
}

/// Over 1024 bytes, and bytes that are no text.
#[test]
fn that_are_no_text() {
    let net = Net::new();
    let long = format!("tcp://127.0.0.1:7777?frame={}", "x".repeat(1025 - 27));
    assert_eq!(long.len(), 1025);
    refused(&net, &long, ERR_INVALID, "1024");
    refused(&net, &"x".repeat(1 << 20), ERR_INVALID, "1024");
    assert_eq!(listen(&net, &long.as_bytes()[..1024]), ERR_INVALID, "read, and no preset");
    assert!(last_error().contains("frame"), "{}", last_error());
    for bytes in [&b"tcp://127.0.0.1:0?frame=\xFF"[..], b"\xC3", b"\xED\xA0\x80", b"tcp://\xFE"] {
        assert_eq!(listen(&net, bytes), ERR_INVALID);
        assert!(last_error().contains("UTF-8"), "{}", last_error());
        assert_eq!(connect(&net, bytes), ERR_INVALID);
    }
}

/// What can be listened on but not connected to, and the other way round.
#[test]
fn for_one_direction() {
    let net = Net::new();
    for url in ["tcp://*:0", "tcp://localhost:0", "tcp://0.0.0.0:0", "tcp://[::1]:0"] {
        assert_eq!(listen(&net, url), OK, "{url}: {}", last_error());
        assert_eq!(connect(&net, url), ERR_INVALID, "{url}: port 0");
    }
    assert_eq!(connect(&net, "tcp://*:7777"), ERR_INVALID);
    for url in ["tcp://play.example.net:7777", "tcp://nosuch.invalid:7777"] {
        assert_eq!(listen(&net, url), ERR_INVALID, "names are not looked up to listen");
        assert!(last_error().contains("host"), "{}", last_error());
    }
    assert_eq!(listen(&net, "tcp://127.0.0.1:0/"), OK, "an empty path is none");
    for key in ["backlog=9", "first_byte=1s"] {
        assert_eq!(connect(&net, format!("tcp://127.0.0.1:7777?{key}")), ERR_INVALID);
        assert!(last_error().contains(key), "{}", last_error());
        assert_eq!(listen(&net, format!("tcp://127.0.0.1:0?{key}")), OK, "{}", last_error());
    }
    for key in ["connect_timeout=1s", "bind=127.0.0.1"] {
        assert_eq!(listen(&net, format!("tcp://127.0.0.1:0?{key}")), ERR_INVALID);
        assert!(last_error().contains(key), "{}", last_error());
        assert_eq!(connect(&net, format!("tcp://127.0.0.1:9?{key}")), OK, "{}", last_error());
    }
}

#[test]
fn of_a_port_in_use() {
    let net = Net::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("tcp://{}", taken.local_addr().expect("bound"));
    assert_eq!(listen(&net, url.as_str()), ERR_BUSY);
    assert!(!last_error().is_empty(), "in words");
    drop(taken);
    assert_eq!(listen(&net, url.as_str()), OK, "{}", last_error());
    assert_eq!(listen(&net, url.as_str()), ERR_BUSY, "our own is as taken as another's");
}

/// An address that is not this machine's: 198.51.100.0/24 is for documents (RFC 5737).
#[test]
fn of_a_foreign_address() {
    let net = Net::new();
    assert_eq!(listen(&net, "tcp://198.51.100.77:0"), ERR_OS);
    let words = if cfg!(windows) { "10049" } else { "assign" };
    assert!(last_error().contains(words), "the system's words: {}", last_error());
}

/// A privileged port, on a thread that has no privilege. Windows knows no such ports.
#[cfg(unix)]
#[test]
fn of_a_port_that_is_denied() {
    let least = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if least.is_ok_and(|text| text.trim().parse::<u16>().is_ok_and(|port| port <= 80)) {
        println!("skipped: on this machine port 80 is for everybody");
        return;
    }
    let asked = std::thread::spawn(|| {
        // SAFETY: the bare call changes the identity of this thread alone, which ends here. It
        // is refused for a user who has no privilege to lose.
        unsafe { libc::syscall(libc::SYS_setresuid, -1, 65_534, -1) };
        let net = Net::new();
        (listen(&net, "tcp://127.0.0.1:80"), last_error())
    });
    let (status, words) = asked.join().expect("no panic");
    assert_eq!(status, crate::ERR_DENIED, "{words}");
    assert!(words.contains("denied"), "in the system's words: {words}");
}

/// The words stay until the next refusal, and the daily verbs leave them alone.
#[test]
fn words_stay() {
    assert_eq!(last_error(), "", "empty at first");
    let net = Net::new();
    assert_eq!(listen(&net, "nonsense"), ERR_INVALID);
    let words = last_error();
    // SAFETY: a live net and a made-up handle.
    let status = unsafe { sockeye::capi::conn::sockeye_close(net.0, sockeye_conn { id: 1 }, 0) };
    assert!(status < 0);
    assert_eq!(last_error(), "stale handle", "each refusal has its own");
    let elsewhere = std::thread::spawn(last_error).join().expect("no panic");
    assert_eq!(elsewhere, "", "each thread has its own");
    let mut given = endpoint();
    given.queue = 9;
    let mut door = sockeye_listener { id: 0 };
    let url = c"tcp://127.0.0.1:0".as_ptr();
    // SAFETY: a live net, a text, an endpoint, room for the answer.
    assert_eq!(unsafe { sockeye_listen(net.0, url, &given, &mut door) }, ERR_INVALID);
    assert_ne!(last_error(), words);
}
