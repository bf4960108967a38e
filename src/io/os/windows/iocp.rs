//! I/O completion ports: one port for all workers, each of which takes any completion.
//!
//! The bell of one worker alone is a packet of its own in the port, so that any thread may turn
//! it, also the host's. Of several workers each has a thread, and the bell of one has to wake that
//! one and no other: it queues a procedure to the thread, which waits alertably.

use super::overlapped::{Operation, Reaper, Wish, limit};
use super::sys;
use crate::buf::{Mutex, rank};
use crate::io::bell::Bell;
use crate::io::op::Token;
use crate::io::proactor::Affinity;
use socket2::Socket;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    HANDLE, INVALID_HANDLE_VALUE, WAIT_IO_COMPLETION, WAIT_TIMEOUT,
};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED, OVERLAPPED_ENTRY,
    PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::Threading::{GetCurrentThreadId, QueueUserAPC};
use windows_sys::Win32::System::WindowsProgramming as modes;

/// Completions of one wait.
const BATCH: usize = 64;
/// Keys of packets: of operations, and of the bell.
const OPERATION: usize = 0;
const BELL: usize = 1;
/// A host's thread that has polled counts as one at work wherever it is, so the port of a worker
/// that any thread may turn must not wait for those: the baton lets in one at a time.
const ANY_THREADS: u32 = 0x7fff;
/// Between two looks of one that is dropped.
const MOMENT: u32 = 1;

/// A completion port.
pub struct Port {
    handle: OwnedHandle,
    workers: usize,
}

impl Port {
    fn raw(&self) -> HANDLE {
        self.handle.as_raw_handle()
    }

    /// Up to a batch of completions, after at most so many milliseconds.
    fn take(&self, wait: u32, alertable: bool, over: &mut Vec<*mut OVERLAPPED>) -> io::Result<()> {
        let mut entries = [OVERLAPPED_ENTRY::default(); BATCH];
        let (first, room, mut count) = (entries.as_mut_ptr(), BATCH as u32, 0);
        // SAFETY: an open port, and room for a batch.
        let answer = unsafe {
            GetQueuedCompletionStatusEx(self.raw(), first, room, &mut count, wait, alertable.into())
        };
        if answer == 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error().map(|code| code as u32) {
                Some(WAIT_TIMEOUT | WAIT_IO_COMPLETION) => Ok(()),
                _ => Err(error),
            };
        }
        let taken = entries[..count as usize].iter().filter(|it| it.lpCompletionKey == OPERATION);
        over.extend(taken.map(|it| it.lpOverlapped));
        Ok(())
    }
}

/// The thread that turns a worker: its number, and a handle to wake it by.
type Turner = Arc<Mutex<rank::News, Option<(u32, OwnedHandle)>>>;

/// One worker at a port.
pub struct Iocp {
    port: Arc<Port>,
    bell: Bell,
    /// Where there are several.
    turner: Turner,
}

/// Ends an alertable wait by being run.
///
/// # Safety
/// None: it does nothing.
unsafe extern "system" fn strike(_nothing: usize) {}

impl Iocp {
    /// Has the bell wake this thread.
    fn bind(&self) -> io::Result<()> {
        // SAFETY: no pointers.
        let id = unsafe { GetCurrentThreadId() };
        let mut turner = self.turner.lock();
        if turner.as_ref().is_none_or(|(bound, _)| *bound != id) {
            *turner = Some((id, sys::this_thread()?));
        }
        Ok(())
    }
}

impl Reaper for Iocp {
    const AFFINITY: Affinity = Affinity::Shared;

    type Place = Arc<Port>;

    fn place(workers: usize) -> io::Result<Arc<Port>> {
        let threads = if workers == 1 { ANY_THREADS } else { workers as u32 };
        // SAFETY: no file, so a new port.
        let handle =
            unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, threads) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fresh and not shared.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        Ok(Arc::new(Port { handle, workers }))
    }

    fn open(port: &Arc<Port>) -> io::Result<Iocp> {
        let turner = Turner::default();
        let bell = if port.workers == 1 {
            let port = port.clone();
            // SAFETY: an open port, and no operation. It fails when the system has no memory.
            Bell::fallible(move || unsafe {
                PostQueuedCompletionStatus(port.raw(), 0, BELL, ptr::null()) != 0
            })
        } else {
            let turner = turner.clone();
            Bell::fallible(move || match &*turner.lock() {
                // SAFETY: a handle of a thread. It fails where that has ended, too.
                Some((_, thread)) => unsafe {
                    QueueUserAPC(Some(strike), thread.as_raw_handle(), 0) != 0
                },
                // It binds itself before it sleeps.
                None => true,
            })
        };
        Ok(Iocp { port: port.clone(), bell, turner })
    }

    fn bell(&self) -> &Bell {
        &self.bell
    }

    fn attach(&mut self, _token: Token, socket: &Socket) -> io::Result<bool> {
        let file = sys::raw(socket) as HANDLE;
        // SAFETY: an open socket and an open port.
        let answer = unsafe { CreateIoCompletionPort(file, self.port.raw(), OPERATION, 0) };
        if answer.is_null() {
            return Err(io::Error::last_os_error());
        }
        if !matches!(socket.r#type(), Ok(socket2::Type::STREAM)) {
            return Ok(false);
        }
        let skip =
            modes::FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | modes::FILE_SKIP_SET_EVENT_ON_HANDLE;
        // SAFETY: an open socket.
        Ok(unsafe { SetFileCompletionNotificationModes(file, skip as u8) } != 0)
    }

    fn prepare(&mut self, _operation: &Operation, _connects: bool) -> Wish {
        (ptr::null_mut(), None)
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        over: &mut Vec<*mut OVERLAPPED>,
    ) -> io::Result<()> {
        let several = self.port.workers > 1;
        if several {
            self.bind()?;
        }
        if timeout == Some(Duration::ZERO) || !self.bell.doze() {
            return self.port.take(0, false, over);
        }
        let answer = self.port.take(limit(timeout), several, over);
        self.bell.rouse();
        answer
    }

    fn farewell(&mut self, _lanes: &[*mut OVERLAPPED], over: &mut Vec<*mut OVERLAPPED>) -> bool {
        self.port.take(MOMENT, false, over).is_ok()
    }
}
