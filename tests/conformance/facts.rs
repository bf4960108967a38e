//! Facts: what runs is reported, and what is counted is exact.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::metrics::{check_with_promtool, samples};
use crate::common::net::last_error;
use crate::common::peer::Peer;
use crate::common::process::{BUFFER_FACTOR, descriptors, keepalive, socket_of, user_timeout};
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, child, frame, suite, text_of, wait_for};
use socket2::Socket;
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::metrics::sockeye_histogram_kind;
use sockeye::capi::stats::sockeye_net_info;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

suite! {
    each: what_runs, counts_are_exact, numbers_as_text, numbers_at_a_port, latencies_are_counted,
        age_of_the_oldest_event, memory_of_an_idle_net, way_to_a_peer, options_of_sockets;
}

/// The kinds of histograms.
const POLLS: u32 = sockeye_histogram_kind::SOCKEYE_HISTOGRAM_POLL as u32;
const SENDS: u32 = sockeye_histogram_kind::SOCKEYE_HISTOGRAM_SEND as u32;

fn reasons(info: &sockeye_net_info) -> [String; 2] {
    [text_of(&info.model_reason), text_of(&info.drive_reason)]
}

/// The model and drive that were asked for are what runs, and the reasons are in words.
pub fn what_runs(setup: Setup) {
    let host = setup.host_with(|config| config.connections_max = 77);
    let info = host.net.info();
    assert_eq!(info.model, setup.model);
    assert_eq!(info.drive, setup.runs());
    assert_eq!((info.queues, info.workers, info.connections_max), (1, 1, 77));
    assert_eq!(info.threads, setup.drive.workers, "a thread for each worker that has one");
    assert!(reasons(&info).iter().all(|text| !text.is_empty()), "{:?}", reasons(&info));
    assert_eq!(host.net.stats().connections, 0);
    host.finish();
}

/// Bytes and messages, of the net and of each connection, to the byte.
pub fn counts_are_exact(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peers, mut conns): (Vec<Peer>, Vec<_>) = (0..3).map(|_| host.meet(door)).unzip();
    for (at, (peer, &conn)) in peers.iter_mut().zip(&conns).enumerate() {
        for _ in 0..=at {
            peer.put(&frame(&[1; 100]));
        }
        host.await_messages(conn, at + 1);
        assert_eq!(host.net.send(conn, &[2; 50]), OK);
        host.read(peer, 54);
    }
    conns.push(sockeye_conn { id: 12345 });
    host.until("the counts", |host| host.net.stats().sent_bytes == 3 * 54);
    let (alive, stats) = host.net.many_stats(&conns);
    assert_eq!(alive, 3);
    for (at, stats) in stats[..3].iter().enumerate() {
        let messages = at as u64 + 1;
        assert_eq!(stats.struct_size as usize, size_of_val(stats));
        assert_eq!((stats.received_messages, stats.received_bytes), (messages, messages * 104));
        assert_eq!((stats.sent_bytes, stats.outbox_bytes, stats.outbox_messages), (54, 0, 0));
        let alone = host.net.conn_stats(conns[at]).expect("it lives");
        assert_eq!(alone.received_bytes, stats.received_bytes);
    }
    assert_eq!((stats[3].struct_size, stats[3].received_bytes), (0, 0), "stale");
    let all = host.net.stats();
    assert_eq!((all.connections, all.accepted, all.accept_failures), (3, 3, 0));
    assert_eq!((all.received_messages, all.received_bytes), (6, 6 * 104));
    assert_eq!(host.count(Kind::Message), 6);
    host.finish();
}

