//! Calls on sockets. What their errors mean is in `errors.rs`.

use super::options::forget_soon;
use crate::buf::{TRAIN_MAX, Train};
use crate::io::op::{Lane, Look};
use once_cell::sync::OnceCell;
use socket2::{Domain, SockAddr, Socket, Type};
use std::ffi::CString;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::net::Shutdown;
use std::num::NonZero;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

pub use super::datagrams::{Received, Receiver, SLOT_BYTES};
pub use super::datagrams::{await_datagram, send_batch, without_blocking};
pub use super::doorbell::{WaitObject, WaitPort};
pub use super::errors::{NO_FAMILY, has_no_family};
pub use super::errors::{REFUSED, accept_goes_on, check, in_progress, kind, no_buffers};
pub use super::errors::{out_of_descriptors, out_of_ports, wait_failure, would_block};
pub use super::futex::Futex;
pub use super::host::{is_shared_library, keeping_errno, uncancelled};
pub use super::mapper::MAPPER;
pub use super::options::{
    claim_address, claim_datagrams, claim_source, forbid_fragments, keepalive, prepare_connect,
    set_user_timeout,
};
pub use super::options::{prepare_datagrams, share_address};
pub use super::pktinfo::ask_local;
pub use super::reactor::{Door, Watch};
#[cfg(target_os = "linux")]
pub use crate::io::os::linux::wait_set::WaitSet;
#[cfg(not(target_os = "linux"))]
pub use crate::io::os::no_wait_set::WaitSet;

/// What a net needs of the system before its sockets: nothing.
pub struct Running;

/// Starts that, for as long as the answer lives.
pub fn start() -> io::Result<Running> {
    Ok(Running)
}

/// Repeats a call that a signal interrupted.
pub fn retry(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        if let Ok(count) = usize::try_from(call()) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The same descriptor, not to be closed here.
pub fn borrow(socket: &Socket) -> ManuallyDrop<Socket> {
    // SAFETY: the descriptor is open as long as `socket`, which the caller keeps; ManuallyDrop
    // leaves the closing to it.
    ManuallyDrop::new(unsafe { Socket::from_raw_fd(socket.as_raw_fd()) })
}

/// A socket that does not block and does not survive exec.
#[cfg(target_os = "linux")]
pub fn socket(domain: Domain, kind: Type) -> io::Result<Socket> {
    Socket::new(domain, kind.nonblocking(), None)
}

/// A socket that does not block, does not survive exec and raises no SIGPIPE.
#[cfg(not(target_os = "linux"))]
pub fn socket(domain: Domain, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The number of the interface with this name; None: there is none.
pub fn interface(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: a text with its NUL.
    NonZero::new(unsafe { libc::if_nametoindex(name.as_ptr()) }).map(NonZero::get)
}

/// Whether an interface has this number.
pub fn has_interface(number: u32) -> bool {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: room for a name.
    !unsafe { libc::if_indextoname(number, name.as_mut_ptr()) }.is_null()
}

/// accept4(2): a connection that does not block and does not survive exec.
#[cfg(target_os = "linux")]
pub fn accept(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    let accept = |storage: *mut libc::sockaddr, len: *mut libc::socklen_t| {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: storage and len are a sockaddr_storage and its size.
        retry(|| unsafe { libc::accept4(listener.as_raw_fd(), storage, len, flags) } as isize)
    };
    // SAFETY: accept4 fills the address it is given.
    let (fd, peer) = unsafe {
        SockAddr::try_init(|storage, len| accept(storage.cast(), len).map(|fd| fd as libc::c_int))
    }?;
    // SAFETY: fresh from accept4 and not shared.
    Ok((unsafe { Socket::from_raw_fd(fd) }, peer))
}

/// accept(2): a connection that does not block, does not survive exec and raises no SIGPIPE.
#[cfg(not(target_os = "linux"))]
pub fn accept(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    loop {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok((socket, peer)) => {
                socket.set_nonblocking(true)?;
                return Ok((socket, peer));
            }
        }
    }
}

/// recv(2) of up to `room` bytes to `spare`; 0 is the end of the stream.
///
/// # Safety
/// `room` bytes at `spare` are the caller's to be written.
pub unsafe fn recv(socket: &Socket, spare: *mut u8, room: usize) -> io::Result<usize> {
    // SAFETY: as this function's own.
    retry(|| unsafe { raw::recv(socket.as_raw_fd(), spare.cast(), room) })
}

/// A thread has a few calls on its stack, and a panic's words at most.
pub const STACK_BYTES: usize = 128 * 1024;

/// Bytes that one send of the train asks the system to take.
#[inline]
pub fn send_len(train: &Train) -> usize {
    train.len()
}

/// Writes as much of the train as the system takes, without SIGPIPE.
#[inline]
pub fn send(socket: &Socket, train: &Train) -> io::Result<usize> {
    let fd = socket.as_raw_fd();
    let mut slices = train.slices();
    let first = slices.next().expect("a train has a first slice");
    if first.len() == train.len() {
        // SAFETY: the slice's bytes are readable.
        return retry(|| unsafe { raw::send(fd, first.as_ptr().cast(), first.len()) });
    }
    send_up_to(socket, train, usize::MAX)
}

/// As `send`, and no more than so many bytes.
pub fn send_up_to(socket: &Socket, train: &Train, most: usize) -> io::Result<usize> {
    let none = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    let mut pieces = [none; TRAIN_MAX];
    let (mut count, mut left) = (0, most);
    for (piece, slice) in pieces.iter_mut().zip(train.slices()) {
        let len = slice.len().min(left);
        if len == 0 {
            break;
        }
        *piece = libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: len };
        left -= len;
        count += 1;
    }
    // SAFETY: all zeros are a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = pieces.as_mut_ptr();
    message.msg_iovlen = count as _;
    // SAFETY: the message points at `count` pieces whose bytes are readable.
    retry(|| unsafe { raw::sendmsg(socket.as_raw_fd(), &message) })
}

