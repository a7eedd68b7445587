//! What is kept on disk of a group snapshot. Pure.

use std::time::SystemTime;

use super::record::{created, damaged, nanos, prefixed, tags, with_tags};
use crate::error::Result;
use crate::ids::{GroupSnapshotId, SnapshotId, VolumeId};
use crate::spec::{MAX_GROUP_MEMBERS, Tags};
use crate::state::Record;

/// The kind of a group snapshot's record.
pub(super) const GROUP: &str = "file-group";

/// How far a group's making or removing is. Its members are ready once it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupStage {
    Filling,
    Ready,
    Removing,
}

impl GroupStage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Ready => "ready",
            Self::Removing => "removing",
        }
    }
}

/// A group snapshot as recorded beside its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupRecord {
    pub(super) id: GroupSnapshotId,
    /// Each with its volume; sorted by name.
    pub(super) members: Vec<(SnapshotId, VolumeId)>,
    pub(super) writable: bool,
    pub(super) created: SystemTime,
    pub(super) tags: Tags,
    pub(super) stage: GroupStage,
}

impl GroupRecord {
    pub(super) fn with_stage(&self, stage: GroupStage) -> Self {
        Self { stage, ..self.clone() }
    }

    pub(super) fn to_record(&self) -> Record {
        let mut record = Record::new(GROUP, super::record::VERSION)
            .with("group", &self.id)
            .with("writable", self.writable)
            .with("created", nanos(self.created))
            .with("stage", self.stage.as_str());
        for (snapshot, volume) in &self.members {
            // Names may hold capital letters, which field names do not: the pair is the value.
            let index = record.fields().filter(|(name, _)| name.starts_with("member/")).count();
            record = record.with(&format!("member/{index}"), format!("{snapshot} {volume}"));
        }
        with_tags(record, &self.tags)
    }

    pub(super) fn from_record(record: &Record) -> Result<Self> {
        let stages = [GroupStage::Filling, GroupStage::Ready, GroupStage::Removing];
        let stage = stages.into_iter().find(|stage| record.get("stage") == Some(stage.as_str()));
        let pairs = prefixed(record, "member/").into_values().map(|pair| {
            let (snapshot, volume) = pair.split_once(' ')?;
            Some((SnapshotId::new(snapshot).ok()?, VolumeId::new(volume).ok()?))
        });
        let members = pairs.collect::<Option<Vec<_>>>();
        let mut members = members.ok_or_else(|| damaged("a member can't be understood"))?;
        members.sort();
        if members.is_empty() || members.len() > MAX_GROUP_MEMBERS {
            return Err(damaged("it has no members, or more than there can be"));
        }
        Ok(Self {
            id: record.parsed("group")?,
            members,
            writable: record.parsed("writable")?,
            created: created(record)?,
            tags: tags(record)?,
            stage: stage.ok_or_else(|| damaged("its stage can't be understood"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::file::record::VERSION;
    use proptest::prelude::*;

    fn group() -> impl Strategy<Value = GroupRecord> {
        let name = "[A-Za-z0-9][A-Za-z0-9._+-]{0,10}";
        let stage = prop_oneof![
            Just(GroupStage::Filling),
            Just(GroupStage::Ready),
            Just(GroupStage::Removing)
        ];
        let members = prop::collection::btree_map(name, name, 1..12);
        let tags =
            prop::collection::btree_map("[A-Za-z0-9./_-]{1,10}", "[^\u{0}-\u{1f}]{0,10}", 0..4);
        (members, tags, stage, any::<bool>(), any::<u32>()).prop_map(
            |(members, tags, stage, writable, seconds): (BTreeMap<String, String>, _, _, _, _)| {
                let pair = |(s, v): (String, String)| {
                    (SnapshotId::new(s).unwrap(), VolumeId::new(v).unwrap())
                };
                GroupRecord {
                    id: GroupSnapshotId::new("g").unwrap(),
                    members: members.into_iter().map(pair).collect(),
                    writable,
                    created: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()),
                    tags,
                    stage,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn groups_are_read_as_they_were_written(group in group()) {
            let record = Record::parse(&group.to_record().to_bytes(), GROUP, VERSION).unwrap();
            prop_assert_eq!(GroupRecord::from_record(&record).unwrap(), group);
        }

        #[test]
        fn any_fields_are_a_group_or_an_error(
            fields in prop::collection::vec(("[a-z/0-9-]{1,9}", ".{0,12}"), 0..12)
        ) {
            let record = fields.iter().fold(Record::new(GROUP, VERSION), |r, (k, v)| r.with(k, v));
            let _ = GroupRecord::from_record(&record);
        }
    }

    #[test]
    fn a_format_1_record_is_read_for_ever() {
        let text = "open-local file-group 1\ncreated 1700000000000000000\ngroup all\n\
            member/0 s-a a\nmember/1 s-b b\nstage ready\ntag/0 App db\nwritable false\n";
        let whole = format!("{text}end {:08x}\n", crate::state::crc32c(text.as_bytes()));
        let record = Record::parse(whole.as_bytes(), GROUP, VERSION).unwrap();
        let group = GroupRecord::from_record(&record).unwrap();
        assert_eq!((group.id.as_str(), group.members.len()), ("all", 2));
        assert_eq!(group.stage, GroupStage::Ready);
        assert_eq!(group.to_record().to_bytes(), whole.as_bytes());
    }
}
