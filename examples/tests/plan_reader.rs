//! Cluster files: what is read, and what is refused with which words.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use open_local_core::plan::{Kind, Media, Place, Serves, Strategy};
use open_local_core::{Bytes, Error, ErrorKind, Ratio, Subject};
use open_local_examples::plan::model::Cluster;
use open_local_examples::plan::{limits, read};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Cluster, Error> {
    read::cluster(text.as_bytes(), &Subject::path("cluster.yaml"))
}

fn refusal(text: &str) -> String {
    let error = parse(text).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.remedy().is_some());
    assert!(error.to_string().contains("cluster.yaml"), "{error}");
    error.to_string()
}

/// A file with one node that has the fields, and one pod that has the claims.
fn with(node: &str, claims: &str) -> String {
    format!("nodes:\n  - name: a\n    {node}\npods:\n  - name: p\n    claims: [{claims}]\n")
}

const NODE: &str = "pools: [{name: fast, size: 10GiB}, {name: thin, kind: thin, size: 10GiB}]";

#[test]
fn the_shipped_example_is_read_with_every_kind_of_request() {
    let cluster = parse(read::EXAMPLE).unwrap();
    let names: Vec<&str> = cluster.nodes.iter().map(|node| node.name().as_str()).collect();
    assert_eq!(names, ["compute-1", "compute-2", "edge", "storage-1", "storage-2"]);
    let fast = cluster.nodes[0].pool("fast").unwrap();
    assert_eq!(fast.total(), Bytes::new(1_920_000_000_000));
    assert_eq!(fast.thick(), Bytes::from_gib(200).unwrap());
    assert_eq!((fast.granularity(), fast.media()), (Bytes::from_mib(4).unwrap(), Media::Nvme));
    let thin = cluster.nodes[0].pool("thin").unwrap();
    assert_eq!((thin.serves(), thin.overcommit()), (Serves::Thin, Ratio::from_percent(200)));
    assert_eq!(thin.thin(), Bytes::from_gib(300).unwrap());
    assert_eq!(thin.used(), Bytes::from_gib(120).unwrap());
    assert!(!cluster.nodes[0].devices().iter().all(|one| one.is_free()));
    let claims = || cluster.pods.iter().flat_map(|pod| &pod.claims);
    for kind in [Kind::Device, Kind::MountPoint, Kind::Reference] {
        assert!(claims().any(|claim| claim.kind == kind), "{kind:?}");
    }
    assert!(claims().any(|claim| claim.inline));
    assert!(claims().any(|claim| claim.from.is_some()));
    assert!(claims().any(|claim| claim.limit.is_some()));
    assert!(claims().any(|claim| claim.node.is_some() && claim.kind != Kind::Reference));
    assert_eq!(cluster.wishes.strategy, Some(Strategy::Binpack));
    let registry = &cluster.pods[0];
    assert!(matches!(registry.claims[0].at, Some(Place::Pool(_))));
    assert_eq!(cluster.find("web-07"), Some((3, 6)));
    assert_eq!(cluster.find("web-7"), None);
    assert_eq!(cluster.find("web-13"), None);
}

#[test]
fn json_says_the_same_as_yaml() {
    let yaml = with(NODE, "{name: c, kind: thin, size: 1.5Gi}");
    let json = r#"{
	"nodes": [{"name": "a", "pools": [{"name": "fast", "size": 10737418240},
		{"name": "thin", "kind": "thin", "size": "10Gi"}]}],
	"pods": [{"name": "p", "claims": [{"name": "c", "kind": "thin", "size": "1536MiB"}]}]
}"#;
    let (yaml, json) = (parse(&yaml).unwrap(), parse(json).unwrap());
    assert_eq!(yaml.nodes, json.nodes);
    assert_eq!(yaml.pods[0].claims[0].size, json.pods[0].claims[0].size);
}

