//! Inline volumes whose publish fails, and those that stand in each other's way.

use std::path::Path;

use open_local_core::host::StopAt;
use open_local_core::sim::FailAt;
use open_local_core::{ErrorKind, VolumeId};

use super::*;

const POD: &str = "0f5c1a2e-9d3b-4f6a-8a51-0c2f6a7b8c9d";
/// An id that no pool takes as a name.
const ODD: &str = "csi/1 of a pod";

fn lab() -> Lab {
    let mut lab = Lab::new(&[("fast", 10)]);
    let entries: Vec<_> =
        lab.driver.pools().iter().map(|entry| entry.clone().with_inline(true)).collect();
    lab.driver = Lab::start(&lab.machine, entries, |builder, _| builder);
    let _ = folder(&lab, "/var/lib/kubelet/pods/other");
    lab
}

fn folder(lab: &Lab, path: &str) -> bool {
    lab.machine.files().add_folder(path).is_ok()
}

fn target(name: &str) -> String {
    format!("/var/lib/kubelet/pods/{POD}/volumes/kubernetes.io~csi/{name}/mount")
}

fn asks(id: &str, target: &str, attributes: &[(&str, &str)]) -> NodePublishVolumeRequest {
    let mut request = NodePublishVolumeRequest {
        volume_id: id.into(),
        target_path: target.into(),
        volume_capability: Some(mount(1)),
        ..Default::default()
    };
    let all = [("csi.storage.k8s.io/ephemeral", "true"), ("vgName", "fast")];
    for (key, value) in all.iter().chain(attributes) {
        request.volume_context.insert((*key).into(), (*value).into());
    }
    request
}

fn publish(lab: &Lab, id: &str, target: &str) -> Answer<()> {
    lab.driver.node_publish_volume(&asks(id, target, &[])).map(|_| ())
}

fn unpublish(lab: &Lab, id: &str, target: &str) -> Answer<()> {
    let request = NodeUnpublishVolumeRequest { volume_id: id.into(), target_path: target.into() };
    lab.driver.node_unpublish_volume(&request).map(|_| ())
}

fn volumes(lab: &Lab) -> Vec<VolumeId> {
    let all = lab.driver.pools().iter().flat_map(|entry| entry.pool.volumes().unwrap());
    all.map(|volume| volume.id).collect()
}

#[track_caller]
fn nothing_left(lab: &Lab, what: &str) {
    assert_eq!(volumes(lab), [], "{what}");
    assert!(lab.driver.records.all_inline().unwrap().is_empty(), "{what}");
    assert!(lab.driver.records.all_published().unwrap().is_empty(), "{what}");
}

/// A step that fails, or a kill before it, in every publish: no volume is ever without a record,
/// and each of the three ways out leaves nothing behind.
#[test]
fn a_publish_that_fails_at_any_step_leaks_no_volume() {
    type Way = fn(&Lab, &NodePublishVolumeRequest);
    let ways: [(&str, Way); 3] = [
        ("published again", |lab, asked| {
            lab.driver.node_publish_volume(asked).unwrap();
            unpublish(lab, &asked.volume_id, &asked.target_path).unwrap();
        }),
        ("unpublished", |lab, asked| {
            unpublish(lab, &asked.volume_id, &asked.target_path).unwrap();
        }),
        ("swept", |lab, asked| {
            // The kubelet removes the pod's folder; nothing was ever mounted in it.
            lab.machine.reboot();
            let swept = lab.driver.recover_inline().unwrap();
            assert!(swept.failed.is_empty(), "{swept:?}");
            assert!(swept.removed.iter().all(|one| *one == asked.volume_id));
        }),
    ];
    let mut failed = 0;
    for id in ["csi-1", ODD] {
        for (name, way) in ways {
            for direct in ["false", "true"] {
                for (kill, at) in (1..40).flat_map(|at| [(true, at), (false, at)]) {
                    let lab = lab();
                    let stop = Arc::new(StopAt::new(at));
                    let fail = Arc::new(FailAt::new(at, ErrorKind::Io));
                    match kill {
                        true => lab.machine.arm(stop.clone()),
                        false => lab.machine.arm(fail.clone()),
                    }
                    let asked = asks(id, &target("v"), &[("direct", direct)]);
                    let answer = lab.driver.node_publish_volume(&asked);
                    lab.machine.disarm();
                    if answer.is_ok() {
                        break;
                    }
                    failed += 1;
                    let what = format!("{id} direct={direct} kill={kill} at {at}, {name}");
                    let records = lab.driver.records.all_inline().unwrap();
                    assert!(volumes(&lab).is_empty() || records.len() == 1, "{what}");
                    way(&lab, &asked);
                    nothing_left(&lab, &what);
                }
            }
        }
    }
    assert!(failed > 100, "{failed}");
}

