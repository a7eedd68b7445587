//! The traits' rules, one by one.

use super::*;
use crate::error::ErrorKind;
use crate::spec::Provisioning;
use crate::token::{FormatToken, FsKind, Uuid};

fn kind_of<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

#[test]
fn another_specification_is_a_conflict_that_names_the_field() {
    let (_, pool) = machine();
    make(&*pool, "v", blocks(2));
    let spec = VolumeSpec::new(volume("v"), blocks(2));
    assert!(!pool.ensure_volume(&spec).unwrap().changed());
    let others = [
        ("size", VolumeSpec::new(volume("v"), blocks(3))),
        ("provisioning", spec.clone().with_provisioning(Provisioning::Thick)),
        ("source", spec.clone().from_source(of_volume("w"))),
        ("tags", spec.clone().with_tag("a", "b")),
    ];
    for (field, other) in others {
        let error = pool.ensure_volume(&other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.message().contains(field), "{error}");
    }
    snap(&*pool, "s", "v");
    make(&*pool, "w", blocks(1));
    let spec = SnapshotSpec::new(snapshot("s"), volume("v"));
    let other = SnapshotSpec::new(snapshot("s"), volume("w"));
    for (field, other) in [("volume", other), ("writable", spec.clone().writable())] {
        let error = snapshots(&*pool).ensure_snapshot(&other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.message().contains(field), "{error}");
    }
}

