//! What is kept on disk of a pool and of its places. Pure.

use std::path::{Path, PathBuf};

use super::erasure::Erasure;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::ids::{PoolId, VolumeId};
use crate::spec::{PoolSpec, Tags};
use crate::state::Record;
use crate::token::{FormatToken, Uuid};
use crate::units::Bytes;

/// The newest format this version reads and writes.
pub(crate) const VERSION: u32 = 1;
/// The kind of a pool's record.
pub(crate) const POOL: &str = "exclusive-pool";
/// The kind of a place's record.
pub(crate) const PLACE: &str = "exclusive-place";

/// How far the making or removing of a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PoolStage {
    Making,
    Ready,
    Removing,
}

impl PoolStage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Ready => "ready",
            Self::Removing => "removing",
        }
    }
}

/// A pool this host knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolRecord {
    pub(crate) uuid: Uuid,
    /// What lasts of it: name, location, and the parameters that are no orders of one call.
    pub(crate) spec: PoolSpec,
    pub(crate) erasure: Erasure,
    pub(crate) stage: PoolStage,
}

impl PoolRecord {
    pub(crate) fn with_stage(&self, stage: PoolStage) -> Self {
        Self { stage, ..self.clone() }
    }

    pub(crate) fn to_record(&self) -> Record {
        let location = self.spec.location.as_ref().map(|path| path.display().to_string());
        let mut record = Record::new(POOL, VERSION)
            .with("id", &self.spec.id)
            .with("uuid", self.uuid)
            .with_optional("location", location)
            .with("erasure", self.erasure)
            .with("stage", self.stage.as_str());
        for (key, value) in &self.spec.parameters {
            record = record.with(&format!("parameter/{key}"), value);
        }
        record
    }

    pub(crate) fn from_record(record: &Record) -> Result<Self> {
        let mut spec = PoolSpec::new(record.parsed::<PoolId>("id")?);
        spec.location = record.get("location").map(PathBuf::from);
        spec.parameters = prefixed(record, "parameter/").collect();
        let stage = match record.get("stage") {
            Some("making") => PoolStage::Making,
            Some("ready") => PoolStage::Ready,
            Some("removing") => PoolStage::Removing,
            _ => return Err(damaged("its stage can't be understood")),
        };
        let erasure = record.parsed("erasure")?;
        Ok(Self { uuid: record.parsed("uuid")?, spec, erasure, stage })
    }
}

/// A volume's claim on a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) volume: VolumeId,
    pub(crate) requested: Bytes,
    pub(crate) tags: Tags,
    pub(crate) token: FormatToken,
    /// Whether it is published, and if so, whether writes are refused.
    pub(crate) published: Option<bool>,
    /// Whether the place refused writes before it was published: then that is somebody else's
    /// order, which unpublishing does not lift.
    pub(crate) refused_before: bool,
}

/// What a place is to the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Ready for a volume.
    Free {
        /// What it holds by our own doing, as the signatures of the last volume: nothing else may
        /// be on it when it is claimed.
        leaves: String,
    },
    /// A volume's.
    Claimed(Box<Claim>),
    /// Being erased; so many bytes of it are, for good.
    Erasing { erasure: Erasure, done: Bytes },
}

impl Stage {
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Free { .. } => "free",
            Self::Claimed(_) => "claimed",
            Self::Erasing { .. } => "erasing",
        }
    }
}

/// A place of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlaceRecord {
    /// Names its record.
    pub(crate) uuid: Uuid,
    /// Who it is, as its kind tells it. No two places have the same.
    pub(crate) identity: String,
    /// As it was named when it joined.
    pub(crate) named: PathBuf,
    /// Where it was seen when the record was written: for people, and proof of nothing.
    pub(crate) path: PathBuf,
    /// The size that counts: what is behind it has not been looked at.
    pub(crate) size: Bytes,
    pub(crate) stage: Stage,
}

impl PlaceRecord {
    pub(crate) fn with_stage(&self, stage: Stage) -> Self {
        Self { stage, ..self.clone() }
    }

    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path = path.to_path_buf();
        self
    }

    /// The claim on it, if it is a volume's.
    pub(crate) fn claim(&self) -> Option<&Claim> {
        match &self.stage {
            Stage::Claimed(claim) => Some(claim),
            _ => None,
        }
    }

    pub(crate) fn to_record(&self) -> Record {
        let record = Record::new(PLACE, VERSION)
            .with("uuid", self.uuid)
            .with("identity", &self.identity)
            .with("named", self.named.display())
            .with("path", self.path.display())
            .with("size", self.size)
            .with("stage", self.stage.as_str());
        match &self.stage {
            Stage::Free { leaves } => record.with("leaves", leaves),
            Stage::Claimed(claim) => claim_fields(record, claim),
            Stage::Erasing { erasure, done } => {
                record.with("erasure", erasure).with("erased", done)
            }
        }
    }

    pub(crate) fn from_record(record: &Record) -> Result<Self> {
        let stage = match record.get("stage") {
            Some("free") => Stage::Free { leaves: record.parsed("leaves")? },
            Some("claimed") => Stage::Claimed(Box::new(read_claim(record)?)),
            Some("erasing") => Stage::Erasing {
                erasure: record.parsed("erasure")?,
                done: record.parsed("erased")?,
            },
            _ => return Err(damaged("its stage can't be understood")),
        };
        Ok(Self {
            uuid: record.parsed("uuid")?,
            identity: record.parsed("identity")?,
            named: record.parsed("named")?,
            path: record.parsed("path")?,
            size: record.parsed("size")?,
            stage,
        })
    }
}