#[test]
fn an_inline_volume_has_one_target_and_takes_nobody_elses() {
    let lab = lab();
    publish(&lab, "csi-1", &target("a")).unwrap();
    assert_eq!(code(publish(&lab, "csi-1", &target("b"))), Code::FailedPrecondition);
    // Nothing of it is at the second target, and the first stays.
    unpublish(&lab, "csi-1", &target("b")).unwrap();
    assert_eq!(volumes(&lab).len(), 1);
    assert!(lab.stats("csi-1", &target("a")).is_ok());
    // Another one at the same target is refused before it is made.
    assert_eq!(code(publish(&lab, "csi-2", &target("a"))), Code::AlreadyExists);
    assert_eq!(volumes(&lab).len(), 1);
    unpublish(&lab, "csi-1", &target("a")).unwrap();
    nothing_left(&lab, "the end");

    let volume = lab.create("v", 1).unwrap();
    lab.stage(&volume, mount(1)).unwrap();
    lab.publish(&volume, &target("c"), mount(1)).unwrap();
    assert_eq!(code(publish(&lab, "csi-3", &target("c"))), Code::AlreadyExists);
    assert_eq!(volumes(&lab).len(), 1);
    assert!(lab.driver.records.all_inline().unwrap().is_empty());
    lab.unpublish(&volume, &target("c")).unwrap();
    publish(&lab, "csi-3", &target("c")).unwrap();
    assert_eq!(code(lab.publish(&volume, &target("c"), mount(1))), Code::AlreadyExists);
    unpublish(&lab, "csi-3", &target("c")).unwrap();
    assert_eq!(volumes(&lab).len(), 1);
}

#[test]
fn any_text_is_an_id_and_two_texts_are_two_volumes() {
    let lab = lab();
    publish(&lab, ODD, &target("odd")).unwrap();
    let id = volumes(&lab).remove(0);
    // The name that the odd one was given is an id too, of another volume.
    publish(&lab, id.as_str(), &target("same")).unwrap();
    assert_eq!(volumes(&lab).len(), 2);
    assert!(lab.stats(ODD, &target("odd")).is_ok());
    unpublish(&lab, id.as_str(), &target("same")).unwrap();
    assert_eq!(volumes(&lab), [id]);
    unpublish(&lab, ODD, &target("odd")).unwrap();
    nothing_left(&lab, "the end");
}

#[test]
fn an_inline_volume_for_reading_is_mounted_for_reading() {
    let reading = |volume: &str| {
        let lab = lab();
        let mut asked = asks(volume, &target("v"), &[]);
        asked.readonly = true;
        for _ in 0..2 {
            lab.driver.node_publish_volume(&asked).unwrap();
        }
        let mounted = lab.driver.filesystems.mounted_at(Path::new(&target("v"))).unwrap().unwrap();
        assert!(mounted.read_only);
        // The same target for writing is another publish.
        asked.readonly = false;
        assert_eq!(code(lab.driver.node_publish_volume(&asked)), Code::AlreadyExists);
        unpublish(&lab, volume, &target("v")).unwrap();
        nothing_left(&lab, volume);
    };
    reading("csi-1");
    reading(ODD);
    let lab = lab();
    let mut asked = asks("csi-1", &target("v"), &[]);
    asked.volume_capability = Some(mount(2));
    lab.driver.node_publish_volume(&asked).unwrap();
    let mounted = lab.driver.filesystems.mounted_at(Path::new(&target("v"))).unwrap().unwrap();
    assert!(mounted.read_only);
}

#[test]
fn a_key_that_would_do_nothing_is_refused_by_name() {
    let lab = lab();
    for (key, value) in [
        ("csi.aliyun.com/snapshot-initial-size", "1Gi"),
        ("csi.aliyun.com/snapshot-expansion-size", "1Gi"),
        ("csi.aliyun.com/readonly", "true"),
        ("csi.aliyun.com/when-full", "queue"),
        ("csi.aliyun.com/overcommit-ratio", "2"),
        ("mediaType", "ssd"),
    ] {
        let status = lab.driver.node_publish_volume(&asks("csi-1", &target("v"), &[(key, value)]));
        let status = status.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{key}");
        assert!(status.message().contains(key), "{status}");
    }
    let erase = asks("csi-1", &target("v"), &[("csi.aliyun.com/erase", "zero")]);
    assert_eq!(code(lab.driver.node_publish_volume(&erase)), Code::FailedPrecondition);
    nothing_left(&lab, "refused");
    let erase = asks("csi-1", &target("v"), &[("csi.aliyun.com/erase", "none")]);
    lab.driver.node_publish_volume(&erase).unwrap();
}

