//! What may happen to a pool of the `raw` backend beside a cut: disks that vanish, change names,
//! grow, lie, refuse, are copies of each other or are used by somebody else; records that are
//! damaged; calls that ask for what can't be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "raw/lab.rs"]
mod lab;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lab::{Lab, UNIT, pool_id, volume, wwid};
use open_local_core::host::{Checkpoints, Files, OpenMode};
use open_local_core::sim::{SimDiscard, SimDisks};
use open_local_core::{
    Backend, Bytes, Error, ErrorKind, FormatToken, Health, Op, Phase, Pool, PoolExt, PoolId,
    PoolSpec, PublishSpec, Ratio, Result, Subject, VolumeSpec,
};

const OLD: u64 = 3 * UNIT;

fn lab() -> Lab {
    Lab::filled(0, "zero")
}

fn new(size: u64) -> VolumeSpec {
    VolumeSpec::new(volume("new"), Bytes::new(size))
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind, words: &[&str]) -> Error {
    let error = result.map(drop).unwrap_err();
    let said = error.report().to_string();
    assert_eq!(error.kind(), kind, "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(error.remedy().is_some(), "no remedy: {said}");
    error
}

fn available(pool: &dyn Pool) -> u64 {
    pool.info().unwrap().capacity.available.get()
}

/// Puts the magic number of an ext4 on a disk.
fn sign(lab: &Lab, name: &str) {
    let content = lab.disks.content(name, OpenMode::ReadWrite).unwrap();
    content.write_at(1080, &[0x53, 0xEF]).unwrap();
    content.flush().unwrap();
}

/// The files of the pool's places.
fn records(lab: &Lab) -> Vec<PathBuf> {
    let paths = lab.files.paths();
    paths.into_iter().filter(|p| p.extension().is_some_and(|e| e == "meta")).collect()
}

#[test]
fn a_disk_is_known_by_who_it_is_and_not_by_its_path() {
    let lab = lab();
    lab.disks.swap("sda", "sdb").unwrap();
    let pool = lab.open().unwrap();
    let at = pool.publish(&PublishSpec::new(volume("old"))).unwrap().into_inner();
    assert_eq!(at.device, Path::new("/dev/sdb"));
    let _ = pool.unpublish(&volume("old").into()).unwrap();
    // The free one has the name now that the volume's had: it is the one that is given.
    let made = pool.ensure_volume(&new(UNIT)).unwrap().into_inner();
    let at = pool.publish(&PublishSpec::new(made.id)).unwrap().into_inner();
    assert_eq!(at.device, Path::new("/dev/sda"));
    let _ = pool.remove_volume(&volume("old")).unwrap();
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sdb"), format!("{OLD}x0"));
    assert_eq!(lab.content("sdx"), format!("{OLD}x7"));
}

#[test]
fn a_disk_that_is_away_is_an_error_and_is_erased_when_it_is_back() {
    let lab = lab();
    lab.disks.unplug("sda").unwrap();
    let pool = lab.open().unwrap();
    refused(pool.publish(&PublishSpec::new(volume("old"))), ErrorKind::NotFound, &["naa.sda"]);
    refused(pool.grow_volume(&volume("old"), Bytes::new(9 * UNIT)), ErrorKind::NotFound, &[]);
    let tokens = pool.format_tokens().unwrap();
    refused(tokens.format_token(&volume("old")), ErrorKind::NotFound, &[]);
    refused(
        pool.ensure_volume(&VolumeSpec::new(volume("old"), Bytes::new(UNIT))),
        ErrorKind::NotFound,
        &[],
    );
    let info = pool.volume(&volume("old")).unwrap();
    assert!(matches!(info.health, Health::Failed(_)), "{info:?}");
    assert!(matches!(pool.info().unwrap().health, Health::Degraded(_)));
    // The pool asked for again by the same names is no error for that.
    let again = Lab::spec(&["sda", "sdb", "sdc"]).with_parameter("erase", "zero");
    assert!(!lab.backend().ensure_pool(&again).unwrap().changed());
    let _ = pool.remove_volume(&volume("old")).unwrap();
    refused(pool.maintain(Bytes::MAX), ErrorKind::NotFound, &["naa.sda"]);
    assert_eq!(pool.info().unwrap().capacity.used, Bytes::new(OLD));
    // Another disk in its slot is not taken for it.
    lab.disks.set_wwid("sda", Some("naa.stranger")).unwrap();
    lab.disks.plug("sda").unwrap();
    refused(pool.maintain(Bytes::MAX), ErrorKind::NotFound, &["naa.sda"]);
    assert_eq!(lab.content("sda"), format!("{OLD}x5"));
    lab.disks.set_wwid("sda", Some(&wwid("sda"))).unwrap();
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), format!("{OLD}x0"));
    assert_eq!(available(pool.as_ref()), 12 * UNIT);
}

