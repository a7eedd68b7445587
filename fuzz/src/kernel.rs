//! What the kernel prints.

use open_local_core::host::{mounted_at, parse_mountinfo};
use open_local_core::throttle::{Limit, find_controllers, parse_io_max, parse_v1_table};

/// A table has an entry a line, each the same as alone, and every target shows one.
pub(crate) fn mountinfo(data: &[u8]) {
    let Ok(table) = parse_mountinfo(data) else {
        return;
    };
    let lines = data.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let alone: Vec<_> = lines.flat_map(|l| parse_mountinfo(l).unwrap()).collect();
    assert_eq!(alone, table);
    for entry in &table {
        let seen = mounted_at(&table, &entry.target).unwrap();
        assert_eq!(seen.target, entry.target);
    }
}

/// What is found is a mount of the right kind, by the other reader of the same table too.
pub(crate) fn controllers(data: &[u8]) {
    let found = find_controllers(data);
    let all = [(&found.v1_blkio, "cgroup"), (&found.v2, "cgroup2")];
    for (mount, kind) in all {
        let Some(mount) = mount else { continue };
        assert!(mount.point.is_absolute() && mount.root.is_absolute());
        let folder = mount.folder(&mount.root);
        assert_eq!(folder.as_ref(), Some(&mount.point));
        if let Ok(table) = parse_mountinfo(data) {
            let same = |entry: &&open_local_core::host::MountEntry| {
                entry.kind == kind && entry.target == mount.point && entry.root == mount.root
            };
            assert!(table.iter().any(|entry| same(&entry)), "{mount:?}");
        }
    }
}

/// A table prints as text that gives the same table.
pub(crate) fn cgroup_v1(data: &[u8]) {
    if let Ok(table) = parse_v1_table(data) {
        let lines = table.iter().map(|(device, value)| format!("{device} {value}\n"));
        let text: String = lines.collect();
        assert_eq!(parse_v1_table(text.as_bytes()).ok(), Some(table));
    }
}

/// As [`cgroup_v1`].
pub(crate) fn io_max(data: &[u8]) {
    let Ok(table) = parse_io_max(data) else {
        return;
    };
    let mut text = String::new();
    for (device, limits) in &table {
        let keys = [
            ("rbps", Limit::ReadBps),
            ("wbps", Limit::WriteBps),
            ("riops", Limit::ReadIops),
            ("wiops", Limit::WriteIops),
        ];
        text += &device.to_string();
        for (key, limit) in keys {
            let value = limits.get(limit).map(|n| n.to_string());
            text += &format!(" {key}={}", value.as_deref().unwrap_or("max"));
        }
        text.push('\n');
    }
    assert_eq!(parse_io_max(text.as_bytes()).ok(), Some(table));
}
