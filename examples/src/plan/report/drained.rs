//! The answer of `plan drain`.

use open_local_core::Bytes;
use open_local_core::plan::Policy;
use serde_json::{Value, json};

use super::placed::{row, squeeze, summary, verdict_json, warnings};
use super::refused::Refused;
use super::{Told, head, many, nodes, totals_json, totals_text};
use crate::plan::figures::Totals;
use crate::plan::model::Cluster;
use crate::plan::simulate::{Drained, Move, Verdict};
use crate::view::size::human;
use crate::view::table::Grid;

/// Moves above which the rest is counted.
const ROWS: usize = 200;

/// Tells where the pods of a node go.
#[must_use]
pub fn drained(cluster: &Cluster, drained: &Drained, policy: &Policy) -> Told {
    let moves = &drained.moves;
    let why = |one: &'_ Move| match &one.verdict {
        Verdict::Refused(refusals) => Some((one.name.clone(), refusals.clone())),
        _ => None,
    };
    let stuck: Vec<_> = moves.iter().filter_map(why).collect();
    let refused = Refused::of(stuck.iter().map(|(name, why)| (name.as_str(), why)));
    let name = cluster.nodes.get(drained.node).map(|node| node.name().to_string());
    let name = name.unwrap_or_default();
    let outcome = &drained.outcome;
    let pairs = nodes::pairs(&outcome.before, &outcome.after);
    let before = Totals::of(&outcome.before);
    let after = Totals::of(outcome.after.iter().flatten());
    let left = moves.iter().fold(0usize, |sum, one| sum.saturating_add(one.left));
    let bytes = moves.iter().fold(Bytes::ZERO, |sum, one| sum.saturating_add(one.bytes));
    let list: Vec<Value> = moves.iter().map(|one| move_json(cluster, one, &refused)).collect();
    let unplaced = outcome.refused().count();
    let mut json = head("drain", policy);
    if let Value::Object(map) = &mut json {
        map.extend([
            ("node".to_owned(), json!(name)),
            ("moves".to_owned(), list.into()),
            ("refusals".to_owned(), refused.json()),
            ("moved".to_owned(), moves.len().saturating_sub(stuck.len()).into()),
            ("refused".to_owned(), stuck.len().into()),
            ("without_place_before".to_owned(), unplaced.into()),
            ("left_behind".to_owned(), json!({ "volumes": left, "bytes": bytes.get() })),
            ("nodes".to_owned(), nodes::json(&pairs)),
            ("before".to_owned(), totals_json(&before)),
            ("after".to_owned(), totals_json(&after)),
            ("warnings".to_owned(), json!(outcome.warnings)),
        ]);
    }
    let heading = format!("\n{} with no other place:", many(stuck.len(), "pod"));
    let text = format!(
        "{}{}\n{}\n{}\n{}\n{}; {}\n",
        warnings(outcome),
        moves_text(cluster, moves, &name),
        refused.text(&heading),
        nodes::text(&pairs),
        data(&name, left, bytes),
        format_args!("without {name} {}", summary(moves.len(), stuck.len())),
        totals_text(&before, &after)
    );
    Told { json, text: squeeze(&text) }
}

fn data(name: &str, left: usize, bytes: Bytes) -> String {
    if left == 0 {
        return format!("No local data is on {name}.");
    }
    format!(
        "Local data does not move by itself: {} of {} stay on {name}, and the pods begin with empty \
         ones elsewhere. Copy or restore the data first.",
        many(left, "volume"),
        human(bytes)
    )
}

fn move_json(cluster: &Cluster, one: &Move, refused: &Refused<'_>) -> Value {
    let template = cluster.pods.get(one.template);
    let mut json = verdict_json(cluster, &one.name, template, &one.verdict, refused);
    if let Value::Object(map) = &mut json {
        let left = json!({ "volumes": one.left, "bytes": one.bytes.get() });
        let _ = map.insert("left_behind".to_owned(), left);
    }
    json
}

fn moves_text(cluster: &Cluster, moves: &[Move], name: &str) -> String {
    if moves.is_empty() {
        return format!("No pod is on {name}.");
    }
    let mut grid = Grid::new(&["POD", "TO", "SCORE>", "WHERE"], "");
    for one in moves.iter().take(ROWS) {
        grid.row(row(cluster, &one.name, one.template, &one.verdict));
    }
    let more = moves.len().saturating_sub(ROWS);
    let rest = if more > 0 { format!("\nand {} more", many(more, "pod")) } else { String::new() };
    format!("{}{rest}", grid.render())
}