fn claim_fields(record: Record, claim: &Claim) -> Record {
    let published = match claim.published {
        None => "no",
        Some(false) => "read-write",
        Some(true) => "read-only",
    };
    let record = record
        .with("volume", &claim.volume)
        .with("requested", claim.requested)
        .with("token", claim.token.to_field())
        .with("published", published)
        .with_optional("refused-before", claim.refused_before.then_some(true));
    // Keys may hold capital letters, which field names do not: the pair is the value.
    (0u32..).zip(&claim.tags).fold(record, |record, (number, (key, value))| {
        record.with(&format!("tag/{number}"), format!("{key} {value}"))
    })
}

fn read_claim(record: &Record) -> Result<Claim> {
    let published = match record.get("published") {
        Some("no") => None,
        Some("read-write") => Some(false),
        Some("read-only") => Some(true),
        _ => return Err(damaged("whether it is published can't be understood")),
    };
    let tags = prefixed(record, "tag/")
        .map(|(_, pair)| pair.split_once(' ').map(|(k, v)| (k.to_owned(), v.to_owned())))
        .collect::<Option<Tags>>()
        .ok_or_else(|| damaged("a tag has no value"))?;
    Ok(Claim {
        volume: record.parsed("volume")?,
        requested: record.parsed("requested")?,
        tags,
        token: FormatToken::from_field(record.get("token").unwrap_or_default())
            .ok_or_else(|| damaged("its format token can't be understood"))?,
        published,
        refused_before: record.get("refused-before") == Some("true"),
    })
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, Op::ReadState, Subject::Host, what)
}

fn prefixed<'a>(record: &'a Record, prefix: &str) -> impl Iterator<Item = (String, String)> + 'a {
    let prefix = prefix.to_owned();
    record.fields().filter_map(move |(name, value)| {
        Some((name.strip_prefix(&prefix)?.to_owned(), value.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::FsKind;
    use proptest::prelude::*;

    fn claim() -> impl Strategy<Value = Claim> {
        let token = prop_oneof![
            Just(FormatToken::Unused),
            Just(FormatToken::Spent),
            any::<[u8; 16]>().prop_map(|b| FormatToken::Started {
                kind: FsKind::Btrfs,
                uuid: Uuid::from_bytes(b)
            }),
        ];
        let tags =
            prop::collection::btree_map("[A-Za-z0-9./_-]{1,10}", "[^\u{0}-\u{1f}]{0,10}", 0..4);
        (any::<u64>(), token, tags, any::<Option<bool>>(), any::<bool>()).prop_map(
            |(requested, token, tags, published, refused_before)| Claim {
                volume: VolumeId::new("v").unwrap(),
                requested: Bytes::new(requested),
                tags,
                token,
                published,
                refused_before,
            },
        )
    }

    fn place() -> impl Strategy<Value = PlaceRecord> {
        let stage = prop_oneof![
            "(?s).{0,30}".prop_map(|leaves| Stage::Free { leaves }),
            claim().prop_map(|claim| Stage::Claimed(Box::new(claim))),
            any::<u64>().prop_map(|done| Stage::Erasing {
                erasure: Erasure::Discard,
                done: Bytes::new(done)
            }),
        ];
        (any::<([u8; 16], u64)>(), "(?s).{0,40}", "/[^\u{0}]{0,20}", stage).prop_map(
            |((uuid, size), identity, path, stage)| PlaceRecord {
                uuid: Uuid::from_bytes(uuid),
                identity,
                named: path.clone().into(),
                path: path.into(),
                size: Bytes::new(size),
                stage,
            },
        )
    }

    proptest! {
        #[test]
        fn places_are_read_as_they_were_written(place in place()) {
            let bytes = place.to_record().to_bytes();
            let record = Record::parse(&bytes, PLACE, VERSION).unwrap();
            prop_assert_eq!(PlaceRecord::from_record(&record).unwrap(), place);
        }
    }

    #[test]
    fn pools_are_read_as_they_were_written() {
        let spec = PoolSpec::new(PoolId::new("p").unwrap()).at("/mnt/disks");
        for stage in [PoolStage::Making, PoolStage::Ready, PoolStage::Removing] {
            let spec = spec.clone().with_parameter("erase", "signatures");
            let uuid = Uuid::from_bytes([7; 16]);
            let pool = PoolRecord { uuid, spec, erasure: Erasure::Signatures, stage };
            let record = Record::parse(&pool.to_record().to_bytes(), POOL, VERSION).unwrap();
            assert_eq!(PoolRecord::from_record(&record).unwrap(), pool);
        }
    }

    #[test]
    fn a_format_1_record_is_read_for_ever() {
        let text = "open-local exclusive-place 1\nidentity wwn:eui.1/partition:2:2048\n\
            named /dev/disk/by-id/x\npath /dev/nvme0n1p2\npublished read-only\nrequested 1GiB\n\
            size 2GiB\nstage claimed\ntag/0 App db\n\
            token started ext4 01234567-89ab-cdef-0123-456789abcdef\n\
            uuid 00112233-4455-6677-8899-aabbccddeeff\nvolume data\n";
        let whole = format!("{text}end {:08x}\n", crate::state::crc32c(text.as_bytes()));
        let record = Record::parse(whole.as_bytes(), PLACE, VERSION).unwrap();
        let place = PlaceRecord::from_record(&record).unwrap();
        let claim = place.claim().unwrap();
        assert_eq!(claim.published, Some(true));
        assert_eq!(claim.tags.get("App").map(String::as_str), Some("db"));
        assert_eq!(place.to_record().to_bytes(), whole.as_bytes());
    }
}
