//! Who the plugin is, and that it can do what it says and no more.

use open_local_csi::proto::{self, plugin_capability};

use super::cases;
use crate::ask;
use crate::lab::Lab;

cases! {
    GetPluginInfo a_name_is_a_domain_name OK "the name has at most 63 characters of a domain name" |lab| {
        let info = lab.driver.get_plugin_info(&proto::GetPluginInfoRequest {})?;
        let inside = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        assert!((1..=63).contains(&info.name.len()) && info.name.chars().all(inside));
        assert!(info.name.starts_with(|c: char| c.is_ascii_alphabetic()));
        assert!(info.name.ends_with(|c: char| c.is_ascii_alphabetic()));
        assert!(!info.vendor_version.is_empty());
        Ok(())
    };
    GetPluginCapabilities services_are_claimed_that_are_there OK "only services that answer are claimed" |lab| {
        use plugin_capability::{Type, service};
        let claimed = lab.driver.get_plugin_capabilities(&proto::GetPluginCapabilitiesRequest {})?;
        let has = |kind: service::Type| claimed.capabilities.iter().any(|one| {
            matches!(&one.r#type, Some(Type::Service(s)) if s.r#type == i32::from(kind))
        });
        assert!(has(service::Type::ControllerService));
        assert!(has(service::Type::VolumeAccessibilityConstraints));
        assert!(has(service::Type::GroupControllerService));
        assert!(!has(service::Type::SnapshotMetadataService));
        Ok(())
    };
    Probe it_is_ready OK "a plugin that works is ready" |lab| {
        let probe = lab.driver.probe(&proto::ProbeRequest {})?;
        assert_ne!(probe.ready, Some(false));
        Ok(())
    };
    ControllerGetCapabilities each_claim_is_kept OK "a call that is claimed is not UNIMPLEMENTED" claims;
    NodeGetCapabilities node_claims_are_kept OK "a call that is claimed is not UNIMPLEMENTED" node_claims;
    NodeGetInfo the_place_is_named OK "a plugin with constraints names its place" |lab| {
        let info = lab.driver.node_get_info(&proto::NodeGetInfoRequest {})?;
        assert!((1..=256).contains(&info.node_id.len()));
        assert!(info.max_volumes_per_node >= 0);
        assert!(!info.accessible_topology.unwrap().segments.is_empty());
        Ok(())
    };
    GroupControllerGetCapabilities group_claims_are_kept OK "a call that is claimed is not UNIMPLEMENTED" |lab| {
        let request = proto::GroupControllerGetCapabilitiesRequest {};
        let claimed = lab.driver.group_controller_get_capabilities(&request)?;
        assert_eq!(claimed.capabilities.len(), 1);
        Ok(())
    };
    ControllerPublishVolume not_claimed Unimplemented "the call is not claimed" |lab| {
        let request = proto::ControllerPublishVolumeRequest::default();
        lab.driver.controller_publish_volume(&request).map(drop)
    };
    ControllerUnpublishVolume unpublish_not_claimed Unimplemented "the call is not claimed" |lab| {
        let request = proto::ControllerUnpublishVolumeRequest::default();
        lab.driver.controller_unpublish_volume(&request).map(drop)
    };
}

fn claims(lab: &Lab) -> open_local_csi::Answer<()> {
    use proto::controller_service_capability::{Type, rpc};
    let request = proto::ControllerGetCapabilitiesRequest {};
    let claimed = lab.driver.controller_get_capabilities(&request)?;
    let mut numbers: Vec<i32> = claimed
        .capabilities
        .iter()
        .map(|one| match &one.r#type {
            Some(Type::Rpc(word)) => word.r#type,
            None => panic!("a claim without a word"),
        })
        .collect();
    numbers.sort_unstable();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "a claim comes twice");
    let unknown = i32::from(rpc::Type::Unknown);
    assert!(numbers.iter().all(|n| rpc::Type::try_from(*n).is_ok() && *n != unknown));
    for not in [rpc::Type::PublishUnpublishVolume, rpc::Type::ListVolumesPublishedNodes] {
        assert!(!numbers.contains(&i32::from(not)));
    }
    let driver = &lab.driver;
    let served = [
        (rpc::Type::CreateDeleteVolume, crate::lab::code(&driver.delete_volume(&ask::delete("x")))),
        (rpc::Type::ListVolumes, crate::lab::code(&driver.list_volumes(&Default::default()))),
        (rpc::Type::GetCapacity, crate::lab::code(&driver.get_capacity(&Default::default()))),
        (rpc::Type::ListSnapshots, crate::lab::code(&driver.list_snapshots(&Default::default()))),
        (
            rpc::Type::CreateDeleteSnapshot,
            crate::lab::code(&driver.delete_snapshot(&ask::delete_snapshot("x"))),
        ),
    ];
    for (claim, code) in served {
        assert_eq!((numbers.contains(&claim.into()), code), (true, None), "{claim:?}");
    }
    let found = crate::lab::code(&driver.get_snapshot(&ask::get_snapshot("x")));
    assert_eq!(found, Some(open_local_csi::Code::NotFound));
    for claim in [rpc::Type::GetVolume, rpc::Type::ExpandVolume, rpc::Type::ModifyVolume] {
        assert!(numbers.contains(&claim.into()), "{claim:?}");
    }
    Ok(())
}

fn node_claims(lab: &Lab) -> open_local_csi::Answer<()> {
    use proto::node_service_capability::{Type, rpc};
    let claimed = lab.driver.node_get_capabilities(&proto::NodeGetCapabilitiesRequest {})?;
    let has = |kind: rpc::Type| {
        claimed.capabilities.iter().any(
            |one| matches!(&one.r#type, Some(Type::Rpc(word)) if word.r#type == i32::from(kind)),
        )
    };
    assert!(has(rpc::Type::StageUnstageVolume) && has(rpc::Type::GetVolumeStats));
    assert!(has(rpc::Type::ExpandVolume) && has(rpc::Type::VolumeCondition));
    assert!(has(rpc::Type::SingleNodeMultiWriter) && !has(rpc::Type::VolumeMountGroup));
    Ok(())
}
