//! The demo and the archive on the simulated machine.

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

use std::io::Read;

use program::sim;

#[test]
fn the_demo_passes_in_memory() {
    for kind in ["ext4", "xfs", "btrfs"] {
        let run = sim(&["demo", "--fs", kind, "-o", "json"]);
        assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
        let demo = run.json()["demo"].clone();
        assert_eq!(demo["passed"], true);
        assert_eq!(demo["filesystem"], kind);
        assert_eq!(demo["checksum"].as_str().unwrap().len(), 64);
        assert_eq!(demo["limit_bps"], 1 << 20);
        let steps = demo["steps"].as_array().unwrap();
        let names: Vec<_> = steps.iter().map(|s| s["name"].as_str().unwrap()).collect();
        assert_eq!(names, open_local_examples::demo::STEPS);
        assert!(steps.iter().all(|step| step["ok"] == true));
    }
}

#[test]
fn the_demo_shows_its_steps_and_ends_with_a_table() {
    let run = sim(&["demo", "--skip-limit"]);
    assert_eq!(run.code, 0);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("ok") && lines[0].contains("create pool"), "{}", lines[0]);
    assert!(lines.last().unwrap().ends_with("passed"), "{}", run.stdout);
    assert!(!run.stdout.contains("limit I/O"));
    assert!(run.stdout.contains("STEP"));
}

#[test]
fn the_archive_holds_what_a_bug_report_needs() {
    let folder = std::env::temp_dir().join(format!("open-local-support-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("s.tar.gz");
    let arguments = ["support", "--out", path.to_str().unwrap(), "-o", "json"];
    let run = sim(&arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let file = std::fs::File::open(&path).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        if name.ends_with(".json") {
            let _: serde_json::Value = serde_json::from_str(&text).unwrap();
        }
        names.push(name);
    }
    for wanted in ["versions", "backends", "pools", "volumes", "snapshots", "loops", "cgroups"] {
        let name = format!("open-local-support/{wanted}.json");
        assert!(names.contains(&name), "{wanted} missing in {names:?}");
    }
    assert!(names.iter().any(|name| name.ends_with("mountinfo.txt")));
    let again = sim(&arguments);
    assert_eq!((again.code, again.error()["kind"].as_str()), (4, Some("conflict")));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn recovery_opens_every_pool() {
    let run = sim(&["recover", "-o", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let recovered = run.json()["recovered"].clone();
    let pool = recovered.as_array().unwrap().iter().find(|item| item["what"] == "pool sim");
    assert_eq!(pool.unwrap()["result"], "healthy");
}
