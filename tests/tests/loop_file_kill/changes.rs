//! The changes that are killed, and what each finds.

use std::path::PathBuf;
use std::sync::Arc;

use open_local_core::fs::{Filesystems, FormatSpec};
use open_local_core::host::Checkpoints;
use open_local_core::{
    Backend, Bytes, FsKind, Pool, PoolExt, Provisioning, PublishSpec, Result, SnapshotId,
    SnapshotSpec, VolumeId, VolumeSource, VolumeSpec,
};
use open_local_tests::PoolFolder;

pub(crate) const SIZE: Bytes = Bytes::MIB;
pub(crate) const LARGER: Bytes = Bytes::new(2 << 20);
/// Room for a small ext4.
pub(crate) const EXT4_SIZE: Bytes = Bytes::new(16 << 20);
/// Room for the smallest XFS, which any root may grow; ext4 wants `CAP_SYS_RESOURCE` for that.
pub(crate) const XFS_SIZE: Bytes = Bytes::new(300 << 20);
pub(crate) const XFS_LARGER: Bytes = Bytes::new(400 << 20);

pub(crate) fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

pub(crate) fn snapshot(name: &str) -> SnapshotId {
    SnapshotId::new(name).unwrap()
}

/// What is to be there before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// The volume `old` full of twos and its snapshot `ones`.
    Unpublished,
    /// The same, published for writing.
    Published,
    /// The same, and the volume `mounted` with a file system that is mounted and holds a file.
    Mounted(FsKind),
    /// The same, and a published volume `blank` that was never formatted.
    Blank,
    /// The same, and a second pool, empty.
    SecondPool,
}

/// A change, cut before each of its steps.
pub(crate) struct Change {
    pub(crate) name: &'static str,
    pub(crate) before: Before,
    pub(crate) act: fn(&PoolFolder, Arc<dyn Checkpoints>) -> Result<()>,
}

impl Change {
    pub(crate) fn is_mounted(&self) -> bool {
        matches!(self.before, Before::Mounted(_))
    }
}

/// The second pool, in a folder beside the first.
pub(crate) fn second(pool: &PoolFolder) -> PoolFolder {
    pool.beside("second", &pool.location().with_file_name("second"))
}

/// Where the volume `mounted` is mounted.
pub(crate) fn target(pool: &PoolFolder) -> PathBuf {
    pool.location().parent().unwrap().with_file_name("mnt")
}

fn open(pool: &PoolFolder, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
    pool.backend(checkpoints).open_pool(&pool.id())
}

pub(crate) const CHANGES: &[Change] = &[
    Change {
        name: "ensure_volume",
        before: Before::Unpublished,
        act: |pool, steps| {
            let spec = VolumeSpec::new(volume("new"), SIZE);
            open(pool, steps)?.ensure_volume(&spec).map(drop)
        },
    },
    Change {
        name: "ensure_thick_volume",
        before: Before::Unpublished,
        act: |pool, steps| {
            let spec = VolumeSpec::new(volume("new"), SIZE).with_provisioning(Provisioning::Thick);
            open(pool, steps)?.ensure_volume(&spec).map(drop)
        },
    },
    Change {
        name: "restore",
        before: Before::Unpublished,
        act: |pool, steps| {
            let source = VolumeSource::Snapshot(snapshot("ones"));
            let spec = VolumeSpec::new(volume("new"), LARGER).from_source(source);
            open(pool, steps)?.ensure_volume(&spec).map(drop)
        },
    },
    Change {
        name: "clone",
        before: Before::Unpublished,
        act: |pool, steps| {
            let source = VolumeSource::Volume(volume("old"));
            let spec = VolumeSpec::new(volume("new"), SIZE).from_source(source);
            open(pool, steps)?.ensure_volume(&spec).map(drop)
        },
    },
    Change {
        name: "clone_mounted",
        before: Before::Mounted(FsKind::Ext4),
        act: |pool, steps| {
            let source = VolumeSource::Volume(volume("mounted"));
            let spec = VolumeSpec::new(volume("new"), EXT4_SIZE).from_source(source);
            open(pool, steps)?.ensure_volume(&spec).map(drop)
        },
    },
    Change {
        name: "grow_mounted",
        before: Before::Mounted(FsKind::Xfs),
        act: |pool, steps| {
            let open = open(pool, steps.clone())?;
            drop(open.grow_volume(&volume("mounted"), XFS_LARGER)?);
            let filesystems = pool.filesystems(steps);
            filesystems.grow(&target(pool)).map(drop)
        },
    },
    Change {
        name: "publish",
        before: Before::Unpublished,
        act: |pool, steps| {
            let spec = PublishSpec::new(volume("old"));
            open(pool, steps)?.publish(&spec).map(drop)
        },
    },
    Change {
        name: "unpublish",
        before: Before::Published,
        act: |pool, steps| open(pool, steps)?.unpublish(&volume("old").into()).map(drop),
    },
    Change {
        name: "snapshot",
        before: Before::Unpublished,
        act: |pool, steps| {
            let spec = SnapshotSpec::new(snapshot("new"), volume("old"));
            let open = open(pool, steps)?;
            open.require_snapshots()?.ensure_snapshot(&spec).map(drop)
        },
    },
    Change {
        name: "snapshot_mounted",
        before: Before::Mounted(FsKind::Ext4),
        act: |pool, steps| {
            let spec = SnapshotSpec::new(snapshot("new"), volume("mounted"));
            let open = open(pool, steps)?;
            open.require_snapshots()?.ensure_snapshot(&spec).map(drop)
        },
    },
    Change {
        name: "roll_back",
        before: Before::Unpublished,
        act: |pool, steps| {
            let open = open(pool, steps)?;
            let snapshots = open.require_snapshots()?;
            snapshots.roll_back(&volume("old"), &snapshot("ones")).map(drop)
        },
    },
    Change {
        name: "remove_snapshot",
        before: Before::Unpublished,
        act: |pool, steps| {
            let open = open(pool, steps)?;
            let snapshots = open.require_snapshots()?;
            snapshots.remove_snapshot(&snapshot("ones")).map(drop)
        },
    },
    Change {
        name: "remove_volume",
        before: Before::Unpublished,
        act: |pool, steps| open(pool, steps)?.remove_volume(&volume("old")).map(drop),
    },
    Change {
        name: "ensure_pool",
        before: Before::Unpublished,
        act: |pool, steps| {
            let second = second(pool);
            second.backend(steps).ensure_pool(&second.spec()).map(drop)
        },
    },
    Change {
        name: "remove_pool",
        before: Before::SecondPool,
        act: |pool, steps| {
            let second = second(pool);
            second.backend(steps).remove_pool(&second.id()).map(drop)
        },
    },
    Change {
        name: "format",
        before: Before::Blank,
        act: |pool, steps| {
            let open = open(pool, steps.clone())?;
            let at = open.publish(&PublishSpec::new(volume("blank")))?.into_inner();
            let spec = FormatSpec::new(FsKind::Ext4);
            let tokens = open.require_format_tokens()?;
            let filesystems = pool.filesystems(steps);
            let made = filesystems.ensure_formatted(tokens, &volume("blank"), &at, &spec);
            made.map(drop)
        },
    },
];