#[test]
fn every_bad_quantity_is_named_with_its_place_and_a_remedy() {
    for (pool, words) in [
        ("size: -5Gi", ["nodes[0].pools[0].size", "\"-5Gi\" is negative", "10GiB"]),
        ("size: 0", ["nodes[0].pools[0].size", "the size is 0", "one byte"]),
        ("size: 16Ei", ["\"16Ei\"", "8 EiB", "10GiB"]),
        ("size: 99999999999999999999999Ti", ["99999", "8 EiB", "10GiB"]),
        ("size: .nan", [".nan", "not a number", "10GiB"]),
        ("size: 10gi", ["\"10gi\"", "unknown unit", "did you mean 10Gi?"]),
        ("size: [1]", ["nodes[0].pools[0].size", "one value is expected", "line 3"]),
        ("size: 1Gi, used: 2Gi", ["pools[0].used", "more than the pool's size", "at most"]),
        ("size: 1Gi, reserve: 2Gi", ["pools[0].reserve", "more than the pool's size", "at most"]),
        (
            "size: 1Gi, kind: thin, overcommit: NaN",
            ["overcommit", "\"NaN\" is not a number", "1.5"],
        ),
        ("size: 1Gi, kind: thin, overcommit: .inf", ["overcommit", "is infinite", "1.5"]),
        ("size: 1Gi, kind: thin, overcommit: -2", ["overcommit", "\"-2\" is negative", "1.5"]),
        ("size: 1Gi, kind: thin, overcommit: 0.5", ["overcommit", "below 1", "reserve"]),
        ("size: 1Gi, overcommit: 2", ["overcommit", "not a field of a pool of this kind", "thin"]),
        ("size: 1Gi, kind: thin, stop-at: 0", ["stop-at", "the stop mark is 0", "80%"]),
        ("size: 1Gi, kind: thin, stop-at: 120%", ["stop-at", "more than the whole", "80%"]),
        ("size: 1Gi, granularity: 0", ["granularity", "not from 1B to 1TiB", "4MiB"]),
        ("size: 1Gi, kind: thn", ["\"thn\"", "none of the words", "did you mean thin?"]),
        ("size: 1Gi, media: tape", ["\"tape\"", "none of the words", "ssd, hdd, nvme"]),
        ("kind: thin", ["nodes[0].pools[0]", "size is missing", "10GiB"]),
    ] {
        let text = refusal(&with(&format!("pools: [{{name: fast, {pool}}}]"), ""));
        for word in words {
            assert!(text.contains(word), "{pool}: {word:?} missing in {text}");
        }
        assert!(text.contains("1 mistake\n  line 3, column "), "{text}");
    }
}

#[test]
fn unknown_fields_are_named_with_what_was_meant() {
    for (file, words) in [
        (with("pool: []", ""), ["line 3, column 5", "\"pool\"", "did you mean pools?"]),
        (with("pools: [{nmae: x, size: 1Gi}]", ""), ["nodes[0].pools[0]", "\"nmae\"", "name"]),
        (with(NODE, "{name: c, sise: 1Gi}"), ["pods[0].claims[0]", "\"sise\"", "size?"]),
        ("nodez: []".to_owned(), ["line 1", "\"nodez\"", "did you mean nodes?"]),
        (with(NODE, "{name: c, <<: {size: 1Gi}}"), ["\"<<\"", "unknown field", "there is name"]),
        (
            with(&format!("{NODE}\n    colour: red"), ""),
            ["\"colour\"", "nodes[0]", "there is name"],
        ),
    ] {
        let text = refusal(&file);
        for word in words {
            assert!(text.contains(word), "{word:?} missing in {text}");
        }
    }
}

#[test]
fn names_that_come_twice_are_refused() {
    let nodes = |list: &str| format!("nodes: [{list}]");
    for (file, words) in [
        (nodes("{name: a}, {name: a}"), ["two nodes are called \"a\"", "nodes[1]"]),
        (nodes("{name: a-2}, {name: a, count: 3}"), ["two nodes are called \"a-2\"", "nodes[1]"]),
        (with("pools: [{name: x, size: 1}, {name: x, size: 2}]", ""), ["two pools", "pools[1]"]),
        (with("devices: [{name: x, size: 1}, {name: x, size: 2}]", ""), ["two devices", "\"x\""]),
        (
            with("mount-points: [{name: x, size: 1}, {name: x, size: 2}]", ""),
            ["two mount-points", "\"x\""],
        ),
        (
            with(NODE, "{name: c, size: 1}, {name: c, size: 2}"),
            ["two claims of this pod", "claims[1]"],
        ),
        (format!("{}  - name: p\n", with(NODE, "")), ["two pods are called \"p\"", "pods[1].name"]),
        (
            format!("{}  - {{name: p-1}}\n  - {{name: q}}\n", with(NODE, ""))
                .replace("q}", "p, replicas: 2}"),
            ["two pods are called \"p", "pods[2]"],
        ),
        (with(&format!("{NODE}\n    name: b"), ""), ["\"name\" is given twice", "nodes[0]"]),
    ] {
        let text = refusal(&file);
        for word in words {
            assert!(text.contains(word), "{word:?} missing in {text}");
        }
    }
}

