//! The ring itself: made, entered, rung at, closed. io_uring(7), io_uring_setup(2),
//! io_uring_enter(2).

use crate::io::bell::Bell;
use crate::io::common::wait::Wait;
use crate::io::os::unix::doorbell::EventFd;
use crate::io::os::unix::sys::{check, wait_failure};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Operations that wait to be submitted; more are kept here and follow.
const SUBMISSIONS: u32 = 512;
/// Completions that wait to be reaped; more stay in the kernel and follow (NODROP).
const COMPLETIONS: u32 = 4096;
/// The bell's user data; no operation on a socket has all bits set.
pub const BELL: u64 = u64::MAX;
/// For the kernel to give up memory that operations point at.
const FAREWELL: Duration = Duration::from_secs(1);

/// One ring. Invariant: only the thread that entered it first enters it.
pub struct Ring {
    ring: IoUring,
    door: Arc<EventFd>,
    bell: Bell,
    /// It was enabled, by the thread that turns it.
    enabled: bool,
    /// Readable while completions may have come since the last enter that asked for them; made for
    /// a host that waits for it.
    news: Option<EventFd>,
    /// The bell's poll is in the kernel.
    listens: bool,
    /// Submissions that found the queue full.
    waiting: VecDeque<squeue::Entry>,
    /// Completions that were looked at and not reaped; they come first.
    seen: VecDeque<cqueue::Entry>,
    /// Hung up when the kernel has freed the ring, with all that operated in it: the other end is
    /// a file that the ring alone has.
    gone: OwnedFd,
}

impl Ring {
    /// A ring that is not enabled yet, so that any thread may make it. An error says in words why
    /// there can be none here.
    pub fn new() -> io::Result<Ring> {
        let ring = IoUring::builder()
            .setup_r_disabled()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .dontfork()
            .build(SUBMISSIONS)
            .map_err(in_words)?;
        let door = Arc::new(EventFd::new()?);
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
        // SAFETY: fresh and not shared.
        let [gone, held] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        ring.submitter().register_files(&[held.as_raw_fd()])?;
        let strike = door.clone();
        let bell = Bell::new(move || strike.set());
        Ok(Ring {
            ring,
            door,
            bell,
            enabled: false,
            news: None,
            listens: false,
            waiting: VecDeque::new(),
            seen: VecDeque::new(),
            gone,
        })
    }

    /// Descriptors of which one is readable while there may be completions: that of
    /// io_uring_register_eventfd(3), since the ring itself need not be before an enter has posted
    /// them; and the bell's own, of which the other hears late or never, as one is in the middle
    /// of an eventfd's wake-up.
    pub fn descriptors(&mut self) -> io::Result<Vec<isize>> {
        if self.news.is_none() {
            let news = EventFd::new()?;
            self.ring.submitter().register_eventfd(news.fd())?;
            self.news = Some(news);
        }
        let news = self.news.iter().map(EventFd::fd);
        Ok(news.chain([self.door.fd()]).map(|fd| fd as isize).collect())
    }

    /// Ends a wait of `enter`.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Gives the kernel a ring of buffers to receive into, as group 0.
    ///
    /// # Safety
    /// `entries` entries at `address` stay where they are until the ring is gone.
    pub unsafe fn provide(&self, address: u64, entries: u16) -> io::Result<()> {
        // SAFETY: the caller's.
        unsafe { self.ring.submitter().register_buf_ring_with_flags(address, entries, 0, 0) }
            .map_err(in_words)
    }

    /// Takes that ring of buffers back. What the kernel took of it before is reported by
    /// completions that `next` has, or after an `enter` while `has_more`.
    pub fn withdraw(&self) -> io::Result<()> {
        self.ring.submitter().unregister_buf_ring(0)
    }

    /// Whether the kernel has completions that found no place.
    pub fn has_more(&mut self) -> bool {
        self.ring.submission().cq_overflow()
    }

