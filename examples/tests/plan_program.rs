//! `open-local plan` as a shell sees it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod program;

use std::fs;
use std::path::PathBuf;

use program::{Run, run};

const FIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clusters/five-nodes.yaml");
const FORTY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clusters/forty-nodes.yaml");

/// A folder of its own that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("plan-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn plan(arguments: &[&str]) -> Run {
    run(&[&["plan"], arguments].concat())
}

fn json(arguments: &[&str]) -> (Run, serde_json::Value) {
    let run = plan(&[arguments, &["-o", "json"]].concat());
    let answer = run.json()["plan"].clone();
    (run, answer)
}

fn pod<'a>(answer: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let pods = answer["pods"].as_array().unwrap();
    pods.iter().find(|pod| pod["name"] == name).unwrap_or_else(|| panic!("no {name}: {answer}"))
}

#[test]
fn the_example_is_placed_and_what_has_no_place_is_explained() {
    let (run, answer) = json(&["place", FIVE]);
    assert_eq!(run.code, 5);
    assert_eq!(run.error()["kind"], "out-of-space");
    assert_eq!(run.error()["next"], serde_json::Value::Null);
    assert_eq!((answer["placed"].as_u64(), answer["refused"].as_u64()), (Some(21), Some(1)));
    assert_eq!(answer["strategy"], "binpack");
    let postgres = pod(&answer, "postgres-1");
    assert_eq!(postgres["status"], "placed");
    assert_eq!(postgres["node"], "compute-1");
    assert_eq!(postgres["claims"][0]["place"]["name"], "fast");
    assert_eq!(postgres["claims"][2]["place"]["kind"], "device");
    assert_eq!(postgres["claims"][2]["place"]["name"], "/dev/nvme2n1");
    assert_eq!(pod(&answer, "postgres-2")["node"], "compute-2");
    assert_eq!(pod(&answer, "kafka")["status"], "present");
    assert_eq!(pod(&answer, "registry")["status"], "grown");
    assert_eq!(pod(&answer, "registry-check")["node"], "storage-1");
    assert_eq!(pod(&answer, "registry-check")["claims"][1]["place"]["kind"], "present");
    let render = pod(&answer, "render-2");
    assert_eq!((render["status"].as_str(), render["refusal"].as_u64()), (Some("refused"), Some(0)));
    let groups = answer["refusals"][0]["groups"].as_array().unwrap();
    assert_eq!(groups[0]["node_count"], 4);
    assert_eq!(groups[1]["text"], "1 ssd mount point asked, 0 of 2 free");
    assert_eq!(groups[1]["codes"][0], "no-device-of-media");
    let edge = &answer["nodes"][2];
    assert_eq!(edge["name"], "edge");
    assert!(edge["fullness_after_ppm"].as_u64() > edge["fullness_before_ppm"].as_u64());
    let text = plan(&["place", FIVE]);
    assert!(text.stdout.contains("21 of 22 pods have a place"), "{}", text.stdout);
    assert!(text.stdout.contains("1 node (storage-1): 1 ssd mount point asked, 0 of 2 free"));
    assert!(text.stderr.contains("five-nodes.yaml: 1 of 22 pods have no place"), "{}", text.stderr);
}

#[test]
fn options_go_before_what_the_file_says() {
    let (_, spread) = json(&["place", FIVE, "--strategy", "spread", "--score", "compatible"]);
    assert_eq!(
        (spread["strategy"].as_str(), spread["score"].as_str()),
        (Some("spread"), Some("compatible"))
    );
    let score = pod(&spread, "web-01")["score"].as_u64().unwrap();
    assert!(score <= 30, "{score}");
    let (_, binpack) = json(&["place", FIVE, "--order", "largest"]);
    assert_eq!(binpack["pods"][0]["name"], "kafka");
    assert_eq!(binpack["pods"][1]["name"], "registry");
}

#[test]
fn four_hundred_pods_are_told_in_a_few_lines() {
    let run = plan(&["place", FORTY]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.lines().count() < 20, "{}", run.stdout);
    assert!(run.stdout.contains("all 400 pods have a place"), "{}", run.stdout);
    let (_, answer) = json(&["place", FORTY]);
    assert_eq!(answer["pods"].as_array().unwrap().len(), 400);
    assert_eq!(pod(&answer, "worker-007")["status"], "placed");
}

