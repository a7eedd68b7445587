//! One way of use at a time, and only our own mounts and folders.

use std::path::Path;

use open_local_core::FormatToken;
use open_local_core::fs::BindSpec;

use super::*;

const POD: &str = "0f5c1a2e-9d3b-4f6a-8a51-0c2f6a7b8c9d";

fn number(lab: &Lab, id: &str) -> open_local_core::DeviceNumber {
    attachment(lab, id).number
}

fn attachment(lab: &Lab, id: &str) -> open_local_core::Attachment {
    let found = lab.driver.pools().volume(&id.parse().unwrap()).unwrap().unwrap();
    found.object.attachment.unwrap()
}

fn table(lab: &Lab, lines: &[String]) {
    let files = lab.machine.files();
    files.add_folder("/proc/self").ok();
    files.add_file("/proc/self/mountinfo", lines.concat().as_bytes()).unwrap();
}

/// The lines of the kernel for a file system, and for a node that is bound.
fn mounted(id: u32, number: impl std::fmt::Display, target: &str, source: &str) -> String {
    format!("{id} 1 {number} / {target} rw - ext4 {source} rw\n")
}

fn bound(id: u32, node: &str, target: &str) -> String {
    format!("{id} 1 0:6 /{node} {target} rw - devtmpfs udev rw\n")
}

fn lose_records(lab: &Lab) {
    let files = lab.machine.files();
    let run: Vec<_> =
        files.paths().into_iter().filter(|p| p.starts_with("/run/open-local/csi")).collect();
    for path in run.iter().rev() {
        files.take_away(path).unwrap();
    }
    assert!(lab.driver.records.all_published().unwrap().is_empty());
}

fn stage_at(lab: &Lab, volume: &Volume, path: &str, way: VolumeCapability) -> Answer<()> {
    let request = NodeStageVolumeRequest {
        volume_id: volume.volume_id.clone(),
        staging_target_path: path.into(),
        volume_capability: Some(way),
        volume_context: volume.volume_context.clone(),
        ..Default::default()
    };
    lab.driver.node_stage_volume(&request).map(|_| ())
}

/// What a pod wrote to a block device is never taken for a volume that was not formatted yet.
#[test]
fn a_device_that_was_written_is_never_formatted() {
    let lab = Lab::new(&[("fast", 10)]);
    let volume = lab.create("v", 1).unwrap();
    let token = || {
        let found = lab.driver.pools().volume(&"v".parse().unwrap()).unwrap().unwrap();
        let tokens = found.entry.pool.format_tokens().unwrap();
        tokens.format_token(&found.object.id).unwrap()
    };
    // Who can't write spends nothing.
    lab.stage(&volume, block(2)).unwrap();
    assert_eq!(token(), FormatToken::Unused);
    lab.unstage(&volume).unwrap();
    // A kill before any step: whenever the device is attached for writing, the token is spent.
    for at in 1..10 {
        lab.machine.arm(Arc::new(open_local_core::host::StopAt::new(at)));
        let answer = lab.stage(&volume, block(1));
        lab.machine.disarm();
        let found = lab.driver.pools().volume(&"v".parse().unwrap()).unwrap().unwrap();
        assert!(found.object.attachment.is_none() || token() == FormatToken::Spent, "at {at}");
        if answer.is_ok() {
            break;
        }
    }
    let device = lab.machine.open(&attachment(&lab, "v")).unwrap();
    device.write_at(8192, b"no signature that anybody knows").unwrap();
    drop(device);
    lab.unstage(&volume).unwrap();
    let status = lab.stage(&volume, mount(1)).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    let mut kept = [0; 12];
    let device = lab.machine.open(&attachment(&lab, "v")).unwrap();
    device.read_at(8192, &mut kept).unwrap();
    assert_eq!(&kept, b"no signature");
}