#[test]
fn pools_and_nodes_nobody_described_are_refused() {
    for (claim, words) in [
        ("{name: c, size: 1, pool: fats}", ["no node has a pool \"fats\"", "did you mean fast?"]),
        ("{name: c, size: 1, pool: nothing-like-it}", ["no node has a pool", "fast, thin"]),
        ("{name: c, size: 1, node: b}", ["there is no node \"b\"", "did you mean a?"]),
        ("{name: c, kind: snapshot}", ["node is missing", "the snapshot is on"]),
        ("{name: c, kind: snapshot, node: a, size: 1}", ["takes no room", "leave size out"]),
        ("{name: c, kind: device, size: 1, pool: fast}", ["only a volume comes from", "pool out"]),
        ("{name: c, size: 1, limit: 2}", ["only a whole device", "leave limit out"]),
        ("{name: c, kind: device, size: 2, limit: 1}", ["limit is below the size", "limit"]),
        ("{name: c, kind: device, size: 2, inline: true}", ["only a volume can be inline", ""]),
        ("{name: c, size: 2, from: 1}", ["of a pod with a node grows", "leave from out"]),
        ("{name: c, kind: device, size: 2, at: x}", ["only a pod with a node", "leave at out"]),
        ("{name: c, size: 0}", ["claims[0].size", "the size is 0"]),
        ("{name: c}", ["claims[0]", "size is missing"]),
        ("{size: 1}", ["claims[0]", "name is missing"]),
        ("{name: a/b, size: 1}", ["holds a slash", "another name"]),
        ("{name: \"a\\nb\", size: 1}", ["control character", "a\\nb"]),
        ("5", ["fields are expected", "name"]),
    ] {
        let text = refusal(&with(NODE, claim));
        for word in words {
            assert!(text.contains(word), "{claim}: {word:?} missing in {text}");
        }
    }
    let text = refusal("nodes: [{name: a}]\npods: [{name: p, node: aa}]");
    assert!(text.contains("pods[0].node: there is no node \"aa\" (did you mean a?)"), "{text}");
    assert!(refusal("pods: []").contains("there is no node"));
}

#[test]
fn pods_that_are_somewhere_must_be_somewhere_that_can_be() {
    let devices = "devices: [{name: d, size: 10}, {name: t, size: 10, taken: true}]";
    let file = |claims: &str| {
        let node = format!("{NODE}\n    {devices}");
        with(&node, claims).replace("- name: p", "- name: p\n    node: a")
    };
    for (claims, words) in [
        ("{name: c, size: 1}, {name: d, kind: thin, size: 1}", ["", ""]),
        ("{name: c, kind: device, size: 1}", ["does not say what it has", "add at:"]),
        ("{name: c, kind: device, size: 1, at: e}", ["has no device e", "did you mean d?"]),
        ("{name: c, kind: device, size: 1, at: t}", ["is taken by others", "correct one"]),
        ("{name: c, kind: device, size: 11, at: d}", ["10B, less than the 11B", "correct one"]),
        ("{name: c, size: 1, pool: thin}", ["has no thick volumes", "the other kind"]),
        ("{name: c, size: 2, from: 2}", ["a volume can only grow", "larger"]),
        (
            "{name: c, kind: device, size: 1, at: d}, {name: e, kind: device, size: 1, at: d}",
            ["two pods have device d", "give each its own"],
        ),
    ] {
        if words[0].is_empty() {
            assert!(parse(&file(claims)).is_ok());
            continue;
        }
        let text = refusal(&file(claims));
        for word in words {
            assert!(text.contains(word), "{claims}: {word:?} missing in {text}");
        }
    }
    let two = "pools: [{name: x, size: 9}, {name: y, size: 9}]";
    let text = refusal(&with(two, "{name: c, size: 1}").replace("name: p", "name: p\n    node: a"));
    assert!(text.contains("several pools this may be in"), "{text}");
    // A fact beyond the rules is a fact; the simulation warns.
    assert!(parse(&file("{name: c, size: 100Gi}")).is_ok());
}

