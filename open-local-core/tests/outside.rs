//! What another crate needs: every type a backend of somebody else has to return can be built
//! there, and crosses threads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fmt::Debug;
use std::time::SystemTime;

use open_local_core::*;

fn value<T: Debug + Clone + PartialEq + Send + Sync + 'static>(value: T) -> T {
    assert_eq!(value, value.clone());
    value
}

/// Everything the traits `Backend` and `Pool` answer.
#[test]
fn a_backend_can_build_all_it_has_to_answer() {
    let (pool, volume): (PoolId, VolumeId) = ("p".parse().unwrap(), "v".parse().unwrap());
    let number = DeviceNumber::new(240, 7);
    let capacity = Capacity::new(Bytes::GIB, Bytes::MIB, Bytes::MIB, Bytes::ZERO)
        .with_available(Bytes::MIB, Bytes::MIB)
        .with_thick(Bytes::KIB, Bytes::KIB);
    let mut info = PoolInfo::new("mine", PoolSpec::new(pool), value(capacity));
    info.health = value(Health::Degraded("a disk is slow".to_owned()));
    info.details.insert("group".to_owned(), "vg0".to_owned());
    let info = value(info);

    let device = Attachment::new(volume.clone(), "/dev/mine7", number, Bytes::new(4096));
    let mut shown = VolumeInfo::new(volume.clone(), Bytes::GIB, Provisioning::Thick);
    shown.attachment = Some(value(device.with_read_only(true)));
    shown.phase = value(Phase::Erasing(Ratio::from_percent(50)));
    shown.allocated = Some(Bytes::MIB);
    shown.tags.insert("team".to_owned(), "storage".to_owned());
    let shown = value(shown);

    let can = Capabilities::MINIMAL.with_grow_online(true).with_clones(CopyMethod::FullCopy);
    assert!(value(can).grow_online);
    assert!(value(Ensured::Created(info)).changed());
    assert!(!value(Grown::AlreadyLarge(shown.clone())).changed());
    assert!(value(Removed::Removed(shown)).changed());
    let plan = Plan::new(Subject::from(&volume), ["map it"]);
    assert_eq!(value(plan).steps().len(), 1);
    let token = FormatToken::Started { kind: FsKind::Xfs, uuid: Uuid::from_bytes([7; 16]) };
    assert_ne!(value(token), FormatToken::Spent);
    let cause = std::io::Error::other("the other end hung up");
    let error = Error::from_io(Op::Publish, &volume, "can't ask the target", cause);
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[cfg(feature = "snapshot")]
#[test]
fn snapshots_can_be_built() {
    let (id, volume) = ("s".parse().unwrap(), "v".parse().unwrap());
    let mut info = SnapshotInfo::new(id, volume, Bytes::GIB, SystemTime::UNIX_EPOCH);
    info.writable = true;
    info.health = Health::Failed("its store is full".to_owned());
    assert!(value(info).writable);
}

#[cfg(feature = "thin")]
#[test]
fn thin_figures_and_policies_can_be_built() {
    let usage =
        ThinUsage::new(Bytes::GIB, Bytes::MIB, Bytes::MIB).with_metadata(Bytes::MIB, Bytes::KIB);
    let policy = ThinPolicy::default()
        .with_overcommit(Ratio::from_percent(200))
        .with_stop_at(Ratio::from_percent(90))
        .with_when_full(FullPolicy::Queue);
    assert!(value(policy).available(&value(usage), Bytes::ZERO) > Bytes::GIB);
}

#[cfg(feature = "fs")]
#[test]
fn answers_of_file_systems_can_be_built() {
    use open_local_core::fs::{FsIdentity, FsUsage, Mounted, Probe, Signature};

    let uuid = Uuid::from_bytes([7; 16]);
    let mut identity = FsIdentity::new(FsKind::Ext4, uuid);
    identity.label = Some("data".to_owned());
    let signature = Signature::new("ext4", 1080)
        .with_kind(FsKind::Ext4)
        .with_uuid(Some(uuid))
        .with_label(Some("data".to_owned()));
    let probe = Probe::of(vec![value(signature)]);
    assert_eq!(value(probe), Probe::Filesystem(value(identity)));
    let mut mounted = Mounted::new("/mnt", DeviceNumber::new(7, 0), "/dev/loop0", "ext4");
    mounted.read_only = true;
    assert!(value(mounted).read_only);
    let usage = FsUsage::new(Bytes::GIB, Bytes::MIB, Bytes::MIB).with_inodes(10, 1);
    assert_eq!(value(usage).inodes, 10);
}

#[cfg(feature = "throttle")]
#[test]
fn answers_of_limits_can_be_built() {
    use open_local_core::throttle::{CgroupTarget, IoLimits, LimitState, Reconciled, Support};

    let limits = IoLimits::none().with_read_bps(BytesPerSec::new(1 << 20));
    let state = LimitState::wished(limits, Support::Full).carried(limits, 2);
    assert_eq!(value(state).cgroups, 2);
    let mut done = Reconciled::default();
    done.wishes = 1;
    assert_eq!(value(done).wishes, 1);
    assert!(CgroupTarget::new("kubepods/pod1").is_ok());
}

/// Handles are shared between threads, whatever is behind them.
#[test]
fn handles_cross_threads() {
    fn check<T: ?Sized + Debug + Send + Sync>() {}
    check::<dyn Backend>();
    check::<dyn Pool>();
    check::<dyn FormatTokens>();
    check::<Registry>();
    check::<host::Host>();
    check::<Error>();
    #[cfg(feature = "file")]
    check::<file::FileBackend>();
    #[cfg(feature = "fs")]
    check::<fs::HostFilesystems>();
    #[cfg(feature = "throttle")]
    check::<throttle::HostThrottle>();
    #[cfg(feature = "sim")]
    check::<sim::SimBackend>();
    #[cfg(feature = "sim")]
    check::<sim::Machine>();
}
