//! `cargo xtask vm`: a guest with a real distribution kernel, for everything that needs
//! device-mapper.
//!
//! A run is one start of the emulator: [`host`] says what this machine brings, [`machine`] starts
//! and watches, [`agent`] does the work inside and answers by [`protocol`], [`judge`] decides
//! whether the run is to be believed. The guest sees the host's root read-only under a file system
//! in memory, so every program and every test binary of the host runs in it unchanged.

use std::path::PathBuf;

use crate::Result;

mod accelerator;
mod agent;
mod bench;
mod boots;
mod cpio;
mod disk;
mod guest_disks;
mod host;
mod image;
mod initramfs;
mod judge;
mod kernel;
mod kmsg;
mod lanes;
mod machine;
mod modules;
mod protocol;
mod qemu;
mod report;
mod run;
mod run_folder;
mod suite;
mod targets;

pub(crate) use host::busybox;
pub(crate) use kernel::known as kernel_known;
pub(crate) use suite::logged;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Task {
    /// Runs a command as root in a new guest; exit code and output are the command's.
    Run(run::RunArgs),
    /// Runs the tests that need the guest, each reported by name.
    Test(suite::TestArgs),
    /// Runs the benches that need the guest, and prints their tables.
    Bench(bench::BenchArgs),
    /// A shell in a new guest, at this terminal.
    Shell(run::GuestArgs),
    /// The guest's own side.
    #[command(hide = true)]
    Agent { job: PathBuf },
}

pub(crate) fn command(task: &Task) -> Result<u8> {
    match task {
        Task::Run(args) => run::run(args),
        Task::Test(args) => suite::test(args),
        Task::Bench(args) => bench::bench(args),
        Task::Shell(args) => run::shell(args),
        Task::Agent { job } => agent::run(job),
    }
}
