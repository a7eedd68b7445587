//! Format once, on real devices.

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use open_local_core::fs::{Filesystems, FormatSpec, Probe};
use open_local_core::host::{CountSteps, StopAt};
use open_local_core::raw::prove_writable;
use open_local_core::{DeviceNumber, ErrorKind, FormatToken, FsKind, Uuid};

use crate::{Bench, tool};

#[test]
fn a_foreign_signature_is_refused_until_it_is_given_up_by_name() {
    let bench = Bench::new("foreign", FsKind::Ext4);
    tool("mkswap", &[&bench.disk.path()]);
    let before = fs::read(&bench.disk.file).unwrap();
    let error = bench.format(FsKind::Ext4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let said = error.report().to_string();
    assert!(said.contains("--replace \"swap\""), "{said}");
    assert_eq!(bench.token_now(), FormatToken::Unused);
    assert!(before == fs::read(&bench.disk.file).unwrap(), "the device was written");
    let spec = FormatSpec::new(FsKind::Ext4).replacing("swap");
    assert!(bench.format_with(&bench.fs(), &spec).unwrap().changed());
}

#[test]
fn a_partition_table_given_up_by_name_goes_with_its_backup() {
    let bench = Bench::new("gpt", FsKind::Ext4);
    let device = fs::OpenOptions::new().write(true).open(bench.disk.path()).unwrap();
    device.write_all_at(b"EFI PART", 512).unwrap();
    device.write_all_at(b"EFI PART", (64 << 20) - 512).unwrap();
    drop(device);
    let spec = FormatSpec::new(FsKind::Ext4).replacing("GPT partition table");
    assert!(bench.format_with(&bench.fs(), &spec).unwrap().changed());
}

#[test]
fn a_spent_token_never_formats_a_wiped_device() {
    let bench = Bench::formatted("wiped", FsKind::Ext4);
    tool("wipefs", &[&"-a", &bench.disk.path()]);
    let error = bench.format(FsKind::Ext4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.remedy().unwrap().contains("allow-format"));
    assert_eq!(bench.fs().probe(bench.disk.path()).unwrap(), Probe::Blank);
    // The operator's way out.
    *bench.token.0.lock().unwrap() = FormatToken::Unused;
    assert!(bench.format(FsKind::Ext4).unwrap().changed());
}

#[test]
fn another_kind_is_a_conflict() {
    let bench = Bench::formatted("kind", FsKind::Ext4);
    let error = bench.format(FsKind::Xfs).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn cut_before_every_step_the_next_call_finishes() {
    let counter = Arc::new(CountSteps::default());
    let bench = Bench::new("count", FsKind::Ext4);
    let host = bench.scratch.host().with_checkpoints(counter.clone());
    assert!(
        bench.format_with(&bench.fs_of(host), &FormatSpec::new(FsKind::Ext4)).unwrap().changed()
    );
    for at in 1..=counter.steps() {
        let bench = Bench::new("cut", FsKind::Ext4);
        let host = bench.scratch.host().with_checkpoints(Arc::new(StopAt::new(at)));
        let cut = bench.format_with(&bench.fs_of(host), &FormatSpec::new(FsKind::Ext4));
        assert_eq!(cut.unwrap_err().kind(), ErrorKind::Indeterminate);
        assert!(bench.format(FsKind::Ext4).unwrap().changed(), "cut at {at}");
        assert!(bench.fs().ensure_mounted(&bench.mount()).unwrap().changed());
    }
}

#[test]
fn mkfs_killed_at_any_time_is_finished_with_the_same_uuid() {
    for kind in FsKind::ALL {
        for millis in [1, 5, 20] {
            let bench = Bench::new("killed", kind);
            let spec = FormatSpec::new(kind).with_deadline(Duration::from_millis(millis));
            let first = bench.format_with(&bench.fs(), &spec);
            let started = match (first, bench.token_now()) {
                (Ok(_), FormatToken::Spent) => continue,
                (Err(e), FormatToken::Started { uuid, .. }) => {
                    assert_eq!(e.kind(), ErrorKind::Indeterminate, "{}", e.report());
                    uuid
                }
                other => panic!("{other:?}"),
            };
            let done = bench.format(kind).unwrap().into_inner();
            assert_eq!(done.uuid, started);
            assert!(bench.fs().ensure_mounted(&bench.mount()).unwrap().changed());
        }
    }
}

#[test]
fn a_device_that_is_not_the_one_handed_out_is_not_written() {
    let bench = Bench::new("reused", FsKind::Ext4);
    let mut device = bench.device();
    device.number = DeviceNumber::new(7, 1_000_000);
    let spec = FormatSpec::new(FsKind::Ext4);
    let volume = "v".parse().unwrap();
    let error = bench.fs().ensure_formatted(&bench.token, &volume, &device, &spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    assert_eq!(bench.fs().probe(bench.disk.path()).unwrap(), Probe::Blank);
}

#[test]
fn a_number_that_was_given_to_another_device_is_not_formatted() {
    let bench = Bench::new("number", FsKind::Ext4);
    let then = bench.device();
    let sequence = then.sequence.unwrap();
    // As the caller has it who published before the device was detached and its number reused.
    let stale = then.with_sequence(Some(sequence - 1));
    let volume = "v".parse().unwrap();
    let spec = FormatSpec::new(FsKind::Ext4);
    let formatted = bench.fs().ensure_formatted(&bench.token, &volume, &stale, &spec);
    let error = formatted.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    assert_eq!(bench.token_now(), FormatToken::Unused);
    let probed = bench.fs().probe(bench.disk.path()).unwrap();
    assert_eq!(probed, Probe::Blank);
}

#[test]
fn a_mounted_or_claimed_device_is_not_written() {
    let bench = Bench::formatted("claimed", FsKind::Ext4);
    let (host, devices) = (bench.scratch.host(), open_local_core::host::SystemDevices);
    let (path, number) = (bench.disk.path(), bench.disk.device.number);
    let prove = || {
        let table = fs::read("/proc/self/mountinfo").unwrap();
        let table = open_local_core::fs::parse_mountinfo(&table).unwrap();
        prove_writable(&host, &devices, &table, path, number, &|_| true)
    };
    assert!(prove().is_ok());
    assert!(bench.fs().ensure_mounted(&bench.mount()).unwrap().changed());
    let error = prove().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.message().contains("target"), "{error}");
    // Mounted where the table does not show it, as in another mount namespace.
    let hidden = prove_writable(&host, &devices, &[], path, number, &|_| true).unwrap_err();
    assert_eq!(hidden.kind(), ErrorKind::Busy);
    assert!(hidden.message().contains("claimed"), "{hidden}");
}

#[test]
fn a_snapshot_of_a_volume_under_format_is_not_formatted_again() {
    // A copy of the device, with the token as it was when the volume was half-way.
    let bench = Bench::formatted("foreign-uuid", FsKind::Ext4);
    let token = FormatToken::Started { kind: FsKind::Ext4, uuid: Uuid::from_bytes([9; 16]) };
    *bench.token.0.lock().unwrap() = token;
    let error = bench.format(FsKind::Ext4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(bench.token_now(), token);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "stands for a mkfs whose caller was killed")]
fn a_device_that_somebody_still_writes_is_not_formatted() {
    use std::io::Read;
    let bench = Bench::new("writer", FsKind::Btrfs);
    // By a node of its own, as volumes are handed on to pods and guests.
    let node = bench.scratch.join("node");
    let (major, minor) = (bench.disk.device.number.major(), bench.disk.device.number.minor());
    tool("mknod", &[&node, &"b", &major.to_string(), &minor.to_string()]);
    let script = format!("exec 3<>{}; echo open; exec sleep 300", node.display());
    let mut writer = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdout.take().unwrap().read_exact(&mut [0; 4]).unwrap();
    let refused = bench.format(FsKind::Btrfs);
    writer.kill().unwrap();
    writer.wait().unwrap();
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{}", error.report());
    assert!(error.message().contains(&writer.id().to_string()), "{error}");
    assert!(bench.format(FsKind::Btrfs).unwrap().changed());
}
