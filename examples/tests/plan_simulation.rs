//! What simulations promise, on random clusters.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use open_local_core::plan::{Exclusive, Node, Policy, Strategy as Order_};
use open_local_core::{ErrorKind, Result, Subject};
use open_local_examples::plan::model::Cluster;
use open_local_examples::plan::report;
use open_local_examples::plan::simulate::{
    Order, Outcome, Settings, Unwatched, Verdict, Watch, compare, drain, explain, fill, place,
};
use open_local_examples::plan::{figures::Totals, read};
use proptest::collection::vec;
use proptest::prelude::*;

fn cluster(text: &str) -> Cluster {
    read::cluster(text.as_bytes(), &Subject::path("cluster.yaml")).expect(text)
}

fn settings(strategy: Order_, order: Order) -> Settings {
    Settings { policy: Policy::new(strategy), order }
}

const FILE: Order = Order::File;

/// A node: sizes of a thick and a thin pool, and of devices.
type Machine = (u64, u64, Vec<u64>);
/// A pod: thick, thin and device sizes, replicas, apart.
type Wish = (Vec<u64>, Vec<u64>, Vec<u64>, usize, bool);

fn machines() -> impl Strategy<Value = Vec<Machine>> {
    vec((10u64..200, 10u64..200, vec(5u64..60, 0..4)), 1..6)
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let pod =
        (vec(1u64..60, 0..3), vec(1u64..60, 0..3), vec(1u64..60, 0..2), 1usize..5, any::<bool>());
    vec(pod, 1..7)
}

fn node_text(index: usize, (thick, thin, devices): &Machine) -> String {
    let devices: Vec<String> = devices
        .iter()
        .enumerate()
        .map(|(n, size)| format!("{{name: d{n}, size: {size}Gi}}"))
        .collect();
    format!(
        "{{name: n{index}, pools: [{{name: thick, size: {thick}Gi}}, \
         {{name: thin, kind: thin, size: {thin}Gi, overcommit: 2}}], devices: [{}]}}",
        devices.join(", ")
    )
}

fn pod_text(index: usize, (thick, thin, devices, replicas, apart): &Wish) -> String {
    let mut claims = Vec::new();
    for (kind, sizes) in [("thick", thick), ("thin", thin), ("device", devices)] {
        for (n, size) in sizes.iter().enumerate() {
            claims.push(format!("{{name: {kind}{n}, kind: {kind}, size: {size}Gi}}"));
        }
    }
    format!(
        "{{name: p{index}, replicas: {replicas}, apart: {apart}, claims: [{}]}}",
        claims.join(", ")
    )
}

fn text(nodes: &[String], pods: &[String]) -> String {
    format!("nodes: [{}]\npods: [{}]", nodes.join(", "), pods.join(", "))
}

fn texts(machines: &[Machine], wishes: &[Wish]) -> (Vec<String>, Vec<String>) {
    let nodes = machines.iter().enumerate().map(|(n, machine)| node_text(n, machine)).collect();
    (nodes, wishes.iter().enumerate().map(|(n, wish)| pod_text(n, wish)).collect())
}

fn promised<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> (u64, u64, usize) {
    nodes.into_iter().fold((0, 0, 0), |(thick, thin, devices), node| {
        let taken = node.devices().iter().filter(|one| !one.is_free()).count();
        let pools = node.pools().iter();
        let sums = pools.fold((thick, thin), |(a, b), p| (a + p.thick().get(), b + p.thin().get()));
        (sums.0, sums.1, devices + taken)
    })
}

/// What the placed pods of the text ask for.
fn asked(wishes: &[Wish], outcome: &Outcome) -> (u64, u64, usize) {
    let placed = outcome.pods.iter().filter(|pod| pod.verdict.node().is_some());
    placed.fold((0, 0, 0), |(thick, thin, devices), pod| {
        let wish = &wishes[pod.template];
        let sum = |sizes: &[u64]| sizes.iter().sum::<u64>() << 30;
        (thick + sum(&wish.0), thin + sum(&wish.1), devices + wish.2.len())
    })
}

