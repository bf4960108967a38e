//! The tasks of this repository: `cargo xtask <task>`.
#![forbid(unsafe_code)]

mod args;
mod builds;
mod check;
mod run;
mod shell;
mod ship;
mod tools;
mod workspace;

use args::Task;
use check::{abi, docs, header, matrix, test, tidy};
use run::{bench, demo, dissect, kqueue, proxy, sim, storm, web, windows};
use ship::{bindings, install, package, unreal};
use std::process::ExitCode;
use workspace::Workspace;

fn main() -> ExitCode {
    match args::parse(lexopt::Parser::from_env()).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Demo(options) => demo::run(&workspace, &options),
        Task::Test { steps } => test::run(&workspace, &steps),
        Task::Matrix { write } => matrix::run(&workspace, write),
        Task::Sim(options) => sim::run(&workspace, &options),
        Task::Storm(options) => storm::run(&workspace, &options),
        Task::Tidy { graph: true } => tidy::graph(&workspace).map(|text| print!("{text}")),
        Task::Tidy { .. } => tidy::run(&workspace).map(|note| println!("{note}")),
        Task::Header { check } => header::run(&workspace, check).map(|note| println!("{note}")),
        Task::Bindings { write } => bindings::run(&workspace, write).map(|note| println!("{note}")),
        Task::Abi { write } => abi::run(&workspace, write).map(|note| println!("{note}")),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Kqueue { write } => kqueue::run(&workspace, write),
        Task::Proxy => proxy::run(&workspace),
        Task::Web(options) => web::run(&workspace, options),
        Task::Dissect => dissect::run(&workspace),
        Task::Windows(options) => windows::run(&workspace, &options),
        Task::Unreal { stage } => unreal::run(&workspace, &stage),
        Task::Install(options) => install::run(&workspace, &options),
        Task::Package(options) => package::run(&workspace, &options),
        Task::Docs => docs::run(&workspace),
        Task::Tools => tools::run(&workspace),
        Task::Help => {
            print!("{}", args::USAGE);
            Ok(())
        }
    }
}
