//! The harness, and the processes that it starts of itself. `cargo xtask bench` builds what it
//! needs and starts it.

use anyhow::Result;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod command {
    use anyhow::{Context, Result, bail};
    use bench::lanes::{forge, relay};
    use bench::{crowd, hold, knocks, load, run, sanitize};
    use lexopt::{Parser, ValueExt, prelude::*};

    pub fn run() -> Result<()> {
        let mut parser = Parser::from_env();
        let Some(Value(command)) = parser.next()? else {
            bail!("bench run|sanitize --peers FOLDER; start it with `cargo xtask bench`");
        };
        match &*command.string()? {
            "load" => load::run(load::options(&mut parser)?),
            "crowd" => crowd::run(crowd::options(&mut parser)?),
            "knocks" => knocks::run(knocks::options(&mut parser)?),
            "hold" => hold::run(hold::options(&mut parser)?),
            "forge" => forge::run(&forge::options(&mut parser)?),
            "relay" => relay::run(relay::options(&mut parser)?),
            "run" => run::run(&options(&mut parser)?),
            "sanitize" => sanitize::run(&options(&mut parser)?.peers),
            other => bail!("no command '{other}'"),
        }
    }

    fn options(parser: &mut Parser) -> Result<run::Options> {
        let mut options = run::Options::default();
        let mut peers = None;
        while let Some(arg) = parser.next()? {
            match arg {
                Long("peers") => peers = Some(parser.value()?.into()),
                Long("quick") => options.quick = true,
                Long("only") => options.only = parser.value()?.string()?,
                Long("workload") => options.workload = parser.value()?.string()?,
                Long("before") => options.before = Some(parser.value()?.into()),
                Long("write") => options.write = Some(parser.value()?.into()),
                other => return Err(other.unexpected().into()),
            }
        }
        options.peers = peers.context("--peers FOLDER is missing")?;
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