/// Where each pod goes, by name.
fn answers(cluster: &Cluster, outcome: &Outcome) -> Vec<(String, Option<String>, Vec<String>)> {
    let mut all: Vec<_> = outcome
        .pods
        .iter()
        .map(|pod| {
            let node = pod.verdict.node().map(|node| cluster.nodes[node].name().to_string());
            let mut places = match &pod.verdict {
                Verdict::Placed(spot) => spot.claims.clone(),
                _ => Vec::new(),
            }
            .into_iter()
            .map(|(index, place)| {
                format!("{} {place}", cluster.pods[pod.template].claims[index].name)
            })
            .collect::<Vec<_>>();
            places.sort();
            (pod.name.clone(), node, places)
        })
        .collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    /// What the nodes promise in the end is what the placed pods ask for; nobody is over.
    #[test]
    fn bytes_are_conserved_and_no_pool_is_over(machines in machines(), wishes in wishes()) {
        let (nodes, pods) = texts(&machines, &wishes);
        let cluster = cluster(&text(&nodes, &pods));
        for strategy in [Order_::Binpack, Order_::Spread] {
            let outcome = place(&cluster, &settings(strategy, FILE), &Unwatched).unwrap();
            prop_assert_eq!(promised(&outcome.before), (0, 0, 0));
            prop_assert_eq!(promised(outcome.after.iter().flatten()), asked(&wishes, &outcome));
            for pool in outcome.after.iter().flatten().flat_map(Node::pools) {
                prop_assert!(pool.committed() <= pool.total());
            }
            for (index, wish) in wishes.iter().enumerate().filter(|(_, wish)| wish.4) {
                let same = outcome.pods.iter().filter(|pod| pod.template == index);
                let on: Vec<usize> = same.filter_map(|pod| pod.verdict.node()).collect();
                let mut once = on.clone();
                once.sort_unstable();
                once.dedup();
                prop_assert_eq!(once.len(), on.len(), "apart: {:?}", wish);
            }
        }
    }

    /// Nodes and claims in another order change nothing; pods in another order neither, where the
    /// largest come first.
    #[test]
    fn the_order_of_the_file_makes_no_difference_where_that_is_promised(
        machines in machines(),
        wishes in wishes(),
    ) {
        let (nodes, pods) = texts(&machines, &wishes);
        let one = cluster(&text(&nodes, &pods));
        let turned: Vec<String> = nodes.into_iter().rev().collect();
        let other = cluster(&text(&turned, &pods));
        for strategy in [Order_::Binpack, Order_::Spread] {
            let by_file = settings(strategy, FILE);
            let a = place(&one, &by_file, &Unwatched).unwrap();
            let b = place(&other, &by_file, &Unwatched).unwrap();
            prop_assert_eq!(answers(&one, &a), answers(&other, &b));
            let last_first: Vec<String> = pods.iter().rev().cloned().collect();
            let third = cluster(&text(&turned, &last_first));
            let by_size = settings(strategy, Order::Largest);
            let a = place(&one, &by_size, &Unwatched).unwrap();
            let b = place(&third, &by_size, &Unwatched).unwrap();
            prop_assert_eq!(answers(&one, &a), answers(&third, &b));
        }
    }

    /// A drained node has nothing; what is on the others is what was there and what moved.
    #[test]
    fn a_drain_moves_what_was_there(machines in machines(), wishes in wishes(), which in any::<prop::sample::Index>()) {
        let (nodes, pods) = texts(&machines, &wishes);
        let cluster = cluster(&text(&nodes, &pods));
        let node = which.index(machines.len());
        let name = cluster.nodes[node].name().to_string();
        let by_file = settings(Order_::Spread, FILE);
        let drained = drain(&cluster, &by_file, &name, &Unwatched).unwrap();
        let outcome = &drained.outcome;
        let was = outcome.pods.iter().filter(|pod| pod.verdict.node() == Some(node)).count();
        prop_assert_eq!(drained.moves.len(), was);
        prop_assert!(outcome.after[node].is_none());
        prop_assert!(drained.moves.iter().all(|one| one.verdict.node() != Some(node)));
        let others = outcome.before.iter().enumerate().filter(|(index, _)| *index != node);
        let stayed = promised(others.map(|(_, node)| node));
        let moved = drained.moves.iter().filter(|one| one.verdict.node().is_some());
        let moved = moved.fold((0, 0, 0), |sum: (u64, u64, usize), one| {
            let wish = &wishes[one.template];
            let of = |sizes: &[u64]| sizes.iter().sum::<u64>() << 30;
            (sum.0 + of(&wish.0), sum.1 + of(&wish.1), sum.2 + wish.2.len())
        });
        let after = promised(outcome.after.iter().flatten());
        prop_assert_eq!(after, (stayed.0 + moved.0, stayed.1 + moved.1, stayed.2 + moved.2));
    }

    /// As many as fit do fit, and one more does not.
    #[test]
    fn filling_stops_where_nothing_more_fits(machines in machines(), size in 1u64..60) {
        let (nodes, _) = texts(&machines, &[]);
        let pods = [format!("{{name: p, replicas: 0, claims: [{{name: c, size: {size}Gi}}]}}")];
        let cluster = cluster(&text(&nodes, &pods));
        let by_file = settings(Order_::Binpack, FILE);
        let all = fill(&cluster, &by_file, ("p", None), &Unwatched).unwrap();
        let expected: u64 = machines.iter().map(|(thick, ..)| thick / size).sum();
        prop_assert_eq!(u64::try_from(all.placed).unwrap(), expected);
        prop_assert_eq!(all.by_node.iter().sum::<usize>(), all.placed);
        prop_assert!(all.refused.is_some());
        let exact = fill(&cluster, &by_file, ("p", Some(all.placed)), &Unwatched).unwrap();
        prop_assert!(exact.placed == all.placed && exact.refused.is_none());
        let more = fill(&cluster, &by_file, ("p", Some(all.placed + 1)), &Unwatched).unwrap();
        prop_assert!(more.placed == all.placed && more.refused.is_some());
    }

    /// The node an explanation names as the best is where the pod goes.
    #[test]
    fn an_explanation_agrees_with_the_placement(machines in machines(), wishes in wishes()) {
        let (nodes, pods) = texts(&machines, &wishes);
        let cluster = cluster(&text(&nodes, &pods));
        let by_file = settings(Order_::Spread, FILE);
        let outcome = place(&cluster, &by_file, &Unwatched).unwrap();
        let last = outcome.pods.last().unwrap();
        let name = cluster.nodes[0].name().as_str();
        let told = explain(&cluster, &by_file, (&last.name, name), &Unwatched).unwrap();
        prop_assert_eq!(&told.pod, &last.name);
        prop_assert!(told.better < told.fitting || told.answer.is_err());
        if !cluster.pods[last.template].apart {
            prop_assert_eq!(told.best.map(|(node, _)| node), last.verdict.node());
            prop_assert_eq!(told.answer.is_ok() && told.better == 0, last.verdict.node() == Some(0));
        }
    }
}

