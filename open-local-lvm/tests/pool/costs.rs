//! A change of one volume asks the kernel about this one and its pool, however many are active.

use std::sync::Arc;

use open_local_core::host::Unchecked;
use open_local_core::{
    Backend, Pool, PoolExt, PublishSpec, Result, Sectors, SnapshotSpec, Source, VolumeId,
    VolumeSpec,
};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, Udev};
use open_local_lvm::format::group::SegmentKind;
use open_local_lvm::format::id::LvmId;

use crate::lab::{Lab, id, mib};

/// Most calls of device-mapper that a change may take.
const MOST: u64 = 64;
/// Volumes that are active beside the one that is changed.
const NEIGHBOURS: u32 = 500;

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn start() -> Lab {
    let lab = Lab::new(&[96]);
    let spec = Lab::spec(&["sda"])
        .with_overcommit(open_local_core::Ratio::from_percent(100_000))
        .with_parameter("mode", "thin")
        .with_parameter("extent-size", "64KiB")
        .with_parameter("data-size", "32MiB")
        .with_parameter("metadata-size", "16MiB");
    let backend = lab.live(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&spec).unwrap();
    let pool = backend.open_pool(&id()).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("one"), mib(1))).unwrap();
    lab
}

/// Adds active volumes as if they had been made and published one by one.
fn crowd(lab: &Lab) {
    lab.change("vg", |group| {
        let model = group.logical("one").unwrap().clone();
        for number in 0..NEIGHBOURS {
            let mut lv = model.clone();
            lv.name = format!("n{number}");
            let mut random = [0; 32];
            // Each byte gives one of 62 characters.
            (random[0], random[1]) =
                (u8::try_from(number % 62).unwrap(), u8::try_from(number / 62).unwrap());
            lv.id = LvmId::from_random(random);
            lv.tags.retain(|tag| !tag.contains("/id="));
            if let SegmentKind::Thin(thin) = &mut lv.segments[0].kind {
                thin.device_id = 100 + number;
            }
            group.logical_volumes.push(lv);
        }
    });
    let tpool = |info: &open_local_lvm::dm::DmListed| {
        info.uuid.as_ref().is_some_and(|uuid| uuid.ends_with("-tpool"))
    };
    let tpool = lab.dm.list().unwrap().into_iter().find(tpool).unwrap().number;
    let group = lab.group();
    for number in 0..NEIGHBOURS {
        let name = format!("n{number}");
        let id = 100 + number;
        let text = format!("create_thin {id}");
        lab.dm.message(&DmId::Number(tpool), Sectors::ZERO, &text).unwrap();
        let lv = group.logical(&name).unwrap().id;
        let uuid = format!("LVM-{}{}", group.id.to_plain(), lv.to_plain());
        lab.dm.create(&format!("vg-{name}"), &uuid).unwrap();
        let device = DmId::uuid(uuid);
        let table = format!("0 2048 thin {tpool} {id}");
        lab.dm.load(&device, &table.parse().unwrap(), false).unwrap();
        lab.dm.resume(&device, SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
    }
}

type Act = fn(&dyn Pool) -> Result<()>;

const ACTS: [(&str, Act); 8] = [
    ("publish", |pool| pool.publish(&PublishSpec::new(vol("one"))).map(drop)),
    ("extend published volume", |pool| pool.grow_volume(&vol("one"), mib(2)).map(drop)),
    ("snapshot of published volume", |pool| {
        let spec = SnapshotSpec::new("s".parse()?, vol("one"));
        pool.require_snapshots()?.ensure_snapshot(&spec).map(drop)
    }),
    ("create volume", |pool| pool.ensure_volume(&VolumeSpec::new(vol("two"), mib(1))).map(drop)),
    ("unpublish", |pool| pool.unpublish(&Source::Volume(vol("one"))).map(drop)),
    ("roll back", |pool| pool.require_snapshots()?.roll_back(&vol("one"), &"s".parse()?).map(drop)),
    ("extend", |pool| pool.grow_volume(&vol("one"), mib(3)).map(drop)),
    ("remove volume", |pool| pool.remove_volume(&vol("two")).map(drop)),
];

fn calls(lab: &Lab) -> Vec<u64> {
    let pool = lab.live(Arc::new(Unchecked)).open_pool(&id()).unwrap();
    let count = |(name, act): &(&str, Act)| {
        let before = lab.dm.calls();
        act(pool.as_ref()).unwrap_or_else(|error| panic!("{name}: {}", error.report()));
        lab.dm.calls() - before
    };
    ACTS.iter().map(count).collect()
}

#[test]
fn a_change_takes_as_many_calls_with_500_active_volumes_as_with_none() {
    let alone = start();
    let crowded = alone.fork(1);
    crowd(&crowded);
    let (alone, crowded) = (calls(&alone), calls(&crowded));
    for (n, (name, _)) in ACTS.iter().enumerate() {
        println!("{name}: {} calls, {} with {NEIGHBOURS} active", alone[n], crowded[n]);
        assert_eq!(alone[n], crowded[n], "{name}");
        assert!(alone[n] <= MOST, "{name}: {} calls", alone[n]);
    }
}
