//! What the system says about a process: memory, time, threads, descriptors. Of Linux;
//! `process_windows.rs` is its twin.

use socket2::{SockRef, Socket};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// What the system answers when no socket listens.
pub const NOBODY_LISTENS: i32 = libc::ECONNREFUSED;
/// What the system says of a connection that its peer has reset.
pub const RESET_BY_PEER: i32 = libc::ECONNRESET;
/// What the system says where no way leads.
pub const NO_ROUTE: i32 = libc::ENETUNREACH;
/// The system keeps twice the buffer that it is asked for.
pub const BUFFER_FACTOR: usize = 2;

fn words_of(path: &str) -> Vec<u64> {
    let text = fs::read_to_string(path).expect("/proc is there");
    text.split_whitespace().map_while(|word| word.parse().ok()).collect()
}

/// Resident memory of this process.
pub fn resident_bytes() -> u64 {
    // SAFETY: a plain question to the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    words_of("/proc/self/statm")[1] * page
}

/// Processor time of a process so far, in user and kernel.
pub fn cpu_time(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    // The name may hold spaces; the fields are counted behind its bracket.
    let rest = text.rsplit_once(')').expect("a name in brackets").1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
    // SAFETY: a plain question to the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as u64;
    Duration::from_millis(ticks * 1000 / per_second)
}

/// Threads of this process.
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("/proc is there").count()
}

/// Whether a thread of this process has this name.
pub fn has_thread(name: &str) -> bool {
    let listing = fs::read_dir("/proc/self/task").expect("/proc is there");
    let mut names = listing.filter_map(|entry| fs::read(entry.ok()?.path().join("comm")).ok());
    names.any(|text| text.trim_ascii_end() == name.as_bytes())
}

/// The system's numbers of this process's threads.
pub fn thread_numbers() -> Vec<i32> {
    let listing = fs::read_dir("/proc/self/task").expect("/proc is there");
    listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Whether a thread of this process sleeps in the system.
pub fn sleeps(thread: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
    stat.is_ok_and(|text| text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')))
}

/// Whether all threads of this process with this name sleep in the system.
pub fn all_sleep(name: &str) -> bool {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is there");
    let named = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    named.collect::<Vec<i32>>().into_iter().all(|thread| {
        let comm = fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
        comm.is_ok_and(|comm| comm.trim_end() != name) || sleeps(thread)
    })
}

/// The system's number of the calling thread.
pub fn thread_number() -> i32 {
    // SAFETY: a plain question to the system.
    unsafe { libc::gettid() }
}

/// Open descriptors of this process.
pub fn descriptors() -> BTreeSet<i32> {
    let listing = fs::read_dir("/proc/self/fd").expect("/proc is there");
    let numbers = listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let open = numbers.collect::<Vec<i32>>();
    // The descriptor of the listing itself is closed by now.
    // SAFETY: asking for flags changes nothing.
    open.into_iter().filter(|&fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0).collect()
}

/// Whether a descriptor is closed when the process executes another program, as /proc tells it.
/// One that was closed meanwhile is.
pub fn closes_on_exec(descriptor: i32) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")) else {
        return true;
    };
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).expect("has flags");
    let flags = i32::from_str_radix(flags.trim(), 8).expect("octal");
    flags & libc::O_CLOEXEC != 0
}

/// Another descriptor of a socket among the descriptors of this process.
pub fn socket_of(descriptor: i32) -> Option<Socket> {
    // SAFETY: it is open, and stays so while the net has its connection.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    SockRef::from(&descriptor).try_clone().ok()
}

/// When an idle connection is asked whether it lives: the silence before, the seconds between two
/// probes, and how many there are.
pub fn keepalive(socket: &Socket) -> Option<(u32, u32, u32)> {
    let seconds = |time: Duration| time.as_secs() as u32;
    let time = socket.tcp_keepalive_time().expect("an option");
    let interval = socket.tcp_keepalive_interval().expect("an option");
    let count = socket.tcp_keepalive_retries().expect("an option");
    Some((seconds(time), seconds(interval), count))
}

/// How long what was sent may stay unacknowledged, if that is set.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn user_timeout(socket: &Socket) -> Option<Option<Duration>> {
    let time = socket.tcp_user_timeout().expect("an option");
    Some(time.filter(|time| !time.is_zero()))
}