#[test]
fn what_became_somebody_elses_is_not_claimed() {
    let partition_table = |lab: &Lab| {
        let content = lab.disks.content("sdb", OpenMode::ReadWrite).unwrap();
        content.write_at(446, &[0x80, 0, 2, 0, 0x83, 1, 1, 1, 0, 8, 0, 0, 0, 64, 0, 0]).unwrap();
        content.write_at(510, &[0x55, 0xaa]).unwrap();
    };
    type Spoil<'a> = (&'a dyn Fn(&Lab), ErrorKind, &'a str);
    let cases: [Spoil<'_>; 6] = [
        (&|lab| sign(lab, "sdb"), ErrorKind::Refused, "ext"),
        (&partition_table, ErrorKind::Refused, "partition"),
        (&|lab| lab.disks.hold("sdb").unwrap(), ErrorKind::Busy, "claimed"),
        (&|lab| lab.disks.set_writers("sdb", &["dd (pid 7)"]).unwrap(), ErrorKind::Busy, "dd"),
        (&|lab| lab.disks.set_unreadable("sdb", Some(5)).unwrap(), ErrorKind::Io, "os error 5"),
        (
            &|lab| {
                let line = b"9 1 8:16 / /mnt/b rw - ext4 /dev/sdb rw\n";
                lab.files.add_file("/proc/self/mountinfo", line).unwrap();
            },
            ErrorKind::Busy,
            "/mnt/b",
        ),
    ];
    for (spoil, kind, word) in cases {
        let lab = lab();
        spoil(&lab);
        let before = lab.content("sdb");
        let pool = lab.open().unwrap();
        // There is another one that is large enough.
        let made = pool.ensure_volume(&new(UNIT)).unwrap().into_inner();
        assert_eq!(made.size, Bytes::new(6 * UNIT), "{word}");
        let second = VolumeSpec::new(volume("second"), Bytes::new(UNIT));
        refused(pool.ensure_volume(&second), kind, &[word, "volume second"]);
        assert_eq!(pool.volumes().unwrap().len(), 2, "{word}");
        assert_eq!(lab.content("sdb"), before, "{word}");
    }
}

