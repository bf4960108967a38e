//! The samples under Wine, as a user of the DLL builds them: with CMake and mingw.

use super::build::{Build, CC, CXX, PROGRAM_LIMIT};
use crate::args::Demo;
use crate::run::demo;
use crate::shell;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Configures and builds `cpp-sample`; gives the folder of its programs.
fn built(build: &Build<'_>) -> Result<PathBuf> {
    let root = &build.workspace.root;
    let folder = build.workspace.scratch("windows-sample")?;
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(root.join("cpp-sample")).arg("-B").arg(&folder);
    configure.args(["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_SYSTEM_NAME=Windows"]);
    configure.arg(format!("-DCMAKE_C_COMPILER={CC}")).arg(format!("-DCMAKE_CXX_COMPILER={CXX}"));
    configure.arg(format!("-DSOCKEYE_LIBRARY={}", build.dll().display()));
    configure.arg(format!("-DSOCKEYE_INCLUDE_DIR={}", root.join("include").display()));
    shell::demand(&mut configure, &build.logs.join("windows-cmake.log"), PROGRAM_LIMIT)?;
    let mut compile = Command::new("cmake");
    compile.arg("--build").arg(&folder).args(["--parallel", "2"]);
    shell::demand(&mut compile, &build.logs.join("windows-sample.log"), PROGRAM_LIMIT)?;
    Ok(folder)
}

/// Builds the samples, and talks to the echo and in the chat.
pub fn check(build: &Build<'_>) -> Result<String> {
    let folder = built(build)?;
    echo(build.wine(&folder.join("echo.exe"))).context("echo")?;
    chat(build, &folder.join("chat.exe")).context("chat")?;
    Ok("samples: echo and chat answer".into())
}

/// The arena: server and bots as two programs, with the same check of their counts at the end.
pub fn arena(build: &Build<'_>, options: &Demo, show: bool) -> Result<String> {
    let folder = built(build)?;
    let launch = |name: &str| {
        let mut command = build.wine(&folder.join(name).with_extension("exe"));
        command.current_dir(&build.workspace.root);
        command
    };
    demo::play(&launch, options, show)?.told()
}

/// A program that does not outlive us, and the lines that it says.
struct Running {
    child: Child,
    said: Receiver<String>,
}

impl Running {
    /// What it says is what it writes to one of its outputs.
    fn new(command: &mut Command, to_stderr: bool) -> Result<Running> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start it")?;
        let (sender, said) = mpsc::channel();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let listen = move |output: Box<dyn Read + Send>| {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            thread::spawn(move || lines.try_for_each(|line| sender.send(line)));
        };
        match (to_stderr, stdout, stderr) {
            (false, Some(stdout), _) => listen(Box::new(stdout)),
            (true, _, Some(stderr)) => listen(Box::new(stderr)),
            _ => bail!("it has no output"),
        }
        Ok(Running { child, said })
    }

    /// The rest of the line that begins with these words.
    fn hear(&self, words: &str) -> Result<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.said.recv_timeout(left);
            let line = line.with_context(|| format!("it did not say '{words}'"))?;
            if let Some(rest) = line.strip_prefix(words) {
                return Ok(rest.to_owned());
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A message there and back, from outside of Wine.
fn echo(mut command: Command) -> Result<()> {
    let echo = Running::new(command.arg("tcp://127.0.0.1:0?frame=u32be"), true)?;
    let port: u16 = echo.hear("echo: listening on port ")?.parse().context("no port")?;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("nobody listens")?;
    stream.set_read_timeout(Some(PATIENCE)).context("no timeout")?;
    let sent = b"\0\0\0\x05hello";
    stream.write_all(sent).context("it does not read")?;
    let mut got = [0; 9];
    stream.read_exact(&mut got).context("no answer")?;
    ensure!(got == *sent, "it answered {got:?}");
    Ok(())
}

/// A client enters the room, hears itself say a line, and leaves at the end of its input.
fn chat(build: &Build<'_>, program: &Path) -> Result<()> {
    let room = Running::new(build.wine(program).args(["serve", "tcp://127.0.0.1:0"]), false)?;
    let url = format!("tcp://127.0.0.1:{}", room.hear("listening ")?);
    let mut client = Running::new(build.wine(program).args(["join", &url, "anna"]), false)?;
    let mut input = client.child.stdin.take().context("no input")?;
    input.write_all(b"hello\n").context("it does not read")?;
    client.hear("anna: hello")?;
    drop(input);
    room.hear("* anna left")?;
    match shell::wait(&mut client.child, PATIENCE)? {
        Some(status) if status.success() => Ok(()),
        other => bail!("the client ended with {other:?}"),
    }
}
