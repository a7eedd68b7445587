//! What is kept on disk of a pool and of its objects. Pure.

use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::ids::{GroupSnapshotId, PoolId, SnapshotId, VolumeId};
use crate::spec::{PoolSpec, Provisioning, Source, Tags, VolumeSource};
use crate::state::Record;
use crate::token::{FormatToken, Uuid};
use crate::units::{Bytes, Ratio};

/// The newest format this version reads and writes.
pub(super) const VERSION: u32 = 1;
/// The kind of a pool's record.
pub(super) const POOL: &str = "file-pool";
/// The kind of a volume's or snapshot's record.
pub(super) const OBJECT: &str = "file-object";

/// A pool as recorded in its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PoolRecord {
    pub(super) uuid: Uuid,
    /// As asked for, without the location: the folder may be mounted elsewhere one day.
    pub(super) spec: PoolSpec,
    /// The logical block size of new volumes.
    pub(super) block_size: Bytes,
    /// In force; set apart from the specification by `set_thin_policy`.
    pub(super) overcommit: Ratio,
    pub(super) stop_at: Ratio,
    /// Whether images can share blocks, found out by trying when the pool was made, and on which
    /// kind of host file system: on another one it is not believed.
    pub(super) shares_blocks: bool,
    pub(super) host_fs: String,
}

impl PoolRecord {
    pub(super) fn to_record(&self) -> Record {
        let mut record = Record::new(POOL, VERSION)
            .with("id", &self.spec.id)
            .with("uuid", self.uuid)
            .with_optional("capacity", self.spec.capacity)
            .with("reserve", self.spec.reserve)
            .with("asked-overcommit", self.spec.overcommit)
            .with("block-size", self.block_size)
            .with("overcommit", self.overcommit)
            .with("stop-at", self.stop_at)
            .with("shares-blocks", self.shares_blocks)
            .with("host-fs", &self.host_fs);
        for (key, value) in &self.spec.parameters {
            record = record.with(&format!("parameter/{key}"), value);
        }
        record
    }

    pub(super) fn from_record(record: &Record) -> Result<Self> {
        let mut spec = PoolSpec::new(record.parsed::<PoolId>("id")?)
            .with_reserve(record.parsed("reserve")?)
            .with_overcommit(record.parsed("asked-overcommit")?);
        spec.capacity = record.parsed_optional("capacity")?;
        spec.parameters = prefixed(record, "parameter/");
        Ok(Self {
            uuid: record.parsed("uuid")?,
            spec,
            block_size: record.parsed("block-size")?,
            overcommit: record.parsed("overcommit")?,
            stop_at: record.parsed("stop-at")?,
            shares_blocks: record.parsed("shares-blocks")?,
            host_fs: record.parsed("host-fs")?,
        })
    }
}

/// How far an object's making, growing or removing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its content is what it says.
    Ready,
    /// Its content is being made; so many bytes of it are there for good.
    Filling { done: Bytes },
    /// Its image is being extended from this size.
    Growing { from: Bytes },
    /// Its image is being removed.
    Removing,
}

/// A volume or snapshot as recorded beside its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectRecord {
    pub(super) key: Source,
    /// Names the object's loop device.
    pub(super) uuid: Uuid,
    pub(super) size: Bytes,
    pub(super) requested: Bytes,
    pub(super) provisioning: Provisioning,
    /// Always, for a volume.
    pub(super) writable: bool,
    /// For a snapshot: its volume.
    pub(super) origin: Option<VolumeSource>,
    /// The UUID of what it was made from: names are used again.
    pub(super) made_from: Option<Uuid>,
    pub(super) created: SystemTime,
    pub(super) block_size: Bytes,
    pub(super) tags: Tags,
    /// For a snapshot: the group it is a member of.
    pub(super) group: Option<GroupSnapshotId>,
    /// For a snapshot: what its volume's was, for those who are made from it.
    pub(super) token: FormatToken,
    pub(super) stage: Stage,
}

impl ObjectRecord {
    /// The size that may be relied on while it grows.
    pub(super) fn usable_size(&self) -> Bytes {
        match self.stage {
            Stage::Growing { from } => from,
            _ => self.size,
        }
    }

    /// Whether its size counts as promised.
    pub(super) fn is_promised(&self) -> bool {
        self.writable
    }

    pub(super) fn with_stage(&self, stage: Stage) -> Self {
        Self { stage, ..self.clone() }
    }