/// Does something once, before the first step with this text.
struct Before<F>(&'static str, Mutex<Option<F>>);

impl<F> std::fmt::Debug for Before<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl<F: FnOnce() + Send> Checkpoints for Before<F> {
    fn before(&self, _op: Op, _subject: &Subject, step: &str) -> Result<()> {
        let act = step.contains(self.0).then(|| self.1.lock().unwrap().take());
        if let Some(Some(act)) = act {
            act();
        }
        Ok(())
    }
}

#[test]
fn what_changes_between_the_look_and_the_claim_is_not_claimed() {
    type Spoil = fn(&SimDisks);
    let (refusal, large) = (ErrorKind::Refused, 6 * UNIT);
    let cases: [(Spoil, ErrorKind, u64); 4] = [
        (|disks| disks.unplug("sdb").unwrap(), ErrorKind::NotFound, large),
        (|disks| disks.resize("sdb", Bytes::new(4 * UNIT)).unwrap(), refusal, large),
        // It is found under its other name by the next call.
        (|disks| disks.swap("sdb", "sdx").unwrap(), refusal, OLD),
        (|disks| disks.set_wwid("sdb", Some("naa.other")).unwrap(), refusal, large),
    ];
    for (spoil, kind, size) in cases {
        let lab = lab();
        let pool = |step| {
            let disks = lab.disks.clone();
            let act: Box<dyn FnOnce() + Send> = Box::new(move || spoil(&disks));
            let before = Before(step, Mutex::new(Some(act)));
            let host = lab.host().with_checkpoints(Arc::new(before));
            lab.backend_on(host).open_pool(&pool_id()).unwrap()
        };
        // The one that is left is large enough; where it is not, the reason is told.
        let small = new(UNIT).with_limit(Bytes::new(OLD));
        refused(pool("prove").ensure_volume(&small), kind, &["volume new"]);
        let made = lab.open().unwrap().ensure_volume(&new(UNIT)).unwrap().into_inner();
        assert_eq!(made.size, Bytes::new(size), "{kind}");
        assert_eq!(lab.open().unwrap().volumes().unwrap().len(), 2, "{kind}");
    }
}

#[test]
fn a_disk_whose_size_changed_is_left_alone_until_somebody_takes_it_so() {
    let lab = lab();
    let names = ["sda", "sdb", "sdc"];
    let again = || lab.backend().ensure_pool(&Lab::spec(&names).with_parameter("erase", "zero"));
    lab.disks.resize("sdb", Bytes::new(5 * UNIT)).unwrap();
    lab.fill("sdb", OLD, 5 * UNIT, 9);
    let pool = lab.open().unwrap();
    assert_eq!(available(pool.as_ref()), 6 * UNIT);
    assert!(matches!(pool.info().unwrap().health, Health::Degraded(_)));
    assert!(again().unwrap().changed());
    // What was added is erased before anybody gets it.
    assert_eq!(available(pool.as_ref()), 6 * UNIT);
    let _ = pool.maintain_all().unwrap();
    assert_eq!(available(pool.as_ref()), 11 * UNIT);
    assert_eq!(lab.content("sdb"), format!("{}x0", 5 * UNIT));
    // Changed between the order to erase it and the erasing.
    let _ = pool.remove_volume(&volume("old")).unwrap();
    lab.disks.resize("sda", Bytes::new(4 * UNIT)).unwrap();
    refused(pool.maintain(Bytes::MAX), ErrorKind::Refused, &["256KiB", "192KiB"]);
    assert!(lab.content("sda").starts_with(&format!("{OLD}x5")));
    assert!(again().unwrap().changed());
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), format!("{}x0", 4 * UNIT));
    // Shrunk under a volume.
    let _ = pool.ensure_volume(&new(4 * UNIT)).unwrap();
    lab.disks.resize("sda", Bytes::new(2 * UNIT)).unwrap();
    refused(pool.publish(&PublishSpec::new(volume("new"))), ErrorKind::Corrupt, &["128KiB"]);
    assert!(!again().unwrap().changed(), "a volume's place was taken smaller");
}

#[test]
fn what_the_volume_never_grew_into_is_erased_too() {
    let lab = lab();
    lab.disks.resize("sda", Bytes::new(5 * UNIT)).unwrap();
    lab.fill("sda", OLD, 5 * UNIT, 8);
    let pool = lab.open().unwrap();
    let _ = pool.remove_volume(&volume("old")).unwrap();
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), format!("{}x0", 5 * UNIT));
}

