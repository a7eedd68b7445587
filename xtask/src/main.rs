//! Development tasks: test, codegen, demo, tidy, fuzz, soak, sweep, vm.
//!
//! `cargo xtask test` is what the README promises and what CI calls. What it does is data: a list
//! of steps made from `cargo metadata` ([`steps`]) and run one after the other ([`runner`]).

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cargo_output;
mod codegen;
mod demo;
mod fuzz;
mod install;
mod needs;
mod packaged;
mod process;
mod report;
mod runner;
mod soak;
mod steps;
mod sweep;
mod test;
mod tidy;
mod vm;
mod workspace;

/// What went wrong, in words for the person at the shell.
type Failure = String;
type Result<T, E = Failure> = std::result::Result<T, E>;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Checks, feature sets and test tiers; the last line is `N passed, N failed`.
    Test(test::Args),
    /// Runs `open-local demo` on real loop devices.
    Demo(demo::Args),
    /// Makes the Rust types of the CSI crate from its proto file, or checks that they are.
    Codegen(codegen::Args),
    /// Fuzzes one target or all of them.
    Fuzz(fuzz::Args),
    /// Random operations of both LVM engines for as long as asked, with the result in a file.
    Soak(soak::Args),
    /// Checks the rules of the tree that no other tool checks.
    Tidy,
    /// Removes what killed test runs left behind, and nothing else.
    Sweep,
    /// A guest with a real distribution kernel and device-mapper.
    #[command(subcommand)]
    Vm(vm::Task),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::Codegen(args) => codegen::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Soak(args) => soak::run(&args),
        Task::Tidy => tidy::command(),
        Task::Sweep => sweep::command(),
        Task::Vm(task) => vm::command(&task),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
