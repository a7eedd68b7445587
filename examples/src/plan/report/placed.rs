//! The answer of `plan place`, and the parts of it that others share.

use std::collections::BTreeMap;

use open_local_core::plan::{Place, Policy};
use serde_json::{Value, json};

use super::refused::Refused;
use super::{ROWS, Told, few, head, kind_word, many, nodes, place_json, totals_json, totals_text};
use crate::plan::figures::Totals;
use crate::plan::model::{Cluster, Template};
use crate::plan::simulate::{Decided, Outcome, Spot, Verdict};
use crate::view::size::human;
use crate::view::table::Grid;

/// Tells where every pod goes. JSON is made only if it is wanted: for many pods it takes most of
/// the memory.
#[must_use]
pub fn placed(cluster: &Cluster, outcome: &Outcome, policy: &Policy, wants_json: bool) -> Told {
    let refused = Refused::of(outcome.refused().map(|(pod, why)| (pod.name.as_str(), why)));
    let pairs = nodes::pairs(&outcome.before, &outcome.after);
    let before = Totals::of(&outcome.before);
    let after = Totals::of(outcome.after.iter().flatten());
    let count = outcome.refused().count();
    let mut json = head("place", policy);
    if let Value::Object(map) = &mut json
        && wants_json
    {
        let pods: Value = outcome.pods.iter().map(|pod| pod_json(cluster, pod, &refused)).collect();
        map.extend([
            ("pods".to_owned(), pods),
            ("refusals".to_owned(), refused.json()),
            ("nodes".to_owned(), nodes::json(&pairs)),
            ("placed".to_owned(), outcome.pods.len().saturating_sub(count).into()),
            ("refused".to_owned(), count.into()),
            ("before".to_owned(), totals_json(&before)),
            ("after".to_owned(), totals_json(&after)),
            ("warnings".to_owned(), json!(outcome.warnings)),
        ]);
    }
    let heading = format!("\n{} without a place:", many(count, "pod"));
    let text = format!(
        "{}{}\n{}\n{}\n{}; {}\n",
        warnings(outcome),
        pods_text(cluster, outcome),
        refused.text(&heading),
        nodes::text(&pairs),
        summary(outcome.pods.len(), count),
        totals_text(&before, &after)
    );
    Told { json, text: squeeze(&text) }
}

pub(super) fn summary(all: usize, refused: usize) -> String {
    match refused {
        0 => format!("all {} have a place", many(all, "pod")),
        _ => format!("{} of {} have a place", all.saturating_sub(refused), many(all, "pod")),
    }
}

/// No more than one empty line at a time.
pub(super) fn squeeze(text: &str) -> String {
    let mut out = text.to_owned();
    while out.contains("\n\n\n") {
        out = out.replace("\n\n\n", "\n\n");
    }
    out.trim_matches('\n').to_owned()
}

pub(super) fn warnings(outcome: &Outcome) -> String {
    outcome.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
}

fn pod_json(cluster: &Cluster, pod: &Decided, refused: &Refused<'_>) -> Value {
    let template = cluster.pods.get(pod.template);
    verdict_json(cluster, &pod.name, template, &pod.verdict, refused)
}

pub(super) fn verdict_json(
    cluster: &Cluster,
    name: &str,
    template: Option<&Template>,
    verdict: &Verdict,
    refused: &Refused<'_>,
) -> Value {
    let (status, spot, refusal) = match verdict {
        Verdict::Present(_) => ("present", None, None),
        Verdict::Grown(spot) => ("grown", Some(spot), None),
        Verdict::Placed(spot) => ("placed", Some(spot), None),
        Verdict::Refused(why) => ("refused", None, refused.index(why)),
    };
    let node = verdict.node().and_then(|node| cluster.nodes.get(node));
    let claims = spot.zip(template).map(|(spot, template)| claims_json(template, spot));
    json!({
        "name": name,
        "status": status,
        "node": node.map(|node| node.name().as_str()),
        "score": spot.map(|spot| spot.score.points()),
        "claims": claims.unwrap_or_default(),
        "refusal": refusal,
    })
}

