//! Loop devices that others detach, take over, hold open or use up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::fs::{Filesystems, FormatSpec, MountSpec};
use open_local_core::host::{
    Files, LoopDevice, LoopSpec, Loops, MountCalls, OpenMode, SystemFiles, SystemLoops,
    SystemMounts, Unchecked,
};
use open_local_core::{
    Backend, Bytes, Ensured, ErrorKind, FsKind, Health, PoolExt, PublishSpec, VolumeSpec,
};
use open_local_tests::scratch::run;

use crate::lab::{Lab, SIZE, old, refused, volume};

fn losetup_detach(device: &Path) {
    run("losetup", &["-d".as_ref(), device.as_os_str()]);
}

/// Attaches a file the way somebody else would who copies our tag.
fn attach(file: &Path, tag: &str) -> LoopDevice {
    let spec =
        LoopSpec { file, tag, read_only: false, direct_io: false, block_size: Bytes::new(512) };
    SystemLoops::default().attach(&spec).unwrap()
}

fn is_attached(device: &LoopDevice) -> bool {
    let all = SystemLoops::default().list().unwrap();
    all.iter().any(|d| d.index == device.index && d.file_inode == device.file_inode)
}

/// A file of somebody else's, full of fours.
fn foreign_file(path: PathBuf) -> PathBuf {
    fs::write(&path, vec![4; SIZE.to_usize().unwrap()]).unwrap();
    path
}

#[test]
fn a_device_detached_by_somebody_else_is_attached_again() {
    let lab = Lab::new("stolen");
    let at = lab.open().publish(&PublishSpec::new(old())).unwrap().into_inner();
    losetup_detach(&at.device);
    let info = lab.old();
    assert_eq!((info.attachment, info.health), (None, Health::Healthy));
    assert!(!lab.open().unpublish(&old()).unwrap().changed(), "unpublished already");
    let again = lab.open().publish(&PublishSpec::new(old())).unwrap();
    assert!(again.changed());
    lab.holds(&old(), 2);
    assert!(lab.open().unpublish(&old()).unwrap().changed());
    lab.intact();
}

#[test]
fn a_device_taken_over_with_our_tag_is_never_touched() {
    let lab = Lab::new("taken-over");
    let ours = lab.loop_of(&old());
    let _ = lab.open().unpublish(&old()).unwrap();
    let file = foreign_file(lab.scratch.join("theirs"));
    let theirs = attach(&file, &ours.tag);
    let info = lab.old();
    assert_eq!(info.attachment, None);
    let name = theirs.path.to_str().unwrap();
    let named = |health| matches!(health, Health::Degraded(why) if why.contains(name));
    assert!(named(info.health.clone()), "{:?}", info.health);
    assert!(!lab.open().unpublish(&old()).unwrap().changed());
    let at = lab.open().publish(&PublishSpec::new(old())).unwrap();
    assert_ne!(at.get().device, theirs.path);
    lab.holds(&old(), 2);
    assert!(named(lab.old().health));
    assert!(lab.open().unpublish(&old()).unwrap().changed());
    let _ = lab.open().grow_volume(&volume("old"), Bytes::new(8 << 20)).unwrap();
    let _ = lab.open().remove_volume(&volume("old")).unwrap();
    assert!(is_attached(&theirs));
    assert_eq!(fs::read(&file).unwrap(), vec![4; SIZE.to_usize().unwrap()]);
    SystemLoops::default().detach(&theirs).unwrap();
    let leaks = lab.pool.leaks().unwrap();
    assert!(leaks.is_empty(), "{leaks:?}");
}

