//! The harness, and the processes that it starts of itself. `cargo xtask measure` builds what it
//! needs and starts it.

use anyhow::Result;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod command {
    use anyhow::{Context, Result, bail};
    use bench::{hold, idle, load, memory, messages, pattern, process};
    use lexopt::{Parser, ValueExt, prelude::*};
    use std::path::PathBuf;
    use std::time::Duration;

    /// All options of all commands; each takes what it knows.
    #[derive(Default)]
    struct Options {
        peers: Option<PathBuf>,
        counter: Option<PathBuf>,
        quick: bool,
        only: String,
        port: u16,
        conns: u32,
        in_flight: u32,
        size: usize,
        limit: u64,
    }

    pub fn run() -> Result<()> {
        let mut parser = Parser::from_env();
        let Some(Value(command)) = parser.next()? else {
            bail!("bench messages|memory|idle --peers FOLDER; start it with `cargo xtask measure`");
        };
        let command = command.string()?;
        let options = options(&mut parser)?;
        match &*command {
            "load" => load::run(to_load(options)?),
            "hold" => hold::run(options.port, options.conns),
            "messages" | "memory" | "idle" => harness(&command, &options),
            other => bail!("no command '{other}'"),
        }
    }

    fn harness(command: &str, options: &Options) -> Result<()> {
        let peers = options.peers.as_deref().context("--peers FOLDER is missing")?;
        process::raise_descriptors()?;
        process::pin(process::LOAD_CPU).context("it takes two processors to measure")?;
        match command {
            "memory" => memory::run(peers, &options.only),
            "idle" => idle::run(peers, &options.only),
            _ => messages::run(peers, &options.only, options.quick),
        }
    }

    fn to_load(options: Options) -> Result<load::Options> {
        if options.size < pattern::SIZE_MIN {
            bail!("--size has to be {} or more", pattern::SIZE_MIN);
        }
        Ok(load::Options {
            port: options.port,
            conns: options.conns,
            in_flight: options.in_flight,
            size: options.size,
            counter: options.counter.context("--counter FILE is missing")?,
            limit: Duration::from_secs(options.limit),
        })
    }

    fn options(parser: &mut Parser) -> Result<Options> {
        let mut options = Options::default();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("peers") => options.peers = Some(parser.value()?.into()),
                Long("counter") => options.counter = Some(parser.value()?.into()),
                Long("quick") => options.quick = true,
                Long("only") => options.only = parser.value()?.string()?,
                Long("port") => options.port = parser.value()?.parse()?,
                Long("conns") => options.conns = parser.value()?.parse()?,
                Long("in-flight") => options.in_flight = parser.value()?.parse()?,
                Long("size") => options.size = parser.value()?.parse()?,
                Long("limit") => options.limit = parser.value()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

#[cfg(not(target_os = "linux"))]
mod command {
    pub fn run() -> anyhow::Result<()> {
        anyhow::bail!("the measurement pins processes and reads /proc: it needs Linux");
    }
}

fn main() -> ExitCode {
    let done: Result<()> = command::run();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