    /// Starts an operation with the next `enter`.
    ///
    /// # Safety
    /// What it points at stays where it is until it has completed.
    #[inline]
    pub unsafe fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: the caller's.
        if !self.waiting.is_empty() || unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.waiting.push_back(entry);
        }
    }

    /// Submits what was pushed and waits once: None without limit, zero only looks. Completions
    /// that are there, or the bell, end a wait.
    pub fn enter(&mut self, mut timeout: Option<Duration>) -> io::Result<()> {
        if !self.seen.is_empty() {
            timeout = Some(Duration::ZERO);
        }
        self.enable()?;
        while !self.waiting.is_empty() {
            let before = self.waiting.len();
            self.submit(EnterFlags::empty())?;
            while let Some(entry) = self.waiting.front() {
                // SAFETY: as it was pushed.
                if unsafe { self.ring.submission().push(entry) }.is_err() {
                    break;
                }
                self.waiting.pop_front();
            }
            if self.waiting.len() == before {
                break;
            }
        }
        // First: what comes from now on makes them readable again.
        if let Some(news) = &self.news {
            news.clear();
            self.door.clear();
        }
        // Completions are posted by an enter that asks for them, and by no other.
        if timeout == Some(Duration::ZERO) || !self.bell.doze() {
            return self.submit(EnterFlags::GETEVENTS);
        }
        let answer = self.wait(timeout);
        self.bell.rouse();
        answer
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let submitter = self.ring.submitter();
        let Some(timeout) = timeout else {
            return entered(submitter.submit_and_wait(1));
        };
        let limit = Timespec::from(timeout);
        entered(submitter.submit_with_args(1, &SubmitArgs::new().timespec(&limit)))
    }

    fn submit(&mut self, flags: EnterFlags) -> io::Result<()> {
        let count = self.ring.submission().len() as u32;
        let submitter = self.ring.submitter();
        // SAFETY: no argument; what the submissions point at is their pushers'.
        entered(unsafe { submitter.enter::<libc::sigset_t>(count, 0, flags.bits(), None) })
    }

    fn enable(&mut self) -> io::Result<()> {
        if !self.enabled {
            self.ring.submitter().register_enable_rings()?;
            self.enabled = true;
        }
        if !self.listens {
            self.listens = true;
            let (fd, flags) = (Fd(self.door.fd()), libc::POLLIN as u32);
            // Edge-triggered, so its counter is never read: each write is a new edge.
            let poll = opcode::PollAdd::new(fd, flags).multi(true).build().user_data(BELL);
            // SAFETY: it points at nothing.
            unsafe { self.push(poll) };
        }
        Ok(())
    }

    /// The next completion of an operation.
    #[inline]
    pub fn next(&mut self) -> Option<cqueue::Entry> {
        loop {
            let entry = match self.seen.pop_front() {
                Some(entry) => entry,
                None => self.ring.completion().next()?,
            };
            if entry.user_data() != BELL {
                return Some(entry);
            }
            self.listens = cqueue::more(entry.flags());
        }
    }

    /// Whether an operation with such user data completed and was not reaped, or may have.
    pub fn has(&mut self, such: impl Fn(u64) -> bool) -> bool {
        self.seen.extend(self.ring.completion());
        let left = self.ring.submission().cq_overflow();
        left || self.seen.iter().any(|entry| such(entry.user_data()))
    }

    /// Closes the ring, which ends its operations. True: the kernel touches no memory of theirs
    /// any more. Any thread.
    pub fn close(self) -> bool {
        let Ring { ring, gone, .. } = self;
        drop(ring);
        let until = Instant::now() + FAREWELL;
        loop {
            let left = until.saturating_duration_since(Instant::now()).as_millis() as i32;
            let mut watched = libc::pollfd { fd: gone.as_raw_fd(), events: 0, revents: 0 };
            // SAFETY: one pollfd. A signal, also of the kernel's own for what this thread began,
            // ends it early.
            unsafe { libc::poll(&mut watched, 1, left) };
            if watched.revents & libc::POLLHUP != 0 || left == 0 {
                return watched.revents & libc::POLLHUP != 0;
            }
        }
    }
}

/// Whether an enter did what it was to do. Some answers only mean that there is nothing.
fn entered(answer: io::Result<usize>) -> io::Result<()> {
    match answer {
        // The time was over.
        Err(error) if error.raw_os_error() == Some(libc::ETIME) => Ok(()),
        Err(error) if wait_failure(&error) != Wait::Again => Err(error),
        _ => Ok(()),
    }
}

/// Why there can be no ring here.
fn in_words(error: io::Error) -> io::Error {
    use io::ErrorKind::{PermissionDenied, Unsupported};
    let (kind, words) = match error.raw_os_error() {
        Some(libc::ENOSYS) => {
            (Unsupported, "this kernel has no io_uring; Linux 6.1 has what it takes")
        }
        Some(libc::EINVAL) => {
            (Unsupported, "io_uring is too old here: it takes Linux 6.1 or newer")
        }
        Some(libc::EPERM | libc::EACCES) => (PermissionDenied, denied()),
        Some(libc::ENOMEM) => (
            io::ErrorKind::OutOfMemory,
            "no memory for a ring: see the limit of locked memory, ulimit -l",
        ),
        _ => return error,
    };
    io::Error::new(kind, words)
}

/// Who forbids rings: the switch in sysctl(8), or else a filter.
fn denied() -> &'static str {
    let switch = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    match switch.as_deref().map(str::trim_end) {
        Ok("1" | "2") => "io_uring is forbidden here by the sysctl kernel.io_uring_disabled",
        _ => "io_uring is forbidden here, as by a container's seccomp filter",
    }
}