/// Every number as a text that Prometheus reads, the same as the statistics have it.
pub fn numbers_as_text(setup: Setup) {
    let begun = Instant::now();
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peer, conn) = host.meet(door);
    peer.put(&frame(&[1; 100]));
    host.await_messages(conn, 1);
    let text = host.net.metrics();
    let found = samples(&text);
    check_with_promtool(&text);
    let stats = host.net.stats();
    for (series, value) in [
        ("accepted_total", 1.0),
        ("accept_failures_total", 0.0),
        ("received_messages_total", 1.0),
        ("received_bytes_total", 104.0),
        ("connections", 1.0),
        ("memory_max_bytes", (1_u64 << 30) as f64),
        ("queue_events{queue=\"0\"}", 0.0),
        ("queue_bytes{queue=\"0\"}", 0.0),
    ] {
        assert_eq!(found.get(&format!("sockeye_{series}")), Some(&value), "{series}");
    }
    let of_workers = |found: &BTreeMap<String, f64>, name: &str| {
        let prefix = format!("sockeye_worker_{name}{{worker=\"");
        let all = found.iter().filter(|(series, _)| series.starts_with(&prefix));
        all.map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!(of_workers(&found, "sockets"), 2.0);
    assert!(of_workers(&found, "turns_total") <= stats.turns as f64);
    // An idle worker waits, in real time.
    host.until("a long wait", |host| host.net.stats().waited_ns > 10_000_000);
    let waited = of_workers(&samples(&host.net.metrics()), "waited_seconds_total");
    assert!(waited >= 0.01 && waited <= begun.elapsed().as_secs_f64(), "{waited}");
    host.finish();
}

