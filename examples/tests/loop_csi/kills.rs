//! Random histories against the process, which is killed several times in each.

use crate::ask;
use crate::node::Served;
use crate::orchestrator::{Dice, History, Node, Tally, setting};
use open_local_csi::proto;
use open_local_csi::server::services::controller_client::ControllerClient;

/// Kills unless told otherwise.
const KILLS: u64 = 200;
/// Random steps of a history, before its end.
const STEPS: u64 = 22;
/// Of so many calls one is killed.
const ONE_IN: u64 = 2;

#[test]
fn a_process_killed_at_any_moment_keeps_every_promise() {
    let seed = setting("OPEN_LOCAL_CSI_SEED");
    let kills = if seed.is_some() { 1 } else { setting("OPEN_LOCAL_CSI_KILLS").unwrap_or(KILLS) };
    let first = seed.unwrap_or_else(Dice::new_seed);
    println!("{kills} kills; the first history is that of OPEN_LOCAL_CSI_SEED={first}");
    let mut node = Served::new("csi-kill");
    let mut sum = Tally::default();
    let mut histories = 0;
    while sum.cuts < kills && histories < kills {
        let seed = first + histories;
        sum.add(&History::new(&mut node, seed, ONE_IN, [32, 48, 64]).run(STEPS));
        histories += 1;
    }
    println!("{histories} histories, {} kills: {sum:?}", sum.cuts);
    assert!(sum.cuts >= kills.min(KILLS) || seed.is_some(), "{sum:?}");
}

#[test]
fn a_hundred_creates_at_once() {
    let mut node = Served::new("csi-many");
    let channel = node.channel();
    let ask = |names: Vec<String>| {
        node.runtime.block_on(async {
            let tasks: Vec<_> = names
                .into_iter()
                .map(|name| {
                    let mut controller = ControllerClient::new(channel.clone());
                    tokio::spawn(async move { controller.create_volume(ask::create(&name)).await })
                })
                .collect();
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.unwrap().map(tonic::Response::into_inner));
            }
            answers
        })
    };
    let different = ask((0..100).map(|n| format!("v{n}")).collect());
    let made: std::collections::BTreeSet<String> =
        different.into_iter().map(|one| one.unwrap().volume.unwrap().volume_id).collect();
    assert_eq!(made.len(), 100);
    let same = ask(vec!["same".to_owned(); 100]);
    let (made, under_way): (Vec<_>, Vec<_>) = same.into_iter().partition(Result::is_ok);
    assert!(!made.is_empty());
    let made: Vec<proto::Volume> =
        made.into_iter().map(|one| one.unwrap().volume.unwrap()).collect();
    assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
    for refused in under_way {
        assert_eq!(refused.unwrap_err().code(), tonic::Code::Aborted);
    }
    node.runtime.block_on(async {
        let mut controller = ControllerClient::new(channel.clone());
        let all = controller.list_volumes(proto::ListVolumesRequest::default()).await.unwrap();
        let all = all.into_inner().entries;
        assert_eq!(all.len(), 101);
        for one in all {
            let id = one.volume.unwrap().volume_id;
            controller.delete_volume(ask::delete(&id)).await.unwrap();
        }
    });
    assert_eq!(node.leaks(), [""; 0]);
}
