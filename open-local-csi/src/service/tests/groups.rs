//! Snapshots of several volumes at one moment.

use super::*;
use crate::proto::{
    CreateVolumeGroupSnapshotRequest, DeleteVolumeGroupSnapshotRequest,
    GetVolumeGroupSnapshotRequest, VolumeGroupSnapshot,
};

fn create(lab: &Lab, name: &str, volumes: &[&str]) -> Answer<VolumeGroupSnapshot> {
    let request = CreateVolumeGroupSnapshotRequest {
        name: name.to_owned(),
        source_volume_ids: volumes.iter().map(|id| (*id).to_owned()).collect(),
        ..Default::default()
    };
    let made = lab.driver.create_volume_group_snapshot(&request);
    made.map(|made| made.group_snapshot.unwrap())
}

fn delete(lab: &Lab, id: &str, snapshots: &[String]) -> Answer<()> {
    let request = DeleteVolumeGroupSnapshotRequest {
        group_snapshot_id: id.to_owned(),
        snapshot_ids: snapshots.to_vec(),
        ..Default::default()
    };
    lab.driver.delete_volume_group_snapshot(&request).map(|_| ())
}

#[test]
fn a_group_is_made_shown_and_removed_as_a_whole() {
    let lab = Lab::new(&[("a", 100), ("b", 10)]);
    for name in ["x", "y"] {
        let mut request = request(name, 1);
        request.parameters.insert("vgName".into(), "a".into());
        lab.driver.create_volume(&request).unwrap();
    }
    let mut other = request("z", 1);
    other.parameters.insert("vgName".into(), "b".into());
    lab.driver.create_volume(&other).unwrap();

    let group = create(&lab, "g", &["y", "x"]).unwrap();
    assert_eq!((group.snapshots.len(), group.ready_to_use), (2, true));
    assert!(group.snapshots.iter().all(|one| one.group_snapshot_id == "g" && one.ready_to_use));
    assert_eq!(create(&lab, "g", &["x", "y"]).unwrap(), group);
    assert_eq!(code(create(&lab, "g", &["x"])), Code::AlreadyExists);
    assert_eq!(code(create(&lab, "h", &["x", "z"])), Code::FailedPrecondition);
    assert_eq!(code(create(&lab, "h", &["x", "none"])), Code::NotFound);

    let get = |snapshots: &[String]| {
        lab.driver.get_volume_group_snapshot(&GetVolumeGroupSnapshotRequest {
            group_snapshot_id: "g".into(),
            snapshot_ids: snapshots.to_vec(),
            ..Default::default()
        })
    };
    let ids: Vec<String> = group.snapshots.iter().map(|one| one.snapshot_id.clone()).collect();
    assert_eq!(get(&ids).unwrap().group_snapshot, Some(group));
    assert_eq!(code(get(&ids[..1])), Code::InvalidArgument);
    let member = DeleteSnapshotRequest { snapshot_id: ids[0].clone(), ..Default::default() };
    assert_eq!(code(lab.driver.delete_snapshot(&member)), Code::FailedPrecondition);
    assert_eq!(code(delete(&lab, "g", &ids[..1])), Code::InvalidArgument);
    for _ in 0..2 {
        delete(&lab, "g", &ids).unwrap();
    }
    assert_eq!(code(get(&[])), Code::NotFound);
    delete(&lab, "no such group at all", &[]).unwrap();
}