#[test]
fn two_that_say_they_are_the_same_are_both_left_alone() {
    let lab = lab();
    lab.disks.set_wwid("sdx", Some(&wwid("sda"))).unwrap();
    let pool = lab.open().unwrap();
    let both = ["/dev/sda", "/dev/sdx"];
    refused(pool.publish(&PublishSpec::new(volume("old"))), ErrorKind::Refused, &both);
    let _ = pool.remove_volume(&volume("old")).unwrap();
    refused(pool.maintain(Bytes::MAX), ErrorKind::Refused, &both);
    assert_eq!(lab.content("sda"), format!("{OLD}x5"));
    assert_eq!(lab.content("sdx"), format!("{OLD}x7"));
    let more = Lab::spec(&["sdx"]).with_parameter("erase", "zero");
    refused(lab.backend().ensure_pool(&more), ErrorKind::Refused, &["naa.sda"]);
}

#[test]
fn one_disk_named_twice_is_refused_and_one_that_is_a_member_is_not_added_again() {
    let lab = lab();
    let twice = Lab::spec(&["sdx", "sdx"]).with_parameter("erase", "zero");
    refused(lab.backend().ensure_pool(&twice), ErrorKind::InvalidArgument, &["same device"]);
    let member = Lab::spec(&["sdc"]).with_parameter("erase", "zero");
    assert!(!lab.backend().ensure_pool(&member).unwrap().changed());
    let other = PoolSpec::new(PoolId::new("q").unwrap()).with_parameter("devices", "/dev/sdc");
    refused(lab.backend().ensure_pool(&other), ErrorKind::Refused, &["pool p"]);
    assert_eq!(lab.backend().list_pools().unwrap().len(), 1);
}

#[test]
fn a_disk_that_does_not_keep_what_is_written_never_becomes_free() {
    let lab = lab();
    lab.disks.set_stuck("sda", true).unwrap();
    let pool = lab.open().unwrap();
    let _ = pool.remove_volume(&volume("old")).unwrap();
    for _ in 0..3 {
        refused(pool.maintain(Bytes::MAX), ErrorKind::Io, &["byte 0"]);
    }
    assert!(matches!(pool.volumes().unwrap()[0].phase, Phase::Erasing(_)));
    assert_eq!(available(pool.as_ref()), 9 * UNIT);
}

#[test]
fn a_discard_that_breaks_its_promise_is_made_good_by_writing() {
    for discard in [SimDiscard::Refused, SimDiscard::Broken, SimDiscard::Zeroes] {
        let lab = Lab::filled(0, "discard");
        lab.disks.set_discard("sda", discard).unwrap();
        let pool = lab.open().unwrap();
        let _ = pool.remove_volume(&volume("old")).unwrap();
        let _ = pool.maintain_all().unwrap();
        assert_eq!(lab.content("sda"), format!("{OLD}x0"), "{discard:?}");
    }
}

#[test]
fn what_is_erased_is_proven_to_be_nobodys_each_time() {
    let lab = lab();
    let pool = lab.open().unwrap();
    lab.disks.hold("sda").unwrap();
    refused(pool.remove_volume(&volume("old")), ErrorKind::Busy, &["volume old"]);
    lab.disks.release("sda").unwrap();
    let _ = pool.remove_volume(&volume("old")).unwrap();
    lab.disks.hold("sda").unwrap();
    refused(pool.maintain(Bytes::MAX), ErrorKind::Busy, &["/dev/sda"]);
    lab.disks.release("sda").unwrap();
    lab.disks.set_read_only("sda", true).unwrap();
    refused(pool.maintain(Bytes::MAX), ErrorKind::Refused, &["refuses writes"]);
    lab.disks.set_read_only("sda", false).unwrap();
    assert_eq!(lab.content("sda"), format!("{OLD}x5"));
    // A file system on it is the volume's own.
    sign(&lab, "sda");
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), format!("{OLD}x0"));
}