/// Begins to listen.
pub fn listen(socket: &Socket, backlog: i32) -> io::Result<()> {
    socket.listen(backlog)
}

/// Whether other threads have ended in the middle of what they did: exit(3) ends none before its
/// last function has run.
pub fn process_ends() -> bool {
    false
}

/// Ends a call that another thread is in and that blocks on this lane: accept and receive without a
/// trace on the wire, connect and send by an end of what we send. It fails where the socket is not
/// connected, and wakes nevertheless. A call that only now begins may be missed.
pub fn interrupt(socket: &Socket, lane: Lane) {
    let how = match lane {
        Lane::In => libc::SHUT_RD,
        Lane::Out => libc::SHUT_WR,
    };
    // SAFETY: no pointers.
    unsafe { libc::shutdown(socket.as_raw_fd(), how) };
}

/// Has the close of a connection reset it. If a forked child may have its descriptor, which keeps a
/// close from being seen by the peer, it is reset at once.
pub fn reset(socket: &Socket) {
    // A reset that cannot be asked for becomes an ordinary end.
    let _ = socket.set_linger(Some(Duration::ZERO));
    if has_forked() {
        cut(socket);
    }
}

/// Resets a connection at once, where Linux has a way to it. Calls that other threads are in end
/// too. Local sockets have no reset and just end.
pub fn cut(socket: &Socket) {
    // Linux 6.3 to 6.6 refuse it while threads wait in calls: then the close resets it.
    let ends = |error: io::Error| error.raw_os_error() != Some(libc::EBUSY);
    if disconnect(socket).is_err_and(ends) && has_forked() {
        let _ = socket.shutdown(Shutdown::Both);
    }
}

/// connect(2) to no address, which resets a connection of TCP.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn disconnect(socket: &Socket) -> io::Result<()> {
    // SAFETY: all zeros are a valid sockaddr.
    let mut nobody: libc::sockaddr = unsafe { std::mem::zeroed() };
    nobody.sa_family = libc::AF_UNSPEC as _;
    let len = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: `len` readable bytes.
    check(unsafe { libc::connect(socket.as_raw_fd(), &nobody, len) }).map(drop)
}

/// As above: elsewhere that is no reset.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn disconnect(_socket: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reads of what an orderly end discards, each of 16 KiB.
const DISCARDS: usize = 64;

