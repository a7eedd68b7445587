//! What is refused, by name and with the right code, and what is not refused beside it.

use super::*;
use crate::proto::{
    ControllerGetVolumeRequest, CreateVolumeGroupSnapshotRequest, DeleteVolumeGroupSnapshotRequest,
    VolumeCondition,
};
use open_local_core::PoolInfo;

/// Damages the record of the one target a volume is published at; answers the file.
fn damage(lab: &Lab, volume: &str) -> String {
    let host = lab.machine.host();
    let folder = host.roots.run.join("csi/published");
    let files = lab.machine.files();
    let names = host.files.list(&folder).unwrap();
    let of = names.iter().map(|name| folder.join(name)).find(|path| {
        let mut bytes = vec![0; 4096];
        let file = host.files.open(path, open_local_core::host::OpenMode::Read).unwrap();
        let length = file.read_some(0, &mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).contains(&format!("volume {volume}\n"))
    });
    let path = of.unwrap();
    files.take_away(&path).unwrap();
    files.add_file(&path, b"torn").unwrap();
    path.display().to_string()
}

fn condition(lab: &Lab, id: &str) -> VolumeCondition {
    let request = ControllerGetVolumeRequest { volume_id: id.into() };
    let got = lab.driver.controller_get_volume(&request).unwrap();
    got.status.unwrap().volume_condition.unwrap()
}

/// A damaged record of one target: only its volume and its target wait for somebody to look, and
/// they are told which file it is and what to do.
#[test]
fn a_damaged_record_stops_nobody_but_its_own_volume() {
    let lab = Lab::new(&[("fast", 100)]);
    let [torn, well] = ["torn", "well"].map(|name| lab.create(name, 1).unwrap());
    for volume in [&torn, &well] {
        lab.stage(volume, mount(1)).unwrap();
        lab.publish(volume, &format!("/pods/{}", volume.volume_id), mount(1)).unwrap();
    }
    let file = damage(&lab, "torn");
    lab.driver.reconcile_limits().unwrap();
    // Everything about others.
    lab.publish(&well, "/pods/second", mount(1)).unwrap();
    lab.unpublish(&well, "/pods/second").unwrap();
    lab.unpublish(&well, "/pods/well").unwrap();
    lab.unstage(&well).unwrap();
    assert!(!condition(&lab, "well").abnormal);
    lab.delete("well").unwrap();
    lab.delete("never-there").unwrap();
    let third = lab.create("third", 1).unwrap();
    lab.stage(&third, mount(1)).unwrap();
    lab.publish(&third, "/pods/third", mount(1)).unwrap();
    // Its own volume and its own target.
    let told = condition(&lab, "torn");
    assert!(told.abnormal && told.message.contains(&file), "{told:?}");
    for refused in [
        lab.unstage(&torn),
        lab.delete("torn"),
        lab.unpublish(&torn, "/pods/torn"),
        lab.publish(&torn, "/pods/other", mount(1)),
    ] {
        let status = refused.unwrap_err();
        let said = status.message();
        assert!(said.contains(&file) && said.contains("remove"), "{status}");
    }
    assert_eq!(code(lab.publish(&third, "/pods/torn", mount(1))), Code::AlreadyExists);
    // What the message says to do.
    lab.machine.files().take_away(std::path::Path::new(&file)).unwrap();
    lab.driver.reconcile_limits().unwrap();
    assert!(!condition(&lab, "torn").abnormal);
    lab.publish(&torn, "/pods/torn", mount(1)).unwrap();
    lab.unpublish(&torn, "/pods/torn").unwrap();
    lab.unstage(&torn).unwrap();
    lab.delete("torn").unwrap();
}

