//! What others have in the group of a pool, and in the thin pool itself: it stays as it is.

use std::sync::{Arc, Mutex};

use open_local_core::host::{Checkpoints, DeviceAccess, Devices, OpenMode, Unchecked};
use open_local_core::{
    Backend, Error, ErrorKind, Op, Pool, PoolExt, PublishSpec, Result, Sectors, SnapshotSpec,
    Source, Subject, VolumeId, VolumeSource, VolumeSpec,
};
use open_local_lvm::dm::{DeviceMapper, DmId, MessageError, SuspendFlags, Udev};
use open_local_lvm::format::group::{SegmentKind, VolumeGroup};

use crate::lab::{Lab, id, mib};

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn open(lab: &Lab) -> Arc<dyn Pool> {
    lab.live(Arc::new(Unchecked)).open_pool(&id()).unwrap()
}

fn thin() -> Lab {
    let lab = Lab::new(&[64]);
    let spec = Lab::spec(&["sda"])
        .with_parameter("mode", "thin")
        .with_parameter("extent-size", "64KiB")
        .with_parameter("data-size", "8MiB");
    let _ = lab.live(Arc::new(Unchecked)).ensure_pool(&spec).unwrap();
    let _ = open(&lab).ensure_volume(&VolumeSpec::new(vol("old"), mib(1))).unwrap();
    lab
}

fn make(lab: &Lab, name: &str) {
    let _ = open(lab).ensure_volume(&VolumeSpec::new(vol(name), mib(1))).unwrap();
}

fn suspend(lab: &Lab, name: &str) {
    lab.dm.suspend(&DmId::name(name), SuspendFlags::QUICK).unwrap();
}

