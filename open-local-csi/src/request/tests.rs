//! Requests, good, bad and hostile.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::proto;
use crate::{Code, Status};

fn writer() -> proto::VolumeCapability {
    let mount = proto::volume_capability::MountVolume::default();
    proto::VolumeCapability {
        access_type: Some(proto::volume_capability::AccessType::Mount(mount)),
        access_mode: Some(proto::volume_capability::AccessMode { mode: 1 }),
    }
}

fn create() -> proto::CreateVolumeRequest {
    proto::CreateVolumeRequest {
        name: "pvc-1".into(),
        volume_capabilities: vec![writer()],
        ..Default::default()
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, field: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().starts_with(field), "{status}");
}

#[test]
fn an_ordinary_request_is_taken() {
    let request = CreateVolume::read(&create()).unwrap();
    assert_eq!(request.wanted.id.as_str(), "pvc-1");
    assert_eq!(request.size.required.get(), 1 << 30);
    assert!(!request.size.named);
}

#[test]
fn each_wrong_field_is_named() {
    let with = |change: &dyn Fn(&mut proto::CreateVolumeRequest)| {
        let mut message = create();
        change(&mut message);
        CreateVolume::read(&message)
    };
    refused(with(&|m| m.name.clear()), "name ");
    refused(with(&|m| m.name = "x".repeat(1 << 20)), "name ");
    refused(with(&|m| m.volume_capabilities.clear()), "volume_capabilities ");
    refused(
        with(&|m| m.volume_capabilities[0].access_mode = None),
        "volume_capabilities[0].access_mode ",
    );
    refused(
        with(&|m| m.volume_capabilities[0].access_type = None),
        "volume_capabilities[0].access_type ",
    );
    for mode in [0, 3, 4, 5, 8, -1, i32::MAX] {
        let mode = Some(proto::volume_capability::AccessMode { mode });
        refused(
            with(&|m| m.volume_capabilities[0].access_mode = mode),
            "volume_capabilities[0].access_mode ",
        );
    }
    let range = |required_bytes, limit_bytes| {
        with(&|m| {
            m.capacity_range = Some(proto::CapacityRange { required_bytes, limit_bytes });
        })
    };
    refused(range(-1, 0), "capacity_range.required_bytes ");
    refused(range(0, -1), "capacity_range.limit_bytes ");
    refused(range(2048, 1024), "capacity_range ");
    assert_eq!(range(i64::MAX, 0).unwrap_err().code(), Code::OutOfRange);
    assert_eq!(range(0, 511).unwrap_err().code(), Code::OutOfRange);
    assert_eq!(range(0, 1024).unwrap().size.required.get(), 1024);
    assert_eq!(range(1000, 0).unwrap().size.required.get(), 1024);
    refused(
        with(&|m| m.volume_content_source = Some(proto::VolumeContentSource::default())),
        "volume_content_source ",
    );
    refused(
        with(&|m| {
            m.mutable_parameters.insert("XXX_FakeKey".into(), "x".into());
        }),
        "mutable_parameters ",
    );
}

#[test]
fn mounts_are_checked_word_by_word() {
    let with = |change: &dyn Fn(&mut proto::volume_capability::MountVolume)| {
        let mut mount = proto::volume_capability::MountVolume::default();
        change(&mut mount);
        let mut message = writer();
        message.access_type = Some(proto::volume_capability::AccessType::Mount(mount));
        Capability::read("c", Some(&message))
    };
    refused(with(&|m| m.fs_type = "ntfs".into()), "c.mount.fs_type ");
    refused(with(&|m| m.volume_mount_group = "7".into()), "c.mount.volume_mount_group ");
    refused(with(&|m| m.mount_flags = vec!["a\0b".into()]), "c.mount.mount_flags ");
    refused(with(&|m| m.mount_flags = vec!["x".repeat(5000)]), "c.mount.mount_flags ");
    let flags = with(&|m| m.mount_flags = vec!["noatime,nodev".into(), String::new()]).unwrap();
    let Access::Mount { flags, .. } = flags.access else { panic!("it is a mount") };
    assert_eq!(flags, ["noatime", "nodev"]);
}

