//! An echo server of the documentation, run: it says its port, gives back what it gets, and ends
//! when it is told to.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
const BREATH: Duration = Duration::from_millis(5);
/// More than a socket's buffers take at once.
const LARGE: usize = 300_000;

/// A server that runs, and is ended with this.
pub struct Server {
    child: Child,
    log: PathBuf,
    pub port: u16,
}

impl Server {
    /// Starts it and waits for its port.
    pub fn start(mut command: Command, log: PathBuf) -> Result<Server> {
        let file = File::create(&log).context("cannot write a log")?;
        let copy = file.try_clone().context("cannot share a log")?;
        command.stdin(Stdio::null()).stdout(file).stderr(copy);
        let child = command.spawn().context("cannot run the server")?;
        let mut server = Server { child, log, port: 0 };
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if let Some(port) = port_of(&server.said()) {
                server.port = port;
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait().context("cannot wait for it")? {
                bail!("{}\nthe server ended: {status}", server.said());
            }
            thread::sleep(BREATH);
        }
        bail!("{}\nthe server did not say `port N`", server.said())
    }

    fn said(&self) -> String {
        fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into()).unwrap_or_default()
    }

    /// Sends a little and much, and wants both back.
    pub fn echo(&self, framed: bool) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).context("no connection")?;
        stream.set_read_timeout(Some(LIMIT)).context("no timeout")?;
        stream.set_write_timeout(Some(LIMIT)).context("no timeout")?;
        for len in [5, LARGE] {
            let mut sent: Vec<u8> = if framed { (len as u32).to_be_bytes().into() } else { vec![] };
            sent.extend((0..len).map(|at| at as u8));
            let mut writer = stream.try_clone().context("cannot share the connection")?;
            let mut got = vec![0; sent.len()];
            let came = thread::scope(|scope| {
                let wrote = scope.spawn(|| writer.write_all(&sent));
                let read = stream.read_exact(&mut got);
                read.and(wrote.join().expect("a write does not panic"))
            });
            came.with_context(|| format!("{}\n{len} bytes did not come back", self.said()))?;
            ensure!(got == sent, "other bytes came back than were sent");
        }
        Ok(())
    }

    /// SIGTERM: it has to end in order.
    pub fn end(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().context("no kill")?;
        ensure!(told.success(), "the server was gone before it was told to end");
        match crate::shell::wait(&mut self.child, LIMIT)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("{}\nat SIGTERM the server ended: {status}", self.said()),
            None => bail!("{}\nthe server did not end at SIGTERM", self.said()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number behind `port` in a whole line of what a server says.
fn port_of(said: &str) -> Option<u16> {
    let lines = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let number = |line: &str| {
        let rest = line.split_once("port ")?.1;
        rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    };
    lines.filter_map(number).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_read_once_its_line_is_whole() {
        assert_eq!(port_of("hello\nlistening on port 4242\n"), Some(4242));
        assert_eq!(port_of("listening on port 42"), None);
        assert_eq!(port_of("port none\n"), None);
    }
}
