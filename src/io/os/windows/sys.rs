//! Calls on sockets: Winsock. What their errors mean is in `errors.rs`.

pub use crate::buf::HEAP as MAPPER;
use crate::buf::{TRAIN_MAX, Train};
use crate::io::op::{Lane, Look};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::os::windows::io::{AsRawSocket, FromRawHandle, FromRawSocket, OwnedHandle};
use std::ptr;
use std::sync::{Once, OnceLock};
use std::time::Duration;
use windows_sys::Win32::Foundation as system;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinSock as winsock;
use windows_sys::Win32::System::IO::CancelIoEx;
use windows_sys::Win32::System::LibraryLoader as loader;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThread};
use windows_sys::core::GUID;
use winsock::{SOCKET, WSABUF};

pub use super::datagrams::{Received, Receiver, SLOT_BYTES};
pub use super::datagrams::{await_datagram, send_batch, without_blocking};
pub use super::doorbell::{WaitObject, WaitPort};
pub use super::errors::{NO_FAMILY, has_no_family};
pub use super::errors::{REFUSED, accept_goes_on, accepted_and_lost, check, in_progress, kind};
pub use super::errors::{last_error, no_buffers};
pub use super::errors::{out_of_descriptors, out_of_ports, wait_failure, would_block};
pub use super::futex::Futex;
pub use super::host::{is_shared_library, keeping_errno, uncancelled};
pub use super::options::{
    claim_address, claim_datagrams, claim_source, forbid_fragments, keepalive, prepare_connect,
    set_user_timeout,
};
pub use super::options::{prepare_datagrams, share_address};
pub use super::pktinfo::ask_local;
pub use super::reactor::{Door, Watch};
pub use crate::io::os::no_wait_set::WaitSet;

/// The stack of a thread that is in one call at a time: address space, of which it takes what it
/// uses. Foreign layers below Winsock run on it.
pub const STACK_BYTES: usize = 512 * 1024;
/// Bytes of one send. The system takes a send that does not block whole, however large, or has no
/// memory for it; what it took lies outside every bound of ours.
const SEND_MAX: usize = 256 * 1024;
/// A smaller send is not tried when the system has no memory for it.
const SEND_MIN: usize = 4 * 1024;
/// Winsock 2.2.
const VERSION: u16 = 0x0202;

/// The number by which the system knows a socket.
pub fn raw(socket: &Socket) -> SOCKET {
    socket.as_raw_socket() as SOCKET
}

/// Winsock, for as long as it lives. The system counts who uses it; the standard library does, too,
/// from its first socket to the end of the process.
pub struct Running(());

impl Drop for Running {
    fn drop(&mut self) {
        // SAFETY: one call for each start that went well.
        unsafe { winsock::WSACleanup() };
    }
}