#[test]
fn paths_lead_nowhere_else() {
    for bad in
        ["", "relative", "/", "/..", "/a/../b", "/a/.", "/a\0b", "/a\n", &"/x".repeat(5000), "//"]
    {
        refused(target_path("target_path", bad), "target_path ");
    }
    let clean = target_path("target_path", "/var//lib/kubelet/x/").unwrap();
    assert_eq!(clean.as_os_str(), "/var/lib/kubelet/x");
    let stats = |path: &str| {
        Stats::read(&proto::NodeGetVolumeStatsRequest {
            volume_id: "v".into(),
            volume_path: path.into(),
            ..Default::default()
        })
    };
    assert_eq!(stats("some/path").unwrap().path, None);
    refused(stats(""), "volume_path ");
}

#[test]
fn an_expansion_names_its_size() {
    let message =
        proto::ControllerExpandVolumeRequest { volume_id: "v".into(), ..Default::default() };
    refused(ExpandVolume::read(&message), "capacity_range ");
    let message = proto::ControllerExpandVolumeRequest::default();
    refused(ExpandVolume::read(&message), "volume_id ");
}

#[test]
fn groups_have_members_each_once() {
    let with = |ids: &[&str]| {
        CreateGroup::read(&proto::CreateVolumeGroupSnapshotRequest {
            name: "g".into(),
            source_volume_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            ..Default::default()
        })
    };
    refused(with(&[]), "source_volume_ids ");
    refused(with(&["a", "a"]), "source_volume_ids ");
    refused(with(&["a", ""]), "source_volume_ids[1] ");
    assert_eq!(with(&["b", "a"]).unwrap().volumes.first().unwrap().text, "a");
}

#[test]
fn a_token_of_others_is_aborted_and_pages_follow_each_other() {
    assert_eq!(Page::read(0, "invalid-token").unwrap_err().code(), Code::Aborted);
    refused(Page::read(-1, ""), "max_entries ");
    let all = || ["c", "a", "b"].map(|id| (id.to_owned(), id)).to_vec();
    let (first, token) = Page::read(2, "").unwrap().cut(all());
    assert_eq!(first, ["a", "b"]);
    let (rest, token) = Page::read(2, &token).unwrap().cut(all());
    assert_eq!((rest.as_slice(), token.as_str()), (["c"].as_slice(), ""));
}

proptest! {
    /// Whatever comes over the wire: an answer, and no paths but those that are plain.
    #[test]
    fn any_bytes_give_a_request_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(message) = proto::CreateVolumeRequest::decode(bytes.as_slice()) {
            let _ = CreateVolume::read(&message);
        }
        if let Ok(message) = proto::NodePublishVolumeRequest::decode(bytes.as_slice())
            && let Ok(request) = Publish::read(&message)
        {
            prop_assert!(request.target.is_absolute());
        }
        if let Ok(message) = proto::NodeStageVolumeRequest::decode(bytes.as_slice()) {
            let _ = Stage::read(&message);
        }
        if let Ok(message) = proto::CreateVolumeGroupSnapshotRequest::decode(bytes.as_slice()) {
            let _ = CreateGroup::read(&message);
        }
        if let Ok(message) = proto::ListSnapshotsRequest::decode(bytes.as_slice()) {
            let _ = ListSnapshots::read(&message);
        }
    }

    #[test]
    fn a_path_that_is_taken_is_absolute_and_stays_below_the_root(text in "[/.a\u{0}é]{0,20}") {
        if let Ok(path) = target_path("p", &text) {
            prop_assert!(path.is_absolute());
            prop_assert!(path.components().skip(1).all(
                |part| matches!(part, std::path::Component::Normal(_))
            ));
            prop_assert!(path.components().count() > 1);
        }
    }
}
