//! Who is late: a peer of whom nothing waits, however long the process was away meanwhile.

use crate::common::child::{self, Child};
use crate::common::event::{Event, Kind};
use crate::common::peer::Peer;
use crate::common::process::{go_on, stop};
use crate::common::words::*;
use crate::common::{Setup, suite, wait_for};
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

suite! {
    each: bytes_that_came_in_a_stop_are_no_silence, a_stop_in_a_frame, a_stop_before_the_first_byte,
        a_host_that_was_away;
}

/// The timeout in these tests.
const LIMIT_MS: u32 = 700;
const TALKERS: usize = 20;
const SILENT: usize = 5;

/// What the child times, and what its peers write before and in the stop.
#[derive(Clone, Copy)]
struct Story {
    idle_ms: u32,
    first_byte_ms: u32,
    frame_ms: u32,
    before: &'static [u8],
    meanwhile: &'static [u8],
    cause: i32,
    /// Messages in `before`.
    told: usize,
}

/// The child. It answers `opened`, `told`: messages, `late`: those closed for the cause that told
/// nothing after the stop, and ends with its input.
fn serve(setup: Setup, story: Story) {
    let words = child::words();
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.idle_timeout_ms = story.idle_ms;
        endpoint.first_byte_timeout_ms = story.first_byte_ms;
        endpoint.frame_timeout_ms = story.frame_ms;
    });
    child::say("port", u64::from(door.port));
    loop {
        let word = match words.try_recv() {
            Ok(word) => word,
            Err(TryRecvError::Empty) => {
                host.step(5);
                continue;
            }
            Err(TryRecvError::Disconnected) => break,
        };
        let late = |event: &&Event| {
            event.kind == Kind::Closed
                && event.cause == story.cause
                && host.messages(event.conn).len() == story.told
        };
        let count = match word.as_str() {
            "opened" => host.count(Kind::Opened),
            "told" => host.count(Kind::Message),
            "late" => host.log.iter().filter(late).count(),
            word => panic!("the parent says {word}"),
        };
        child::say(&word, count as u64);
    }
    host.finish();
}

/// Asks the child until it says so many.
fn until(server: &mut Child, word: &str, count: usize) {
    let mut last = 0;
    wait_for(&format!("{count} {word}"), || {
        last = server.ask(word) as usize;
        last >= count
    });
    assert_eq!(last, count, "{word}");
}

/// A process is stopped for longer than its limit while some peers write. Those are served, the
/// others are closed.
fn play(setup: Setup, story: Story) {
    if child::role().is_some() {
        return serve(setup, story);
    }
    let mut server = Child::spawn(setup, "serve", &[]);
    let port = server.value("port") as u16;
    let mut talkers: Vec<Peer> = (0..TALKERS).map(|_| Peer::connect(port)).collect();
    let mut silent: Vec<Peer> = (0..SILENT).map(|_| Peer::connect(port)).collect();
    until(&mut server, "opened", TALKERS + SILENT);
    for peer in talkers.iter_mut().chain(&mut silent) {
        peer.put(story.before);
    }
    until(&mut server, "told", story.told * (TALKERS + SILENT));
    if server.ask("late") > 0 {
        println!("skipped: the machine held the processes up");
        return server.end();
    }
    stop(server.pid());
    for peer in &mut talkers {
        peer.put(story.meanwhile);
    }
    let begun = Instant::now();
    wait_for("the limit", || begun.elapsed() > Duration::from_millis(LIMIT_MS.into()) * 2);
    go_on(server.pid());
    until(&mut server, "told", TALKERS + story.told * (TALKERS + SILENT));
    until(&mut server, "late", SILENT);
    server.end();
}

const FRAME: &[u8] = b"\0\0\0\x01a";
const NONE: Story = Story {
    idle_ms: 0,
    first_byte_ms: 0,
    frame_ms: 0,
    before: b"",
    meanwhile: FRAME,
    cause: 0,
    told: 0,
};

/// Of a debugger, a suspended machine, a busy one.
pub fn bytes_that_came_in_a_stop_are_no_silence(setup: Setup) {
    let (before, cause) = (FRAME, TIMEOUT_IDLE);
    play(setup, Story { idle_ms: LIMIT_MS, before, cause, told: 1, ..NONE });
}

pub fn a_stop_before_the_first_byte(setup: Setup) {
    play(setup, Story { first_byte_ms: LIMIT_MS, cause: TIMEOUT_FIRST_BYTE, ..NONE });
}

/// Of a frame of which the end came in the stop.
pub fn a_stop_in_a_frame(setup: Setup) {
    let (before, meanwhile) = FRAME.split_at(4);
    play(setup, Story { frame_ms: LIMIT_MS, before, meanwhile, cause: TIMEOUT_FRAME, ..NONE });
}

/// As the first, of a host that does not poll for a while. Where it turns the worker itself, nobody
/// looks at the sockets meanwhile.
pub fn a_host_that_was_away(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.idle_timeout_ms = LIMIT_MS);
    let mut met: Vec<_> = (0..TALKERS).map(|_| host.meet(door)).collect();
    let begun = Instant::now();
    for (peer, _) in &mut met {
        peer.put(FRAME);
    }
    wait_for("the limit", || begun.elapsed() > Duration::from_millis(LIMIT_MS.into()) * 2);
    for (_, conn) in met {
        host.until("its message", |host| {
            host.messages(conn).len() == 1 || host.kinds_of(conn).contains(&Kind::Closed)
        });
        assert_eq!(host.messages(conn).len(), 1, "it had written");
    }
    host.finish();
}
