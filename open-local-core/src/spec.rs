//! What a caller asks for: specifications with builders.
//!
//! A specification is plain data; every rule about it is checked in one place, `validate`, which
//! each backend calls first.

mod group;
mod parameters;
mod size;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::ids::{PoolId, SnapshotId, VolumeId};
use crate::units::{Bytes, Ratio};

pub use group::{GroupSnapshotSpec, MAX_GROUP_MEMBERS};
pub use parameters::{MAX_PARAMETER_KEY, MAX_PARAMETER_VALUE, MAX_PARAMETERS, Parameters};
use parameters::{check_parameters, refuse_unknown};
pub use size::SizeRange;

/// Most tags on one object.
pub const MAX_TAGS: usize = 32;
/// Longest tag key, in bytes.
pub const MAX_TAG_KEY: usize = 63;
/// Longest tag value, in bytes.
pub const MAX_TAG_VALUE: usize = 256;

/// Tags of the caller on an object: sorted, bounded text.
pub type Tags = BTreeMap<String, String>;

/// How the room of a volume is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Provisioning {
    /// Room is taken as it is written; the pool may promise more than it has, up to its ratio.
    Thin,
    /// All room is taken at creation.
    Thick,
}

impl Provisioning {
    /// The lower-case word used in state, JSON and arguments.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Thin => "thin",
            Self::Thick => "thick",
        }
    }
}

impl std::fmt::Display for Provisioning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Provisioning {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "thin" => Ok(Self::Thin),
            "thick" => Ok(Self::Thick),
            _ => Err(Error::new(
                ErrorKind::InvalidArgument,
                Op::Parse,
                Subject::value(text),
                "the provisioning is neither thin nor thick",
            )
            .with_remedy("write thin or thick")),
        }
    }
}

/// Where the first content of a volume comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VolumeSource {
    /// A snapshot of the same pool.
    Snapshot(SnapshotId),
    /// Another volume of the same pool, as it is now.
    Volume(VolumeId),
}

impl std::fmt::Display for VolumeSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Snapshot(id) => write!(f, "snapshot {id}"),
            Self::Volume(id) => write!(f, "volume {id}"),
        }
    }
}

/// A pool that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolSpec {
    /// Its name.
    pub id: PoolId,
    /// Where it lives: a directory, a volume group, a set of disks, as the backend reads it.
    pub location: Option<PathBuf>,
    /// Most bytes it may use; all the location has when unset.
    pub capacity: Option<Bytes>,
    /// Bytes kept free of promises.
    pub reserve: Bytes,
    /// How much more than its capacity it may promise to thin volumes.
    pub overcommit: Ratio,
    /// Settings only this backend knows; an unknown key is an error.
    pub parameters: Parameters,
}

impl PoolSpec {
    /// A pool with the defaults: all room, no reserve, overcommit 1.
    #[must_use]
    pub fn new(id: PoolId) -> Self {
        Self {
            id,
            location: None,
            capacity: None,
            reserve: Bytes::ZERO,
            overcommit: Ratio::ONE,
            parameters: Parameters::new(),
        }
    }

