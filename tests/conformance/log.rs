//! The log hook: the host's own log is told what happens, as much as it asked for, and nothing
//! once it has taken its function away.

use crate::common::event::Kind;
use crate::common::net::Net;
use crate::common::peer::Peer;
use crate::common::words::*;
use crate::common::{Setup, suite, wait_for};
use sockeye::capi::log::sockeye_log_level;
use std::ffi::{CStr, c_char, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

suite! {
    each: tells_by_level, tells_of_refusals, calls_from_inside, gone_when_taken_away,
        a_slow_one_costs_no_event;
}

pub const WARNING: u32 = sockeye_log_level::SOCKEYE_LOG_WARNING as u32;
const INFO: u32 = sockeye_log_level::SOCKEYE_LOG_INFO as u32;

/// Lines with their levels.
pub type Lines = Mutex<Vec<(u32, String)>>;

pub extern "C" fn keep(user: *mut c_void, level: u32, text: *const c_char) {
    // SAFETY: the lines that were given, which outlive the net; the text is NUL-terminated.
    let (lines, text) = unsafe { (&*user.cast::<Lines>(), CStr::from_ptr(text)) };
    let text = text.to_str().expect("UTF-8").to_owned();
    lines.lock().expect("no panic").push((level, text));
}

/// Gives a net the function, with something that outlives it.
pub fn listen_in<T>(
    net: &Net,
    user: &'static T,
    level: u32,
    log: extern "C" fn(*mut c_void, u32, *const c_char),
) {
    let user = std::ptr::from_ref(user).cast_mut().cast();
    // SAFETY: the function reads what it is given, which lives for ever.
    assert_eq!(unsafe { net.set_log(Some(log), user, level) }, OK);
}

pub fn lines() -> &'static Lines {
    Box::leak(Box::default())
}

pub fn told(lines: &Lines) -> Vec<(u32, String)> {
    lines.lock().expect("no panic").clone()
}

/// INFO tells where a door is and that the net has ended; WARNING does not.
pub fn tells_by_level(setup: Setup) {
    let (much, little) = (lines(), lines());
    for (kept, level) in [(much, INFO), (little, WARNING)] {
        let mut host = setup.host();
        listen_in(&host.net, kept, level, keep);
        let door = host.door("");
        let (mut peer, conn) = host.meet(door);
        host.turn_over(&mut peer, conn);
        assert_eq!(host.net.shutdown(0), OK);
        if level == INFO {
            let port = format!(":{}", door.port);
            assert!(told(kept).iter().any(|(_, line)| line.contains(&port)), "{:?}", told(kept));
        }
        host.finish();
    }
    let told_much = told(much);
    assert!(told_much.len() >= 2, "a door and an end: {told_much:?}");
    assert!(told_much.iter().all(|(level, _)| (1..=INFO).contains(level)));
    assert!(told_much.iter().all(|(_, line)| !line.is_empty() && !line.contains('\n')));
    assert_eq!(told(little), [], "nothing was wrong");
}

/// WARNING tells that peers are refused, in a few lines, not one for each.
pub fn tells_of_refusals(setup: Setup) {
    let kept = lines();
    let mut host = setup.host_with(|config| config.connections_max = 2);
    listen_in(&host.net, kept, WARNING, keep);
    let door = host.door("");
    let (_peer, _) = host.meet(door);
    let mut refused: Vec<Peer> = (0..20).map(|_| Peer::connect(door.port)).collect();
    host.until("a warning", |_| !told(kept).is_empty());
    host.until("refusals", |host| host.net.stats().accept_failures > 0);
    refused.clear();
    assert!(told(kept).iter().all(|(level, _)| *level == WARNING), "{:?}", told(kept));
    assert!(told(kept).iter().any(|(_, line)| line.contains("connections_max")));
    assert!(told(kept).len() <= 20, "a peer is not a line: {:?}", told(kept));
    host.finish();
}

/// What a function needs to call its net from inside.
struct Caller {
    net: &'static Net,
    answers: Mutex<Vec<i32>>,
}

extern "C" fn call_back(user: *mut c_void, _: u32, _: *const c_char) {
    // SAFETY: the caller that was given, which lives for ever.
    let caller = unsafe { &*user.cast::<Caller>() };
    let net = caller.net;
    let mut answers = caller.answers.lock().expect("no panic");
    // SAFETY: it is refused, so nothing is freed.
    answers.extend([net.shutdown(0), unsafe { net.free() }, net.post(0, 1, 1)]);
    assert_eq!(net.info().queues, 1);
    // SAFETY: NULL takes the function away when this call of it returns.
    answers.push(unsafe { net.set_log(None, std::ptr::null_mut(), 0) });
}