/// What a peer of this port is answered, when it has sent this piece by piece.
fn asked(port: u16, pieces: &[&str]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("an option");
    for piece in pieces {
        stream.write_all(piece.as_bytes()).expect("it reads");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a text, and its end");
    answer
}

/// A scrape is answered beside the net: it is no connection, and makes no event.
pub fn numbers_at_a_port(setup: Setup) {
    let mut host = setup.host_with(|config| config.histograms = 1);
    let door = host.door("?frame=u32be");
    let (_peer, _) = host.meet(door);
    let threads = host.net.info().threads;
    let port = host.net.metrics_listen("tcp://127.0.0.1:0").expect("a port");
    assert_eq!(host.net.info().threads, threads + 1);
    let text = asked(port, &["GET /metr", "ics HTTP/1.1\r\nHost: h\r\n", "\r\n"]);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    check_with_promtool(body);
    let found = samples(body);
    assert_eq!((found["sockeye_connections"], found["sockeye_accepted_total"]), (1.0, 1.0));
    let open = "GET /metrics HTTP/1.1\r\nHost: h\r\n\
                Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n";
    let open = asked(port, &[open]);
    assert!(open.contains("application/openmetrics-text; version=1.0.0"), "{open}");
    assert!(open.ends_with("# EOF\n"), "{open}");
    assert!(open.contains("# TYPE sockeye_accepted counter\nsockeye_accepted_total 1\n"), "{open}");
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "405"),
        ("\u{1}\u{2}\r\n\r\n", "400"),
        (&"x".repeat(9000), "431"),
    ] {
        let answer = asked(port, &[request]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    assert_eq!((host.step(0), host.count(Kind::Opened)), (0, 1), "no event");

    assert_eq!(host.net.metrics_listen("tcp://127.0.0.1:0").err(), Some(ERR_BUSY));
    assert!(last_error().contains("already"), "{}", last_error());
    assert_eq!(host.net.metrics_close(), OK);
    assert_eq!(host.net.info().threads, threads);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is free");
    for url in ["udp://127.0.0.1:0", "tcp://127.0.0.1:0?frame=line", "tcp://here:0", "9464"] {
        assert_eq!(host.net.metrics_listen(url).err(), Some(ERR_INVALID), "{url}");
    }
    let again = host.net.metrics_listen("tcp://127.0.0.1:0").expect("a port");
    // One that says nothing does not keep a shutdown waiting.
    let _mute = TcpStream::connect(("127.0.0.1", again)).expect("it listens");
    host.finish();
    assert!(TcpStream::connect(("127.0.0.1", again)).is_err(), "it ended with the net");
}

/// With `config.histograms` each message counts once, and each write, in the bucket of its time.
pub fn latencies_are_counted(setup: Setup) {
    let begun = Instant::now();
    let mut host = setup.host_with(|config| config.histograms = 1);
    let door = host.door("?frame=u32be");
    let (mut peer, conn) = host.meet(door);
    for round in 1..=5 {
        peer.put(&[frame(&[1; 100]), frame(&[2; 10])].concat());
        host.await_messages(conn, 2 * round);
        assert_eq!(host.net.send(conn, &[2; 50]), OK);
        host.read(&mut peer, 54);
    }
    let asked = |host: &Host, kind| host.net.histogram(kind).expect("it is counted");
    host.until("five writes", |host| asked(host, SENDS).count == 5);
    assert_eq!(asked(&host, POLLS).count, 10);
    for kind in [POLLS, SENDS] {
        let counted = asked(&host, kind);
        assert_eq!(counted.struct_size as usize, size_of_val(&counted));
        assert_eq!((counted.buckets, counted.counts.iter().sum()), (64, counted.count));
        assert_eq!((counted.upper_ns[0], counted.upper_ns[62]), (1000, 9_000_000_000));
        assert!(counted.upper_ns.is_sorted() && counted.upper_ns[63] == u64::MAX);
        // The sum lies where the buckets say, and no time is longer than the test.
        let bounds = |at: usize| at.checked_sub(1).map_or(0, |before| counted.upper_ns[before]);
        let least: u64 = counted.counts.iter().enumerate().map(|(at, n)| n * bounds(at)).sum();
        let most = begun.elapsed().as_nanos() as u64 * counted.count;
        assert!((least..=most).contains(&counted.sum_ns), "{least}, {}, {most}", counted.sum_ns);
    }
    let text = host.net.metrics();
    check_with_promtool(&text);
    let found = samples(&text);
    let all = found.get("sockeye_poll_latency_seconds_bucket{le=\"+Inf\"}");
    assert_eq!((all, found.get("sockeye_poll_latency_seconds_count")), (Some(&10.0), all));
    assert_eq!(found.get("sockeye_send_latency_seconds_count"), Some(&5.0));
    assert_eq!(host.net.histogram(2).err(), Some(ERR_INVALID));
    host.finish();

    let plain = setup.host();
    assert_eq!(plain.net.histogram(POLLS).err(), Some(ERR_UNSUPPORTED));
    assert!(!plain.net.metrics().contains("latency"));
    plain.finish();
}

/// How late the host is with a queue: what waits, and for how long the oldest does.
pub fn age_of_the_oldest_event(setup: Setup) {
    const LATE_NS: u64 = 5_000_000;
    let mut host = setup.host_with(|config| {
        config.histograms = 1;
        config.lease_us = 1000;
    });
    assert_eq!(host.net.queue_stats(0).oldest_ns, 0);
    for number in 0..3 {
        assert_eq!(host.net.post(0, number, 0), OK);
    }
    let posted = Instant::now();
    let waiting = |host: &Host| host.net.queue_stats(0);
    assert_eq!((waiting(&host).events, waiting(&host).bytes), (3, 3 * 64));
    wait_for("old events", || posted.elapsed().as_nanos() as u64 >= LATE_NS);
    assert!(waiting(&host).oldest_ns >= LATE_NS);
    let text = samples(&host.net.metrics());
    assert!(text["sockeye_queue_oldest_seconds{queue=\"0\"}"] >= LATE_NS as f64 / 1e9);
    // What a poll leaves is as old as before.
    assert_eq!(host.step_queue(0, 1, 0), 1);
    let left = waiting(&host);
    assert!(left.events == 2 && left.oldest_ns >= LATE_NS, "{}, {}", left.events, left.oldest_ns);
    host.until("all three", |host| host.count(Kind::Posted) == 3);
    assert_eq!((waiting(&host).events, waiting(&host).oldest_ns), (0, 0));
    assert_eq!(host.net.histogram(POLLS).expect("it is counted").count, 0, "none is a message");

    if setup.drive.workers > 0 {
        let door = host.door("?frame=u32be");
        let (mut peer, conn) = host.meet(door);
        peer.put(&frame(&[1; 100]));
        wait_for("an old message", || waiting(&host).oldest_ns >= LATE_NS);
        host.await_messages(conn, 1);
        let polls = host.net.histogram(POLLS).expect("it is counted");
        assert!(polls.count == 1 && polls.sum_ns >= LATE_NS, "{}, {}", polls.count, polls.sum_ns);
        let slow = polls.upper_ns.iter().zip(&polls.counts).find(|(_, count)| **count > 0);
        assert!(slow.is_some_and(|(upper, _)| *upper >= polls.sum_ns));
    }
    host.finish();
}

/// Connections that have nothing to say pin no buffers.
pub fn memory_of_an_idle_net(setup: Setup) {
    if !setup.holds(101) {
        return;
    }
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peers, conns): (Vec<Peer>, Vec<_>) = (0..100).map(|_| host.meet(door)).unzip();
    for (peer, &conn) in peers.iter_mut().zip(&conns) {
        peer.put(&frame(&[3; 1000]));
        host.await_messages(conn, 1);
        assert_eq!(host.net.send(conn, &[4; 1000]), OK);
        host.read(peer, 1004);
    }
    // The batch with the last message ends.
    host.step(0);
    host.until("little memory", |host| host.net.stats().memory_bytes <= 1 << 20);
    host.finish();
}

