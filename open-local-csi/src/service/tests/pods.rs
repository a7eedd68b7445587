//! What is done for one pod: limits, inline volumes, devices for virtual machines.

use std::path::Path;

use open_local_core::host::StopAt;
use open_local_core::throttle::{CgroupTarget, IoThrottle, Limit};
use open_local_core::{PublishSpec, VolumeId};

use super::*;

const POD: &str = "0f5c1a2e-9d3b-4f6a-8a51-0c2f6a7b8c9d";
const MOUNTS: &str = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

/// Makes a file and the folders above it.
fn put(lab: &Lab, path: &str, text: &str) {
    let files = lab.machine.host().files;
    folder(lab, Path::new(path).parent().unwrap());
    let file = files.create_new(Path::new(path)).unwrap();
    file.set_len(Bytes::new(text.len() as u64)).unwrap();
    file.write_at(0, text.as_bytes()).unwrap();
}

fn folder(lab: &Lab, path: &Path) {
    let files = lab.machine.host().files;
    let above: Vec<_> = path.ancestors().collect();
    for part in above.into_iter().rev() {
        let _ = files.create_dir(part);
    }
}

fn cgroup(lab: &Lab) -> CgroupTarget {
    let slice = POD.replace('-', "_");
    let path =
        format!("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice");
    folder(lab, &Path::new("/sys/fs/cgroup").join(&path));
    let target = CgroupTarget::new(path).unwrap();
    SimThrottle::new(&lab.machine).add_cgroup(&target);
    target
}

fn limited(lab: &Lab, extra: &[(&str, &str)]) -> Volume {
    let mut request = request("v", 1);
    request.parameters.insert("bps".into(), "1Mi".into());
    for (key, value) in extra {
        request.parameters.insert((*key).into(), (*value).into());
    }
    lab.driver.create_volume(&request).unwrap().volume.unwrap()
}

fn target_of_pod() -> String {
    format!("/var/lib/kubelet/pods/{POD}/volumes/kubernetes.io~csi/v/mount")
}

fn in_force(lab: &Lab, target: &CgroupTarget) -> Option<u64> {
    let volume = lab.driver.pools().volume(&"v".parse().unwrap()).unwrap().unwrap();
    let device = volume.object.attachment?.number;
    let state = SimThrottle::new(&lab.machine).current(target, device).unwrap()?;
    state.in_force?.get(Limit::WriteBps)
}

fn abnormal(lab: &Lab) -> Option<String> {
    let stats = lab.stats("v", &target_of_pod()).unwrap();
    let condition = stats.volume_condition.unwrap();
    condition.abnormal.then_some(condition.message)
}

#[test]
fn limits_reach_the_pod_change_with_the_volume_and_go_with_the_target() {
    let lab = Lab::new(&[("fast", 100)]);
    put(&lab, "/proc/self/mountinfo", MOUNTS);
    let group = cgroup(&lab);
    let volume = limited(&lab, &[]);
    lab.stage(&volume, mount(1)).unwrap();
    lab.publish(&volume, &target_of_pod(), mount(1)).unwrap();
    assert_eq!(in_force(&lab, &group), Some(1 << 20));
    assert_eq!(abnormal(&lab), None);
    let modify = |value: Option<&str>| {
        let mut request = crate::proto::ControllerModifyVolumeRequest {
            volume_id: "v".into(),
            ..Default::default()
        };
        if let Some(value) = value {
            request.mutable_parameters.insert("bps".into(), value.into());
        }
        lab.driver.controller_modify_volume(&request).map(|_| ())
    };
    modify(Some("2Mi")).unwrap();
    assert_eq!(in_force(&lab, &group), Some(2 << 20));
    // The changed limits hold for the next publish too.
    lab.unpublish(&volume, &target_of_pod()).unwrap();
    assert_eq!(in_force(&lab, &group), None);
    lab.publish(&volume, &target_of_pod(), mount(1)).unwrap();
    assert_eq!(in_force(&lab, &group), Some(2 << 20));
}

