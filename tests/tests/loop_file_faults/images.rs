//! Images that were removed, cut or replaced behind our back.

use std::fs;
use std::os::unix::fs::FileExt;

use open_local_core::host::{Files, Loops, OpenMode, SystemFiles, SystemLoops};
use open_local_core::{
    Bytes, ErrorKind, Health, PoolExt, PublishSpec, SnapshotSpec, VolumeSource, VolumeSpec,
};

use crate::lab::{Lab, SIZE, old, refused, snapshot, volume};

/// Nothing can be done with the volume, and nothing is made in the place of its image.
fn check_lost(lab: &Lab) {
    let info = lab.old();
    assert!(matches!(&info.health, Health::Failed(why) if why.contains("image")), "{info:?}");
    let pool = lab.open();
    let names = ["volume old", "image"];
    let kind = ErrorKind::Corrupt;
    refused(pool.publish(&PublishSpec::new(old())), kind, &names);
    refused(pool.ensure_volume(&VolumeSpec::new(volume("old"), SIZE)), kind, &names);
    refused(pool.grow_volume(&volume("old"), Bytes::new(8 << 20)), kind, &names);
    let source = VolumeSource::Volume(volume("old"));
    let clone = VolumeSpec::new(volume("copy"), SIZE).from_source(source);
    refused(pool.ensure_volume(&clone), kind, &names);
    let snapshots = pool.require_snapshots().unwrap();
    let spec = SnapshotSpec::new(snapshot("new"), volume("old"));
    refused(snapshots.ensure_snapshot(&spec), kind, &names);
    refused(snapshots.roll_back(&volume("old"), &snapshot("s")), kind, &names);
    refused(pool.require_format_tokens().unwrap().allow_format(&volume("old")), kind, &names);
    let _ = pool.ensure_volume(&VolumeSpec::new(volume("other"), SIZE)).unwrap();
    let _ = pool.remove_volume(&volume("other")).unwrap();
}

fn take_snapshot(lab: &Lab) {
    let pool = lab.open();
    let spec = SnapshotSpec::new(snapshot("s"), volume("old"));
    let _ = pool.require_snapshots().unwrap().ensure_snapshot(&spec).unwrap();
}

#[test]
fn a_removed_image_is_told_and_never_made_anew() {
    let lab = Lab::new("image-removed");
    take_snapshot(&lab);
    let away = lab.disk.join("away.img");
    fs::rename(lab.image(), &away).unwrap();
    check_lost(&lab);
    assert!(!lab.image().exists());
    fs::rename(&away, lab.image()).unwrap();
    lab.intact();
    // An order to remove it is followed all the same.
    fs::remove_file(lab.image()).unwrap();
    assert!(lab.open().remove_volume(&volume("old")).unwrap().changed());
    let leaks = lab.pool.leaks().unwrap();
    assert!(leaks.is_empty(), "{leaks:?}");
    lab.holds(&snapshot("s").into(), 2);
}

#[test]
fn a_cut_image_is_told_and_never_made_longer() {
    let lab = Lab::new("image-cut");
    take_snapshot(&lab);
    let file = fs::OpenOptions::new().write(true).open(lab.image()).unwrap();
    let half = SIZE.get() / 2;
    file.set_len(half).unwrap();
    check_lost(&lab);
    assert_eq!(fs::metadata(lab.image()).unwrap().len(), half);
    file.set_len(SIZE.get()).unwrap();
    file.write_all_at(&vec![2; half as usize], half).unwrap();
    file.sync_all().unwrap();
    lab.intact();
}

#[test]
fn an_image_that_is_a_link_or_a_folder_is_not_followed() {
    let lab = Lab::new("image-link");
    take_snapshot(&lab);
    let away = lab.disk.join("away.img");
    fs::rename(lab.image(), &away).unwrap();
    std::os::unix::fs::symlink(&away, lab.image()).unwrap();
    check_lost(&lab);
    fs::remove_file(lab.image()).unwrap();
    fs::create_dir(lab.image()).unwrap();
    check_lost(&lab);
    fs::remove_dir(lab.image()).unwrap();
    fs::rename(&away, lab.image()).unwrap();
    lab.intact();
}

