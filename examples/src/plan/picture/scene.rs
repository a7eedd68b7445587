//! From answers to what is drawn.

use std::collections::BTreeMap;
use std::rc::Rc;

use open_local_core::plan::{Node, Policy};

use super::{Card, Drawing, State, Stuck};
use crate::plan::figures::Totals;
use crate::plan::model::Cluster;
use crate::plan::refusals::Refusals;
use crate::plan::report::{many, row, strategy_word};
use crate::plan::simulate::{Comparison, Decided, Drained, Filled, Outcome, Verdict};
use crate::view::size::human;

/// Most rows of the table of pods.
const ROWS: usize = 2000;

/// Names of pods that are written out.
const NAMES: usize = 8;

/// Every pod of a file, placed.
#[must_use]
pub fn placed<'d>(cluster: &'d Cluster, outcome: &'d Outcome, policy: &Policy) -> Drawing<'d> {
    let refused = outcome.refused().count();
    let all = outcome.pods.len();
    let there = |pod: &&Decided| matches!(pod.verdict, Verdict::Present(_) | Verdict::Grown(_));
    let nodes = outcome.after.len();
    let (rows, more_rows) = table(cluster, &outcome.pods);
    Drawing {
        title: "Where every pod goes".to_owned(),
        subtitle: subtitle(policy, nodes, all),
        cards: cards(
            Card {
                label: "Pods with a place",
                value: format!("{} of {all}", all.saturating_sub(refused)),
                note: if refused == 0 {
                    "all of them".to_owned()
                } else {
                    format!("{refused} without")
                },
            },
            outcome,
        ),
        states: vec![
            before(outcome, outcome.pods.iter().filter(there)),
            after(outcome, outcome.pods.iter()),
        ],
        stuck_heading: format!("Without a place: {}", many(refused, "pod")),
        stuck: stuck(outcome.refused().map(|(pod, why)| (pod.name.as_str(), why))),
        notes: outcome.warnings.clone(),
        rows,
        more_rows,
    }
}

/// More of one pod.
#[must_use]
pub fn filled<'d>(cluster: &'d Cluster, filled: &'d Filled, policy: &Policy) -> Drawing<'d> {
    let outcome = &filled.outcome;
    let name = cluster.pods.get(filled.template).map_or("", |pod| pod.name.as_str());
    let of = filled.asked.map(|asked| format!(" of {asked}")).unwrap_or_default();
    let mut states =
        vec![before(outcome, outcome.pods.iter()), after(outcome, outcome.pods.iter())];
    if let Some(last) = states.last_mut() {
        for (sum, more) in last.pods.iter_mut().zip(&filled.by_node) {
            *sum = sum.saturating_add(*more);
        }
    }
    let mut notes = outcome.warnings.clone();
    let unplaced = outcome.refused().count();
    if unplaced > 0 {
        notes.push(format!("{} of the file had no place before that", many(unplaced, "pod")));
    }
    Drawing {
        title: format!("How many more of {name} fit"),
        subtitle: subtitle(policy, outcome.after.len(), outcome.pods.len()),
        cards: cards(
            Card {
                label: "More pods that fit",
                value: format!("{}{of}", filled.placed),
                note: format!("of {name}"),
            },
            outcome,
        ),
        states,
        stuck_heading: "Why not one more".to_owned(),
        stuck: stuck(filled.refused.iter().map(|why| (name, why))),
        notes,
        rows: Vec::new(),
        more_rows: 0,
    }
}

