//! The volume context: what a volume's maker tells its node, and what the orchestrator adds.
//!
//! The orchestrator keeps it with the volume and hands it back at stage and publish. It is read
//! leniently, since it may be as old as the volume and may come from the original; only what would
//! make a volume another one is held against it: the UUIDs of pool and volume.

use std::collections::BTreeMap;

use open_local_core::{PoolId, SnapshotId, Uuid};

use crate::parameters::{Map, VolumeClass};

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
}

impl VolumeContext {
    /// Reads a context. Total: what can't be understood is not there.
    #[must_use]
    pub fn read(map: &Map) -> Self {
        let text = |key: &str| map.get(key).cloned();
        let uuid = |key: &str| map.get(key).and_then(|text| text.parse().ok());
        let pool = map.get(POOL).or_else(|| map.get(VG_NAME));
        let restored = map.get(READ_ONLY).is_some_and(|value| value == "true");
        Self {
            pool: pool.and_then(|name| PoolId::new(name).ok()),
            pool_uuid: uuid(POOL_UUID),
            volume_uuid: uuid(VOLUME_UUID),
            class: VolumeClass::read_context(map),
            stands_for: map
                .get(SNAPSHOT_ID)
                .filter(|_| restored)
                .and_then(|id| SnapshotId::new(id).ok()),
            ephemeral: map.get(EPHEMERAL).is_some_and(|value| value == "true"),
            pod: PodRef {
                name: text(POD_NAME),
                namespace: text(POD_NAMESPACE),
                uid: text(POD_UID),
            },
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

    proptest! {
        #[test]
        fn any_map_is_read(map in proptest::collection::btree_map(".{0,30}", ".{0,30}", 0..8)) {
            let _ = VolumeContext::read(&map);
        }
    }
}
