//! Local sockets: files and abstract names, the same events as on the internet, and who is at the
//! other end.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::net::last_error;
use crate::common::peer::{End, Peer};
use crate::common::words::*;
use crate::common::{Setup, suite};
use socket2::{Domain, SockAddr, Socket, Type};
use sockeye::capi::address::sockeye_address;
use sockeye::capi::admit::sockeye_set_admit;
use sockeye::capi::listener::sockeye_listener;
use std::ffi::c_void;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

suite! {
    each: a_file_is_a_door, a_name_is_a_door, meets_its_own_net, a_dead_file_is_replaced,
        a_folder_in_use_is_waited_for, others_files_stay, who_connects_to_nothing_is_refused,
        a_full_backlog_is_waited_out, a_path_has_a_length, shutdown_leaves_no_file,
        the_host_is_asked_about_those_without_an_address;
}

/// A path that nobody else has; what is there goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sockeye-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Scratch(env::temp_dir().join(name))
    }

    fn url(&self) -> String {
        format!("unix://{}", self.0.display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Mostly it is gone already.
        let _ = fs::remove_file(&self.0);
    }
}

fn peer(stream: UnixStream) -> Peer {
    // A stream socket like any other, once it is connected.
    Peer::from(TcpStream::from(OwnedFd::from(stream)))
}

/// A message there and back, and every fact of the connection that a stream of `url` gives.
fn serve(host: &mut Host, door: Door, stream: UnixStream) {
    let mut peer = peer(stream);
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    let opened = host.log.last().expect("just seen").clone();
    assert_eq!(opened.listener, door.listener);
    host.turn_over(&mut peer, opened.conn);
    let info = host.net.conn_info(opened.conn).expect("it lives");
    // SAFETY: plain questions to the system.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    assert_eq!((info.peer.family, info.local.family), (0, 0), "no address of the internet");
    assert_eq!((info.has_credentials, info.peer_pid), (1, process::id()));
    assert_eq!((info.peer_uid, info.peer_gid), (uid, gid));
    assert_eq!(host.net.send(opened.conn, b"bye"), OK);
    assert_eq!(host.net.close(opened.conn, GRACEFUL), OK);
    assert_eq!(host.read_to_end(&mut peer), (b"bye".to_vec(), End::Fin));
    drop(peer);
    assert_eq!(host.closed(opened.conn).cause, HOST);
}

fn close(host: &mut Host, door: Door) {
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
}

pub fn a_file_is_a_door(setup: Setup) {
    let (mut host, file) = (setup.host(), Scratch::new());
    let door = host.door_at(&file.url(), |_| {});
    serve(&mut host, door, UnixStream::connect(&file.0).expect("a file to connect to"));
    close(&mut host, door);
    assert!(!file.0.exists(), "the file goes with the listener");
    host.door_at(&file.url(), |_| {});
    host.finish();
}

pub fn a_name_is_a_door(setup: Setup) {
    let mut host = setup.host();
    let name = format!("sockeye-{}", process::id());
    let door = host.door_at(&format!("unix:@{name}"), |_| {});
    let address = SocketAddr::from_abstract_name(name).expect("a short name");
    serve(&mut host, door, UnixStream::connect_addr(&address).expect("a name to connect to"));
    close(&mut host, door);
    assert!(UnixStream::connect_addr(&address).is_err(), "nobody listens any more");
    host.finish();
}

/// Both ends in one net, with framing from the URL.
pub fn meets_its_own_net(setup: Setup) {
    let (mut host, file) = (setup.host(), Scratch::new());
    let url = format!("{}?frame=u16le", file.url());
    let door = host.door_at(&url, |_| {});
    let near = host.connect(&url);
    host.until("OPENED of both", |host| host.count(Kind::Opened) == 2);
    let far = host.log.iter().find(|event| event.listener == door.listener).expect("one").conn;
    assert_eq!(host.net.send(near, b"there"), OK);
    host.await_messages(far, 1);
    assert_eq!(host.net.send(far, b"and back"), OK);
    host.await_messages(near, 1);
    assert_eq!((host.messages(far)[0], host.messages(near)[0]), (&b"there"[..], &b"and back"[..]));
    for conn in [near, far] {
        let info = host.net.conn_info(conn).expect("it lives");
        assert_eq!((info.has_credentials, info.peer_pid), (1, process::id()));
    }
    assert_eq!(host.net.close(near, GRACEFUL), OK);
    assert_eq!((host.closed(near).cause, host.closed(far).cause), (HOST, PEER));
    host.finish();
}

/// A server that was killed leaves its file behind; the next one takes the place.
pub fn a_dead_file_is_replaced(setup: Setup) {
    let (mut host, file) = (setup.host(), Scratch::new());
    drop(UnixListener::bind(&file.0).expect("a free path"));
    assert!(file.0.exists());
    let door = host.door_at(&file.url(), |_| {});
    serve(&mut host, door, UnixStream::connect(&file.0).expect("a file to connect to"));
    host.finish();
}

/// Another server that is about to listen in the same folder is waited for.
pub fn a_folder_in_use_is_waited_for(setup: Setup) {
    let (mut host, file) = (setup.host(), Scratch::new());
    drop(UnixListener::bind(&file.0).expect("a free path"));
    let folder = fs::File::open(file.0.parent().expect("a folder")).expect("it is there");
    folder.lock().expect("it can be locked");
    let other = std::thread::spawn(move || {
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        drop(folder);
    });
    let door = host.door_at(&file.url(), |_| {});
    other.join().expect("no panic");
    serve(&mut host, door, UnixStream::connect(&file.0).expect("a file to connect to"));
    host.finish();
}

