//! `cargo xtask sweep`: removes what killed test runs left.
//!
//! What belongs to a test run, and how it is told from everything else, is known by the fixtures
//! of the tests' own package; this only starts its program `sweep`.

use std::path::Path;

use crate::Result;
use crate::needs;
use crate::process::{Call, Ended};
use crate::steps::Features;
use crate::workspace::Workspace;

/// The package and the program in it that owns the sweep.
const PACKAGE: &str = "open-local-tests";
const PROGRAM: &str = "sweep";

pub(crate) fn command() -> Result<u8> {
    let workspace = Workspace::load()?;
    if !needs::is_root() {
        return Err(format!("a sweep needs {}", needs::Need::Root.describe()));
    }
    let features = Features::with_machines(&workspace);
    for call in calls(&workspace, &features)? {
        let status = call.dir(&workspace.root).inherited()?;
        if !status.success() {
            return Err(format!("the sweep failed: {status}"));
        }
    }
    Ok(0)
}

/// The same with its output in a log.
pub(crate) fn logged(workspace: &Workspace, features: &Features, log: &Path) -> Result<Ended> {
    for call in calls(workspace, features)? {
        let ended = call.dir(&workspace.root).logged(log)?;
        if ended != Ended::Well {
            return Ok(ended);
        }
    }
    Ok(Ended::Well)
}

/// Builds with the features of the tests, over the whole workspace, so that the tests after it
/// find everything built; then runs.
fn calls(workspace: &Workspace, features: &Features) -> Result<[Call; 2]> {
    let mut programs = workspace.member(PACKAGE).into_iter().flat_map(|p| &p.targets);
    if !programs.any(|t| t.name == PROGRAM && t.kinds.iter().any(|k| k == "bin")) {
        return Err(format!("the package {PACKAGE} has no program {PROGRAM}"));
    }
    let build = Call::cargo(&["build", "--quiet", "--locked", "--workspace", "--bin", PROGRAM])
        .args(features.args());
    Ok([build, Call::new(workspace.target.join("debug").join(PROGRAM), &[])])
}
