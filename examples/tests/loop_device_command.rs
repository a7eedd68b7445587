//! `device list` and `device explain` on loop devices.

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

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use open_local_core::Bytes;
use open_local_core::host::{Loops, SystemLoops};
use open_local_tests::Scratch;
use open_local_tests::scratch::run as tool;
use program::run;

const SIZE: Bytes = Bytes::new(64 << 20);

#[test]
fn a_blank_device_is_free_until_something_is_on_it() {
    let scratch = Scratch::new("program-device");
    let device = scratch.loop_device("disk", SIZE);
    let node = device.path().to_str().unwrap();
    // Only our own: whatever else is on this machine is not looked into.
    let list = || {
        let own = ["--kind", "loop", "--include", node, "--min-size", "8MiB", "-o", "json"];
        let listed = run(&[&["device", "list"], &own[..]].concat());
        assert_eq!(listed.code, 0, "{}", listed.stderr);
        let devices = listed.json()["devices"].clone();
        assert_eq!(devices.as_array().unwrap().len(), 1, "{devices}");
        devices[0].clone()
    };
    let found = list();
    assert_eq!((found["verdict"].as_str(), found["node"].as_str()), (Some("free"), Some(node)));
    assert_eq!((&found["size"], &found["kind"]), (&(64u64 << 20).into(), &"loop".into()));
    assert_eq!(found["loop"]["backing_file"], device.file.to_str().unwrap());
    assert_eq!(found["signatures"].as_array().unwrap().len(), 0);

    let explain = |more: &[&str]| run(&[&["device", "explain", node], more].concat());
    let text = explain(&["--kind", "loop", "--min-size", "8MiB"]);
    assert!(text.stdout.contains("is free"), "{}", text.stdout);
    let text = explain(&[]);
    assert!(text.stdout.contains("is not free"), "{}", text.stdout);
    assert!(text.stdout.contains("--kind loop"), "{}", text.stdout);
    assert!(text.stdout.contains("--min-size 64MiB"), "{}", text.stdout);

    tool("mkfs.ext4", &["-q".as_ref(), "-L".as_ref(), "mine".as_ref(), node.as_ref()]);
    let found = list();
    assert_eq!(found["verdict"], "not-free");
    assert_eq!(found["reasons"][0]["code"], "signature");
    assert_eq!(found["reasons"][0]["details"]["signature"]["name"], "ext4");
    assert_eq!(found["signatures"][0]["label"], "mine");
    let text = explain(&["--kind", "loop", "--min-size", "8MiB"]);
    assert!(text.stdout.contains("wipefs --all"), "{}", text.stdout);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the program runs while the test goes on")]
fn what_changes_is_printed_as_it_comes() {
    let scratch = Scratch::new("program-watch");
    // Nothing is offered but by name, so that no device of others is opened.
    let options = ["--all", "--watch", "--for", "60s", "--no-open", "-o", "json"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_open-local"))
        .args(["device", "list"])
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut objects =
        lines.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let first = objects.next().unwrap();
    assert_eq!(first["event"], "present");
    let device = scratch.loop_device("disk", SIZE);
    let name = device.path().file_name().unwrap().to_str().unwrap().to_owned();
    let is_ours = |object: &serde_json::Value| {
        let size = &object["device"]["size"];
        object["event"] != "present" && object["device"]["name"] == *name && *size == SIZE.get()
    };
    let came = objects.by_ref().find(is_ours);
    assert_eq!(came.unwrap()["device"]["loop"]["backing_file"], device.file.to_str().unwrap());
    SystemLoops::default().detach(&device.device).unwrap();
    let went = objects.by_ref().find(|object| {
        let gone = object["event"] == "removed" || object["device"]["size"] == 0;
        object["device"]["name"] == *name && gone
    });
    assert!(went.is_some());
    child.kill().unwrap();
    child.wait().unwrap();

    let ended = run(&["device", "list", "--no-open", "--watch", "--for", "0s"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn a_disk_is_claimed_erased_and_given_to_a_volume() {
    let scratch = Scratch::new("program-raw");
    let device = scratch.loop_device("disk", SIZE);
    let (node, own) = (device.path().to_str().unwrap(), scratch.path().to_str().unwrap());
    let raw = |arguments: &[&str]| {
        let folders = ["--backend", "raw", "--state-dir", own, "--run-dir", own, "-y"];
        run(&[&folders[..], arguments].concat())
    };
    let devices = format!("devices={node}");
    let made = raw(&["pool", "create", "disks", "--set", &devices, "--no-wait"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    // Not before all of it is erased.
    assert_ne!(raw(&["volume", "create", "db", "--size", "1MiB"]).code, 0);
    let done = raw(&["pool", "maintain", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!((&done.json()["done"], &done.json()["left"]), (&SIZE.get().into(), &0.into()));
    let made = raw(&["volume", "create", "db", "--size", "1MiB"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert_eq!(raw(&["volume", "remove", "db"]).code, 0);
}