#[test]
fn what_somebody_mounts_over_a_target_stays_and_the_volume_goes() {
    let lab = lab();
    let volume = lab.create("v", 1).unwrap();
    lab.stage(&volume, mount(1)).unwrap();
    lab.machine.arm(Arc::new(StopAt::new(4)));
    assert!(publish(&lab, "csi-1", &target("a")).is_err());
    lab.machine.disarm();
    lab.driver
        .filesystems
        .ensure_bound(&open_local_core::fs::BindSpec::new("/staging/v", target("a")))
        .unwrap()
        .get();
    unpublish(&lab, "csi-1", &target("a")).unwrap();
    assert_eq!(volumes(&lab).len(), 1);
    assert!(lab.driver.filesystems.mounted_at(Path::new(&target("a"))).unwrap().is_some());
}

#[test]
fn an_inline_volume_is_changed_by_nobody_but_its_pod() {
    let lab = lab();
    publish(&lab, "csi-1", &target("a")).unwrap();
    let size = Some(CapacityRange { required_bytes: 2 * GIB, limit_bytes: 0 });
    let expand = lab.driver.controller_expand_volume(&ControllerExpandVolumeRequest {
        volume_id: "csi-1".into(),
        capacity_range: size,
        ..Default::default()
    });
    assert_eq!(code(expand), Code::FailedPrecondition);
    let expand = lab.driver.node_expand_volume(&NodeExpandVolumeRequest {
        volume_id: "csi-1".into(),
        volume_path: target("a"),
        capacity_range: size,
        ..Default::default()
    });
    assert_eq!(code(expand), Code::FailedPrecondition);
    let modify = crate::proto::ControllerModifyVolumeRequest {
        volume_id: "csi-1".into(),
        ..Default::default()
    };
    assert_eq!(code(lab.driver.controller_modify_volume(&modify)), Code::FailedPrecondition);
    assert_eq!(code(lab.snapshot("s", "csi-1")), Code::FailedPrecondition);
    assert_eq!(code(lab.delete("csi-1")), Code::FailedPrecondition);
    unpublish(&lab, "csi-1", &target("a")).unwrap();
    nothing_left(&lab, "the end");
}

#[test]
fn a_volume_that_is_still_seen_is_neither_detached_nor_removed() {
    let lab = lab();
    publish(&lab, "csi-1", &target("a")).unwrap();
    let found = lab.driver.pools().volume(&"csi-1".parse().unwrap()).unwrap().unwrap();
    let number = found.object.attachment.unwrap().number;
    lab.machine.files().add_folder("/proc/self").ok();
    let table = format!("30 1 {number} / /elsewhere rw - ext4 /dev/x rw\n");
    lab.machine.files().add_file("/proc/self/mountinfo", table.as_bytes()).unwrap();
    let status = unpublish(&lab, "csi-1", &target("a")).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("/elsewhere"), "{status}");
    assert_eq!(volumes(&lab).len(), 1);
    assert_eq!(lab.driver.records.all_inline().unwrap().len(), 1);
    lab.machine.files().add_file("/proc/self/mountinfo", b"").unwrap();
    unpublish(&lab, "csi-1", &target("a")).unwrap();
    nothing_left(&lab, "the end");
}

/// A volume may be named like the kubelet's folder.
#[test]
fn a_volume_named_pods_stays_as_long_as_its_pod() {
    let lab = lab();
    let path = target("pods");
    publish(&lab, "csi-1", &path).unwrap();
    let files = lab.machine.files();
    let mut folder = String::new();
    for part in format!("/var/lib/kubelet/pods/{POD}/volumes/kubernetes.io~csi/pods")
        .trim_start_matches('/')
        .split('/')
    {
        folder = format!("{folder}/{part}");
        files.add_folder(&folder).ok();
    }
    files.add_file(format!("{folder}/vol_data.json"), b"{}").unwrap();
    assert_eq!(lab.driver.recover_inline().unwrap(), Default::default());
    assert_eq!(volumes(&lab).len(), 1);
}
