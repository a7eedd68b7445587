//! Answers, errors and exit codes on the simulated machine.

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

use program::{run, sim};

#[test]
fn the_simulated_machine_starts_with_a_pool() {
    let pools = sim(&["pool", "list", "-o", "json"]).json();
    assert_eq!(pools["pools"][0]["name"], "sim");
    assert_eq!(pools["pools"][0]["capacity"]["total"], 10u64 << 30);
    let shown = sim(&["pool", "show"]);
    assert_eq!(shown.code, 0);
    assert!(shown.stdout.contains("10 GiB"), "{}", shown.stdout);
    let backends = run(&["backends", "-o", "json"]).json();
    let names: Vec<_> = backends["backends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|backend| backend["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["file", "lvm", "mountpoint", "raw", "sim"]);
}

#[test]
fn a_created_volume_is_answered_in_bytes_and_in_words() {
    let made =
        sim(&["volume", "create", "data", "--size", "1536MiB", "--tag", "a=b", "-o", "json"]);
    let answer = made.json();
    assert_eq!(made.code, 0);
    assert_eq!(answer["outcome"], "created");
    assert_eq!(answer["volume"]["size"], 1536u64 << 20);
    assert_eq!(answer["volume"]["tags"]["a"], "b");
    assert!(answer["volume"]["attachment"].is_null());
    let made = sim(&["volume", "create", "data", "--size", "1536MiB"]);
    assert_eq!(made.stdout, "volume data: created (1.5 GiB, pool sim)\n");
}

#[test]
fn a_dry_run_prints_the_plan_and_changes_nothing() {
    for arguments in [
        &["volume", "create", "v", "--size", "1GiB"][..],
        &["pool", "create", "p", "--capacity", "1GiB"],
        &["pool", "remove", "sim"],
        &["recover"],
        &["demo"],
        &["throttle", "apply", "--cgroup", "a/b", "--device", "7:0", "--write-bps", "1MiB"],
    ] {
        let run = sim(&[arguments, &["--dry-run", "-o", "json"]].concat());
        let answer = run.json();
        assert_eq!(answer["dry_run"], true, "{arguments:?}");
        let steps = answer["plan"]["steps"].as_array().unwrap();
        assert!(!steps.is_empty(), "{arguments:?}");
    }
}

#[test]
fn unknown_names_end_with_3_and_help() {
    for (arguments, next) in [
        (&["volume", "show", "nope"][..], "open-local volume list"),
        (&["snapshot", "show", "nope"], "open-local snapshot list"),
        (&["snapshot", "group", "show", "nope"], "open-local snapshot group list"),
        (&["--pool", "nope", "volume", "list"], "open-local pool list"),
        (&["volume", "grow", "nope", "--size", "1GiB"], "open-local volume list"),
    ] {
        let run = sim(arguments);
        assert_eq!(run.code, 3, "{}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
        assert!(run.stderr.contains("nope"), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("help: try: {next}")), "{}", run.stderr);
        assert!(run.stdout.is_empty());
    }
    let run = run(&["--backend", "nope", "pool", "list"]);
    assert_eq!(run.code, 3);
    assert!(
        run.stderr.contains("help: choose one of: file, lvm, mountpoint, raw, sim"),
        "{}",
        run.stderr
    );
}

#[test]
fn malformed_names_and_sizes_end_with_2_and_a_remedy() {
    let long = "a".repeat(300);
    for name in ["a/b", "..", "", &long] {
        let run = sim(&["volume", "show", name, "-o", "json"]);
        assert_eq!(run.code, 2, "{name:?}: {}", run.stderr);
        let error = run.error();
        assert_eq!(error["kind"], "invalid-argument");
        assert!(error["help"].as_str().unwrap().contains("letters"));
    }
    assert_eq!(sim(&["volume", "show", "-rf"]).code, 2);
    for size in ["0", "513", "18446744073709551615", "16EiB", "1.5GiB", "-1", ""] {
        let run = sim(&["volume", "create", "v", "--size", size]);
        assert_eq!(run.code, 2, "{size:?}: {}", run.stderr);
    }
    let run = sim(&["volume", "create", "v", "--size", "11GiB", "-o", "json"]);
    assert_eq!((run.code, run.error()["kind"].as_str()), (5, Some("out-of-space")));
}

