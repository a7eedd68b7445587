//! Parameters of a StorageClass, and attributes of an inline volume.

use std::collections::BTreeMap;
use std::fmt;

use open_local_core::plan::Media;
use open_local_core::{Bytes, PoolId, Provisioning, Ratio};

use super::Map;
use super::keys::{self, Place};
use super::limits::Limits;
use super::values::Values;
use crate::errors::{Answer, Status};

/// Most arguments for mkfs.
const MAX_MKFS_OPTIONS: usize = 64;
/// Most stripes of a volume; LVM2 has the same limit.
const MAX_STRIPES: u32 = 128;

/// Keys that say how a volume is laid out when it is made, and nothing afterwards.
const LAYOUT: [&str; 3] = ["lvmType", "csi.aliyun.com/stripes", "csi.aliyun.com/stripe-size"];

/// Keys whose values can't be understood, and what is wrong with them.
pub type Complaints = BTreeMap<String, Status>;

/// What a volume is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum VolumeType {
    /// A part of a pool: a logical volume, a file, an lvol.
    Lvm,
    /// A whole block device.
    Device,
    /// A whole directory that is a mount point.
    MountPoint,
}

impl VolumeType {
    /// The word in classes; case matters, as it did in the original.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lvm => "LVM",
            Self::Device => "Device",
            Self::MountPoint => "MountPoint",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Lvm, Self::Device, Self::MountPoint].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for VolumeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a volume is spread over the disks of its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Striping {
    /// One extent after the other.
    #[default]
    Linear,
    /// Over all disks of the pool, as the original's `lvmType: striping`.
    Widest,
    /// Over so many.
    Over(u32),
}

/// What a class asks of its volumes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VolumeClass {
    /// What volumes are made of; whatever there is when unset.
    pub kind: Option<VolumeType>,
    /// The pool they come from; the planner's choice when unset.
    pub pool: Option<PoolId>,
    /// The medium they lie on.
    pub media: Media,
    /// Thin or thick; the pool's default when unset.
    pub provisioning: Option<Provisioning>,
    /// The most a pool may have promised, as a multiple of its room, to be chosen.
    pub overcommit: Option<Ratio>,
    /// How they are spread over disks.
    pub striping: Striping,
    /// The size of a stripe.
    pub stripe_size: Option<Bytes>,
    /// How their pool erases what is removed.
    pub erase: Option<String>,
    /// What writes do when their pool is full.
    pub when_full: Option<String>,
    /// More arguments for mkfs.
    pub mkfs_options: Vec<String>,
    /// Limits of every user of the volume.
    pub limits: Limits,
    /// Whether a publish without limits in force is an error.
    pub throttle_required: bool,
    /// Whether they are for a user-space target.
    pub spdk: bool,
    /// Whether the device is handed to a virtual machine and not mounted here.
    pub direct: bool,
    /// The size of an inline volume.
    pub size: Option<Bytes>,
}

impl VolumeClass {
    /// Reads the parameters of a StorageClass.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming key and value.
    pub fn read(field: &str, map: &Map) -> Answer<Self> {
        Self::read_at(field, map, Place::Class)
    }

    /// Reads the attributes of an inline volume.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming key and value, and for a missing pool.
    pub fn read_inline(field: &str, map: &Map) -> Answer<Self> {
        let class = Self::read_at(field, map, Place::Inline)?;
        if class.pool.is_none() {
            return Err(Status::invalid(field, "lacks vgName, which an inline volume must have"));
        }
        Ok(class)
    }

    /// Reads what a volume was made with out of its context, key by key, since the context may have
    /// been written by another version or by the original. What is not known is not read; a known
    /// key whose value can't be understood stands beside the class with the complaint about it.
    #[must_use]
    pub fn read_context(map: &Map) -> (Self, Complaints) {
        let field = "volume_context";
        let mut known = Map::new();
        let mut complaints = Complaints::new();
        for key in keys::TABLE {
            let read = key.sole(field, map).and_then(|value| {
                let Some(value) = value else { return Ok(()) };
                let one = Map::from([(key.written(), value.to_owned())]);
                Self::values(&Values { field, map: &one })?;
                known.extend(one);
                Ok(())
            });
            if let Err(status) = read {
                complaints.insert(key.written(), status);
            }
        }
        // What is left to contradict itself is how it was laid out, which is over.
        let class = Self::values(&Values { field, map: &known }).or_else(|_| {
            known.retain(|key, _| !LAYOUT.contains(&key.as_str()));
            Self::values(&Values { field, map: &known })
        });
        match class {
            Ok(class) => (class, complaints),
            Err(status) => {
                complaints.extend(known.into_keys().map(|key| (key, status.clone())));
                (Self::default(), complaints)
            }
        }
    }