pub(super) fn claims_json(template: &Template, spot: &Spot) -> Vec<Value> {
    let one = |(index, place): &(usize, Place)| {
        let claim = template.claims.get(*index)?;
        Some(json!({
            "name": claim.name,
            "kind": kind_word(claim.kind),
            "size": claim.size.get(),
            "place": place_json(place),
        }))
    };
    spot.claims.iter().filter_map(one).collect()
}

/// `data 200 GiB in pool fast, wal on device /dev/sdb`.
pub(super) fn claims_text(template: &Template, spot: &Spot) -> String {
    let one = |(index, place): &(usize, Place)| {
        let claim = template.claims.get(*index)?;
        let (name, size) = (&claim.name, human(claim.size));
        Some(match (place, claim.from.filter(|_| template.node.is_some())) {
            (Place::Present, _) => format!("{name} is there"),
            (Place::Pool(_), Some(from)) => format!("{name} {} → {size} in {place}", human(from)),
            (Place::Pool(_), None) => format!("{name} {size} in {place}"),
            _ => format!("{name} on {place}"),
        })
    };
    spot.claims.iter().filter_map(one).collect::<Vec<_>>().join(", ")
}

fn pods_text(cluster: &Cluster, outcome: &Outcome) -> String {
    if outcome.pods.len() > ROWS {
        return by_template(cluster, outcome);
    }
    let mut grid = Grid::new(&["POD", "NODE", "SCORE>", "WHERE"], "no pods");
    for pod in &outcome.pods {
        grid.row(row(cluster, &pod.name, pod.template, &pod.verdict));
    }
    grid.render()
}

pub(in crate::plan) fn row(
    cluster: &Cluster,
    name: &str,
    template: usize,
    verdict: &Verdict,
) -> [String; 4] {
    let node = verdict.node().and_then(|node| cluster.nodes.get(node));
    let node = node.map_or_else(|| "-".to_owned(), |node| node.name().to_string());
    let template = cluster.pods.get(template);
    let (score, place) = match verdict {
        Verdict::Present(_) => ("-".to_owned(), "there already".to_owned()),
        Verdict::Grown(spot) | Verdict::Placed(spot) => {
            let place = template.map(|template| claims_text(template, spot));
            (spot.score.to_string(), place.unwrap_or_default())
        }
        Verdict::Refused(_) => ("-".to_owned(), "no place, see below".to_owned()),
    };
    [name.to_owned(), node, score, place]
}

/// Equal pods in one row.
fn by_template(cluster: &Cluster, outcome: &Outcome) -> String {
    let mut by: BTreeMap<usize, (usize, usize, BTreeMap<usize, usize>)> = BTreeMap::new();
    for pod in &outcome.pods {
        let entry = by.entry(pod.template).or_default();
        entry.0 = entry.0.saturating_add(1);
        if let Some(node) = pod.verdict.node() {
            entry.1 = entry.1.saturating_add(1);
            let number = entry.2.entry(node).or_default();
            *number = number.saturating_add(1);
        }
    }
    let mut grid = Grid::new(&["POD", "PODS>", "PLACED>", "NODES"], "no pods");
    for (template, (all, placed, by_node)) in by {
        let name = cluster.pods.get(template).map(|pod| pod.name.clone());
        grid.row([
            name.unwrap_or_default(),
            all.to_string(),
            placed.to_string(),
            counted(cluster, by_node),
        ]);
    }
    grid.render()
}

/// `a ×12, b ×9 and 3 more`, the most first.
pub(super) fn counted(
    cluster: &Cluster,
    by_node: impl IntoIterator<Item = (usize, usize)>,
) -> String {
    let mut list: Vec<(usize, usize)> = by_node.into_iter().filter(|(_, n)| *n > 0).collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let all = list.len();
    let name = |(node, number): (usize, usize)| {
        let name = cluster.nodes.get(node).map(|node| node.name().to_string());
        format!("{} ×{number}", name.unwrap_or_default())
    };
    if all == 0 { "-".to_owned() } else { few(list.into_iter().map(name), all) }
}
