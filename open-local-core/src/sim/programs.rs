//! A machine without programs.

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Invocation, Output, ProgramRunner};

/// Runs nothing: a simulated machine has no programs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NoPrograms;

impl ProgramRunner for NoPrograms {
    fn run(&self, invocation: &Invocation) -> Result<Output> {
        let program = Subject::Program(invocation.program.display().to_string());
        Err(Error::new(
            ErrorKind::MissingProgram,
            Op::RunProgram,
            program,
            "a simulated machine has no programs",
        )
        .with_remedy("use the simulator's own file systems, or a real host"))
    }
}
