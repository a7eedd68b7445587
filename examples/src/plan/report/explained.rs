//! The answer of `plan explain`.

use open_local_core::plan::{Exclusive, NodePool, Policy};
use open_local_core::{Bytes, Provisioning};
use serde_json::{Value, json};

use super::placed::{claims_json, claims_text, squeeze};
use super::{Told, head, kind_word, many};
use crate::plan::figures;
use crate::plan::model::{Asked, Cluster};
use crate::plan::refusals::words;
use crate::plan::simulate::Explained;
use crate::view::size::human;
use crate::view::table::Grid;

/// Tells what a node says of a pod.
#[must_use]
pub fn explained(cluster: &Cluster, explained: &Explained, policy: &Policy) -> Told {
    let Explained { pod, node, fitting, better, .. } = explained;
    let template = cluster.pods.get(explained.template);
    let claims = template.map(|template| template.claims.as_slice()).unwrap_or_default();
    let best = explained.best.and_then(|(index, score)| Some((cluster.nodes.get(index)?, score)));
    let mut json = head("explain", policy);
    let answer = match (&explained.answer, template) {
        (Ok(spot), Some(template)) => json!({
            "fits": true,
            "score": spot.score.points(),
            "rank": better.saturating_add(1),
            "claims": claims_json(template, spot),
            "reasons": [],
        }),
        (Err(unfit), _) => {
            let reason = |reason: &open_local_core::plan::Reason| json!({ "code": reason.code(), "text": words(reason) });
            let reasons: Vec<Value> = unfit.reasons().iter().map(reason).collect();
            json!({ "fits": false, "score": null, "rank": null, "claims": [], "reasons": reasons })
        }
        _ => Value::Null,
    };
    if let Value::Object(map) = &mut json {
        map.extend([
            ("pod".to_owned(), json!(pod)),
            ("node".to_owned(), json!(node.name().as_str())),
            ("answer".to_owned(), answer),
            ("fitting_nodes".to_owned(), json!(fitting)),
            (
                "best".to_owned(),
                json!(best.map(|(node, score)| {
                    json!({ "node": node.name().as_str(), "score": score.points() })
                })),
            ),
        ]);
    }
    let verdict = match (&explained.answer, template) {
        (Ok(spot), Some(template)) => format!(
            "Pod {pod} fits node {} with a score of {}, {} of {}: {}",
            node.name(),
            spot.score,
            rank(better.saturating_add(1)),
            many(*fitting, "fitting node"),
            claims_text(template, spot)
        ),
        (Err(unfit), _) => {
            let reasons: String =
                unfit.reasons().iter().map(|reason| format!("\n  {}", words(reason))).collect();
            format!("Pod {pod} does not fit node {}:{reasons}", node.name())
        }
        _ => String::new(),
    };
    let chosen = match best {
        Some((best, score)) if best.name() == node.name() => {
            format!("The planner chooses this node (score {score}).")
        }
        Some((best, score)) => {
            format!("The planner chooses {} instead (score {score}).", best.name())
        }
        None => "No node takes it.".to_owned(),
    };
    let text = format!(
        "{verdict}\n{chosen}\n\nWhat it asks for\n{}\n\nWhat the node has when its turn comes\n{}\n",
        asked_text(claims),
        node_text(explained)
    );
    Told { json, text: squeeze(&text) }
}

fn rank(number: usize) -> String {
    if number == 1 { "the best".to_owned() } else { format!("number {number}") }
}

fn asked_text(claims: &[Asked]) -> String {
    let mut grid = Grid::new(&["  CLAIM", "KIND", "SIZE>", "POOL", "MEDIA", "NODE"], "  nothing");
    let or_any = |name: Option<String>| name.unwrap_or_else(|| "any".to_owned());
    for claim in claims {
        grid.row([
            format!("  {}", claim.name),
            kind_word(claim.kind).to_owned(),
            human(claim.size),
            or_any(claim.pool.as_ref().map(ToString::to_string)),
            claim.media.to_string(),
            or_any(claim.node.as_ref().map(ToString::to_string)),
        ]);
    }
    grid.render()
}

fn node_text(explained: &Explained) -> String {
    let node = &explained.node;
    let columns = ["  WHAT", "MEDIA", "SIZE>", "TAKEN>", "LARGEST THICK>", "LARGEST THIN>"];
    let mut grid = Grid::new(&columns, "  nothing");
    let largest = |pool: &NodePool, kind| {
        let serves = pool.serves().includes(kind);
        if serves { human(pool.available(kind)) } else { "-".to_owned() }
    };
    for pool in node.pools() {
        let kept = pool.total().saturating_sub(figures::budget(pool));
        let reserve = match kept {
            Bytes::ZERO => String::new(),
            kept => format!(" + {} reserve", human(kept)),
        };
        grid.row([
            format!("  pool {}", pool.name()),
            pool.media().to_string(),
            human(pool.total()),
            format!("{}{reserve}", human(pool.committed())),
            largest(pool, Provisioning::Thick),
            largest(pool, Provisioning::Thin),
        ]);
    }
    let mut whole = |what: &str, list: &[Exclusive]| {
        for one in list {
            let taken = if one.is_free() { "free" } else { "taken" };
            grid.row([
                format!("  {what} {}", one.name()),
                one.media().to_string(),
                human(one.size()),
                taken.to_owned(),
                "-".to_owned(),
                "-".to_owned(),
            ]);
        }
    };
    whole("device", node.devices());
    whole("mount point", node.mount_points());
    grid.render()
}
