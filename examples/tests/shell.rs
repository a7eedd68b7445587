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
#[expect(clippy::disallowed_methods, reason = "the test lets a real bash complete words")]
fn bash_completes_commands_options_and_values() {
    let script = r#"
        source /dev/stdin
        complete_words() {
            COMP_WORDS=(open-local "$@"); COMP_CWORD=$#; COMPREPLY=()
            _open__local open-local "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            echo "${COMPREPLY[*]}"
        }
        complete_words vol
        complete_words volume allow
        complete_words volume format --rep
        complete_words snapshot ro
        complete_words volume mount data --check pr
    "#;
    let mut bash = std::process::Command::new("bash")
        .args(["--norc", "-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = bash.stdin.take().unwrap();
    let completions = run(&["completions", "bash"]).stdout;
    std::io::Write::write_all(&mut input, completions.as_bytes()).unwrap();
    drop(input);
    let output = bash.wait_with_output().unwrap();
    let completed = String::from_utf8(output.stdout).unwrap();
    let wanted = "volume\nallow-format\n--replace\nrollback\npreen\n";
    assert_eq!(completed, wanted);
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
    for name in ["open-local.1", "open-local-volume-allow-format.1", "open-local-demo.1"] {
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
    assert!(help.stdout.contains(&open_local_examples::exit::epilogue()), "{}", help.stdout);
}
