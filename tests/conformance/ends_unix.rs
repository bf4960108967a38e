//! Ends where there are forks, descriptors on their way and namespaces: a child that lives on
//! keeps no connection and no port; what is reported together with the connect is not lost.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::End;
#[cfg(target_os = "linux")]
use crate::common::process::network;
use crate::common::words::*;
use crate::common::{Setup, child, suite, wait_for};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
#[cfg(target_os = "linux")]
use std::process::Command;
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

suite! {
    each: a_forked_child_keeps_nothing, an_end_together_with_the_connect,
        descriptors_beside_messages, a_connection_to_itself_is_refused, no_port_left_is_a_limit,
        a_dead_file_in_a_folder_that_may_not_be_read;
    pool: a_dead_peer_is_found;
}

/// A peer that is gone without a word is found by the system's probes, within 2 times
/// `keepalive_s` and 3 seconds.
pub fn a_dead_peer_is_found(setup: Setup) {
    #[cfg(target_os = "linux")]
    child::alone(setup, || {
        if !network("") {
            return;
        }
        let mut host = setup.host();
        let door = host.door("?keepalive=1s&linger=0");
        let (peer, conn) = host.meet(door);
        let cut = Command::new("ip").args(["link", "set", "lo", "down"]).status();
        assert!(cut.expect("it was there before").success());
        let begun = Instant::now();
        let closed = host.closed(conn);
        let passed = begun.elapsed();
        assert!([RESET, UNREACHABLE].contains(&closed.cause), "{closed:?}");
        assert!(Duration::from_millis(900) < passed, "asked after a second: {passed:?}");
        assert!(passed < Duration::from_secs(6), "5, and the machine's own pace: {passed:?}");
        drop(peer);
        host.finish();
    });
    #[cfg(not(target_os = "linux"))]
    let _ = setup;
}

/// A child that lives until it is dropped, with a copy of every descriptor.
struct Saver(libc::pid_t);

impl Saver {
    fn fork() -> Saver {
        // SAFETY: the child only waits, which a child of several threads may.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: no pointers.
                unsafe { libc::pause() };
            },
            child => {
                assert!(child > 0, "a child");
                Saver(child)
            }
        }
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        let mut status = 0;
        // SAFETY: our own child, and room for the answer.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, &mut status, 0);
        }
    }
}

/// While a forked child has copies of all descriptors, a reset, an end, a refusal of the framing
/// and a closed port are heard as ever; the port can be had again.
pub fn a_forked_child_keeps_nothing(setup: Setup) {
    child::alone(setup, || {
        let mut host = setup.host();
        let door = host.door_with("?frame=u32be", |endpoint| endpoint.linger_ms = 60_000);
        let (mut reset, to_reset) = host.meet(door);
        let (mut ended, to_end) = host.meet(door);
        let (mut wrong, to_refuse) = host.meet(door);
        let (mut last, to_leave) = host.meet(door);
        let saver = Saver::fork();
        assert_eq!(host.net.close(to_reset, AT_ONCE), OK);
        assert_eq!(host.net.close_with(to_end, GRACEFUL, b"bye"), OK);
        wrong.put(&[0x7F, 0xFF, 0xFF, 0xFF]);
        assert_eq!(host.net.listener_close(door.listener), OK);
        assert_eq!(host.read_to_end(&mut reset), (vec![], End::Reset));
        assert_eq!(host.read_to_end(&mut ended), (b"\0\0\0\x03bye".to_vec(), End::Fin));
        assert_eq!(host.read_to_end(&mut wrong).1, End::Fin);
        assert_eq!(host.closed(to_refuse).cause, LIMIT_FRAME);
        host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], door.port));
        assert!(std::net::TcpStream::connect(address).is_err(), "a closed port accepts");
        let door = host.door_at(&format!("tcp://127.0.0.1:{}", door.port), |_| {});
        let (mut peer, conn) = host.meet(door);
        host.turn_over(&mut peer, conn);
        assert_eq!(host.net.shutdown(0), OK);
        assert!(matches!(host.read_to_end(&mut last), (_, End::Reset)), "shutdown");
        assert_eq!(host.closed(to_leave).cause, SHUTDOWN);
        drop(saver);
        host.finish();
    });
}

