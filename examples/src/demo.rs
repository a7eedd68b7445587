//! `open-local demo`: everything at work once, verified, and nothing left behind.

mod cgroup;
mod clean;
mod disk;
mod folder;
mod play;
mod privilege;
mod real;
mod report;
mod sim;
mod stage;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;
use open_local_core::host::Roots;
use open_local_core::{Error, ErrorKind, FsKind, Op, Result, Subject};

use crate::answer::{Answer, OutputFormat};
use crate::context::Globals;
use crate::progress::Bars;

pub use play::{Play, STEPS};
pub use report::Report;
pub use stage::{Stage, Written};
pub use writer::{WriterArguments, write};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The kind of file system: ext4, xfs or btrfs [default: ext4, or xfs where this process may
    /// not grow an ext4 while it is mounted]
    #[arg(long = "fs", value_name = "KIND")]
    pub kind: Option<FsKind>,
    /// The folder in which the run makes a folder of its own
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub dir: PathBuf,
    /// Leave out the step that limits I/O, where no cgroup can be made
    #[arg(long)]
    pub skip_limit: bool,
}

/// Runs the demo on the backend the options name.
///
/// On real devices, what killed runs left in the same folder is removed first.
///
/// # Errors
/// `PermissionDenied` if the backend's devices are the kernel's and this is not root, and what
/// making the run's folder can run into. A failed step is in the answer.
pub fn run(globals: &Globals, arguments: &Arguments) -> Result<Answer> {
    if globals.dry_run {
        let plan = open_local_core::Plan::new(Subject::Host, STEPS);
        return Ok(crate::view::change::answer(&plan));
    }
    let progress = Bars::if_terminal(!globals.no_progress);
    if globals.backend == crate::machine::SIM {
        let stage = sim::SimStage::open(globals.roots()?, progress)?;
        let kind = arguments.kind.unwrap_or(FsKind::Ext4);
        return Ok(perform(&stage, globals, kind, arguments.skip_limit, None));
    }
    let (kind, note) = privilege::choose(&Roots::system(), arguments.kind)?;
    let swept = real::sweep(globals, &arguments.dir)?;
    if !swept.is_empty() {
        tracing::warn!(runs = swept.join(", "), "removed what killed runs left");
    }
    let stage = real::RealStage::open(globals, &arguments.dir, progress)?;
    Ok(perform(&stage, globals, kind, arguments.skip_limit, note))
}

/// Plays, cleans up whatever happened, and checks that nothing is left.
fn perform(
    stage: &dyn Stage,
    globals: &Globals,
    kind: FsKind,
    skip_limit: bool,
    note: Option<String>,
) -> Answer {
    let live = globals.output == OutputFormat::Table;
    let mut report = Report::new(stage, kind, live);
    if let Some(note) = note {
        report.note(note);
    }
    let played = Play::new(stage, kind, skip_limit).and_then(|play| play.perform(&mut report));
    let failure = finish(stage, &mut report, played);
    report.answer(failure)
}

/// Cleans up and looks for what is left; answers what went wrong first.
fn finish(stage: &dyn Stage, report: &mut Report, played: Result<()>) -> Option<Error> {
    let cleaned = report.step("clean up", |_| clean::all(stage));
    let left = report.step("check that nothing is left", |report| {
        let left = stage.leftovers()?;
        report.leftovers.clone_from(&left);
        if left.is_empty() {
            return Ok(((), "no device, mount, cgroup, folder or pool".to_owned()));
        }
        Err(Error::new(
            ErrorKind::RollbackFailed,
            Op::Recover,
            Subject::Host,
            format!("this is left: {}", left.join(", ")),
        )
        .with_remedy("run the demo again, which removes what earlier runs left"))
    });
    let tidy = cleaned.and(left);
    match (played, tidy) {
        (Ok(()), Ok(())) => None,
        (Err(error), Ok(())) | (Ok(()), Err(error)) => Some(error),
        (Err(error), Err(second)) => Some(error.with_failed_rollback(second)),
    }
}
