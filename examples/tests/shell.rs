//! Completion scripts, manual pages and the help.

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

use program::run;

#[test]
fn there_is_a_completion_script_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let done = run(&["completions", shell]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.contains("allow-format"), "{shell}");
        assert!(done.stdout.lines().count() > 100, "{shell}");
    }
    assert_eq!(run(&["completions", "tcsh"]).code, 2);
}

#[test]
fn the_manual_page_documents_commands_and_exit_codes() {
    let page = run(&["man"]);
    assert_eq!(page.code, 0);
    assert!(page.stdout.contains(".TH open-local 1"), "{}", page.stdout);
    for part in ["Exit codes", "rollback\\-failed", "open\\-local\\-volume"] {
        assert!(page.stdout.contains(part), "{part} missing");
    }
    assert!(!page.stdout.contains("demo\\-writer"));
}

#[test]
fn one_page_a_command_is_written_into_a_folder() {
    let folder = std::env::temp_dir().join(format!("open-local-man-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let done = run(&["man", "--out", folder.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for name in [
        "open-local.1",
        "open-local-volume-allow-format.1",
        "open-local-demo.1",
    ] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    assert!(!folder.join("open-local-demo-writer.1").exists());
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(run(&["man", "--out", folder.to_str().unwrap()]).code, 3);
}

#[test]
fn the_help_ends_with_the_exit_codes() {
    let help = run(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(
        help.stdout.contains(&open_local_examples::exit::epilogue()),
        "{}",
        help.stdout
    );
}
