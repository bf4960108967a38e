//! A worker that goes with operations in flight.

use super::Overlapped;
use super::operation::{Kind, named};
use super::reaper::Reaper;
use crate::io::op::LANES;
use crate::io::proactor::Affinity;
use std::mem;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use windows_sys::Win32::System::IO::OVERLAPPED;

/// For the system to give up memory that an operation points at, after it gave up another.
const FAREWELL: Duration = Duration::from_secs(1);

impl<R: Reaper> Drop for Overlapped<R> {
    fn drop(&mut self) {
        if self.is_last() && self.counts().flying() > 0 {
            self.in_flight(true);
            let mut until = Instant::now() + FAREWELL;
            while self.counts().flying() > 0 {
                let lanes = self.in_flight(false);
                let told = self.hands.reaper.farewell(&lanes, &mut self.over);
                let over = mem::take(&mut self.over);
                if !over.is_empty() {
                    until = Instant::now() + FAREWELL;
                }
                over.into_iter().for_each(|name| self.bury(name));
                if !told || Instant::now() >= until {
                    // The system may still write: nothing of it is ever used for anything else.
                    self.slots.forsake();
                    self.hands.reaper.forsake();
                    break;
                }
            }
        }
        self.workers.fetch_sub(1, SeqCst);
    }
}

impl<R: Reaper> Overlapped<R> {
    /// The operations of lanes that are in flight, to be reaped here. `cancels`: has the system
    /// end them, and accepts.
    fn in_flight(&self, cancels: bool) -> Vec<*mut OVERLAPPED> {
        let mut lanes = Vec::new();
        for held in self.slots.all() {
            if R::AFFINITY != Affinity::Shared && held.owner != self.hands.owner {
                continue;
            }
            for lane in LANES.into_iter().filter(|&lane| held.flying[lane as usize]) {
                let operation = &held.slot.operations[lane as usize];
                lanes.push(operation.overlapped());
                if cancels {
                    operation.cancel(&held.socket);
                }
            }
            let doors = held.behind.as_ref().and_then(|behind| behind.doors.as_ref());
            if let Some(doors) = doors.filter(|_| cancels) {
                doors.shut(&held.socket);
            }
        }
        lanes
    }

    /// As `reaped`, of one that is dropped: nothing follows.
    fn bury(&mut self, name: *mut OVERLAPPED) {
        // SAFETY: it is over and was not reaped before.
        let operation = unsafe { named(name) };
        let Kind::Lane(lane) = operation.kind else {
            self.reaped(name, true, &mut Vec::new());
            return;
        };
        self.hands.counts.flying.fetch_sub(1, SeqCst);
        if let Some(mut held) = self.slots.hold_index(operation.index as usize) {
            held.flying[lane as usize] = false;
        }
    }
}