/// A node without its pods.
#[must_use]
pub fn drained<'d>(cluster: &'d Cluster, drained: &'d Drained, policy: &Policy) -> Drawing<'d> {
    let outcome = &drained.outcome;
    let name = cluster.nodes.get(drained.node).map_or("", |node| node.name().as_str());
    let without = drained.moves.iter().filter(|one| one.verdict.node().is_none()).count();
    let all = drained.moves.len();
    let left = drained.moves.iter().map(|one| u128::from(one.bytes.get())).sum::<u128>();
    let left = open_local_core::Bytes::new(u64::try_from(left).unwrap_or(u64::MAX));
    let mut states =
        vec![before(outcome, outcome.pods.iter()), after(outcome, outcome.pods.iter())];
    if let Some(last) = states.last_mut() {
        if let Some(own) = last.pods.get_mut(drained.node) {
            *own = 0;
        }
        for node in drained.moves.iter().filter_map(|one| one.verdict.node()) {
            if let Some(sum) = last.pods.get_mut(node) {
                *sum = sum.saturating_add(1);
            }
        }
    }
    let mut notes = outcome.warnings.clone();
    if all > 0 {
        notes.push(format!(
            "Local data does not move by itself: {} stay on {name}, and the pods begin with empty \
             volumes elsewhere.",
            human(left)
        ));
    }
    let moves = drained.moves.iter().map(|one| row(cluster, &one.name, one.template, &one.verdict));
    let stuck_pods = drained.moves.iter().filter_map(|one| match &one.verdict {
        Verdict::Refused(why) => Some((one.name.as_str(), why)),
        _ => None,
    });
    Drawing {
        title: format!("Without node {name}"),
        subtitle: subtitle(policy, outcome.after.len(), outcome.pods.len()),
        cards: cards(
            Card {
                label: "Pods that find another place",
                value: format!("{} of {all}", all.saturating_sub(without)),
                note: format!("{} of local data stay behind", human(left)),
            },
            outcome,
        ),
        states,
        stuck_heading: format!("With no other place: {}", many(without, "pod")),
        stuck: stuck(stuck_pods),
        notes,
        rows: moves.take(ROWS).collect(),
        more_rows: all.saturating_sub(ROWS),
    }
}

/// Both strategies.
#[must_use]
pub fn compared<'d>(cluster: &'d Cluster, comparison: &'d Comparison) -> Drawing<'d> {
    let [a, b] = &comparison.sides;
    let there = |pod: &&Decided| matches!(pod.verdict, Verdict::Present(_) | Verdict::Grown(_));
    let mut states = vec![before(&a.outcome, a.outcome.pods.iter().filter(there))];
    for side in &comparison.sides {
        let mut state = after(&side.outcome, side.outcome.pods.iter());
        state.label = strategy_word(side.strategy);
        states.push(state);
    }
    let both =
        |of: &dyn Fn(&crate::plan::simulate::Side) -> String| format!("{} | {}", of(a), of(b));
    let card = |label, value: String, note: &str| Card { label, value, note: note.to_owned() };
    let mut stuck_pods = Vec::new();
    for side in &comparison.sides {
        let word = strategy_word(side.strategy);
        let refused = side.outcome.refused().map(|(pod, why)| (pod.name.as_str(), why));
        for mut one in stuck(refused) {
            one.pods = format!("{word}: {}", one.pods);
            stuck_pods.push(one);
        }
    }
    Drawing {
        title: "Binpack or spread?".to_owned(),
        subtitle: format!(
            "{}, {}; figures are binpack | spread",
            many(cluster.nodes.len(), "node"),
            many(a.outcome.pods.len(), "pod")
        ),
        cards: vec![
            card(
                "Pods with a place",
                both(&|side| side.placed.to_string()),
                &format!("of {}", a.outcome.pods.len()),
            ),
            card(
                "Largest thick volume left",
                both(&|side| human(side.totals.largest_thick)),
                &format!("thin {}", both(&|side| human(side.totals.largest_thin))),
            ),
            card(
                "Too small to use",
                both(&|side| human(side.stranded)),
                "free pieces below the smallest claim",
            ),
            card(
                "Devices left",
                both(&|side| side.totals.devices.free.to_string()),
                &format!("idle nodes {}", both(&|side| side.empty.to_string())),
            ),
        ],
        states,
        stuck_heading: "Without a place".to_owned(),
        stuck: stuck_pods,
        notes: a.outcome.warnings.clone(),
        rows: Vec::new(),
        more_rows: 0,
    }
}