    fn read_at(field: &str, map: &Map, place: Place) -> Answer<Self> {
        keys::check(field, map, place)?;
        Self::values(&Values { field, map })
    }

    fn values(values: &Values<'_>) -> Answer<Self> {
        if values.text("volumeType") == Some("Quota") {
            let what = "has volumeType = Quota, which is not supported; use LVM";
            return Err(Status::invalid(values.field, what));
        }
        Ok(Self {
            kind: values.parsed("volumeType", "LVM, Device or MountPoint", VolumeType::parse)?,
            pool: values.parsed("vgName", "the name of a pool", |text| PoolId::new(text).ok())?,
            media: values
                .parsed("mediaType", "ssd or hdd", parse_media)?
                .unwrap_or(Media::Unspecified),
            provisioning: values
                .parsed("csi.aliyun.com/provisioning", "thin or thick", |t| t.parse().ok())?,
            overcommit: values.parsed(
                "csi.aliyun.com/overcommit-ratio",
                "a ratio of 1 or more, such as 1.5",
                |text| text.parse().ok().filter(|ratio| *ratio >= Ratio::ONE),
            )?,
            striping: striping(values)?,
            stripe_size: values.quantity("csi.aliyun.com/stripe-size")?.map(Bytes::new),
            erase: word(values, "csi.aliyun.com/erase")?,
            when_full: word(values, "csi.aliyun.com/when-full")?,
            mkfs_options: mkfs_options(values)?,
            limits: Limits::read(values)?,
            throttle_required: values
                .parsed("csi.aliyun.com/throttle", "required or best-effort", |text| match text {
                    "required" => Some(true),
                    "best-effort" => Some(false),
                    _ => None,
                })?
                .unwrap_or_default(),
            spdk: values.flag("spdk")?.unwrap_or_default(),
            direct: values.flag("direct")?.unwrap_or_default(),
            size: values.quantity("size")?.map(Bytes::new),
        })
    }
}

fn parse_media(text: &str) -> Option<Media> {
    match text {
        "ssd" => Some(Media::Ssd),
        "hdd" => Some(Media::Hdd),
        "nvme" => Some(Media::Nvme),
        _ => None,
    }
}

fn striping(values: &Values<'_>) -> Answer<Striping> {
    let stripes = values.parsed("csi.aliyun.com/stripes", "a number from 1 to 128", |text| {
        text.parse().ok().filter(|n| (1..=MAX_STRIPES).contains(n))
    })?;
    let kind = values.parsed("lvmType", "linear or striping", |text| match text {
        "linear" => Some(Striping::Linear),
        "striping" => Some(Striping::Widest),
        _ => None,
    })?;
    match (kind, stripes) {
        (Some(Striping::Linear), Some(2..)) => {
            let what = "asks for lvmType = linear and for more than one stripe";
            Err(Status::invalid(values.field, what))
        }
        (_, Some(1)) => Ok(Striping::Linear),
        (_, Some(stripes)) => Ok(Striping::Over(stripes)),
        (kind, None) => Ok(kind.unwrap_or_default()),
    }
}

/// A word that only the backend understands.
fn word(values: &Values<'_>, key: &str) -> Answer<Option<String>> {
    values.parsed(key, "a word of letters, digits and hyphens", |text| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (!text.is_empty() && text.len() <= 32 && text.chars().all(plain)).then(|| text.to_owned())
    })
}

fn mkfs_options(values: &Values<'_>) -> Answer<Vec<String>> {
    let wanted = "at most 64 arguments of printable characters between spaces";
    let options = values.parsed("csi.aliyun.com/mkfs-options", wanted, |text| {
        let options: Vec<String> =
            text.split(' ').filter(|o| !o.is_empty()).map(String::from).collect();
        let plain = text.len() <= 4096 && !text.chars().any(char::is_control);
        (plain && options.len() <= MAX_MKFS_OPTIONS).then_some(options)
    })?;
    Ok(options.unwrap_or_default())
}
