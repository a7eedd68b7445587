//! Mounting, binding and unmounting.

use std::fs;
use std::os::unix::fs::symlink;

use open_local_core::fs::{BindSpec, CheckPolicy, Filesystems, MountSpec, Probe};
use open_local_core::host::{Quiescer, SystemDevices};
use open_local_core::{Ensured, ErrorKind, FsKind, Removed};

use crate::{Bench, attachment, copy, mounts_at, tool};

#[test]
fn a_target_that_is_a_file_or_a_link_is_refused() {
    let bench = Bench::formatted("target", FsKind::Ext4);
    let fs = bench.fs();
    fs::write(bench.target(), b"").unwrap();
    let error = fs.ensure_mounted(&bench.mount()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().contains("a file"), "{error}");
    fs::remove_file(bench.target()).unwrap();
    symlink("/tmp", bench.target()).unwrap();
    let error = fs.ensure_mounted(&bench.mount()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().contains("link"), "{error}");
    assert_eq!(fs.ensure_unmounted(&bench.target()).unwrap_err().kind(), ErrorKind::Refused);
    for bad in ["relative", "/", "/a/../b"] {
        let spec = MountSpec::new(bench.disk.path(), bad);
        assert_eq!(fs.ensure_mounted(&spec).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_target_below_a_link_is_found_in_the_mount_table() {
    let bench = Bench::formatted("below", FsKind::Ext4);
    let fs = bench.fs();
    fs::create_dir(bench.scratch.join("real")).unwrap();
    symlink(bench.scratch.join("real"), bench.scratch.join("link")).unwrap();
    let spec = MountSpec::new(bench.disk.path(), bench.scratch.join("link/a/b/"));
    assert!(fs.ensure_mounted(&spec).unwrap().changed());
    assert!(!fs.ensure_mounted(&spec).unwrap().changed());
    assert_eq!(mounts_at(&bench.scratch.join("real/a/b")), 1);
    assert!(fs.ensure_unmounted(&spec.target).unwrap().changed());
}

#[test]
fn something_else_or_another_mode_at_the_target_is_a_conflict() {
    let bench = Bench::formatted("other", FsKind::Ext4);
    let other = Bench::formatted("other2", FsKind::Ext4);
    let fs = bench.fs();
    assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
    let spec = MountSpec::new(other.disk.path(), bench.target());
    let error = fs.ensure_mounted(&spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("loop"), "{error}");
    let error = fs.ensure_mounted(&bench.mount().read_only()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let kind = other.mount().with_kind(FsKind::Xfs);
    assert_eq!(fs.ensure_mounted(&kind).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_blank_or_foreign_device_is_not_mounted() {
    let bench = Bench::new("blank", FsKind::Ext4);
    let fs = bench.fs();
    let error = fs.ensure_mounted(&bench.mount()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!bench.target().exists());
    tool("mkswap", &[&bench.disk.path()]);
    let error = fs.ensure_mounted(&bench.mount()).unwrap_err();
    assert!(error.message().contains("swap"), "{error}");
    let missing = MountSpec::new("/dev/loop-that-is-not", bench.target());
    assert_eq!(fs.ensure_mounted(&missing).unwrap_err().kind(), ErrorKind::NotFound);
    let file = MountSpec::new(&bench.disk.file, bench.target());
    assert_eq!(fs.ensure_mounted(&file).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_busy_target_stays_mounted_and_its_users_are_named() {
    let bench = Bench::formatted("busy", FsKind::Ext4);
    let fs = bench.fs();
    assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
    let open = fs::File::create(bench.target().join("open")).unwrap();
    let error = fs.ensure_unmounted(&bench.target()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let me = format!("pid {}", std::process::id());
    assert!(error.message().contains(&me), "{error}");
    assert_eq!(mounts_at(&bench.target()), 1);
    drop(open);
    assert!(fs.ensure_unmounted(&bench.target()).unwrap().changed());
}

#[test]
fn stacked_mounts_are_all_taken_away() {
    let bench = Bench::formatted("stacked", FsKind::Ext4);
    let fs = bench.fs();
    assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
    tool("mount", &[&"-t", &"tmpfs", &"tmpfs", &bench.target()]);
    assert_eq!(fs.ensure_mounted(&bench.mount()).unwrap_err().kind(), ErrorKind::Conflict);
    let Removed::Removed(top) = fs.ensure_unmounted(&bench.target()).unwrap() else {
        panic!("nothing was unmounted");
    };
    assert_eq!(top.kind, "tmpfs");
    assert_eq!(mounts_at(&bench.target()), 0);
}

#[test]
fn a_folder_is_bound_read_only_from_the_first_moment() {
    let bench = Bench::formatted("bind", FsKind::Ext4);
    let fs = bench.fs();
    assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
    let second = bench.scratch.join("second");
    let spec = BindSpec::new(bench.target(), &second).read_only();
    let Ensured::Created(bound) = fs.ensure_bound(&spec).unwrap() else {
        panic!("it was there already");
    };
    assert!(bound.read_only);
    assert!(!fs.ensure_bound(&spec).unwrap().changed());
    let refused = fs::write(second.join("x"), b"").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(nix::libc::EROFS));
    fs::write(bench.target().join("x"), b"seen").unwrap();
    assert_eq!(fs::read(second.join("x")).unwrap(), b"seen");
    let writable = BindSpec::new(bench.target(), &second);
    assert_eq!(fs.ensure_bound(&writable).unwrap_err().kind(), ErrorKind::Conflict);
    let elsewhere = BindSpec::new(bench.scratch.path(), &second).read_only();
    assert_eq!(fs.ensure_bound(&elsewhere).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(fs.ensure_unmounted(&second).unwrap().changed());
}

#[test]
fn a_device_node_is_bound_to_a_file() {
    let bench = Bench::new("bind-node", FsKind::Ext4);
    let fs = bench.fs();
    let target = bench.scratch.join("pods/one/device");
    let spec = BindSpec::new(bench.disk.path(), &target);
    assert!(fs.ensure_bound(&spec).unwrap().changed());
    assert!(!fs.ensure_bound(&spec).unwrap().changed());
    assert_eq!(fs.probe(&target).unwrap(), Probe::Blank);
    let error = fs.ensure_bound(&spec.clone().read_only()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    assert!(fs.ensure_unmounted(&target).unwrap().changed());
    fs::remove_file(&target).unwrap();
    fs::create_dir(&target).unwrap();
    assert_eq!(fs.ensure_bound(&spec).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn a_copy_is_mounted_beside_its_original() {
    for kind in FsKind::ALL {
        let bench = Bench::formatted("twin", kind);
        let fs = bench.fs();
        assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
        fs::write(bench.target().join("x"), b"old").unwrap();
        let device = bench.device();
        let frozen = fs.freeze_device(&device, std::time::Duration::from_secs(20)).unwrap();
        let writable = copy(&bench, "writable", false);
        let read_only = copy(&bench, "read-only", true);
        fs.thaw(&frozen).unwrap();
        fs::write(bench.target().join("x"), b"new").unwrap();
        for (disk, name) in [(&writable, "w"), (&read_only, "r")] {
            let target = bench.scratch.join(name);
            let mut spec = MountSpec::new(disk.path(), &target);
            spec.read_only = name == "r";
            let mounted = fs.ensure_mounted(&spec).unwrap().into_inner();
            assert_eq!(mounted.options.iter().any(|o| o == "nouuid"), kind == FsKind::Xfs);
            assert_eq!(fs::read(target.join("x")).unwrap(), b"old", "{kind} {name}");
            assert!(!fs.ensure_mounted(&spec).unwrap().changed());
        }
        assert_eq!(fs::read(bench.target().join("x")).unwrap(), b"new");
        let spec = MountSpec::new(read_only.path(), bench.scratch.join("rw"));
        let error = fs.ensure_mounted(&spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
        for name in ["w", "r"] {
            assert!(fs.ensure_unmounted(&bench.scratch.join(name)).unwrap().changed());
        }
        let proof = open_local_core::raw::prove_writable(
            &bench.scratch.host(),
            &SystemDevices,
            &[],
            read_only.path(),
            attachment(&read_only).number,
            &|_| true,
        );
        assert_eq!(proof.unwrap_err().kind(), ErrorKind::Refused);
    }
}

#[test]
fn fsck_repairs_what_is_safe_and_refuses_the_rest() {
    let bench = Bench::formatted("fsck", FsKind::Ext4);
    let fs = bench.fs();
    // A wrong count of free blocks is what preen corrects.
    tool("debugfs", &[&"-w", &"-R", &"set_super_value free_blocks_count 1", &bench.disk.path()]);
    tool("debugfs", &[&"-w", &"-R", &"set_super_value state 2", &bench.disk.path()]);
    let found = fs.check(bench.disk.path(), CheckPolicy::Preen).unwrap();
    assert_eq!(found, open_local_core::fs::CheckOutcome::Repaired);
    tool("debugfs", &[&"-w", &"-R", &"clri <2>", &bench.disk.path()]);
    tool("debugfs", &[&"-w", &"-R", &"set_super_value state 2", &bench.disk.path()]);
    let error = fs.ensure_mounted(&bench.mount()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.report());
    assert_eq!(mounts_at(&bench.target()), 0);
}