/// As above: this system has no such time.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn user_timeout(_: &Socket) -> Option<Option<Duration>> {
    None
}

/// Whether what a host waits on is signalled within so many milliseconds.
pub fn signalled(handle: i32, timeout_ms: i32) -> bool {
    let mut entry = libc::pollfd { fd: handle, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, this function's own.
    let count = unsafe { libc::poll(&mut entry, 1, timeout_ms) };
    assert!(count >= 0 && entry.revents & !libc::POLLIN == 0, "{:#x}", entry.revents);
    count == 1
}

/// Leaves this thread, and those it makes, in a network without routes. False: not allowed to.
pub fn leave_network() -> bool {
    // SAFETY: changes only this thread's network.
    unsafe { libc::unshare(libc::CLONE_NEWNET) == 0 }
}

/// A step of a filter of calls, and how far to go on when it is so and when it is not.
fn step(code: u32, k: u32, (jt, jf): (u8, u8)) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Looks at a word of what a filter sees.
fn look_at(offset: u32) -> libc::sock_filter {
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, (0, 0))
}

/// Goes on if that word is this one, else behind so many steps.
fn is_it(word: u32, else_skip: u8) -> libc::sock_filter {
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, word, (0, else_skip))
}

fn refuse(error: i32) -> libc::sock_filter {
    let answer = libc::SECCOMP_RET_ERRNO | error as u32;
    step(libc::BPF_RET | libc::BPF_K, answer, (0, 0))
}

/// Has the system ask this filter at each call of this process, seccomp(2). False, and said: it
/// knows no such thing.
fn filter_calls(mut filter: Vec<libc::sock_filter>) -> bool {
    filter.push(step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, (0, 0)));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let (mode, every_thread) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
    // SAFETY: a filter of `len` steps, read before the call returns.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::syscall(libc::SYS_seccomp, mode, every_thread, &raw const program) == 0
    };
    if !refused {
        println!("skipped: no filters of calls here");
    }
    refused
}

/// Has the system refuse these calls to this process with this error. False, and said: it cannot.
pub fn refuse_calls(calls: &[libc::c_long], error: i32) -> bool {
    // The number of the call is the first word of what the filter sees.
    let mut filter = vec![look_at(0)];
    for &call in calls {
        filter.extend([is_it(call as u32, 1), refuse(error)]);
    }
    filter_calls(filter)
}

/// Has the system know no sockets of a family, as one that is built without it.
pub fn refuse_family(family: i32) -> bool {
    // The first argument of a call is the fifth word, where numbers begin with their low half.
    let argument = if cfg!(target_endian = "little") { 16 } else { 20 };
    filter_calls(vec![
        look_at(0),
        is_it(libc::SYS_socket as u32, 3),
        look_at(argument),
        is_it(family as u32, 1),
        refuse(libc::EAFNOSUPPORT),
    ])
}

/// Leaves this thread, and those it makes, in a network that these commands of a shell made; the
/// loopback is up. False, and said: not allowed to, or no such tools.
pub fn network(commands: &str) -> bool {
    // An address can be used when the system has seen to it that nobody else has it.
    let settled = "while ip -6 addr show tentative | grep -q nodad; do sleep 0.01; done";
    let script = format!("ip link set lo up\n{commands}\n{settled}");
    let made = leave_network()
        && std::process::Command::new("sh")
            .args(["-ec", &script])
            .status()
            .is_ok_and(|status| status.success());
    if !made {
        println!("skipped: no network of its own");
    }
    made
}

/// Whether a socket that is closed with no time to linger resets its connection.
pub fn resets() -> bool {
    true
}

/// Sets how many descriptors this process may have, or as many as it can get.
pub fn limit_descriptors(count: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is this function's own.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = count.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

/// Stops a process, and waits until none of its threads runs.
pub fn stop(pid: u32) {
    signal(pid, libc::SIGSTOP);
    let state = || fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    while !state().rsplit_once(") ").expect("a name in brackets").1.starts_with('T') {
        std::thread::yield_now();
    }
}

/// Has a stopped process go on.
pub fn go_on(pid: u32) {
    signal(pid, libc::SIGCONT);
}

fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: a child of this process that was not waited for.
    assert_eq!(unsafe { libc::kill(pid as libc::pid_t, signal) }, 0);
}
