//! Pages of text for who asks by HTTP/1.1: a small server with a reactor of its own, for the thread
//! that runs it. No worker waits for it, nor does it wait for one. Each connection is answered once
//! and closed.

mod answer;

use answer::answer;
use socket2::{SockRef, Socket};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time;

/// A request is at most so long.
pub const REQUEST_MAX: usize = 8 * 1024;
/// Connections at the same time. Others are reset.
pub const CONNECTIONS_MAX: usize = 16;
/// From the accept of a connection to its end.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// After an accept that failed for want of something.
const PAUSE: Duration = Duration::from_millis(100);
/// What is read at a time.
const READ_BYTES: usize = 2048;

/// What is asked for.
pub struct Request<'a> {
    /// Without a query.
    pub path: &'a str,
    /// The value of the header Accept, or nothing.
    pub accept: &'a str,
}

/// What is answered.
pub struct Page {
    /// The value of the header Content-Type.
    pub kind: &'static str,
    /// The content.
    pub text: String,
}

/// Who has the pages.
pub trait Site: Send + Sync + 'static {
    /// Whether this peer is answered. If not, it is reset.
    fn admits(&self, peer: SocketAddr) -> bool;

    /// The page at a path. None: there is none.
    fn page(&self, request: &Request<'_>) -> Option<Page>;
}

/// Has `Server::run` return.
pub struct Closer(Arc<Notify>);

/// A server, and the thread that runs it.
pub struct Service {
    /// Of the server.
    pub closer: Closer,
    /// In which it runs.
    pub thread: JoinHandle<()>,
}

impl Service {
    /// Ends both.
    pub fn close(self) {
        self.closer.0.notify_one();
        // How its thread ended is of no matter.
        let _ = self.thread.join();
    }
}

/// A server that is bound, and not yet running.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    closed: Arc<Notify>,
}

impl Server {
    /// A server for a socket that listens.
    pub fn new(socket: Socket) -> io::Result<(Server, Closer)> {
        socket.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(socket.into())?
        };
        let closed = Arc::new(Notify::new());
        Ok((Server { runtime, listener, closed: closed.clone() }, Closer(closed)))
    }

    /// Answers until it is closed. Connections that are open then are cut.
    pub fn run(self, site: Arc<dyn Site>) {
        let Server { runtime, listener, closed } = self;
        runtime.spawn(accept(listener, site));
        runtime.block_on(closed.notified());
    }
}

async fn accept(listener: TcpListener, site: Arc<dyn Site>) {
    // Each connection has a share of it.
    let places = Arc::new(());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if Arc::strong_count(&places) > CONNECTIONS_MAX || !site.admits(peer) {
                    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    continue;
                }
                let (site, place) = (site.clone(), places.clone());
                tokio::spawn(async move {
                    // Whoever is slower, or breaks off, gets no answer.
                    let _ = time::timeout(DEADLINE, serve(stream, &*site)).await;
                    drop(place);
                });
            }
            Err(_) => time::sleep(PAUSE).await,
        }
    }
}

/// Reads one request and answers it.
async fn serve(stream: TcpStream, site: &dyn Site) -> io::Result<()> {
    let mut request = Vec::new();
    let answer = loop {
        if !read(&stream, &mut request).await? {
            return Ok(());
        }
        if let Some(answer) = answer(&request, site) {
            break answer;
        }
    };
    let mut rest = &answer[..];
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    SockRef::from(&stream).shutdown(Shutdown::Write)?;
    // With unread input a close would be a reset, which may overtake the answer.
    while read(&stream, &mut request).await? {
        request.clear();
    }
    Ok(())
}

/// Reads what there is. False: the peer has ended its side.
async fn read(stream: &TcpStream, into: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        stream.readable().await?;
        let before = into.len();
        into.resize(before + READ_BYTES, 0);
        let answer = stream.try_read(&mut into[before..]);
        into.truncate(before + *answer.as_ref().unwrap_or(&0));
        match answer {
            Ok(count) => return Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