/// A server that accepts, says that it is full and closes: the words and the end are reported
/// though the system reports both together with the connect.
pub fn an_end_together_with_the_connect(setup: Setup) {
    const ROUNDS: usize = 60;
    let mut host = setup.host();
    let server = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("tcp://{}", server.local_addr().expect("it is bound"));
    let full = thread::spawn(move || {
        for _ in 0..ROUNDS {
            let (mut stream, _) = server.accept().expect("one comes");
            stream.write_all(b"server full").expect("a few bytes");
        }
    });
    for _ in 0..ROUNDS {
        let conn = host.connect(&url);
        if setup.drive.has_threads() {
            // All of it is there when the worker looks next, if it is slow.
            thread::yield_now();
        }
        assert_eq!(host.closed(conn).cause, PEER);
        assert_eq!(host.bytes(conn), b"server full");
    }
    full.join().expect("the server is well");
    host.finish();
}

/// One message with a descriptor beside it.
fn send_with_descriptor(socket: &Socket, bytes: &[u8], descriptor: i32) {
    let mut space = [0u64; 8];
    let mut piece = [IoSlice::new(bytes)];
    // SAFETY: all zeros are a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = piece.as_mut_ptr().cast();
    message.msg_iovlen = 1;
    message.msg_control = space.as_mut_ptr().cast();
    // SAFETY: the control buffer has room for one descriptor, and is aligned.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size_of::<i32>() as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as u32) as _;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(descriptor);
        let sent = libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL);
        assert_eq!(sent, bytes.len() as isize);
    }
}

/// A receive ends behind a message that has descriptors: what is behind it comes all the same, and
/// the descriptors are closed.
pub fn descriptors_beside_messages(setup: Setup) {
    let mut host = setup.host();
    let path = env::temp_dir().join(format!("sockeye-rights-{}-{}", process::id(), setup.model));
    host.door_at(&format!("unix://{}?frame=u32be", path.display()), |_| {});
    let peer = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    peer.connect(&SockAddr::unix(&path).expect("a path")).expect("it listens");
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    let conn = host.log[0].conn;
    let mut pipe = [0; 2];
    // SAFETY: room for two numbers.
    assert_eq!(unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    for round in 1..=100usize {
        // All of it is there before anybody looks, or while somebody does.
        let messages: [&[u8]; 3] = [b"\0\0\0\x01a", b"\0\0\0\x02bc", b"\0\0\0\x03def"];
        for (at, message) in messages.iter().enumerate() {
            match at {
                1 => drop(peer.send(message).expect("room")),
                _ => send_with_descriptor(&peer, message, pipe[1]),
            }
        }
        host.await_messages(conn, round * 3);
    }
    // SAFETY: our own descriptor.
    assert_eq!(unsafe { libc::close(pipe[1]) }, 0);
    let mut byte = [MaybeUninit::<u8>::uninit()];
    wait_for("every copy's end", || {
        let mut poll = libc::pollfd { fd: pipe[0], events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, and no wait.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 && poll.revents & libc::POLLHUP != 0 }
    });
    // SAFETY: room for a byte; the pipe answers at once when nobody has its other end.
    assert_eq!(unsafe { libc::read(pipe[0], byte.as_mut_ptr().cast(), 1) }, 0);
    drop(peer);
    assert_eq!(host.closed(conn).cause, PEER);
    // SAFETY: our own descriptor.
    unsafe { libc::close(pipe[0]) };
    host.finish();
}

/// A network of its own with so many ports to connect from. False: not permitted here.
fn few_ports(range: &str) -> bool {
    // SAFETY: no pointers.
    let alone = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
    let raised = alone && raise_loopback();
    let set = raised && fs::write("/proc/sys/net/ipv4/ip_local_port_range", range).is_ok();
    if !set {
        println!("skipped: no network of its own");
    }
    set
}

fn raise_loopback() -> bool {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    // SAFETY: all zeros are a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as _;
    // SAFETY: a whole request.
    unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) == 0 }
}