    /// Sets where it lives.
    #[must_use]
    pub fn at(mut self, location: impl Into<PathBuf>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Sets the most bytes it may use.
    #[must_use]
    pub fn with_capacity(mut self, capacity: Bytes) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// Sets the bytes kept free of promises.
    #[must_use]
    pub fn with_reserve(mut self, reserve: Bytes) -> Self {
        self.reserve = reserve;
        self
    }

    /// Sets how much more than its capacity it may promise to thin volumes.
    #[must_use]
    pub fn with_overcommit(mut self, ratio: Ratio) -> Self {
        self.overcommit = ratio;
        self
    }

    /// Sets a parameter of the backend.
    #[must_use]
    pub fn with_parameter(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    /// Checks the rules that hold for every backend.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a capacity of zero, a reserve that leaves nothing, or an
    /// overcommit ratio below 1.
    pub fn validate(&self) -> Result<()> {
        let refuse = |message: String, remedy: &str| {
            Err(Error::new(ErrorKind::InvalidArgument, Op::EnsurePool, &self.id, message)
                .with_remedy(remedy))
        };
        if self.overcommit < Ratio::ONE {
            return refuse(
                format!("the overcommit ratio {} is below 1", self.overcommit),
                "use 1 or more; to keep room free set a reserve",
            );
        }
        match self.capacity {
            Some(capacity) if capacity.is_zero() => {
                refuse("the capacity is 0".into(), "leave it out to use all there is")
            }
            Some(capacity) if self.reserve >= capacity => refuse(
                format!("the reserve {} leaves nothing of the capacity {capacity}", self.reserve),
                "make the reserve smaller than the capacity",
            ),
            _ => Ok(()),
        }
    }
}

/// A volume that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeSpec {
    /// Its name.
    pub id: VolumeId,
    /// Its size.
    pub size: SizeRange,
    /// How its room is promised; the backend's default when unset.
    pub provisioning: Option<Provisioning>,
    /// Its first content; zeroes when unset.
    pub source: Option<VolumeSource>,
    /// The caller's tags.
    pub tags: Tags,
    /// Hints on how to make it, which only this backend knows: see [`Parameters`].
    pub parameters: Parameters,
}

impl VolumeSpec {
    /// An empty volume of this size.
    #[must_use]
    pub fn new(id: VolumeId, size: Bytes) -> Self {
        Self {
            id,
            size: SizeRange::new(size),
            provisioning: None,
            source: None,
            tags: Tags::new(),
            parameters: Parameters::new(),
        }
    }

    /// Sets the largest acceptable size.
    #[must_use]
    pub fn with_limit(mut self, limit: Bytes) -> Self {
        self.size = self.size.with_limit(limit);
        self
    }

    /// Sets how its room is promised.
    #[must_use]
    pub fn with_provisioning(mut self, provisioning: Provisioning) -> Self {
        self.provisioning = Some(provisioning);
        self
    }

    /// Makes it a copy.
    #[must_use]
    pub fn from_source(mut self, source: VolumeSource) -> Self {
        self.source = Some(source);
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn with_tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Sets a hint for the backend; a key that it does not know is refused.
    #[must_use]
    pub fn with_parameter(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    /// What a backend calls with the keys it knows, before it looks at anything.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] naming the first unknown key and listing the known ones.
    pub fn refuse_unknown_parameters(&self, known: &[&str]) -> Result<()> {
        refuse_unknown(&self.parameters, known, Op::EnsureVolume, &Subject::from(&self.id))
    }

    /// Checks the rules that hold for every backend and answers the size to make.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] as [`SizeRange::resolve`], for tags and parameters over the
    /// limits, and for a volume that is its own source.
    pub fn validate(&self, granularity: Bytes) -> Result<Bytes> {
        check_tags(&self.tags, Op::EnsureVolume, &Subject::from(&self.id))?;
        check_parameters(&self.parameters, Op::EnsureVolume, &Subject::from(&self.id))?;
        if self.source == Some(VolumeSource::Volume(self.id.clone())) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                Op::EnsureVolume,
                &self.id,
                "the volume is named as its own source",
            )
            .with_remedy("name another volume or a snapshot"));
        }
        self.size.resolve(granularity, Op::EnsureVolume, &self.id)
    }
}

/// A snapshot that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotSpec {
    /// Its name.
    pub id: SnapshotId,
    /// The volume whose content it keeps.
    pub volume: VolumeId,
    /// Whether it can be written once published.
    pub writable: bool,
    /// The caller's tags.
    pub tags: Tags,
    /// Hints on how to make it, which only this backend knows: see [`Parameters`].
    pub parameters: Parameters,
}

impl SnapshotSpec {
    /// A read-only snapshot.
    #[must_use]
    pub fn new(id: SnapshotId, volume: VolumeId) -> Self {
        Self { id, volume, writable: false, tags: Tags::new(), parameters: Parameters::new() }
    }

