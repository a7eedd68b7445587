//! Limits and targets as data.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::units::{BytesPerSec, Iops};

/// Limits; what is unset is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct IoLimits {
    /// Bytes read a second.
    pub read_bps: Option<BytesPerSec>,
    /// Bytes written a second.
    pub write_bps: Option<BytesPerSec>,
    /// Reads a second.
    pub read_iops: Option<Iops>,
    /// Writes a second.
    pub write_iops: Option<Iops>,
}

impl IoLimits {
    /// No limits.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            read_bps: None,
            write_bps: None,
            read_iops: None,
            write_iops: None,
        }
    }

    /// Limits bytes read a second.
    #[must_use]
    pub const fn with_read_bps(mut self, limit: BytesPerSec) -> Self {
        self.read_bps = Some(limit);
        self
    }

    /// Limits bytes written a second.
    #[must_use]
    pub const fn with_write_bps(mut self, limit: BytesPerSec) -> Self {
        self.write_bps = Some(limit);
        self
    }

    /// Limits reads a second.
    #[must_use]
    pub const fn with_read_iops(mut self, limit: Iops) -> Self {
        self.read_iops = Some(limit);
        self
    }

    /// Limits writes a second.
    #[must_use]
    pub const fn with_write_iops(mut self, limit: Iops) -> Self {
        self.write_iops = Some(limit);
        self
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::none()
    }
}

impl fmt::Display for IoLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.read_bps.map(|n| format!("read {n}")),
            self.write_bps.map(|n| format!("write {n}")),
            self.read_iops.map(|n| format!("{n} reads/s")),
            self.write_iops.map(|n| format!("{n} writes/s")),
        ];
        let set: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if set.is_empty() { "no limits" } else { "" })?;
        f.write_str(&set.join(", "))
    }
}

/// A cgroup, as its path below the root of the hierarchy: `kubepods/pod1`; never absolute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupTarget(PathBuf);

impl CgroupTarget {
    /// Checks and takes a path; a leading slash is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for an empty path, the root, `..`, control characters, or
    /// more than 4000 bytes.
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let relative = path.strip_prefix("/").unwrap_or(path);
        let text = relative.to_string_lossy();
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || text.is_empty() || text.len() > 4000 || text.chars().any(char::is_control) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                Op::Parse,
                Subject::value(&path.to_string_lossy()),
                "this is not the path of a cgroup",
            )
            .with_remedy("give the path below the hierarchy's root, such as kubepods/pod1"));
        }
        Ok(Self(relative.components().collect()))
    }

    /// The path, relative to the root of a hierarchy.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for CgroupTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cgroup {}", self.0.display())
    }
}

impl From<&CgroupTarget> for Subject {
    fn from(target: &CgroupTarget) -> Self {
        Self::Path(target.0.clone())
    }
}

/// Whether a limit takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// For all I/O.
    Full,
    /// For some I/O only; the text says for which not, and why.
    Partial(String),
    /// Not at all; the text says why.
    None(String),
}

/// Limits in force and wished.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitState {
    /// What was asked for.
    pub wanted: IoLimits,
    /// What the kernel says of the target itself; `None` while the target does not exist.
    pub in_force: Option<IoLimits>,
    /// How many cgroups carry the limits: the target, and on v1 those below it.
    pub cgroups: u64,
    /// Whether they take effect.
    pub support: Support,
}

impl LimitState {
    /// A wish that nothing carries yet.
    #[must_use]
    pub const fn wished(wanted: IoLimits, support: Support) -> Self {
        Self {
            wanted,
            in_force: None,
            cgroups: 0,
            support,
        }
    }

    /// The same as carried by the target and so many cgroups in all.
    #[must_use]
    pub const fn carried(mut self, in_force: IoLimits, cgroups: u64) -> Self {
        self.in_force = Some(in_force);
        self.cgroups = cgroups;
        self
    }
}

/// What a reconciliation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reconciled {
    /// Wishes looked at.
    pub wishes: u64,
    /// Cgroups that got limits they did not have.
    pub written: u64,
    /// Wishes whose target does not exist yet.
    pub waiting: u64,
    /// Wishes whose device is gone; they are forgotten.
    pub forgotten: u64,
}
