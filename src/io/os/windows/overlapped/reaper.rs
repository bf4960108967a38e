//! What the three models differ in: how a worker learns that an operation is over.

use super::operation::Operation;
use crate::io::bell::Bell;
use crate::io::op::Token;
use crate::io::proactor::Affinity;
use socket2::Socket;
use std::io;
use std::time::Duration;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinSock::LPWSAOVERLAPPED_COMPLETION_ROUTINE;
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::Threading::INFINITE;

/// How one worker is notified of completions.
pub trait Reaper: Send + Sized + 'static {
    /// As the model's.
    const AFFINITY: Affinity;
    /// As the model's.
    const SOCKETS_MAX: Option<u32> = None;
    /// As the model's.
    const HOSTED: bool = true;

    /// What the workers reap from together.
    type Place: Clone + Send + Sync + 'static;

    /// Makes that, for so many workers.
    fn place(workers: usize) -> io::Result<Self::Place>;

    /// One worker's.
    fn open(place: &Self::Place) -> io::Result<Self>;

    /// Ends a `wait`.
    fn bell(&self) -> &Bell;

    /// A socket comes. True: what completes at once is not reported.
    fn attach(&mut self, token: Token, socket: &Socket) -> io::Result<bool>;

    /// It goes. Accepts of it may still be in flight.
    fn detach(&mut self, _token: Token) {}

    /// The event object or the routine that an operation is to be begun with.
    fn prepare(&mut self, operation: &Operation, connects: bool) -> Wish;

    /// It is in flight.
    fn begun(&mut self, _operation: &Operation, _connects: bool) {}

    /// Waits once, for at most so long, until the bell or an operation. What is over is reported,
    /// each operation once.
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        over: &mut Vec<*mut OVERLAPPED>,
    ) -> io::Result<()>;

    /// As `wait` for some moments, on any thread, for one that is dropped; all was cancelled.
    /// False: that cannot be reported here. `lanes`: the operations of its sockets that are in
    /// flight.
    fn farewell(&mut self, lanes: &[*mut OVERLAPPED], over: &mut Vec<*mut OVERLAPPED>) -> bool;

    /// Some are in flight for ever: what they point at is to stay.
    fn forsake(&mut self) {}
}

/// What an operation is begun with.
pub type Wish = (HANDLE, LPWSAOVERLAPPED_COMPLETION_ROUTINE);

/// Milliseconds, rounded up.
pub fn limit(timeout: Option<Duration>) -> u32 {
    timeout.map_or(INFINITE, |timeout| {
        u32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(INFINITE - 1)
    })
}
