//! `cargo xtask codegen`: the Rust types of `open-local-csi` from its proto file.
//!
//! The generator is a workspace of its own in `xtask/codegen`: who builds the crates does not
//! build it. What it makes is committed.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::process::{Call, Ended};
use crate::workspace::Workspace;

/// The files the generator makes.
const FILES: [&str; 3] = ["messages.rs", "services.rs", "redacted.rs"];
/// Where they are kept, from the root.
const GENERATED: &str = "open-local-csi/src/generated";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Changes nothing and fails if a file is not what the generator makes.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let workspace = Workspace::load()?;
    let made = workspace.target.join("codegen/made");
    fs::create_dir_all(&made).map_err(|e| format!("{}: {e}", made.display()))?;
    let status = call(&workspace, &made).inherited()?;
    if !status.success() {
        return Err(format!("the generator failed: {status}"));
    }
    let differing = differing(&made, &workspace.root.join(GENERATED))?;
    if args.check {
        return judged(&differing).map(|()| 0);
    }
    for name in differing {
        let target = workspace.root.join(GENERATED).join(name);
        fs::copy(made.join(name), &target).map_err(|e| format!("{}: {e}", target.display()))?;
        println!("{GENERATED}/{name} written");
    }
    Ok(0)
}

/// The check with its output in a log.
pub(crate) fn logged(workspace: &Workspace, log: &Path) -> Result<Ended> {
    let made = workspace.target.join("codegen/made");
    fs::create_dir_all(&made).map_err(|e| format!("{}: {e}", made.display()))?;
    let ended = call(workspace, &made).logged(log)?;
    if ended != Ended::Well {
        return Ok(ended);
    }
    let differing = differing(&made, &workspace.root.join(GENERATED))?;
    Ok(judged(&differing).map_or_else(Ended::Badly, |()| Ended::Well))
}

fn call(workspace: &Workspace, made: &Path) -> Call {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    Call::cargo(&["run", "--quiet", "--locked", "--manifest-path"])
        .args([path(&workspace.root.join("xtask/codegen/Cargo.toml"))])
        .args(["--target-dir".to_owned(), path(&workspace.target.join("codegen"))])
        .args(["--".to_owned(), path(&workspace.root.join("open-local-csi")), path(made)])
        .dir(&workspace.root)
}

fn judged(differing: &[&str]) -> Result<()> {
    if differing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not what the generator makes of the proto file: {}; run `cargo xtask codegen`",
        differing.join(", ")
    ))
}

/// The files that are missing or differ.
fn differing(made: &Path, kept: &Path) -> Result<Vec<&'static str>> {
    let mut names = Vec::new();
    for name in FILES {
        let new = made.join(name);
        let new = fs::read(&new).map_err(|e| format!("{}: {e}", new.display()))?;
        if fs::read(kept.join(name)).ok().as_deref() != Some(&new) {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_differs_or_is_missing_is_named() {
        let folder = std::env::temp_dir().join(format!("xtask-codegen-{}", std::process::id()));
        let (made, kept) = (folder.join("made"), folder.join("kept"));
        for side in [&made, &kept] {
            fs::create_dir_all(side).unwrap();
        }
        for name in FILES {
            fs::write(made.join(name), name).unwrap();
        }
        fs::write(kept.join("messages.rs"), "messages.rs").unwrap();
        fs::write(kept.join("services.rs"), "edited").unwrap();
        let found = differing(&made, &kept).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, ["services.rs", "redacted.rs"]);
        assert!(judged(&found).unwrap_err().contains("cargo xtask codegen"));
        assert!(judged(&[]).is_ok());
    }
}
