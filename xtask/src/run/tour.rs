//! `tour/`: the same echo server in four languages. One client, which knows nothing of the library,
//! asks the same of each; what comes back and what they print has to be the same.

use crate::run::{logins, programs};
use crate::ship::dotnet;
use crate::workspace::Workspace;
use crate::{builds, shell, tools};
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const COMPILE_LIMIT: Duration = Duration::from_secs(120);
const URL: &str = "tcp://127.0.0.1:0?frame=u32be";
const CONNECTIONS: usize = 4;
const MESSAGES: usize = 1000;
const LARGE: usize = 64 << 10;

/// The step of `test`.
pub fn check(workspace: &Workspace) -> Result<String> {
    tools::ensure(workspace, tools::HOSTS)?;
    builds::library(workspace)?;
    let servers = build(workspace)?;
    let mut first: Option<Vec<String>> = None;
    for (language, program) in &servers {
        let told = visit(workspace, program).with_context(|| format!("the {language} server"))?;
        let want = first.get_or_insert_with(|| told.clone());
        ensure!(told == *want, "{language} printed {told:#?}, {} printed {want:#?}", servers[0].0);
    }
    logins::check(workspace).context("the login backends")?;
    let names: Vec<&str> = servers.iter().map(|(language, _)| *language).collect();
    Ok(format!("{} answer alike", names.join(", ")))
}

/// Builds the four; each is a command without its URL.
fn build(workspace: &Workspace) -> Result<Vec<(&'static str, Vec<String>)>> {
    let folder = workspace.scratch("tour")?;
    let source = |name: &str| workspace.root.join("tour").join(name);
    let word = |path: &Path| path.to_string_lossy().into_owned();
    let c = dotnet::c_program(workspace, &source("echo.c"), &folder)?;
    let cpp = folder.join("echo-cpp");
    let mut compile = Command::new("g++");
    compile.arg("-std=c++17").args(programs::WARNINGS).arg("-O1");
    compile.arg("-I").arg(workspace.root.join("include")).arg(source("echo.cpp"));
    compile.arg("-o").arg(&cpp).arg("-L").arg(workspace.release()).args(programs::LIBRARIES);
    let log = workspace.scratch("logs")?.join("tour.log");
    shell::demand(&mut compile, &log, COMPILE_LIMIT)?;
    let cs = folder.join("echo.exe");
    dotnet::compile(workspace, &[], &[source("Echo.cs")], "-target:exe", &cs)?;
    Ok(vec![
        ("C", vec![word(&c)]),
        ("C++", vec![word(&cpp)]),
        ("C#", vec!["mono".into(), word(&cs)]),
        ("Python", vec!["python3".into(), word(&source("echo.py"))]),
    ])
}

/// A server, ended with the visit.
struct Server {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    told: Vec<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Of one that has ended both fail, and that is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(workspace: &Workspace, program: &[String], url: &str) -> Result<Self> {
        let mut command = Command::new(&program[0]);
        command.args(&program[1..]).arg(url).env("LD_LIBRARY_PATH", workspace.release());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::from(std::fs::File::create(Self::errors(workspace)?)?));
        let mut child = command.spawn().with_context(|| format!("no {}", program[0]))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.map_while(|line| tell.send(line).ok()).for_each(drop);
        });
        Ok(Self { child, input, lines, told: Vec::new() })
    }

    /// Where its errors are.
    fn errors(workspace: &Workspace) -> Result<std::path::PathBuf> {
        Ok(workspace.scratch("logs")?.join("tour-errors.log"))
    }

    fn line(&mut self) -> Result<String> {
        let line = self.lines.recv_timeout(LIMIT).context("it printed nothing more")?;
        self.told.push(line.clone());
        Ok(line)
    }

    /// Waits for its next words, which have to be these.
    fn says(&mut self, want: &str) -> Result<()> {
        let line = self.line()?;
        ensure!(line == want, "it printed '{line}', not '{want}'");
        Ok(())
    }

    fn end(&mut self) -> Result<ExitStatus> {
        self.input = None;
        shell::wait(&mut self.child, LIMIT)?.context("it did not end with its input")
    }
}

