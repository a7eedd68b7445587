//! A life of a volume with each kind of file system, over the socket, on real loop devices.

use std::fs;
use std::path::Path;

use open_local_csi::proto;
use open_local_csi::server::services::controller_client::ControllerClient;
use open_local_csi::server::services::node_client::NodeClient;

use crate::ask::{self, MIB};
use crate::node::Served;
use crate::orchestrator::Node;

async fn life(node: &Served, kind: &str, size: i64) {
    let mut controller = ControllerClient::new(node.channel());
    let mut services = NodeClient::new(node.channel());
    let way = ask::filesystem(kind, ask::WRITER);
    let mut create = ask::create(kind);
    create.capacity_range = ask::range(size, 0);
    create.volume_capabilities = vec![way.clone()];
    let volume =
        controller.create_volume(create.clone()).await.unwrap().into_inner().volume.unwrap();
    let (staging, target) = (node.places.staging(kind), node.places.target(1));
    fs::create_dir_all(&staging).unwrap();
    let mut stage = ask::stage(&volume, &staging);
    stage.volume_capability = Some(way.clone());
    let mut publish = ask::publish(&volume, &staging, &target);
    publish.volume_capability = Some(way.clone());
    for _ in 0..2 {
        services.node_stage_volume(stage.clone()).await.unwrap();
        services.node_publish_volume(publish.clone()).await.unwrap();
    }
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounted = table.lines().find(|line| line.contains(&format!(" {target} "))).unwrap();
    assert!(mounted.contains(&format!(" - {kind} ")), "{mounted}");
    fs::write(Path::new(&target).join("precious"), kind).unwrap();
    let total = |stats: proto::NodeGetVolumeStatsResponse| stats.usage[0].total;
    let stats = || ask::stats(kind, &target);
    let before = total(services.node_get_volume_stats(stats()).await.unwrap().into_inner());
    let larger = size + 128 * MIB;
    controller.controller_expand_volume(ask::expand(kind, larger)).await.unwrap();
    let grown = services.node_expand_volume(ask::expand_on_node(kind, &target, larger)).await;
    let after = total(services.node_get_volume_stats(stats()).await.unwrap().into_inner());
    match grown {
        Ok(grown) => {
            assert_eq!(grown.into_inner().capacity_bytes, larger);
            assert!(after > before, "{kind}: {before} {after}");
        }
        // ext4 is grown while it is mounted only with a privilege that a container may lack.
        Err(status) => assert!(kind == "ext4" && after == before, "{kind}: {status}"),
    }
    controller.create_snapshot(ask::snapshot("snap", kind)).await.unwrap();
    fs::write(Path::new(&target).join("precious"), "later").unwrap();
    let mut restore = create.clone();
    restore.name = "copy".to_owned();
    restore.capacity_range = ask::range(larger, 0);
    restore.volume_content_source = ask::from_snapshot("snap");
    let copy = controller.create_volume(restore).await.unwrap().into_inner().volume.unwrap();
    // The original is mounted: its copy has the same UUID and is mounted beside it.
    let beside = node.places.staging("copy");
    fs::create_dir_all(&beside).unwrap();
    let mut stage = ask::stage(&copy, &beside);
    stage.volume_capability = Some(way);
    match services.node_stage_volume(stage).await {
        Ok(_) => {
            let kept = fs::read_to_string(Path::new(&beside).join("precious")).unwrap();
            assert_eq!(kept, kind);
        }
        Err(status) => assert!(kind == "btrfs", "{kind}: {status}"),
    }
    for _ in 0..2 {
        services.node_unpublish_volume(ask::unpublish(kind, &target)).await.unwrap();
        for id in [kind, "copy"] {
            services.node_unstage_volume(ask::unstage(id, &node.places.staging(id))).await.unwrap();
            controller.delete_volume(ask::delete(id)).await.unwrap();
        }
        controller.delete_snapshot(ask::delete_snapshot("snap")).await.unwrap();
    }
}

#[test]
fn ext4_xfs_and_btrfs_live_through_every_call() {
    let mut node = Served::new("csi-life");
    for (kind, size) in [("ext4", 64), ("xfs", 320), ("btrfs", 256)] {
        node.runtime.block_on(life(&node, kind, size * MIB));
        assert_eq!(node.leaks(), [""; 0], "{kind}");
    }
}