/// Prepares the close of a connection that ends in order, or of a listener. What came and was not
/// read is discarded: it would turn the end into a reset, and the peer would lose what it was sent.
/// If a forked child may have the descriptor, which keeps a close from being seen by the peer, it
/// ends now.
pub fn end(socket: &Socket) {
    let mut room = [MaybeUninit::<u8>::uninit(); 16 * 1024];
    for _ in 0..DISCARDS {
        match socket.recv_with_flags(&mut room, libc::MSG_DONTWAIT) {
            Ok(1..) => {}
            _ => break,
        }
    }
    forget_soon(socket);
    if has_forked() {
        // It fails where no thread waits.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

/// Whether the peer's system has not acknowledged all that was sent, its end included: tcp(7),
/// SIOCOUTQ. False where the system does not report it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn has_unacknowledged(socket: &Socket) -> bool {
    let mut bytes: libc::c_int = 0;
    // SAFETY: room for the answer.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    // A connection that the peer has reset acknowledges nothing any more.
    answer == 0 && bytes > 0 && socket.take_error().is_ok_and(|error| error.is_none())
}

/// As above: elsewhere there is no such number.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn has_unacknowledged(_socket: &Socket) -> bool {
    false
}

/// Whether both directions of a stream have ended: after a reset, or where a local peer closed. A
/// FIN alone ends one. A reset is reported to one call only, which may be a send of another thread:
/// the next receive finds an end. Never waits; poll(2), POLLHUP.
pub fn hung_up(socket: Option<&Socket>) -> bool {
    let Some(socket) = socket else { return false };
    let mut watched = libc::pollfd { fd: socket.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one pollfd.
    unsafe { libc::poll(&mut watched, 1, 0) };
    watched.revents & libc::POLLHUP != 0
}

/// The calls of the data path without the C library around them: there each is a point at which
/// a thread can be cancelled, and guarding that costs more than entering the kernel.
#[cfg(target_os = "linux")]
mod raw {
    use libc::{c_int, c_long, c_void, msghdr, syscall};

    const FLAGS: c_long = libc::MSG_NOSIGNAL as c_long;
    const NONE: c_long = 0;

    /// # Safety
    /// As recv(2) with `room` bytes at `spare`.
    pub unsafe fn recv(fd: c_int, spare: *mut c_void, room: usize) -> isize {
        // SAFETY: the caller's.
        unsafe { syscall(libc::SYS_recvfrom, fd, spare, room, NONE, NONE, NONE) as isize }
    }

    /// # Safety
    /// As send(2) with `len` bytes.
    pub unsafe fn send(fd: c_int, bytes: *const c_void, len: usize) -> isize {
        // SAFETY: the caller's.
        unsafe { syscall(libc::SYS_sendto, fd, bytes, len, FLAGS, NONE, NONE) as isize }
    }

    /// # Safety
    /// As sendmsg(2).
    pub unsafe fn sendmsg(fd: c_int, message: *const msghdr) -> isize {
        // SAFETY: the caller's.
        unsafe { syscall(libc::SYS_sendmsg, fd, message, FLAGS) as isize }
    }
}

/// The calls of the data path.
#[cfg(not(target_os = "linux"))]
mod raw {
    use libc::{c_int, c_void, msghdr};

    /// On Apple's systems it is an option of the socket, set by `Socket::new` and `accept`.
    const FLAGS: c_int = if cfg!(target_vendor = "apple") { 0 } else { libc::MSG_NOSIGNAL };

    /// # Safety
    /// As recv(2) with `room` bytes at `spare`.
    pub unsafe fn recv(fd: c_int, spare: *mut c_void, room: usize) -> isize {
        // SAFETY: the caller's.
        unsafe { libc::recv(fd, spare, room, 0) }
    }

    /// # Safety
    /// As send(2) with `len` bytes.
    pub unsafe fn send(fd: c_int, bytes: *const c_void, len: usize) -> isize {
        // SAFETY: the caller's.
        unsafe { libc::send(fd, bytes, len, FLAGS) }
    }

    /// # Safety
    /// As sendmsg(2).
    pub unsafe fn sendmsg(fd: c_int, message: *const msghdr) -> isize {
        // SAFETY: the caller's.
        unsafe { libc::sendmsg(fd, message, FLAGS) }
    }
}

/// What the system says of one socket now, without a wait: poll(2).
fn poll_now(socket: &Socket, events: libc::c_short) -> libc::c_short {
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    // SAFETY: one entry, this function's own. What fails says nothing of the socket.
    if unsafe { libc::poll(&mut entry, 1, 0) } == 1 { entry.revents } else { 0 }
}

/// Whether the system has what a receive, a send or a connect waits for.
pub fn shows(socket: &Socket, look: Look) -> bool {
    match look {
        // An end and an error are an answer too.
        Look::Input => poll_now(socket, libc::POLLIN) != 0,
        Look::Unread => {
            let mut bytes: libc::c_int = 0;
            // SAFETY: an open socket and room for the answer.
            let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &mut bytes) };
            answer == 0 && bytes > 0
        }
        // A socket that was never connected is writable and hung up.
        Look::Output => {
            let told = poll_now(socket, libc::POLLOUT);
            told & libc::POLLERR != 0 || told & (libc::POLLOUT | libc::POLLHUP) == libc::POLLOUT
        }
    }
}