#[test]
fn a_volume_is_staged_in_one_way_at_a_time() {
    let direct = |lab: &Lab| {
        let mut request = request("v", 1);
        request.parameters.insert("direct".into(), "true".into());
        lab.driver.create_volume(&request).unwrap().volume.unwrap()
    };
    let plain = |lab: &Lab| lab.create("v", 1).unwrap();
    let hosts = |volume: &Volume| {
        let mut volume = volume.clone();
        volume.volume_context.remove("direct");
        volume
    };
    for lost in [false, true] {
        for path in ["/staging/v", "/staging/other"] {
            let lab = Lab::new(&[("fast", 10)]);
            let volume = plain(&lab);
            lab.stage(&volume, mount(1)).unwrap();
            if lost {
                table(&lab, &[mounted(30, number(&lab, "v"), "/staging/v", "/dev/x")]);
                lose_records(&lab);
            }
            assert_eq!(code(stage_at(&lab, &volume, path, block(1))), Code::AlreadyExists);
            stage_at(&lab, &volume, "/staging/v", mount(1)).unwrap();
            assert_eq!(code(lab.publish(&volume, "/pod", block(1))), Code::FailedPrecondition);
            lab.publish(&volume, "/pod", mount(1)).unwrap();
        }
    }
    for path in ["/staging/v", "/staging/other"] {
        let lab = Lab::new(&[("fast", 10)]);
        let volume = plain(&lab);
        lab.stage(&volume, block(1)).unwrap();
        assert_eq!(code(stage_at(&lab, &volume, path, mount(1))), Code::AlreadyExists);
        lab.publish(&volume, "/pod", block(1)).unwrap();
        assert_eq!(code(lab.publish(&volume, "/pod2", mount(1))), Code::FailedPrecondition);
        // With the records of staging gone, that of the target says it.
        lab.driver.records.unstage("v").unwrap();
        assert_eq!(code(stage_at(&lab, &volume, path, mount(1))), Code::AlreadyExists);

        let lab = Lab::new(&[("fast", 10)]);
        let volume = direct(&lab);
        lab.stage(&volume, mount(1)).unwrap();
        let status = stage_at(&lab, &hosts(&volume), path, mount(1)).unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists);
        assert!(status.message().contains("direct"), "{status}");
        assert_eq!(code(stage_at(&lab, &volume, path, block(1))), Code::AlreadyExists);
    }
}

/// The folder of the records is gone; the node of the device is still bound for a pod.
#[test]
fn a_device_that_somebody_sees_is_not_detached() {
    let lab = Lab::new(&[("fast", 10)]);
    let volume = lab.create("v", 1).unwrap();
    let target =
        format!("/var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices/publish/v/{POD}");
    lab.stage(&volume, block(1)).unwrap();
    lab.publish(&volume, &target, block(1)).unwrap();
    let files = lab.machine.files();
    files.add_folder("/dev").ok();
    files.add_device("/dev/loop9", number(&lab, "v")).unwrap();
    table(&lab, &[bound(30, "loop9", &target)]);
    lose_records(&lab);
    let status = lab.unstage(&volume).unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.message().contains(&target), "{status}");
    assert_eq!(code(lab.delete("v")), Code::FailedPrecondition);
    // Mounting what a pod writes to as a device is refused too.
    assert_eq!(code(lab.stage(&volume, mount(1))), Code::AlreadyExists);
    number(&lab, "v");
    lab.unpublish(&volume, &target).unwrap();
    assert!(lab.driver.filesystems.mounted_at(Path::new(&target)).unwrap().is_none());
    table(&lab, &[]);
    lab.unstage(&volume).unwrap();
    lab.delete("v").unwrap();
}

#[test]
fn what_lies_over_a_target_is_not_unmounted_with_it() {
    let lab = Lab::new(&[("fast", 10)]);
    let volume = lab.create("v", 1).unwrap();
    lab.stage(&volume, mount(1)).unwrap();
    lab.publish(&volume, "/pod/a", mount(1)).unwrap();
    let own = |id| mounted(id, number(&lab, "v"), "/pod/a", "/dev/x");
    table(&lab, &[own(30), mounted(31, "0:77", "/pod/a", "tmpfs"), own(32)]);
    let status = lab.unpublish(&volume, "/pod/a").unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("tmpfs"), "{status}");
    assert!(lab.driver.filesystems.mounted_at(Path::new("/pod/a")).unwrap().is_some());
    table(&lab, &[own(30), own(32)]);
    lab.unpublish(&volume, "/pod/a").unwrap();
    assert!(lab.driver.filesystems.mounted_at(Path::new("/pod/a")).unwrap().is_none());
}