/// What the system has measured of a connection, where it measures.
pub fn way_to_a_peer(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    host.until("a time measured, and all acknowledged", |host| match host.net.tcp_info(conn) {
        Ok(info) => info.rtt_us > 0 && info.unacked == 0,
        Err(error) => {
            assert_eq!((error, cfg!(target_os = "linux")), (ERR_UNSUPPORTED, false));
            true
        }
    });
    let datagrams = host.connect(&format!("udp://127.0.0.1:{}", door.port));
    assert_eq!(host.net.tcp_info(datagrams).err(), Some(ERR_UNSUPPORTED));
    let alone = host.net.tcp_info(conn).ok();
    let (known, each) = host.net.many_tcp_infos(&[sockeye_conn { id: 12345 }, conn, datagrams]);
    assert_eq!(known, i32::from(alone.is_some()));
    let sizes = each.iter().map(|info| info.struct_size as usize).collect::<Vec<_>>();
    assert_eq!(sizes, [0, alone.map_or(0, |_| size_of_val(&each[1])), 0]);
    assert_eq!((each[1].rtt_us > 0, each[0].rtt_us, each[2].rtt_us), (alone.is_some(), 0, 0));
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    host.closed(conn);
    host.until("stale", |host| host.net.tcp_info(conn).err() == Some(ERR_STALE));
    host.finish();
}

/// The net's own socket to the peer at this port.
fn socket_to(port: u16) -> Socket {
    let to_port = |&descriptor: &i32| {
        let socket = socket_of(descriptor)?;
        let peer = socket.peer_addr().ok()?.as_socket()?;
        (peer.port() == port).then_some(socket)
    };
    descriptors().iter().find_map(to_port).expect("a socket with this peer")
}

/// What an endpoint says of its sockets is what the system has, accepted or connected.
pub fn options_of_sockets(setup: Setup) {
    child::alone(setup, || {
        let mut host = setup.host();
        for on in [false, true] {
            let change = |endpoint: &mut sockeye::capi::endpoint::sockeye_endpoint| {
                endpoint.nodelay = u32::from(on);
                endpoint.keepalive_s = if on { 77 } else { 0 };
                endpoint.user_timeout_ms = if on { 12_345 } else { 0 };
                endpoint.recv_buffer_bytes = if on { 40_000 } else { 0 };
                endpoint.send_buffer_bytes = if on { 30_000 } else { 0 };
            };
            let (door, plain) = (host.door_with("", change), host.door(""));
            let (peer, _) = host.meet(door);
            let accepted = socket_to(peer.address().port());
            let near = host.connect_with(&format!("tcp://127.0.0.1:{}", plain.port), change);
            host.until("OPENED", |host| host.kinds_of(near) == [Kind::Opened]);
            let connected = socket_to(plain.port);
            for socket in [accepted, connected] {
                assert_eq!(socket.tcp_nodelay().expect("an option"), on);
                assert_eq!(socket.keepalive().expect("an option"), on);
                let (recv, send) = (socket.recv_buffer_size(), socket.send_buffer_size());
                assert_eq!(recv.expect("an option") == BUFFER_FACTOR * 40_000, on);
                assert_eq!(send.expect("an option") == BUFFER_FACTOR * 30_000, on);
                if on && let Some(probes) = keepalive(&socket) {
                    assert_eq!(probes, (77, 20, 4));
                }
                if let Some(time) = user_timeout(&socket) {
                    assert_eq!(time, on.then_some(Duration::from_millis(12_345)));
                }
            }
        }
        // A dead peer is found within 2 times as many seconds and 3 more.
        for seconds in [1, 2, 3, 4, 5, 6, 7, 9, 30, 60, 3600, 32_767, u32::MAX] {
            let door = host.door_with("", |endpoint| endpoint.keepalive_s = seconds);
            let (peer, _) = host.meet(door);
            let Some((idle, interval, count)) = keepalive(&socket_to(peer.address().port())) else {
                break;
            };
            assert_eq!(idle, seconds.min(32_767));
            assert!(idle + interval * count <= 2 * idle + 3, "{idle}, {count} of {interval}");
        }
        host.finish();
    });
}
