//! What one worker begins operations with, and what it keeps of those that are not in flight.

use super::calls::Calls;
use super::reaper::Reaper;
use super::slots::Held;
use crate::buf::{CHUNK_BYTES, Chunk};
use crate::io::common::datagrams::Datagrams;
use crate::io::op::{Completion, Lane, Token};
use crate::io::os::windows::sys;
use crate::io::proactor::Setup;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use windows_sys::Win32::Networking::WinSock::{LPWSAOVERLAPPED_COMPLETION_ROUTINE, SOCKET};
use windows_sys::Win32::System::IO::OVERLAPPED;

/// Operations in flight: of one worker, or of all that share them.
#[derive(Default, Debug)]
pub struct Counts {
    pub(super) flying: AtomicUsize,
    /// Those that were cancelled. All accepts of a listener are one.
    pub(super) ending: AtomicUsize,
}

impl Counts {
    /// Operations that the system has.
    pub fn flying(&self) -> usize {
        self.flying.load(SeqCst)
    }
}

/// What begins operations, and ends them.
pub struct Hands<R: Reaper> {
    pub reaper: R,
    pub calls: &'static Calls,
    pub setup: Setup,
    pub owner: u32,
    pub counts: Arc<Counts>,
    /// Sockets whose receive is to be tried.
    pub runnable: Vec<Token>,
    /// Receives that wait for the pool to have room.
    pub starved: Vec<Token>,
    /// Operations to be begun again after `LATER` at most: the system was short of memory.
    pub later: Vec<(Token, Lane)>,
    /// Completions of operations that were cancelled before they were begun.
    pub cancelled: Vec<Completion>,
    /// The chunk that small receives of all sockets go to.
    pub chunk: Option<Chunk>,
    /// What receives of datagrams need; made with the first.
    pub datagrams: Option<Box<Datagrams>>,
}

impl<R: Reaper> Hands<R> {
    /// With nothing in flight.
    pub fn new(reaper: R, setup: &Setup, owner: u32, counts: Arc<Counts>) -> io::Result<Self> {
        Ok(Hands {
            reaper,
            calls: Calls::get()?,
            setup: setup.clone(),
            owner,
            counts,
            runnable: Vec::new(),
            starved: Vec::new(),
            later: Vec::new(),
            cancelled: Vec::new(),
            chunk: None,
            datagrams: None,
        })
    }

    /// Begins an operation. True: it is over, and will not be reported.
    ///
    /// # Safety
    /// What the call points at stays until the operation is reaped.
    pub unsafe fn start(
        &mut self,
        held: &mut Held,
        lane: Lane,
        call: impl FnOnce(
            SOCKET,
            *mut OVERLAPPED,
            LPWSAOVERLAPPED_COMPLETION_ROUTINE,
        ) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let slot = held.slot;
        let operation = &slot.operations[lane as usize];
        debug_assert!(!held.flying[lane as usize], "one operation per lane");
        let connects = matches!(held.outward.as_deref(), Some(it) if it.connects());
        let connects = lane == Lane::Out && connects;
        let (event, routine) = self.reaper.prepare(operation, connects);
        operation.begin(event);
        let at_once = call(sys::raw(&held.socket), operation.overlapped(), routine)?;
        if at_once && held.skips {
            return Ok(true);
        }
        // Whoever reaps it waits for the slot's lock.
        self.counts.flying.fetch_add(1, SeqCst);
        held.flying[lane as usize] = true;
        self.reaper.begun(operation, connects);
        Ok(false)
    }

    /// Completes what the engine waits for on lane In with an error.
    pub fn fail_inward(&mut self, held: &mut Held, error: io::Error, done: &mut Vec<Completion>) {
        if let Some(op) = held.take_inward() {
            let token = held.token;
            done.push(Completion { token, lane: Lane::In, outcome: op.fail(error) });
        }
    }

    /// Receives that waited for memory are tried again when there is some.
    pub fn revive(&mut self) {
        if self.starved.is_empty() {
            return;
        }
        // Thirst first: a block that comes back between the two rings the bell.
        self.setup.pool.thirst();
        if self.setup.pool.has_room(CHUNK_BYTES) {
            self.runnable.append(&mut self.starved);
        }
    }
}
