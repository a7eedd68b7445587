//! Whether the guest's runner can be believed. These tests run on the host and start guests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::Path;
use std::process::Output;

/// `cargo xtask vm run` with these arguments.
#[expect(clippy::disallowed_methods, reason = "the runner is a program")]
fn vm_run(args: &[&str]) -> Output {
    let program = std::env::var_os("OPEN_LOCAL_VM").expect("run it by `cargo xtask vm test`");
    let output = std::process::Command::new(program).args(["vm", "run"]).args(args).output();
    output.unwrap()
}

fn said(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
}

#[test]
fn what_the_guest_removes_stays_on_the_host() {
    let names = |folder: &str| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        entries.collect::<std::collections::BTreeSet<_>>()
    };
    let folders = ["/usr", "/usr/bin", "/usr/sbin", "/usr/lib"];
    let before = folders.map(names);
    // All of /usr takes minutes; what the host can't live without goes first.
    let script = "\
        b=/run/open-local-vm/busybox; \
        $b rm -rf /usr/bin /usr/sbin /usr/lib64; \
        $b timeout 5 $b rm -rf /usr; \
        echo x > /etc/made-in-the-guest; \
        $b mount -o remount,rw /host 2>/dev/null; \
        $b test ! -e /usr/bin && $b test -e /etc/made-in-the-guest && echo removed; exit 7";
    let output = vm_run(&["--", "/run/open-local-vm/busybox", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "removed\n", "{}", said(&output));
    assert_eq!(folders.map(names), before);
    assert!(!Path::new("/etc/made-in-the-guest").exists());
}

#[test]
fn a_crash_of_the_kernel_fails_the_run_and_is_shown() {
    let output = vm_run(&["--", "sh", "-c", "echo c > /proc/sysrq-trigger"]);
    assert!(!output.status.success());
    let text = said(&output);
    for part in ["Kernel panic - not syncing: sysrq triggered crash", "without its end marker"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_command_that_hangs_is_ended_and_fails_the_run() {
    let output = vm_run(&["--timeout", "2", "--", "sleep", "60"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("took too long"), "{}", said(&output));
}

/// A machine that is cut off starts again on what its disk had.
#[test]
fn a_disk_outlives_a_machine_that_is_cut_off() {
    let file = std::env::temp_dir().join(format!("open-local-vm-{}.disk", std::process::id()));
    let disk = format!("nvme:size=16M,file={}", file.display());
    let write = "printf kept | dd of=$GUEST_DISK_DISK0 oflag=direct,sync bs=512 conv=sync; \
                 echo written; sleep 60";
    let cut = vm_run(&["--disk", &disk, "--cut-at", "written", "--", "sh", "-c", write]);
    let read = "dd if=$GUEST_DISK_DISK0 bs=4 count=1; echo oops >&2";
    let again = vm_run(&["--disk", &disk, "--", "sh", "-c", read]);
    let size = fs::metadata(&file).unwrap().len();
    fs::remove_file(&file).unwrap();
    assert!(cut.status.success() && said(&cut).contains("cut off"), "{}", said(&cut));
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(String::from_utf8_lossy(&again.stdout), "kept");
    assert!(String::from_utf8_lossy(&again.stderr).contains("oops"));
    assert_eq!(size, 16 << 20);
}
