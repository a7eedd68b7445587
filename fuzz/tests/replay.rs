//! Replays every seed and every past find, and checks that each target is complete.

use std::fs;
use std::path::{Path, PathBuf};

use open_local_fuzz::TARGETS;

fn here(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(part)
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(here(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut names: Vec<String> =
        paths.map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(here(folder).join(target)).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

#[test]
fn every_seed_and_every_past_find_keeps_the_promises() {
    for (target, function) in TARGETS {
        let seeds = inputs("corpus", target);
        assert!(seeds.len() >= 3, "corpus/{target} has {} seeds, give it three", seeds.len());
        for path in seeds.iter().chain(&inputs("regressions", target)) {
            let data = fs::read(path).unwrap();
            // The path stands before the panic's own message.
            let outcome = std::panic::catch_unwind(|| function(&data));
            assert!(outcome.is_ok(), "{target} breaks on {}", path.display());
        }
    }
}

#[test]
fn every_target_has_its_program_and_no_folder_lacks_a_target() {
    let mut targets: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    let manifest = fs::read_to_string(here("Cargo.toml")).unwrap();
    for target in &targets {
        let line = format!("{{ name = \"{target}\", path = \"fuzz_targets/{target}.rs\"");
        assert!(manifest.contains(&line), "fuzz/Cargo.toml has no line for {target}");
    }
    for folder in names("regressions") {
        assert!(
            folder == "README" || targets.contains(&folder),
            "regressions/{folder} has no target"
        );
    }
}

#[test]
fn every_target_takes_short_and_odd_bytes() {
    let all: Vec<u8> = (0..=255).collect();
    for (_, function) in TARGETS {
        for length in 0..all.len() {
            function(&all[..length]);
            function(&all[length..]);
        }
    }
}
