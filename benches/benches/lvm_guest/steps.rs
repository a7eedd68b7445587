//! What both sides do in a round: each step finds what the one before left.

use std::hint::black_box;

use open_local_core::{PoolExt, SnapshotId, SnapshotSpec};

use crate::floor::Floor;
use crate::group::{Group, NEIGHBOUR, mib, volume};

/// What comes and goes in a round.
const NEW: &str = "new";
/// What a listing shows, on both sides with the state of the kernel.
const COLUMNS: &str =
    "lv_name,lv_uuid,lv_size,lv_tags,origin,lv_active,lv_kernel_major,lv_kernel_minor";

/// A step of a round.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) native: fn(&Group),
    pub(crate) lvm2: fn(&Group),
    /// What the kernel and the disk do in it, with this many commits.
    pub(crate) floor: Option<fn(&Floor, u64)>,
    /// How many times quicker than the tools it shall be.
    pub(crate) bar: Option<u32>,
}

fn snapshot() -> SnapshotId {
    NEW.parse().expect("a name")
}

fn remove(group: &Group) {
    let _ = group.pool.unpublish(&Group::source(NEW)).expect("unpublish");
    let _ = group.pool.remove_volume(&volume(NEW)).expect("remove");
}

fn lvremove(group: &Group) {
    group.lvm("lvremove", &[&group.path(NEW)]);
}

fn grow(group: &Group) {
    let size = group.size().saturating_add(mib(4));
    let _ = group.pool.grow_volume(&volume(NEW), size).expect("grow");
}

fn lvextend(group: &Group) {
    group.lvm("lvextend", &["-L", "+4m", &group.path(NEW)]);
}

fn report(group: &Group) {
    let volumes = group.pool.volumes().expect("list the volumes");
    assert!(volumes.iter().all(|volume| volume.attachment.is_some()));
    black_box(volumes);
}

fn lvs(group: &Group) {
    let text = group.lvm("lvs", &["--reportformat", "json", "-o", COLUMNS, group.name()]);
    assert!(text.contains(NEIGHBOUR) && text.contains("active"));
}

const REPORT: Step = Step { name: "report", native: report, lvm2: lvs, floor: None, bar: Some(50) };

/// Steps with linear volumes.
pub(crate) const THICK: &[Step] = &[
    Step {
        name: "create linear",
        native: |group| group.make(NEW),
        lvm2: |group| {
            group.lvm("lvcreate", &["-L", "4m", "-n", NEW, group.name()]);
        },
        floor: Some(Floor::create_linear),
        bar: Some(25),
    },
    Step {
        name: "extend linear",
        native: grow,
        lvm2: lvextend,
        floor: Some(Floor::extend_linear),
        bar: None,
    },
    REPORT,
    Step {
        name: "remove linear",
        native: remove,
        lvm2: lvremove,
        floor: Some(Floor::remove_linear),
        bar: None,
    },
];

/// Steps with thin volumes.
pub(crate) const THIN: &[Step] = &[
    Step {
        name: "create thin",
        native: |group| group.make(NEW),
        lvm2: |group| {
            group.lvm("lvcreate", &["-V", "16m", "-T", &group.thin_pool(), "-n", NEW]);
        },
        floor: Some(Floor::create_thin),
        bar: Some(15),
    },
    Step {
        name: "extend thin",
        native: grow,
        lvm2: lvextend,
        floor: Some(Floor::extend_thin),
        bar: Some(30),
    },
    REPORT,
    Step {
        name: "remove thin",
        native: remove,
        lvm2: lvremove,
        floor: Some(Floor::remove_thin),
        bar: None,
    },
    Step {
        name: "snapshot of an active volume",
        native: |group| {
            let snapshots = group.pool.require_snapshots().expect("thin pools have snapshots");
            let spec = SnapshotSpec::new(snapshot(), volume(NEIGHBOUR));
            let _ = snapshots.ensure_snapshot(&spec).expect("take a snapshot");
        },
        lvm2: |group| {
            group.lvm("lvcreate", &["-s", "-n", NEW, &group.path(NEIGHBOUR)]);
        },
        floor: Some(Floor::snapshot),
        bar: Some(10),
    },
    Step {
        name: "remove snapshot",
        native: |group| {
            let snapshots = group.pool.require_snapshots().expect("thin pools have snapshots");
            let _ = snapshots.remove_snapshot(&snapshot()).expect("remove a snapshot");
        },
        lvm2: lvremove,
        floor: Some(Floor::remove_snapshot),
        bar: None,
    },
];
