//! How fast each model echoes under Wine, only as ratios of one run: every call goes through Wine,
//! so nothing is said of Windows.

use super::build::Build;
use crate::shell;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const CONNECTIONS: [usize; 3] = [1, 60, 500];
const MESSAGE: [u8; 64] = [0x5A; 64];
/// Of every model in turn.
const ROUNDS: usize = 3;
const SLICE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
/// What the others are compared with.
const REFERENCE: &str = "iocp";

/// A server under Wine, ended with its standard input.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(build: &Build<'_>, program: &Path, model: &str) -> Result<Server> {
        let mut command = build.wine(program);
        command.arg(model).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("wine")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its words")?).read_line(&mut line)?;
        let port = line.trim().parse().with_context(|| format!("the port of {model}"))?;
        Ok(Server { child, port })
    }

    fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        if shell::wait(&mut self.child, PATIENCE)?.is_none() {
            self.child.kill()?;
            bail!("a server did not end");
        }
        Ok(())
    }

    /// Echoes a second: each connection has one message in flight.
    fn measure(&self, connections: usize) -> Result<f64> {
        let connect = |_| -> Result<TcpStream> {
            let stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let mut streams = (0..connections).map(connect).collect::<Result<Vec<_>>>()?;
        // Once before the clock: everybody is accepted.
        talk(&mut streams)?;
        let (begun, mut echoes) = (Instant::now(), 0);
        while begun.elapsed() < SLICE {
            talk(&mut streams)?;
            echoes += connections;
        }
        Ok(echoes as f64 / begun.elapsed().as_secs_f64())
    }
}

/// A message there and back on each.
fn talk(streams: &mut [TcpStream]) -> Result<()> {
    for stream in &mut *streams {
        stream.write_all(&MESSAGE)?;
    }
    for stream in streams {
        let mut echo = [0; MESSAGE.len()];
        stream.read_exact(&mut echo).context("an echo")?;
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The table: for each model its rate by that of IOCP in the same round, the median of all rounds.
pub fn run(build: &Build<'_>) -> Result<String> {
    let program = build.workspace.scratch("windows-programs")?.join("echo_rate.exe");
    build.compile(&[build.workspace.root.join("tests/windows/echo_rate.c")], &program, &[])?;
    let listed = shell::stdout(&mut build.wine(&program))?;
    let models: Vec<&str> = listed.lines().map(str::trim).collect();
    let reference = models.iter().position(|model| *model == REFERENCE).context(REFERENCE)?;
    let mut table = format!("echoes of 64 bytes by those of {REFERENCE}, under Wine\n{:18}", "");
    table += &CONNECTIONS.map(|count| format!("{count:>8}")).concat();
    let mut columns = Vec::new();
    for count in CONNECTIONS {
        let mut ratios = vec![Vec::new(); models.len()];
        for _ in 0..ROUNDS {
            let mut rates = Vec::new();
            for model in &models {
                let server = Server::start(build, &program, model)?;
                let rate = server.measure(count).with_context(|| format!("{model}, {count}"))?;
                server.end()?;
                rates.push(rate);
            }
            println!("{count} connections, echoes a second: {rates:.0?}");
            for (ratios, rate) in ratios.iter_mut().zip(&rates) {
                ratios.push(rate / rates[reference]);
            }
        }
        columns.push(ratios.into_iter().map(median).collect::<Vec<f64>>());
    }
    for (row, model) in models.iter().enumerate() {
        let cells: String = columns.iter().map(|column| format!("{:8.2}", column[row])).collect();
        table += &format!("\n{model:18}{cells}");
    }
    Ok(table)
}
