//! WSAEventSelect(): an event object for each socket, and one wait for all of them.
//!
//! The system records what happens to a socket and reports each event once: what is there to
//! receive again after a receive, room to send only after a send that blocked, an end only once. So
//! everything is asked for, always, and no socket waits for room that was not refused it.

use super::doorbell::Event;
use super::sys;
use crate::io::bell::Bell;
use crate::io::op::{LANES, Lane, Token};
use crate::io::readiness::{Readiness, Ready};
use socket2::Socket;
use std::io;
use std::mem;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinSock as winsock;
use windows_sys::Win32::System::Threading::INFINITE;
use winsock::{SOCKET, WSAEVENT, WSANETWORKEVENTS};
use winsock::{WSAEnumNetworkEvents, WSAEventSelect, WSAWaitForMultipleEvents};

/// A wait takes 64 event objects, and one of them is the bell's.
const SOCKETS_MAX: u32 = 63;
const INWARD: u32 = winsock::FD_ACCEPT | winsock::FD_READ | winsock::FD_OOB | winsock::FD_CLOSE;
const OUTWARD: u32 = winsock::FD_CONNECT | winsock::FD_WRITE | winsock::FD_CLOSE;
/// Urgent data is among them: a receive stops at its mark with more behind it.
const ENDED: u32 = winsock::FD_CLOSE | winsock::FD_OOB;

/// A socket that is watched.
struct Entry {
    token: Token,
    socket: SOCKET,
    event: Event,
    /// A connection was reported, and every accept since has found one: of others nothing is asked.
    accepts: bool,
}

/// Event objects and their sockets. `handles[0]` is the bell's; `handles[at]` belongs to
/// `entries[at - 1]`, and `places` finds it again.
pub struct EventSelect {
    handles: Vec<HANDLE>,
    entries: Vec<Entry>,
    /// By token index; 0 is none.
    places: Vec<u8>,
    /// Connects that may have failed before they were watched.
    early: Vec<Token>,
    bell: Arc<Event>,
}

// SAFETY: the handles are those of events in `entries` and `bell`, which any thread may use.
unsafe impl Send for EventSelect {}

fn ask(socket: SOCKET, event: HANDLE, events: u32) -> io::Result<()> {
    // SAFETY: an open socket and an open event, or none to end it.
    sys::check(unsafe { WSAEventSelect(socket, event as WSAEVENT, events as i32) })?;
    Ok(())
}

impl Entry {
    /// Takes what is recorded, and ends the event's signal.
    fn take(&self) -> io::Result<u32> {
        let mut record = WSANETWORKEVENTS { lNetworkEvents: 0, iErrorCode: [0; 10] };
        let event = self.event.raw();
        // SAFETY: an open socket, its event, and room for the record.
        sys::check(unsafe { WSAEnumNetworkEvents(self.socket, event as WSAEVENT, &mut record) })?;
        Ok(record.lNetworkEvents as u32)
    }
}

impl EventSelect {
    fn place(&self, token: Token) -> Option<usize> {
        let place = usize::from(*self.places.get(token.index())?);
        (place > 0 && self.entries[place - 1].token == token).then_some(place)
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

    fn report(&mut self, at: usize, ready: &mut Vec<Ready>) {
        let entry = &mut self.entries[at - 1];
        // It fails when the system lost the network, or has no memory, and leaves the signal: let
        // the tries find out, and what comes then signal anew.
        let told = entry.take().unwrap_or_else(|_| {
            entry.event.clear();
            INWARD | OUTWARD
        });
        let (token, ended) = (entry.token, told & ENDED != 0);
        if told & winsock::FD_ACCEPT != 0 {
            // Wine may report a connection in the moment that it is accepted, and then, as no
            // accept follows that finds one, of none for ever: so nothing is asked meanwhile.
            let asked = (INWARD | OUTWARD) & !winsock::FD_ACCEPT;
            entry.accepts = ask(entry.socket, entry.event.raw(), asked).is_ok();
        }
        for lane in LANES {
            let asked = if lane == Lane::In { INWARD } else { OUTWARD };
            if told & asked != 0 {
                ready.push(Ready { token, lane, ended });
            }
        }
    }
}

impl Readiness for EventSelect {
    const SOCKETS_MAX: Option<u32> = Some(SOCKETS_MAX);
    const PART_BLOCKS: bool = false;

    fn open() -> io::Result<(Self, Bell)> {
        let bell = Arc::new(Event::new()?);
        let poller = EventSelect {
            handles: vec![bell.raw()],
            entries: Vec::new(),
            places: Vec::new(),
            early: Vec::new(),
            bell: bell.clone(),
        };
        Ok((poller, Bell::new(move || bell.set())))
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        let event = Event::new()?;
        let connecting = socket.peer_addr().is_err();
        let socket = sys::raw(socket);
        // In place of what an accepted socket has of its listener.
        ask(socket, event.raw(), INWARD | OUTWARD)?;
        if self.places.len() <= token.index() {
            self.places.resize(token.index() + 1, 0);
        }
        self.places[token.index()] = self.handles.len() as u8;
        self.handles.push(event.raw());
        self.entries.push(Entry { token, socket, event, accepts: false });
        if connecting {
            self.early.push(token);
        }
        Ok(())
    }

    fn remove(&mut self, token: Token, _socket: &Socket) {
        let Some(place) = self.place(token) else { return };
        self.places[token.index()] = 0;
        self.handles.swap_remove(place);
        let entry = self.entries.swap_remove(place - 1);
        // The socket is closed next, which would do the same.
        let _ = ask(entry.socket, ptr::null_mut(), 0);
        if let Some(moved) = self.entries.get(place - 1) {
            self.places[moved.token.index()] = place as u8;
        }
    }

    fn blocked(&mut self, _token: Token, _lane: Lane) {}

    /// An accept that found no connection has the next one reported again, or one that is there
    /// already.
    fn arm(&mut self, token: Token, lane: Lane) -> io::Result<()> {
        let Some(place) = self.place(token) else { return Ok(()) };
        let entry = &mut self.entries[place - 1];
        if lane == Lane::In && mem::take(&mut entry.accepts) {
            ask(entry.socket, entry.event.raw(), INWARD | OUTWARD)?;
        }
        Ok(())
    }

    fn wait(
        &mut self,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
        bell: &Bell,
    ) -> io::Result<()> {
        let look = timeout == Some(Duration::ZERO) || !self.early.is_empty();
        let timeout = if look || !bell.doze() { 0 } else { limit(timeout) };
        let mut found = self.signalled(0, timeout);
        if !look {
            bell.rouse();
        }
        // The lowest is reported; the others are asked for, or a busy one would keep them from ever
        // being served.
        while let Some(at) = found? {
            if at == 0 {
                self.bell.clear();
            } else {
                self.report(at, ready);
            }
            found = self.signalled(at + 1, 0);
        }
        for token in mem::take(&mut self.early) {
            ready.push(Ready { token, lane: Lane::Out, ended: false });
        }
        Ok(())
    }
}

/// Milliseconds, rounded up.
fn limit(timeout: Option<Duration>) -> u32 {
    timeout.map_or(INFINITE, |timeout| {
        u32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(INFINITE - 1)
    })
}