/// What broke a connection that neither side has ended, if the system can report it without a
/// receive.
pub fn broken(socket: &Socket) -> Option<io::Error> {
    let told = poll_now(socket, 0);
    if told & (libc::POLLERR | libc::POLLHUP) == 0 {
        return None;
    }
    // The error of a local socket whose peer closed in order is none.
    let local = socket.local_addr().is_ok_and(|address| address.is_unix());
    let reset = (!local && told & libc::POLLHUP != 0)
        .then(|| io::Error::from_raw_os_error(libc::ECONNRESET));
    socket.take_error().ok().flatten().or(reset)
}

/// Faults of a thread itself: a crash handler of the host needs them, and a managed runtime makes
/// exceptions of them in functions that the library calls.
const FAULTS: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

/// Runs `start` with signals blocked, so that the threads it starts have them blocked: the host's
/// signals are for its own threads. pthread_sigmask(3), inherited as in pthread_create(3). Left as
/// the caller has them are faults, and those with which collectors stop one thread that has their
/// code on its stack: where they are blocked, a callback into Mono, .NET or Unity never ends.
pub fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    // SAFETY: all zeros are a valid set, to be filled by the calls below.
    let (mut most, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: both sets are this function's own.
    let blocked = unsafe {
        libc::sigfillset(&mut most);
        for signal in FAULTS.into_iter().chain(stops_of_collectors()) {
            libc::sigdelset(&mut most, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &most, &mut before) == 0
    };
    let started = start();
    if blocked {
        // SAFETY: the set that was there before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    }
    started
}

/// Sent to one thread: real-time signals by Mono and .NET, these two by Boehm's collector.
#[cfg(target_os = "linux")]
fn stops_of_collectors() -> impl Iterator<Item = libc::c_int> {
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).chain([libc::SIGPWR, libc::SIGXCPU])
}

/// Elsewhere threads are stopped without signals.
#[cfg(not(target_os = "linux"))]
fn stops_of_collectors() -> impl Iterator<Item = libc::c_int> {
    std::iter::empty()
}

/// Forks that this process has come out of as the child.
static FORKS: AtomicU32 = AtomicU32::new(0);
/// Whether this process may have children with its descriptors. Set before the fork, so that no
/// close is between the two; what spawns a program does not come by, and closes them.
static FORKED: AtomicBool = AtomicBool::new(false);

/// Whether this process has forked: a child may have its descriptors.
pub fn has_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// A number that changes in a forked child. Watching begins with the first call that succeeds.
pub fn forks() -> io::Result<u32> {
    static WATCH: OnceCell<()> = OnceCell::new();
    extern "C" fn child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    extern "C" fn prepare() {
        FORKED.store(true, Ordering::SeqCst);
    }
    WATCH.get_or_try_init(|| {
        // SAFETY: the handlers only write atomics, which a forked child may.
        match unsafe { libc::pthread_atfork(Some(prepare), None, Some(child)) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    })?;
    Ok(forks_now())
}

/// The number again, for a process that watches already.
#[inline]
pub fn forks_now() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Has the allocator give the system back what is free, where it keeps that: malloc_trim(3).
pub fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called by any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