#[test]
fn a_piece_is_no_larger_than_asked_for_and_is_not_done_twice() {
    let lab = lab();
    let pool = lab.open().unwrap();
    let _ = pool.remove_volume(&volume("old")).unwrap();
    let nothing = pool.maintain(Bytes::ZERO).unwrap();
    assert_eq!((nothing.done, nothing.left), (Bytes::ZERO, Bytes::new(OLD)));
    let first = pool.maintain(Bytes::new(1)).unwrap();
    assert_eq!((first.done.get(), first.left.get()), (UNIT, 2 * UNIT));
    assert_eq!(lab.content("sda"), format!("{UNIT}x0 {}x5", 2 * UNIT));
    // What is done is not read again.
    lab.fill("sda", 0, 512, 3);
    let rest = lab.open().unwrap().maintain_all().unwrap();
    assert_eq!(rest.done.get(), 2 * UNIT);
    assert_eq!(lab.content("sda"), format!("512x3 {}x0", OLD - 512));
}

#[test]
fn one_process_erases_a_place_and_others_leave_it_to_that() {
    let lab = lab();
    let pool = lab.open().unwrap();
    let _ = pool.remove_volume(&volume("old")).unwrap();
    let erasing = pool.volumes().unwrap()[0].id.to_string();
    let place = erasing.trim_start_matches(".erasing-");
    let lock = Path::new("/var/lib/open-local/raw/pools/p/locks").join(place);
    let held = lab.files.try_lock(&lock).unwrap().unwrap();
    let upkeep = pool.maintain(Bytes::MAX).unwrap();
    assert_eq!((upkeep.done, upkeep.left), (Bytes::ZERO, Bytes::new(OLD)));
    let leave = Lab::spec(&[]).with_parameter("erase", "zero").with_parameter("leave", "/dev/sda");
    refused(lab.backend().ensure_pool(&leave), ErrorKind::Busy, &["being erased"]);
    drop(held);
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), format!("{OLD}x0"));
    // Nobody can ask for its name.
    assert!(open_local_core::VolumeId::new(&erasing).is_err());
}

#[test]
fn a_disk_that_is_nobody_joins_only_by_name() {
    let lab = lab();
    lab.disks.set_wwid("sdx", None).unwrap();
    let spec = Lab::spec(&["sdx"]).with_parameter("erase", "zero");
    refused(lab.backend().ensure_pool(&spec), ErrorKind::Refused, &["allow-unidentified=/dev/sdx"]);
    let other = spec.clone().with_parameter("allow-unidentified", "/dev/sdb");
    refused(lab.backend().ensure_pool(&other), ErrorKind::Refused, &[]);
    let named = spec.with_parameter("allow-unidentified", "/dev/sdx");
    assert!(lab.backend().ensure_pool(&named).unwrap().changed());
    let pool = lab.open().unwrap();
    let _ = pool.maintain_all().unwrap();
    assert_eq!(available(pool.as_ref()), 12 * UNIT);
    // One that is somebody now is not the one that was nobody.
    lab.disks.set_wwid("sdx", Some("naa.new")).unwrap();
    assert_eq!(available(pool.as_ref()), 9 * UNIT);
}

#[test]
fn a_damaged_record_hides_no_volume_and_frees_no_disk() {
    let lab = lab();
    let of_old = |path: &&PathBuf| {
        let file = lab.files.open(path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.size().unwrap().to_usize().unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).contains("volume old")
    };
    let path = records(&lab).iter().find(of_old).unwrap().clone();
    lab.files.add_file(&path, b"nonsense").unwrap();
    let pool = lab.open().unwrap();
    let corrupt = ErrorKind::Corrupt;
    refused(pool.volume(&volume("old")), corrupt, &["restore"]);
    refused(pool.remove_volume(&volume("old")), corrupt, &[]);
    refused(pool.unpublish(&volume("old").into()), corrupt, &[]);
    refused(pool.ensure_volume(&new(UNIT)), corrupt, &[]);
    refused(lab.backend().remove_pool(&pool_id()), corrupt, &[]);
    let more = Lab::spec(&["sda"]).with_parameter("erase", "zero");
    refused(lab.backend().ensure_pool(&more), corrupt, &[]);
    let q = PoolSpec::new(PoolId::new("q").unwrap()).with_parameter("devices", "/dev/sda");
    refused(lab.backend().ensure_pool(&q), corrupt, &[]);
    assert!(matches!(pool.info().unwrap().health, Health::Degraded(_)));
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), format!("{OLD}x5"));
}

