//! Child processes: each on one processor, gone with us, with a CPU clock that can be read.

use crate::procfs;
use anyhow::{Context, Result, bail};
use std::io::{self, BufRead, BufReader, Write};
use std::mem;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Where the servers run, and where all else does.
pub const SERVER_CPU: usize = 0;
pub const LOAD_CPU: usize = 1;

/// Two looks at a process this far apart that show the same are rest.
const REST: Duration = Duration::from_millis(1);

/// What a process has used since its start.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub cpu_ns: u64,
    /// By the thread on which the game's code runs, where there is one.
    pub game_ns: Option<u64>,
    /// Voluntary context switches of all threads.
    pub switches: u64,
}

pub struct Process {
    child: Child,
    name: String,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a program on one processor.
    pub fn start(name: &str, command: &mut Command, cpu: usize) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: between fork and exec it makes two system calls and allocates nothing.
        unsafe { command.pre_exec(move || pin(cpu).and_then(|()| die_with_parent())) };
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().context("no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let read = BufReader::new(stdout).lines().map_while(Result::ok);
            // Ends with the program, or when no reader is left.
            read.map(|line| sender.send(line)).find(Result::is_err);
        });
        Ok(Self { child, name: name.to_owned(), lines })
    }

    /// The next line that it prints.
    pub fn line(&mut self, patience: Duration) -> Result<String> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("{} says nothing for {patience:?}", self.name),
            Err(RecvTimeoutError::Disconnected) => bail!("{} ended", self.name),
        }
    }

    /// Gives an order and waits for "done".
    pub fn order(&mut self, order: &str, patience: Duration) -> Result<()> {
        match &*self.ask(order, patience)? {
            "done" => Ok(()),
            other => bail!("{} says '{other}'", self.name),
        }
    }

    /// Gives an order; the answer is the next line that it prints.
    pub fn ask(&mut self, order: &str, patience: Duration) -> Result<String> {
        let stdin = self.child.stdin.as_mut().context("no input")?;
        writeln!(stdin, "{order}").with_context(|| format!("{} takes no orders", self.name))?;
        self.line(patience)
    }

    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id is a pid_t")
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn demand_alive(&mut self) -> Result<()> {
        match self.child.try_wait().context("cannot wait")? {
            Some(status) => bail!("{} ended: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Why something with it failed: if it ended, that is the reason.
    pub fn or_ended(&mut self, error: anyhow::Error) -> anyhow::Error {
        match self.demand_alive() {
            Ok(()) => error,
            Err(ended) => error.context(ended),
        }
    }

    pub fn go_on(&self) -> Result<()> {
        self.signal(libc::SIGCONT)
    }

    /// Stops it and waits until every thread has stopped.
    pub fn stop(&self) -> Result<()> {
        self.signal(libc::SIGSTOP)?;
        let stopped = || Ok(self.states()?.iter().all(|state| *state == b'T'));
        self.until("stops", Duration::from_secs(10), Duration::from_micros(50), stopped)
    }

    fn signal(&self, signal: i32) -> Result<()> {
        // SAFETY: no pointers; the child is not reaped while `self` lives, so the id is its own.
        if unsafe { libc::kill(self.id(), signal) } < 0 {
            return Err(io::Error::last_os_error()).with_context(|| self.name.clone());
        }
        Ok(())
    }

    /// Waits until every thread sleeps and the CPU clock stands still.
    pub fn rest(&self) -> Result<()> {
        let mut before = self.cpu_ns()?;
        self.until("rests", Duration::from_secs(10), REST, || {
            let now = self.cpu_ns()?;
            let still = mem::replace(&mut before, now) == now;
            Ok(still && self.states()?.iter().all(|state| *state == b'S'))
        })
    }

    pub fn until(
        &self,
        what: &str,
        patience: Duration,
        pause: Duration,
        mut met: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !met()? {
            if Instant::now() > deadline {
                bail!("{} never {what}", self.name);
            }
            thread::sleep(pause);
        }
        Ok(())
    }

    /// Nanoseconds of processor time that the whole process has used.
    pub fn cpu_ns(&self) -> Result<u64> {
        let mut clock = 0;
        // SAFETY: `clock` lives through the call.
        let error = unsafe { libc::clock_getcpuclockid(self.id(), &mut clock) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error)).with_context(|| self.name.clone());
        }
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` lives through the call.
        if unsafe { libc::clock_gettime(clock, &mut time) } < 0 {
            return Err(io::Error::last_os_error()).with_context(|| self.name.clone());
        }
        Ok(u64::try_from(time.tv_sec)? * 1_000_000_000 + u64::try_from(time.tv_nsec)?)
    }

    /// The state letter of each thread.
    fn states(&self) -> Result<Vec<u8>> {
        let stats = self.of_threads("stat")?;
        stats.iter().map(|(_, text)| procfs::state(text).context("a strange stat file")).collect()
    }

    /// What it and its threads have used so far. `game` is the thread that `game_thread` found.
    pub fn usage(&self, game: Option<u32>) -> Result<Usage> {
        let status = self.of_threads("status")?;
        let switches = status.iter().map(|(_, text)| procfs::switches(text)).sum::<Option<u64>>();
        let switches = switches.context("a strange status file")?;
        let game_ns = game.map(|thread| {
            let path = format!("/proc/{}/task/{thread}/schedstat", self.id());
            let text = fs::read_to_string(&path).with_context(|| path.clone())?;
            procfs::busy_ns(&text).with_context(|| format!("nothing in {path}"))
        });
        Ok(Usage { cpu_ns: self.cpu_ns()?, game_ns: game_ns.transpose()?, switches })
    }

    /// The thread that is named `game`.
    pub fn game_thread(&self) -> Result<Option<u32>> {
        let status = self.of_threads("status")?;
        let game = status.iter().find(|(_, text)| procfs::name(text) == Some("game"));
        Ok(game.map(|(number, _)| *number))
    }

    /// Anonymous memory in bytes.
    pub fn anonymous(&self) -> Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.id());
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        procfs::anonymous(&text).with_context(|| format!("nothing anonymous in {path}"))
    }

    /// A file of `/proc` for each thread, with the thread's number.
    pub fn of_threads(&self, file: &str) -> Result<Vec<(u32, String)>> {
        let mut texts = Vec::new();
        let folder = format!("/proc/{}/task", self.id());
        for entry in fs::read_dir(&folder).with_context(|| self.name.clone())? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            // A thread may end while we look.
            if let (Some(number), Ok(text)) = (number, fs::read_to_string(path.join(file))) {
                texts.push((number, text));
            }
        }
        Ok(texts)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Binds this process to one processor.
pub fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: a set of processors is bits; all zero is the empty one.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is one, and `cpu` is checked against its size inside.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` lives through the call.
    if unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &set) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The system runs this process only while its processor has no other work.
pub fn give_way() -> Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameters` lives through the call.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) } < 0 {
        return Err(io::Error::last_os_error()).context("sched_setscheduler");
    }
    Ok(())
}

/// Gives what is started from here on its addresses without chance: the thread sanitizer needs them
/// where it expects them.
pub fn fix_addresses() -> Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) } < 0 {
        return Err(io::Error::last_os_error()).context("personality");
    }
    Ok(())
}

fn die_with_parent() -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Allows this process and its children as many descriptors as the system lets it have.
pub fn raise_descriptors() -> Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives through the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } < 0 {
        return Err(io::Error::last_os_error()).context("getrlimit");
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` lives through the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } < 0 {
        return Err(io::Error::last_os_error()).context("setrlimit");
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        Process::start("shell", command.args(["-c", script]), 0).unwrap()
    }

    #[test]
    fn orders_are_answered() {
        let mut process = shell("echo ready; read x; echo done; read x; echo what");
        assert_eq!(process.line(PATIENCE).unwrap(), "ready");
        process.order("go", PATIENCE).unwrap();
        assert!(process.order("go", PATIENCE).unwrap_err().to_string().contains("what"));
        assert!(process.line(PATIENCE).unwrap_err().to_string().contains("ended"));
        process.child.wait().unwrap();
        assert!(process.or_ended(anyhow::anyhow!("x")).to_string().contains("exit status"));
    }

    #[test]
    fn a_busy_process_uses_its_clock_until_it_is_stopped() {
        let process = shell("while :; do :; done");
        let start = process.cpu_ns().unwrap();
        let busy = || Ok(process.cpu_ns()? > start);
        process.until("works", PATIENCE, Duration::from_millis(1), busy).unwrap();
        process.stop().unwrap();
        let before = process.cpu_ns().unwrap();
        process.go_on().unwrap();
        let busy = || Ok(process.cpu_ns()? > before);
        process.until("goes on", PATIENCE, Duration::from_millis(1), busy).unwrap();
    }

    #[test]
    fn a_process_that_waits_rests() {
        let mut process = shell("echo ready; read x");
        process.line(PATIENCE).unwrap();
        process.rest().unwrap();
        process.demand_alive().unwrap();
    }

    #[test]
    fn what_was_used_is_found() {
        let mut process = shell("echo ready; read x; echo more; read x");
        process.line(PATIENCE).unwrap();
        process.rest().unwrap();
        assert_eq!(process.game_thread().unwrap(), None);
        let thread = u32::try_from(process.id()).unwrap();
        let before = process.usage(Some(thread)).unwrap();
        assert_eq!(process.ask("go", PATIENCE).unwrap(), "more");
        process.rest().unwrap();
        let after = process.usage(Some(thread)).unwrap();
        assert!(after.cpu_ns > before.cpu_ns && after.switches > before.switches);
        assert!(after.game_ns > before.game_ns && process.anonymous().unwrap() > 0);
    }
}
