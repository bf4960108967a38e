//! Tests that need a process of their own: the test program runs itself again with the name of
//! one test, and a role in its environment.

use super::{DEADLINE, Setup};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child as Process, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

const ROLE: &str = "SOCKEYE_TEST_ROLE";

/// The role of this process, if it is a child.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// The command that runs a test again, behind the words of a wrapper like strace.
pub fn command(setup: Setup, role: &str, wrapper: &[String]) -> Command {
    let program = std::env::current_exe().expect("the test program has a path");
    let mut words = wrapper.iter().map(|word| word.into()).collect::<Vec<std::ffi::OsString>>();
    words.push(program.into());
    let mut command = Command::new(&words[0]);
    let (_, test) = setup.name.split_once("::").expect("a crate and a path");
    command.args(&words[1..]).args(["--exact", test, "--nocapture"]).env(ROLE, role);
    command
}

/// Runs `body` in a process where nothing else runs: here where the runner gives each test one,
/// else in a child. For what is measured of the whole process.
pub fn alone(setup: Setup, body: impl FnOnce()) {
    let mode = std::env::var("NEXTEST_EXECUTION_MODE");
    if mode.as_deref() == Ok("process-per-test") || role().is_some() {
        return body();
    }
    let output = command(setup, "alone", &[]).output().expect("the test program runs");
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words}{}", String::from_utf8_lossy(&output.stderr));
}

/// A child that talks in lines: it prints `#word=value`, we write words.
pub struct Child {
    process: Process,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Child {
    pub fn spawn(setup: Setup, role: &str, wrapper: &[String]) -> Child {
        let mut process = command(setup, role, wrapper)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test program runs");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // Ends when the child ends or no reader is left.
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let input = process.stdin.take();
        Child { process, input, lines }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for `#word=value` and returns the value.
    pub fn value(&self, word: &str) -> u64 {
        let begin = format!("#{word}=");
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|error| panic!("the child said no {word}: {error}"));
            if let Some(value) = line.strip_prefix(&begin) {
                return value.parse().expect("a number");
            }
        }
    }

    /// Asks for a value.
    pub fn ask(&mut self, word: &str) -> u64 {
        let input = self.input.as_mut().expect("not ended");
        writeln!(input, "{word}").expect("the child listens");
        self.value(word)
    }

    /// Ends the child's input, which tells it to end, and waits for it.
    pub fn end(mut self) {
        self.input = None;
        let status = self.process.wait().expect("a child can be waited for");
        assert!(status.success(), "the child ended with {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Nothing is left to do when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Says a value to the parent.
pub fn say(word: &str, value: u64) {
    println!("\n#{word}={value}");
}

/// The words that the parent writes; disconnected when it ends the input.
pub fn words() -> Receiver<String> {
    let (sender, words) = channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    words
}