    pub(super) fn with_token(&self, token: FormatToken) -> Self {
        Self { token, ..self.clone() }
    }

    pub(super) fn to_record(&self) -> Record {
        let (stage, mark) = match self.stage {
            Stage::Ready => ("ready", None),
            Stage::Filling { done } => ("filling", Some(done)),
            Stage::Growing { from } => ("growing", Some(from)),
            Stage::Removing => ("removing", None),
        };
        let mut record = Record::new(OBJECT, VERSION)
            .with("uuid", self.uuid)
            .with("size", self.size)
            .with("requested", self.requested)
            .with("provisioning", self.provisioning)
            .with("writable", self.writable)
            .with("created", nanos(self.created))
            .with("block-size", self.block_size)
            .with("token", self.token.to_field())
            .with("stage", stage)
            .with_optional("stage-mark", mark)
            .with_optional("origin", self.origin.as_ref().map(origin_text))
            .with_optional("made-from", self.made_from)
            .with_optional("group", self.group.as_ref());
        record = match &self.key {
            Source::Volume(id) => record.with("volume", id),
            Source::Snapshot(id) => record.with("snapshot", id),
        };
        with_tags(record, &self.tags)
    }

    pub(super) fn from_record(record: &Record) -> Result<Self> {
        let key = match (record.parsed_optional("volume")?, record.parsed_optional("snapshot")?) {
            (Some(id), None) => Source::Volume(id),
            (None, Some(id)) => Source::Snapshot(id),
            _ => return Err(damaged("it names neither one volume nor one snapshot")),
        };
        let mark = record.parsed_optional::<Bytes>("stage-mark")?;
        let stage = match (record.get("stage"), mark) {
            (Some("ready"), None) => Stage::Ready,
            (Some("removing"), None) => Stage::Removing,
            (Some("filling"), Some(done)) => Stage::Filling { done },
            (Some("growing"), Some(from)) => Stage::Growing { from },
            _ => return Err(damaged("its stage can't be understood")),
        };
        Ok(Self {
            key,
            uuid: record.parsed("uuid")?,
            size: record.parsed("size")?,
            requested: record.parsed("requested")?,
            provisioning: record.parsed("provisioning")?,
            writable: record.parsed("writable")?,
            origin: record.get("origin").map(parse_origin).transpose()?,
            made_from: record.parsed_optional("made-from")?,
            created: created(record)?,
            block_size: record.parsed("block-size")?,
            tags: tags(record)?,
            group: record.parsed_optional("group")?,
            token: FormatToken::from_field(record.get("token").unwrap_or_default())
                .ok_or_else(|| damaged("its format token can't be understood"))?,
            stage,
        })
    }
}

/// A moment as it is stored.
pub(super) fn nanos(moment: SystemTime) -> u128 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// The moment of an object's creation.
///
/// # Errors
/// `Corrupt`.
pub(super) fn created(record: &Record) -> Result<SystemTime> {
    let nanos = u64::try_from(record.parsed::<u128>("created")?).ok();
    let moment = nanos.and_then(|n| SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(n)));
    moment.ok_or_else(|| damaged("its time of creation can't be"))
}

/// Adds tags to a record.
pub(super) fn with_tags(record: Record, tags: &Tags) -> Record {
    // Keys may hold capital letters, which field names do not: the pair is the value.
    let pairs = tags.iter().map(|(key, value)| format!("{key} {value}"));
    pairs
        .enumerate()
        .fold(record, |record, (index, pair)| record.with(&format!("tag/{index}"), pair))
}

/// The tags of a record.
///
/// # Errors
/// `Corrupt`.
pub(super) fn tags(record: &Record) -> Result<Tags> {
    prefixed(record, "tag/")
        .into_values()
        .map(|pair| pair.split_once(' ').map(|(k, v)| (k.to_owned(), v.to_owned())))
        .collect::<Option<Tags>>()
        .ok_or_else(|| damaged("a tag has no value"))
}

pub(super) fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, Op::ReadState, Subject::Host, what)
}

pub(super) fn prefixed(record: &Record, prefix: &str) -> Tags {
    record
        .fields()
        .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.to_owned())))
        .collect()
}

fn origin_text(origin: &VolumeSource) -> String {
    match origin {
        VolumeSource::Snapshot(id) => format!("snapshot {id}"),
        VolumeSource::Volume(id) => format!("volume {id}"),
    }
}

