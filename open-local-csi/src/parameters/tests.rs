//! Parameters, good and bad.

use open_local_core::throttle::Limit;
use open_local_core::{Bytes, Provisioning};
use proptest::prelude::*;

use super::*;
use crate::Code;

fn map(pairs: &[(&str, &str)]) -> Map {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn class(pairs: &[(&str, &str)]) -> Result<VolumeClass, crate::Status> {
    VolumeClass::read("parameters", &map(pairs))
}

#[test]
fn the_original_class_is_read() {
    let class = class(&[
        ("volumeType", "LVM"),
        ("vgName", "open-local-pool-0"),
        ("lvmType", "striping"),
        ("bps", "1Mi"),
        ("iops", "1000"),
        ("csi.storage.k8s.io/fstype", "xfs"),
        ("csi.storage.k8s.io/pvc/name", "data"),
        ("example.com/foreign", "anything"),
        ("someFlag", "x"),
    ])
    .unwrap();
    assert_eq!(class.kind, Some(VolumeType::Lvm));
    assert_eq!(class.pool.unwrap().as_str(), "open-local-pool-0");
    assert_eq!(class.striping, Striping::Widest);
    assert_eq!(class.limits.io.get(Limit::WriteBps), Some(1 << 20));
    assert_eq!(class.limits.io.get(Limit::ReadIops), Some(1000));
}

#[test]
fn new_keys_are_read_under_every_prefix_of_ours() {
    for prefix in ["csi.aliyun.com/", "local.csi.aliyun.com/", "yodaplugin.csi.alibabacloud.com/"] {
        let key = |name: &str| format!("{prefix}{name}");
        let map: Map = [
            (key("provisioning"), "thin".to_owned()),
            (key("stripes"), "4".to_owned()),
            (key("read-bps"), "10Mi".to_owned()),
            (key("mkfs-options"), "-m 0 -E lazy_itable_init=0".to_owned()),
            ("bps".to_owned(), "1Mi".to_owned()),
        ]
        .into();
        let class = VolumeClass::read("parameters", &map).unwrap();
        assert_eq!(class.provisioning, Some(Provisioning::Thin));
        assert_eq!(class.striping, Striping::Over(4));
        assert_eq!(class.mkfs_options.len(), 4);
        assert_eq!(class.limits.io.get(Limit::ReadBps), Some(10 << 20));
        assert_eq!(class.limits.io.get(Limit::WriteBps), Some(1 << 20));
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (pairs, word) in [
        (&[("volumeType", "lvm")][..], "volumeType"),
        (&[("volumeType", "Quota")], "Quota"),
        (&[("vgName", "../etc")], "vgName"),
        (&[("vgname", "x")], "vgName"),
        (&[("volume-type", "LVM")], "volumeType"),
        (&[("csi.aliyun.com/provisionin", "thin")], "provisionin"),
        (&[("csi.aliyun.com/provisioning", "fat")], "thin or thick"),
        (&[("csi.aliyun.com/readonly", "true")], "readonly"),
        (&[("bps", "0")], "bps"),
        (&[("bps", "fast")], "bps"),
        (&[("iops", "5Gi")], "can't be"),
        (&[("size", "1Gi")], "size"),
        (&[("csi.aliyun.com/stripes", "0")], "stripes"),
        (&[("lvmType", "linear"), ("csi.aliyun.com/stripes", "2")], "stripe"),
        (&[("csi.aliyun.com/overcommit-ratio", "0.5")], "overcommit-ratio"),
        (&[("csi.aliyun.com/throttle", "maybe")], "throttle"),
        (&[("csi.aliyun.com/erase", "a;b")], "erase"),
        (
            &[
                ("csi.aliyun.com/provisioning", "thin"),
                ("local.csi.aliyun.com/provisioning", "thick"),
            ],
            "two things",
        ),
    ] {
        let status = class(pairs).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{pairs:?}");
        assert!(status.message().contains(word), "{pairs:?}: {status}");
        assert!(status.message().starts_with("parameters "), "{status}");
    }
}

#[test]
fn a_snapshot_class_is_read_and_one_with_secrets_is_refused_by_key() {
    let class = SnapshotClass::read(
        "parameters",
        &map(&[
            ("csi.aliyun.com/readonly", "true"),
            ("csi.aliyun.com/snapshot-initial-size", "8Gi"),
            // The original's: there is no room of a snapshot's own that could grow.
            ("csi.aliyun.com/snapshot-expansion-threshold", "60%"),
        ]),
    )
    .unwrap();
    assert!(class.read_only && class.freeze);
    assert_eq!(class.initial_size, Bytes::from_gib(8));
    let key = "csi.storage.k8s.io/snapshotter-secret-name";
    let status = SnapshotClass::read("parameters", &map(&[(key, "s3")])).unwrap_err();
    assert!(status.message().contains(key), "{status}");
    let bad = SnapshotClass::read("p", &map(&[("csi.aliyun.com/snapshot-initial-size", "x")]));
    assert!(bad.is_err());
    let secrets = map(&[("s3AK", "marker")]);
    let status = keys::refuse_copies(&secrets).unwrap_err();
    assert!(status.message().contains("s3AK") && !status.message().contains("marker"));
}

#[test]
fn what_can_be_changed_is_limits_and_nothing_else() {
    let read = |pairs: &[(&str, &str)]| MutableParameters::read("mutable_parameters", &map(pairs));
    let limits = read(&[("csi.aliyun.com/write-iops", "200")]).unwrap().limits;
    assert_eq!(limits.io.get(Limit::WriteIops), Some(200));
    assert_eq!(limits.io.get(Limit::ReadIops), None);
    for key in ["XXX_FakeKey", "vgName", "example.com/foreign"] {
        assert!(read(&[(key, "x")]).unwrap_err().message().contains(key), "{key}");
    }
}

#[test]
fn an_inline_volume_names_its_pool() {
    let read = |pairs: &[(&str, &str)]| VolumeClass::read_inline("volume_context", &map(pairs));
    assert!(read(&[("size", "1Gi")]).unwrap_err().message().contains("vgName"));
    let class = read(&[("vgName", "share"), ("size", "2Gi")]).unwrap();
    assert_eq!(class.size, Bytes::from_gib(2));
}

#[test]
fn the_table_of_the_documentation_has_every_key() {
    let table = include_str!("table.md");
    for key in TABLE {
        let written = format!("`{}`", key.written());
        assert!(table.contains(&written), "{written} is not in the table");
    }
}

#[test]
fn a_map_without_end_is_refused() {
    let many: Map =
        (0..=MAX_ENTRIES).map(|n| (format!("example.com/{n}"), String::new())).collect();
    assert!(VolumeClass::read("parameters", &many).is_err());
    let large = map(&[("example.com/x", &"x".repeat(MAX_MAP))]);
    assert!(VolumeClass::read("parameters", &large).is_err());
}

proptest! {
    #[test]
    fn any_map_gives_a_class_or_an_error(
        pairs in proptest::collection::btree_map("[a-zA-Z./-]{0,40}", ".{0,40}", 0..8),
        known in proptest::collection::vec((0usize..TABLE.len(), ".{0,20}"), 0..4),
    ) {
        let mut map = pairs;
        for (at, value) in known {
            map.insert(TABLE[at].written(), value);
        }
        let _ = VolumeClass::read("parameters", &map);
        let _ = VolumeClass::read_inline("volume_context", &map);
        let _ = VolumeClass::read_context(&map);
        let _ = SnapshotClass::read("parameters", &map);
        let _ = MutableParameters::read("mutable_parameters", &map);
    }
}
