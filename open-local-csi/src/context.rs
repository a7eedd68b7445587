//! The volume context: what a volume's maker tells its node, and what the orchestrator adds.
//!
//! The orchestrator keeps it with the volume and hands it back at stage and publish. Keys that are
//! not known are not read, since it may be as old as the volume and may come from the original. A
//! known key whose value can't be understood is refused where it matters ([`VolumeContext::check`])
//! and by name: a limit, an option of mkfs or a UUID that is dropped silently would make the volume
//! another one.

use std::collections::BTreeMap;

use open_local_core::{PoolId, SnapshotId, Uuid};

use crate::errors::{Answer, Status};
use crate::parameters::{Complaints, Map, VolumeClass, parse_flag};

/// The pool a volume is in.
pub const POOL: &str = "csi.aliyun.com/pool";
/// The UUID of that pool.
pub const POOL_UUID: &str = "csi.aliyun.com/pool-uuid";
/// The UUID of the volume: another volume of the same name has another one.
pub const VOLUME_UUID: &str = "csi.aliyun.com/volume-uuid";

/// The original's pool of a volume.
const VG_NAME: &str = "vgName";
/// The original's words for a volume that is a snapshot, mounted as it is.
const SNAPSHOT_ID: &str = "csi.aliyun.com/snapshot-id";
const READ_ONLY: &str = "csi.aliyun.com/readonly";

/// Claim and volume, as `--extra-create-metadata` of the provisioner adds them.
const CLAIM_NAME: &str = "csi.storage.k8s.io/pvc/name";
const CLAIM_NAMESPACE: &str = "csi.storage.k8s.io/pvc/namespace";

/// The pod, as the kubelet adds it where the driver object asks for it.
const EPHEMERAL: &str = "csi.storage.k8s.io/ephemeral";
const POD_NAME: &str = "csi.storage.k8s.io/pod.name";
const POD_NAMESPACE: &str = "csi.storage.k8s.io/pod.namespace";
const POD_UID: &str = "csi.storage.k8s.io/pod.uid";

/// A claim by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ClaimRef {
    /// The claim a volume is made for, if the orchestrator says.
    #[must_use]
    pub fn read(parameters: &Map) -> Option<Self> {
        Some(Self {
            namespace: parameters.get(CLAIM_NAMESPACE)?.clone(),
            name: parameters.get(CLAIM_NAME)?.clone(),
        })
    }
}

/// A pod, as far as the orchestrator says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodRef {
    /// Its name.
    pub name: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its UID.
    pub uid: Option<String>,
}

/// What the context of a volume says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeContext {
    /// The pool, if it is named and can be one.
    pub pool: Option<PoolId>,
    /// The UUID the pool must have.
    pub pool_uuid: Option<Uuid>,
    /// The UUID the volume must have.
    pub volume_uuid: Option<Uuid>,
    /// What its class asked for.
    pub class: VolumeClass,
    /// The snapshot that stands for the volume, in the original's read-only restores.
    pub stands_for: Option<SnapshotId>,
    /// Whether the volume lives as long as its pod.
    pub ephemeral: bool,
    /// The pod.
    pub pod: PodRef,
    /// Known keys whose values can't be understood.
    pub complaints: Complaints,
}

/// What a context is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContextUse {
    /// A volume is attached, formatted and mounted.
    Stage,
    /// It is shown to a pod, which is limited.
    Publish,
}

/// Keys that say which volume it is and how its content is used.
const OF_BOTH: [&str; 8] = [
    POOL,
    POOL_UUID,
    VOLUME_UUID,
    SNAPSHOT_ID,
    READ_ONLY,
    "direct",
    "spdk",
    "csi.aliyun.com/mkfs-options",
];
/// Keys that matter only to a pod.
const OF_PUBLISH: [&str; 8] = [
    EPHEMERAL,
    "bps",
    "iops",
    "csi.aliyun.com/read-bps",
    "csi.aliyun.com/write-bps",
    "csi.aliyun.com/read-iops",
    "csi.aliyun.com/write-iops",
    "csi.aliyun.com/throttle",
];

impl VolumeContext {
    /// Reads a context. Total: what can't be understood is among the complaints.
    #[must_use]
    pub fn read(map: &Map) -> Self {
        let (class, mut complaints) = VolumeClass::read_context(map);
        let text = |key: &str| map.get(key).cloned();
        let pool =
            read_one(map, POOL, "the name of a pool", &mut complaints, |t| PoolId::new(t).ok());
        let mut uuid = |key| read_one(map, key, "a UUID", &mut complaints, |t| t.parse().ok());
        let (pool_uuid, volume_uuid) = (uuid(POOL_UUID), uuid(VOLUME_UUID));
        let mut flag = |key| read_one(map, key, "true or false", &mut complaints, parse_flag);
        // The key of snapshot classes has no meaning here without a snapshot.
        let restored = map.contains_key(SNAPSHOT_ID) && flag(READ_ONLY) == Some(true);
        let ephemeral = flag(EPHEMERAL) == Some(true);
        let stands_for = map.get(SNAPSHOT_ID).filter(|_| restored).and_then(|_| {
            let wanted = "the name of a snapshot";
            read_one(map, SNAPSHOT_ID, wanted, &mut complaints, |t| SnapshotId::new(t).ok())
        });
        Self {
            // The original's pool may have a name that ours can't have.
            pool: pool.or_else(|| PoolId::new(map.get(VG_NAME)?).ok()),
            pool_uuid,
            volume_uuid,
            class,
            stands_for,
            ephemeral,
            pod: PodRef {
                name: text(POD_NAME),
                namespace: text(POD_NAMESPACE),
                uid: text(POD_UID),
            },
            complaints,
        }
    }

