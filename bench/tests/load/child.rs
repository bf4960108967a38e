//! The load generator as a child process, with its orders, its counter and its end.

use bench::counter::Counter;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until it is so.
pub fn until(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !met() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// One that says something.
pub struct Speaker {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

impl Speaker {
    pub fn start(command: &str, port: u16, args: &str) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bench"));
        program.arg(command).args(["--port", &port.to_string()]).args(args.split_whitespace());
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        thread::spawn(move || {
            let read = BufReader::new(stdout).lines().map_while(Result::ok);
            read.map(|line| sender.send(line)).find(Result::is_err)
        });
        let errors = Some(thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        }));
        let stdin = child.stdin.take();
        Self { child, stdin, lines, errors }
    }

    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    pub fn order(&mut self, order: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{order}").unwrap();
    }

    pub fn close_orders(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end; gives whether it was a good one, and what it said.
    pub fn end(&mut self) -> (bool, String) {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap().success(), self.errors.take().unwrap().join().unwrap())
    }

    fn signal(&self, signal: i32) {
        let id = i32::try_from(self.child.id()).unwrap();
        // SAFETY: no pointers; the child is not reaped yet, so the id is its own.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    }

    /// Stops it, and waits until it has stopped.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let path = format!("/proc/{}/stat", self.child.id());
        until("it stops", || fs::read_to_string(&path).unwrap().contains(") T "));
    }

    pub fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A load generator that is connected.
pub struct Load {
    pub speaker: Speaker,
    counter: Counter,
}

/// A report; times in ns.
#[derive(Debug, PartialEq)]
pub struct Report {
    pub count: u64,
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl Load {
    pub fn start(port: u16, args: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = format!("sockeye-load-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(file);
        let counter = Counter::make(&path).unwrap();
        let limit = if args.contains("--limit") { "" } else { "--limit 120" };
        let args = format!("--counter {} {limit} {args}", path.display());
        Self { speaker: Speaker::start("load", port, &args), counter }
    }

    pub fn ready(self) -> Self {
        assert_eq!(self.speaker.line(), "ready");
        self
    }

    pub fn count(&self) -> u64 {
        self.counter.get()
    }

    pub fn until_counted(&mut self, least: u64) {
        until(&format!("{least} counted"), || {
            if self.speaker.child.try_wait().unwrap().is_some() {
                panic!("it ended: {}", self.speaker.end().1);
            }
            self.count() >= least
        });
    }

    pub fn report(&mut self) -> Report {
        self.speaker.order("report");
        let line = self.speaker.line();
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("report"), "{line}");
        let mut number = |name| {
            let word = words.next().and_then(|word| word.strip_prefix(name));
            word.and_then(|word| word.strip_prefix('=')?.parse().ok()).expect("a report")
        };
        Report {
            count: number("count"),
            p50: number("p50"),
            p99: number("p99"),
            p999: number("p999"),
            max: number("max"),
        }
    }

    /// What it says when it ends because of a failure.
    pub fn failure(&mut self) -> String {
        let (good, words) = self.speaker.end();
        assert!(!good, "it ended well");
        words
    }
}
