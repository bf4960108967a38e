//! Functions of the host's that wait for each other: one of them is refused, nobody stands still.
//! And what belongs to one net is never another's.

use crate::common::net::Net;
use crate::common::words::*;
use crate::common::{Setup, suite, wait_for};
use sockeye::capi::event::sockeye_event;
use sockeye::capi::net::sockeye_net;
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

suite! {
    each: callbacks_that_remove_each_other, logs_that_remove_each_other,
        a_callback_and_a_log_that_remove_each_other, ends_of_each_other, logs_of_two_nets,
        a_log_function_may_wait_for_others;
}

/// What a function does once both are inside.
#[derive(Clone, Copy)]
enum Act {
    Unset,
    Unlog,
    End,
}

/// One of two functions that do something to each other's net.
struct Side {
    net: &'static Net,
    other: &'static Net,
    act: Act,
    inside: &'static AtomicUsize,
    answers: Mutex<Vec<i32>>,
}

impl Side {
    fn run(&self) {
        if !self.answers.lock().expect("no panic").is_empty() {
            return;
        }
        self.inside.fetch_add(1, SeqCst);
        wait_for("both are inside", || self.inside.load(SeqCst) >= 2);
        let answer = match self.act {
            // SAFETY: NULL takes the function away.
            Act::Unset => unsafe { self.other.set_callback(0, None, ptr::null_mut()) },
            // SAFETY: as above.
            Act::Unlog => unsafe { self.other.set_log(None, ptr::null_mut(), 0) },
            Act::End => self.other.shutdown(0),
        };
        self.answers.lock().expect("no panic").push(answer);
    }

    fn user(&'static self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn is_done(&self) -> bool {
        !self.answers.lock().expect("no panic").is_empty()
    }

    /// Has the callback called, by a thread of this test's where no other thread does.
    fn call(&'static self) {
        // SAFETY: it lives for ever, and no payload is kept.
        assert_eq!(unsafe { self.net.set_callback(0, Some(called), self.user()) }, OK);
        assert_eq!(self.net.post(0, 1, 1), OK);
        wait_for("an answer", || {
            self.net.poll_callback(0, 1);
            self.is_done()
        });
    }

    /// Has the log function called: on this thread, or on a worker that is quicker with the line.
    fn log(&'static self) {
        // SAFETY: it lives for ever.
        assert_eq!(unsafe { self.net.set_log(Some(logged), self.user(), 3) }, OK);
        self.net.listen("tcp://127.0.0.1:0", None).expect("a door opens");
        wait_for("an answer", || self.is_done());
    }
}

extern "C" fn called(
    user: *mut c_void,
    _: *mut sockeye_net,
    _: u32,
    _: *const sockeye_event,
    _: u32,
) {
    // SAFETY: the side that was given, which lives for ever.
    unsafe { &*user.cast::<Side>() }.run();
}

extern "C" fn logged(user: *mut c_void, _: u32, _: *const c_char) {
    // SAFETY: the side that was given, which lives for ever.
    unsafe { &*user.cast::<Side>() }.run();
}

fn leaked(setup: Setup) -> &'static Net {
    Box::leak(Box::new(setup.net()))
}