#[test]
fn the_sweep_at_the_start_lets_go_what_is_ours_and_nothing_else() {
    let lab = thin();
    make(&lab, "theirs");
    for name in ["old", "theirs"] {
        let _ = open(&lab).publish(&PublishSpec::new(vol(name))).unwrap();
    }
    lab.change("vg", |group| group.logical_mut("theirs").unwrap().tags.clear());
    suspend(&lab, "vg-old");
    suspend(&lab, "vg-theirs");
    // Half made by somebody: it has a table that is not in force.
    let theirs = DmId::name("vg-theirs");
    let table = lab.dm.table(&theirs).unwrap();
    lab.dm.load(&theirs, &table, false).unwrap();
    let pool = open(&lab);
    assert_eq!(lab.dm.suspended(), ["vg-theirs"]);
    assert!(lab.dm.info(&theirs).unwrap().unwrap().inactive_table);
    let info = pool.info().unwrap();
    assert_eq!(info.details["suspended-by-others"], "vg-theirs");
    // Nor does any later call touch it.
    make(&lab, "new");
    assert!(pool.unpublish(&Source::Volume(vol("old"))).unwrap().changed());
    assert_eq!(lab.dm.suspended(), ["vg-theirs"]);
    let told = lab.dm.log().into_iter().filter(|line| line.contains("resume vg-theirs"));
    assert_eq!(told.count(), 0);
    // Until its owner lets it go.
    lab.dm.resume(&theirs, SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
    assert!(!pool.info().unwrap().details.contains_key("suspended-by-others"));
}

#[test]
fn the_layers_of_a_thin_pool_of_ours_are_let_go_and_those_of_another_are_not() {
    let lab = thin();
    let _ = open(&lab).publish(&PublishSpec::new(vol("old"))).unwrap();
    suspend(&lab, "vg-old");
    suspend(&lab, "vg-pool-tpool");
    suspend(&lab, "vg-pool_tdata");
    let foreign = lab.fork(1);
    let _ = open(&lab);
    assert!(lab.dm.suspended().is_empty(), "{:?}", lab.dm.suspended());
    // The same pool without our mark, and its volume without it too.
    foreign.change("vg", |group| {
        for lv in &mut group.logical_volumes {
            lv.tags.clear();
        }
    });
    let _ = foreign.live(Arc::new(Unchecked)).open_pool(&id());
    assert_eq!(foreign.dm.suspended().len(), 3);
}

/// The device of the thin pool that volumes use.
fn pool_device(lab: &Lab) -> DmId {
    let uuid = |number| lab.dm.info(&DmId::Number(number)).unwrap().unwrap().uuid;
    let mut numbers = lab.dm.list().unwrap().into_iter().map(|device| device.number);
    DmId::Number(numbers.find(|number| uuid(*number).ends_with("-tpool")).unwrap())
}

/// Makes a device in the thin pool that the group knows nothing of, with content.
fn stranger(lab: &Lab, number: u32) {
    let say = |text: String| lab.dm.message(&pool_device(lab), Sectors::ZERO, &text);
    say(format!("create_thin {number}")).unwrap();
    let pool = lab.dm.number(&pool_device(lab)).unwrap();
    let name = format!("stranger-{number}");
    let device = DmId::name(&name);
    let made = lab.dm.create(&name, &format!("STRANGER-{number}")).unwrap();
    let table = format!("0 128 thin {pool} {number}");
    lab.dm.load(&device, &table.parse().unwrap(), false).unwrap();
    lab.dm.resume(&device, SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let io = lab.dm.open_number(made.number, access).unwrap();
    io.write_at(0, &[9; 65536]).unwrap();
    io.flush().unwrap();
    drop(io);
    lab.dm.remove(&device, Udev::NO_UDEV).unwrap();
}

/// What is left of it.
fn still_there(lab: &Lab, number: u32) -> bool {
    let copy = format!("create_snap {number} {number}");
    let answer = lab.dm.message(&pool_device(lab), Sectors::ZERO, &copy);
    matches!(answer, Err(MessageError::Exists(_)))
}

fn numbers(group: &VolumeGroup) -> Vec<u32> {
    let segments = group.logical_volumes.iter().flat_map(|lv| &lv.segments);
    let thin = segments.filter_map(|segment| match &segment.kind {
        SegmentKind::Thin(thin) => Some(thin.device_id),
        _ => None,
    });
    thin.collect()
}

fn first_byte(lab: &Lab, name: &str) -> u8 {
    let pool = open(lab);
    let key = Source::Volume(vol(name));
    let device = pool.publish(&PublishSpec::new(key.clone())).unwrap().into_inner();
    let io = lab.dm.open(&device.device, DeviceAccess::Direct(OpenMode::Read)).unwrap();
    let mut bytes = vec![0; 4096];
    io.read_at(0, &mut bytes).unwrap();
    drop(io);
    assert!(pool.unpublish(&key).unwrap().changed());
    bytes[0]
}

#[test]
fn a_device_that_the_group_knows_nothing_of_is_neither_deleted_nor_taken() {
    let start = thin();
    let _ = open(&start)
        .require_snapshots()
        .unwrap()
        .ensure_snapshot(&SnapshotSpec::new("s".parse().unwrap(), vol("old")))
        .unwrap();
    // 1 is the volume, 2 its snapshot.
    for number in [3, 4, 6] {
        stranger(&start, number);
    }
    type Act = fn(&dyn Pool) -> Result<()>;
    let acts: [Act; 4] = [
        |pool| pool.ensure_volume(&VolumeSpec::new(vol("new"), mib(1))).map(drop),
        |pool| {
            let spec =
                VolumeSpec::new(vol("new"), mib(1)).from_source(VolumeSource::Volume(vol("old")));
            pool.ensure_volume(&spec).map(drop)
        },
        |pool| {
            let spec = SnapshotSpec::new("t".parse()?, vol("old"));
            pool.require_snapshots()?.ensure_snapshot(&spec).map(drop)
        },
        |pool| pool.require_snapshots()?.roll_back(&vol("old"), &"s".parse()?).map(drop),
    ];
    for (n, act) in acts.into_iter().enumerate() {
        let lab = start.fork(u64::try_from(n).unwrap());
        act(open(&lab).as_ref()).unwrap();
        for number in [3, 4, 6] {
            assert!(still_there(&lab, number), "act {n}: {number} is gone");
        }
        assert!(numbers(&lab.group()).contains(&5), "act {n}: {:?}", numbers(&lab.group()));
        // Whatever comes later leaves them too.
        make(&lab, "later");
        assert!(open(&lab).remove_volume(&vol("later")).unwrap().changed());
        assert!(still_there(&lab, 6), "act {n}");
        assert_eq!(first_byte(&lab, "old"), 0);
    }
}

/// Somebody makes devices while a call of ours is under way.
#[derive(Debug)]
struct Meddler {
    step: &'static str,
    lab: Lab,
    number: Mutex<Option<u32>>,
}

impl Checkpoints for Meddler {
    fn before(&self, _: Op, _: &Subject, step: &str) -> Result<()> {
        if step == self.step
            && let Some(number) = self.number.lock().unwrap().take()
        {
            stranger(&self.lab, number);
        }
        Ok(())
    }
}

#[test]
fn a_device_that_somebody_makes_meanwhile_is_not_deleted_either() {
    let lab = thin();
    let number = Mutex::new(Some(2));
    let meddler = Arc::new(Meddler { step: "create_thin 2", lab: lab.clone(), number });
    let pool = lab.live(meddler.clone()).open_pool(&id()).unwrap();
    assert!(pool.ensure_volume(&VolumeSpec::new(vol("new"), mib(1))).unwrap().changed());
    assert!(meddler.number.lock().unwrap().is_none(), "nothing was meddled with");
    assert!(still_there(&lab, 2));
    assert_eq!(numbers(&lab.group()), [1, 3]);
    assert_eq!(first_byte(&lab, "new"), 0);
    assert!(lab.leaks().is_empty(), "{:?}", lab.leaks());
}

#[test]
fn a_transaction_that_lvm2_began_is_finished_with_the_device_it_made() {
    let lab = thin();
    make(&lab, "theirs");
    stranger(&lab, 3);
    // As lvm2 leaves it when it is killed between its message and the count.
    lab.change("vg", |group| {
        let volume = group.logical_mut("theirs").unwrap();
        volume.tags.clear();
        for segment in &mut volume.segments {
            if let SegmentKind::Thin(thin) = &mut segment.kind {
                thin.device_id = 3;
            }
        }
        for segment in &mut group.logical_mut("pool").unwrap().segments {
            if let SegmentKind::ThinPool(pool) = &mut segment.kind {
                pool.transaction_id += 1;
                pool.messages = vec![open_local_lvm::format::group::ThinMessage::Create {
                    lv: "theirs".into(),
                }];
            }
        }
    });
    make(&lab, "new");
    assert!(still_there(&lab, 3));
    assert_eq!(numbers(&lab.group()), [1, 3, 4]);
    let messages = lab.dm.log().into_iter().filter(|line| line.contains("delete 3"));
    assert_eq!(messages.count(), 0);
}

/// Somebody makes a device of the number that a call of ours is about to tell the thin pool, and
/// the call is killed so many steps later.
#[derive(Debug)]
struct Killed {
    meddler: Meddler,
    left: Mutex<u32>,
}

impl Checkpoints for Killed {
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        if self.meddler.number.lock().unwrap().is_some() {
            return self.meddler.before(op, subject, step);
        }
        let mut left = self.left.lock().unwrap();
        if *left == 0 {
            return Err(Error::new(ErrorKind::Indeterminate, op, subject.clone(), "killed"));
        }
        *left -= 1;
        Ok(())
    }
}

#[test]
fn a_device_of_a_stranger_stays_wherever_the_call_that_met_it_is_killed() {
    let start = thin();
    type Act = fn(&dyn Pool) -> Result<()>;
    let acts: [(&'static str, Act); 2] = [
        ("create_thin 2", |pool| {
            pool.ensure_volume(&VolumeSpec::new(vol("new"), mib(1))).map(drop)
        }),
        ("create_snap 2 1", |pool| {
            let spec = SnapshotSpec::new("new".parse()?, vol("old"));
            pool.require_snapshots()?.ensure_snapshot(&spec).map(drop)
        }),
    ];
    for (step, act) in acts {
        let mut cuts = 0;
        for left in 0..40 {
            let lab = start.fork(u64::from(left));
            let meddler = Meddler { step, lab: lab.clone(), number: Mutex::new(Some(2)) };
            let killed = Arc::new(Killed { meddler, left: Mutex::new(left) });
            let pool = lab.live(killed.clone()).open_pool(&id()).unwrap();
            let answer = act(pool.as_ref());
            assert!(killed.meddler.number.lock().unwrap().is_none(), "nothing was meddled with");
            act(open(&lab).as_ref()).unwrap();
            assert!(still_there(&lab, 2), "{step}, killed after {left} steps");
            assert_eq!(first_byte_of(&lab, 2), 9, "{step}, killed after {left} steps");
            assert!(!numbers(&lab.group())[1..].contains(&2));
            let details = open(&lab).info().unwrap().details;
            assert!(details["unknown-devices"].starts_with('2'), "{details:?}");
            if answer.is_ok() {
                break;
            }
            cuts += 1;
        }
        assert!((3..40).contains(&cuts), "{step}: {cuts} cuts");
    }
}

/// The first byte of a device that the group knows nothing of.
fn first_byte_of(lab: &Lab, number: u32) -> u8 {
    let pool = lab.dm.number(&pool_device(lab)).unwrap();
    let device = DmId::name("look");
    let made = lab.dm.create("look", "LOOK").unwrap();
    let table = format!("0 128 thin {pool} {number}");
    lab.dm.load(&device, &table.parse().unwrap(), false).unwrap();
    lab.dm.resume(&device, SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
    let io = lab.dm.open_number(made.number, DeviceAccess::Direct(OpenMode::Read)).unwrap();
    let mut bytes = vec![0; 4096];
    io.read_at(0, &mut bytes).unwrap();
    drop(io);
    lab.dm.remove(&device, Udev::NO_UDEV).unwrap();
    bytes[0]
}

#[test]
fn counts_that_somebody_lowered_delete_no_volume_with_data() {
    let lab = thin();
    make(&lab, "new");
    let key = Source::Volume(vol("new"));
    let pool = open(&lab);
    let device = pool.publish(&PublishSpec::new(key.clone())).unwrap().into_inner();
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let io = lab.dm.open(&device.device, access).unwrap();
    io.write_at(0, &[7; 65536]).unwrap();
    io.flush().unwrap();
    drop(io);
    assert!(pool.unpublish(&key).unwrap().changed());
    lab.dm.message(&pool_device(&lab), Sectors::ZERO, "set_transaction_id 2 1").unwrap();
    let _ = lab.live(Arc::new(Unchecked)).open_pool(&id());
    assert!(still_there(&lab, 2));
    assert_eq!(first_byte_of(&lab, 2), 7);
}