/// Equal pods are judged again only where something changed; one by one they get the same places.
#[test]
fn replicas_go_where_single_pods_would() {
    let machines: Vec<Machine> = (0..9).map(|n| (90 + n * 7, 80 + n * 5, vec![20 + n])).collect();
    let (nodes, _) = texts(&machines, &[]);
    let claims = "claims: [{name: a, size: 7Gi}, {name: b, kind: thin, size: 9Gi}]";
    let together = [format!("{{name: p, replicas: 99, {claims}}}")];
    let single: Vec<String> = (1..=99).map(|n| format!("{{name: p-{n:02}, {claims}}}")).collect();
    for strategy in [Order_::Binpack, Order_::Spread] {
        let by_file = settings(strategy, FILE);
        let (one, other) = (cluster(&text(&nodes, &together)), cluster(&text(&nodes, &single)));
        let a = place(&one, &by_file, &Unwatched).unwrap();
        let b = place(&other, &by_file, &Unwatched).unwrap();
        assert_eq!(answers(&one, &a), answers(&other, &b));
    }
}

#[test]
fn facts_beyond_the_rules_are_told_and_block_what_comes() {
    let over = cluster(
        "nodes: [{name: a, pools: [{name: x, size: 10Gi}]}]\n\
         pods: [{name: p, node: a, claims: [{name: c, size: 12Gi}]}, \
                {name: q, claims: [{name: c, size: 1Gi}]}]",
    );
    let outcome = place(&over, &Settings::default(), &Unwatched).unwrap();
    assert_eq!(
        outcome.warnings,
        ["node a: pool x holds 2 GiB more than it may promise; nothing more goes there"]
    );
    assert!(matches!(outcome.pods[0].verdict, Verdict::Present(0)));
    let (_, why) = outcome.refused().next().unwrap();
    assert_eq!(why.groups[0].text, "largest grantable volume 0 B < 1 GiB asked");
    assert_eq!(why.groups[0].codes, ["no-pool-large-enough"]);
}

