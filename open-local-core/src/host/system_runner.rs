//! Programs of the machine this process runs on.

use super::{Invocation, Output, ProgramRunner};
use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Runs programs as child processes in process groups of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRunner;

impl SystemRunner {
    /// A runner.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl ProgramRunner for SystemRunner {
    fn run(&self, invocation: &Invocation) -> Result<Output> {
        Err(Error::new(
            ErrorKind::Unsupported,
            Op::RunProgram,
            Subject::path(&invocation.program),
            "not written yet",
        ))
    }
}