/// Two nets, each with one function; what each does to the other's.
fn meet(setup: Setup, acts: [Act; 2], begin: [fn(&'static Side); 2]) {
    let nets = [leaked(setup), leaked(setup)];
    let inside = Box::leak(Box::default());
    let side = |at: usize| -> &'static Side {
        let (net, other) = (nets[at], nets[1 - at]);
        Box::leak(Box::new(Side { net, other, act: acts[at], inside, answers: Mutex::default() }))
    };
    let sides = [side(0), side(1)];
    thread::scope(|scope| {
        for at in 0..2 {
            scope.spawn(move || begin[at](sides[at]));
        }
    });
    let answer = |side: &Side| side.answers.lock().expect("no panic")[0];
    let answers = sides.map(answer);
    let refused = answers.iter().filter(|answer| **answer == ERR_WOULD_DEADLOCK).count();
    assert_eq!(refused, 1, "one of them: {answers:?}");
    assert!(answers.contains(&OK), "{answers:?}");
    for net in nets {
        assert_eq!(net.shutdown(0), OK);
        // SAFETY: no thread is inside, and the value stays leaked.
        assert_eq!(unsafe { net.free() }, OK);
    }
}

pub fn callbacks_that_remove_each_other(setup: Setup) {
    meet(setup, [Act::Unset; 2], [Side::call; 2]);
}

pub fn logs_that_remove_each_other(setup: Setup) {
    meet(setup, [Act::Unlog; 2], [Side::log; 2]);
}

pub fn a_callback_and_a_log_that_remove_each_other(setup: Setup) {
    meet(setup, [Act::Unlog, Act::Unset], [Side::call, Side::log]);
}

/// A shutdown waits for the functions of its net too.
pub fn ends_of_each_other(setup: Setup) {
    meet(setup, [Act::End; 2], [Side::call; 2]);
}

extern "C" fn tally(user: *mut c_void, _: u32, _: *const c_char) {
    // SAFETY: the counter that was given, which lives for ever.
    unsafe { &*user.cast::<AtomicUsize>() }.fetch_add(1, SeqCst);
}

/// In the log function of one net.
struct Other {
    net: &'static Net,
    lines: &'static AtomicUsize,
    answers: Mutex<Vec<i32>>,
}

extern "C" fn change_other(user: *mut c_void, _: u32, _: *const c_char) {
    // SAFETY: what was given, which lives for ever.
    let other = unsafe { &*user.cast::<Other>() };
    let mut answers = other.answers.lock().expect("no panic");
    if answers.is_empty() {
        let lines = ptr::from_ref(other.lines).cast_mut().cast();
        // SAFETY: the counter lives for ever.
        answers.push(unsafe { other.net.set_log(Some(tally), lines, 3) });
        other.net.listen("tcp://127.0.0.1:0", None).expect("a door opens");
        answers.push(other.net.shutdown(0));
    }
}

/// A log function is its net's own: inside it another net is told of, changed and ended.
pub fn logs_of_two_nets(setup: Setup) {
    let nets = [leaked(setup), leaked(setup)];
    let lines: &AtomicUsize = Box::leak(Box::default());
    let other = Box::leak(Box::new(Other { net: nets[1], lines, answers: Mutex::default() }));
    let user = ptr::from_mut(other).cast();
    // SAFETY: it lives for ever.
    assert_eq!(unsafe { nets[0].set_log(Some(change_other), user, 3) }, OK);
    nets[0].listen("tcp://127.0.0.1:0", None).expect("a door opens");
    assert_eq!(*other.answers.lock().expect("no panic"), [OK, OK]);
    assert_eq!(lines.load(SeqCst), 2, "a door, and the end");
    for net in nets {
        assert_eq!(net.shutdown(0), OK);
        // SAFETY: no thread is inside, and the value stays leaked.
        assert_eq!(unsafe { net.free() }, OK);
    }
}

/// A function that has another thread end its net, while it is inside of a call.
struct Ender {
    net: &'static Net,
    posted: AtomicUsize,
}

extern "C" fn end_beside(user: *mut c_void, _: u32, text: *const c_char) {
    // SAFETY: what was given, which lives for ever; the text is NUL-terminated.
    let (ender, text) =
        unsafe { (&*user.cast::<Ender>(), std::ffi::CStr::from_ptr(text).to_string_lossy()) };
    if text.contains("shut down") {
        return;
    }
    let net = ender.net;
    let ends = thread::spawn(|| net.shutdown(0));
    wait_for("the end begins", || net.post(0, 1, 1) == ERR_SHUTDOWN);
    ender.posted.fetch_add(1, SeqCst);
    drop(ends);
}

/// No lock is held meanwhile that a shutdown on another thread and a call from inside would want.
pub fn a_log_function_may_wait_for_others(setup: Setup) {
    for door in ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"] {
        let net = leaked(setup);
        let ender = Box::leak(Box::new(Ender { net, posted: AtomicUsize::new(0) }));
        let user = ptr::from_mut(ender).cast();
        // SAFETY: it lives for ever.
        assert_eq!(unsafe { net.set_log(Some(end_beside), user, 3) }, OK);
        net.listen(door, None).expect("a door opens");
        assert_eq!(ender.posted.load(SeqCst), 1);
        assert_eq!(net.shutdown(0), OK);
        // SAFETY: no thread is inside, and the value stays leaked.
        assert_eq!(unsafe { net.free() }, OK);
    }
}
