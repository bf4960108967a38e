//! Both lanes of a socket under a tap, and what one look at them has to do with.

use super::weather::Micros;
use crate::io::op::{Completion, Lane, Op, Outcome, Token};
use crate::io::os::sys;
use crate::io::proactor::{Proactor, Setup};
use socket2::Socket;
use std::error::Error;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;

/// Bytes that a tap holds of one direction of a socket, or little more.
pub const AHEAD_BYTES: usize = 1 << 20;
/// What a piece counts for beside its bytes.
pub const PIECE_BYTES: usize = 64;
pub const IN: usize = Lane::In as usize;
pub const OUT: usize = Lane::Out as usize;

/// The error of a send behind which bytes of others did not leave.
#[derive(Debug)]
pub struct Unsent {
    pub bytes: u64,
    pub error: io::Error,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {} bytes did not leave", self.error, self.bytes)
    }
}

impl Error for Unsent {}

/// Bytes of sends that completed and did not leave, which the error of a later one counts, and that
/// error itself.
pub fn unsent(error: io::Error) -> (u64, io::Error) {
    match error.downcast::<Unsent>() {
        Ok(Unsent { bytes, error }) => (bytes, error),
        Err(error) => (0, error),
    }
}

/// Whose operation the model has on a lane.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flying {
    Nothing,
    /// The tap's own.
    Own,
    /// The engine's, as it came.
    Theirs,
}

/// Both lanes of a socket.
pub struct Lanes {
    /// Borrowed: the engine keeps it open until `release`, and closes it.
    pub socket: ManuallyDrop<Socket>,
    /// The engine's operations that the tap has.
    pub asked: [Option<Op>; 2],
    pub flying: [Flying; 2],
    /// Of operations of the engine's that completed behind a cancel: reported when both are quiet.
    pub ends: [Option<Outcome>; 2],
    pub cancelled: bool,
    /// Its entry among the alarms.
    pub alarm: Option<Micros>,
    /// It is among those to be looked at soon.
    pub soon: bool,
}

/// What one look at a socket has to do with.
pub struct Turn<'a, P> {
    pub token: Token,
    pub now: Micros,
    pub model: &'a mut P,
    pub reaped: &'a mut Vec<Completion>,
    pub done: &'a mut Vec<Completion>,
    pub setup: &'a Setup,
}

impl Lanes {
    pub fn new(socket: &Socket) -> Lanes {
        Lanes {
            socket: sys::borrow(socket),
            asked: [None, None],
            flying: [Flying::Nothing; 2],
            ends: [None, None],
            cancelled: false,
            alarm: None,
            soon: false,
        }
    }

    /// Whether the model has nothing of it.
    pub fn is_quiet(&self) -> bool {
        self.flying == [Flying::Nothing; 2]
    }

    /// Gives the model an operation of the tap's.
    pub fn submit<P: Proactor>(&mut self, turn: &mut Turn<'_, P>, op: Op) {
        self.flying[op.lane() as usize] = Flying::Own;
        turn.model.submit(turn.token, op, turn.reaped);
    }

    /// Gives the model an operation of the engine's, as it is.
    pub fn forward<P: Proactor>(&mut self, turn: &mut Turn<'_, P>, op: Op) {
        self.flying[op.lane() as usize] = Flying::Theirs;
        turn.model.submit(turn.token, op, turn.reaped);
    }
}

impl<P> Turn<'_, P> {
    pub fn tell(&mut self, lane: Lane, outcome: Outcome) {
        self.done.push(Completion { token: self.token, lane, outcome });
    }
}