#[test]
fn all_mistakes_are_told_in_one_run_and_many_are_counted() {
    let node = "pools: [{name: fast, size: -1}, {name: thn, kind: thn, size: 1, colour: red}]";
    let text = refusal(&with(node, "{name: c, size: x}, {name: d, size: 1, pool: fats}"));
    assert!(text.contains(": 5 mistakes\n"), "{text}");
    for word in ["\"-1\" is negative", "\"thn\"", "\"colour\"", "\"x\"", "did you mean fast?"] {
        assert!(text.contains(word), "{word:?} missing in {text}");
    }
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let mut sorted = lines.clone();
    sorted.sort_by_key(|line| {
        let number = |word: &str| {
            let rest = line.split(word).nth(1).unwrap();
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u32>().unwrap()
        };
        (number("line "), number("column "))
    });
    assert_eq!(lines, sorted, "mistakes stand in the order of the file");
    let many: String = (0..1000).map(|n| format!("{{name: c{n}, size: -1}},")).collect();
    let pods = format!("nodes: [{{name: a}}]\npods: [{{name: p, claims: [{}]}}]", &many);
    assert!(refusal(&pods).contains("1000 claims, more than the 64"));
    let pools: String = (0..60).map(|n| format!("{{name: c{n}, size: -1}},")).collect();
    let text = refusal(&with(&format!("pools: [{pools}]"), ""));
    assert!(text.contains("60 mistakes") && text.contains("and 40 more"), "{text}");
    assert_eq!(text.lines().count(), limits::MISTAKES + 2);
}

#[test]
fn broken_text_is_an_error_with_its_place() {
    for (file, words) in [
        ("nodes: [", ["line 1", "neither YAML nor JSON"]),
        ("nodes:\n\t- name: a\n", ["line 2", "neither YAML nor JSON"]),
        ("{\"nodes\": [{\"name\": \"a\"}", ["neither YAML nor JSON", "bracket"]),
        ("", ["the file is empty", "line 1"]),
        ("# only a comment\n", ["the file is empty", "line 1"]),
        ("nodes: [{name: a}]\n---\nnodes: []\n", ["a second document", "line 2"]),
        ("? [a]\n: 1\n", ["as a key", "line 1"]),
        ("nodes: !secret [{name: a}]", ["a tag of its own kind", "line 1"]),
        ("- name: a\n", ["fields are expected", "line 1"]),
        ("nodes: {name: a}", ["nodes: a list is expected", "line 1"]),
        ("just text", ["fields are expected", "line 1"]),
    ] {
        let text = refusal(file);
        for word in words {
            assert!(text.contains(word), "{file}: {word:?} missing in {text}");
        }
    }
    let error = read::cluster(b"nodes: \xff", &Subject::path("cluster.yaml")).unwrap_err();
    assert!(error.to_string().contains("byte 8 is no UTF-8"), "{error}");
}

#[test]
fn bombs_of_aliases_and_depth_are_refused_by_their_limit() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ('b'..='j').zip('a'..) {
        let all = vec![format!("*{before}"); 10].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{all}]\n"));
    }
    assert!(refusal(&bomb).contains(&format!("more than {} values", limits::VALUES)));
    assert!(refusal(&"[\n".repeat(200)).contains(&format!("more than {} levels", limits::DEPTH)));
    assert!(refusal(&"{a: ".repeat(200_000)).contains("levels"));
    let block: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(refusal(&block).contains("levels"));
    assert!(refusal("a: &a [*a]").contains("line 1"));
    let long = format!("nodes: [{{name: {}}}]", "x".repeat(5000));
    assert!(refusal(&long).contains("5000 bytes, more than 4096"));
    let long = format!("nodes: [{{name: {}}}]", "x".repeat(300));
    assert!(refusal(&long).contains("more than 253 bytes"));
    // What an alias is for.
    let shared =
        "nodes:\n  - {name: a, pools: &p [{name: x, size: 1Gi}]}\n  - {name: b, pools: *p}\n";
    assert_eq!(parse(shared).unwrap().nodes[1].pools().len(), 1);
}

