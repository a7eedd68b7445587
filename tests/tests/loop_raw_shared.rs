//! Devices that share bytes with others, as no claim of the kernel tells.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use open_local_core::file::FileBackend;
use open_local_core::host::{Host, LoopSpec, Loops, Roots, SystemDevices, SystemLoops};
use open_local_core::raw::{RawBackend, RawOptions};
use open_local_core::{
    Backend, Bytes, Error, ErrorKind, PoolId, PoolSpec, PublishSpec, VolumeId, VolumeSpec,
};
use open_local_tests::Scratch;
use open_local_tests::scratch::run;

const SIZE: Bytes = Bytes::new(64 << 20);

fn backend(scratch: &Scratch) -> RawBackend {
    let host = Host::system().with_roots(Roots::with_own_folders_under(scratch.path()));
    RawBackend::new(host, Arc::new(SystemDevices))
}

fn join(scratch: &Scratch, devices: &[&Path], replace: &str) -> Result<(), Error> {
    join_to("pool", scratch, devices, replace)
}

fn join_to(pool: &str, scratch: &Scratch, devices: &[&Path], replace: &str) -> Result<(), Error> {
    let devices: Vec<&str> = devices.iter().map(|path| path.to_str().unwrap()).collect();
    let spec = PoolSpec::new(PoolId::new(pool).unwrap())
        .with_parameter("devices", devices.join(","))
        .with_parameter("replace", replace);
    backend(scratch).ensure_pool(&spec).map(drop)
}

#[test]
fn a_device_that_another_loop_device_shows_a_part_of_is_in_use() {
    let scratch = Scratch::new("raw-window");
    let disk = scratch.loop_device("disk", SIZE);
    let offset = (8u64 << 20).to_string();
    let window = run(
        "losetup",
        &["-f", "--show", "-o", &offset, disk.path().to_str().unwrap()].map(AsRef::as_ref),
    );
    let window = Path::new(window.trim());
    let outcome = std::panic::catch_unwind(|| {
        run("mkfs.ext4", &["-q".as_ref(), window.as_os_str()]);
        let target = scratch.mount("mnt", window, "ext4").unwrap();
        fs::write(target.join("kept"), "precious").unwrap();
        let error = join(&scratch, &[disk.path()], "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{}", error.report());
        let name = window.file_name().unwrap().to_str().unwrap();
        assert!(error.report().to_string().contains(name), "{}", error.report());
        run("umount", &[target.as_os_str()]);
        // Not mounted it is a device of somebody still.
        assert!(join(&scratch, &[disk.path()], "").is_err());
    });
    run("losetup", &["-d".as_ref(), window.as_os_str()]);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    join(&scratch, &[disk.path()], "").unwrap();
}

#[test]
fn two_names_of_one_file_are_one_device() {
    let scratch = Scratch::new("raw-links");
    let one = scratch.loop_device("one", SIZE);
    let link = one.file.with_file_name("two");
    fs::hard_link(&one.file, &link).unwrap();
    let spec = LoopSpec {
        file: &link,
        tag: &open_local_tests::sweep::tag(scratch.run_id()),
        read_only: false,
        direct_io: false,
        block_size: Bytes::new(512),
    };
    let two = SystemLoops::default().attach(&spec).unwrap();
    let error = join(&scratch, &[one.path(), &two.path], "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    SystemLoops::default().detach(&two).unwrap();
}

#[test]
fn a_disk_with_a_partition_that_is_written_is_in_use() {
    let scratch = Scratch::new("raw-part");
    let file = scratch.backing_file("disk", SIZE);
    let backing = OpenOptions::new().write(true).open(&file).unwrap();
    // One partition of type 0x83 from sector 2048, of 65536 sectors.
    let table = [0, 0, 2, 0, 0x83, 1, 1, 1, 0, 8, 0, 0, 0, 0, 1, 0];
    backing.write_all_at(&table, 446).unwrap();
    backing.write_all_at(&[0x55, 0xaa], 510).unwrap();
    backing.sync_all().unwrap();
    let disk = run("losetup", &["-P", "-f", "--show", file.to_str().unwrap()].map(AsRef::as_ref));
    let disk = Path::new(disk.trim());
    let outcome = std::panic::catch_unwind(|| {
        // A kernel may know nothing of this kind of table: it is told.
        run("addpart", &[disk.to_str().unwrap(), "1", "2048", "65536"].map(AsRef::as_ref));
        let part = PathBuf::from(format!("{}p1", disk.display()));
        let replace = "DOS partition table";
        let sleep = [r#"test -b "$0" && exec sleep 60 3<>"$0""#.as_ref(), part.as_os_str()];
        let mut writer = Command::new("sh").arg("-c").args(sleep).spawn().unwrap();
        let writing = format!("/proc/{}/fd/3", writer.id());
        while !fs::read_link(&writing).is_ok_and(|path| path == part) {
            assert!(writer.try_wait().unwrap().is_none(), "it ended");
            std::thread::yield_now();
        }
        let refused = join(&scratch, &[disk], replace);
        writer.kill().unwrap();
        let _ = writer.wait().unwrap();
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{}", error.report());
        assert!(error.report().to_string().contains("sleep"), "{}", error.report());
        // Either the whole or the part, be it in one pool or in two, at once or one by one.
        for both in [[disk, part.as_path()], [part.as_path(), disk]] {
            let error = join(&scratch, &both, replace).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
        }
        join(&scratch, &[disk], replace).unwrap();
        for pool in ["pool", "other"] {
            let error = join_to(pool, &scratch, &[&part], replace).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
        }
    });
    run("losetup", &["-d".as_ref(), disk.as_os_str()]);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_volume_of_another_pool_is_no_disk() {
    let scratch = Scratch::new("raw-volume");
    let host = Host::system().with_roots(Roots::with_own_folders_under(scratch.path()));
    let loops = Arc::new(SystemLoops::new(&host.roots));
    let files = FileBackend::new(host, loops);
    let folder = scratch.disk("folder", SIZE, "ext4");
    let pool = PoolId::new("files").unwrap();
    let _ = files.ensure_pool(&PoolSpec::new(pool.clone()).at(folder)).unwrap();
    let pool = files.open_pool(&pool).unwrap();
    let volume = VolumeId::new("db").unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(volume.clone(), Bytes::new(8 << 20))).unwrap();
    let at = pool.publish(&PublishSpec::new(volume.clone())).unwrap().into_inner();
    let error = join(&scratch, &[&at.device], "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    let _ = pool.unpublish(&volume.into()).unwrap();
}

#[test]
fn what_somebody_else_put_on_a_half_erased_disk_is_not_erased() {
    let scratch = Scratch::new("raw-half");
    let disk = scratch.loop_device("disk", SIZE);
    join(&scratch, &[disk.path()], "").unwrap();
    let mut options = RawOptions::default();
    options.erase_mark = Bytes::new(4 << 20);
    let backend = backend(&scratch).with_options(options);
    let pool = backend.open_pool(&PoolId::new("pool").unwrap()).unwrap();
    let half = Bytes::new(32 << 20);
    assert_eq!(pool.maintain(half).unwrap().left, half);
    run("mkfs.ext4", &["-q".as_ref(), disk.path().as_os_str()]);
    let error = pool.maintain(Bytes::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    assert!(run("blkid", &["-p".as_ref(), disk.path().as_os_str()]).contains("ext4"));
    run("wipefs", &["-aq".as_ref(), disk.path().as_os_str()]);
    assert_eq!(pool.maintain(Bytes::MAX).unwrap().left, Bytes::ZERO);
}
