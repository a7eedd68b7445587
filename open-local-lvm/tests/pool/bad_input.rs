//! What can be wrong with what a pool is asked for, and where it is tested:
//!
//! | Wrong | Tested in |
//! |---|---|
//! | the name of a pool or volume is that of something of another type | `adopting`, `src/plan/tests/thin/refused.rs` |
//! | a chunk that is no multiple of 64 KiB | `src/pool/orders.rs`, `src/plan/tests/thin/refused.rs` |
//! | more than dm-thin can: device numbers, sizes, metadata | `src/plan/tests/thin/refused.rs` |
//! | a snapshot of what is missing or foreign | `adopting`, the conformance suite |
//! | a snapshot of what somebody suspended | here |
//! | an extension beyond the group | here, `inactive` |
//! | a device that somebody has open | here, `tests/activate/refusals.rs` |
//! | a udev that is not there, is dead, or dies | `udev`, `tests/activate/udev.rs` |
//! | stale nodes and links, or somebody else's | `src/activate/links.rs`, `tests/activate/refusals.rs` |
//! | minor numbers above 255 | `tests/activate/refusals.rs` |

use std::sync::Arc;

use open_local_core::host::{DeviceAccess, Devices, OpenMode, Unchecked};
use open_local_core::{
    Backend, ErrorKind, Pool, PoolExt, PublishSpec, SnapshotSpec, Source, VolumeId, VolumeSpec,
};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags};

use crate::lab::{Lab, id, mib};

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn published() -> (Lab, Arc<dyn Pool>) {
    let lab = Lab::new(&[64]);
    let spec = Lab::spec(&["sda"])
        .with_parameter("mode", "thin")
        .with_parameter("extent-size", "64KiB")
        .with_parameter("data-size", "8MiB");
    let backend = lab.live(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&spec).unwrap();
    let pool = backend.open_pool(&id()).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(1))).unwrap();
    let _ = pool.publish(&PublishSpec::new(vol("old"))).unwrap();
    (lab, pool)
}

#[test]
fn a_volume_of_ours_that_is_suspended_goes_on_and_is_copied() {
    let (lab, pool) = published();
    lab.dm.suspend(&DmId::name("vg-old"), SuspendFlags::QUICK).unwrap();
    let spec = SnapshotSpec::new("s".parse().unwrap(), vol("old"));
    assert!(pool.require_snapshots().unwrap().ensure_snapshot(&spec).unwrap().changed());
    assert!(lab.dm.suspended().is_empty());
    assert!(lab.leaks().is_empty(), "{:?}", lab.leaks());
}

#[test]
fn nothing_grows_beyond_the_group() {
    let (lab, pool) = published();
    let before = lab.group();
    let backend = lab.live(Arc::new(Unchecked));
    for (data, metadata) in [(Some(mib(1 << 20)), None), (None, Some(mib(1 << 10)))] {
        let error = backend.extend_thin_pool(&id(), data, metadata).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{}", error.report());
    }
    // More than a block device, and more metadata than a pool uses.
    let error = backend.extend_thin_pool(&id(), None, Some(mib(1 << 15))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{}", error.report());
    let error = pool.grow_volume(&vol("old"), mib(1 << 12)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{}", error.report());
    assert_eq!(lab.group(), before);
}

#[test]
fn a_device_that_somebody_has_open_is_busy() {
    let (lab, pool) = published();
    let key = Source::Volume(vol("old"));
    let device = pool.publish(&PublishSpec::new(key.clone())).unwrap().into_inner();
    let io = lab.dm.open(&device.device, DeviceAccess::Direct(OpenMode::Read)).unwrap();
    for answer in [pool.unpublish(&key).map(drop), pool.remove_volume(&vol("old")).map(drop)] {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Busy);
    }
    drop(io);
    assert!(pool.unpublish(&key).unwrap().changed());
}
