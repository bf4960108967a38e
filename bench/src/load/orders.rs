//! Orders on the standard input, one a line.

use super::ORDERS;
use super::latency::Latencies;
use crate::net::Poller;
use anyhow::{Context, Result, bail};
use std::io::{self, ErrorKind, Read};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};

pub struct Orders {
    /// Not the library's buffered one: what it has read ahead would be seen by no poller.
    input: ManuallyDrop<std::fs::File>,
    line: Vec<u8>,
}

impl Orders {
    /// Has the poller look at the standard input, if that is of a kind that can have orders.
    pub fn watch(poller: &Poller) -> Result<Self> {
        let fd = io::stdin().as_raw_fd();
        match poller.add(fd, ORDERS, libc::EPOLLIN) {
            // A file or /dev/null.
            Err(error) if is_no_pipe(&error) => {}
            other => other.context("standard input")?,
        }
        // SAFETY: the descriptor stays open as long as the process lives; it is never closed here.
        let input = ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(fd) });
        Ok(Self { input, line: Vec::new() })
    }

    /// Takes what has come; the poller says that there is something, so this does not wait.
    pub fn take(&mut self, poller: &Poller, latencies: &mut Latencies) -> Result<()> {
        let mut bytes = [0; 512];
        let count = match self.input.read(&mut bytes) {
            // Nobody gives orders any more.
            Ok(0) => return poller.remove(self.input.as_raw_fd()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error).context("no orders"),
        };
        for byte in &bytes[..count] {
            match byte {
                b'\n' => {
                    match self.line.trim_ascii() {
                        b"report" => println!("{}", latencies.report()),
                        other => bail!("no order '{}'", String::from_utf8_lossy(other)),
                    }
                    self.line.clear();
                }
                other => self.line.push(*other),
            }
        }
        Ok(())
    }
}

fn is_no_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.and_then(io::Error::raw_os_error) == Some(libc::EPERM)
}
