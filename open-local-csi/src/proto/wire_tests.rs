//! The numbers on the wire, written down a second time: by hand, as bytes.

use std::collections::BTreeMap;

use prost::Message;

use super::*;

/// The key of a field: its number and wire type (0 for a number, 2 for anything with a length).
fn key(number: u8, wire: u8) -> u8 {
    number << 3 | wire
}

fn text(number: u8, value: &str) -> Vec<u8> {
    let mut bytes = vec![key(number, 2), u8::try_from(value.len()).unwrap()];
    bytes.extend(value.as_bytes());
    bytes
}

fn nested(number: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![key(number, 2), u8::try_from(value.len()).unwrap()];
    bytes.extend(value);
    bytes
}

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![key(field, 0), value]
}

fn entry(field: u8, name: &str, value: &str) -> Vec<u8> {
    nested(field, &[text(1, name), text(2, value)].concat())
}

fn one(name: &str, value: &str) -> BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

fn mount() -> VolumeCapability {
    VolumeCapability {
        access_type: Some(volume_capability::AccessType::Mount(volume_capability::MountVolume {
            fs_type: "xfs".into(),
            mount_flags: vec!["noatime".into()],
            volume_mount_group: "g".into(),
        })),
        access_mode: Some(volume_capability::AccessMode { mode: 6 }),
    }
}

fn mount_bytes() -> Vec<u8> {
    let inside = [text(1, "xfs"), text(2, "noatime"), text(3, "g")].concat();
    [nested(2, &inside), nested(3, &number(1, 6))].concat()
}

#[track_caller]
fn same(message: &(impl Message + Default + PartialEq + Clone), bytes: &[Vec<u8>]) {
    let bytes = bytes.concat();
    assert_eq!(message.encode_to_vec(), bytes);
}

#[test]
fn volumes_have_the_numbers_of_the_interface() {
    let source = VolumeContentSource {
        r#type: Some(volume_content_source::Type::Snapshot(
            volume_content_source::SnapshotSource { snapshot_id: "s".into() },
        )),
    };
    same(
        &CreateVolumeRequest {
            name: "n".into(),
            capacity_range: Some(CapacityRange { required_bytes: 1, limit_bytes: 2 }),
            volume_capabilities: vec![mount()],
            parameters: one("a", "b"),
            secrets: one("c", "d"),
            volume_content_source: Some(source),
            accessibility_requirements: Some(TopologyRequirement {
                requisite: vec![Topology { segments: one("e", "f") }],
                preferred: vec![Topology { segments: one("g", "h") }],
            }),
            mutable_parameters: one("i", "j"),
        },
        &[
            text(1, "n"),
            nested(2, &[number(1, 1), number(2, 2)].concat()),
            nested(3, &mount_bytes()),
            entry(4, "a", "b"),
            entry(5, "c", "d"),
            nested(6, &nested(1, &text(1, "s"))),
            nested(7, &[nested(1, &entry(1, "e", "f")), nested(2, &entry(1, "g", "h"))].concat()),
            entry(8, "i", "j"),
        ],
    );
    let from_volume = VolumeContentSource {
        r#type: Some(volume_content_source::Type::Volume(volume_content_source::VolumeSource {
            volume_id: "v".into(),
        })),
    };
    same(
        &CreateVolumeResponse {
            volume: Some(Volume {
                capacity_bytes: 9,
                volume_id: "v".into(),
                volume_context: one("a", "b"),
                content_source: Some(from_volume),
                accessible_topology: vec![Topology { segments: one("k", "w") }],
            }),
        },
        &[nested(
            1,
            &[
                number(1, 9),
                text(2, "v"),
                entry(3, "a", "b"),
                nested(4, &nested(2, &text(1, "v"))),
                nested(5, &entry(1, "k", "w")),
            ]
            .concat(),
        )],
    );
    same(
        &DeleteVolumeRequest { volume_id: "v".into(), secrets: one("a", "b") },
        &[text(1, "v"), entry(2, "a", "b")],
    );
}

