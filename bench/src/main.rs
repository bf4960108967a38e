//! The harness, and the processes that it starts of itself. `cargo xtask measure` builds what it
//! needs and starts it.

use anyhow::Result;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod command {
    use anyhow::{Context, Result, bail};
    use bench::{hold, idle, load, memory, messages, process};
    use lexopt::{Parser, ValueExt, prelude::*};
    use std::path::PathBuf;

    /// What the harness takes.
    #[derive(Default)]
    struct Options {
        peers: Option<PathBuf>,
        quick: bool,
        only: String,
    }

    pub fn run() -> Result<()> {
        let mut parser = Parser::from_env();
        let Some(Value(command)) = parser.next()? else {
            bail!("bench messages|memory|idle --peers FOLDER; start it with `cargo xtask measure`");
        };
        let command = command.string()?;
        match &*command {
            "load" => load::run(load::options(&mut parser)?),
            "hold" => hold::run(hold::options(&mut parser)?),
            "messages" | "memory" | "idle" => harness(&command, &options(&mut parser)?),
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

    fn options(parser: &mut Parser) -> Result<Options> {
        let mut options = Options::default();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("peers") => options.peers = Some(parser.value()?.into()),
                Long("quick") => options.quick = true,
                Long("only") => options.only = parser.value()?.string()?,
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
