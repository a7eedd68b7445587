//! Snapshots.

use open_local_csi::{Answer, Code, proto};

use super::cases;
use crate::ask::{self, SIZE};
use crate::lab::Lab;

fn list(
    lab: &Lab,
    change: impl Fn(&mut proto::ListSnapshotsRequest),
) -> Answer<proto::ListSnapshotsResponse> {
    let mut request = proto::ListSnapshotsRequest::default();
    change(&mut request);
    lab.driver.list_snapshots(&request)
}

fn create(lab: &Lab, name: &str, volume: &str) -> Answer<()> {
    lab.driver.create_snapshot(&ask::snapshot(name, volume)).map(drop)
}

cases! {
    CreateSnapshot snapshot_has_no_name InvalidArgument "name is missing" |lab| { lab.create("v"); create(lab, "", "v") };
    CreateSnapshot snapshot_has_no_source InvalidArgument "source_volume_id is missing" |lab| create(lab, "s", "");
    CreateSnapshot snapshot_name_is_too_long InvalidArgument "name is longer than 128 bytes" |lab| { lab.create("v"); create(lab, &"n".repeat(129), "v") };
    CreateSnapshot snapshot_name_has_128_bytes OK "name has 128 bytes" |lab| { lab.create("v"); create(lab, &"n".repeat(128), "v") };
    CreateSnapshot snapshot_of_nothing NotFound "the source volume does not exist" |lab| create(lab, "s", "no-such");
    CreateSnapshot snapshot_is_there OK "the snapshot exists already" |lab| {
        lab.create("v");
        let first = lab.driver.create_snapshot(&ask::snapshot("s", "v"))?;
        let again = lab.driver.create_snapshot(&ask::snapshot("s", "v"))?;
        assert_eq!(first, again);
        let snapshot = first.snapshot.unwrap();
        assert!(snapshot.ready_to_use && snapshot.creation_time.is_some());
        assert_eq!((snapshot.source_volume_id.as_str(), snapshot.size_bytes), ("v", SIZE));
        Ok(())
    };
    CreateSnapshot snapshot_is_there_of_another_volume AlreadyExists "the snapshot exists and its source differs" |lab| {
        lab.create("v");
        lab.create("w");
        create(lab, "s", "v")?;
        create(lab, "s", "w")
    };
    CreateSnapshot snapshot_with_an_unknown_parameter InvalidArgument "a parameter is not supported" |lab| {
        lab.create("v");
        let mut request = ask::snapshot("s", "v");
        request.parameters.insert("csi.aliyun.com/no-such".into(), "1".into());
        lab.driver.create_snapshot(&request).map(drop)
    };
    CreateSnapshot snapshot_to_be_copied_to_s3 InvalidArgument "secrets of a copy in S3 are not supported" |lab| {
        lab.create("v");
        let mut request = ask::snapshot("s", "v");
        request.secrets.insert("s3URL".into(), "https://s3".into());
        lab.driver.create_snapshot(&request).map(drop)
    };
    CreateSnapshot snapshot_is_under_way Aborted "an operation on the snapshot is under way" |lab| {
        lab.create("v");
        lab.while_busy(|d| d.create_snapshot(&ask::snapshot("s", "v")), |d| d.create_snapshot(&ask::snapshot("s", "v"))).map(drop)
    };
    DeleteSnapshot delete_names_no_snapshot InvalidArgument "snapshot_id is missing" |lab| lab.driver.delete_snapshot(&ask::delete_snapshot("")).map(drop);
    DeleteSnapshot delete_of_no_snapshot OK "the snapshot does not exist" |lab| lab.driver.delete_snapshot(&ask::delete_snapshot("no-such")).map(drop);
    DeleteSnapshot delete_of_what_is_none OK "snapshot_id is none of this plugin" |lab| lab.driver.delete_snapshot(&ask::delete_snapshot("/dev/sda")).map(drop);
    DeleteSnapshot delete_snapshot_twice OK "the snapshot is deleted already" |lab| {
        lab.create("v");
        lab.snapshot("s", "v");
        lab.driver.delete_snapshot(&ask::delete_snapshot("s"))?;
        lab.driver.delete_snapshot(&ask::delete_snapshot("s")).map(drop)
    };
    DeleteSnapshot delete_snapshot_with_copies OK "volumes made from it stay" |lab| {
        lab.create("v");
        lab.snapshot("s", "v");
        let mut request = ask::create("r");
        request.volume_content_source = ask::from_snapshot("s");
        lab.driver.create_volume(&request)?;
        lab.driver.delete_snapshot(&ask::delete_snapshot("s"))?;
        lab.driver.controller_get_volume(&ask::get("r")).map(drop)
    };
    DeleteSnapshot snapshot_deletion_is_under_way Aborted "an operation on the snapshot is under way" |lab| {
        lab.create("v");
        lab.snapshot("s", "v");
        lab.while_busy(|d| d.delete_snapshot(&ask::delete_snapshot("s")), |d| d.delete_snapshot(&ask::delete_snapshot("s"))).map(drop)
    };
    ListSnapshots snapshot_token_of_others Aborted "starting_token is invalid" |lab| list(lab, |r| r.starting_token = "invalid-token".into()).map(drop);
    ListSnapshots snapshot_max_entries_is_negative InvalidArgument "max_entries is negative" |lab| list(lab, |r| r.max_entries = -1).map(drop);
    ListSnapshots list_by_unknown_id OK "an unknown snapshot_id lists nothing" |lab| {
        assert!(list(lab, |r| r.snapshot_id = "no-such".into())?.entries.is_empty());
        Ok(())
    };
    ListSnapshots list_by_unknown_source OK "an unknown source_volume_id lists nothing" |lab| {
        assert!(list(lab, |r| r.source_volume_id = "no-such".into())?.entries.is_empty());
        Ok(())
    };
    ListSnapshots list_by_id_and_source OK "snapshot_id and source_volume_id choose" |lab| {
        lab.create("v");
        lab.create("w");
        for (name, volume) in [("a", "v"), ("b", "v"), ("c", "w")] { lab.snapshot(name, volume); }
        assert_eq!(list(lab, |r| r.snapshot_id = "a".into())?.entries.len(), 1);
        assert_eq!(list(lab, |r| r.source_volume_id = "v".into())?.entries.len(), 2);
        assert_eq!(list(lab, |r| { r.source_volume_id = "w".into(); r.snapshot_id = "a".into(); })?.entries.len(), 0);
        Ok(())
    };
    ListSnapshots every_snapshot_is_listed_once OK "two pages hold every snapshot once" |lab| {
        lab.create("v");
        for name in ["a", "b", "c", "d", "e"] { lab.snapshot(name, "v"); }
        let first = list(lab, |r| r.max_entries = 2)?;
        assert_eq!(first.entries.len(), 2);
        let rest = list(lab, |r| r.starting_token = first.next_token.clone())?;
        assert_eq!((rest.entries.len(), rest.next_token.as_str()), (3, ""));
        Ok(())
    };
    GetSnapshot get_names_no_snapshot InvalidArgument "snapshot_id is missing" |lab| lab.driver.get_snapshot(&ask::get_snapshot("")).map(drop);
    GetSnapshot get_of_no_snapshot NotFound "the snapshot does not exist" |lab| lab.driver.get_snapshot(&ask::get_snapshot("no-such")).map(drop);
    GetSnapshot get_answers_what_was_made OK "the snapshot as it was made" |lab| {
        lab.create("v");
        let made = lab.driver.create_snapshot(&ask::snapshot("s", "v"))?.snapshot;
        assert_eq!(lab.driver.get_snapshot(&ask::get_snapshot("s"))?.snapshot, made);
        Ok(())
    };
}

/// Asked again it would be refused again: somebody else must do something first.
#[test]
fn what_cannot_be_held_still_is_no_matter_of_time() {
    let lab = Lab::file();
    lab.staged("v");
    let status = lab.driver.create_snapshot(&ask::snapshot("s", "v")).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("unstage"), "{status}");
}