#[test]
fn a_pool_that_differs_is_a_conflict_and_one_in_use_is_busy() {
    let (machine, pool) = machine();
    let backend = SimBackend::new(&machine);
    let spec = PoolSpec::new(pool_id());
    assert!(!backend.ensure_pool(&spec).unwrap().changed());
    let error = backend.ensure_pool(&spec.clone().with_reserve(blocks(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("reserve"));
    let odd = spec.with_parameter("colour", "blue");
    assert_eq!(kind_of(backend.ensure_pool(&odd)), ErrorKind::InvalidArgument);
    make(&*pool, "v", blocks(1));
    assert_eq!(kind_of(backend.remove_pool(&pool_id())), ErrorKind::Busy);
    assert!(pool.remove_volume(&volume("v")).unwrap().changed());
    assert!(backend.remove_pool(&pool_id()).unwrap().changed());
    assert_eq!(kind_of(backend.open_pool(&pool_id())), ErrorKind::NotFound);
    assert_eq!(kind_of(pool.info()), ErrorKind::NotFound);
}

#[test]
fn devices_come_and_go_with_publishing() {
    let (machine, pool) = machine();
    make(&*pool, "v", blocks(1));
    let attachment = published(&*pool, volume("v"));
    assert!(!pool.publish(&PublishSpec::new(volume("v"))).unwrap().changed());
    let other = PublishSpec::new(volume("v")).read_only();
    assert_eq!(kind_of(pool.publish(&other)), ErrorKind::Conflict);
    assert_eq!(kind_of(pool.remove_volume(&volume("v"))), ErrorKind::Busy);
    let device = machine.open(&attachment).unwrap();
    let source = Source::Volume(volume("v"));
    assert_eq!(kind_of(pool.unpublish(&source)), ErrorKind::Busy);
    assert!(pool.grow_volume(&volume("v"), blocks(2)).unwrap().changed());
    assert_eq!(device.size().unwrap(), blocks(2));
    machine.reboot();
    assert_eq!(device.size().unwrap_err().raw_os_error(), Some(libc::ENXIO));
    assert_eq!(pool.volume(&volume("v")).unwrap().attachment, None);
    assert!(!pool.unpublish(&source).unwrap().changed());
    assert!(machine.open(&attachment).is_err());
    // A device of the same number is not the device that was open before.
    published(&*pool, volume("v"));
    assert!(device.size().is_err());
}

#[test]
fn read_only_devices_refuse_writes() {
    let (machine, pool) = machine();
    make(&*pool, "v", blocks(1));
    snap(&*pool, "s", "v");
    let for_writing = PublishSpec::new(snapshot("s"));
    assert_eq!(kind_of(pool.publish(&for_writing)), ErrorKind::Conflict);
    let attachment = pool.publish(&for_writing.read_only()).unwrap().into_inner();
    let device = machine.open(&attachment).unwrap();
    let error = device.write_at(0, b"x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    let busy = snapshots(&*pool).remove_snapshot(&snapshot("s"));
    assert_eq!(kind_of(busy), ErrorKind::Busy);
}

#[test]
fn copies_are_at_least_as_large_as_their_source_and_zero_beyond_it() {
    let (machine, pool) = machine();
    make(&*pool, "v", blocks(2));
    write(&machine, &*pool, "v", 4096, b"tail").unwrap();
    let small = VolumeSpec::new(volume("c"), blocks(1)).from_source(of_volume("v"));
    let error = pool.ensure_volume(&small).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("4KiB") && error.message().contains("8KiB"));
    let large = VolumeSpec::new(volume("c"), blocks(3)).from_source(of_volume("v"));
    assert!(pool.ensure_volume(&large).unwrap().changed());
    let mut expected = content(&machine, &*pool, volume("v"));
    expected.resize(3 * 4096, 0);
    assert_eq!(content(&machine, &*pool, volume("c")), expected);
    let none = VolumeSpec::new(volume("d"), blocks(3)).from_source(of_snapshot("none"));
    assert_eq!(kind_of(pool.ensure_volume(&none)), ErrorKind::NotFound);
}

#[test]
fn snapshots_outlive_their_volume_and_a_later_one_of_its_name() {
    let (machine, pool) = machine();
    make(&*pool, "v", blocks(2));
    write(&machine, &*pool, "v", 0, b"old").unwrap();
    snap(&*pool, "s", "v");
    assert!(pool.remove_volume(&volume("v")).unwrap().changed());
    assert!(!pool.remove_volume(&volume("v")).unwrap().changed());
    let again = SnapshotSpec::new(snapshot("s"), volume("v"));
    assert!(!snapshots(&*pool).ensure_snapshot(&again).unwrap().changed());
    assert_eq!(&content(&machine, &*pool, snapshot("s"))[..3], b"old");
    make(&*pool, "v", blocks(1));
    let back = snapshots(&*pool).roll_back(&volume("v"), &snapshot("s"));
    assert_eq!(kind_of(back), ErrorKind::Conflict);
    make(&*pool, "w", blocks(2));
    let back = snapshots(&*pool).roll_back(&volume("w"), &snapshot("s"));
    assert_eq!(kind_of(back), ErrorKind::Conflict);
}

#[test]
fn the_right_to_format_goes_with_the_content() {
    let (_, pool) = machine();
    make(&*pool, "v", blocks(1));
    snap(&*pool, "blank", "v");
    let tokens = pool.format_tokens().unwrap();
    let (kind, uuid) = (FsKind::Xfs, Uuid::from_bytes([1; 16]));
    let started = FormatToken::Started { kind, uuid };
    tokens.set_format_token(&volume("v"), started).unwrap();
    snap(&*pool, "started", "v");
    tokens.set_format_token(&volume("v"), FormatToken::Spent).unwrap();
    snap(&*pool, "spent", "v");
    let sources = [
        (of_snapshot("blank"), FormatToken::Unused),
        (of_snapshot("started"), started),
        (of_snapshot("spent"), FormatToken::Spent),
        (of_volume("v"), FormatToken::Spent),
    ];
    for (number, (source, token)) in sources.into_iter().enumerate() {
        let copy = volume(&format!("c{number}"));
        let spec = VolumeSpec::new(copy.clone(), blocks(1)).from_source(source);
        assert!(pool.ensure_volume(&spec).unwrap().changed());
        assert_eq!(tokens.format_token(&copy).unwrap(), token);
    }
    let back = tokens.set_format_token(&volume("v"), FormatToken::Unused);
    assert_eq!(kind_of(back), ErrorKind::Refused);
    published(&*pool, volume("v"));
    assert_eq!(kind_of(tokens.allow_format(&volume("v"))), ErrorKind::Busy);
    assert!(pool.unpublish(&volume("v").into()).unwrap().changed());
    tokens.allow_format(&volume("v")).unwrap();
    assert_eq!(tokens.format_token(&volume("v")).unwrap(), FormatToken::Unused);
    snapshots(&*pool).roll_back(&volume("v"), &snapshot("spent")).unwrap();
    assert_eq!(tokens.format_token(&volume("v")).unwrap(), FormatToken::Spent);
}

#[test]
fn threads_that_ask_for_the_same_make_it_once() {
    let (_, pool) = machine();
    let spec = VolumeSpec::new(volume("v"), blocks(1));
    let made = std::thread::scope(|scope| {
        let ask = || pool.ensure_volume(&spec).unwrap().changed();
        let threads = [(); 8].map(|()| scope.spawn(ask));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(made.into_iter().filter(|changed| *changed).count(), 1);
}

#[test]
fn a_crash_loses_what_files_did_not_flush_and_no_pool() {
    let (machine, pool) = machine();
    make(&*pool, "v", blocks(1));
    write(&machine, &*pool, "v", 0, b"kept").unwrap();
    machine.files().add_folder("/folder").unwrap();
    let path = std::path::Path::new("/folder/file");
    let files = machine.host().files;
    drop(files.create_new(path).unwrap());
    machine.restart();
    assert!(files.stat(path).is_ok());
    machine.crash();
    assert!(files.stat(path).is_err());
    assert_eq!(&content(&machine, &*pool, volume("v"))[..4], b"kept");
}
