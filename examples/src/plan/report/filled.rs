//! The answer of `plan fill`.

use open_local_core::plan::Policy;
use serde_json::{Value, json};

use super::placed::{counted, squeeze, warnings};
use super::refused::{groups_json, groups_text};
use super::{Told, head, many, nodes, totals_json, totals_text};
use crate::plan::figures::Totals;
use crate::plan::model::Cluster;
use crate::plan::simulate::Filled;

/// Tells how many more fit.
#[must_use]
pub fn filled(cluster: &Cluster, filled: &Filled, policy: &Policy) -> Told {
    let outcome = &filled.outcome;
    let pairs = nodes::pairs(&outcome.before, &outcome.after);
    let before = Totals::of(&outcome.before);
    let after = Totals::of(outcome.after.iter().flatten());
    let pod = cluster.pods.get(filled.template).map(|pod| pod.name.clone()).unwrap_or_default();
    let unplaced = outcome.refused().count();
    let by_node: Vec<Value> = cluster
        .nodes
        .iter()
        .zip(&filled.by_node)
        .filter(|(_, number)| **number > 0)
        .map(|(node, number)| json!({ "node": node.name().as_str(), "pods": number }))
        .collect();
    let groups = filled.refused.as_ref().map(|refusals| groups_json(refusals));
    let mut json = head("fill", policy);
    if let Value::Object(map) = &mut json {
        map.extend([
            ("pod".to_owned(), json!(pod)),
            ("asked".to_owned(), json!(filled.asked)),
            ("placed".to_owned(), json!(filled.placed)),
            ("by_node".to_owned(), by_node.into()),
            ("next_refused".to_owned(), json!(groups)),
            ("without_place_before".to_owned(), unplaced.into()),
            ("nodes".to_owned(), nodes::json(&pairs)),
            ("before".to_owned(), totals_json(&before)),
            ("after".to_owned(), totals_json(&after)),
            ("warnings".to_owned(), json!(outcome.warnings)),
        ]);
    }
    let of = filled.asked.map(|asked| format!(" of {asked}")).unwrap_or_default();
    let why = match &filled.refused {
        Some(refusals) => {
            format!("Not one more, because:\n{}", groups_text(refusals, "  "))
        }
        None => String::new(),
    };
    let earlier = match unplaced {
        0 => String::new(),
        n => format!("warning: {} of the file had no place before that\n", many(n, "pod")),
    };
    let text = format!(
        "{}{earlier}{}{of} more of {pod} fit\non {}\n\n{why}\n{}\n{}\n",
        warnings(outcome),
        filled.placed,
        counted(cluster, filled.by_node.iter().copied().enumerate()),
        nodes::text(&pairs),
        totals_text(&before, &after)
    );
    Told { json, text: squeeze(&text) }
}