#[test]
fn filling_says_how_many_and_why_not_more() {
    let (run, all) = json(&["fill", FIVE, "--pod", "ci"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let placed = all["placed"].as_u64().unwrap();
    assert!(placed > 50 && all["asked"].is_null());
    assert!(!all["next_refused"].as_array().unwrap().is_empty());
    let (run, some) = json(&["fill", FIVE, "--pod", "ci", "--count", "3"]);
    assert_eq!((run.code, some["placed"].as_u64()), (0, Some(3)));
    assert!(some["next_refused"].is_null());
    let (run, more) = json(&["fill", FIVE, "--pod", "ci", "--count", &(placed + 1).to_string()]);
    assert_eq!((run.code, more["placed"].as_u64()), (5, Some(placed)));
    let text = plan(&["fill", FIVE, "--pod", "ci"]).stdout;
    assert!(text.contains(&format!("{placed} more of ci fit")), "{text}");
    assert!(text.contains("2 nodes (storage-1, storage-2): no pool for thin volumes"), "{text}");
    assert_eq!(plan(&["fill", FIVE, "--pod", "c1"]).code, 3);
    assert!(plan(&["fill", FIVE, "--pod", "c1"]).stderr.contains("did you mean ci?"));
    assert_eq!(plan(&["fill", FIVE, "--pod", "kafka"]).code, 2);
    assert_eq!(plan(&["fill", FIVE, "--pod", "ci", "--count", "1000000"]).code, 2);
}

#[test]
fn draining_says_what_moves_what_stays_and_that_data_does_not_move() {
    let (run, answer) = json(&["drain", FIVE, "--node", "compute-1"]);
    assert_eq!(run.code, 5);
    let moves = answer["moves"].as_array().unwrap();
    assert!(moves.iter().all(|one| one["node"] != "compute-1"));
    let stuck: Vec<&str> = moves
        .iter()
        .filter(|one| one["status"] == "refused")
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(stuck, ["postgres-1"]);
    assert!(answer["left_behind"]["bytes"].as_u64().unwrap() > 1 << 40);
    assert!(answer["nodes"][0]["pools"][0]["after"].is_null());
    let text = plan(&["drain", FIVE, "--node", "compute-1"]).stdout;
    assert!(text.contains("Local data does not move by itself"), "{text}");
    assert!(text.contains("gone"), "{text}");
    let lost = plan(&["drain", FIVE, "--node", "compute-3"]);
    assert_eq!(lost.code, 3);
    assert!(lost.stderr.contains("did you mean compute-"), "{}", lost.stderr);
}

#[test]
fn comparing_and_explaining_answer_with_figures() {
    let (run, answer) = json(&["compare", FORTY]);
    assert_eq!(run.code, 0);
    let [binpack, spread] = [&answer["sides"][0], &answer["sides"][1]];
    assert_eq!(
        (binpack["strategy"].as_str(), spread["strategy"].as_str()),
        (Some("binpack"), Some("spread"))
    );
    assert!(binpack["placed"].as_u64() > spread["placed"].as_u64());
    assert_eq!(spread["nodes"].as_array().unwrap().len(), 40);
    let text = plan(&["compare", FORTY]).stdout;
    assert!(text.contains("least / middle / fullest node"), "{text}");
    let (_, fits) = json(&["explain", FIVE, "--pod", "web-07", "--node", "compute-2"]);
    assert_eq!(fits["answer"]["fits"], true);
    assert!(fits["answer"]["rank"].as_u64().unwrap() > 1);
    assert_eq!(fits["best"]["node"], "edge");
    let (run, not) = json(&["explain", FIVE, "--pod", "elastic", "--node", "edge"]);
    assert_eq!((run.code, not["answer"]["fits"].as_bool()), (0, Some(false)));
    assert_eq!(not["pod"], "elastic-1");
    assert_eq!(not["answer"]["reasons"][0]["code"], "no-pool-large-enough");
}

#[test]
fn the_printed_example_is_the_shipped_one() {
    let printed = plan(&["init"]);
    assert_eq!(printed.code, 0);
    assert_eq!(printed.stdout, fs::read_to_string(FIVE).unwrap());
}

#[test]
fn bad_files_and_arguments_end_with_2_or_3() {
    let folder = Folder::new("bad");
    let bad = folder.file("bad.yaml", "nodes:\n  - name: a\n    pools: [{name: x, sise: -1}]\n");
    let run = plan(&["place", &bad]);
    assert_eq!(run.code, 2);
    for word in ["bad.yaml: 2 mistakes", "line 3, column", "did you mean size?", "help:"] {
        assert!(run.stderr.contains(word), "{word:?} missing in {}", run.stderr);
    }
    assert!(run.stdout.is_empty());
    assert_eq!(plan(&["place", &bad, "-o", "json"]).error()["kind"], "invalid-argument");
    assert_eq!(plan(&["place", &folder.path("nothing.yaml")]).code, 3);
    assert_eq!(plan(&["place", folder.0.to_str().unwrap()]).code, 15);
    assert_eq!(plan(&["place", "-"]).code, 2, "standard input is empty");
    assert_eq!(plan(&["place", "/dev/zero"]).code, 2);
    assert_eq!(plan(&["place", FIVE, "--strategy", "best"]).code, 2);
    assert_eq!(plan(&["place", FIVE, "--time-limit", "0"]).code, 2);
    assert_eq!(plan(&["place", FIVE, "--picture", "cluster.png"]).code, 2);
    assert_eq!(plan(&["place", FORTY, "--picture", &folder.path("no/such/folder.svg")]).code, 3);
    assert!(plan(&["place"]).code == 2 && plan(&["fill", FIVE]).code == 2);
}

#[test]
fn a_picture_is_one_file_that_needs_nothing_else() {
    let folder = Folder::new("picture");
    for (command, rest, name) in [
        ("place", &[][..], "place.html"),
        ("place", &[], "place.svg"),
        ("fill", &["--pod", "ci"], "fill.svg"),
        ("drain", &["--node", "compute-1"], "drain.html"),
        ("compare", &[], "compare.svg"),
    ] {
        let path = folder.path(name);
        let run = plan(&[&[command, FIVE][..], rest, &["--picture", &path]].concat());
        assert!(run.stdout.ends_with(&format!("picture: {path}\n")), "{}", run.stdout);
        let picture = fs::read_to_string(&path).unwrap();
        for needed in ["<svg", "prefers-color-scheme:dark", "compute-1", "storage-2", "</svg>"] {
            assert!(picture.contains(needed), "{name} lacks {needed}");
        }
        let links = picture.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["<script", "http:", "https:", "//cdn", "@import", "<img", "href", "url(h"] {
            assert!(!links.contains(foreign), "{name} has {foreign}");
        }
        assert_eq!(picture.matches("<svg").count(), picture.matches("</svg>").count());
        assert_eq!(picture.matches("<g>").count(), picture.matches("</g>").count());
        assert_eq!(picture.contains("<!doctype html>"), name.ends_with("html"));
    }
    let again = plan(&["place", FIVE, "--picture", &folder.path("place.svg")]);
    assert_eq!(again.code, 5, "an existing picture is replaced");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 5, "nothing is left beside the pictures");
    let dry = plan(&["place", FIVE, "--dry-run", "--picture", &folder.path("dry.svg")]);
    assert!(dry.stdout.contains("would write") && !folder.0.join("dry.svg").exists());
    assert_eq!(plan(&["place", FIVE, "--picture", &folder.path("")]).code, 2);
}

#[test]
fn the_picture_in_the_readme_is_what_is_drawn_today() {
    let folder = Folder::new("golden");
    let path = folder.path("five.svg");
    let _ = plan(&["place", FIVE, "--picture", &path]);
    let shipped = fs::read_to_string(FIVE.replace(".yaml", ".svg")).unwrap();
    assert!(
        fs::read_to_string(&path).unwrap() == shipped,
        "draw it again: open-local plan place five-nodes.yaml --picture five-nodes.svg"
    );
}

#[test]
fn names_that_look_like_markup_are_harmless() {
    let folder = Folder::new("markup");
    let nasty = "<script>alert(1)</script>&\\\"'--><svg onload=x>";
    let many = "{name: plain, count: 70}";
    for extra in ["", many] {
        let file = folder.file(
            "nasty.yaml",
            &format!(
                "nodes: [{{name: \"{}\", pools: [{{name: \"{nasty}\", size: 10Gi}}], \
                 devices: [{{name: \"{nasty}\", size: 1}}]}}, {extra}]\n\
                 pods: [{{name: \"{}\", claims: [{{name: \"{}\", size: 50Gi}}]}}]",
                nasty.replace('/', "|"),
                nasty.replace('/', "|"),
                nasty.replace('/', "|")
            ),
        );
        for ending in ["svg", "html"] {
            let path = folder.path(&format!("nasty.{ending}"));
            let run = plan(&["place", &file, "--picture", &path]);
            assert_eq!(run.code, 5, "{}", run.stderr);
            let picture = fs::read_to_string(&path).unwrap();
            assert!(picture.contains("&lt;script&gt;"), "{ending}");
            assert!(!picture.contains("<script") && !picture.contains("<svg onload"), "{ending}");
            assert_eq!(picture.matches("<svg").count(), 1);
        }
    }
}

#[test]
fn a_large_cluster_is_an_overview() {
    let folder = Folder::new("large");
    let nodes = fs::read_to_string(FORTY).unwrap().replace("count: 24", "count: 464");
    let file = folder.file("large.yaml", &nodes);
    let path = folder.path("large.svg");
    let run = plan(&["drain", &file, "--node", "blade-007", "--picture", &path]);
    assert!(run.code == 0 || run.code == 5, "{}", run.stderr);
    let picture = fs::read_to_string(&path).unwrap();
    assert!(picture.contains("Every node: how full its pools are"));
    assert!(picture.contains("The drained node, and the 7 fullest"));
    assert!(picture.contains("blade-464:"), "every node has a cell");
    assert!(picture.contains("blade-007: before"), "{path}");
    assert!(picture.len() < 1 << 20, "{}", picture.len());
}
