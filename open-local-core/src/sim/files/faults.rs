//! Errors and kills at the n-th changing call.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::random::Random;

/// What the next changing call is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Pass {
    /// All it was asked for.
    Whole,
    /// A part of it, chosen by this number; then the process is dead.
    Torn(u64),
}

impl Pass {
    /// Whether a change that can't be done in part is done.
    pub(in crate::sim) const fn applies(self) -> bool {
        match self {
            Self::Whole => true,
            Self::Torn(part) => part.is_multiple_of(2),
        }
    }

    /// How much is done of what can be done in part: 0 to `all` steps.
    pub(in crate::sim) fn steps(self, all: u64) -> u64 {
        match self {
            Self::Whole => all,
            Self::Torn(part) => part % all.saturating_add(1),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Plan {
    Fail { at: u64, errno: i32, once: bool },
    Kill { at: u64 },
}

/// The plan of one test, and what came of it.
#[derive(Debug)]
pub(super) struct Faults {
    seed: u64,
    /// Changing calls so far.
    pub(super) operations: u64,
    plan: Option<Plan>,
    /// Whether the process is dead: every call fails until the next one starts.
    pub(super) killed: bool,
    /// Processes so far; what an earlier one had open is gone.
    pub(super) process: u64,
    /// What can't be looked at, with the error number.
    unreadable: BTreeMap<PathBuf, i32>,
}

/// The error of every call of a killed process.
pub(in crate::sim) fn killed() -> io::Error {
    io::Error::other("the simulated process was killed")
}

impl Faults {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            seed,
            operations: 0,
            plan: None,
            killed: false,
            process: 0,
            unreadable: BTreeMap::new(),
        }
    }

    pub(super) fn set_unreadable(&mut self, path: &Path, errno: Option<i32>) {
        match errno {
            Some(errno) => self.unreadable.insert(path.to_path_buf(), errno),
            None => self.unreadable.remove(path),
        };
    }

    /// Before a path is looked at, listed or opened.
    pub(super) fn before_path(&self, path: &Path) -> io::Result<()> {
        match self.unreadable.get(path) {
            Some(errno) => Err(io::Error::from_raw_os_error(*errno)),
            None => Ok(()),
        }
    }

    pub(super) const fn fail_at(&mut self, n: u64, errno: i32, once: bool) {
        let at = self.operations.saturating_add(n);
        self.plan = Some(Plan::Fail { at, errno, once });
    }

    pub(super) const fn kill_at(&mut self, n: u64) {
        let at = self.operations.saturating_add(n);
        self.plan = Some(Plan::Kill { at });
    }

    /// Starts a new process without a plan.
    pub(super) const fn revive(&mut self) {
        self.plan = None;
        self.killed = false;
        self.process += 1;
    }

    /// Before a call that changes nothing.
    pub(super) fn before_look(&self) -> io::Result<()> {
        if self.killed { Err(killed()) } else { Ok(()) }
    }

    /// Before a call that may change something.
    pub(super) fn before_change(&mut self) -> io::Result<Pass> {
        self.before_look()?;
        self.operations += 1;
        let now = self.operations;
        match self.plan {
            Some(Plan::Fail { at, errno, once }) if now == at || (now > at && !once) => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Some(Plan::Kill { at }) if now >= at => {
                let mut random = Random::new(self.seed ^ now.rotate_left(32));
                self.killed = true;
                Ok(Pass::Torn(random.next()))
            }
            _ => Ok(Pass::Whole),
        }
    }
}
