//! Local sockets: none in this version.

use socket2::{SockAddr, Socket};
use std::io;

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
pub fn named(_path: &[u8]) -> io::Result<SockAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The address of a socket that has a name and no file.
pub fn unnamed(_name: &[u8]) -> io::Result<SockAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The file of a listening socket: there is none.
pub enum SocketFile {}

impl SocketFile {
    /// There is none to stay.
    pub fn keep(self) {
        match self {}
    }
}

/// Binds and listens.
pub fn listen(_: &Socket, _: &SockAddr, _backlog: i32) -> io::Result<Option<SocketFile>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Who is at the other end, if this is a connected local socket.
pub fn credentials(_: &Socket) -> Option<Credentials> {
    None
}
