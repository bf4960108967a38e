//! What facts of 10,000 connections cost: `cargo run --example scale`. It is no test: it measures,
//! and takes 10,000 descriptors of two processes.

use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::event::sockeye_poll_events;
use sockeye::capi::event::{sockeye_event, sockeye_event_kind::SOCKEYE_EVENT_OPENED};
use sockeye::capi::listener::{sockeye_listen, sockeye_listener};
use sockeye::capi::metrics::sockeye_metrics_listen;
use sockeye::capi::net::{sockeye_free, sockeye_init, sockeye_net};
use sockeye::capi::stats::{sockeye_listener_get_info, sockeye_listener_info};
use sockeye::capi::tcp::{sockeye_conns_get_tcp_info, sockeye_tcp_info};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, ptr};

const CONNS: usize = 10_000;
const ROUNDS: usize = 21;
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the child that holds the other ends finds the port.
const PORT: &str = "SOCKEYE_SCALE_PORT";

/// Says the median and the least of some times.
fn time(what: &str, mut call: impl FnMut()) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            call();
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("{what}: median {:?}, least {:?}", times[ROUNDS / 2], times[0]);
}

fn listen(net: *mut sockeye_net) -> u16 {
    let (mut door, size) = (sockeye_listener { id: 0 }, size_of::<sockeye_listener_info>());
    let mut info = MaybeUninit::<sockeye_listener_info>::zeroed();
    let url = c"tcp://127.0.0.1:0?frame=u32be".as_ptr();
    // SAFETY: a live net, a text, the defaults, room for the answers, which are plain numbers.
    unsafe {
        assert_eq!(sockeye_listen(net, url, ptr::null(), &mut door), 0);
        assert_eq!(sockeye_listener_get_info(net, door, info.as_mut_ptr(), size), 0);
        info.assume_init().port as u16
    }
}

/// Polls until so many are open.
fn accept(net: *mut sockeye_net) -> Vec<sockeye_conn> {
    let (mut conns, begun) = (Vec::new(), Instant::now());
    let mut events = vec![MaybeUninit::<sockeye_event>::zeroed(); 1024];
    while conns.len() < CONNS {
        assert!(begun.elapsed() < PATIENCE, "{} connections", conns.len());
        // SAFETY: a live net, and room for so many events.
        let count = unsafe { sockeye_poll_events(net, events.as_mut_ptr().cast(), 1024, 100) };
        for event in &events[..usize::try_from(count).expect("events")] {
            // SAFETY: plain numbers, which the poll wrote.
            let event = unsafe { event.assume_init_ref() };
            if event.kind == SOCKEYE_EVENT_OPENED as u32 {
                conns.push(event.conn);
            }
        }
    }
    conns
}

/// Starts the process that holds the other ends until its input ends.
fn holder(port: u16) -> io::Result<Child> {
    let mut child = Command::new(env::current_exe()?);
    child.env(PORT, port.to_string()).stdin(Stdio::piped()).spawn()
}

fn hold(port: u16) {
    let connect = |_| TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let _streams: Vec<TcpStream> = (0..CONNS).map(connect).collect();
    io::stdin().read_to_end(&mut Vec::new()).expect("an end");
}

fn main() {
    if let Some(port) = env::var(PORT).ok().and_then(|port| port.parse().ok()) {
        return hold(port);
    }
    let mut net = ptr::null_mut();
    // SAFETY: NULL for the defaults, and room for the answer.
    assert_eq!(unsafe { sockeye_init(ptr::null(), &mut net) }, 0);
    let mut child = holder(listen(net)).expect("a child");
    let conns = accept(net);

    let (mut infos, size) =
        (vec![sockeye_tcp_info::default(); CONNS], size_of::<sockeye_tcp_info>());
    time("sockeye_conns_get_tcp_info of 10,000", || {
        let out = infos.as_mut_ptr();
        // SAFETY: a live net, so many handles and answers.
        let known = unsafe { sockeye_conns_get_tcp_info(net, conns.as_ptr(), CONNS, out, size) };
        assert_eq!(known as usize, CONNS);
    });
    assert!(infos.iter().all(|info| info.rtt_us > 0));

    let mut port = 0;
    let url = c"tcp://127.0.0.1:0".as_ptr();
    // SAFETY: a live net, a text, room for the port.
    assert_eq!(unsafe { sockeye_metrics_listen(net, url, &mut port) }, 0);
    let mut text = String::new();
    time("a scrape, from connect to its end", || {
        text.clear();
        let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").expect("it reads");
        stream.read_to_string(&mut text).expect("a text");
    });
    assert!(text.contains("\nsockeye_connections 10000\n"), "{text}");

    // SAFETY: a live net that nobody else uses.
    assert_eq!(unsafe { sockeye_free(net) }, 0);
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
}
