//! Group snapshots.

use open_local_csi::Answer;

use super::cases;
use crate::ask;
use crate::lab::Lab;

fn create(lab: &Lab, name: &str, volumes: &[&str]) -> Answer<Vec<String>> {
    let made = lab.driver.create_volume_group_snapshot(&ask::group(name, volumes))?;
    let snapshots = made.group_snapshot.unwrap().snapshots;
    Ok(snapshots.into_iter().map(|one| one.snapshot_id).collect())
}

fn volumes(lab: &Lab) {
    for name in ["a", "b", "c"] {
        lab.create(name);
    }
}

cases! {
    CreateVolumeGroupSnapshot group_has_no_name InvalidArgument "name is missing" |lab| { volumes(lab); create(lab, "", &["a"]).map(drop) };
    CreateVolumeGroupSnapshot group_has_no_volumes InvalidArgument "source_volume_ids is missing" |lab| create(lab, "g", &[]).map(drop);
    CreateVolumeGroupSnapshot group_has_an_empty_volume InvalidArgument "a source volume has no id" |lab| { volumes(lab); create(lab, "g", &["a", ""]).map(drop) };
    CreateVolumeGroupSnapshot group_names_a_volume_twice InvalidArgument "a source volume is named twice" |lab| { volumes(lab); create(lab, "g", &["a", "a"]).map(drop) };
    CreateVolumeGroupSnapshot group_of_nothing NotFound "a source volume does not exist" |lab| { volumes(lab); create(lab, "g", &["a", "no-such"]).map(drop) };
    CreateVolumeGroupSnapshot group_is_there OK "the group exists already" |lab| {
        volumes(lab);
        let first = create(lab, "g", &["a", "b"])?;
        let mut again = create(lab, "g", &["b", "a"])?;
        assert_eq!(first.len(), 2);
        again.sort();
        assert_eq!({ let mut first = first; first.sort(); first }, again);
        Ok(())
    };
    CreateVolumeGroupSnapshot group_is_there_of_others AlreadyExists "the group exists and its volumes differ" |lab| {
        volumes(lab);
        create(lab, "g", &["a", "b"])?;
        create(lab, "g", &["a", "c"]).map(drop)
    };
    CreateVolumeGroupSnapshot group_over_two_pools FailedPrecondition "the volumes can't be snapshotted together" |lab| {
        volumes(lab);
        lab.create_in("z", "slow");
        create(lab, "g", &["a", "z"]).map(drop)
    };
    CreateVolumeGroupSnapshot group_with_an_unknown_parameter InvalidArgument "a parameter is not supported" |lab| {
        volumes(lab);
        let mut request = ask::group("g", &["a"]);
        request.parameters.insert("csi.aliyun.com/no-such".into(), "1".into());
        lab.driver.create_volume_group_snapshot(&request).map(drop)
    };
    CreateVolumeGroupSnapshot group_is_under_way Aborted "an operation on the group is under way" |lab| {
        volumes(lab);
        let both = ["a", "b"];
        lab.while_busy(
            |d| d.create_volume_group_snapshot(&ask::group("g", &both)),
            |d| d.create_volume_group_snapshot(&ask::group("g", &both)),
        ).map(drop)
    };
    DeleteVolumeGroupSnapshot delete_names_no_group InvalidArgument "group_snapshot_id is missing" |lab| lab.driver.delete_volume_group_snapshot(&ask::delete_group("", &[])).map(drop);
    DeleteVolumeGroupSnapshot delete_of_no_group OK "the group does not exist" |lab| lab.driver.delete_volume_group_snapshot(&ask::delete_group("no-such", &[])).map(drop);
    DeleteVolumeGroupSnapshot delete_with_other_snapshots InvalidArgument "snapshot_ids are not those of the group" |lab| {
        volumes(lab);
        let made = create(lab, "g", &["a", "b"])?;
        lab.driver.delete_volume_group_snapshot(&ask::delete_group("g", &[&made[0]])).map(drop)
    };
    DeleteVolumeGroupSnapshot delete_group_twice OK "the group is deleted already, with its snapshots" |lab| {
        volumes(lab);
        let made = create(lab, "g", &["a", "b"])?;
        let ids = [made[0].as_str(), made[1].as_str()];
        lab.driver.delete_volume_group_snapshot(&ask::delete_group("g", &ids))?;
        let gone = lab.driver.get_snapshot(&ask::get_snapshot(ids[0]));
        assert_eq!(crate::lab::code(&gone), Some(open_local_csi::Code::NotFound));
        lab.driver.delete_volume_group_snapshot(&ask::delete_group("g", &ids)).map(drop)
    };
    GetVolumeGroupSnapshot get_names_no_group InvalidArgument "group_snapshot_id is missing" |lab| lab.driver.get_volume_group_snapshot(&ask::get_group("", &[])).map(drop);
    GetVolumeGroupSnapshot get_of_no_group NotFound "the group does not exist" |lab| lab.driver.get_volume_group_snapshot(&ask::get_group("no-such", &[])).map(drop);
    GetVolumeGroupSnapshot get_with_other_snapshots InvalidArgument "snapshot_ids are not those of the group" |lab| {
        volumes(lab);
        create(lab, "g", &["a", "b"])?;
        lab.driver.get_volume_group_snapshot(&ask::get_group("g", &["x"])).map(drop)
    };
    GetVolumeGroupSnapshot get_answers_the_group OK "the group as it was made" |lab| {
        volumes(lab);
        let made = create(lab, "g", &["a", "b"])?;
        let ids = [made[0].as_str(), made[1].as_str()];
        let group = lab.driver.get_volume_group_snapshot(&ask::get_group("g", &ids))?;
        assert!(group.group_snapshot.unwrap().ready_to_use);
        Ok(())
    };
}