#[test]
fn read_only_is_set_again_after_a_reboot_has_forgotten_it() {
    let lab = lab();
    let spec = PublishSpec::new(volume("old")).read_only();
    let pool = lab.open().unwrap();
    assert!(pool.publish(&spec).unwrap().changed());
    assert!(!pool.publish(&spec).unwrap().changed());
    lab.disks.reboot();
    let info = pool.volume(&volume("old")).unwrap();
    assert!(matches!(info.health, Health::Degraded(_)), "{info:?}");
    assert!(pool.publish(&spec).unwrap().changed());
    assert_eq!(pool.volume(&volume("old")).unwrap().health, Health::Healthy);
    refused(pool.publish(&PublishSpec::new(volume("old"))), ErrorKind::Conflict, &["mode"]);
    refused(pool.remove_volume(&volume("old")), ErrorKind::Busy, &["published"]);
    let _ = pool.unpublish(&volume("old").into()).unwrap();
    // Somebody else's switch is nobody's here to turn.
    lab.disks.set_read_only("sda", true).unwrap();
    refused(pool.publish(&PublishSpec::new(volume("old"))), ErrorKind::Refused, &["setrw"]);
    let _ = pool.publish(&spec).unwrap();
    let _ = pool.unpublish(&volume("old").into()).unwrap();
    refused(pool.publish(&PublishSpec::new(volume("old"))), ErrorKind::Refused, &["setrw"]);
}

#[test]
fn a_disk_leaves_only_without_a_volume() {
    let lab = lab();
    let leave = |name: &str| {
        let spec = Lab::spec(&[]).with_parameter("erase", "zero").with_parameter("leave", name);
        lab.backend().ensure_pool(&spec)
    };
    refused(leave("/dev/sda"), ErrorKind::Busy, &["volume old"]);
    assert!(leave("/dev/sdc").unwrap().changed());
    assert!(!leave("/dev/sdc").unwrap().changed());
    let pool = lab.open().unwrap();
    assert_eq!(available(pool.as_ref()), OLD);
    // One that is lost for ever is named by its record, since its path may be another's by now.
    lab.disks.unplug("sdb").unwrap();
    let details = pool.info().unwrap().details;
    let id = |word: &str| {
        let found = details.iter().find(|(_, text)| text.contains(word)).unwrap();
        found.0.trim_start_matches("place ").to_owned()
    };
    refused(leave(&id("/dev/sda")), ErrorKind::InvalidArgument, &["/dev/sda"]);
    assert!(leave(&id("naa.sdb")).unwrap().changed());
    assert_eq!(pool.info().unwrap().capacity.total, Bytes::new(OLD));
    refused(lab.backend().remove_pool(&pool_id()), ErrorKind::Busy, &["old"]);
}