#[test]
fn the_controller_has_the_numbers_of_the_interface() {
    same(
        &ControllerExpandVolumeRequest {
            volume_id: "v".into(),
            capacity_range: Some(CapacityRange { required_bytes: 1, limit_bytes: 0 }),
            secrets: one("a", "b"),
            volume_capability: Some(mount()),
        },
        &[text(1, "v"), nested(2, &number(1, 1)), entry(3, "a", "b"), nested(4, &mount_bytes())],
    );
    same(
        &ControllerExpandVolumeResponse { capacity_bytes: 3, node_expansion_required: true },
        &[number(1, 3), number(2, 1)],
    );
    same(
        &ControllerModifyVolumeRequest {
            volume_id: "v".into(),
            secrets: one("a", "b"),
            mutable_parameters: one("c", "d"),
        },
        &[text(1, "v"), entry(2, "a", "b"), entry(3, "c", "d")],
    );
}

#[test]
fn questions_have_the_numbers_of_the_interface() {
    same(
        &GetCapacityResponse {
            available_capacity: 1,
            maximum_volume_size: Some(2),
            minimum_volume_size: Some(3),
        },
        &[number(1, 1), nested(2, &number(1, 2)), nested(3, &number(1, 3))],
    );
    same(
        &GetCapacityRequest {
            volume_capabilities: vec![mount()],
            parameters: one("a", "b"),
            accessible_topology: Some(Topology { segments: one("k", "w") }),
        },
        &[nested(1, &mount_bytes()), entry(2, "a", "b"), nested(3, &entry(1, "k", "w"))],
    );
    same(
        &ValidateVolumeCapabilitiesResponse {
            confirmed: Some(validate_volume_capabilities_response::Confirmed {
                volume_context: one("a", "b"),
                volume_capabilities: vec![mount()],
                parameters: one("c", "d"),
                mutable_parameters: one("e", "f"),
            }),
            message: "m".into(),
        },
        &[
            nested(
                1,
                &[
                    entry(1, "a", "b"),
                    nested(2, &mount_bytes()),
                    entry(3, "c", "d"),
                    entry(4, "e", "f"),
                ]
                .concat(),
            ),
            text(2, "m"),
        ],
    );
    same(
        &ListVolumesResponse {
            entries: vec![list_volumes_response::Entry {
                volume: Some(Volume { volume_id: "v".into(), ..Volume::default() }),
                status: Some(list_volumes_response::VolumeStatus {
                    published_node_ids: vec!["n".into()],
                    volume_condition: Some(VolumeCondition { abnormal: true, message: "m".into() }),
                }),
            }],
            next_token: "t".into(),
        },
        &[
            nested(
                1,
                &[
                    nested(1, &text(2, "v")),
                    nested(
                        2,
                        &[text(1, "n"), nested(2, &[number(1, 1), text(2, "m")].concat())].concat(),
                    ),
                ]
                .concat(),
            ),
            text(2, "t"),
        ],
    );
}