#[test]
fn a_pod_without_a_cgroup_is_a_condition_until_it_has_one() {
    let lab = Lab::new(&[("fast", 100)]);
    put(&lab, "/proc/self/mountinfo", MOUNTS);
    let volume = limited(&lab, &[]);
    lab.stage(&volume, mount(1)).unwrap();
    lab.publish(&volume, &target_of_pod(), mount(1)).unwrap();
    assert!(abnormal(&lab).unwrap().contains("no cgroup yet"));
    let group = cgroup(&lab);
    lab.driver.reconcile_limits().unwrap();
    assert_eq!(in_force(&lab, &group), Some(1 << 20));
    assert_eq!(abnormal(&lab), None);
    lab.unpublish(&volume, &target_of_pod()).unwrap();
    assert_eq!(in_force(&lab, &group), None);
}

#[test]
fn limits_that_are_required_keep_the_pod_waiting() {
    let lab = Lab::new(&[("fast", 100)]);
    put(&lab, "/proc/self/mountinfo", MOUNTS);
    let volume = limited(&lab, &[("csi.aliyun.com/throttle", "required")]);
    lab.stage(&volume, mount(1)).unwrap();
    let status = lab.publish(&volume, &target_of_pod(), mount(1)).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let group = cgroup(&lab);
    lab.publish(&volume, &target_of_pod(), mount(1)).unwrap();
    assert_eq!(in_force(&lab, &group), Some(1 << 20));
}

fn inline_lab() -> Lab {
    let mut lab = Lab::new(&[("fast", 10), ("shut", 10)]);
    let entries = lab.driver.pools().iter().cloned().collect::<Vec<_>>();
    let entries = entries.into_iter().map(|entry| {
        let open = entry.name.as_str() == "fast";
        entry.with_inline(open)
    });
    lab.driver = Lab::start(&lab.machine, entries.collect(), |builder, _| builder);
    lab
}

fn publish_inline(lab: &Lab, attributes: &[(&str, &str)]) -> Answer<()> {
    let mut request = NodePublishVolumeRequest {
        volume_id: "csi-1".into(),
        target_path: target_of_pod(),
        volume_capability: Some(mount(1)),
        ..Default::default()
    };
    request.volume_context.insert("csi.storage.k8s.io/ephemeral".into(), "true".into());
    for (key, value) in attributes {
        request.volume_context.insert((*key).into(), (*value).into());
    }
    lab.driver.node_publish_volume(&request).map(|_| ())
}

fn unpublish_inline(lab: &Lab) -> Answer<()> {
    let request =
        NodeUnpublishVolumeRequest { volume_id: "csi-1".into(), target_path: target_of_pod() };
    lab.driver.node_unpublish_volume(&request).map(|_| ())
}

fn has(lab: &Lab, id: &str) -> bool {
    let id: VolumeId = id.parse().unwrap();
    lab.driver.pools().volume(&id).unwrap().is_some()
}

#[test]
fn an_inline_volume_lives_as_long_as_its_pod() {
    let lab = inline_lab();
    for _ in 0..2 {
        publish_inline(&lab, &[("vgName", "fast"), ("size", "1Gi")]).unwrap();
    }
    assert!(has(&lab, "csi-1"));
    assert_eq!(lab.stats("csi-1", &target_of_pod()).unwrap().usage.len(), 2);
    for _ in 0..2 {
        unpublish_inline(&lab).unwrap();
    }
    assert!(!has(&lab, "csi-1"));
    assert!(lab.driver.records.all_inline().unwrap().is_empty());
}

