//! A program that runs beside us.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::thread;

use super::{Call, POLL, kill_tree};
use crate::Result;

/// Where a program's output goes.
#[derive(Debug)]
pub(crate) enum Outlet {
    /// Both outputs to a file.
    File(File),
    /// Both to pipes that the caller empties.
    Pipes,
    /// Both to the shell's own, and its input too.
    Shell,
}

/// A running program. It does not outlive this value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
}

impl Call {
    /// Starts it. With `own_group`, it leads a process group of its own, named by its pid.
    pub(crate) fn started(&self, outlet: Outlet, own_group: bool) -> Result<Running> {
        let mut command = self.command();
        let about = |e| format!("can't start {}: {e}", self.program.display());
        match outlet {
            Outlet::File(file) => {
                let both = file.try_clone().map_err(about)?;
                command.stdout(file).stderr(both);
            }
            Outlet::Pipes => {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
            }
            Outlet::Shell => {
                command.stdin(Stdio::inherit());
            }
        }
        if own_group {
            command.process_group(0);
        }
        Ok(Running { child: command.spawn().map_err(about)? })
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|e| e.to_string())
    }

    /// The pipes, once.
    pub(crate) fn pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Kills it with all below it and waits for its end.
    pub(crate) fn kill(&mut self) {
        kill_tree(&mut self.child);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.kill();
        }
    }
}

/// Waits as long as a poll takes.
pub(crate) fn pause() {
    thread::sleep(POLL);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_running_program_does_not_outlive_its_value() {
        let running = Call::new("sleep", &["600"]).started(Outlet::Shell, false).unwrap();
        let entry = format!("/proc/{}", running.pid());
        assert!(Path::new(&entry).exists());
        drop(running);
        assert!(!Path::new(&entry).exists());
    }
}
