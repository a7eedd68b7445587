//! `CreateVolume` and `DeleteVolume`.

use open_local_csi::proto;

use super::cases;
use crate::ask::{self, HUGE, SIZE};
use crate::lab::Lab;

fn with(
    lab: &Lab,
    name: &str,
    change: impl Fn(&mut proto::CreateVolumeRequest),
) -> open_local_csi::Answer<()> {
    let mut request = ask::create(name);
    change(&mut request);
    lab.driver.create_volume(&request).map(drop)
}

cases! {
    CreateVolume name_is_missing InvalidArgument "name is missing" |lab| with(lab, "", |_| {});
    CreateVolume name_is_too_long InvalidArgument "name is longer than 128 bytes" |lab| with(lab, &"n".repeat(129), |_| {});
    CreateVolume name_has_128_bytes OK "name has 128 bytes" |lab| with(lab, &"n".repeat(128), |_| {});
    CreateVolume name_is_of_any_characters OK "name has spaces, slashes and letters of other languages" |lab| with(lab, "a b/../ü:%", |_| {});
    CreateVolume name_holds_a_control_character InvalidArgument "name holds a control character" |lab| with(lab, "a\u{7}b", |_| {});
    CreateVolume capabilities_are_missing InvalidArgument "volume_capabilities is missing" |lab| with(lab, "v", |r| r.volume_capabilities.clear());
    CreateVolume access_type_is_missing InvalidArgument "access_type is missing" |lab| with(lab, "v", |r| r.volume_capabilities[0].access_type = None);
    CreateVolume access_mode_is_missing InvalidArgument "access_mode is missing" |lab| with(lab, "v", |r| r.volume_capabilities[0].access_mode = None);
    CreateVolume access_mode_is_unknown InvalidArgument "access_mode is UNKNOWN" |lab| with(lab, "v", |r| r.volume_capabilities = vec![ask::mount(0)]);
    CreateVolume access_mode_is_of_several_nodes InvalidArgument "access_mode is not supported" |lab| with(lab, "v", |r| r.volume_capabilities = vec![ask::mount(ask::MULTI_NODE)]);
    CreateVolume one_of_the_capabilities_is_not_supported InvalidArgument "one of several volume_capabilities is not supported" |lab| with(lab, "v", |r| r.volume_capabilities.push(ask::mount(ask::MULTI_NODE)));
    CreateVolume file_system_is_not_supported InvalidArgument "fs_type is not supported" |lab| with(lab, "v", |r| r.volume_capabilities = vec![ask::filesystem("ntfs", 1)]);
    CreateVolume required_is_negative InvalidArgument "required_bytes is negative" |lab| with(lab, "v", |r| r.capacity_range = ask::range(-1, 0));
    CreateVolume limit_is_negative InvalidArgument "limit_bytes is negative" |lab| with(lab, "v", |r| r.capacity_range = ask::range(0, -1));
    CreateVolume required_is_above_the_limit InvalidArgument "required_bytes is above limit_bytes" |lab| with(lab, "v", |r| r.capacity_range = ask::range(SIZE, SIZE - 1));
    CreateVolume capacity_range_is_missing OK "capacity_range is missing: the plugin chooses" |lab| with(lab, "v", |r| { r.capacity_range = None; r.capacity_range = ask::range(0, SIZE); });
    CreateVolume capacity_range_cannot_be OutOfRange "capacity_range is not supported" |lab| with(lab, "v", |r| r.capacity_range = ask::range(1, 1));
    CreateVolume capacity_is_more_than_there_is ResourceExhausted "there is no room at this place" |lab| with(lab, "v", |r| r.capacity_range = ask::range(HUGE, 0));
    CreateVolume parameter_of_ours_is_unknown InvalidArgument "a parameter is not supported" |lab| with(lab, "v", |r| { r.parameters.insert("csi.aliyun.com/no-such".into(), "1".into()); });
    CreateVolume parameter_has_no_such_value InvalidArgument "the value of a parameter is not supported" |lab| with(lab, "v", |r| { r.parameters.insert("csi.aliyun.com/provisioning".into(), "fat".into()); });
    CreateVolume parameter_of_others_is_ignored OK "a parameter of the orchestrator is ignored" |lab| with(lab, "v", |r| { r.parameters.insert("csi.storage.k8s.io/pv/name".into(), "pv".into()); });
    CreateVolume mutable_parameter_is_unknown InvalidArgument "mutable_parameters is not supported" |lab| with(lab, "v", |r| { r.mutable_parameters.insert("no-such".into(), "1".into()); });
    CreateVolume mutable_parameters_are_taken OK "mutable_parameters is supported" |lab| with(lab, "v", |r| { r.mutable_parameters.insert("iops".into(), "100".into()); });
    CreateVolume source_is_empty InvalidArgument "the source names nothing" |lab| with(lab, "v", |r| r.volume_content_source = Some(Default::default()));
    CreateVolume source_snapshot_is_not_named InvalidArgument "the source snapshot has no id" |lab| with(lab, "v", |r| r.volume_content_source = ask::from_snapshot(""));
    CreateVolume source_snapshot_does_not_exist NotFound "the source snapshot does not exist" |lab| with(lab, "v", |r| r.volume_content_source = ask::from_snapshot("no-such"));
    CreateVolume source_volume_does_not_exist NotFound "the source volume does not exist" |lab| with(lab, "v", |r| r.volume_content_source = ask::from_volume("no-such"));
    CreateVolume source_is_larger_than_required OutOfRange "required_bytes is less than the source's" |lab| {
        lab.create("s");
        with(lab, "v", |r| { r.volume_content_source = ask::from_volume("s"); r.capacity_range = ask::range(SIZE / 2, 0); })
    };
    CreateVolume source_is_larger_than_the_limit OutOfRange "limit_bytes is less than the source's" |lab| {
        lab.create("s");
        lab.snapshot("snap", "s");
        with(lab, "v", |r| { r.volume_content_source = ask::from_snapshot("snap"); r.capacity_range = ask::range(0, SIZE / 2); })
    };
    CreateVolume source_is_in_another_pool InvalidArgument "the source is not compatible with the parameters" |lab| {
        lab.create_in("s", "slow");
        with(lab, "v", |r| { r.volume_content_source = ask::from_volume("s"); r.parameters.insert("vgName".into(), "fast".into()); })
    };
    CreateVolume it_is_there_already OK "the volume exists already" |lab| { with(lab, "v", |_| {})?; with(lab, "v", |_| {}) };
    CreateVolume it_is_there_with_less AlreadyExists "the volume exists and is smaller" |lab| {
        with(lab, "v", |r| r.capacity_range = ask::range(SIZE, SIZE))?;
        with(lab, "v", |r| r.capacity_range = ask::range(2 * SIZE, 2 * SIZE))
    };
    CreateVolume it_is_there_with_more AlreadyExists "the volume exists and is larger than the limit" |lab| {
        with(lab, "v", |r| r.capacity_range = ask::range(2 * SIZE, 0))?;
        with(lab, "v", |r| r.capacity_range = ask::range(SIZE, SIZE))
    };
    CreateVolume it_is_there_of_another_kind AlreadyExists "the volume exists and its parameters differ" |lab| {
        with(lab, "v", |r| { r.parameters.insert("csi.aliyun.com/provisioning".into(), "thin".into()); })?;
        with(lab, "v", |r| { r.parameters.insert("csi.aliyun.com/provisioning".into(), "thick".into()); })
    };
    CreateVolume it_is_there_in_another_pool AlreadyExists "the volume exists in another pool than its class names" |lab| {
        lab.create_in("v", "slow");
        with(lab, "v", |r| { r.parameters.insert("vgName".into(), "fast".into()); })
    };
    CreateVolume it_is_there_from_another_source AlreadyExists "the volume exists and its source differs" |lab| {
        lab.create("s");
        with(lab, "v", |_| {})?;
        with(lab, "v", |r| r.volume_content_source = ask::from_volume("s"))
    };
    CreateVolume it_is_there_and_empty_is_asked AlreadyExists "the volume exists and has a source" |lab| {
        lab.create("s");
        with(lab, "v", |r| r.volume_content_source = ask::from_volume("s"))?;
        with(lab, "v", |_| {})
    };
    CreateVolume another_node_is_asked_for ResourceExhausted "the volume can't be made in accessible_topology" |lab| with(lab, "v", |r| r.accessibility_requirements = elsewhere());
    CreateVolume creation_is_under_way Aborted "an operation on the volume is under way" |lab| {
        lab.while_busy(|d| d.create_volume(&ask::create("v")), |d| d.create_volume(&ask::create("v"))).map(drop)
    };
    DeleteVolume delete_names_no_volume InvalidArgument "volume_id is missing" |lab| lab.driver.delete_volume(&ask::delete("")).map(drop);
    DeleteVolume delete_names_too_much InvalidArgument "volume_id is longer than 128 bytes" |lab| lab.driver.delete_volume(&ask::delete(&"x".repeat(1 << 20))).map(drop);
    DeleteVolume delete_of_nothing OK "the volume does not exist" |lab| lab.driver.delete_volume(&ask::delete("no-such")).map(drop);
    DeleteVolume delete_of_what_no_id_can_be OK "volume_id is none of this plugin" |lab| lab.driver.delete_volume(&ask::delete("../../etc")).map(drop);
    DeleteVolume delete_twice OK "the volume is deleted already" |lab| {
        lab.create("v");
        lab.driver.delete_volume(&ask::delete("v"))?;
        lab.driver.delete_volume(&ask::delete("v")).map(drop)
    };
    DeleteVolume delete_while_in_use FailedPrecondition "the volume is in use" |lab| {
        lab.staged("v");
        lab.driver.delete_volume(&ask::delete("v")).map(drop)
    };
    DeleteVolume delete_with_snapshots OK "the volume has snapshots that live on" |lab| {
        lab.create("v");
        let snapshot = lab.snapshot("s", "v");
        lab.driver.delete_volume(&ask::delete("v"))?;
        lab.driver.get_snapshot(&ask::get_snapshot(&snapshot)).map(drop)
    };
    DeleteVolume deletion_is_under_way Aborted "an operation on the volume is under way" |lab| {
        lab.create("v");
        lab.while_busy(|d| d.delete_volume(&ask::delete("v")), |d| d.delete_volume(&ask::delete("v"))).map(drop)
    };
}

fn elsewhere() -> Option<proto::TopologyRequirement> {
    let segments = [("kubernetes.io/hostname".to_owned(), "node-2".to_owned())].into();
    let place = proto::Topology { segments };
    Some(proto::TopologyRequirement { requisite: vec![place.clone()], preferred: vec![place] })
}
