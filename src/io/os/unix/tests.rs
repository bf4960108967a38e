//! The contract of `readiness.rs`, on each model that only watches.

use crate::io::bell::Bell;
use crate::io::op::{Lane, Token};
use crate::io::os::sys;
use crate::io::readiness::{Readiness, Ready};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// The tests of one model.
macro_rules! contract {
    ($($model:ident $poller:ty: $($test:ident),+;)+) => {
        $(
            mod $model {
                $(
                    #[test]
                    fn $test() {
                        super::$test::<$poller>();
                    }
                )+
            }
        )+
    };
}

contract! {
    poll crate::io::os::unix::poll::Poll:
        one_arming_one_report, an_end_is_seen, both_lanes, any_thread_waits, who_left_is_silent,
        high_descriptors, behind_the_urgent;
    select crate::io::os::unix::select::Select:
        one_arming_one_report, an_end_is_seen, both_lanes, any_thread_waits, who_left_is_silent,
        high_descriptors, behind_the_urgent;
    tokio crate::io::tokio::Tokio:
        one_arming_one_report, an_end_is_seen, both_lanes, any_thread_waits, who_left_is_silent,
        high_descriptors, behind_the_urgent;
}

// It reports without being asked, which it may.
#[cfg(target_os = "linux")]
contract! {
    epoll crate::io::os::linux::epoll::Epoll:
        an_end_is_seen, both_lanes, any_thread_waits, who_left_is_silent, high_descriptors,
        behind_the_urgent;
}

#[cfg(kqueue)]
contract! {
    kqueue crate::io::os::bsd::kqueue::Kqueue:
        an_end_is_seen, both_lanes, any_thread_waits, who_left_is_silent, high_descriptors,
        behind_the_urgent;
}

/// A poller with one end of a pair, the other, and the poller's bell.
struct Stage<R> {
    poller: R,
    bell: Bell,
    token: Token,
    near: Socket,
    far: Socket,
}

impl<R: Readiness> Stage<R> {
    fn new() -> Stage<R> {
        Stage::with(|socket| socket)
    }

    fn with(change: impl FnOnce(Socket) -> Socket) -> Stage<R> {
        let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("a pair");
        Stage::of(change(near), far)
    }

    fn of(near: Socket, far: Socket) -> Stage<R> {
        near.set_nonblocking(true).expect("an option");
        let (mut poller, bell) = R::open().expect("it runs here");
        let token = Token::new(3, 7);
        poller.admit(&near).expect("in reach");
        poller.add(token, &near).expect("it is watched");
        Stage { poller, bell, token, near, far }
    }

    fn arm(&mut self, lane: Lane) {
        self.poller.arm(self.token, lane).expect("it is armed");
    }

    fn blocked(&mut self, lane: Lane) {
        self.poller.blocked(self.token, lane);
    }

    fn look(&mut self, timeout: Duration) -> Vec<Ready> {
        let mut ready = Vec::new();
        self.poller.wait(&mut ready, Some(timeout), &self.bell).expect("it waits");
        ready
    }

    /// Waits for a report of this lane. The answer is its `ended`.
    fn until(&mut self, lane: Lane) -> bool {
        let end = Instant::now() + DEADLINE;
        loop {
            let told = self.look(DEADLINE);
            let ours = told.iter().find(|it| (it.token, it.lane) == (self.token, lane));
            if let Some(ready) = ours {
                return ready.ended;
            }
            assert!(Instant::now() < end, "no report");
        }
    }

    /// One receive; None: it would block.
    fn take(&self) -> Option<usize> {
        match (&self.near).read(&mut [0; 64]) {
            Ok(count) => Some(count),
            Err(error) => {
                assert!(sys::would_block(&error), "{error}");
                None
            }
        }
    }

    /// Receives until it would block, or to the end.
    fn count(&self) -> usize {
        std::iter::from_fn(|| self.take().filter(|&count| count > 0)).sum()
    }

