//! Overlapped I/O that signals an event object for each lane, and one wait for all of them.

use super::doorbell::Event;
use super::overlapped::{Joint, Kind, Operation, Reaper, Wish, limit, named};
use super::sys;
use crate::io::bell::Bell;
use crate::io::op::{LANES, Token};
use crate::io::proactor::Affinity;
use socket2::Socket;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinSock::{self as winsock, WSAWaitForMultipleEvents};
use windows_sys::Win32::System::IO::OVERLAPPED;

/// A wait takes 64 event objects: two of each socket, the bell's, and that of all accepts.
const SOCKETS_MAX: u32 = 31;
/// Places among the handles; sockets' are behind them.
const BELL: usize = 0;
const JOINT: usize = 1;
const FIRST: usize = 2;
/// Between two looks of one that is dropped.
const MOMENT: Duration = Duration::from_millis(1);

/// A socket's events, and what is in flight with them.
struct Entry {
    index: usize,
    events: [Event; 2],
    flying: [Option<*mut OVERLAPPED>; 2],
}

/// Event objects and their sockets. Those of `entries[at]` are `handles[FIRST + 2 * at]` and the
/// next, and `places` finds it again.
pub struct OverlappedEvent {
    handles: Vec<HANDLE>,
    entries: Vec<Entry>,
    /// By token index; 0 is none, and else one more than the place.
    places: Vec<u8>,
    joint: Joint,
    bell: Bell,
    struck: Arc<Event>,
}

// SAFETY: the handles are those of events in here, which any thread may use; operations are only
// named.
unsafe impl Send for OverlappedEvent {}

impl OverlappedEvent {
    fn entry(&mut self, index: usize) -> &mut Entry {
        let place = self.places.get(index).copied().unwrap_or(0);
        &mut self.entries[usize::from(place).checked_sub(1).expect("it was attached")]
    }

    /// The first signalled object from `from` on, after at most so many milliseconds.
    fn signalled(&self, from: usize, timeout: u32) -> io::Result<Option<usize>> {
        let handles = &self.handles[from..];
        let (count, first) = (handles.len() as u32, handles.as_ptr());
        if count == 0 {
            return Ok(None);
        }
        // SAFETY: open events, at most 64. Not alertable: no routine of the host's runs in here.
        match unsafe { WSAWaitForMultipleEvents(count, first, 0, timeout, 0) } {
            winsock::WSA_WAIT_FAILED => Err(sys::last_error()),
            winsock::WSA_WAIT_TIMEOUT => Ok(None),
            at => Ok(Some(from + at as usize)),
        }
    }

    /// A lane's event was signalled.
    fn report(&mut self, at: usize, over: &mut Vec<*mut OVERLAPPED>) {
        let entry = &mut self.entries[at / LANES.len()];
        let lane = at % LANES.len();
        entry.events[lane].clear();
        // SAFETY: in flight or over, and not reaped, so it is still there.
        over.extend(entry.flying[lane].take_if(|name| unsafe { named(*name) }.is_over()));
    }
}

impl Reaper for OverlappedEvent {
    const AFFINITY: Affinity = Affinity::Bound;
    const SOCKETS_MAX: Option<u32> = Some(SOCKETS_MAX);

    type Place = ();

    fn place(_workers: usize) -> io::Result<()> {
        Ok(())
    }

    fn open(_place: &()) -> io::Result<Self> {
        let (struck, joint) = (Arc::new(Event::new()?), Joint::new()?);
        let strike = struck.clone();
        Ok(OverlappedEvent {
            handles: vec![struck.raw(), joint.event()],
            entries: Vec::new(),
            places: Vec::new(),
            joint,
            bell: Bell::new(move || strike.set()),
            struck,
        })
    }

    fn bell(&self) -> &Bell {
        &self.bell
    }

    fn attach(&mut self, token: Token, _socket: &Socket) -> io::Result<bool> {
        if self.entries.len() >= SOCKETS_MAX as usize {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let (index, events) = (token.index(), [Event::new()?, Event::new()?]);
        if self.places.len() <= index {
            self.places.resize(index + 1, 0);
        }
        self.handles.extend(events.each_ref().map(Event::raw));
        self.entries.push(Entry { index, events, flying: [None; 2] });
        self.places[index] = self.entries.len() as u8;
        Ok(false)
    }

    fn detach(&mut self, token: Token) {
        let place = usize::from(std::mem::take(&mut self.places[token.index()])) - 1;
        // From the back, so that each is replaced by its like.
        for lane in LANES.iter().rev() {
            self.handles.swap_remove(FIRST + LANES.len() * place + *lane as usize);
        }
        self.entries.swap_remove(place);
        if let Some(moved) = self.entries.get(place) {
            self.places[moved.index] = place as u8 + 1;
        }
    }

    fn prepare(&mut self, operation: &Operation, _connects: bool) -> Wish {
        let event = match operation.kind {
            Kind::Accept => self.joint.event(),
            Kind::Lane(lane) => self.entry(operation.index as usize).events[lane as usize].raw(),
        };
        (event, None)
    }

    fn begun(&mut self, operation: &Operation, _connects: bool) {
        match operation.kind {
            Kind::Accept => self.joint.begun(operation),
            Kind::Lane(lane) => {
                let flying = &mut self.entry(operation.index as usize).flying;
                flying[lane as usize] = Some(operation.overlapped());
            }
        }
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        over: &mut Vec<*mut OVERLAPPED>,
    ) -> io::Result<()> {
        self.joint.collect(over);
        let look = timeout == Some(Duration::ZERO) || !over.is_empty();
        let timeout = if look || !self.bell.doze() { 0 } else { limit(timeout) };
        let mut found = self.signalled(BELL, timeout);
        if !look {
            self.bell.rouse();
        }
        // The lowest is reported; the others are asked for, or a busy one would keep them from ever
        // being served.
        while let Some(at) = found? {
            match at {
                BELL => self.struck.clear(),
                JOINT => {
                    self.joint.clear();
                    self.joint.collect(over);
                }
                at => self.report(at - FIRST, over),
            }
            found = self.signalled(at + 1, 0);
        }
        Ok(())
    }

    fn farewell(&mut self, lanes: &[*mut OVERLAPPED], over: &mut Vec<*mut OVERLAPPED>) -> bool {
        thread::sleep(MOMENT);
        self.joint.collect(over);
        // SAFETY: in flight or over, and not reaped, so it is still there.
        over.extend(lanes.iter().filter(|&&name| unsafe { named(name) }.is_over()));
        true
    }
}

const _: () = assert!(FIRST + LANES.len() * SOCKETS_MAX as usize <= 64);