#[test]
fn snapshots_have_the_numbers_of_the_interface() {
    let snapshot = Snapshot {
        size_bytes: 1,
        snapshot_id: "s".into(),
        source_volume_id: "v".into(),
        creation_time: Some(prost_types::Timestamp { seconds: 5, nanos: 6 }),
        ready_to_use: true,
        group_snapshot_id: "g".into(),
    };
    let bytes = [
        number(1, 1),
        text(2, "s"),
        text(3, "v"),
        nested(4, &[number(1, 5), number(2, 6)].concat()),
        number(5, 1),
        text(6, "g"),
    ]
    .concat();
    same(&CreateSnapshotResponse { snapshot: Some(snapshot.clone()) }, &[nested(1, &bytes)]);
    same(
        &CreateSnapshotRequest {
            source_volume_id: "v".into(),
            name: "n".into(),
            secrets: one("a", "b"),
            parameters: one("c", "d"),
        },
        &[text(1, "v"), text(2, "n"), entry(3, "a", "b"), entry(4, "c", "d")],
    );
    same(
        &ListSnapshotsRequest {
            max_entries: 1,
            starting_token: "t".into(),
            source_volume_id: "v".into(),
            snapshot_id: "s".into(),
            secrets: one("a", "b"),
        },
        &[number(1, 1), text(2, "t"), text(3, "v"), text(4, "s"), entry(5, "a", "b")],
    );
    same(
        &CreateVolumeGroupSnapshotRequest {
            name: "n".into(),
            source_volume_ids: vec!["v".into()],
            secrets: one("a", "b"),
            parameters: one("c", "d"),
        },
        &[text(1, "n"), text(2, "v"), entry(3, "a", "b"), entry(4, "c", "d")],
    );
    same(
        &DeleteVolumeGroupSnapshotRequest {
            group_snapshot_id: "g".into(),
            snapshot_ids: vec!["s".into()],
            secrets: one("a", "b"),
        },
        &[text(1, "g"), text(2, "s"), entry(3, "a", "b")],
    );
    same(
        &GetVolumeGroupSnapshotResponse {
            group_snapshot: Some(VolumeGroupSnapshot {
                group_snapshot_id: "g".into(),
                snapshots: vec![snapshot],
                creation_time: Some(prost_types::Timestamp { seconds: 5, nanos: 0 }),
                ready_to_use: true,
            }),
        },
        &[nested(
            1,
            &[text(1, "g"), nested(2, &bytes), nested(3, &number(1, 5)), number(4, 1)].concat(),
        )],
    );
}

#[test]
fn the_node_has_the_numbers_of_the_interface() {
    same(
        &NodeStageVolumeRequest {
            volume_id: "v".into(),
            publish_context: one("a", "b"),
            staging_target_path: "/s".into(),
            volume_capability: Some(mount()),
            secrets: one("c", "d"),
            volume_context: one("e", "f"),
        },
        &[
            text(1, "v"),
            entry(2, "a", "b"),
            text(3, "/s"),
            nested(4, &mount_bytes()),
            entry(5, "c", "d"),
            entry(6, "e", "f"),
        ],
    );
    same(
        &NodePublishVolumeRequest {
            volume_id: "v".into(),
            publish_context: one("a", "b"),
            staging_target_path: "/s".into(),
            target_path: "/t".into(),
            volume_capability: Some(mount()),
            readonly: true,
            secrets: one("c", "d"),
            volume_context: one("e", "f"),
        },
        &[
            text(1, "v"),
            entry(2, "a", "b"),
            text(3, "/s"),
            text(4, "/t"),
            nested(5, &mount_bytes()),
            number(6, 1),
            entry(7, "c", "d"),
            entry(8, "e", "f"),
        ],
    );
    same(
        &NodeExpandVolumeRequest {
            volume_id: "v".into(),
            volume_path: "/p".into(),
            capacity_range: Some(CapacityRange { required_bytes: 1, limit_bytes: 0 }),
            staging_target_path: "/s".into(),
            volume_capability: Some(mount()),
            secrets: one("c", "d"),
        },
        &[
            text(1, "v"),
            text(2, "/p"),
            nested(3, &number(1, 1)),
            text(4, "/s"),
            nested(5, &mount_bytes()),
            entry(6, "c", "d"),
        ],
    );
}