/// Starts Winsock, and keeps this library mapped: threads of the host keep destructors in it.
pub fn start() -> io::Result<Running> {
    static PINNED: Once = Once::new();
    PINNED.call_once(|| {
        let flags =
            loader::GET_MODULE_HANDLE_EX_FLAG_PIN | loader::GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
        let mut module = ptr::null_mut();
        // SAFETY: the address is one in this module, and the answer goes to this function's own.
        // It fails for no address of ours, and unloading is then the host's risk.
        unsafe { loader::GetModuleHandleExW(flags, start as *const () as *const u16, &mut module) };
    });
    let mut data = MaybeUninit::uninit();
    // SAFETY: room for the answer.
    match unsafe { winsock::WSAStartup(VERSION, data.as_mut_ptr()) } {
        0 => Ok(Running(())),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// The same socket, not to be closed here.
pub fn borrow(socket: &Socket) -> ManuallyDrop<Socket> {
    // SAFETY: it is open as long as `socket`, which the caller keeps; ManuallyDrop leaves the
    // closing to it.
    ManuallyDrop::new(unsafe { Socket::from_raw_socket(socket.as_raw_socket()) })
}

/// A socket that does not block and is not inherited.
pub fn socket(domain: Domain, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The number of the interface with this name: zones are numbers here, as the system shows them.
pub fn interface(_: &str) -> Option<u32> {
    None
}

/// Whether an interface has this number: bind and connect report it.
pub fn has_interface(number: u32) -> bool {
    number != 0
}

/// The address of a function that is asked for by name.
pub fn ask(socket: &Socket, name: &GUID) -> io::Result<usize> {
    let (mut function, mut count) = (0_usize, 0);
    // SAFETY: a name, and room for the answer. It does not block.
    check(unsafe {
        winsock::WSAIoctl(
            raw(socket),
            winsock::SIO_GET_EXTENSION_FUNCTION_POINTER,
            ptr::from_ref(name).cast(),
            size_of::<GUID>() as u32,
            (&raw mut function).cast(),
            size_of::<usize>() as u32,
            &mut count,
            ptr::null_mut(),
            None,
        )
    })?;
    Ok(function)
}

/// Begins to listen. A number above 200 would be taken as 200 unless it comes as a hint.
pub fn listen(socket: &Socket, backlog: i32) -> io::Result<()> {
    const PLAIN_MAX: i32 = 200;
    const HINT_MAX: i32 = 65_535;
    socket.listen(if backlog > PLAIN_MAX { -backlog.min(HINT_MAX) } else { backlog })
}

/// Whether the process is at its end: the system has ended all other threads, wherever they were.
pub fn process_ends() -> bool {
    type Ask = unsafe extern "system" fn() -> u8;
    static ASK: OnceLock<Option<Ask>> = OnceLock::new();
    let ask = ASK.get_or_init(|| {
        // SAFETY: two names that end with NUL; the module is in every process. The function is
        // documented, with no arguments and a BOOLEAN for an answer.
        unsafe {
            let module = loader::GetModuleHandleA(c"ntdll.dll".as_ptr().cast());
            let name = c"RtlDllShutdownInProgress".as_ptr().cast();
            if module.is_null() {
                None
            } else {
                mem::transmute(loader::GetProcAddress(module, name))
            }
        }
    });
    // SAFETY: it only looks.
    ask.is_some_and(|ask| unsafe { ask() } != 0)
}

/// accept(): a connection that does not block and is not inherited.
pub fn accept(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    let (socket, peer) = listener.accept()?;
    socket.set_nonblocking(true).map_err(|_| accepted_and_lost())?;
    Ok((socket, peer))
}

/// recv() of up to `room` bytes to `spare`; 0 is the end of the stream.
///
/// # Safety
/// `room` bytes at `spare` are the caller's to be written.
pub unsafe fn recv(socket: &Socket, spare: *mut u8, room: usize) -> io::Result<usize> {
    let room = i32::try_from(room).unwrap_or(i32::MAX);
    // SAFETY: as this function's own.
    check(unsafe { winsock::recv(raw(socket), spare, room, 0) }).map(|count| count as usize)
}

/// Bytes that one send of the train asks the system to take.
pub fn send_len(train: &Train) -> usize {
    train.len().min(SEND_MAX)
}

/// Writes as much of the train as the system takes, up to `SEND_MAX`.
#[inline]
pub fn send(socket: &Socket, train: &Train) -> io::Result<usize> {
    send_up_to(socket, train, SEND_MAX)
}

/// As `send`, and no more than so many bytes: fewer where the system has no memory for as many.
pub fn send_up_to(socket: &Socket, train: &Train, most: usize) -> io::Result<usize> {
    let mut most = most.min(train.len());
    loop {
        let (pieces, count) = pieces(train, most);
        let mut sent = 0;
        // SAFETY: `count` pieces whose bytes are readable. Without an OVERLAPPED the call is over
        // when it returns.
        let answer = check(unsafe {
            let pieces = pieces.as_ptr();
            winsock::WSASend(raw(socket), pieces, count, &mut sent, 0, ptr::null_mut(), None)
        });
        match answer {
            Ok(_) => return Ok(sent as usize),
            Err(error) if no_buffers(&error) && most > SEND_MIN => most = (most / 4).max(SEND_MIN),
            Err(error) => return Err(error),
        }
    }
}

/// The first so many bytes of a train as the system takes them, and how many pieces they are.
pub fn pieces(train: &Train, most: usize) -> ([WSABUF; TRAIN_MAX], u32) {
    let mut pieces = [WSABUF { len: 0, buf: ptr::null_mut() }; TRAIN_MAX];
    let (mut count, mut left) = (0, most);
    for (piece, slice) in pieces.iter_mut().zip(train.slices()) {
        let len = slice.len().min(left);
        if len == 0 {
            break;
        }
        // A slice lies in a chunk, and none of those has 4 GiB.
        *piece = WSABUF { len: len as u32, buf: slice.as_ptr().cast_mut() };
        left -= len;
        count += 1;
    }
    (pieces, count)
}

/// Ends a call that another thread is in and that blocks, on either lane. A call that only now
/// begins may be missed.
pub fn interrupt(socket: &Socket, _lane: Lane) {
    // SAFETY: an open socket, and every call on it. It fails where there is none.
    unsafe { CancelIoEx(raw(socket) as HANDLE, ptr::null()) };
}

/// What the system says of one socket now, without a wait: WSAPoll().
fn poll_now(socket: &Socket, events: i16) -> i16 {
    let mut entry = winsock::WSAPOLLFD { fd: raw(socket), events, revents: 0 };
    // SAFETY: one entry, this function's own. What fails says nothing of the socket.
    if unsafe { winsock::WSAPoll(&mut entry, 1, 0) } == 1 { entry.revents } else { 0 }
}

/// Whether the system has what a receive, a send or a connect waits for.
pub fn shows(socket: &Socket, look: Look) -> bool {
    match look {
        // An end and an error are an answer too.
        Look::Input => poll_now(socket, winsock::POLLRDNORM) != 0,
        Look::Unread => {
            let mut bytes = 0;
            // SAFETY: an open socket and room for the answer.
            let answer =
                unsafe { winsock::ioctlsocket(raw(socket), winsock::FIONREAD, &mut bytes) };
            answer == 0 && bytes > 0
        }
        Look::Output => {
            let told = poll_now(socket, winsock::POLLWRNORM);
            let room = winsock::POLLWRNORM | winsock::POLLHUP;
            told & winsock::POLLERR != 0 || told & room == winsock::POLLWRNORM
        }
    }
}

/// What broke a connection that neither side has ended, if the system can report it without a
/// receive. A reset takes the bytes that were not received with it, so a look at the next one shows
/// it.
pub fn broken(socket: &Socket) -> Option<io::Error> {
    let told = poll_now(socket, winsock::POLLRDNORM);
    if told & (winsock::POLLERR | winsock::POLLHUP) == 0 {
        return None;
    }
    let mut byte = [MaybeUninit::uninit()];
    without_blocking(socket, || socket.peek(&mut byte)).err().filter(|it| !would_block(it))
}

/// Has the close of a connection reset it. No other process has it: there is no fork.
pub fn reset(socket: &Socket) {
    // A reset that cannot be asked for becomes an ordinary end.
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// Resets a connection at once: no call is ended in a way that the peer could take for an end.
pub fn cut(_socket: &Socket) {}

/// Ends a connection in order: the close does.
pub fn end(_socket: &Socket) {}

/// Whether the peer's system has not acknowledged all that was sent. This system does not report
/// it.
pub fn has_unacknowledged(_socket: &Socket) -> bool {
    false
}

/// Whether both directions of a stream have ended. Not asked here: a reset is reported to each call
/// on the socket, not to the first one only.
pub fn hung_up(_socket: Option<&Socket>) -> bool {
    false
}

/// A handle of this thread that other threads may use.
pub fn this_thread() -> io::Result<OwnedHandle> {
    let mut handle = ptr::null_mut();
    // SAFETY: this process and thread, and room for the answer.
    let answer = unsafe {
        let process = GetCurrentProcess();
        let (here, same) = (GetCurrentThread(), system::DUPLICATE_SAME_ACCESS);
        system::DuplicateHandle(process, here, process, &mut handle, 0, 0, same)
    };
    if answer == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fresh and not shared.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Runs `start`. There are no signals that the threads it starts could take from the host.
pub fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    start()
}

/// A number that changes in a forked child. Nothing forks here.
pub fn forks() -> io::Result<u32> {
    Ok(forks_now())
}

/// The number again.
#[inline]
pub fn forks_now() -> u32 {
    0
}

/// Has the allocator give the system back what is free: that of this system does so by itself.
pub fn trim_heap() {}

/// Nothing here is inherited by a process that forks.
pub fn has_forked() -> bool {
    false
}