#[test]
fn what_cant_be_asked_for_is_told_and_leaves_nothing() {
    let lab = Lab::empty(0);
    let backend = lab.backend();
    let spec = || Lab::spec(&["sda"]);
    let invalid = ErrorKind::InvalidArgument;
    refused(backend.ensure_pool(&spec().with_capacity(Bytes::GIB)), invalid, &["capacity"]);
    refused(backend.ensure_pool(&spec().with_reserve(Bytes::MIB)), invalid, &["reserve"]);
    let over = spec().with_overcommit(Ratio::from_percent(150));
    refused(backend.ensure_pool(&over), invalid, &["overcommit"]);
    refused(backend.ensure_pool(&spec().with_parameter("size", "1")), invalid, &["size"]);
    refused(backend.ensure_pool(&spec().with_parameter("erase", "shred")), invalid, &["shred"]);
    refused(backend.ensure_pool(&spec().with_parameter("erase", "files")), invalid, &["zero"]);
    refused(backend.ensure_pool(&PoolSpec::new(pool_id())), invalid, &["devices"]);
    refused(backend.ensure_pool(&Lab::spec(&["../sda/../x\ny"])), invalid, &[]);
    let relative = PoolSpec::new(pool_id()).with_parameter("devices", "sda");
    refused(backend.ensure_pool(&relative), invalid, &["absolute"]);
    refused(backend.ensure_pool(&Lab::spec(&["sdq"])), ErrorKind::NotFound, &["sdq"]);
    refused(backend.open_pool(&pool_id()).map(drop), ErrorKind::NotFound, &[]);
    assert!(backend.list_pools().unwrap().is_empty());
    assert!(!backend.remove_pool(&pool_id()).unwrap().changed());
    assert_eq!(lab.content("sda"), format!("{OLD}x7"));
    let _ = backend.ensure_pool(&spec()).unwrap();
    let other = spec().with_parameter("erase", "none");
    refused(backend.ensure_pool(&other), ErrorKind::Conflict, &["erase"]);
    refused(backend.ensure_pool(&spec().at("/dev/sdb")), ErrorKind::Conflict, &["location"]);
}

#[test]
fn a_signed_disk_joins_only_if_its_signature_is_named() {
    let lab = lab();
    sign(&lab, "sdx");
    let spec = Lab::spec(&["sdx"]).with_parameter("erase", "zero");
    let error = refused(lab.backend().ensure_pool(&spec), ErrorKind::Refused, &["ext"]);
    let name = if error.report().to_string().contains("ext2") { "ext2" } else { "ext4" };
    let wrong = spec.clone().with_parameter("replace", "xfs");
    refused(lab.backend().ensure_pool(&wrong), ErrorKind::Refused, &[name]);
    assert_eq!(lab.open().unwrap().info().unwrap().capacity.total, Bytes::new(12 * UNIT));
    let named = spec.with_parameter("replace", format!("xfs,{name}"));
    assert!(lab.backend().ensure_pool(&named).unwrap().changed());
}

#[test]
fn a_location_is_a_device_or_a_folder_of_them() {
    let lab = Lab::empty(0);
    let one = PoolSpec::new(pool_id()).at("/dev/sda");
    assert!(lab.backend().ensure_pool(&one).unwrap().changed());
    assert_eq!(lab.open().unwrap().info().unwrap().spec.location, one.location);
    let folder = PoolSpec::new(PoolId::new("q").unwrap()).at("/disks-of-ours");
    refused(lab.backend().ensure_pool(&folder), ErrorKind::NotFound, &["disks-of-ours"]);
    lab.files.add_folder("/disks-of-ours").unwrap();
    refused(lab.backend().ensure_pool(&folder), ErrorKind::InvalidArgument, &[]);
    for (name, disk) in [("one", "sdb"), ("two", "sdc")] {
        let number = lab.files.stat(&Path::new("/dev").join(disk)).unwrap().stands_for.unwrap();
        lab.files.add_device(Path::new("/disks-of-ours").join(name), number).unwrap();
        assert!(lab.backend().ensure_pool(&folder).unwrap().changed(), "{name}");
    }
    let pool = lab.backend().open_pool(&folder.id).unwrap();
    assert_eq!(pool.info().unwrap().capacity.total, Bytes::new(9 * UNIT));
}

#[test]
fn the_token_lives_with_the_volume_and_not_with_its_name() {
    let lab = lab();
    let pool = lab.open().unwrap();
    let _ = pool.remove_volume(&volume("old")).unwrap();
    // At once, while the former one is not erased yet: on another disk, with its own token.
    let _ = pool.ensure_volume(&VolumeSpec::new(volume("old"), Bytes::new(UNIT))).unwrap();
    let token = pool.format_tokens().unwrap().format_token(&volume("old")).unwrap();
    assert_eq!(token, FormatToken::Unused);
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), format!("{OLD}x0"));
    assert!(pool.volume(&volume("old")).is_ok());
}
