//! The Windows half: built here, run under Wine.
//!
//! Wine is not Windows. What passes here is the library's own logic on another system's calls;
//! what Windows itself does differently is not seen.

mod build;
mod clang;
pub mod msvc;
mod programs;
mod rates;
mod samples;
mod suite;

use crate::args::{Demo, Windows};
use crate::workspace::Workspace;
use anyhow::Result;
pub use build::{Build, CC, CXX, TARGET};
use suite::Part;

/// The task: everything, or what was asked for.
pub fn run(workspace: &Workspace, options: &Windows) -> Result<()> {
    let build = Build::new(workspace)?;
    println!("building sockeye.dll");
    build.library()?;
    if let Some(demo) = &options.demo {
        println!("\n{}", samples::arena(&build, demo, true)?);
        return Ok(());
    }
    if options.rates {
        println!("{}", rates::run(&build)?);
        return Ok(());
    }
    if !options.only.is_empty() {
        println!("{}", suite::run(&build, &Part::Named(&options.only))?);
        return Ok(());
    }
    println!("sockeye.dll exports {}", build.exports()?);
    println!("{}; {}", clang::headers(&build)?, msvc::check(&build)?);
    println!("{}", programs::tests(&build)?);
    println!("{}", samples::check(&build)?);
    println!("{}", programs::storm(&build)?);
    let ran = suite::run(&build, &Part::All);
    let page = suite::page(&build)?;
    page.show();
    if options.write {
        // What fails is in it, too.
        page.write(workspace)?;
    }
    println!("{}", ran?);
    Ok(())
}

/// The part of it that every run of all checks asks.
pub fn check(workspace: &Workspace) -> Result<String> {
    let build = Build::new(workspace)?;
    build.library()?;
    let (headers, msvc) = (clang::headers(&build)?, msvc::check(&build)?);
    let (exports, programs) = (build.exports()?, programs::tests(&build)?);
    let (samples, suite) = (samples::check(&build)?, suite::run(&build, &Part::Brief)?);
    let options = Demo { seconds: 3, bots: 20, ..Demo::under_wine() };
    let arena = samples::arena(&build, &options, false)?;
    let arena = arena.lines().next().unwrap_or_default();
    Ok(format!("{exports}; {headers}; {msvc}; {programs}; {samples}; {suite}; {arena}"))
}