#[test]
fn wrong_usage_is_json_too_when_json_was_asked_for() {
    for arguments in [&["volume", "create", "v", "-o", "json"][..], &["nonsense", "--output=json"]]
    {
        let run = sim(arguments);
        assert_eq!(run.code, 2);
        assert_eq!(run.error()["exit_code"], 2);
    }
    let bare = sim(&["volume", "create", "-o", "json"]);
    let message = bare.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("--size <SIZE> <NAME>"), "{message}");
    let bare = run(&[]);
    assert_eq!(bare.code, 2);
    assert!(bare.stderr.contains("Usage: open-local"), "{}", bare.stderr);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test starts the program under test, as a shell would"
)]
fn output_that_can_not_be_written_is_no_panic() {
    let full = || {
        let file = std::fs::OpenOptions::new().write(true).open("/dev/full");
        std::process::Stdio::from(file.unwrap())
    };
    let show: &[&str] = &["--backend", "sim", "volume", "show", "nope"];
    let make: &[&str] =
        &["--backend", "sim", "--log-level", "info", "volume", "create", "v", "--size", "1MiB"];
    let program = || std::process::Command::new(env!("CARGO_BIN_EXE_open-local"));
    for (arguments, code) in [(show, 3), (make, 0)] {
        let done = program().args(arguments).stderr(full()).output().unwrap();
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {done:?}");
    }
    let done = program().args(make).stdout(full()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(15), "{said}");
    assert!(said.contains("what was asked is done"), "{said}");
}

#[test]
fn destruction_without_a_yes_is_refused() {
    for arguments in [
        &["volume", "remove", "v"][..],
        &["pool", "remove", "sim"],
        &["snapshot", "remove", "s"],
        &["snapshot", "group", "remove", "g"],
        &["volume", "allow-format", "v"],
        &["snapshot", "rollback", "v", "s"],
    ] {
        let run = sim(arguments);
        assert_eq!(run.code, 7, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains("--yes"), "{}", run.stderr);
    }
    let run = sim(&["volume", "remove", "v", "--yes", "-o", "json"]);
    assert_eq!((run.code, run.json()["outcome"].as_str()), (0, Some("absent")));
    assert_eq!(sim(&["pool", "remove", "sim", "--yes"]).code, 0);
}

#[test]
fn the_log_line_and_the_error_carry_the_same_id() {
    let run = sim(&[
        "--log-level",
        "info",
        "--log-format",
        "json",
        "volume",
        "create",
        "v",
        "--size",
        "11GiB",
    ]);
    let mut lines = run.stderr.lines();
    let logged: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(logged["op"], "ensure volume");
    assert_eq!(logged["subject"], "volume v");
    assert_eq!(logged["outcome"], "out-of-space");
    let id = logged["id"].as_str().unwrap();
    assert_eq!(id.len(), 8);
    assert!(lines.any(|line| line.contains(&format!("(operation {id})"))), "{}", run.stderr);
}

#[test]
fn operations_are_kept_where_the_state_is() {
    let folder = std::env::temp_dir().join(format!("open-local-cli-{}", std::process::id()));
    let state = folder.to_string_lossy();
    let made = sim(&[
        "--state-dir",
        &state,
        "volume",
        "create",
        "v",
        "--size",
        "1GiB",
        "--tag",
        "k=secret",
    ]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let kept = std::fs::read_to_string(folder.join("operations.log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(kept.trim()).unwrap();
    assert_eq!(line["outcome"], "created");
    assert!(!line["plan"].as_array().unwrap().is_empty());
    assert!(!kept.contains("secret"), "{kept}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn group_snapshots_are_all_or_nothing() {
    let listed = sim(&["snapshot", "group", "list", "-o", "json"]);
    assert_eq!((listed.code, listed.json()["group_snapshots"].as_array().unwrap().len()), (0, 0));
    let create = ["snapshot", "group", "create", "g"];
    let without = sim(&create);
    assert_eq!(without.code, 2, "{}", without.stderr);
    for member in ["s", "s=", "=v", "s=a/b"] {
        let run = sim(&[&create[..], &["--member", member]].concat());
        assert_eq!(run.code, 2, "{member}: {}", run.stderr);
    }
    let missing = sim(&[&create[..], &["--member", "s=never-made"]].concat());
    assert_eq!(missing.code, 3, "{}", missing.stderr);
    assert!(missing.stderr.contains("volume never-made"), "{}", missing.stderr);
    let twice = sim(&[&create[..], &["--member", "s=v", "--member", "t=v"]].concat());
    assert_eq!(twice.code, 2, "{}", twice.stderr);
}

#[test]
fn a_setting_the_backend_does_not_know_is_refused_by_name() {
    for arguments in [
        &["volume", "create", "v", "--size", "1GiB"][..],
        &["snapshot", "create", "s", "--volume", "v"],
        &["snapshot", "group", "create", "g", "--member", "s=v"],
    ] {
        let run = sim(&[arguments, &["--set", "strips=2"]].concat());
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains("strips"), "{}", run.stderr);
    }
}
