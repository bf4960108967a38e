//! Local sockets: unix(7).

use super::sys::{self, check};
use socket2::{SockAddr, Socket, Type};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::mem::{self, ManuallyDrop};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// For another server that is about to listen in the same folder.
const PATIENCE: Duration = Duration::from_secs(1);

/// The process at the other end of a local socket, as it was when it connected or listened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Its id; 0 where the system does not report it.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// The address of a socket file.
pub fn named(path: &[u8]) -> io::Result<SockAddr> {
    SockAddr::unix(OsStr::from_bytes(path))
}

/// The address of a socket that has a name and no file: the abstract names of Linux.
pub fn unnamed(name: &[u8]) -> io::Result<SockAddr> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()))
}

/// The file of a listening socket. Removed when this is dropped, unless another has taken its
/// place.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    known: (u64, u64),
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

impl SocketFile {
    /// It stays: the host has the socket from here on.
    pub fn keep(self) {
        let mut file = ManuallyDrop::new(self);
        drop(mem::take(&mut file.path));
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.known) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds and listens. A socket file without a listener, left by a server that was killed, is
/// replaced; any other file is not.
pub fn listen(socket: &Socket, address: &SockAddr, backlog: i32) -> io::Result<Option<SocketFile>> {
    let Some(path) = address.as_pathname() else {
        socket.bind(address)?;
        socket.listen(backlog)?;
        return Ok(None);
    };
    // Held from bind to listen, or another server that starts now would take this one for dead. A
    // folder that cannot be locked only keeps us from replacing anything.
    let lock = lock(path.parent().unwrap_or(Path::new("/")));
    let replaces = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse && lock.is_ok();
    match socket.bind(address) {
        Err(error) if replaces(&error) && is_dead(address) => {
            fs::remove_file(path)?;
            socket.bind(address)?;
        }
        answer => answer?,
    }
    let file = SocketFile { path: path.to_owned(), known: identity(path)? };
    socket.listen(backlog)?;
    Ok(Some(file))
}

/// A folder's lock, for as long as it lives: the folder, or a socket with a name of its own.
type Lock = OwnedFd;

/// Locks a folder. Who only starts to listen there holds it for a moment.
fn lock(folder: &Path) -> io::Result<Lock> {
    let until = Instant::now() + PATIENCE;
    loop {
        match try_lock(folder) {
            Err(error) if busy(&error) && Instant::now() < until => {
                thread::park_timeout(Duration::from_millis(1));
            }
            answer => return answer,
        }
    }
}

fn busy(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::AddrInUse)
}

/// Who may not read a folder cannot open it to lock it, but may well replace what is in it: then a
/// name of Linux that no file has is the lock, made of the folder's device and inode.
fn try_lock(folder: &Path) -> io::Result<Lock> {
    match File::open(folder) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(file.into()),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let (device, inode) = identity(folder)?;
            let name = format!("sockeye-folder-{device:x}-{inode:x}");
            let holder = sys::socket(socket2::Domain::UNIX, Type::DGRAM)?;
            holder.bind(&unnamed(name.as_bytes())?)?;
            Ok(holder.into())
        }
        Err(error) => Err(error),
    }
}

/// Whether this is a socket file without a listener.
fn is_dead(address: &SockAddr) -> bool {
    let file = address.as_pathname().and_then(|path| fs::symlink_metadata(path).ok());
    let refused = || {
        let probe = sys::socket(address.domain(), Type::STREAM)?;
        probe.connect(address)
    };
    file.is_some_and(|file| file.file_type().is_socket())
        && refused().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Who is at the other end, if this is a connected local socket.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn credentials(socket: &Socket) -> Option<Credentials> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    // SAFETY: `len` writable bytes at `found`.
    check(unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut found).cast(), &mut len)
    })
    .ok()?;
    // A socket of the internet has none: pid 0, and ids of all ones.
    (found.pid != 0).then_some(Credentials {
        pid: found.pid as u32,
        uid: found.uid,
        gid: found.gid,
    })
}

/// Who is at the other end, if this is a connected local socket: getpeereid(3).
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn credentials(socket: &Socket) -> Option<Credentials> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: both are this function's own.
    check(unsafe { libc::getpeereid(socket.as_raw_fd(), &mut uid, &mut gid) }).ok()?;
    Some(Credentials { pid: 0, uid, gid })
}
