//! What may happen to a pool of the `mountpoint` backend beside a cut. What only a real kernel
//! shows is in tier 1.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "mountpoint/lab.rs"]
mod lab;

use std::path::Path;

use lab::{Lab, MIB, pool_id, volume};
use open_local_core::{
    Backend, Bytes, Error, ErrorKind, Health, Pool, PoolExt, PoolSpec, PublishSpec, Result,
    VolumeSpec,
};

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

fn release(pool: &dyn Pool) {
    let _ = pool.remove_volume(&volume("old")).unwrap();
    let _ = pool.maintain_all().unwrap();
}

const EMPTY: [&str; 2] = [".open-local-place", "lost+found Directory None"];

#[test]
fn only_the_files_of_that_file_system_go() {
    let lab = Lab::filled(0);
    let (b, x) = (lab.content("sdb"), lab.content("sdx"));
    release(lab.open().unwrap().as_ref());
    assert_eq!(lab.content("sda"), EMPTY);
    assert_eq!((lab.content("sdb"), lab.content("sdx")), (b, x));
}

#[test]
fn the_folder_below_a_mount_is_never_taken_for_it() {
    let lab = Lab::filled(0);
    lab.folders.unmount("/mnt/a").unwrap();
    lab.put("/mnt/a/on-the-root-disk", "precious");
    let pool = lab.open().unwrap();
    let missing = ErrorKind::NotFound;
    refused(pool.publish(&PublishSpec::new(volume("old"))), missing, &["mount"]);
    refused(pool.ensure_volume(&VolumeSpec::new(volume("old"), Bytes::new(4096))), missing, &[]);
    let health = pool.volume(&volume("old")).unwrap().health;
    assert!(matches!(health, Health::Failed(_)), "{health:?}");
    let _ = pool.remove_volume(&volume("old")).unwrap();
    refused(pool.maintain(Bytes::MAX), missing, &["mount"]);
    assert!(lab.has("/mnt/a/on-the-root-disk"));
    // Another disk is mounted there.
    lab.folders.mount("sdx", "/mnt/a").unwrap();
    refused(pool.maintain(Bytes::MAX), missing, &[]);
    assert!(lab.has("/mnt/a/precious"));
    lab.folders.unmount("/mnt/a").unwrap();
    lab.folders.mount("sda", "/mnt/elsewhere").unwrap();
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), EMPTY);
}

#[test]
fn a_mount_on_top_of_a_mount_hides_it() {
    let lab = Lab::filled(0);
    lab.folders.mount("sdx", "/mnt/a").unwrap();
    let pool = lab.open().unwrap();
    refused(pool.publish(&PublishSpec::new(volume("old"))), ErrorKind::NotFound, &[]);
    let _ = pool.remove_volume(&volume("old")).unwrap();
    refused(pool.maintain(Bytes::MAX), ErrorKind::NotFound, &[]);
    assert!(lab.has("/mnt/a/precious"));
}

#[test]
fn nested_and_bound_mounts_keep_a_volume() {
    let lab = Lab::filled(0);
    lab.folders.mount("sdx", "/mnt/a/deep").unwrap();
    let pool = lab.open().unwrap();
    let busy = ErrorKind::Busy;
    refused(pool.remove_volume(&volume("old")), busy, &["/mnt/a/deep"]);
    lab.folders.unmount("/mnt/a/deep").unwrap();
    lab.folders.bind("/mnt/a", "/pods/one").unwrap();
    refused(pool.remove_volume(&volume("old")), busy, &["/pods/one"]);
    lab.folders.unmount("/pods/one").unwrap();
    let _ = pool.publish(&PublishSpec::new(volume("old"))).unwrap();
    lab.folders.bind("/mnt/a/deep", "/pods/two").unwrap();
    refused(pool.unpublish(&volume("old").into()), busy, &["/pods/two"]);
    lab.folders.unmount("/pods/two").unwrap();
    let _ = pool.unpublish(&volume("old").into()).unwrap();
    let _ = pool.remove_volume(&volume("old")).unwrap();
    // Mounted since.
    lab.folders.mount("sdx", "/mnt/a/deep").unwrap();
    refused(pool.maintain(Bytes::MAX), busy, &["/mnt/a/deep"]);
    assert!(lab.has("/mnt/a/deep/precious"));
    lab.folders.unmount("/mnt/a/deep").unwrap();
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), EMPTY);
}

#[test]
fn deep_trees_take_bounded_depth_and_pieces_bounded_work() {
    let lab = Lab::filled(0);
    let deep: Vec<&str> = std::iter::repeat_n("d", 150).collect();
    lab.put(&format!("/mnt/a/{}/bottom", deep.join("/")), "b");
    for n in 0..600 {
        lab.put(&format!("/mnt/a/many/f{n}"), "x");
    }
    // A name that is taken where deep folders are moved to.
    lab.put("/mnt/a/.open-local-lifted-0", "in the way");
    let pool = lab.open().unwrap();
    let _ = pool.remove_volume(&volume("old")).unwrap();
    let mut pieces = 0;
    while !pool.maintain(Bytes::new(64 << 10)).unwrap().left.is_zero() {
        pieces += 1;
        assert!(pieces < 1000, "it never ends");
    }
    assert!(pieces > 2, "one piece did it all");
    assert_eq!(lab.content("sda"), EMPTY);
}

