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
        Self { read_bps: None, write_bps: None, read_iops: None, write_iops: None }
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

    /// One of them as a plain number.
    #[must_use]
    pub const fn get(&self, limit: Limit) -> Option<u64> {
        const fn bytes(rate: Option<BytesPerSec>) -> Option<u64> {
            match rate {
                Some(rate) => Some(rate.get()),
                None => None,
            }
        }
        const fn operations(rate: Option<Iops>) -> Option<u64> {
            match rate {
                Some(rate) => Some(rate.get()),
                None => None,
            }
        }
        match limit {
            Limit::ReadBps => bytes(self.read_bps),
            Limit::WriteBps => bytes(self.write_bps),
            Limit::ReadIops => operations(self.read_iops),
            Limit::WriteIops => operations(self.write_iops),
        }
    }

    /// The same with one of them set or, for `None`, unset.
    #[must_use]
    pub fn with(mut self, limit: Limit, value: Option<u64>) -> Self {
        match limit {
            Limit::ReadBps => self.read_bps = value.map(BytesPerSec::new),
            Limit::WriteBps => self.write_bps = value.map(BytesPerSec::new),
            Limit::ReadIops => self.read_iops = value.map(Iops::new),
            Limit::WriteIops => self.write_iops = value.map(Iops::new),
        }
        self
    }

    /// The smaller of both, limit by limit: what a cgroup may do that stands under two.
    #[must_use]
    pub fn strictest(&self, other: &Self) -> Self {
        Limit::ALL.into_iter().fold(Self::none(), |limits, limit| {
            let both = [self.get(limit), other.get(limit)];
            limits.with(limit, both.into_iter().flatten().min())
        })
    }

    /// Checks that every limit that is set can be one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for zero and for what the kernel reads as "no limit" or
    /// cuts to 32 bits.
    pub fn check(&self) -> Result<()> {
        for limit in Limit::ALL {
            let Some(value) = self.get(limit) else {
                continue;
            };
            let refuse = |what: String, remedy: String| {
                Err(Error::new(
                    ErrorKind::InvalidArgument,
                    Op::ApplyLimits,
                    Subject::Value(format!("{} {value}", limit.name())),
                    what,
                )
                .with_remedy(remedy))
            };
            if value == 0 {
                return refuse(
                    "a limit of zero would stop all I/O for ever".into(),
                    "leave the limit unset to lift it, or give at least 1".into(),
                );
            }
            if value > limit.largest() {
                return refuse(
                    "the kernel can't hold a limit so large".into(),
                    format!("give at most {}, or leave it unset", limit.largest()),
                );
            }
        }
        Ok(())
    }
}

/// One of the four limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// Bytes read a second.
    ReadBps,
    /// Bytes written a second.
    WriteBps,
    /// Reads a second.
    ReadIops,
    /// Writes a second.
    WriteIops,
}

impl Limit {
    /// All four.
    pub const ALL: [Self; 4] = [Self::ReadBps, Self::WriteBps, Self::ReadIops, Self::WriteIops];

    /// A stable word for records and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadBps => "read-bps",
            Self::WriteBps => "write-bps",
            Self::ReadIops => "read-iops",
            Self::WriteIops => "write-iops",
        }
    }

    /// The largest value that still limits. The kernel keeps bytes in 64 and I/Os in 32 bits and
    /// takes the largest number of each as "no limit"; v1 cuts a larger number of I/Os to its
    /// low 32 bits (block/blk-throttle.c; measured: 4294967296 reads back as 0).
    #[must_use]
    pub const fn largest(self) -> u64 {
        match self {
            Self::ReadBps | Self::WriteBps => u64::MAX - 1,
            Self::ReadIops | Self::WriteIops => 0xFFFF_FFFE,
        }
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
    /// [`ErrorKind::InvalidArgument`] for an empty path, the root, `..`, control characters, what
    /// is not UTF-8, or more than 4000 bytes.
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let relative = path.strip_prefix("/").unwrap_or(path);
        let text = relative.to_string_lossy();
        let plain = relative.to_str().is_some()
            && relative.components().all(|part| matches!(part, Component::Normal(_)));
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
    /// How many cgroups carry the limits (or, where another wish says so, stricter ones): the
    /// target, and on v1 those below it.
    pub cgroups: u64,
    /// Whether they take effect.
    pub support: Support,
}

impl LimitState {
    /// A wish that nothing carries yet.
    #[must_use]
    pub const fn wished(wanted: IoLimits, support: Support) -> Self {
        Self { wanted, in_force: None, cgroups: 0, support }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_target_is_a_plain_path_below_the_root() {
        for bad in ["", "/", "..", "a/../b", "/a/..", "./a", "a\0b", "a\nb"] {
            let error = CgroupTarget::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad:?}");
        }
        assert!(CgroupTarget::new("x".repeat(4001)).is_err());
        let odd = std::os::unix::ffi::OsStrExt::from_bytes(b"a\xff".as_slice());
        let odd: &std::ffi::OsStr = odd;
        assert!(CgroupTarget::new(odd).is_err());
        let target = CgroupTarget::new("/kubepods//pod1/").unwrap();
        assert_eq!(target.as_path(), Path::new("kubepods/pod1"));
    }

    #[test]
    fn zero_and_what_the_kernel_cannot_hold_are_refused_by_name() {
        for limit in Limit::ALL {
            for (value, fine) in
                [(0, false), (1, true), (limit.largest(), true), (limit.largest() + 1, false)]
            {
                let checked = IoLimits::none().with(limit, Some(value)).check();
                assert_eq!(checked.is_ok(), fine, "{limit:?} {value}");
                if let Err(error) = checked {
                    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                    assert!(error.remedy().is_some());
                    assert!(error.to_string().contains(limit.name()), "{error}");
                }
            }
        }
        assert!(IoLimits::none().check().is_ok());
    }

    proptest! {
        #[test]
        fn the_strictest_is_below_both_and_unset_only_if_both_are(
            a in prop::array::uniform4(prop::option::of(1u64..9)),
            b in prop::array::uniform4(prop::option::of(1u64..9)),
        ) {
            let build = |values: [Option<u64>; 4]| {
                Limit::ALL.into_iter().zip(values)
                    .fold(IoLimits::none(), |all, (limit, value)| all.with(limit, value))
            };
            let strictest = build(a).strictest(&build(b));
            for (limit, (a, b)) in Limit::ALL.into_iter().zip(a.into_iter().zip(b)) {
                let at_most = a.unwrap_or(u64::MAX).min(b.unwrap_or(u64::MAX));
                prop_assert_eq!(strictest.get(limit).unwrap_or(u64::MAX), at_most);
            }
        }
    }
}