    /// The same, as is reported to the poller. True: to the end of the stream.
    fn drain(&mut self) -> bool {
        self.count();
        let ended = self.take() == Some(0);
        self.blocked(Lane::In);
        ended
    }
}

fn one_arming_one_report<R: Readiness>() {
    let mut stage = Stage::<R>::new();
    (&stage.far).write_all(b"before").expect("room");
    assert!(stage.look(Duration::from_millis(20)).is_empty(), "nobody asked");
    for _ in 0..3 {
        stage.arm(Lane::In);
        stage.until(Lane::In);
        assert!(stage.look(Duration::from_millis(20)).is_empty(), "told once");
        assert!(!stage.drain());
        stage.arm(Lane::In);
        assert!(stage.look(Duration::from_millis(20)).is_empty(), "nothing is there");
        (&stage.far).write_all(b"again").expect("room");
        stage.until(Lane::In);
    }
}

fn an_end_is_seen<R: Readiness>() {
    let mut stage = Stage::<R>::new();
    (&stage.far).write_all(b"last").expect("room");
    stage.arm(Lane::In);
    stage.until(Lane::In);
    // What a short receive leaves behind comes as a report of its own.
    let mut bytes = [0; 64];
    assert_eq!((&stage.near).read(&mut bytes).expect("bytes"), 4);
    stage.blocked(Lane::In);
    stage.arm(Lane::In);
    stage.far.shutdown(std::net::Shutdown::Write).expect("it is connected");
    stage.until(Lane::In);
    assert!(stage.drain());
}

/// Each lane is reported for itself.
fn both_lanes<R: Readiness>() {
    let mut stage = Stage::<R>::new();
    while (&stage.near).write(&[0; 4096]).is_ok() {}
    stage.blocked(Lane::Out);
    stage.arm(Lane::Out);
    stage.arm(Lane::In);
    assert!(stage.look(Duration::from_millis(20)).is_empty(), "full, and nothing came");
    (&stage.far).write_all(b"in").expect("room");
    stage.until(Lane::In);
    assert!(!stage.drain());
    assert!(stage.look(Duration::from_millis(20)).is_empty(), "still full");
    stage.far.set_nonblocking(true).expect("an option");
    while (&stage.far).read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    stage.until(Lane::Out);
}

/// Two threads take turns, and the bell of one ends the wait of the other.
fn any_thread_waits<R: Readiness>() {
    let mut stage = Stage::<R>::new();
    stage.arm(Lane::In);
    let bell = stage.bell.clone();
    for turn in 0..20 {
        let (sender, receiver) = mpsc::channel();
        let waiter = thread::spawn(move || {
            stage.bell.hush();
            sender.send(()).expect("somebody listens");
            let begun = Instant::now();
            while !stage.bell.rung() {
                stage.look(DEADLINE);
                assert!(begun.elapsed() < DEADLINE, "it slept through");
            }
            stage
        });
        receiver.recv().expect("it began");
        // Early and late: before it waits, while it begins to, and when it does.
        (0..turn * turn).for_each(|_| thread::yield_now());
        bell.ring();
        stage = waiter.join().expect("the bell woke it");
    }
    (&stage.far).write_all(b"still").expect("room");
    stage.until(Lane::In);
}

fn who_left_is_silent<R: Readiness>() {
    let mut stage = Stage::<R>::new();
    stage.arm(Lane::In);
    (&stage.far).write_all(b"late").expect("room");
    stage.poller.remove(stage.token, &stage.near);
    assert!(stage.look(Duration::from_millis(20)).is_empty());
    // The socket is closed, and its slot has another owner.
    let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("a pair");
    (stage.near, stage.far) = (near, far);
    assert!(stage.look(Duration::from_millis(20)).is_empty());
    (&stage.far).write_all(b"early").expect("room");
    stage.token = Token::new(3, 8);
    stage.poller.add(stage.token, &stage.near).expect("it is watched");
    stage.arm(Lane::In);
    stage.until(Lane::In);
}

