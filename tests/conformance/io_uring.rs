//! IO_URING: why there is none is reported in words, AUTO never has one, and a ring belongs to the
//! thread that turned it first.

use crate::common::child;
use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::net::{Net, last_error};
use crate::common::peer::{End, Peer};
use crate::common::process::descriptors;
use crate::common::words::*;
use crate::common::{DEADLINE, Drive, Setup, text_of, wait_for};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::model::{sockeye_model, sockeye_model_info, sockeye_model_probe};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const RING: u32 = sockeye_model::SOCKEYE_MODEL_IO_URING as u32;
const AUTO: u32 = sockeye_model::SOCKEYE_MODEL_AUTO as u32;

fn probe(model: u32) -> (bool, String) {
    let mut info = MaybeUninit::<sockeye_model_info>::zeroed();
    // SAFETY: the struct is plain numbers, writable, and its size is given.
    let info = unsafe {
        let size = size_of::<sockeye_model_info>();
        assert_eq!(sockeye_model_probe(model, info.as_mut_ptr(), size), OK);
        info.assume_init()
    };
    (info.available == 1, text_of(&info.reason))
}

/// This test with a drive. None: there is no ring here.
fn setup(name: &'static str, drive: Drive) -> Option<Setup> {
    let setup = Setup { name, model: RING, drive, layered: false };
    setup.available().then_some(setup)
}

/// The words of a wrapper that traces the calls that make rings.
fn strace(options: &[&str]) -> Option<Vec<String>> {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace is not installed");
        return None;
    }
    let words = ["strace", "-f", "-qq", "-e", "trace=io_uring_setup"];
    Some(words.iter().chain(options).map(|word| (*word).to_owned()).collect())
}

/// Runs this test again as a child with a role.
fn run(setup: Setup, role: &str, wrapper: &[String]) {
    let output = child::command(setup, role, wrapper).output().expect("the test program runs");
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{role}: {words}");
}

/// What the system answers to who wants a ring, a word of the reason, and what init answers.
const REFUSALS: [(&str, &str, i32); 4] = [
    ("EPERM", "forbidden", ERR_UNSUPPORTED),
    ("ENOSYS", "no io_uring", ERR_UNSUPPORTED),
    ("EINVAL", "Linux 6.1", ERR_UNSUPPORTED),
    ("ENOMEM", "locked memory", ERR_OS),
];

/// The probe and init say why there can be no ring, and nothing else runs in its place.
#[test]
fn why_there_is_none() {
    let name = concat!(module_path!(), "::why_there_is_none");
    let setup = Setup { name, model: RING, drive: Drive::pool(), layered: false };
    if let Some(role) = child::role() {
        let refusal = REFUSALS.iter().find(|(error, ..)| *error == role);
        let (_, word, status) = refusal.expect("a known role");
        let (available, reason) = probe(RING);
        assert!(!available && reason.contains(word), "{role}: {reason}");
        assert_eq!(Net::open(&setup.config(|_| {})).err(), Some(*status), "{role}");
        assert!(last_error().contains(word), "{role}: {}", last_error());
        assert!(probe(AUTO).0, "what needs no ring runs");
        return;
    }
    for (error, ..) in REFUSALS {
        let inject = format!("inject=io_uring_setup:error={error}");
        let Some(wrapper) = strace(&["-o", "/dev/null", "-e", &inject]) else { return };
        run(setup, error, &wrapper);
    }
}

/// AUTO opens no ring, in no driving mode.
#[test]
fn auto_opens_none() {
    let Some(setup) = setup(concat!(module_path!(), "::auto_opens_none"), Drive::pool()) else {
        return;
    };
    if let Some(role) = child::role() {
        let model = if role == "auto" { AUTO } else { RING };
        let drives = [Drive::pool(), Drive::lend(), Drive::host0()];
        return drives.into_iter().for_each(|drive| echo(Setup { model, drive, ..setup }));
    }
    let file = std::env::temp_dir().join(format!("sockeye-rings-{}", std::process::id()));
    let path = file.to_str().expect("a plain path");
    // Whether the model can run is asked by opening one ring.
    for (role, rings) in [("auto", 1), ("by name", 4)] {
        let Some(wrapper) = strace(&["-o", path]) else { return };
        run(setup, role, &wrapper);
        let calls = std::fs::read_to_string(&file).expect("strace wrote it");
        assert_eq!(calls.matches("io_uring_setup(").count(), rings, "{role}: {calls}");
    }
    std::fs::remove_file(&file).expect("it was there");
}

