//! The record of one target.

use std::path::PathBuf;
use std::str::FromStr;

use open_local_core::state::Record;
use open_local_core::throttle::IoLimits;
use open_local_core::{DeviceNumber, PoolId, Result, VolumeId};

use super::{VERSION, read_limits, with_limits};

pub(super) const KIND: &str = "csi-published";

/// What a target was published as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublishedAs {
    /// A mounted file system, or a directory.
    Mount,
    /// A device node.
    Block,
    /// Handed to a virtual machine: nothing is mounted here.
    Direct,
}

impl PublishedAs {
    /// The word in records and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::Block => "block",
            Self::Direct => "direct",
        }
    }
}

impl FromStr for PublishedAs {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let all = [Self::Mount, Self::Block, Self::Direct];
        all.into_iter().find(|one| one.as_str() == text).ok_or(())
    }
}

/// A target that a volume is published at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The volume's id, as text.
    pub volume: String,
    /// Where.
    pub target: PathBuf,
    /// As what.
    pub as_what: PublishedAs,
    /// Whether no other target may be.
    pub single: bool,
    /// Whether the volume lives as long as its pod.
    pub inline: bool,
    /// Whether the pod may only read.
    pub read_only: bool,
    /// The pod.
    pub pod: Option<String>,
    /// The device that is limited.
    pub device: Option<DeviceNumber>,
    /// The cgroup that is limited.
    pub cgroup: Option<String>,
    /// The pool the volume is in, where it is looked for first.
    pub pool: Option<PoolId>,
    /// The volume in that pool; none if a snapshot stands for it.
    pub id: Option<VolumeId>,
    /// What it is limited to.
    pub limits: IoLimits,
}

impl Published {
    /// A target for reading and writing, of no known pod.
    #[must_use]
    pub fn new(
        volume: impl Into<String>,
        target: impl Into<PathBuf>,
        as_what: PublishedAs,
    ) -> Self {
        Self {
            volume: volume.into(),
            target: target.into(),
            as_what,
            single: false,
            inline: false,
            read_only: false,
            pod: None,
            device: None,
            cgroup: None,
            pool: None,
            id: None,
            limits: IoLimits::none(),
        }
    }
}

pub(super) fn write(published: &Published) -> Record {
    let record = Record::new(KIND, VERSION)
        .with("volume", &published.volume)
        .with("target", published.target.to_string_lossy())
        .with("as", published.as_what.as_str())
        .with("single", published.single)
        .with("inline", published.inline)
        .with("read-only", published.read_only)
        .with_optional("pod", published.pod.as_ref())
        .with_optional("device", published.device)
        .with_optional("cgroup", published.cgroup.as_ref())
        .with_optional("pool", published.pool.as_ref())
        .with_optional("id", published.id.as_ref());
    with_limits(record, &published.limits)
}

pub(super) fn read(record: &Record) -> Result<Published> {
    let as_what: PublishedAs = record.parsed("as")?;
    Ok(Published {
        volume: record.parsed("volume")?,
        target: record.parsed("target")?,
        as_what,
        single: record.parsed("single")?,
        inline: record.parsed("inline")?,
        read_only: record.parsed("read-only")?,
        pod: record.parsed_optional("pod")?,
        device: record.parsed_optional("device")?,
        cgroup: record.parsed_optional("cgroup")?,
        pool: record.parsed_optional("pool")?,
        id: record.parsed_optional("id")?,
        limits: read_limits(record)?,
    })
}