/// A receive stops at an urgent byte: it is short, and yet more is there.
fn behind_the_urgent<R: Readiness>() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let far = Socket::from(TcpStream::connect(address).expect("it listens"));
    let near = Socket::from(listener.accept().expect("it connected").0);
    let mut stage = Stage::<R>::of(near, far);
    (&stage.far).write_all(b"be").expect("room");
    stage.far.send_out_of_band(b"!").expect("room");
    (&stage.far).write_all(b"hind").expect("room");
    let (mut got, mut ended) = (0, false);
    while got < 6 {
        stage.arm(Lane::In);
        ended |= stage.until(Lane::In);
        // One short receive, or all there is: as `emulated.rs` does it.
        got += if ended { stage.count() } else { stage.take().unwrap_or(0) };
        stage.blocked(Lane::In);
    }
    assert_eq!(got, 6);
}

fn high_descriptors<R: Readiness>() {
    use std::os::fd::{AsRawFd, FromRawFd};
    const HIGH: libc::c_int = libc::FD_SETSIZE as libc::c_int + 500;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is this function's own.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    let mut stage = Stage::<R>::with(|low| {
        // SAFETY: no pointers.
        let fd = unsafe { libc::fcntl(low.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH) };
        assert!(fd >= HIGH, "{fd}");
        // SAFETY: fresh and not shared.
        unsafe { Socket::from_raw_fd(fd) }
    });
    stage.arm(Lane::In);
    stage.arm(Lane::Out);
    stage.until(Lane::Out);
    (&stage.far).write_all(b"up here").expect("room");
    stage.until(Lane::In);
    stage.poller.remove(stage.token, &stage.near);
    assert!(stage.look(Duration::from_millis(20)).is_empty());
}

/// On a socket that blocks a batch waits for room, and an interrupt ends the wait. Local ones: what
/// is not read is in the way of the next, as with a slow network.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_a_send_of_datagrams() {
    use crate::buf::Pool;
    use crate::io::datagram::Datagram;

    let pool = Pool::new(1 << 20);
    let (near, far) = Socket::pair(Domain::UNIX, Type::DGRAM, None).expect("a pair");
    near.set_send_buffer_size(4096).expect("an option");
    let datagram = || {
        let data = pool.take(1000).expect("memory").write_zeros(1000);
        Datagram { address: None, local: None, data }
    };
    let all: Vec<_> = (0..32).map(|_| datagram()).collect();
    let sender = near.try_clone().expect("a descriptor");
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || tell.send(sys::send_batch(&sender, &all)));
    far.set_read_timeout(Some(DEADLINE)).expect("an option");
    far.peek(&mut [std::mem::MaybeUninit::uninit()]).expect("the first is sent");
    assert!(told.recv_timeout(Duration::from_millis(100)).is_err(), "it blocks");
    sys::interrupt(&near, Lane::Out);
    let answer = told.recv_timeout(DEADLINE).expect("it is interrupted");
    assert!(answer.is_ok_and(|sent| (1..32).contains(&sent)), "what was taken counts");
    thread.join().expect("no panic").expect("told");
}

/// A connection that is given up is not the system's for longer than a second.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn an_end_has_the_system_forget_soon() {
    let door = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let _peer = TcpStream::connect(door.local_addr().expect("it is bound")).expect("it listens");
    let near = Socket::from(door.accept().expect("a peer").0);
    let linger = || {
        let (mut seconds, mut len) = (0, size_of::<libc::c_int>() as libc::socklen_t);
        // SAFETY: a writable number and its size.
        let answer = unsafe {
            let at = (&raw mut seconds as *mut libc::c_int).cast();
            libc::getsockopt(
                near.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_LINGER2,
                at,
                &raw mut len,
            )
        };
        assert_eq!(answer, 0, "an option of tcp(7)");
        seconds
    };
    assert!(linger() > 1, "the system's own is longer");
    sys::end(&near);
    assert_eq!(linger(), 1);
}