fn echo(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// What cannot be is refused, what runs in its place is reported.
#[test]
fn drives_are_told() {
    let Some(setup) = setup(concat!(module_path!(), "::drives_are_told"), Drive::lend()) else {
        return;
    };
    let net = setup.net();
    let info = net.info();
    assert_eq!((info.model, info.drive, info.threads), (RING, DRIVE_POOL, 1));
    assert!(text_of(&info.drive_reason).contains("bound to a thread"));
    let refused = Net::open(&setup.config(|config| config.drive = DRIVE_HOST));
    assert_eq!(refused.err(), Some(ERR_UNSUPPORTED));
    assert!(last_error().contains("bound to one thread"), "{}", last_error());
    let alone = setup.net_with(|config| (config.drive, config.workers) = (DRIVE_HOST, 0));
    assert_eq!((alone.info().drive, alone.info().threads), (DRIVE_HOST, 0));
}

/// Without worker threads: another thread may do all but poll.
#[test]
fn one_thread_polls() {
    let Some(setup) = setup(concat!(module_path!(), "::one_thread_polls"), Drive::host0()) else {
        return;
    };
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let net = host.net.clone();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            // SAFETY: no payload is read.
            let answer = unsafe { net.poll(0, 8, 0) }.err();
            assert!(last_error().contains("bound to the thread"), "{}", last_error());
            assert_eq!((net.send(conn, b"x"), net.flush()), (OK, OK));
            answer
        });
        assert_eq!(other.join().expect("no panic"), Some(ERR_INVALID));
    });
    assert_eq!(host.read(&mut peer, 1), b"x", "it leaves with a poll of the first");
    // Nor does a poll that sleeps keep it waiting.
    let net = host.net.clone();
    thread::scope(|scope| {
        let other = scope.spawn(move || net.send(conn, b"y"));
        assert_eq!(host.read(&mut peer, 1), b"y");
        assert_eq!(other.join().expect("no panic"), OK);
    });
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// The kernel receives ahead of a pause only so far: the rest stays in the system, where it makes
/// the peer wait. Nothing of either is lost.
#[test]
fn a_pause_parks_little() {
    let name = concat!(module_path!(), "::a_pause_parks_little");
    let Some(setup) = setup(name, Drive::pool()) else { return };
    let mut host = setup.host();
    let door = host.door("");
    let ((mut peer, conn), (mut other, turning)) = (host.meet(door), host.meet(door));
    assert_eq!(host.net.pause(conn), OK);
    host.turn_over(&mut other, turning);
    let before = host.net.stats().memory_bytes;
    let mut sent = Vec::new();
    for round in 0..100u8 {
        peer.put(&[round; 2048]);
        sent.extend([round; 2048]);
        // The worker looks in between, or all would come as one.
        let had = host.bytes(turning).len();
        other.put(&[round]);
        host.until("a turn", |host| host.bytes(turning).len() > had);
    }
    host.step(0);
    let parked = host.net.stats().memory_bytes.saturating_sub(before);
    assert!(parked <= 100 << 10, "{parked} bytes for what nobody reads");
    assert_eq!(host.bytes(conn), b"");
    assert_eq!(host.net.resume(conn), OK);
    host.until("all of it", |host| host.bytes(conn).len() == sent.len());
    assert!(host.bytes(conn) == sent, "in order");
    host.finish();
}

/// A listener and connections with all that can be in flight: a receive that waits, sends that the
/// peer does not take, a receive that ran ahead of a pause.
fn busy(setup: Setup) -> (Host, u16, Vec<(Peer, sockeye_conn)>) {
    let mut host = setup.host();
    let door = host.door("");
    let mut met: Vec<(Peer, sockeye_conn)> = (0..3).map(|_| host.meet(door)).collect();
    while host.net.send(met[1].1, &[7; 100_000]) == OK {
        host.step(0);
    }
    assert_eq!(host.net.pause(met[2].1), OK);
    host.step(1);
    met[2].0.put(&[8; 1000]);
    host.step(1);
    (host, door.port, met)
}

/// Nothing is left: each connection and the listener were reported once, the port and the
/// descriptors are free.
fn ended(
    mut host: Host,
    port: u16,
    mut met: Vec<(Peer, sockeye_conn)>,
    before: usize,
    begun: Instant,
) {
    assert!(begun.elapsed() < DEADLINE / 4, "{:?}", begun.elapsed());
    host.drain();
    for (_, conn) in &met {
        let last = host.events_of(*conn).last().expect("CLOSED");
        assert_eq!((last.kind, last.cause), (Kind::Closed, SHUTDOWN));
    }
    let (peer, _) = &mut met[0];
    assert_eq!(host.read_to_end(peer), (Vec::new(), End::Reset));
    host.finish();
    wait_for("the port", || TcpListener::bind(("127.0.0.1", port)).is_ok());
    wait_for("the descriptors", || descriptors().len() <= before + met.len());
}

/// Another thread shuts down while the ring's own is elsewhere: bounded, and nothing is left.
#[test]
fn shut_down_by_another() {
    let name = concat!(module_path!(), "::shut_down_by_another");
    let Some(setup) = setup(name, Drive::host0()) else { return };
    child::alone(setup, || {
        let before = descriptors().len();
        let (host, port, met) = busy(setup);
        let (net, begun) = (host.net.clone(), Instant::now());
        assert_eq!(thread::spawn(move || net.shutdown(0)).join().expect("no panic"), OK);
        ended(host, port, met, before, begun);
    });
}

/// Nor does it matter that its own sleeps in a poll,
#[test]
fn shut_down_under_a_poll() {
    let name = concat!(module_path!(), "::shut_down_under_a_poll");
    let Some(setup) = setup(name, Drive::host0()) else { return };
    child::alone(setup, || {
        let before = descriptors().len();
        let (mut host, port, met) = busy(setup);
        let (net, begun) = (host.net.clone(), Instant::now());
        let other = thread::spawn(move || {
            thread::park_timeout(Duration::from_millis(20));
            net.shutdown(100)
        });
        host.until("CLOSED of all", |host| {
            host.step(1000);
            met.iter().all(|(_, conn)| host.is_closed(*conn))
        });
        assert_eq!(other.join().expect("no panic"), OK);
        ended(host, port, met, before, begun);
    });
}

/// or that it has ended.
#[test]
fn shut_down_after_its_end() {
    let name = concat!(module_path!(), "::shut_down_after_its_end");
    let Some(setup) = setup(name, Drive::host0()) else { return };
    child::alone(setup, || {
        let before = descriptors().len();
        let (host, port, met) = thread::spawn(move || busy(setup)).join().expect("no panic");
        let begun = Instant::now();
        assert_eq!(host.net.shutdown(0), OK);
        ended(host, port, met, before, begun);
    });
}
