//! Overlapped I/O with completion routines, which the system runs on the thread that began the
//! operation while it waits alertably: only a worker's own thread does. A routine does nothing but
//! note which operation it is of.
//!
//! Accepts and connects take no routine: they signal an event.

use super::doorbell::Event;
use super::overlapped::{Joint, Kind, Operation, Reaper, Wish, limit, named};
use super::sys;
use crate::io::bell::Bell;
use crate::io::op::Token;
use crate::io::proactor::Affinity;
use socket2::Socket;
use std::io;
use std::mem;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use windows_sys::Win32::Foundation::{WAIT_IO_COMPLETION, WAIT_OBJECT_0};
use windows_sys::Win32::Networking::WinSock::{self as winsock, WSAWaitForMultipleEvents};
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::Threading::{GetCurrentThreadId, SleepEx, WaitForSingleObject};

/// Between two looks of one that is dropped.
const MOMENT: Duration = Duration::from_millis(1);

type List = Vec<*mut OVERLAPPED>;

/// One worker's operations that are over.
pub struct OverlappedRoutine {
    /// A box that routines push to, on the worker's thread. Behind a pointer: they run in the
    /// middle of what this value does. Null: it was left to them.
    list: *mut List,
    joint: Joint,
    bell: Bell,
    struck: Arc<Event>,
    /// The thread that turns the worker, from its first turn on.
    turner: Option<(u32, OwnedHandle)>,
}

// SAFETY: the list is pushed to on the turner's thread alone, and read there or after its end.
unsafe impl Send for OverlappedRoutine {}

/// Notes that an operation is over.
///
/// # Safety
/// It was begun with what `prepare` gave for it, and the system calls this once.
unsafe extern "system" fn routine(_error: u32, _count: u32, name: *mut OVERLAPPED, _flags: u32) {
    // SAFETY: `prepare` put the list there, where the system leaves a routine's operation alone; no
    // other thread uses the list while this one waits.
    unsafe { (*(*name).hEvent.cast::<List>()).push(name) };
}

fn this_thread() -> u32 {
    // SAFETY: no pointers.
    unsafe { GetCurrentThreadId() }
}

impl OverlappedRoutine {
    /// What routines noted.
    fn take(&mut self, over: &mut List) {
        // SAFETY: there is no wait, so no routine runs.
        over.append(unsafe { &mut *self.list });
    }
}

impl Reaper for OverlappedRoutine {
    const AFFINITY: Affinity = Affinity::Bound;
    const HOSTED: bool = false;

    type Place = ();

    fn place(_workers: usize) -> io::Result<()> {
        Ok(())
    }

    fn open(_place: &()) -> io::Result<Self> {
        let (struck, joint) = (Arc::new(Event::new()?), Joint::new()?);
        let strike = struck.clone();
        Ok(OverlappedRoutine {
            list: Box::into_raw(Box::default()),
            joint,
            bell: Bell::new(move || strike.set()),
            struck,
            turner: None,
        })
    }

    fn bell(&self) -> &Bell {
        &self.bell
    }

    fn attach(&mut self, _token: Token, _socket: &Socket) -> io::Result<bool> {
        Ok(false)
    }

    fn prepare(&mut self, operation: &Operation, connects: bool) -> Wish {
        if connects || operation.kind == Kind::Accept {
            return (self.joint.event(), None);
        }
        (self.list.cast(), Some(routine))
    }

    fn begun(&mut self, operation: &Operation, connects: bool) {
        if connects || operation.kind == Kind::Accept {
            self.joint.begun(operation);
        }
    }

    fn wait(&mut self, timeout: Option<Duration>, over: &mut List) -> io::Result<()> {
        if self.turner.is_none() {
            self.turner = Some((this_thread(), sys::this_thread()?));
        }
        self.joint.collect(over);
        let look = timeout == Some(Duration::ZERO) || !over.is_empty();
        let timeout = if look || !self.bell.doze() { 0 } else { limit(timeout) };
        let events = [self.struck.raw(), self.joint.event()];
        // SAFETY: two open events. Alertable: this is the worker's own thread.
        let answer = unsafe { WSAWaitForMultipleEvents(2, events.as_ptr(), 0, timeout, 1) };
        if !look {
            self.bell.rouse();
        }
        match answer {
            winsock::WSA_WAIT_FAILED => return Err(sys::last_error()),
            WAIT_IO_COMPLETION => {}
            _ => {
                // A signal comes before routines that are due.
                // SAFETY: no pointers.
                unsafe { SleepEx(0, 1) };
                self.struck.clear();
                self.joint.clear();
            }
        }
        self.joint.collect(over);
        self.take(over);
        Ok(())
    }

    fn farewell(&mut self, lanes: &[*mut OVERLAPPED], over: &mut List) -> bool {
        let Some((id, turner)) = &self.turner else { return false };
        if *id == this_thread() {
            // SAFETY: no pointers.
            unsafe { SleepEx(MOMENT.as_millis() as u32, 1) };
            self.joint.collect(over);
            self.take(over);
            return true;
        }
        // SAFETY: a handle of a thread.
        if unsafe { WaitForSingleObject(turner.as_raw_handle(), 0) } != WAIT_OBJECT_0 {
            return false;
        }
        // It has ended, and took its operations along: no routine runs any more.
        thread::sleep(MOMENT);
        self.joint.collect(over);
        self.take(over);
        for &name in lanes {
            // SAFETY: in flight or over, and not reaped, so it is still there.
            if unsafe { named(name) }.is_over() && !over.contains(&name) {
                over.push(name);
            }
        }
        true
    }

    fn forsake(&mut self) {
        self.list = ptr::null_mut();
    }
}

impl Drop for OverlappedRoutine {
    fn drop(&mut self) {
        if !self.list.is_null() {
            // SAFETY: of a box, and no operation is in flight that could push to it.
            drop(unsafe { Box::from_raw(mem::replace(&mut self.list, ptr::null_mut())) });
        }
    }
}