#[test]
fn an_image_removed_while_published_can_still_be_saved() {
    let lab = Lab::new("image-removed-published");
    take_snapshot(&lab);
    let ours = lab.loop_of(&old());
    let name = ours.path.to_str().unwrap();
    fs::remove_file(lab.image()).unwrap();
    let info = lab.old();
    assert!(matches!(&info.health, Health::Failed(why) if why.contains(name)), "{info:?}");
    // The device holds the only copy: it goes neither with the volume nor by itself.
    let names = ["volume old", name];
    for error in [
        lab.open().unpublish(&old()).map(drop).unwrap_err(),
        lab.open().remove_volume(&volume("old")).map(drop).unwrap_err(),
    ] {
        let error = refused::<()>(Err(error), ErrorKind::Corrupt, &names);
        assert!(error.remedy().unwrap().contains("losetup -d"), "{:?}", error.remedy());
    }
    refused(lab.open().publish(&PublishSpec::new(old())), ErrorKind::Corrupt, &["volume old"]);
    let device = SystemFiles.open(&ours.path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; SIZE.to_usize().unwrap()];
    device.read_at(0, &mut bytes).unwrap();
    drop(device);
    fs::write(lab.image(), &bytes).unwrap();
    // Saved: now the old device is bound to another file and in nobody's way.
    assert!(matches!(&lab.old().health, Health::Degraded(why) if why.contains(name)));
    SystemLoops::default().detach(&ours).unwrap();
    lab.intact();
}

#[test]
fn a_stale_device_of_a_replaced_image_is_not_ours() {
    let lab = Lab::new("image-replaced");
    let ours = lab.loop_of(&old());
    // The kernel holds the inode as long as the device is attached, so that the new file can't
    // have its number.
    fs::remove_file(lab.image()).unwrap();
    fs::write(lab.image(), vec![2; SIZE.to_usize().unwrap()]).unwrap();
    assert_ne!(SystemFiles.stat(&lab.image()).unwrap().inode, ours.file_inode);
    assert_eq!(lab.old().attachment, None);
    assert!(matches!(lab.old().health, Health::Degraded(_)));
    let at = lab.open().publish(&PublishSpec::new(old())).unwrap().into_inner();
    assert_ne!(at.device, ours.path);
    let _ = lab.open().unpublish(&old()).unwrap();
    SystemLoops::default().detach(&ours).unwrap();
    // A file that got the number of the image that is gone is another one, too.
    let inode = SystemFiles.stat(&lab.image()).unwrap().inode;
    fs::remove_file(lab.image()).unwrap();
    let reused = (0..200).map(|n| lab.disk.join(format!("file-{n}"))).find(|path| {
        fs::write(path, b"theirs").unwrap();
        SystemFiles.stat(path).unwrap().inode == inode
    });
    assert!(reused.is_some(), "no file got the inode number again");
    assert!(matches!(lab.old().health, Health::Failed(_)));
    refused(lab.open().publish(&PublishSpec::new(old())), ErrorKind::Corrupt, &["volume old"]);
}

#[test]
fn a_file_in_the_place_of_a_new_image_is_neither_used_nor_removed() {
    let lab = Lab::new("image-stray");
    let stray = lab.pool.join("volumes/new.img");
    fs::write(&stray, "mine").unwrap();
    let spec = VolumeSpec::new(volume("new"), SIZE);
    refused(lab.open().ensure_volume(&spec), ErrorKind::Refused, &["volume new"]);
    assert!(!lab.open().remove_volume(&volume("new")).unwrap().changed());
    assert_eq!(fs::read(&stray).unwrap(), b"mine");
    let health = lab.open().info().unwrap().health;
    assert!(matches!(&health, Health::Degraded(why) if why.contains("new.img")), "{health:?}");
    fs::remove_file(&stray).unwrap();
    let _ = lab.open().ensure_volume(&spec).unwrap();
    lab.intact();
}