#[test]
fn figures_of_the_node_have_the_numbers_of_the_interface() {
    same(
        &NodeGetVolumeStatsResponse {
            usage: vec![VolumeUsage { available: 1, total: 2, used: 3, unit: 2 }],
            volume_condition: Some(VolumeCondition { abnormal: true, message: "m".into() }),
        },
        &[
            nested(1, &[number(1, 1), number(2, 2), number(3, 3), number(4, 2)].concat()),
            nested(2, &[number(1, 1), text(2, "m")].concat()),
        ],
    );
    same(
        &NodeGetInfoResponse {
            node_id: "n".into(),
            max_volumes_per_node: 4,
            accessible_topology: Some(Topology { segments: one("k", "w") }),
        },
        &[text(1, "n"), number(2, 4), nested(3, &entry(1, "k", "w"))],
    );
}

#[test]
fn words_have_the_numbers_of_the_interface() {
    use controller_service_capability::rpc::Type as Controller;
    use node_service_capability::rpc::Type as Node;
    use plugin_capability::service::Type as Service;
    use volume_capability::access_mode::Mode;
    let controller = [
        Controller::CreateDeleteVolume,
        Controller::PublishUnpublishVolume,
        Controller::ListVolumes,
        Controller::GetCapacity,
        Controller::CreateDeleteSnapshot,
        Controller::ListSnapshots,
        Controller::CloneVolume,
        Controller::PublishReadonly,
        Controller::ExpandVolume,
        Controller::ListVolumesPublishedNodes,
        Controller::VolumeCondition,
        Controller::GetVolume,
        Controller::SingleNodeMultiWriter,
        Controller::ModifyVolume,
        Controller::GetSnapshot,
    ];
    assert_eq!(controller.map(|one| one as i32).to_vec(), (1..=15).collect::<Vec<_>>());
    let node = [
        Node::StageUnstageVolume,
        Node::GetVolumeStats,
        Node::ExpandVolume,
        Node::VolumeCondition,
        Node::SingleNodeMultiWriter,
        Node::VolumeMountGroup,
    ];
    assert_eq!(node.map(|one| one as i32).to_vec(), (1..=6).collect::<Vec<_>>());
    let service = [
        Service::ControllerService,
        Service::VolumeAccessibilityConstraints,
        Service::GroupControllerService,
        Service::SnapshotMetadataService,
    ];
    assert_eq!(service.map(|one| one as i32), [1, 2, 3, 4]);
    let modes = [
        Mode::SingleNodeWriter,
        Mode::SingleNodeReaderOnly,
        Mode::MultiNodeReaderOnly,
        Mode::MultiNodeSingleWriter,
        Mode::MultiNodeMultiWriter,
        Mode::SingleNodeSingleWriter,
        Mode::SingleNodeMultiWriter,
    ];
    assert_eq!(modes.map(|one| one as i32).to_vec(), (1..=7).collect::<Vec<_>>());
    assert_eq!(plugin_capability::volume_expansion::Type::Online as i32, 1);
    assert_eq!(volume_usage::Unit::Inodes as i32, 2);
}

/// Every message with secrets has a `Debug` of ours.
#[test]
fn secrets_are_counted_and_not_shown() {
    let secrets = || one("key-marker", "value-marker");
    let shown = [
        format!("{:?}", CreateVolumeRequest { secrets: secrets(), ..Default::default() }),
        format!("{:#?}", DeleteVolumeRequest { secrets: secrets(), ..Default::default() }),
        format!("{:?}", CreateSnapshotRequest { secrets: secrets(), ..Default::default() }),
        format!("{:?}", NodeStageVolumeRequest { secrets: secrets(), ..Default::default() }),
        format!("{:?}", NodePublishVolumeRequest { secrets: secrets(), ..Default::default() }),
        format!("{:?}", NodeExpandVolumeRequest { secrets: secrets(), ..Default::default() }),
    ];
    for text in shown {
        assert!(!text.contains("marker") && text.contains("<1 hidden>"), "{text}");
    }
    let declared = include_str!("../../proto/csi.proto").matches("> secrets = ").count();
    let redacted = include_str!("../generated/redacted.rs").matches("super::Hidden(").count();
    assert_eq!(declared, redacted);
}