fn subtitle(policy: &Policy, nodes: usize, pods: usize) -> String {
    format!(
        "{}, {}, strategy {}",
        many(nodes, "node"),
        many(pods, "pod"),
        strategy_word(policy.strategy)
    )
}

fn cards(first: Card, outcome: &Outcome) -> Vec<Card> {
    let before = Totals::of(&outcome.before);
    let after = Totals::of(outcome.after.iter().flatten());
    let count = |a: crate::plan::figures::Count, b: crate::plan::figures::Count| {
        format!("{} → {} of {}", a.free, b.free, b.all)
    };
    vec![
        first,
        Card {
            label: "Room taken",
            value: format!("{} → {}", human(before.committed), human(after.committed)),
            note: format!("of {} that may be promised", human(after.budget)),
        },
        Card {
            label: "Largest volume still granted",
            value: format!("{} thick", human(after.largest_thick)),
            note: format!("{} thin", human(after.largest_thin)),
        },
        Card {
            label: "Devices free",
            value: count(before.devices, after.devices),
            note: format!("mount points {}", count(before.mount_points, after.mount_points)),
        },
    ]
}

fn before<'d, 'p>(outcome: &'d Outcome, pods: impl Iterator<Item = &'p Decided>) -> State<'d> {
    let nodes: Vec<Option<&Node>> = outcome.before.iter().map(Some).collect();
    State { label: "before", pods: counted(nodes.len(), pods), nodes }
}

fn after<'d, 'p>(outcome: &'d Outcome, pods: impl Iterator<Item = &'p Decided>) -> State<'d> {
    let nodes: Vec<Option<&Node>> = outcome.after.iter().map(Option::as_ref).collect();
    State { label: "after", pods: counted(nodes.len(), pods), nodes }
}

fn counted<'p>(nodes: usize, pods: impl Iterator<Item = &'p Decided>) -> Vec<usize> {
    let mut counts = vec![0usize; nodes];
    for pod in pods {
        if let Some(count) = pod.verdict.node().and_then(|node| counts.get_mut(node)) {
            *count = count.saturating_add(1);
        }
    }
    counts
}

fn table(cluster: &Cluster, pods: &[Decided]) -> (Vec<[String; 4]>, usize) {
    let rows = pods.iter().take(ROWS);
    let rows = rows.map(|pod| row(cluster, &pod.name, pod.template, &pod.verdict)).collect();
    (rows, pods.len().saturating_sub(ROWS))
}

/// Pods that share what was found stand together, in the order of the first.
fn stuck<'p>(pods: impl Iterator<Item = (&'p str, &'p Rc<Refusals>)>) -> Vec<Stuck> {
    let mut groups: Vec<(Vec<&str>, usize, &Rc<Refusals>)> = Vec::new();
    let mut found: BTreeMap<*const Refusals, usize> = BTreeMap::new();
    for (pod, why) in pods {
        let next = groups.len();
        let index = *found.entry(Rc::as_ptr(why)).or_insert(next);
        match groups.get_mut(index) {
            Some((names, count, _)) => {
                *count = count.saturating_add(1);
                if names.len() < NAMES {
                    names.push(pod);
                }
            }
            None => groups.push((vec![pod], 1, why)),
        }
    }
    let one = |(names, count, why): (Vec<&str>, usize, &Rc<Refusals>)| {
        let more = count.saturating_sub(names.len());
        let mut pods = names.join(", ");
        if more > 0 {
            pods.push_str(&format!(" and {more} more"));
        }
        let reason = |group: &crate::plan::refusals::Group| {
            let names: Vec<&str> = group.nodes.iter().take(NAMES).map(|n| n.as_str()).collect();
            let more = group.count.saturating_sub(names.len());
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{} ({}{rest}): {}", many(group.count, "node"), names.join(", "), group.text)
        };
        Stuck { pods, reasons: why.groups.iter().map(reason).collect() }
    };
    groups.into_iter().map(one).collect()
}