/// From inside a shutdown or a free would wait for itself and says so; other calls are answered.
pub fn calls_from_inside(setup: Setup) {
    let net: &'static Net = Box::leak(Box::new(setup.net()));
    let caller: &'static Caller = Box::leak(Box::new(Caller { net, answers: Mutex::default() }));
    listen_in(net, caller, INFO, call_back);
    for _ in 0..3 {
        net.listen("tcp://127.0.0.1:0", None).expect("a door opens");
    }
    let answers = caller.answers.lock().expect("no panic").clone();
    assert_eq!(answers, [ERR_WOULD_DEADLOCK, ERR_WOULD_DEADLOCK, OK, OK], "once, then gone");
    assert_eq!(net.shutdown(0), OK);
    // SAFETY: no thread is inside, and the value stays leaked.
    assert_eq!(unsafe { net.free() }, OK);
}

/// A function that may go away.
#[derive(Default)]
struct Plugin {
    unloaded: AtomicBool,
    calls: AtomicUsize,
    late: AtomicUsize,
}

extern "C" fn plugged_in(user: *mut c_void, _: u32, _: *const c_char) {
    // SAFETY: the plugin that was given; the test leaks it, so that a late call is counted.
    let plugin = unsafe { &*user.cast::<Plugin>() };
    plugin.calls.fetch_add(1, Ordering::SeqCst);
    std::thread::yield_now();
    plugin.late.fetch_add(usize::from(plugin.unloaded.load(Ordering::SeqCst)), Ordering::SeqCst);
}

/// When `set_log` has returned, the function before neither runs nor is called again, whatever
/// other threads do.
pub fn gone_when_taken_away(setup: Setup) {
    let host = setup.host();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (net, stop) = (&host.net, &stop);
        for _ in 0..3 {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match net.listen("tcp://127.0.0.1:0", None) {
                        Ok(door) => assert_eq!(net.listener_close(door), OK),
                        // More than the model can watch, until those before are closed.
                        Err(status) => assert_eq!(status, ERR_LIMIT),
                    }
                }
            });
        }
        for _ in 0..20 {
            let plugin: &'static Plugin = Box::leak(Box::default());
            listen_in(net, plugin, INFO, plugged_in);
            crate::common::wait_for("a few lines", || {
                // SAFETY: no other batch, and nothing of this one is kept.
                unsafe { net.poll(0, 64, 0) }.expect("the net runs");
                plugin.calls.load(Ordering::SeqCst) > 3
            });
            // SAFETY: NULL takes the function away.
            assert_eq!(unsafe { net.set_log(None, std::ptr::null_mut(), 0) }, OK);
            plugin.unloaded.store(true, Ordering::SeqCst);
            let calls = plugin.calls.load(Ordering::SeqCst);
            std::thread::yield_now();
            assert_eq!(plugin.calls.load(Ordering::SeqCst), calls, "not called again");
            assert_eq!(plugin.late.load(Ordering::SeqCst), 0, "not inside any more");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// A function that takes its time, in the middle of a turn.
#[derive(Default)]
struct Slow {
    entered: AtomicBool,
    /// Somebody ends the net meanwhile.
    ending: AtomicBool,
}

extern "C" fn take_time(user: *mut c_void, _: u32, _: *const c_char) {
    // SAFETY: what was given, which lives for ever.
    let slow = unsafe { &*user.cast::<Slow>() };
    slow.entered.store(true, Ordering::SeqCst);
    wait_for("a shutdown", || slow.ending.load(Ordering::SeqCst));
    // Longer than a shutdown without a timeout waits for what it closes.
    let until = Instant::now() + Duration::from_millis(200);
    wait_for("the end of the line", || Instant::now() >= until);
}

/// Rules 1, 9: whoever is in the middle of a turn when the net ends, all is reported before
/// ERR_SHUTDOWN is.
pub fn a_slow_one_costs_no_event(setup: Setup) {
    let slow: &Slow = Box::leak(Box::default());
    let mut host = setup.host_with(|config| config.connections_max = 2);
    let door = host.door("");
    let (_peer, conn) = host.meet(door);
    listen_in(&host.net, slow, WARNING, take_time);
    let net = host.net.clone();
    let ends = thread::spawn(move || {
        wait_for("a line", || slow.entered.load(Ordering::SeqCst));
        slow.ending.store(true, Ordering::SeqCst);
        net.shutdown(0)
    });
    let _refused = Peer::connect(door.port);
    host.drain();
    assert_eq!(ends.join().expect("no panic"), OK);
    assert_eq!(host.events_of(conn).last().map(|event| event.cause), Some(SHUTDOWN));
    assert_eq!(host.count(Kind::ListenerClosed), 1);
    host.finish();
}