#[test]
fn a_pods_author_gets_only_what_the_node_allows() {
    let lab = inline_lab();
    for (attributes, wanted) in [
        (vec![], Code::InvalidArgument),
        (vec![("vgName", "shut")], Code::FailedPrecondition),
        (vec![("vgName", "none")], Code::FailedPrecondition),
        (vec![("vgName", "; rm -rf /")], Code::InvalidArgument),
        (vec![("vgName", "fast"), ("size", "101Gi")], Code::InvalidArgument),
        (vec![("vgName", "fast"), ("size", "0")], Code::InvalidArgument),
    ] {
        assert_eq!(code(publish_inline(&lab, &attributes)), wanted, "{attributes:?}");
        assert!(!has(&lab, "csi-1"));
    }
    // A volume of somebody else under that name is neither used nor removed.
    lab.create("csi-1", 1).unwrap();
    let taken = publish_inline(&lab, &[("vgName", "fast")]);
    assert_eq!(code(taken), Code::AlreadyExists);
    unpublish_inline(&lab).unwrap();
    assert!(has(&lab, "csi-1"));
}

#[test]
fn an_inline_volume_cut_anywhere_is_finished_or_removed() {
    for remove in [false, true] {
        for step in 0..64 {
            let lab = inline_lab();
            let attributes = [("vgName", "fast"), ("size", "1Gi")];
            if remove {
                publish_inline(&lab, &attributes).unwrap();
            }
            lab.machine.arm(Arc::new(StopAt::new(step)));
            let cut =
                if remove { unpublish_inline(&lab) } else { publish_inline(&lab, &attributes) };
            lab.machine.disarm();
            if !remove && cut.is_err() && step % 2 == 0 {
                publish_inline(&lab, &attributes).unwrap();
            }
            unpublish_inline(&lab).unwrap();
            assert!(!has(&lab, "csi-1"), "remove {remove}, step {step}");
            assert!(lab.driver.records.all_inline().unwrap().is_empty());
            assert!(lab.driver.records.all_published().unwrap().is_empty());
            if cut.is_ok() {
                assert!(step > 2, "steps were counted");
                break;
            }
        }
    }
}

#[test]
fn at_start_only_volumes_whose_pod_is_surely_gone_are_removed() {
    let lab = inline_lab();
    publish_inline(&lab, &[("vgName", "fast")]).unwrap();
    assert_eq!(lab.driver.recover_inline().unwrap(), Default::default());
    lab.machine.reboot();
    // The kubelet's disk is not there: nothing is said about any pod.
    assert_eq!(lab.driver.recover_inline().unwrap(), Default::default());
    assert!(has(&lab, "csi-1"));
    folder(&lab, Path::new("/var/lib/kubelet/pods/other"));
    let removed = lab.driver.recover_inline().unwrap();
    assert_eq!(removed.removed, ["csi-1"], "{removed:?}");
    assert!(!has(&lab, "csi-1"));
}

#[test]
fn the_originals_inline_volume_is_removed_with_its_pod_and_no_other() {
    let lab = inline_lab();
    let pool = lab.driver.pools().iter().next().unwrap().clone();
    let spec = open_local_core::VolumeSpec::new("csi-1".parse().unwrap(), Bytes::GIB);
    let _ = pool.pool.ensure_volume(&spec).unwrap();
    let _ = pool.pool.publish(&PublishSpec::new("csi-1".parse::<VolumeId>().unwrap())).unwrap();
    let text = format!("{{\"csi-1\": \"/dev/{}/csi-1\", \"csi-2\": 7}}", pool.name);
    put(&lab, "/var/lib/kubelet/open-local-volumes.json", &text);
    unpublish_inline(&lab).unwrap();
    assert!(!has(&lab, "csi-1"));
}

#[test]
fn the_originals_record_says_nothing_of_a_volume_we_made() {
    let lab = inline_lab();
    lab.create("csi-1", 1).unwrap();
    let found = lab.driver.pools().volume(&"csi-1".parse().unwrap()).unwrap().unwrap();
    let text = format!("{{\"csi-1\": \"/dev/{}/csi-1\"}}", found.entry.name);
    put(&lab, "/var/lib/kubelet/open-local-volumes.json", &text);
    let publish = publish_inline(&lab, &[("vgName", found.entry.name.as_str())]);
    assert!(publish.is_err());
    unpublish_inline(&lab).unwrap();
    assert!(has(&lab, "csi-1"));
}