#[test]
fn a_million_of_anything_is_read_or_refused_by_the_name_of_the_limit() {
    let pod = |replicas: usize, claims: usize| {
        let claims: String = (0..claims).map(|n| format!("{{name: c{n}, size: 1}},")).collect();
        format!(
            "nodes: [{{name: a}}]\npods: [{{name: p, replicas: {replicas}, claims: [{claims}]}}]"
        )
    };
    assert!(parse(&pod(limits::CLAIMS / 64, 64)).is_ok());
    assert!(refusal(&pod(limits::CLAIMS / 64 + 1, 64)).contains("claims up to here"));
    assert!(refusal(&pod(20_000, 64)).contains(&format!("the {} that are read", limits::CLAIMS)));
    assert!(refusal(&pod(1_000_000, 1)).contains(&format!("more than {}", limits::PODS)));
    assert!(refusal(&pod(usize::MAX, 1)).contains(&format!("more than {}", limits::PODS)));
    assert!(refusal(&pod(1, 1_000_000)).contains(&format!("more than {} values", limits::VALUES)));
    assert!(refusal("nodes: [{name: a, count: 1000000}]").contains(&limits::NODES.to_string()));
    let device: String = (0..256).map(|n| format!("{{name: d{n}, size: 1}},")).collect();
    let text = refusal(&format!("nodes: [{{name: a, count: 9000, devices: [{device}]}}]"));
    assert!(text.contains(&limits::PARTS.to_string()), "{text}");
    let long = format!("# {}", "x".repeat(limits::FILE_BYTES));
    assert!(refusal(&long).contains("32 MiB"));
}

fn any_value() -> impl Strategy_<Value = String> {
    let scalar = prop_oneof![
        Just("10Gi".to_owned()),
        Just("-1".to_owned()),
        Just("~".to_owned()),
        Just("true".to_owned()),
        Just("*x".to_owned()),
        Just("&x a".to_owned()),
        "[a-z0-9./ -]{0,12}",
        "\\PC{0,8}",
    ];
    scalar.prop_recursive(5, 40, 6, |inner| {
        let field = prop_oneof![
            Just("nodes"),
            Just("pods"),
            Just("claims"),
            Just("pools"),
            Just("devices"),
            Just("name"),
            Just("size"),
            Just("count"),
            Just("replicas"),
            Just("kind"),
            Just("node"),
            Just("at"),
            Just("from"),
            Just("overcommit"),
            Just("policy"),
        ];
        let map = prop::collection::vec((field, inner.clone()), 0..6).prop_map(|fields| {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{{{}}}", fields.join(", "))
        });
        let list =
            prop::collection::vec(inner, 0..5).prop_map(|list| format!("[{}]", list.join(", ")));
        prop_oneof![map, list]
    })
}

use proptest::strategy::Strategy as Strategy_;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_a_cluster_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read::cluster(&bytes, &Subject::Host);
    }

    #[test]
    fn any_values_give_a_cluster_or_an_error(text in any_value()) {
        match parse(&text) {
            Ok(cluster) => prop_assert!(!cluster.nodes.is_empty()),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument),
        }
    }

    /// A piece cut out of a good file, or put into it, is an error or another cluster.
    #[test]
    fn a_damaged_example_gives_an_answer(at in any::<prop::sample::Index>(), len in 0usize..40, put in "\\PC{0,6}") {
        let text = read::EXAMPLE;
        let floor = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let start = floor(at.index(text.len()));
        let end = floor((start + len).min(text.len())).max(start);
        let _ = parse(&format!("{}{put}{}", &text[..start], &text[end..]));
    }
}
