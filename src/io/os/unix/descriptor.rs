//! Sockets that the host gives by their descriptor, and is given: fcntl(2), sd_listen_fds(3).

use super::sys::check;
use socket2::{SockAddr, Socket};
use std::env;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};

/// The first descriptor that a service manager passes: SD_LISTEN_FDS_START.
const FIRST: usize = 3;

/// A descriptor of the host's, to be looked at. It is closed by nobody.
pub fn lend(handle: isize) -> io::Result<ManuallyDrop<Socket>> {
    let bad = || io::Error::from_raw_os_error(libc::EBADF);
    let raw = RawFd::try_from(handle).ok().filter(|raw| *raw >= 0).ok_or_else(bad)?;
    // SAFETY: no pointers; a number that is no descriptor is an error.
    check(unsafe { libc::fcntl(raw, libc::F_GETFD) })?;
    // SAFETY: it is open, and `ManuallyDrop` leaves it so.
    Ok(ManuallyDrop::new(unsafe { Socket::from_raw_fd(raw) }))
}

/// The descriptor of a socket, which stays the socket's.
pub fn raw(socket: &Socket) -> isize {
    socket.as_raw_fd() as isize
}

/// The descriptor of a socket, which is the host's from here on.
pub fn give(socket: Socket) -> isize {
    socket.into_raw_fd() as isize
}

/// Whether it is a stream socket that listens: socket(7), SO_ACCEPTCONN.
pub fn listens(socket: &Socket) -> io::Result<bool> {
    let mut answer: libc::c_int = 0;
    let mut len = size_of_val(&answer) as libc::socklen_t;
    // SAFETY: a writable number and its size.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut answer).cast(),
            &mut len,
        )
    })?;
    Ok(answer != 0)
}

/// Sets what every socket of ours has: it closes on exec, and its calls do not block.
pub fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)
}

/// Whether it is a local socket.
pub fn is_local(address: &SockAddr) -> bool {
    address.is_unix()
}

/// The descriptor that the service manager passed under this name: LISTEN_FDS, LISTEN_FDNAMES.
pub fn named(name: &str) -> Result<isize, String> {
    let text = |key: &str| env::var(key).unwrap_or_default();
    let ours = text("LISTEN_PID").parse() == Ok(std::process::id());
    let count = text("LISTEN_FDS").parse::<usize>().unwrap_or(0);
    if !ours || count == 0 {
        return Err(format!(
            "fd://{name}: no descriptor was passed to this process (LISTEN_PID and LISTEN_FDS, \
             sd_listen_fds(3))"
        ));
    }
    find(name, &text("LISTEN_FDNAMES"), count)
}

fn find(name: &str, names: &str, count: usize) -> Result<isize, String> {
    let all: Vec<usize> = names
        .split(':')
        .take(count)
        .enumerate()
        .filter(|(_, one)| *one == name)
        .map(|(at, _)| FIRST + at)
        .collect();
    match all[..] {
        [one] => Ok(one as isize),
        [] => Err(format!("fd://{name}: LISTEN_FDNAMES has \"{names}\"")),
        _ => {
            let all: Vec<_> = all.iter().map(|one| format!("fd://{one}")).collect();
            Err(format!("fd://{name}: the name is of several, give one of {}", all.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_descriptor() {
        assert_eq!(find("game", "web:game", 2), Ok(4));
        assert_eq!(find("web", "web:game", 2), Ok(3));
        assert!(find("game", "web:game", 1).unwrap_err().contains("web:game"));
        assert!(find("x", "", 1).is_err());
        let several = find("game", "game:web:game", 3).unwrap_err();
        assert!(several.contains("fd://3, fd://5"), "{several}");
    }

    #[test]
    fn what_is_no_descriptor_is_not_lent() {
        for handle in [-1, isize::MIN, isize::MAX, 1 << 20] {
            assert!(lend(handle).is_err(), "{handle}");
        }
    }
}
