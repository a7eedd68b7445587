//! Create, stage, publish, grow, copy, remove.

use super::*;
use open_local_core::host::StopAt;

#[test]
fn a_volume_lives_and_every_call_may_be_repeated() {
    let lab = Lab::new(&[("fast", 100)]);
    let volume = lab.create("pvc-1", 10).unwrap();
    assert_eq!(volume.volume_id, "pvc-1");
    assert_eq!(volume.capacity_bytes, 10 * GIB);
    assert_eq!(volume.accessible_topology.len(), 1);
    assert_eq!(lab.create("pvc-1", 10).unwrap(), volume);
    for _ in 0..2 {
        lab.stage(&volume, mount(1)).unwrap();
    }
    for _ in 0..2 {
        lab.publish(&volume, "/pod/a", mount(1)).unwrap();
    }
    lab.publish(&volume, "/pod/b", mount(1)).unwrap();
    let stats = lab.stats("pvc-1", "/pod/a").unwrap();
    assert_eq!(stats.usage.len(), 2);
    assert!(!stats.volume_condition.unwrap().abnormal);
    assert_eq!(code(lab.stats("pvc-1", "some/path")), Code::NotFound);
    assert_eq!(code(lab.stats("pvc-1", "/pod/c")), Code::NotFound);
    assert_eq!(code(lab.stats("no-such", "some/path")), Code::NotFound);
    assert_eq!(code(lab.delete("pvc-1")), Code::FailedPrecondition);
    assert_eq!(code(lab.unstage(&volume)), Code::Aborted);
    for target in ["/pod/a", "/pod/b", "/pod/b", "/pod/never"] {
        lab.unpublish(&volume, target).unwrap();
    }
    assert_eq!(code(lab.delete("pvc-1")), Code::FailedPrecondition);
    for _ in 0..2 {
        lab.unstage(&volume).unwrap();
    }
    for _ in 0..2 {
        lab.delete("pvc-1").unwrap();
    }
    lab.unpublish(&volume, "/pod/a").unwrap();
    lab.unstage(&volume).unwrap();
}

#[test]
fn a_name_stands_for_one_volume() {
    let lab = Lab::new(&[("fast", 100)]);
    let mut small = request("v", 1);
    small.capacity_range = Some(CapacityRange { required_bytes: GIB, limit_bytes: GIB });
    lab.driver.create_volume(&small).unwrap();
    let mut large = request("v", 2);
    large.capacity_range = Some(CapacityRange { required_bytes: 2 * GIB, limit_bytes: 2 * GIB });
    assert_eq!(code(lab.driver.create_volume(&large)), Code::AlreadyExists);
    let mut thick = request("v", 1);
    thick.parameters.insert("csi.aliyun.com/provisioning".into(), "thick".into());
    assert_eq!(code(lab.driver.create_volume(&thick)), Code::AlreadyExists);
    let mut elsewhere = request("v", 1);
    elsewhere.parameters.insert("vgName".into(), "slow".into());
    assert_eq!(code(lab.driver.create_volume(&elsewhere)), Code::AlreadyExists);
    let long = "n".repeat(128);
    let first = lab.create(&long, 1).unwrap();
    assert_eq!(lab.create(&long, 1).unwrap().volume_id, first.volume_id);
    lab.delete(&first.volume_id).unwrap();
}