/// The system has the connection itself as its peer: no socket listens there.
pub fn a_connection_to_itself_is_refused(setup: Setup) {
    child::alone(setup, || {
        if !few_ports("41000 41001") {
            return;
        }
        let mut host = setup.host();
        for _ in 0..3 {
            let conn = host.connect("tcp://127.0.0.1:41000");
            let closed = host.closed(conn);
            assert_eq!((closed.cause, closed.os_error), (REFUSED, libc::ECONNREFUSED));
            assert_eq!(host.kinds_of(conn), [Kind::Closed]);
        }
        host.finish();
    });
}

/// No port is left to connect from: a limit, and it passes. An address that this machine has none
/// like: refused.
pub fn no_port_left_is_a_limit(setup: Setup) {
    child::alone(setup, || {
        if !few_ports("41000 41007") {
            return;
        }
        let mut host = setup.host();
        let door = host.door_at("tcp://127.0.0.1:7000", |_| {});
        let url = format!("tcp://127.0.0.1:{}", door.port);
        let conns: Vec<_> = (0..9).map(|_| host.connect(&url)).collect();
        host.until("one CLOSED", |host| host.count(Kind::Closed) == 1);
        let closed = host.log.iter().find(|it| it.kind == Kind::Closed).expect("seen").clone();
        assert_eq!((closed.cause, closed.os_error), (LIMIT_DESCRIPTORS, libc::EADDRNOTAVAIL));
        host.until("the others", |host| host.count(Kind::Opened) == 16);
        let first = conns.into_iter().find(|&conn| conn != closed.conn).expect("eight");
        assert_eq!(host.net.close(first, AT_ONCE), OK);
        host.closed(first);
        // CLOSED comes before the socket is closed, on both sides.
        host.until("its port", |host| host.net.stats().connections == 14);
        host.connect(&url);
        host.until("OPENED", |host| host.count(Kind::Opened) == 18);
        let off = ["all", "lo"].map(|name| format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"));
        if off.iter().all(|path| fs::write(path, "1").is_ok()) {
            for url in ["tcp://[::1]:7001", "tcp://localhost:7001"] {
                let conn = host.connect(url);
                let closed = host.closed(conn);
                assert_eq!(closed.cause, REFUSED, "{url}");
                let known = url.contains("localhost");
                assert!(!known || closed.os_error == libc::ECONNREFUSED, "{closed:?}");
            }
        }
        host.finish();
    });
}

/// A folder that may be entered and written and not read is no hindrance.
pub fn a_dead_file_in_a_folder_that_may_not_be_read(setup: Setup) {
    use std::os::unix::fs::PermissionsExt;
    child::alone(setup, || {
        let name = format!("sockeye-folder-{}-{}", process::id(), setup.model);
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder");
        let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode));
        mode(0o733).expect("our folder");
        let file = folder.join("door");
        // SAFETY: no pointers. A user that may not read it, if we can be one; else we are one.
        let other = unsafe { libc::setegid(61_234) == 0 && libc::seteuid(61_234) == 0 };
        if fs::File::open(&folder).is_err() {
            drop(UnixListener::bind(&file).expect("a file that nobody listens at"));
            let mut host: Host = setup.host();
            host.door_at(&format!("unix://{}", file.display()), |_| {});
            host.finish();
        }
        if other {
            // SAFETY: no pointers.
            assert!(unsafe { libc::seteuid(0) == 0 && libc::setegid(0) == 0 });
        }
        mode(0o700).expect("our folder");
        fs::remove_dir_all(&folder).expect("our folder");
    });
}