#[test]
fn growth_costs_its_difference_and_stays_where_it_is() {
    let file = |to: &str| {
        cluster(&format!(
            "nodes: [{{name: a, pools: [{{name: x, size: 10Gi}}]}}, \
                     {{name: b, pools: [{{name: x, size: 90Gi}}]}}]\n\
             pods: [{{name: p, node: a, claims: [{{name: c, size: {to}, from: 6Gi}}]}}]"
        ))
    };
    let (fits, not) = (file("10Gi"), file("11Gi"));
    let outcome = place(&fits, &Settings::default(), &Unwatched).unwrap();
    assert!(matches!(&outcome.pods[0].verdict, Verdict::Grown(spot) if spot.node == 0));
    assert_eq!(promised(outcome.after.iter().flatten()).0, 10 << 30);
    let outcome = place(&not, &Settings::default(), &Unwatched).unwrap();
    let (_, why) = outcome.refused().next().unwrap();
    assert_eq!(why.groups[0].text, "a claim must be on node a");
    assert_eq!(why.groups[1].text, "pool x: largest grantable 4 GiB < 5 GiB asked");
    assert_eq!(promised(outcome.after.iter().flatten()).0, 6 << 30);
    // Drained, it is made anew in its full size.
    let drained = drain(&fits, &Settings::default(), "a", &Unwatched).unwrap();
    assert_eq!(drained.moves[0].verdict.node(), Some(1));
    assert_eq!(promised(drained.outcome.after.iter().flatten()).0, 10 << 30);
}

#[test]
fn what_is_pinned_does_not_leave_a_drained_node() {
    let file = cluster(
        "nodes: [{name: a, pools: [{name: x, size: 10Gi}]}, {name: b, pools: [{name: x, size: 10Gi}]}]\n\
         pods: [{name: p, claims: [{name: c, size: 1Gi}, {name: s, kind: snapshot, node: a}]}]",
    );
    let drained = drain(&file, &Settings::default(), "a", &Unwatched).unwrap();
    let Verdict::Refused(why) = &drained.moves[0].verdict else { panic!("moved") };
    assert_eq!(why.groups[0].text, "a claim must be on node a");
    assert_eq!((drained.moves[0].left, drained.moves[0].bytes.get()), (1, 1 << 30));
}

/// Ends after so many calls.
struct Patience(std::cell::Cell<usize>);

impl Watch for Patience {
    fn advanced(&self, _done: usize, _total: usize) -> Result<()> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        let over = open_local_core::Error::new(
            ErrorKind::Timeout,
            open_local_core::Op::PlanChange,
            Subject::Host,
            "over",
        );
        if left == 0 { Err(over) } else { Ok(()) }
    }
}

#[test]
fn a_simulation_can_be_ended_between_any_two_steps() {
    let file = cluster(read::EXAMPLE);
    let mut calls = 0;
    while let Err(error) = place(&file, &Settings::default(), &Patience(calls.into())) {
        assert_eq!(error.kind(), ErrorKind::Timeout);
        calls += 1;
    }
    assert!(calls > 20, "{calls}");
}

#[test]
fn the_shipped_clusters_tell_the_strategies_apart() {
    let file = cluster(include_str!("../clusters/forty-nodes.yaml"));
    assert_eq!(file.nodes.len(), 40);
    assert_eq!(file.pods.iter().map(|pod| pod.replicas).sum::<usize>(), 400);
    let comparison = compare(&file, &Settings::default(), &Unwatched).unwrap();
    let [binpack, spread] = &comparison.sides;
    assert_eq!((binpack.placed, binpack.refused), (400, 0));
    assert!(spread.refused > 0, "spread leaves no hole for the largest");
    assert!(binpack.totals.largest_thick > spread.totals.largest_thick);
    let told = report::compared(&file, &comparison);
    assert!(told.text.contains("binpack places 8 more pods"), "{}", told.text);
    for side in [binpack, spread] {
        let free =
            |node: &Node| node.devices().iter().filter(|one: &&Exclusive| one.is_free()).count();
        let nodes = || side.outcome.after.iter().flatten();
        assert_eq!(Totals::of(nodes()).devices.free, nodes().map(free).sum::<usize>());
    }
}