#[test]
fn volumes_grow_with_their_file_systems() {
    let lab = Lab::new(&[("fast", 100)]);
    let volume = lab.create("v", 10).unwrap();
    lab.stage(&volume, mount(1)).unwrap();
    lab.publish(&volume, "/pod", mount(1)).unwrap();
    let range = |bytes| Some(CapacityRange { required_bytes: bytes, limit_bytes: 0 });
    let expand = |bytes| {
        lab.driver.controller_expand_volume(&ControllerExpandVolumeRequest {
            volume_id: "v".into(),
            capacity_range: range(bytes),
            ..Default::default()
        })
    };
    for _ in 0..2 {
        let expanded = expand(11 * GIB).unwrap();
        assert_eq!((expanded.capacity_bytes, expanded.node_expansion_required), (11 * GIB, true));
    }
    assert_eq!(code(expand(200 * GIB)), Code::OutOfRange);
    let before = lab.stats("v", "/pod").unwrap().usage[0].total;
    let on_node = |path: &str, bytes| {
        lab.driver.node_expand_volume(&NodeExpandVolumeRequest {
            volume_id: "v".into(),
            volume_path: path.into(),
            capacity_range: range(bytes),
            ..Default::default()
        })
    };
    for _ in 0..2 {
        assert_eq!(on_node("/pod", 11 * GIB).unwrap().capacity_bytes, 11 * GIB);
    }
    let after = lab.stats("v", "/pod").unwrap().usage[0].total;
    assert!(after > before, "{after} {before}");
    assert_eq!(on_node("/staging/v", 12 * GIB).unwrap().capacity_bytes, 12 * GIB);
    assert_eq!(code(on_node("some/path", 12 * GIB)), Code::NotFound);
    assert_eq!(code(on_node("/pod", 500 * GIB)), Code::OutOfRange);
}