    /// Refuses a context in which something can't be understood that matters now.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming key and value.
    pub fn check(&self, what_for: ContextUse) -> Answer<()> {
        let publish: &[&str] = match what_for {
            ContextUse::Stage => &[],
            ContextUse::Publish => &OF_PUBLISH,
        };
        let mut matter = OF_BOTH.iter().chain(publish);
        match matter.find_map(|key| self.complaints.get(*key)) {
            Some(status) => Err(status.clone()),
            None => Ok(()),
        }
    }

    /// The context to answer for a new volume: its parameters, and where it is.
    #[must_use]
    pub fn write(
        parameters: &Map,
        pool: &PoolId,
        pool_uuid: Option<Uuid>,
        volume_uuid: Option<Uuid>,
    ) -> BTreeMap<String, String> {
        let mut map = parameters.clone();
        map.insert(POOL.to_owned(), pool.to_string());
        // The original's scheduler reads the pool of a volume under this key.
        map.insert(VG_NAME.to_owned(), pool.to_string());
        for (key, uuid) in [(POOL_UUID, pool_uuid), (VOLUME_UUID, volume_uuid)] {
            if let Some(uuid) = uuid {
                map.insert(key.to_owned(), uuid.to_string());
            }
        }
        map
    }
}

fn read_one<T>(
    map: &Map,
    key: &str,
    wanted: &str,
    complaints: &mut Complaints,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let text = map.get(key)?;
    let read = parse(text);
    match &read {
        // Said otherwise elsewhere in the table of keys, but read here.
        Some(_) => complaints.remove(key),
        None => {
            let shown = open_local_core::Subject::value(text);
            let what = format!("has {key} = {shown}; it must be {wanted}");
            complaints.insert(key.to_owned(), Status::invalid("volume_context", what))
        }
    };
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_written_is_read() {
        let uuid = Uuid::from_bytes([7; 16]);
        let pool = PoolId::new("fast").unwrap();
        let parameters = Map::from([("bps".to_owned(), "1Mi".to_owned())]);
        let map = VolumeContext::write(&parameters, &pool, Some(uuid), Some(uuid));
        let read = VolumeContext::read(&map);
        assert_eq!(read.pool, Some(pool));
        assert_eq!((read.pool_uuid, read.volume_uuid), (Some(uuid), Some(uuid)));
        assert!(!read.class.limits.io.is_none());
        assert!(!read.ephemeral);
    }

    #[test]
    fn a_context_of_the_original_is_read() {
        let map: Map = [
            ("volumeType", "LVM"),
            ("vgName", "open-local-pool-0"),
            ("csi.storage.k8s.io/pv/name", "local-1"),
            ("volume.kubernetes.io/selected-node", "node"),
            ("csi.aliyun.com/snapshot-id", "snap-1"),
            ("csi.aliyun.com/readonly", "true"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        let read = VolumeContext::read(&map);
        assert_eq!(read.pool.unwrap().as_str(), "open-local-pool-0");
        assert_eq!(read.stands_for.unwrap().as_str(), "snap-1");
        assert_eq!((read.pool_uuid, read.volume_uuid), (None, None));
    }

    #[test]
    fn a_value_that_cannot_be_understood_voids_nothing_else_and_is_refused_where_it_matters() {
        let both = [ContextUse::Stage, ContextUse::Publish];
        for (key, value, where_) in [
            (POOL_UUID, "no-uuid", &both[..]),
            (VOLUME_UUID, "no-uuid", &both),
            (POOL, "; rm", &both),
            ("direct", "perhaps", &both),
            ("csi.aliyun.com/mkfs-options", "a\u{1}b", &both),
            ("yodaplugin.csi.alibabacloud.com/mkfs-options", "a\u{1}b", &both),
            ("iops", "-1", &both[1..]),
            ("csi.aliyun.com/write-bps", "fast", &both[1..]),
            ("csi.aliyun.com/throttle", "perhaps", &both[1..]),
            (EPHEMERAL, "perhaps", &both[1..]),
            ("volumeType", "Quota", &[]),
            ("mediaType", "tape", &[]),
        ] {
            let map = Map::from([(key.into(), value.into()), ("bps".into(), "1Mi".into())]);
            let read = VolumeContext::read(&map);
            assert!(!read.class.limits.io.is_none(), "{key} takes the limits away");
            for one in both {
                let checked = read.check(one);
                assert_eq!(checked.is_err(), where_.contains(&one), "{key} {one:?}");
                let short = key.rsplit('/').next().unwrap();
                assert!(checked.is_ok() || checked.unwrap_err().message().contains(short));
            }
        }
        for (key, value) in [(READ_ONLY, "ture"), (SNAPSHOT_ID, "a/b")] {
            let mut map = Map::from([
                (SNAPSHOT_ID.to_owned(), "snap-1".to_owned()),
                (READ_ONLY.to_owned(), "true".to_owned()),
            ]);
            map.insert(key.to_owned(), value.to_owned());
            let status = VolumeContext::read(&map).check(ContextUse::Stage).unwrap_err();
            assert!(status.message().contains(key), "{status}");
        }
        let contradiction = Map::from([
            ("lvmType".to_owned(), "linear".to_owned()),
            ("csi.aliyun.com/stripes".to_owned(), "2".to_owned()),
            ("bps".to_owned(), "1Mi".to_owned()),
        ]);
        let read = VolumeContext::read(&contradiction);
        assert!(!read.class.limits.io.is_none());
        read.check(ContextUse::Publish).unwrap();
    }

    proptest! {
        #[test]
        fn any_map_is_read(map in proptest::collection::btree_map(".{0,30}", ".{0,30}", 0..8)) {
            let _ = VolumeContext::read(&map);
        }
    }
}