#[test]
fn what_a_killed_publish_began_to_write_goes_with_the_unpublish() {
    let lab = Lab::new(&[("fast", 10)]);
    let volume = lab.create("v", 1).unwrap();
    lab.stage(&volume, mount(1)).unwrap();
    lab.publish(&volume, "/pods/a", mount(1)).unwrap();
    let files = lab.machine.host().files;
    let records = |path: &str| {
        let folder = lab.machine.host().roots.run.join(path);
        let names = files.list(&folder).unwrap();
        names.into_iter().map(|name| folder.join(name)).collect::<Vec<_>>()
    };
    let whole = records("csi/published").pop().unwrap();
    lab.unpublish(&volume, "/pods/a").unwrap();
    // The kill came before the record was whole: that of another target is somebody else's.
    let half = open_local_core::state::half_written(&whole).unwrap();
    drop(files.create_new(&half).unwrap());
    lab.unpublish(&volume, "/pods/b").unwrap();
    assert_eq!(records("csi/published"), [half]);
    lab.unpublish(&volume, "/pods/a").unwrap();
    assert_eq!(records("csi/published"), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn only_targets_of_ours_are_removed_and_full_ones_stay() {
    let lab = Lab::new(&[("fast", 10)]);
    let volume = lab.create("v", 1).unwrap();
    let files = lab.machine.files();
    let there = |path: &str| lab.machine.host().files.stat(Path::new(path)).is_ok();
    let below = format!("/var/lib/kubelet/pods/{POD}/volumes/kubernetes.io~csi/v/mount");
    let folders =
        ["/srv", "/srv/empty", "/pod", "/pod/a", "/pod/full", "/pod/full/x", "/var", "/var/lib"];
    for folder in folders {
        files.add_folder(folder).ok();
    }
    let mut above = "/var/lib".to_owned();
    for part in below.strip_prefix("/var/lib/").unwrap().split('/') {
        above = format!("{above}/{part}");
        files.add_folder(&above).ok();
    }
    files.add_file("/srv/file", b"").unwrap();
    // Of these nothing was ever published.
    for path in ["/srv/empty", "/srv/file", "/var/lib/kubelet/pods"] {
        lab.unpublish(&volume, path).unwrap();
        assert!(there(path), "{path}");
    }
    lab.unpublish(&volume, &below).unwrap();
    assert!(!there(&below));
    lab.stage(&volume, mount(1)).unwrap();
    lab.publish(&volume, "/pod/a", mount(1)).unwrap();
    lab.unpublish(&volume, "/pod/a").unwrap();
    assert!(!there("/pod/a"));
    // What was full before is refused, and what is full afterwards stays for its owner.
    assert_eq!(code(lab.publish(&volume, "/pod/full", mount(1))), Code::FailedPrecondition);
    lab.publish(&volume, "/pod/late", mount(1)).unwrap();
    files.add_folder("/pod/late").unwrap();
    files.add_folder("/pod/late/x").unwrap();
    lab.publish(&volume, "/pod/late", mount(1)).unwrap();
    lab.unpublish(&volume, "/pod/late").unwrap();
    assert!(there("/pod/late/x"));
    assert!(lab.driver.records.all_published().unwrap().is_empty());
}

#[test]
fn nothing_is_mounted_on_folders_of_the_system() {
    let lab = Lab::new(&[("fast", 10)]);
    let volume = lab.create("v", 1).unwrap();
    let files = lab.machine.files();
    files.add_folder("/full").unwrap();
    files.add_file("/full/file", b"x").unwrap();
    for path in ["/etc", "/usr/lib/x", "/var/lib", "/var/lib/kubelet", "/dev/shm/x", "/full"] {
        assert_eq!(code(stage_at(&lab, &volume, path, mount(1))), Code::FailedPrecondition);
    }
    lab.stage(&volume, mount(1)).unwrap();
    for path in ["/etc", "/boot/x", "/full"] {
        assert_eq!(code(lab.publish(&volume, path, mount(1))), Code::FailedPrecondition);
    }
    lab.unstage(&volume).unwrap();
    lab.stage(&volume, block(1)).ok();
    assert!(lab.driver.records.all_published().unwrap().is_empty());
}

#[test]
fn a_staging_path_of_somebody_else_is_not_grown() {
    let lab = Lab::new(&[("fast", 10)]);
    let (volume, other) = (lab.create("v", 1).unwrap(), lab.create("w", 1).unwrap());
    for volume in [&volume, &other] {
        lab.stage(volume, mount(1)).unwrap();
    }
    let bind = BindSpec::new("/staging/v", "/pod").read_only();
    lab.driver.filesystems.ensure_bound(&bind).unwrap().get();
    let expand = |staging: &str| {
        lab.driver.node_expand_volume(&NodeExpandVolumeRequest {
            volume_id: "v".into(),
            volume_path: "/pod".into(),
            staging_target_path: staging.into(),
            capacity_range: Some(CapacityRange { required_bytes: 2 * GIB, limit_bytes: 0 }),
            ..Default::default()
        })
    };
    for foreign in ["/staging/w", "/staging/none"] {
        assert_eq!(code(expand(foreign)), Code::FailedPrecondition, "{foreign}");
    }
    expand("/staging/v").unwrap();
}

#[test]
fn a_volume_of_a_pool_that_is_not_served_is_not_forgotten() {
    let mut lab = Lab::new(&[("fast", 10), ("slow", 10)]);
    let mut asked = request("v", 1);
    asked.parameters.insert("vgName".into(), "slow".into());
    let volume = lab.driver.create_volume(&asked).unwrap().volume.unwrap();
    lab.stage(&volume, mount(1)).unwrap();
    let all: Vec<_> = lab.driver.pools().iter().cloned().collect();
    let fast = all.iter().filter(|entry| entry.name.as_str() == "fast").cloned().collect();
    lab.driver = Lab::start(&lab.machine, fast, |builder, _| builder);
    for answer in [lab.unstage(&volume), lab.delete("v")] {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("slow"), "{status}");
    }
    lab.driver = Lab::start(&lab.machine, all, |builder, _| builder);
    lab.unstage(&volume).unwrap();
    lab.delete("v").unwrap();
}

/// Pods write below the kubelet's folder, and a link there may lead anywhere.
#[test]
fn a_link_on_the_way_to_a_target_is_refused() {
    let lab = Lab::new(&[("fast", 10)]);
    let volume = lab.create("v", 1).unwrap();
    let files = lab.machine.files();
    let pod = format!("/var/lib/kubelet/pods/{POD}");
    let mut folder = String::new();
    for part in pod.trim_start_matches('/').split('/') {
        folder = format!("{folder}/{part}");
        files.add_folder(&folder).ok();
    }
    files.add_folder("/srv").ok();
    files.add_folder("/srv/kubernetes.io~csi").unwrap();
    files.add_symlink(format!("{pod}/volumes"), "/srv").unwrap();
    let target = format!("{pod}/volumes/kubernetes.io~csi");
    let status = stage_at(&lab, &volume, &target, mount(1)).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains(&format!("{pod}/volumes is a symbolic link")), "{status}");
    lab.stage(&volume, mount(1)).unwrap();
    assert_eq!(code(lab.publish(&volume, &target, mount(1))), Code::FailedPrecondition);
    lab.unpublish(&volume, &target).unwrap();
    assert!(lab.machine.host().files.stat("/srv/kubernetes.io~csi".as_ref()).is_ok());
}
