//! The answer of `plan compare`.

use open_local_core::Ratio;
use serde_json::{Value, json};

use super::placed::{squeeze, warnings};
use super::refused::Refused;
use super::{Told, many, strategy_word, totals_json};
use crate::plan::model::Cluster;
use crate::plan::simulate::{Comparison, Side};
use crate::view::size::{human, percent};
use crate::view::table::Grid;

/// Nodes above which the table of nodes gives way to the figures.
const NODES: usize = 60;

/// Tells both strategies side by side.
#[must_use]
pub fn compared(cluster: &Cluster, comparison: &Comparison) -> Told {
    let [binpack, spread] = &comparison.sides;
    let sides: Vec<Value> = comparison.sides.iter().map(|side| side_json(cluster, side)).collect();
    let json = json!({
        "command": "compare",
        "sides": sides,
        "warnings": binpack.outcome.warnings,
    });
    let mut refusals = String::new();
    for side in &comparison.sides {
        let refused = side.outcome.refused().map(|(pod, why)| (pod.name.as_str(), why));
        let word = strategy_word(side.strategy);
        let heading = format!("\n{word} leaves {} without a place:", many(side.refused, "pod"));
        refusals.push_str(&Refused::of(refused).text(&heading));
    }
    let text = format!(
        "{}{}\n{}\n{refusals}\n{}\n",
        warnings(&binpack.outcome),
        figures(binpack, spread),
        nodes(cluster, binpack, spread),
        judgement(binpack, spread)
    );
    Told { json, text: squeeze(&text) }
}

fn side_json(cluster: &Cluster, side: &Side) -> Value {
    let nodes: Vec<Value> = cluster
        .nodes
        .iter()
        .zip(&side.fullness)
        .map(|(node, ppm)| json!({ "name": node.name().as_str(), "fullness_ppm": ppm }))
        .collect();
    let refused = Refused::of(side.outcome.refused().map(|(pod, why)| (pod.name.as_str(), why)));
    json!({
        "strategy": strategy_word(side.strategy),
        "placed": side.placed,
        "refused": side.refused,
        "refusals": refused.json(),
        "after": totals_json(&side.totals),
        "stranded": side.stranded.get(),
        "idle_nodes": side.empty,
        "nodes": nodes,
    })
}

/// Smallest, middle and largest.
fn spread_of(side: &Side) -> String {
    let mut sorted = side.fullness.clone();
    sorted.sort_unstable();
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0);
    let [least, middle, most] = [0, sorted.len() / 2, sorted.len().saturating_sub(1)]
        .map(|index| percent(Ratio::from_ppm(at(index))));
    format!("{least} / {middle} / {most}")
}

fn figures(binpack: &Side, spread: &Side) -> String {
    let mut grid = Grid::new(&["", "BINPACK>", "SPREAD>"], "");
    let mut row = |what: &str, of: &dyn Fn(&Side) -> String| {
        grid.row([what.to_owned(), of(binpack), of(spread)]);
    };
    row("pods with a place", &|side| side.placed.to_string());
    row("pods without", &|side| side.refused.to_string());
    row("room taken", &|side| human(side.totals.committed));
    row("largest thick volume left", &|side| human(side.totals.largest_thick));
    row("largest thin volume left", &|side| human(side.totals.largest_thin));
    row("room in pieces too small to use", &|side| human(side.stranded));
    row("devices left", &|side| side.totals.devices.free.to_string());
    row("largest device left", &|side| human(side.totals.largest_device));
    row("nodes with nothing on them", &|side| side.empty.to_string());
    row("least / middle / fullest node", &spread_of);
    grid.render()
}

fn nodes(cluster: &Cluster, binpack: &Side, spread: &Side) -> String {
    if cluster.nodes.len() > NODES {
        return String::new();
    }
    let mut grid = Grid::new(&["NODE", "BINPACK>", "SPREAD>"], "");
    let both = binpack.fullness.iter().zip(&spread.fullness);
    for (node, (a, b)) in cluster.nodes.iter().zip(both) {
        let shown = |ppm: u64| percent(Ratio::from_ppm(ppm));
        grid.row([node.name().to_string(), shown(*a), shown(*b)]);
    }
    format!("\n{}\n", grid.render())
}

/// One sentence on what the figures say.
fn judgement(binpack: &Side, spread: &Side) -> String {
    let (a, b) = (binpack, spread);
    let fit = match a.placed.cmp(&b.placed) {
        std::cmp::Ordering::Equal => format!("Both place {}", many(a.placed, "pod")),
        std::cmp::Ordering::Greater => {
            format!("binpack places {}", many(a.placed.saturating_sub(b.placed), "more pod"))
        }
        std::cmp::Ordering::Less => {
            format!("spread places {}", many(b.placed.saturating_sub(a.placed), "more pod"))
        }
    };
    let room = |side: &Side| side.totals.largest_thick.max(side.totals.largest_thin);
    let largest = match room(a).cmp(&room(b)) {
        std::cmp::Ordering::Equal => "both leave the same largest volume".to_owned(),
        std::cmp::Ordering::Greater => {
            format!(
                "binpack leaves the larger volume, {} against {}",
                human(room(a)),
                human(room(b))
            )
        }
        std::cmp::Ordering::Less => {
            format!(
                "spread leaves the larger volume, {} against {}",
                human(room(b)),
                human(room(a))
            )
        }
    };
    format!("{fit}; {largest}.")
}