fn parse_origin(text: &str) -> Result<VolumeSource> {
    let parsed = match text.split_once(' ') {
        Some(("snapshot", id)) => SnapshotId::new(id).map(VolumeSource::Snapshot),
        Some(("volume", id)) => VolumeId::new(id).map(VolumeSource::Volume),
        _ => Err(damaged("")),
    };
    parsed.map_err(|_| damaged("its origin can't be understood"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::FsKind;
    use proptest::prelude::*;

    fn object() -> impl Strategy<Value = ObjectRecord> {
        let token = prop_oneof![
            Just(FormatToken::Unused),
            Just(FormatToken::Spent),
            any::<[u8; 16]>().prop_map(|b| FormatToken::Started {
                kind: FsKind::Xfs,
                uuid: Uuid::from_bytes(b)
            }),
        ];
        let stage = prop_oneof![
            Just(Stage::Ready),
            Just(Stage::Removing),
            any::<u64>().prop_map(|n| Stage::Filling { done: Bytes::new(n) }),
            any::<u64>().prop_map(|n| Stage::Growing { from: Bytes::new(n) }),
        ];
        let tags =
            prop::collection::btree_map("[A-Za-z0-9./_-]{1,10}", "[^\u{0}-\u{1f}]{0,10}", 0..4);
        (any::<(u64, u64, [u8; 16], bool)>(), token, stage, tags, any::<u32>()).prop_map(
            |((size, requested, uuid, snapshot), token, stage, tags, seconds)| ObjectRecord {
                key: if snapshot {
                    Source::Snapshot(SnapshotId::new("s").unwrap())
                } else {
                    Source::Volume(VolumeId::new("v").unwrap())
                },
                uuid: Uuid::from_bytes(uuid),
                size: Bytes::new(size),
                requested: Bytes::new(requested),
                provisioning: Provisioning::Thin,
                writable: !snapshot,
                origin: snapshot.then(|| VolumeSource::Volume(VolumeId::new("v").unwrap())),
                made_from: snapshot.then(|| Uuid::from_bytes(uuid)),
                created: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()),
                block_size: Bytes::new(512),
                tags,
                group: snapshot.then(|| GroupSnapshotId::new("g").unwrap()),
                token,
                stage,
            },
        )
    }

    proptest! {
        #[test]
        fn objects_are_read_as_they_were_written(object in object()) {
            let bytes = object.to_record().to_bytes();
            let record = Record::parse(&bytes, OBJECT, VERSION).unwrap();
            prop_assert_eq!(ObjectRecord::from_record(&record).unwrap(), object);
        }
    }

    #[test]
    fn pools_are_read_as_they_were_written() {
        let spec = PoolSpec::new(PoolId::new("p").unwrap())
            .with_capacity(Bytes::GIB)
            .with_reserve(Bytes::MIB)
            .with_overcommit(Ratio::from_percent(150))
            .with_parameter("allow-filesystem", "tmpfs");
        let pool = PoolRecord {
            uuid: Uuid::from_bytes([7; 16]),
            spec,
            block_size: Bytes::new(4096),
            overcommit: Ratio::from_percent(200),
            stop_at: Ratio::from_percent(90),
            shares_blocks: true,
            host_fs: "xfs".into(),
        };
        let record = Record::parse(&pool.to_record().to_bytes(), POOL, VERSION).unwrap();
        assert_eq!(PoolRecord::from_record(&record).unwrap(), pool);
    }

    #[test]
    fn a_format_1_record_is_read_for_ever() {
        let text = "open-local file-object 1\nblock-size 512B\ncreated 1700000000000000000\n\
            origin snapshot monday\nprovisioning thick\nrequested 1GiB\nsize 2GiB\nstage filling\n\
            stage-mark 64MiB\ntag/0 App db\ntoken started ext4 01234567-89ab-cdef-0123-456789abcdef\n\
            uuid 00112233-4455-6677-8899-aabbccddeeff\nvolume data\nwritable true\n";
        let whole = format!("{text}end {:08x}\n", crate::state::crc32c(text.as_bytes()));
        let record = Record::parse(whole.as_bytes(), OBJECT, VERSION).unwrap();
        let object = ObjectRecord::from_record(&record).unwrap();
        assert_eq!(object.key, Source::Volume(VolumeId::new("data").unwrap()));
        assert_eq!(object.stage, Stage::Filling { done: Bytes::from_mib(64).unwrap() });
        assert_eq!(object.tags.get("App").map(String::as_str), Some("db"));
        assert_eq!(object.to_record().to_bytes(), whole.as_bytes());
    }
}