#[test]
fn snapshots_and_copies() {
    let lab = Lab::new(&[("fast", 100), ("slow", 100)]);
    let volume = lab.create("v", 4).unwrap();
    let other = lab.create("w", 4).unwrap();
    let taken = lab.snapshot("s", "v").unwrap();
    assert!(taken.ready_to_use && taken.size_bytes == 4 * GIB);
    assert_eq!(lab.snapshot("s", "v").unwrap(), taken);
    assert_eq!(code(lab.snapshot("s", &other.volume_id)), Code::AlreadyExists);
    assert_eq!(code(lab.snapshot("t", "no-such")), Code::NotFound);

    let from = |name: &str, gib, source| {
        let mut request = request(name, gib);
        request.volume_content_source = Some(VolumeContentSource { r#type: Some(source) });
        lab.driver.create_volume(&request).map(|made| made.volume.unwrap())
    };
    let snapshot = |id: &str| {
        let snapshot_id = id.to_owned();
        volume_content_source::Type::Snapshot(volume_content_source::SnapshotSource { snapshot_id })
    };
    let clone = |id: &str| {
        let volume_id = id.to_owned();
        volume_content_source::Type::Volume(volume_content_source::VolumeSource { volume_id })
    };
    let restored = from("r", 5, snapshot("s")).unwrap();
    assert_eq!(restored.capacity_bytes, 5 * GIB);
    assert!(restored.content_source.is_some());
    assert_eq!(from("r", 5, snapshot("s")).unwrap(), restored);
    assert_eq!(code(from("r", 5, clone("v"))), Code::AlreadyExists);
    assert_eq!(code(from("small", 1, snapshot("s"))), Code::OutOfRange);
    assert_eq!(code(from("none", 5, snapshot("no-such"))), Code::NotFound);
    assert_eq!(code(from("none", 5, clone("no-such"))), Code::NotFound);
    from("c", 4, clone("v")).unwrap();

    let list = |request: ListSnapshotsRequest| lab.driver.list_snapshots(&request).unwrap();
    assert_eq!(list(ListSnapshotsRequest::default()).entries.len(), 1);
    let one = |id: &str| ListSnapshotsRequest { snapshot_id: id.into(), ..Default::default() };
    assert_eq!((list(one("s")).entries.len(), list(one("x")).entries.len()), (1, 0));
    let of = |id: &str| ListSnapshotsRequest { source_volume_id: id.into(), ..Default::default() };
    assert_eq!((list(of("v")).entries.len(), list(of("w")).entries.len()), (1, 0));
    let get = |id: &str| {
        let request = GetSnapshotRequest { snapshot_id: id.into(), ..Default::default() };
        lab.driver.get_snapshot(&request)
    };
    assert!(get("s").is_ok());
    assert_eq!(code(get("x")), Code::NotFound);

    lab.stage(&restored, mount(1)).unwrap();
    for _ in 0..2 {
        let request = DeleteSnapshotRequest { snapshot_id: "s".into(), ..Default::default() };
        lab.driver.delete_snapshot(&request).unwrap();
    }
    lab.delete(&volume.volume_id).unwrap();
}

#[test]
fn a_block_device_is_shown_as_it_is() {
    let lab = Lab::new(&[("fast", 100)]);
    let volume = lab.create("v", 1).unwrap();
    lab.stage(&volume, block(1)).unwrap();
    lab.publish(&volume, "/pod/device", block(1)).unwrap();
    let usage = lab.stats("v", "/pod/device").unwrap().usage;
    assert_eq!((usage.len(), usage[0].total), (1, GIB));
    assert_eq!(code(lab.delete("v")), Code::FailedPrecondition);
    assert_eq!(code(lab.unstage(&volume)), Code::Aborted);
    lab.unpublish(&volume, "/pod/device").unwrap();
    lab.unstage(&volume).unwrap();
    lab.delete("v").unwrap();
}

#[test]
fn a_single_writer_is_alone() {
    let lab = Lab::new(&[("fast", 100)]);
    let volume = lab.create("v", 1).unwrap();
    lab.stage(&volume, mount(6)).unwrap();
    lab.publish(&volume, "/pod/a", mount(6)).unwrap();
    lab.publish(&volume, "/pod/a", mount(6)).unwrap();
    assert_eq!(code(lab.publish(&volume, "/pod/b", mount(6))), Code::FailedPrecondition);
    assert_eq!(code(lab.publish(&volume, "/pod/b", mount(7))), Code::FailedPrecondition);
    lab.unpublish(&volume, "/pod/a").unwrap();
    lab.publish(&volume, "/pod/b", mount(6)).unwrap();
}

#[test]
fn what_is_not_this_volume_is_neither_mounted_nor_unmounted() {
    let lab = Lab::new(&[("fast", 100)]);
    let (first, second) = (lab.create("a", 1).unwrap(), lab.create("b", 1).unwrap());
    for volume in [&first, &second] {
        lab.stage(volume, mount(1)).unwrap();
    }
    lab.publish(&first, "/pod/a", mount(1)).unwrap();
    assert_eq!(code(lab.unpublish(&second, "/pod/a")), Code::FailedPrecondition);
    assert_eq!(code(lab.publish(&second, "/pod/a", mount(1))), Code::AlreadyExists);
    let mut crossed = second.clone();
    crossed.volume_id = "b".into();
    let request = NodeUnstageVolumeRequest {
        volume_id: "b".into(),
        staging_target_path: "/staging/a".into(),
    };
    // It is not staged there: the specification has OK, and nothing changes.
    lab.driver.node_unstage_volume(&request).unwrap();
    for volume in ["a", "b"] {
        assert!(lab.stats(volume, &format!("/staging/{volume}")).is_ok());
    }
    // Another volume of the same name: its context names the UUID of the first.
    lab.unstage(&second).unwrap();
    lab.delete("b").unwrap();
    lab.create("b", 1).unwrap();
    assert_eq!(code(lab.stage(&crossed, mount(1))), Code::FailedPrecondition);
}

/// What the context knows of and the volume or pool lacks is another volume.
#[test]
fn a_volume_without_the_uuid_that_its_context_has_is_another_one() {
    let lab = Lab::new(&[("fast", 100)]);
    let entry = lab.driver.pools().iter().next().unwrap().clone();
    let spec = open_local_core::VolumeSpec::new("v".parse().unwrap(), Bytes::GIB);
    let _ = entry.pool.ensure_volume(&spec).unwrap();
    let mut volume = lab.create("v", 1).unwrap();
    // One that was made by others has none, and its context neither.
    lab.stage(&volume, mount(1)).unwrap();
    lab.unstage(&volume).unwrap();
    for key in [crate::context::VOLUME_UUID, crate::context::POOL_UUID] {
        let kept = volume.volume_context.clone();
        let uuid = "0f5c1a2e-9d3b-4f6a-8a51-0c2f6a7b8c9d".to_owned();
        volume.volume_context.insert(key.to_owned(), uuid.clone());
        let status = lab.stage(&volume, mount(1)).unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{key}");
        assert!(status.message().contains(&uuid) && status.message().contains("none"), "{status}");
        volume.volume_context.insert(key.to_owned(), "no uuid".to_owned());
        let status = lab.stage(&volume, mount(1)).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{key}");
        volume.volume_context = kept;
    }
}

#[test]
fn a_foreign_mount_at_the_staging_path_stays() {
    let lab = Lab::new(&[("fast", 100)]);
    let (first, second) = (lab.create("a", 1).unwrap(), lab.create("b", 1).unwrap());
    lab.stage(&first, mount(1)).unwrap();
    let cover = |path: &str| {
        let bind = open_local_core::fs::BindSpec::new("/staging/a", path);
        lab.driver.filesystems.ensure_bound(&bind).unwrap().get();
    };
    // Not staged at all: OK, and what is there stays.
    cover("/staging/b");
    lab.unstage(&second).unwrap();
    assert!(lab.stats("a", "/staging/b").is_ok());
    // A block device is given back all the same: there never was a mount of it.
    lab.stage(&second, block(1)).unwrap();
    lab.unstage(&second).unwrap();
    assert!(lab.stats("a", "/staging/b").is_ok());
    lab.delete("b").unwrap();
    // A volume that was mounted there and is no longer seen is not said to be gone.
    let third = lab.create("c", 1).unwrap();
    lab.stage(&third, mount(1)).unwrap();
    let _ = lab.driver.filesystems.ensure_unmounted("/staging/c".as_ref()).unwrap();
    cover("/staging/c");
    assert_eq!(code(lab.unstage(&third)), Code::FailedPrecondition);
    let _ = lab.driver.filesystems.ensure_unmounted("/staging/c".as_ref()).unwrap();
    lab.unstage(&third).unwrap();
    lab.delete("c").unwrap();
}

#[test]
fn a_volume_at_two_staging_paths_is_detached_with_the_last() {
    let lab = Lab::new(&[("fast", 100)]);
    let volume = lab.create("v", 1).unwrap();
    lab.stage(&volume, mount(1)).unwrap();
    let mut other = NodeStageVolumeRequest {
        volume_id: "v".into(),
        staging_target_path: "/staging/other".into(),
        volume_capability: Some(mount(1)),
        volume_context: volume.volume_context.clone(),
        ..Default::default()
    };
    lab.driver.node_stage_volume(&other).unwrap();
    lab.unstage(&volume).unwrap();
    lab.unstage(&volume).unwrap();
    assert!(lab.stats("v", "/staging/other").is_ok());
    assert_eq!(code(lab.delete("v")), Code::FailedPrecondition);
    other.staging_target_path = "/staging/never".into();
    let unstage = |path: &str| {
        let request =
            NodeUnstageVolumeRequest { volume_id: "v".into(), staging_target_path: path.into() };
        lab.driver.node_unstage_volume(&request)
    };
    unstage("/staging/never").unwrap();
    assert!(lab.stats("v", "/staging/other").is_ok());
    unstage("/staging/other").unwrap();
    lab.delete("v").unwrap();
}

/// A record that can't be read may be one of any volume.
#[test]
fn nothing_is_unstaged_or_removed_while_a_record_cannot_be_read() {
    let lab = Lab::new(&[("fast", 100)]);
    let volume = lab.create("v", 1).unwrap();
    lab.stage(&volume, block(1)).unwrap();
    lab.publish(&volume, "/pod/device", block(1)).unwrap();
    let files = lab.machine.files();
    let folder = std::path::Path::new("/run/open-local/csi/published");
    let record = files.paths().into_iter().find(|path| path.parent() == Some(folder)).unwrap();
    let record = record.display().to_string();
    let host = lab.machine.host();
    let good = open_local_core::host::read_small(host.files.as_ref(), record.as_ref(), 4096);
    files.add_file(&record, b"damaged").unwrap();
    for answer in [
        lab.unstage(&volume),
        lab.delete("v"),
        lab.unpublish(&volume, "/pod/device"),
        lab.publish(&volume, "/pod/b", block(1)),
    ] {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains(&record), "{status}");
    }
    // Other targets go on, and so do limits.
    lab.driver.reconcile_limits().unwrap();
    files.add_file(&record, &good.unwrap()).unwrap();
    lab.unpublish(&volume, "/pod/device").unwrap();
    lab.unstage(&volume).unwrap();
    lab.delete("v").unwrap();
}

#[test]
fn a_block_device_grows_only_where_it_is() {
    let lab = Lab::new(&[("fast", 100)]);
    let volume = lab.create("v", 1).unwrap();
    let expand = |path: &str| {
        lab.driver.node_expand_volume(&NodeExpandVolumeRequest {
            volume_id: "v".into(),
            volume_path: path.into(),
            capacity_range: Some(CapacityRange { required_bytes: 2 * GIB, limit_bytes: 0 }),
            volume_capability: Some(block(1)),
            ..Default::default()
        })
    };
    assert_eq!(code(expand("/staging/v")), Code::NotFound);
    lab.stage(&volume, block(1)).unwrap();
    for path in ["/pod/device", "/etc", "some/path", "/staging/v/x"] {
        assert_eq!(code(expand(path)), Code::NotFound, "{path}");
    }
    assert_eq!(expand("/staging/v").unwrap().capacity_bytes, 2 * GIB);
    lab.publish(&volume, "/pod/device", block(1)).unwrap();
    assert_eq!(expand("/pod/device").unwrap().capacity_bytes, 2 * GIB);
}

#[test]
fn a_source_that_nothing_can_have_the_name_of_is_not_found() {
    let lab = Lab::new(&[("fast", 100)]);
    lab.create("v", 1).unwrap();
    for source in [
        volume_content_source::Type::Snapshot(volume_content_source::SnapshotSource {
            snapshot_id: "no/such".into(),
        }),
        volume_content_source::Type::Volume(volume_content_source::VolumeSource {
            volume_id: "no/such".into(),
        }),
    ] {
        for name in ["v", "w"] {
            let mut request = request(name, 1);
            let source = VolumeContentSource { r#type: Some(source.clone()) };
            request.volume_content_source = Some(source);
            assert_eq!(code(lab.driver.create_volume(&request)), Code::NotFound, "{name}");
        }
    }
}

/// Every call of a life, cut before every step, is finished by the same call.
#[test]
fn a_cut_at_any_step_is_finished_by_the_same_call() {
    type Step = fn(&Lab) -> Answer<()>;
    fn known(lab: &Lab) -> Volume {
        lab.create("v", 2).unwrap()
    }
    let steps: [Step; 8] = [
        |lab| lab.create("v", 2).map(|_| ()),
        |lab| lab.stage(&known(lab), mount(1)),
        |lab| lab.publish(&known(lab), "/pod", mount(1)),
        |lab| lab.snapshot("s", "v").map(|_| ()),
        |lab| lab.unpublish(&known(lab), "/pod"),
        |lab| lab.unstage(&known(lab)),
        |lab| lab.delete("v"),
        |lab| {
            let request = DeleteSnapshotRequest { snapshot_id: "s".into(), ..Default::default() };
            lab.driver.delete_snapshot(&request).map(|_| ())
        },
    ];
    let mut cuts = 0;
    for which in 0..steps.len() {
        for at in 1..40 {
            let lab = Lab::new(&[("fast", 100)]);
            for step in &steps[..which] {
                step(&lab).unwrap();
            }
            let stop = Arc::new(StopAt::new(at));
            lab.machine.arm(stop.clone());
            let answer = steps[which](&lab);
            lab.machine.disarm();
            if !stop.reached() {
                answer.unwrap();
                break;
            }
            cuts += 1;
            assert_eq!(code(answer), Code::Aborted, "step {which} cut at {at}");
            for step in &steps[which..] {
                step(&lab).unwrap();
            }
            let left = lab.driver.list_volumes(&ListVolumesRequest::default()).unwrap();
            assert!(left.entries.is_empty());
            assert!(lab.driver.records.all_published().unwrap().is_empty());
        }
    }
    assert!(cuts > 20, "{cuts}");
}
