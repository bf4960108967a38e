//! Names that the host asks for: each question has one answer, on every model and however the net
//! is driven, unless the net ends first.

use crate::common::event::{Event, Kind, socket_address};
use crate::common::host::Host;
use crate::common::net::last_error;
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::address::{sockeye_address, sockeye_address_parse};
use std::collections::HashSet;
use std::ffi::CString;
use std::net::SocketAddr;

suite! {
    each: localhost_answers, a_numeric_name_answers_itself, an_unknown_name_says_so,
        a_service_has_a_port, a_hundred_at_once, the_name_of_an_address, beside_a_connect,
        questions_are_bounded, a_full_queue_takes_none, shutdown_with_pending_ones, refusals;
    queues2: each_queue_its_own;
}

fn address(text: &str) -> sockeye_address {
    let mut address = sockeye_address::default();
    let text = CString::new(text).expect("no NUL");
    // SAFETY: a text and room for the answer.
    assert_eq!(unsafe { sockeye_address_parse(text.as_ptr(), &mut address) }, OK);
    address
}

/// The addresses of an answer.
fn addresses(event: &Event) -> Vec<SocketAddr> {
    assert_eq!((event.cause, event.os_error), (0, 0), "{event:?}");
    let (each, rest) = event.data.as_chunks::<{ size_of::<sockeye_address>() }>();
    assert!(rest.is_empty() && !each.is_empty(), "{event:?}");
    // SAFETY: as many bytes as an address has, and any bytes are one.
    let read = |bytes| unsafe { std::mem::transmute_copy::<_, sockeye_address>(bytes) };
    each.iter().map(|bytes| socket_address(&read(bytes))).collect()
}

/// The two texts of an answer.
fn names(event: &Event) -> (String, String) {
    assert_eq!((event.cause, event.os_error), (0, 0), "{event:?}");
    let text = String::from_utf8(event.data.clone()).expect("UTF-8");
    let parts: Vec<&str> = text.split('\0').collect();
    let [name, service, ""] = parts[..] else { panic!("two texts, each with its NUL: {text:?}") };
    (name.to_owned(), service.to_owned())
}

/// The answer with this number, once it is there.
fn answer(host: &mut Host, user_data: u64) -> Event {
    let is_it = |event: &&Event| (event.kind, event.user_data) == (Kind::Resolved, user_data);
    host.until("an answer", |host| host.log.iter().any(|event| is_it(&event)));
    assert_eq!(host.log.iter().filter(is_it).count(), 1, "one answer");
    let event = host.log.iter().find(is_it).expect("just there").clone();
    assert_eq!((event.detail, event.flags, event.code), (0, 0, 0), "{event:?}");
    event
}

pub fn localhost_answers(setup: Setup) {
    let mut host = setup.host();
    assert_eq!(host.net.resolve(0, "localhost", None, 1), OK);
    let event = answer(&mut host, 1);
    let found = addresses(&event);
    assert!(found.iter().all(|it| it.ip().is_loopback() && it.port() == 0), "{found:?}");
    let different: HashSet<_> = found.iter().collect();
    assert_eq!(different.len(), found.len(), "each once");
    host.finish();
}

pub fn a_numeric_name_answers_itself(setup: Setup) {
    let mut host = setup.host();
    for (number, (name, port)) in
        [("203.0.113.7", "7777"), ("127.0.0.1", "0"), ("::1", "65535")].into_iter().enumerate()
    {
        assert_eq!(host.net.resolve(0, name, Some(port), number as u64), OK);
        let event = answer(&mut host, number as u64);
        let port = port.parse().expect("a port");
        assert_eq!(addresses(&event), [SocketAddr::new(name.parse().expect("an IP"), port)]);
    }
    host.finish();
}

/// No name is under `.invalid`, RFC 6761; and for a label of 64 bytes no server is asked.
pub fn an_unknown_name_says_so(setup: Setup) {
    let mut host = setup.host();
    let name = format!("{}.invalid", "x".repeat(64));
    assert_eq!(host.net.resolve(0, &name, Some("80"), u64::MAX), OK);
    let event = answer(&mut host, u64::MAX);
    assert_eq!(event.cause, RESOLVE);
    assert!(event.os_error != 0 && event.data.is_empty(), "{event:?}");
    host.finish();
}

/// A name of a service, of streams and of datagrams alone; one that is none is an answer too.
pub fn a_service_has_a_port(setup: Setup) {
    let mut host = setup.host();
    for (number, service, port) in [(1, "http", 80), (2, "tftp", 69)] {
        assert_eq!(host.net.resolve(0, "127.0.0.1", Some(service), number), OK);
        let event = answer(&mut host, number);
        assert_eq!(addresses(&event), [SocketAddr::from(([127, 0, 0, 1], port))], "{service}");
    }
    assert_eq!(host.net.resolve(0, "127.0.0.1", Some("no-such-service"), 3), OK);
    let event = answer(&mut host, 3);
    assert!(event.cause == RESOLVE && event.os_error != 0, "{event:?}");
    host.finish();
}

/// More than are looked up at a time, some of them the same.
pub fn a_hundred_at_once(setup: Setup) {
    let mut host = setup.host();
    for number in 0..100_u64 {
        let name = format!("127.0.0.{}", number % 50 + 1);
        assert_eq!(host.net.resolve(0, &name, Some("7"), number), OK);
    }
    host.until("all answers", |host| host.count(Kind::Resolved) == 100);
    for number in 0..100_u64 {
        let event = answer(&mut host, number);
        let expected = SocketAddr::from(([127, 0, 0, (number % 50 + 1) as u8], 7));
        assert_eq!(addresses(&event), [expected]);
    }
    host.finish();
}

