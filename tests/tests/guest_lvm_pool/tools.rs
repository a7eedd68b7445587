//! The lvm2 tools take over what we made, and we what they made.

use std::sync::Arc;

use open_local_core::conformance::{Fixture, PoolWish};
use open_local_core::host::Unchecked;
use open_local_core::{
    Backend, Bytes, PublishSpec, SnapshotId, SnapshotSpec, Source, VolumeId, VolumeSpec,
};
use open_local_lvm::activate::UdevMode;

use super::rack::Rack;

fn mib(count: u64) -> Bytes {
    Bytes::from_mib(count).unwrap()
}

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

/// What every native operation leaves is fine for the tools: they check, take down, bring up,
/// grow, copy and remove it, and we go on with what they leave.
#[test]
fn the_tools_and_we_take_turns_on_a_thin_pool() {
    let rack = Rack::new("tools-thin", true, UdevMode::Absent);
    let pool = rack.fresh(&PoolWish::default()).unwrap();
    for name in ["a", "b"] {
        let _ = pool.ensure_volume(&VolumeSpec::new(vol(name), mib(32))).unwrap();
    }
    let attached = pool.publish(&PublishSpec::new(vol("a"))).unwrap().into_inner();
    let _ = pool.publish(&PublishSpec::new(vol("b"))).unwrap();
    let device = rack.open(&attached).unwrap();
    device.write_at(0, &[7; 65536]).unwrap();
    device.flush().unwrap();
    drop(device);
    let snapshot: SnapshotId = "s".parse().unwrap();
    let snapshots = pool.snapshots().unwrap();
    let _ = snapshots.ensure_snapshot(&SnapshotSpec::new(snapshot.clone(), vol("a"))).unwrap();
    rack.lvm("vgck", &["vg"]);
    let listed =
        rack.lvm("lvs", &["--noheadings", "-o", "lv_name,lv_active,lv_size", "--units", "m", "vg"]);
    assert!(listed.contains("32.00m") && listed.contains("active"), "{listed}");

    // Theirs: down and up, larger, another volume, a snapshot of ours, and away with one.
    let tables = || rack.tables();
    let ours = tables();
    rack.lvm("vgchange", &["-an", "vg"]);
    assert_eq!(tables(), Vec::<String>::new());
    rack.lvm("vgchange", &["-ay", "vg"]);
    assert_eq!(tables(), ours, "what they make of it is what we made");
    rack.lvm("lvextend", &["-L", "48m", "vg/a"]);
    rack.lvm("lvcreate", &["-V", "16m", "-T", &rack.thin_pool(), "-n", "theirs"]);
    rack.lvm("lvcreate", &["-s", "-n", "copy", "vg/a"]);
    rack.lvm("lvremove", &["vg/b"]);
    rack.lvm("vgck", &["vg"]);

    // Ours again: what is theirs is not ours, what is gone is gone, and everything works.
    let pool = rack.reopen(Arc::new(Unchecked)).unwrap();
    let names: Vec<String> = pool.volumes().unwrap().iter().map(|v| v.id.to_string()).collect();
    assert_eq!(names, ["a"]);
    assert_eq!(pool.volume(&vol("a")).unwrap().size, mib(48));
    let _ = pool.grow_volume(&vol("a"), mib(64)).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("c"), mib(16))).unwrap();
    let again = SnapshotSpec::new("t".parse().unwrap(), vol("a"));
    let _ = pool.snapshots().unwrap().ensure_snapshot(&again).unwrap();
    rack.lvm("vgck", &["vg"]);
    rack.lvm("lvremove", &["vg/theirs", "vg/copy"]);

    let attached = pool.publish(&PublishSpec::new(vol("a"))).unwrap().into_inner();
    let mut start = [0; 65536];
    rack.open(&attached).unwrap().read_at(0, &mut start).unwrap();
    assert!(start.iter().all(|byte| *byte == 7), "what was written is still there");
    let _ = pool.unpublish(&Source::Volume(vol("a"))).unwrap();
    for id in [snapshot, "t".parse().unwrap()] {
        let _ = pool.snapshots().unwrap().remove_snapshot(&id).unwrap();
    }
    for name in ["a", "c"] {
        let _ = pool.remove_volume(&vol(name)).unwrap();
    }
    rack.lvm("vgck", &["vg"]);
    assert_eq!(rack.leaks().unwrap(), Vec::<String>::new());
    let _ = rack.site.backend(Arc::new(Unchecked)).remove_pool(&rack.site.id()).unwrap();
    assert!(!rack.lvm("vgs", &["--noheadings"]).contains("vg"));
}

#[test]
fn the_tools_and_we_take_turns_on_linear_volumes() {
    let rack = Rack::new("tools-thick", false, UdevMode::Absent);
    let pool = rack.fresh(&PoolWish::default()).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("a"), mib(32))).unwrap();
    let _ = pool.publish(&PublishSpec::new(vol("a"))).unwrap();
    let ours = rack.tables();
    rack.lvm("vgck", &["vg"]);
    rack.lvm("vgchange", &["-an", "vg"]);
    rack.lvm("vgchange", &["-ay", "vg"]);
    assert_eq!(rack.tables(), ours);
    rack.lvm("lvextend", &["-L", "48m", "vg/a"]);
    rack.lvm("lvcreate", &["-L", "16m", "-n", "theirs", "vg"]);
    let pool = rack.reopen(Arc::new(Unchecked)).unwrap();
    assert_eq!(pool.volume(&vol("a")).unwrap().size, mib(48));
    let _ = pool.grow_volume(&vol("a"), mib(64)).unwrap();
    let _ = pool.unpublish(&Source::Volume(vol("a"))).unwrap();
    let _ = pool.remove_volume(&vol("a")).unwrap();
    while !pool.maintain(Bytes::MAX).unwrap().left.is_zero() {}
    rack.lvm("vgck", &["vg"]);
    let left = rack.lvm("lvs", &["--noheadings", "-o", "lv_name", "vg"]);
    assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["theirs"]);
}