#[test]
fn a_file_with_the_same_inode_number_on_another_disk_is_not_ours() {
    let lab = Lab::new("same-inode");
    let ours = lab.loop_of(&old());
    let _ = lab.open().unpublish(&old()).unwrap();
    let disk = lab.scratch.disk("disk2", Bytes::from_mib(64).unwrap(), "ext4");
    let twin = (0..200).map(|n| disk.join(format!("file-{n}"))).find(|path| {
        fs::write(path, b"").unwrap();
        SystemFiles.stat(path).unwrap().inode == ours.file_inode
    });
    let twin = foreign_file(twin.expect("a file with that inode number"));
    let theirs = attach(&twin, &ours.tag);
    assert_eq!((theirs.file_inode, &theirs.tag), (ours.file_inode, &ours.tag));
    assert_ne!(theirs.file_device, ours.file_device);
    let info = lab.old();
    assert!(info.attachment.is_none(), "{info:?}");
    assert!(matches!(info.health, Health::Degraded(_)), "{info:?}");
    assert!(!lab.open().unpublish(&old()).unwrap().changed());
    lab.holds(&old(), 2);
    assert!(is_attached(&theirs));
    SystemLoops::default().detach(&theirs).unwrap();
    lab.intact();
}

#[test]
fn a_device_that_changes_hands_between_plan_and_step_is_left_alone() {
    let lab = Lab::new("changes-hands");
    let ours = lab.loop_of(&old());
    let file = foreign_file(lab.scratch.join("theirs"));
    let (node, path) = (ours.path.clone(), file.clone());
    let fault = lab.before("detach", move || {
        losetup_detach(&node);
        run("losetup", &[node.as_os_str(), path.as_os_str()]);
    });
    // Ours is detached, which is what was asked for; theirs stays.
    let _ = lab.open_with(&fault).unpublish(&old()).unwrap();
    assert!(fault.happened());
    let all = SystemLoops::default().list().unwrap();
    let now = all.iter().find(|d| d.index == ours.index).unwrap();
    assert_ne!(now.file_inode, ours.file_inode, "theirs");
    let device = SystemFiles.open(&now.path, OpenMode::Read).unwrap();
    let mut byte = [0];
    device.read_at(0, &mut byte).unwrap();
    assert_eq!(byte, [4]);
    drop(device);
    losetup_detach(&ours.path);
    lab.intact();
}

#[test]
fn a_device_detached_while_mounted_serves_until_it_is_unmounted() {
    let lab = Lab::new("detached-mounted");
    let target = lab.scratch.join("mnt");
    let device = mount_new(&lab, &target);
    losetup_detach(&device);
    fs::write(target.join("file"), "kept").unwrap();
    nix::unistd::sync();
    let source = volume("fs").into();
    let info = lab.open().volume(&volume("fs")).unwrap();
    assert_eq!(info.attachment.map(|at| at.device), Some(device));
    refused(lab.open().remove_volume(&volume("fs")), ErrorKind::Busy, &["volume fs", "loop"]);
    refused(lab.open().unpublish(&source), ErrorKind::Busy, &["volume fs", "loop"]);
    SystemMounts.unmount(&target, false).unwrap();
    assert_eq!(lab.open().volume(&volume("fs")).unwrap().attachment, None);
    let at = lab.open().publish(&PublishSpec::new(source.clone())).unwrap();
    assert!(at.changed());
    let filesystems = lab.pool.filesystems(Arc::new(Unchecked));
    let _ = filesystems.ensure_mounted(&MountSpec::new(&at.get().device, &target)).unwrap();
    assert_eq!(fs::read(target.join("file")).unwrap(), b"kept");
    let _ = filesystems.ensure_unmounted(&target).unwrap();
    let _ = lab.open().unpublish(&source).unwrap();
    lab.intact();
}

/// A volume `fs` with an ext4 mounted at the target; answers its device.
fn mount_new(lab: &Lab, target: &Path) -> PathBuf {
    let pool = lab.open();
    let id = volume("fs");
    let size = Bytes::new(16 << 20);
    let _ = pool.ensure_volume(&VolumeSpec::new(id.clone(), size)).unwrap();
    let at = pool.publish(&PublishSpec::new(id.clone())).unwrap().into_inner();
    let filesystems = lab.pool.filesystems(Arc::new(Unchecked));
    let tokens = pool.require_format_tokens().unwrap();
    let spec = FormatSpec::new(FsKind::Ext4);
    let _ = filesystems.ensure_formatted(tokens, &id, &at, &spec).unwrap();
    let _ = filesystems.ensure_mounted(&MountSpec::new(&at.device, target)).unwrap();
    at.device
}

