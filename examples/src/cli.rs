//! The command line: arguments, and one module a command.

pub mod backends;
pub mod confirm;
pub mod device;
pub mod lvm;
pub mod plan;
pub mod pool;
pub mod recover;
pub mod shell;
pub mod snapshot;
pub mod support;
pub mod throttle;
pub mod upkeep;
pub mod volume;

mod entry;
mod log;
pub(crate) mod values;

use clap::{Parser, Subcommand};
use open_local_core::Result;

use crate::answer::Answer;
use crate::context::{Context, Globals};
use crate::{csi, demo, exit};

pub use entry::main;

/// Node-local storage: pools, volumes, snapshots, clones, file systems and I/O limits
#[derive(Debug, Parser)]
#[command(name = "open-local", version, after_long_help = exit::epilogue())]
#[command(arg_required_else_help = true, propagate_version = true, infer_subcommands = false)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the kinds of pools there are and what they can do
    Backends,
    /// List the block devices of this machine and say which are free, and why the others are not
    #[command(subcommand)]
    Device(device::Command),
    /// Make, show and remove pools
    #[command(subcommand)]
    Pool(pool::Command),
    /// Make, use and remove volumes
    #[command(subcommand)]
    Volume(volume::Command),
    /// Take, restore and remove snapshots
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    /// Limit the I/O of cgroups
    #[command(subcommand)]
    Throttle(throttle::Command),
    /// Simulate where the pods of a cluster go: place, fill, drain, compare
    #[command(subcommand)]
    Plan(plan::Command),
    /// Read and change LVM2 groups without the lvm2 tools
    #[command(subcommand)]
    Lvm(lvm::Command),
    /// Serve the Container Storage Interface on a unix socket
    Csi(Box<csi::arguments::Arguments>),
    /// Call a socket of the Container Storage Interface by hand
    CsiClient(Box<csi::client::Arguments>),
    /// Show all of it working, verify it, and leave nothing behind
    Demo(demo::Arguments),
    /// Finish or undo what killed processes left
    Recover,
    /// Write one archive for a bug report
    Support(support::Arguments),
    /// Print a completion script for a shell
    Completions(shell::CompletionArguments),
    /// Print the manual page, or write one page a command
    Man(shell::ManArguments),
    /// Write a file with direct I/O inside a cgroup and print how long it took
    #[command(hide = true)]
    DemoWriter(demo::WriterArguments),
}

/// Runs a command.
///
/// # Errors
/// Those of the command.
pub fn run(cli: Cli) -> Result<Answer> {
    let Cli { globals, command } = cli;
    match command {
        Command::Completions(arguments) => Ok(shell::completions(&arguments)),
        Command::Man(arguments) => shell::man(&arguments),
        Command::DemoWriter(arguments) => demo::write(&arguments),
        Command::Plan(command) => plan::run(&globals, &command),
        Command::Csi(arguments) => csi::run::run(&globals, &arguments),
        Command::CsiClient(arguments) => csi::client::run(&globals, &arguments),
        Command::Demo(arguments) => demo::run(&globals, &arguments),
        Command::Backends => Ok(backends::list(&Context::open(globals)?)),
        Command::Device(command) => device::run(&Context::open(globals)?, command),
        Command::Pool(command) => pool::run(&Context::open(globals)?, command),
        Command::Volume(command) => volume::run(&Context::open(globals)?, command),
        Command::Snapshot(command) => snapshot::run(&Context::open(globals)?, command),
        Command::Throttle(command) => throttle::run(&Context::open(globals)?, command),
        Command::Lvm(command) => lvm::run(&globals, command),
        Command::Recover => recover::run(&Context::open(globals)?),
        Command::Support(arguments) => support::run(&Context::open(globals)?, &arguments),
    }
}