    /// Makes it writable.
    #[must_use]
    pub fn writable(mut self) -> Self {
        self.writable = true;
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn with_tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Sets a hint for the backend; a key that it does not know is refused.
    #[must_use]
    pub fn with_parameter(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    /// What a backend calls with the keys it knows, before it looks at anything.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] naming the first unknown key and listing the known ones.
    pub fn refuse_unknown_parameters(&self, known: &[&str]) -> Result<()> {
        refuse_unknown(&self.parameters, known, Op::EnsureSnapshot, &Subject::from(&self.id))
    }

    /// Checks the rules that hold for every backend.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for tags and parameters over the limits.
    pub fn validate(&self) -> Result<()> {
        check_tags(&self.tags, Op::EnsureSnapshot, &Subject::from(&self.id))?;
        check_parameters(&self.parameters, Op::EnsureSnapshot, &Subject::from(&self.id))
    }
}

/// What is published: a volume, or a snapshot as a device of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A volume.
    Volume(VolumeId),
    /// A snapshot.
    Snapshot(SnapshotId),
}

impl From<&Source> for Subject {
    fn from(source: &Source) -> Self {
        match source {
            Source::Volume(id) => Self::from(id),
            Source::Snapshot(id) => Self::from(id),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Subject::from(self).fmt(f)
    }
}

impl From<VolumeId> for Source {
    fn from(id: VolumeId) -> Self {
        Self::Volume(id)
    }
}

impl From<SnapshotId> for Source {
    fn from(id: SnapshotId) -> Self {
        Self::Snapshot(id)
    }
}

impl From<VolumeSource> for Source {
    fn from(source: VolumeSource) -> Self {
        match source {
            VolumeSource::Volume(id) => Self::Volume(id),
            VolumeSource::Snapshot(id) => Self::Snapshot(id),
        }
    }
}

/// How a volume or snapshot is to be attached as a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishSpec {
    /// What to attach.
    pub source: Source,
    /// Whether writes are refused by the device.
    pub read_only: bool,
}

impl PublishSpec {
    /// Attach for reading and writing.
    #[must_use]
    pub fn new(source: impl Into<Source>) -> Self {
        Self { source: source.into(), read_only: false }
    }

    /// Attach for reading only.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

fn check_tags(tags: &Tags, op: Op, subject: &Subject) -> Result<()> {
    let refuse = |message: String| {
        Err(Error::new(ErrorKind::InvalidArgument, op, subject.clone(), message).with_remedy(
            format!(
                "use at most {MAX_TAGS} tags, keys of 1 to {MAX_TAG_KEY} letters, digits, '-', \
                 '_', '.' and '/', values of at most {MAX_TAG_VALUE} bytes without control characters"
            ),
        ))
    };
    if tags.len() > MAX_TAGS {
        return refuse(format!("there are {} tags", tags.len()));
    }
    for (key, value) in tags {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if key.is_empty() || key.len() > MAX_TAG_KEY || !key.chars().all(plain) {
            return refuse(format!("the tag key {} is malformed", Subject::value(key)));
        }
        if value.len() > MAX_TAG_VALUE || value.chars().any(char::is_control) {
            return refuse(format!("the value of tag {key} is malformed"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_rules_hold() {
        let id = PoolId::new("p").unwrap();
        let spec = |f: fn(PoolSpec) -> PoolSpec| f(PoolSpec::new(id.clone())).validate();
        assert!(spec(|s| s).is_ok());
        assert!(spec(|s| s.with_capacity(Bytes::ZERO)).is_err());
        assert!(spec(|s| s.with_overcommit(Ratio::from_percent(50))).is_err());
        assert!(spec(|s| s.with_capacity(Bytes::MIB).with_reserve(Bytes::MIB)).is_err());
    }

    #[test]
    fn hostile_tags_are_refused() {
        let id = VolumeId::new("v").unwrap();
        let long = "x".repeat(MAX_TAG_VALUE + 1);
        for (key, value) in [("", "v"), ("a b", "v"), ("k", "a\nb"), ("k", long.as_str())] {
            let spec = VolumeSpec::new(id.clone(), Bytes::MIB).with_tag(key, value);
            assert!(spec.validate(Bytes::new(512)).is_err(), "{key:?}={value:?}");
        }
        let tagged = |count: usize| {
            let spec = VolumeSpec::new(id.clone(), Bytes::MIB);
            (0..count).fold(spec, |spec, n| spec.with_tag(format!("k{n}"), "v"))
        };
        assert!(tagged(MAX_TAGS).validate(Bytes::new(512)).is_ok());
        assert!(tagged(MAX_TAGS + 1).validate(Bytes::new(512)).is_err());
        let own = VolumeSpec::new(id.clone(), Bytes::MIB).from_source(VolumeSource::Volume(id));
        assert!(own.validate(Bytes::new(512)).is_err());
    }
}
