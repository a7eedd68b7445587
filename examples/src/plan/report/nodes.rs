//! Nodes before and after.

use open_local_core::plan::{Exclusive, Node, NodePool, Serves};
use open_local_core::{Bytes, Provisioning, Ratio};
use serde_json::{Value, json};

use super::many;
use crate::plan::figures;
use crate::view::size::{human, percent};
use crate::view::table::Grid;

/// Pools above which the table gives way to the extremes.
const POOLS: usize = 24;

/// Nodes named as the fullest or emptiest.
const EXTREMES: usize = 5;

pub(super) fn serves_word(serves: Serves) -> &'static str {
    match serves {
        Serves::Thin => "thin",
        Serves::Both => "both",
        _ => "thick",
    }
}

/// A node before, and after if it is still there.
pub(super) type Pair<'n> = (&'n Node, Option<&'n Node>);

pub(super) fn pairs<'n>(before: &'n [Node], after: &'n [Option<Node>]) -> Vec<Pair<'n>> {
    before.iter().zip(after).map(|(before, after)| (before, after.as_ref())).collect()
}

pub(super) fn json(pairs: &[Pair<'_>]) -> Value {
    pairs.iter().map(|(before, after)| node_json(before, *after)).collect()
}

fn node_json(before: &Node, after: Option<&Node>) -> Value {
    let pools: Vec<Value> = before
        .pools()
        .iter()
        .map(|pool| pool_json(pool, after.and_then(|node| node.pool(pool.name().as_str()))))
        .collect();
    let wholes = |before: &[Exclusive], after: Option<&[Exclusive]>| -> Vec<Value> {
        before
            .iter()
            .map(|one| {
                let later = after.and_then(|list| list.iter().find(|o| o.name() == one.name()));
                json!({
                    "name": one.name().as_str(),
                    "size": one.size().get(),
                    "media": one.media().as_str(),
                    "free_before": one.is_free(),
                    "free_after": later.map(Exclusive::is_free),
                })
            })
            .collect()
    };
    json!({
        "name": before.name().as_str(),
        "fullness_before_ppm": figures::fullness(before),
        "fullness_after_ppm": after.map(figures::fullness),
        "pools": pools,
        "devices": wholes(before.devices(), after.map(Node::devices)),
        "mount_points": wholes(before.mount_points(), after.map(Node::mount_points)),
    })
}

fn pool_json(before: &NodePool, after: Option<&NodePool>) -> Value {
    let state = |pool: &NodePool| {
        json!({
            "committed": pool.committed().get(),
            "thick": pool.thick().get(),
            "thin": pool.thin().get(),
            "largest_thick": pool.available(Provisioning::Thick).get(),
            "largest_thin": pool.available(Provisioning::Thin).get(),
        })
    };
    json!({
        "name": before.name().as_str(),
        "kind": serves_word(before.serves()),
        "media": before.media().as_str(),
        "size": before.total().get(),
        "reserve": before.reserve().get(),
        "overcommit_ppm": before.overcommit().ppm(),
        "before": state(before),
        "after": after.map(state),
    })
}

/// A row a pool, or the extremes of a large cluster.
pub(super) fn text(pairs: &[Pair<'_>]) -> String {
    let pools: usize = pairs.iter().map(|(node, _)| node.pools().len()).sum();
    if pools == 0 {
        return String::new();
    }
    if pools > POOLS {
        return extremes(pairs);
    }
    let columns = ["NODE", "POOL", "KIND", "SIZE>", "BEFORE>", "AFTER>", "LARGEST LEFT>"];
    let mut grid = Grid::new(&columns, "no pools");
    for (before, after) in pairs {
        for pool in before.pools() {
            let later = after.and_then(|node| node.pool(pool.name().as_str()));
            let largest = later.map_or_else(
                || "-".to_owned(),
                |pool| {
                    let of = |kind| pool.available(kind);
                    human(of(Provisioning::Thick).max(of(Provisioning::Thin)))
                },
            );
            grid.row([
                before.name().to_string(),
                pool.name().to_string(),
                serves_word(pool.serves()).to_owned(),
                human(pool.total()),
                full(pool),
                later.map_or_else(|| "gone".to_owned(), full),
                largest,
            ]);
        }
    }
    format!("{}\n", grid.render())
}

fn full(pool: &NodePool) -> String {
    percent(Ratio::of(pool.committed(), figures::budget(pool).max(Bytes::new(1))))
}

fn extremes(pairs: &[Pair<'_>]) -> String {
    let mut full: Vec<(u64, &Node)> = pairs
        .iter()
        .filter_map(|(_, after)| after.map(|node| (figures::fullness(node), node)))
        .collect();
    full.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name().cmp(b.1.name())));
    let line = |all: &mut dyn Iterator<Item = &(u64, &Node)>| {
        let shown: Vec<String> = all
            .take(EXTREMES)
            .map(|(ppm, node)| format!("{} {}", node.name(), percent(Ratio::from_ppm(*ppm))))
            .collect();
        shown.join(", ")
    };
    let median = full.get(full.len() / 2).map_or(0, |(ppm, _)| *ppm);
    format!(
        "Of {}: fullest {}; median {}; emptiest {}\n",
        many(full.len(), "node"),
        line(&mut full.iter()),
        percent(Ratio::from_ppm(median)),
        line(&mut full.iter().rev())
    )
}