/// Everything that the client does with one server; gives what that printed behind its port.
fn visit(workspace: &Workspace, program: &[String]) -> Result<Vec<String>> {
    let mut server = Server::start(workspace, program, URL)?;
    let line = server.line()?;
    let port = line.strip_prefix("port ").and_then(|port| port.parse().ok());
    let port: u16 = port.with_context(|| format!("it printed '{line}' and no port"))?;
    server.told.clear();
    let clients: Vec<_> = (0..CONNECTIONS).map(|n| thread::spawn(move || talk(port, n))).collect();
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        server.says("closed: closed by the peer")?;
    }
    reset(port)?;
    server.says("closed: connection reset")?;
    let mut live = connect(port)?;
    exchange(&mut live, &frame(b"still here"))?;
    let waits = thread::spawn(move || live.read(&mut [0; 1])); // then it ends its side too
    let status = server.end()?;
    let rest = waits.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    ensure!(rest == 0, "more came than was sent");
    ensure!(status.success(), "its end is {status}");
    server.says("closed: shut down")?;
    ensure!(server.lines.recv_timeout(LIMIT).is_err(), "it printed more than that");
    refused(workspace, program)?;
    Ok(std::mem::take(&mut server.told))
}

/// A URL that is none: words and an exit code.
fn refused(workspace: &Workspace, program: &[String]) -> Result<()> {
    let mut server = Server::start(workspace, program, "bird://nest")?;
    let status = server.end()?;
    let errors = std::fs::read_to_string(Server::errors(workspace)?)?;
    ensure!(status.code() == Some(1), "the end without a URL is {status}");
    ensure!(errors.starts_with("echo: ") && errors.contains("bird"), "it complains: {errors}");
    Ok(())
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("cannot connect")?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// A message with its length before it.
fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes(), message].concat()
}

/// What one connection sends: many small messages, an empty one, a large one.
fn messages(client: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    for n in 0..MESSAGES {
        let len = match n {
            500 => LARGE,
            501 => 0,
            _ => n % 97,
        };
        let message: Vec<u8> = (0..len).map(|at| (client * 59 + n * 7 + at) as u8).collect();
        sent.extend(frame(&message));
    }
    sent
}

/// Sends and, meanwhile, wants all of it back.
fn exchange(stream: &mut TcpStream, sent: &[u8]) -> Result<()> {
    let mut writer = stream.try_clone()?;
    thread::scope(|scope| {
        let write = scope.spawn(move || writer.write_all(sent));
        let mut got = vec![0; sent.len()];
        stream.read_exact(&mut got).context("the answers end early")?;
        write.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        match got.iter().zip(sent).position(|(got, sent)| got != sent) {
            Some(at) => bail!("the answers differ at byte {at}"),
            None => Ok(()),
        }
    })
}

/// One connection from its begin to an end in order.
fn talk(port: u16, client: usize) -> Result<()> {
    let mut stream = connect(port)?;
    exchange(&mut stream, &messages(client))?;
    stream.shutdown(Shutdown::Write)?;
    ensure!(stream.read(&mut [0; 1])? == 0, "more came than was sent");
    Ok(())
}

/// Goes without having read an answer that is there: the system sends a reset.
fn reset(port: u16) -> Result<()> {
    let mut stream = connect(port)?;
    stream.write_all(&frame(b"unread"))?;
    ensure!(stream.peek(&mut [0; 1])? == 1, "no answer");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_have_a_large_and_an_empty_one() {
        let sent = messages(1);
        let lengths: Vec<usize> = {
            let mut rest = &sent[..];
            std::iter::from_fn(|| {
                let (head, tail) = rest.split_first_chunk::<4>()?;
                let len = u32::from_be_bytes(*head) as usize;
                rest = &tail[len..];
                Some(len)
            })
            .collect()
        };
        assert_eq!(lengths.len(), MESSAGES);
        assert!(lengths.contains(&LARGE) && lengths.contains(&0));
        assert!(sent.len() < 1 << 20, "more than an outbox holds");
    }
}