pub fn the_name_of_an_address(setup: Setup) {
    let mut host = setup.host();
    assert_eq!(host.net.resolve_address(0, &address("127.0.0.1:80"), 1), OK);
    let (name, service) = names(&answer(&mut host, 1));
    assert!(!name.is_empty());
    assert_eq!(service, "http");
    // The name is one of that address, where it is a name: it leads back.
    assert_eq!(host.net.resolve(0, &name, None, 2), OK);
    let found = addresses(&answer(&mut host, 2));
    assert!(found.iter().any(|it| it.ip().is_loopback()) || cfg!(windows), "{name}: {found:?}");
    // No service has this port.
    assert_eq!(host.net.resolve_address(0, &address("127.0.0.1:64999"), 3), OK);
    assert_eq!(names(&answer(&mut host, 3)).1, "64999");
    host.finish();
}

/// A connect by the same name at the same time has its own answer.
pub fn beside_a_connect(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let port = door.port.to_string();
    let conn = host.connect(&format!("tcp://localhost:{port}"));
    assert_eq!(host.net.resolve(0, "localhost", Some(&port), 1), OK);
    let found = addresses(&answer(&mut host, 1));
    assert!(found.iter().all(|it| it.port() == door.port), "{found:?}");
    host.until("OPENED", |host| host.kinds_of(conn).contains(&Kind::Opened));
    host.finish();
}

/// Far more than may be pending: each was refused, or has its answer.
pub fn questions_are_bounded(setup: Setup) {
    let mut host = setup.host();
    let (mut taken, mut refused) = (0, 0);
    for number in 0..3000_u64 {
        match host.net.resolve(0, "localhost", Some(&(number % 40).to_string()), number) {
            OK => taken += 1,
            ERR_LIMIT => {
                assert!(last_error().contains("512"), "{}", last_error());
                refused += 1;
            }
            other => panic!("{other}: {}", last_error()),
        }
    }
    assert_eq!(taken + refused, 3000);
    host.until("all answers", |host| host.count(Kind::Resolved) == taken);
    assert_eq!(host.net.resolve(0, "localhost", None, 5000), OK, "there is room again");
    answer(&mut host, 5000);
    host.finish();
}

/// Answers that are not polled keep the host from asking on, as posts keep it from posting.
pub fn a_full_queue_takes_none(setup: Setup) {
    let mut host = setup.host_with(|config| config.queue_max_bytes = 64 * 1024);
    let mut posted = 0;
    while host.net.post(0, 1, 1) == OK {
        posted += 1;
    }
    assert_eq!(host.net.resolve(0, "127.0.0.1", None, 1), ERR_AGAIN);
    assert!(last_error().contains("queue_max_bytes"), "{}", last_error());
    host.until("the posts", |host| host.count(Kind::Posted) == posted);
    assert_eq!(host.net.resolve(0, "127.0.0.1", None, 2), OK);
    answer(&mut host, 2);
    assert_eq!(host.count(Kind::Resolved), 1);
    host.finish();
}

/// A shutdown does not wait for them, and none is answered behind it.
pub fn shutdown_with_pending_ones(setup: Setup) {
    let mut host = setup.host();
    for number in 0..200 {
        let name = format!("nobody{}.invalid", number % 8);
        assert_eq!(host.net.resolve(0, &name, None, number), OK);
    }
    assert_eq!(host.net.shutdown(0), OK);
    host.drain();
    let told = host.count(Kind::Resolved);
    assert!(told <= 200, "{told}");
    assert_eq!(host.net.resolve(0, "localhost", None, 1), ERR_SHUTDOWN);
    assert_eq!(host.net.resolve_address(0, &address("127.0.0.1:1"), 1), ERR_SHUTDOWN);
    assert_eq!(host.try_step(0, 8, 0), Err(ERR_SHUTDOWN));
    assert_eq!(host.count(Kind::Resolved), told, "none behind the end");
    host.finish();
}

pub fn refusals(setup: Setup) {
    let mut host = setup.host();
    for (name, service, words) in [
        ("", None, "name is empty"),
        ("localhost", Some(""), "service is empty"),
        ("localhost", Some("65536"), "service 65536 is not 0 to 65535"),
    ] {
        assert_eq!(host.net.resolve(0, name, service, 1), ERR_INVALID);
        assert_eq!(last_error(), words);
    }
    assert_eq!(host.net.resolve(1, "localhost", None, 1), ERR_INVALID);
    assert!(last_error().contains("queue 1"), "{}", last_error());
    assert_eq!(host.net.resolve_address(0, &sockeye_address::default(), 1), ERR_INVALID);
    assert!(last_error().contains("family"), "{}", last_error());
    assert_eq!(host.net.resolve(0, "127.0.0.1", None, 2), OK);
    answer(&mut host, 2);
    assert_eq!(host.count(Kind::Resolved), 1, "what is refused has no answer");
    host.finish();
}

pub fn each_queue_its_own(setup: Setup) {
    let mut host = setup.host();
    for queue in [0, 1, 0, 1] {
        assert_eq!(host.net.resolve(queue, "127.0.0.1", None, queue.into()), OK);
    }
    host.until("all answers", |host| host.count(Kind::Resolved) == 4);
    for event in host.log.iter().filter(|event| event.kind == Kind::Resolved) {
        assert_eq!(u64::from(event.queue), event.user_data);
    }
    host.finish();
}