/// The volume of a pod is no source of anything that outlives the pod.
#[test]
fn an_inline_volume_is_neither_copied_nor_kept() {
    let mut lab = Lab::new(&[("fast", 10)]);
    let entries: Vec<_> =
        lab.driver.pools().iter().map(|entry| entry.clone().with_inline(true)).collect();
    lab.driver = Lab::start(&lab.machine, entries, |builder, _| builder);
    let mut asked = NodePublishVolumeRequest {
        volume_id: "csi-1".into(),
        target_path: "/pods/inline".into(),
        volume_capability: Some(mount(1)),
        ..Default::default()
    };
    for (key, value) in [("csi.storage.k8s.io/ephemeral", "true"), ("vgName", "fast")] {
        asked.volume_context.insert(key.into(), value.into());
    }
    lab.driver.node_publish_volume(&asked).unwrap();
    let mut copy = request("copy", 1);
    let source = volume_content_source::VolumeSource { volume_id: "csi-1".into() };
    copy.volume_content_source =
        Some(VolumeContentSource { r#type: Some(volume_content_source::Type::Volume(source)) });
    let status = lab.driver.create_volume(&copy).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("inline volume of a pod"), "{status}");
    assert_eq!(code(lab.snapshot("s", "csi-1")), Code::FailedPrecondition);
    let group = CreateVolumeGroupSnapshotRequest {
        name: "g".into(),
        source_volume_ids: vec!["csi-1".into()],
        ..Default::default()
    };
    let refused = lab.driver.create_volume_group_snapshot(&group);
    assert_eq!(code(refused), Code::FailedPrecondition);
    assert_eq!(code(lab.delete("csi-1")), Code::FailedPrecondition);
}

/// What the original made for a pod is known by the original's record.
#[test]
fn an_inline_volume_of_the_original_is_not_copied_either() {
    let lab = Lab::new(&[("fast", 10)]);
    let pool = &lab.driver.pools().iter().next().unwrap().pool;
    let spec = open_local_core::VolumeSpec::new("csi-old".parse().unwrap(), Bytes::GIB);
    pool.ensure_volume(&spec).unwrap().get();
    assert!(lab.snapshot("before", "csi-old").is_ok());
    let files = lab.machine.files();
    files.add_folder("/var/lib/kubelet").ok();
    let record = br#"{"csi-old": "/dev/fast/csi-old"}"#;
    files.add_file("/var/lib/kubelet/open-local-volumes.json", record).unwrap();
    assert_eq!(code(lab.snapshot("s", "csi-old")), Code::FailedPrecondition);
}

/// That a volume is in no pool says nothing of those that are left out of the settings.
#[test]
fn nothing_is_gone_that_may_be_in_a_pool_left_out_of_the_settings() {
    let mut lab = Lab::new(&[("fast", 10), ("slow", 10)]);
    lab.driver.remember_pools().unwrap();
    lab.delete("never-there").unwrap();
    let mut asked = request("v", 1);
    asked.parameters.insert("vgName".into(), "slow".into());
    lab.driver.create_volume(&asked).unwrap();
    let mut other = request("other", 1);
    other.parameters.insert("vgName".into(), "fast".into());
    lab.driver.create_volume(&other).unwrap();
    let all: Vec<_> = lab.driver.pools().iter().cloned().collect();
    let fast: Vec<_> = all.iter().filter(|one| one.name.as_str() == "fast").cloned().collect();
    lab.driver = Lab::start(&lab.machine, fast, |builder, _| builder);
    lab.driver.remember_pools().unwrap();
    let snapshot = DeleteSnapshotRequest { snapshot_id: "s".into(), ..Default::default() };
    let group =
        DeleteVolumeGroupSnapshotRequest { group_snapshot_id: "g".into(), ..Default::default() };
    for refused in [
        lab.delete("v"),
        lab.driver.delete_snapshot(&snapshot).map(drop),
        lab.driver.delete_volume_group_snapshot(&group).map(drop),
    ] {
        let status = refused.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().contains("pool slow of backend sim"), "{status}");
    }
    // What nothing can have the name of, and what is in a pool that is served, is not in doubt.
    lab.delete("no/name").unwrap();
    lab.delete("other").unwrap();
    let kept = lab.driver.records.pool_file(&PoolId::new("slow").unwrap());
    let status = lab.delete("v").unwrap_err();
    assert!(status.message().contains(&kept.display().to_string()), "{status}");
    // Served again it is found; forgotten by order it is not waited for.
    lab.driver = Lab::start(&lab.machine, all, |builder, _| builder);
    lab.delete("v").unwrap();
    lab.driver = Lab::new(&[("fast", 10)]).driver;
    lab.delete("v").unwrap();
}

#[test]
fn a_pool_that_has_another_name_now_is_known_by_its_uuid() {
    let lab = Lab::new(&[("fast", 10)]);
    let info: PoolInfo = lab.driver.pools().iter().next().unwrap().pool.info().unwrap();
    let uuid = super::super::pools::uuid_of(&info);
    let records = &lab.driver.records;
    let served = |name: &str, uuid| {
        records.serve_pool(&ServedPool::new(PoolId::new(name).unwrap(), "sim", uuid)).unwrap();
    };
    if uuid.is_some() {
        served("renamed", uuid);
        lab.delete("v").unwrap();
    }
    served("other", Some(open_local_core::Uuid::from_bytes([9; 16])));
    assert_eq!(code(lab.delete("v")), Code::Unavailable);
}

/// The keys of a snapshot class have an effect, or are refused by name.
#[test]
fn a_snapshot_class_asks_for_room_and_for_what_a_backend_knows() {
    let lab = Lab::new(&[("fast", 4)]);
    let _ = lab.create("v", 3).unwrap();
    let ask = |key: &str, value: &str| {
        let mut request = CreateSnapshotRequest {
            name: "s".to_owned(),
            source_volume_id: "v".to_owned(),
            ..Default::default()
        };
        request.parameters.insert(format!("csi.aliyun.com/{key}"), value.to_owned());
        request.parameters.insert("csi.aliyun.com/readonly".to_owned(), "true".to_owned());
        lab.driver.create_snapshot(&request).map(|_| ())
    };
    let status = ask("snapshot-initial-size", "2Gi").unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("snapshot-initial-size"), "{status}");
    let mut group = CreateVolumeGroupSnapshotRequest {
        name: "g".into(),
        source_volume_ids: vec!["v".into()],
        ..Default::default()
    };
    group.parameters.insert("csi.aliyun.com/snapshot-initial-size".into(), "2Gi".into());
    let refused = lab.driver.create_volume_group_snapshot(&group);
    assert_eq!(code(refused), Code::ResourceExhausted);
    let status = ask("freeze", "false").unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("csi.aliyun.com/freeze"), "{status}");
    ask("snapshot-initial-size", "512Mi").unwrap();
}