#[test]
fn what_cannot_go_is_named_and_keeps_the_place() {
    let lab = Lab::filled(0);
    lab.folders.set_immutable("/mnt/a/deep/er/still/file", true);
    let pool = lab.open().unwrap();
    let _ = pool.remove_volume(&volume("old")).unwrap();
    let denied = ErrorKind::PermissionDenied;
    refused(pool.maintain(Bytes::MAX), denied, &["deep/er/still/file", "chattr"]);
    assert!(!lab.has("/mnt/a/file"), "the rest was left");
    assert_eq!(pool.info().unwrap().capacity.available, Bytes::new(2 * MIB));
    lab.folders.set_immutable("/mnt/a/deep/er/still/file", false);
    let _ = pool.maintain_all().unwrap();
    assert_eq!(lab.content("sda"), EMPTY);
}

#[test]
fn our_mark_is_no_proof_alone_and_its_loss_no_harm() {
    let lab = Lab::filled(0);
    // A copy of our file on another disk makes that disk no place of ours.
    let mark = lab.folders.real(Path::new("/mnt/a/.open-local-place"));
    let bytes = {
        use open_local_core::host::{Files, OpenMode};
        let file = lab.files.open(&mark, OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.size().unwrap().to_usize().unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    };
    let text = String::from_utf8(bytes).unwrap();
    lab.folders.unmount("/mnt/a").unwrap();
    lab.put("/srv/x/.open-local-place", &text);
    let pool = lab.open().unwrap();
    let refusal = pool.publish(&PublishSpec::new(volume("old"))).unwrap_err();
    assert!(matches!(refusal.kind(), ErrorKind::Refused | ErrorKind::NotFound));
    let _ = pool.remove_volume(&volume("old"));
    assert!(pool.maintain(Bytes::MAX).is_err() || lab.has("/srv/x/precious"));
    assert!(lab.has("/srv/x/precious"), "a stranger's files were removed");
}

#[test]
fn damaged_and_foreign_marks_are_told() {
    let lab = Lab::filled(0);
    lab.put("/mnt/a/.open-local-place", "nonsense");
    let pool = lab.open().unwrap();
    let error = refused(pool.publish(&PublishSpec::new(volume("old"))), ErrorKind::Refused, &[]);
    assert!(error.report().to_string().contains(".open-local-place"), "{}", error.report());
    // One of another pool does not join.
    let other = Lab::empty(0);
    other.put("/srv/x/.open-local-place", "nonsense");
    let spec = PoolSpec::new(pool_id()).with_parameter("mount-points", "/srv/x");
    assert!(other.backend().ensure_pool(&spec).is_err());
}

#[test]
fn what_holds_files_joins_only_if_they_may_go() {
    let lab = Lab::empty(0);
    lab.put("/mnt/b/file", "data");
    refused(lab.backend().ensure_pool(&Lab::spec()), ErrorKind::Refused, &["files", "/mnt/b"]);
    assert!(lab.backend().list_pools().unwrap().is_empty());
    assert!(!lab.has("/mnt/a/.open-local-place"));
    let _ = lab.backend().ensure_pool(&Lab::spec().with_parameter("replace", "files")).unwrap();
    assert!(lab.has("/mnt/b/file"), "removed before anybody did upkeep");
    let _ = lab.open().unwrap().maintain_all().unwrap();
    assert_eq!(lab.content("sdb"), EMPTY);
    // What is no mount point is passed over, and refused by name.
    assert!(!lab.has("/mnt/no-mount/.open-local-place"));
    let named = PoolSpec::new("q".parse().unwrap()).with_parameter("mount-points", "/mnt/no-mount");
    refused(lab.backend().ensure_pool(&named), ErrorKind::NotFound, &["nothing is mounted"]);
}

#[test]
fn files_that_appear_on_a_free_place_keep_it_from_being_given() {
    let lab = Lab::filled(0);
    lab.put("/mnt/b/stranger", "data");
    let pool = lab.open().unwrap();
    let spec = VolumeSpec::new(volume("new"), Bytes::new(4096));
    refused(pool.ensure_volume(&spec), ErrorKind::Refused, &["/mnt/b", "files"]);
    assert!(lab.has("/mnt/b/stranger"));
}

#[test]
fn without_erasing_the_next_one_finds_the_files() {
    let lab = Lab::empty(0);
    let spec = Lab::spec().with_parameter("erase", "none");
    let _ = lab.backend().ensure_pool(&spec).unwrap();
    let pool = lab.open().unwrap();
    let _ = pool.maintain_all().unwrap();
    let old = VolumeSpec::new(volume("old"), Bytes::new(4096));
    let _ = pool.ensure_volume(&old).unwrap();
    lab.put("/mnt/a/file", "data");
    release(pool.as_ref());
    assert!(lab.has("/mnt/a/file"));
    let _ = pool.ensure_volume(&old).unwrap();
    refused(
        pool.publish(&PublishSpec::new(volume("old")).read_only()),
        ErrorKind::Unsupported,
        &["read-only"],
    );
    let at = pool.publish(&PublishSpec::new(volume("old"))).unwrap().into_inner();
    assert_eq!(at.device, Path::new("/mnt/a"));
}