/// A living server's file, and one that is no socket, are not ours to replace or remove.
pub fn others_files_stay(setup: Setup) {
    let (mut host, file, other) = (setup.host(), Scratch::new(), Scratch::new());
    let living = UnixListener::bind(&file.0).expect("a free path");
    assert_eq!(host.net.listen(&file.url(), None).err(), Some(ERR_BUSY));
    assert!(last_error().contains("in use"), "{}", last_error());
    UnixStream::connect(&file.0).expect("it still listens");
    drop(living);
    fs::write(&other.0, "words").expect("a free path");
    assert_eq!(host.net.listen(&other.url(), None).err(), Some(ERR_BUSY));
    assert_eq!(fs::read(&other.0).expect("still there"), b"words");
    // Another that has taken our place meanwhile keeps it.
    let door = host.door_at(&file.url(), |_| {});
    fs::remove_file(&file.0).expect("ours");
    let _heir = UnixListener::bind(&file.0).expect("a free path");
    close(&mut host, door);
    UnixStream::connect(&file.0).expect("the heir listens");
    host.finish();
}

/// CLOSED without OPENED, REFUSED with the system's reason.
pub fn who_connects_to_nothing_is_refused(setup: Setup) {
    let (mut host, file, dead) = (setup.host(), Scratch::new(), Scratch::new());
    drop(UnixListener::bind(&dead.0).expect("a free path"));
    for (url, why) in [(file.url(), libc::ENOENT), (dead.url(), libc::ECONNREFUSED)] {
        let conn = host.connect(&url);
        let closed = host.closed(conn);
        assert_eq!((closed.cause, closed.os_error), (REFUSED, why), "{url}");
        assert_eq!(host.kinds_of(conn), [Kind::Closed]);
    }
    host.finish();
}

/// The system tells a full backlog as an error, and never that it is full no more.
pub fn a_full_backlog_is_waited_out(setup: Setup) {
    let (mut host, file) = (setup.host(), Scratch::new());
    let address = SockAddr::unix(&file.0).expect("a short path");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    listener.bind(&address).expect("a free path");
    listener.listen(0).expect("a backlog of one");
    let filler = UnixStream::connect(&file.0).expect("room for one");
    let conn = host.connect(&file.url());
    assert_eq!(host.net.send(conn, b"waits"), OK);
    for _ in 0..10 {
        host.step(10);
    }
    assert_eq!(host.log.len(), 0, "it is neither connected nor refused");
    drop(listener.accept().expect("the filler"));
    drop(filler);
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    let (socket, _) = listener.accept().expect("the one that waited");
    let mut peer = peer(UnixStream::from(OwnedFd::from(socket)));
    assert_eq!(host.read(&mut peer, 5), b"waits");
    host.turn_over(&mut peer, conn);
    host.finish();
}

pub fn a_path_has_a_length(setup: Setup) {
    let host = setup.host();
    let long = Path::new("/tmp").join("x".repeat(108));
    let url = format!("unix://{}", long.display());
    assert_eq!(host.net.listen(&url, None).err(), Some(ERR_INVALID));
    assert!(last_error().contains("longer"), "{}", last_error());
    assert_eq!(host.net.connect(&url, None).err(), Some(ERR_INVALID));
    host.finish();
}

pub fn shutdown_leaves_no_file(setup: Setup) {
    let (mut host, file) = (setup.host(), Scratch::new());
    host.door_at(&file.url(), |_| {});
    let _peer = UnixStream::connect(&file.0).expect("a file to connect to");
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    host.finish();
    assert!(!file.0.exists());
}

/// Lets in whoever has an address, and counts those who have none.
extern "C" fn with_an_address(
    user: *mut c_void,
    _: sockeye_listener,
    peer: *const sockeye_address,
) -> u32 {
    // SAFETY: the number that was given, which lives for ever, and an address.
    let (without, family) = unsafe { (&*user.cast::<AtomicU32>(), (*peer).family) };
    without.fetch_add(u32::from(family == 0), Ordering::SeqCst);
    u32::from(family != 0)
}

pub fn the_host_is_asked_about_those_without_an_address(setup: Setup) {
    let (mut host, file) = (setup.host(), Scratch::new());
    let door = host.door_at(&file.url(), |_| {});
    let without: &AtomicU32 = Box::leak(Box::default());
    let user = std::ptr::from_ref(without).cast_mut().cast();
    // SAFETY: a live net; the number lives for ever.
    let set = unsafe { sockeye_set_admit(host.net.raw(), Some(with_an_address), user) };
    assert_eq!(set, OK);
    let mut refused = peer(UnixStream::connect(&file.0).expect("a file to connect to"));
    host.until("the peer's end", |_| {
        refused.has(1);
        refused.end.is_some()
    });
    assert_eq!(without.load(Ordering::SeqCst), 1);
    // SAFETY: NULL takes it away.
    assert_eq!(unsafe { sockeye_set_admit(host.net.raw(), None, std::ptr::null_mut()) }, OK);
    serve(&mut host, door, UnixStream::connect(&file.0).expect("a file to connect to"));
    host.finish();
}
