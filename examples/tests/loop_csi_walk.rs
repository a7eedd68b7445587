//! The walk-through of `docs/csi.md`, run as it stands on real loop devices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::path::Path;
use std::process::{Command, Stdio};

use open_local_tests::Scratch;

const PAGE: &str = include_str!("../../docs/csi.md");

/// The commands of the page, in order.
fn commands() -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in PAGE.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => script.extend([line, "\n"]),
            _ => {}
        }
    }
    script
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is the person who reads the page")]
fn the_walk_through_works_as_it_is_written() {
    let scratch = Scratch::new("csi-walk");
    let folder = scratch.join("walk");
    let program = Path::new(env!("CARGO_BIN_EXE_open-local")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let commands = commands();
    for word in [
        " csi ",
        "create ",
        "stage ",
        "publish ",
        "snapshot ",
        "--from-snapshot",
        "--from-volume",
        "node-expand",
        "group ",
        "block",
        "ephemeral",
        "unpublish ",
        "unstage ",
        "delete ",
    ] {
        assert!(commands.contains(word), "the page does not show {word}");
    }
    // Whatever fails ends it, and the driver it started.
    let script = format!(
        "trap '[ -z \"${{CSI-}}\" ] || kill $CSI 2> /dev/null || :' EXIT\nset -eux\n{commands}"
    );
    let done = Command::new("/bin/sh")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", path)
        .env("W", &folder)
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = std::fs::read_to_string(folder.join("csi.log")).unwrap_or_default();
    let said = String::from_utf8_lossy(&done.stdout);
    let steps = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}\n{said}\n{steps}\n{log}", done.status);
    assert!(!folder.exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(scratch.path().to_str().unwrap()), "a mount is left");
    for block in std::fs::read_dir("/sys/block").unwrap().flatten() {
        let file = std::fs::read_to_string(block.path().join("loop/backing_file"));
        let ours = file.is_ok_and(|file| file.contains(scratch.run_id()));
        assert!(!ours, "{} is left", block.path().display());
    }
}
