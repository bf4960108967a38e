//! A socket in tokio's reactor, which asks the system's socket driver through a completion port.

use crate::io::bell::Bell;
use crate::io::op::Lane;
use socket2::Socket;
use std::io;
use std::net;
use std::task::{Context, Poll, Waker};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What the reactor knows of one socket, by a handle of its own: a registration that fails closes
/// the handle it was given. Listeners are streams here, as only their readiness is asked for.
pub struct Watch(TcpStream);

impl Watch {
    /// Visits to the system until it has reported everything. Under Wine what the first one asks of
    /// the driver is answered at the second.
    pub const LOOKS: usize = 2;

    /// Registers a socket with the reactor of the runtime that is entered.
    pub fn new(socket: &Socket) -> io::Result<Watch> {
        TcpStream::from_std(net::TcpStream::from(socket.try_clone()?)).map(Watch)
    }

    /// Whether a try on the lane is worth it; if not, has the waker called when it is. The answer
    /// is that of `Ready::ended`: an end is not distinguished here, so a short receive never means
    /// that nothing is left.
    pub fn poll(&self, lane: Lane, context: &mut Context) -> Poll<bool> {
        let told = match lane {
            Lane::In => self.0.poll_read_ready(context),
            Lane::Out => self.0.poll_write_ready(context),
        };
        told.map(|_| true)
    }

    /// A try just blocked, or drained the lane: forgets that it was worth it.
    pub fn clear(&self, lane: Lane) {
        let interest = match lane {
            Lane::In => Interest::READABLE,
            Lane::Out => Interest::WRITABLE,
        };
        let _ = self.0.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }
}

/// What the reactor's bell strikes: the waker of the wait.
pub struct Door;

impl Door {
    /// The bell. A strike posts to the reactor's port, for which the system may have no memory.
    pub fn new(tell: impl Fn() -> bool + Send + Sync + 'static) -> io::Result<(Door, Bell)> {
        Ok((Door, Bell::fallible(tell)))
    }

    /// Nothing of the runtime's to attend to.
    pub fn attend(&mut self, _waker: &Waker) -> io::Result<()> {
        Ok(())
    }

    /// Nothing stays of a strike.
    pub fn settle(&self, _waker: &Waker) {}
}
