//! Publishing.

use open_local_csi::{Answer, Code, proto};

use super::cases;
use crate::ask;
use crate::lab::{Lab, code};

fn publish(
    lab: &Lab,
    volume: &proto::Volume,
    target: &str,
    change: impl Fn(&mut proto::NodePublishVolumeRequest),
) -> Answer<()> {
    let staging = lab.staging(&volume.volume_id);
    let mut request = ask::publish(volume, &staging, &lab.target(target));
    change(&mut request);
    lab.driver.node_publish_volume(&request).map(drop)
}

fn fresh(lab: &Lab, change: impl Fn(&mut proto::NodePublishVolumeRequest)) -> Answer<()> {
    let volume = lab.staged("v");
    publish(lab, &volume, "v", change)
}

fn single(request: &mut proto::NodePublishVolumeRequest) {
    request.volume_capability = Some(ask::mount(ask::SINGLE));
}

cases! {
    NodePublishVolume publish_names_no_volume InvalidArgument "volume_id is missing" |lab| fresh(lab, |r| r.volume_id.clear());
    NodePublishVolume publish_has_no_target InvalidArgument "target_path is missing" |lab| fresh(lab, |r| r.target_path.clear());
    NodePublishVolume publish_has_no_capability InvalidArgument "volume_capability is missing" |lab| fresh(lab, |r| r.volume_capability = None);
    NodePublishVolume publish_in_an_unsupported_way InvalidArgument "volume_capability is not supported" |lab| fresh(lab, |r| r.volume_capability = Some(ask::mount(ask::MULTI_NODE)));
    NodePublishVolume publish_at_a_path_that_leads_elsewhere InvalidArgument "target_path holds .." |lab| fresh(lab, |r| r.target_path = "/pods/../../etc/shadow".into());
    NodePublishVolume publish_without_staging_path FailedPrecondition "staging_target_path is not set" |lab| fresh(lab, |r| r.staging_target_path.clear());
    NodePublishVolume publish_of_nothing NotFound "the volume does not exist" |lab| fresh(lab, |r| { r.volume_id = "no-such".into(); r.volume_context.clear(); });
    NodePublishVolume publish_of_what_is_not_staged FailedPrecondition "the volume is not staged" |lab| { let volume = lab.create("v"); publish(lab, &volume, "v", |_| {}) };
    NodePublishVolume published_already OK "the volume is published there already" |lab| { let volume = lab.published("v"); publish(lab, &volume, "v", |_| {}) };
    NodePublishVolume published_there_for_writing AlreadyExists "the volume is published there in an incompatible way" |lab| { let volume = lab.published("v"); publish(lab, &volume, "v", |r| r.readonly = true) };
    NodePublishVolume another_is_published_there AlreadyExists "another volume is published there" |lab| {
        lab.published("v");
        let other = lab.staged("w");
        publish(lab, &other, "v", |_| {})
    };
    NodePublishVolume published_at_two_targets OK "SINGLE_NODE_WRITER: several targets on one node" |lab| {
        let volume = lab.published("v");
        publish(lab, &volume, "second", |_| {})
    };
    NodePublishVolume single_writer_at_two_targets FailedPrecondition "SINGLE_NODE_SINGLE_WRITER: a second target" |lab| {
        let volume = lab.staged("v");
        publish(lab, &volume, "v", single)?;
        publish(lab, &volume, "second", single)
    };
    NodePublishVolume single_writer_again OK "SINGLE_NODE_SINGLE_WRITER: the same target again" |lab| {
        let volume = lab.staged("v");
        publish(lab, &volume, "v", single)?;
        publish(lab, &volume, "v", single)
    };
    NodePublishVolume single_writer_after_unpublish OK "SINGLE_NODE_SINGLE_WRITER: another target after the first is gone" |lab| {
        let volume = lab.staged("v");
        publish(lab, &volume, "v", single)?;
        lab.driver.node_unpublish_volume(&ask::unpublish("v", &lab.target("v")))?;
        publish(lab, &volume, "second", single)
    };
    NodePublishVolume publish_of_what_became_another FailedPrecondition "the context is of an earlier volume of the name" |lab| {
        let old = lab.create("v");
        lab.driver.delete_volume(&ask::delete("v"))?;
        lab.staged("v");
        publish(lab, &old, "v", |_| {})
    };
    NodePublishVolume publishing_is_under_way Aborted "an operation on the volume is under way" |lab| {
        let request = ask::publish(&lab.staged("v"), &lab.staging("v"), &lab.target("v"));
        lab.while_busy(|d| d.node_publish_volume(&request), |d| d.node_publish_volume(&request)).map(drop)
    };
    NodePublishVolume a_device_is_published OK "a block device at a target" |lab| {
        let volume = lab.create("v");
        let mut request = ask::stage(&volume, &lab.staging("v"));
        request.volume_capability = Some(ask::block(ask::WRITER));
        lab.driver.node_stage_volume(&request)?;
        publish(lab, &volume, "v", |r| r.volume_capability = Some(ask::block(ask::WRITER)))?;
        let stats = lab.driver.node_get_volume_stats(&ask::stats("v", &lab.target("v")))?;
        assert_eq!(stats.usage[0].total, ask::SIZE);
        lab.driver.node_unpublish_volume(&ask::unpublish("v", &lab.target("v"))).map(drop)
    };
    NodeUnpublishVolume unpublish_names_no_volume InvalidArgument "volume_id is missing" |lab| lab.driver.node_unpublish_volume(&ask::unpublish("", "/x")).map(drop);
    NodeUnpublishVolume unpublish_has_no_target InvalidArgument "target_path is missing" |lab| lab.driver.node_unpublish_volume(&ask::unpublish("v", "")).map(drop);
    NodeUnpublishVolume unpublish_at_a_relative_path InvalidArgument "target_path is not absolute" |lab| lab.driver.node_unpublish_volume(&ask::unpublish("v", "x")).map(drop);
    NodeUnpublishVolume unpublish_of_nothing OK "the volume does not exist: nothing of it is published" |lab| lab.driver.node_unpublish_volume(&ask::unpublish("no-such", &lab.target("v"))).map(drop);
    NodeUnpublishVolume unpublish_twice OK "the volume is not published there" |lab| {
        lab.published("v");
        for _ in 0..2 { lab.driver.node_unpublish_volume(&ask::unpublish("v", &lab.target("v")))?; }
        Ok(())
    };
    NodeUnpublishVolume unpublish_of_another OK "another volume is published there, and stays" |lab| {
        lab.published("v");
        lab.staged("w");
        // OK (it is not published there) and a refusal are both in the tables.
        let answer = lab.driver.node_unpublish_volume(&ask::unpublish("w", &lab.target("v")));
        assert!(matches!(code(&answer), None | Some(Code::FailedPrecondition)), "{answer:?}");
        lab.driver.node_get_volume_stats(&ask::stats("v", &lab.target("v"))).map(drop)
    };
    NodeUnpublishVolume unpublishing_is_under_way Aborted "an operation on the volume is under way" |lab| {
        lab.published("v");
        let request = ask::unpublish("v", &lab.target("v"));
        lab.while_busy(|d| d.node_unpublish_volume(&request), |d| d.node_unpublish_volume(&request)).map(drop)
    };
}