#[test]
fn a_device_for_a_virtual_machine_is_a_file_that_goes_with_the_target() {
    let lab = Lab::new(&[("fast", 100)]);
    let mut request = request("v", 1);
    request.parameters.insert("direct".into(), "true".into());
    let volume = lab.driver.create_volume(&request).unwrap().volume.unwrap();
    lab.stage(&volume, mount(1)).unwrap();
    for _ in 0..2 {
        lab.publish(&volume, "/pods/a/mount", mount(1)).unwrap();
    }
    let files = lab.machine.host().files;
    let folder = "/run/kata-containers/shared/direct-volumes/L3BvZHMvYS9tb3VudA==";
    let path = Path::new(folder).join("mountInfo.json");
    let text = open_local_core::host::read_small(files.as_ref(), &path, 4096).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(read["volume-type"], "block");
    assert_eq!(read["fstype"], "ext4");
    assert_eq!(code(lab.delete("v")), Code::FailedPrecondition);
    for _ in 0..2 {
        lab.unpublish(&volume, "/pods/a/mount").unwrap();
    }
    assert!(files.stat(Path::new(folder)).is_err());
    lab.unstage(&volume).unwrap();
    lab.delete("v").unwrap();
}

/// A kill between two steps of a publish: limits in force are always in the record that lifts them.
#[test]
fn limits_are_recorded_before_they_are_in_force() {
    let mut cuts = 0;
    for at in 1..40 {
        let lab = Lab::new(&[("fast", 100)]);
        put(&lab, "/proc/self/mountinfo", MOUNTS);
        let group = cgroup(&lab);
        let volume = limited(&lab, &[]);
        lab.stage(&volume, mount(1)).unwrap();
        lab.machine.arm(Arc::new(StopAt::new(at)));
        let answer = lab.publish(&volume, &target_of_pod(), mount(1));
        lab.machine.disarm();
        let record = lab.driver.records.published(Path::new(&target_of_pod())).unwrap();
        if in_force(&lab, &group).is_some() {
            assert!(record.unwrap().cgroup.is_some(), "cut at {at}");
        }
        lab.unpublish(&volume, &target_of_pod()).unwrap();
        assert_eq!(in_force(&lab, &group), None, "cut at {at}");
        assert!(lab.driver.records.all_published().unwrap().is_empty());
        if answer.is_ok() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 4, "{cuts}");
}

#[test]
fn a_device_that_could_not_be_handed_over_blocks_nothing() {
    let lab = Lab::new(&[("fast", 100)]);
    let mut request = request("v", 1);
    request.parameters.insert("direct".into(), "true".into());
    let volume = lab.driver.create_volume(&request).unwrap().volume.unwrap();
    lab.stage(&volume, mount(1)).unwrap();
    let long = format!("/pods/{}", "x".repeat(200));
    assert_eq!(code(lab.publish(&volume, &long, mount(1))), Code::InvalidArgument);
    assert!(lab.driver.records.all_published().unwrap().is_empty());
    lab.unpublish(&volume, &long).unwrap();
    let mut failed = 0;
    for at in 1..20 {
        lab.machine.arm(Arc::new(StopAt::new(at)));
        let answer = lab.publish(&volume, "/pods/a/mount", mount(1));
        lab.machine.disarm();
        if answer.is_ok() {
            break;
        }
        failed += 1;
        // Nobody asks for an unpublish of what failed for good.
        lab.unstage(&volume).unwrap();
        lab.stage(&volume, mount(1)).unwrap();
    }
    assert!(failed >= 2, "{failed}");
    assert_eq!(code(lab.unstage(&volume)), Code::Aborted);
    lab.unpublish(&volume, "/pods/a/mount").unwrap();
    lab.unstage(&volume).unwrap();
    lab.delete("v").unwrap();
}
