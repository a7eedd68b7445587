//! Staging, growth on the node, and figures.

use open_local_csi::{Answer, Code, proto};

use super::cases;
use crate::ask::{self, HUGE, SIZE};
use crate::lab::{Lab, code};

fn stage(lab: &Lab, name: &str, change: impl Fn(&mut proto::NodeStageVolumeRequest)) -> Answer<()> {
    let volume = lab.create(name);
    let mut request = ask::stage(&volume, &lab.staging(name));
    change(&mut request);
    lab.driver.node_stage_volume(&request).map(drop)
}

cases! {
    NodeStageVolume stage_names_no_volume InvalidArgument "volume_id is missing" |lab| stage(lab, "v", |r| r.volume_id.clear());
    NodeStageVolume stage_has_no_path InvalidArgument "staging_target_path is missing" |lab| stage(lab, "v", |r| r.staging_target_path.clear());
    NodeStageVolume stage_has_no_capability InvalidArgument "volume_capability is missing" |lab| stage(lab, "v", |r| r.volume_capability = None);
    NodeStageVolume stage_in_an_unsupported_way InvalidArgument "volume_capability is not supported" |lab| stage(lab, "v", |r| r.volume_capability = Some(ask::mount(ask::MULTI_NODE)));
    NodeStageVolume stage_at_a_path_that_leads_elsewhere InvalidArgument "staging_target_path holds .." |lab| stage(lab, "v", |r| r.staging_target_path = "/staging/../etc".into());
    NodeStageVolume stage_at_a_relative_path InvalidArgument "staging_target_path is not absolute" |lab| stage(lab, "v", |r| r.staging_target_path = "staging".into());
    NodeStageVolume stage_of_nothing NotFound "the volume does not exist" |lab| stage(lab, "v", |r| { r.volume_id = "no-such".into(); r.volume_context.clear(); });
    NodeStageVolume staged_already OK "the volume is staged already" |lab| { stage(lab, "v", |_| {})?; stage(lab, "v", |_| {}) };
    NodeStageVolume staged_with_another_file_system AlreadyExists "the volume is staged in an incompatible way" |lab| {
        stage(lab, "v", |_| {})?;
        stage(lab, "v", |r| r.volume_capability = Some(ask::filesystem("xfs", ask::WRITER)))
    };
    NodeStageVolume stage_with_another_file_system FailedPrecondition "the volume holds another file system than is asked for" |lab| {
        stage(lab, "v", |_| {})?;
        lab.driver.node_unstage_volume(&ask::unstage("v", &lab.staging("v")))?;
        stage(lab, "v", |r| r.volume_capability = Some(ask::filesystem("xfs", ask::WRITER)))
    };
    NodeStageVolume staged_for_reading AlreadyExists "the volume is staged for writing, and reading is asked for" |lab| {
        stage(lab, "v", |_| {})?;
        stage(lab, "v", |r| r.volume_capability = Some(ask::mount(ask::READER)))
    };
    NodeStageVolume another_is_staged_there AlreadyExists "another volume is staged at the path" |lab| {
        let there = lab.staging("v");
        stage(lab, "v", |_| {})?;
        stage(lab, "w", |r| r.staging_target_path = there.clone())
    };
    NodeStageVolume stage_of_what_became_another FailedPrecondition "the context is of an earlier volume of the name" |lab| {
        let old = lab.create("v");
        lab.driver.delete_volume(&ask::delete("v"))?;
        lab.create("v");
        lab.driver.node_stage_volume(&ask::stage(&old, &lab.staging("v"))).map(drop)
    };
    NodeStageVolume staging_is_under_way Aborted "an operation on the volume is under way" |lab| {
        let request = ask::stage(&lab.create("v"), &lab.staging("v"));
        lab.while_busy(|d| d.node_stage_volume(&request), |d| d.node_stage_volume(&request)).map(drop)
    };
    NodeUnstageVolume unstage_names_no_volume InvalidArgument "volume_id is missing" |lab| lab.driver.node_unstage_volume(&ask::unstage("", "/x")).map(drop);
    NodeUnstageVolume unstage_has_no_path InvalidArgument "staging_target_path is missing" |lab| lab.driver.node_unstage_volume(&ask::unstage("v", "")).map(drop);
    NodeUnstageVolume unstage_of_nothing OK "the volume does not exist: nothing of it is staged" |lab| lab.driver.node_unstage_volume(&ask::unstage("no-such", &lab.staging("x"))).map(drop);
    NodeUnstageVolume unstage_twice OK "the volume is not staged" |lab| {
        lab.staged("v");
        for _ in 0..2 { lab.driver.node_unstage_volume(&ask::unstage("v", &lab.staging("v")))?; }
        lab.driver.delete_volume(&ask::delete("v")).map(drop)
    };
    NodeUnstageVolume unstage_of_another OK "another volume is staged at the path, and stays" |lab| {
        lab.staged("v");
        lab.staged("w");
        // OK (it is not staged there) and a refusal are both in the tables.
        let answer = lab.driver.node_unstage_volume(&ask::unstage("w", &lab.staging("v")));
        assert!(matches!(code(&answer), None | Some(Code::FailedPrecondition)), "{answer:?}");
        for name in ["v", "w"] {
            lab.driver.node_get_volume_stats(&ask::stats(name, &lab.staging(name)))?;
        }
        Ok(())
    };
    NodeUnstageVolume unstage_while_published Aborted "the volume is still published" |lab| {
        lab.published("v");
        lab.driver.node_unstage_volume(&ask::unstage("v", &lab.staging("v"))).map(drop)
    };
    NodeUnstageVolume unstaging_is_under_way Aborted "an operation on the volume is under way" |lab| {
        lab.staged("v");
        let request = ask::unstage("v", &lab.staging("v"));
        lab.while_busy(|d| d.node_unstage_volume(&request), |d| d.node_unstage_volume(&request)).map(drop)
    };
    NodeGetVolumeStats stats_name_no_volume InvalidArgument "volume_id is missing" |lab| lab.driver.node_get_volume_stats(&ask::stats("", "/x")).map(drop);
    NodeGetVolumeStats stats_have_no_path InvalidArgument "volume_path is missing" |lab| { lab.create("v"); lab.driver.node_get_volume_stats(&ask::stats("v", "")).map(drop) };
    NodeGetVolumeStats stats_of_nothing NotFound "the volume does not exist" |lab| lab.driver.node_get_volume_stats(&ask::stats("no-such", "some/path")).map(drop);
    NodeGetVolumeStats stats_at_another_path NotFound "the volume is not at the path" |lab| { lab.published("v"); lab.driver.node_get_volume_stats(&ask::stats("v", "some/path")).map(drop) };
    NodeGetVolumeStats stats_of_another_volume NotFound "another volume is at the path" |lab| {
        lab.published("v");
        lab.published("w");
        lab.driver.node_get_volume_stats(&ask::stats("v", &lab.target("w"))).map(drop)
    };
    NodeGetVolumeStats stats_where_it_is OK "bytes, inodes and condition" |lab| {
        lab.published("v");
        for path in [lab.staging("v"), lab.target("v")] {
            let stats = lab.driver.node_get_volume_stats(&ask::stats("v", &path))?;
            assert_eq!(stats.usage.len(), 2);
            assert!(stats.usage.iter().all(|one| one.total >= one.used && one.available <= one.total));
            assert!(!stats.volume_condition.unwrap().abnormal);
        }
        Ok(())
    };
    NodeExpandVolume node_expand_names_no_volume InvalidArgument "volume_id is missing" |lab| lab.driver.node_expand_volume(&ask::expand_on_node("", "/x", SIZE)).map(drop);
    NodeExpandVolume node_expand_has_no_path InvalidArgument "volume_path is missing" |lab| { lab.create("v"); lab.driver.node_expand_volume(&ask::expand_on_node("v", "", SIZE)).map(drop) };
    NodeExpandVolume node_expand_of_nothing NotFound "the volume does not exist" |lab| lab.driver.node_expand_volume(&ask::expand_on_node("no-such", "some/path", SIZE)).map(drop);
    NodeExpandVolume node_expand_at_another_path NotFound "the volume is not at the path" |lab| { lab.published("v"); lab.driver.node_expand_volume(&ask::expand_on_node("v", "some/path", SIZE)).map(drop) };
    NodeExpandVolume node_expand_beyond_all_room OutOfRange "capacity_range is not supported" |lab| { lab.published("v"); lab.driver.node_expand_volume(&ask::expand_on_node("v", &lab.target("v"), HUGE)).map(drop) };
    NodeExpandVolume node_expand_to_a_negative_size InvalidArgument "required_bytes is negative" |lab| { lab.published("v"); lab.driver.node_expand_volume(&ask::expand_on_node("v", &lab.target("v"), -1)).map(drop) };
    NodeExpandVolume node_expand_in_an_unsupported_way InvalidArgument "volume_capability is not supported" |lab| {
        lab.published("v");
        let mut request = ask::expand_on_node("v", &lab.target("v"), 2 * SIZE);
        request.volume_capability = Some(ask::mount(ask::MULTI_NODE));
        lab.driver.node_expand_volume(&request).map(drop)
    };
    NodeExpandVolume node_expand_after_the_controller OK "the file system fills the grown volume" |lab| {
        lab.published("v");
        let target = lab.target("v");
        let total = || Ok::<_, open_local_csi::Status>(lab.driver.node_get_volume_stats(&ask::stats("v", &target))?.usage[0].total);
        let before = total()?;
        lab.driver.controller_expand_volume(&ask::expand("v", 2 * SIZE))?;
        for _ in 0..2 {
            let answer = lab.driver.node_expand_volume(&ask::expand_on_node("v", &target, 2 * SIZE))?;
            assert_eq!(answer.capacity_bytes, 2 * SIZE);
        }
        assert!(total()? > before);
        Ok(())
    };
}
