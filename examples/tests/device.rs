//! `device list` and `device explain`, without opening a device.

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

/// A path of a natively multipathed NVMe namespace has no node.
fn is_hidden(disk: &str) -> bool {
    let hidden = std::fs::read_to_string(format!("/sys/block/{disk}/hidden"));
    hidden.is_ok_and(|hidden| hidden.trim() == "1")
}

#[test]
fn every_device_of_this_machine_is_listed_and_none_is_free_unseen() {
    let listed = run(&["device", "list", "--all", "--no-open", "-o", "json"]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    let answer = listed.json();
    let devices = answer["devices"].as_array().unwrap();
    let disks: Vec<String> = std::fs::read_dir("/sys/block")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !is_hidden(name))
        .collect();
    for disk in disks {
        assert!(devices.iter().any(|device| device["name"] == *disk), "{disk}");
    }
    for device in devices {
        assert_eq!(device["verdict"], "not-free", "{device}");
        assert!(device["signatures"].is_null(), "{device}");
        for reason in device["reasons"].as_array().unwrap() {
            assert!(!reason["code"].as_str().unwrap().is_empty());
            assert!(!reason["message"].as_str().unwrap().is_empty());
            assert!(!reason["help"].as_str().unwrap().is_empty());
            assert!(reason["details"].is_object());
        }
    }
    let table = run(&["device", "list", "--all", "--no-open"]);
    assert!(table.stdout.starts_with("NAME"), "{}", table.stdout);
    assert!(table.stdout.contains("VERDICT"), "{}", table.stdout);
}

#[test]
fn nothing_is_listed_that_no_expression_means() {
    let listed = run(&["device", "list", "--no-open", "--include", "nothing", "-o", "json"]);
    assert_eq!(listed.json()["devices"].as_array().unwrap().len(), 0);
    let listed = run(&["device", "list", "--no-open", "--include", "nothing"]);
    assert!(listed.stdout.contains("device list --all"), "{}", listed.stdout);
}

#[test]
fn wrong_arguments_are_named() {
    for option in ["--include", "--exclude"] {
        let wrong = run(&["device", "list", "--no-open", option, "/dev/(sd", "-o", "json"]);
        assert_eq!(wrong.code, 2, "{}", wrong.stderr);
        let error = wrong.error();
        assert!(error["subject"].as_str().unwrap().contains("/dev/(sd"), "{error}");
        assert!(error["message"].as_str().unwrap().contains("character 6"), "{error}");
    }
    let wrong = run(&["device", "list", "--no-open", "--include", "(a{1000}){1000}"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("(a{1000}){1000}"), "{}", wrong.stderr);
    for arguments in [
        &["device", "list", "--kind", "floppies"][..],
        &["device", "list", "--watch", "--for", "31d"],
        &["device", "list", "--for", "1s"],
        &["device", "list", "--min-size", "-1"],
        &["device", "explain"],
        &["device", "explain", "--no-open", "/dev/null"],
    ] {
        assert_eq!(run(arguments).code, 2, "{arguments:?}");
    }
    let unknown = run(&["device", "explain", "--no-open", "/dev/no-such-device"]);
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
}

#[test]
fn the_simulated_machine_says_that_it_has_no_disks() {
    for arguments in [&["device", "list"][..], &["device", "explain", "sda"]] {
        let refused = sim(arguments);
        assert_eq!(refused.code, 10, "{}", refused.stderr);
        assert!(refused.stderr.contains("leave --backend sim out"), "{}", refused.stderr);
    }
}
