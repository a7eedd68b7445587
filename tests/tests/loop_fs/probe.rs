//! The recogniser against what real programs write.

use open_local_core::fs::{Filesystems, Probe};
use open_local_core::{Bytes, FsKind};
use open_local_tests::Scratch;

use crate::{Bench, tool};

const UUID: &str = "01234567-89ab-4def-8123-456789abcdef";

#[test]
fn uuid_and_label_are_those_the_programs_wrote() {
    let cases: [(FsKind, &[&str]); 3] = [
        (FsKind::Ext4, &["mkfs.ext4", "-q", "-U", UUID, "-L", "my data"]),
        (
            FsKind::Xfs,
            &["mkfs.xfs", "-q", "-m", "uuid=01234567-89ab-4def-8123-456789abcdef", "-L", "my data"],
        ),
        (FsKind::Btrfs, &["mkfs.btrfs", "-q", "-U", UUID, "-L", "my data"]),
    ];
    for (kind, command) in cases {
        let bench = Bench::new("probe", kind);
        let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = Vec::new();
        for argument in &command[1..] {
            arguments.push(argument);
        }
        let path = bench.disk.path();
        arguments.push(&path);
        tool(command[0], &arguments);
        let Probe::Filesystem(found) = bench.fs().probe(bench.disk.path()).unwrap() else {
            panic!("{kind} is not recognised");
        };
        assert_eq!(found.kind, kind);
        assert_eq!(found.uuid, UUID.parse().unwrap());
        assert_eq!(found.label.as_deref(), Some("my data"));
    }
}

#[test]
fn what_is_not_ours_is_named() {
    let scratch = Scratch::new("probe-foreign");
    let disk = scratch.loop_device("disk", Bytes::from_mib(32).unwrap());
    let fs = open_local_core::fs::HostFilesystems::new(
        scratch.host(),
        std::sync::Arc::new(open_local_core::host::SystemMounts),
    );
    let cases: [(&str, &[&str]); 4] = [
        ("swap", &["mkswap"]),
        ("ext2", &["mkfs.ext2", "-q", "-F"]),
        ("ext3", &["mkfs.ext3", "-q", "-F"]),
        ("ext4 journal device", &["mke2fs", "-q", "-F", "-O", "journal_dev"]),
    ];
    for (name, command) in cases {
        tool("wipefs", &[&"-a", &disk.path()]);
        let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = Vec::new();
        for argument in &command[1..] {
            arguments.push(argument);
        }
        let path = disk.path();
        arguments.push(&path);
        tool(command[0], &arguments);
        let Probe::Foreign(found) = fs.probe(disk.path()).unwrap() else {
            panic!("{name} is not recognised");
        };
        assert_eq!(found[0].name, name, "{found:?}");
    }
    tool("wipefs", &[&"-a", &disk.path()]);
    assert_eq!(fs.probe(disk.path()).unwrap(), Probe::Blank);
}