#[test]
fn a_device_in_use_stays_published() {
    let lab = Lab::new("busy");
    let at = lab.open().publish(&PublishSpec::new(old())).unwrap().into_inner();
    let name = at.device.to_str().unwrap();
    let held = SystemFiles.open(&at.device, OpenMode::ReadWrite).unwrap();
    let error = refused(lab.open().unpublish(&old()), ErrorKind::Busy, &["volume old", name]);
    assert!(error.remedy().unwrap().contains(name));
    refused(lab.open().remove_volume(&volume("old")), ErrorKind::Busy, &["volume old", name]);
    held.write_at(0, &[2; 4096]).unwrap();
    held.flush().unwrap();
    drop(held);
    // It was not merely marked to go with its last user.
    assert_eq!(lab.old().attachment, Some(at));
    assert!(lab.open().unpublish(&old()).unwrap().changed());
    let target = lab.scratch.join("mnt");
    let device = mount_new(&lab, &target);
    let source = volume("fs").into();
    let name = device.to_str().unwrap();
    refused(lab.open().unpublish(&source), ErrorKind::Busy, &["volume fs", name]);
    fs::write(target.join("file"), "kept").unwrap();
    SystemMounts.unmount(&target, false).unwrap();
    assert!(lab.open().unpublish(&source).unwrap().changed());
    lab.intact();
}

#[test]
fn an_image_that_somebody_else_attached_is_not_attached_twice() {
    let lab = Lab::new("attached-twice");
    let theirs = attach(&lab.image(), "mine");
    let name = theirs.path.to_str().unwrap();
    let names = ["volume old", name];
    refused(lab.open().publish(&PublishSpec::new(old())), ErrorKind::Busy, &names);
    refused(lab.open().remove_volume(&volume("old")), ErrorKind::Busy, &names);
    assert!(!lab.open().unpublish(&old()).unwrap().changed());
    assert!(is_attached(&theirs));
    assert!(matches!(lab.old().health, Health::Degraded(why) if why.contains(name)));
    SystemLoops::default().detach(&theirs).unwrap();
    lab.intact();
}

/// The machine's loop devices, all of them taken.
#[derive(Debug)]
struct NoneLeft(SystemLoops);

impl Loops for NoneLeft {
    fn list(&self) -> io::Result<Vec<LoopDevice>> {
        self.0.list()
    }

    fn attach(&self, _spec: &LoopSpec<'_>) -> io::Result<LoopDevice> {
        Err(io::Error::from_raw_os_error(28))
    }

    fn detach(&self, device: &LoopDevice) -> io::Result<()> {
        self.0.detach(device)
    }

    fn resize(&self, device: &LoopDevice) -> io::Result<Bytes> {
        self.0.resize(device)
    }

    fn flush(&self, device: &LoopDevice) -> io::Result<()> {
        self.0.flush(device)
    }
}

#[test]
fn without_a_free_loop_device_publishing_says_so() {
    let lab = Lab::new("none-left");
    let none = Arc::new(NoneLeft(SystemLoops::default()));
    let backend = lab.pool.backend_on(none, Arc::new(Unchecked));
    let pool = backend.open_pool(&lab.pool.id()).unwrap();
    let made = pool.ensure_volume(&VolumeSpec::new(volume("new"), SIZE)).unwrap();
    assert!(matches!(made, Ensured::Created(_)));
    let published = pool.publish(&PublishSpec::new(old()));
    let error = refused(published, ErrorKind::OutOfSpace, &["volume old", "loop device"]);
    assert!(error.remedy().unwrap().contains("max_loop"), "{:?}", error.remedy());
    assert_eq!(lab.old().attachment, None);
    lab.intact();
}
