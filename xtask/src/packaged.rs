//! What cargo keeps of packages it has verified.
//!
//! `cargo package` of several members serves them to each other from a registry of its own in the
//! target folder, and unpacks them into the user's cache under name and version (cargo 1.95). A
//! later run with the same target folder takes what is unpacked there, so a member would be
//! verified against another as it was at the first run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::Workspace;

/// Registries without a host name are of this kind: `-` and a hash.
const NAMELESS: char = '-';

/// Forgets the packages of the workspace's members. What can't be removed stays.
pub(crate) fn forget(workspace: &Workspace) {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let Some(home) = home else {
        return;
    };
    let names: Vec<&str> = workspace.published().map(|package| package.name.as_str()).collect();
    for path in
        ["src", "cache"].iter().flat_map(|kind| kept(&home.join("registry").join(kind), &names))
    {
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// Unpacked packages and archives of these names in nameless registries below a folder.
fn kept(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
    };
    let is_nameless = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(NAMELESS))
    };
    let is_member = |path: &PathBuf| {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let rest =
            |name: &str| file.as_deref()?.strip_prefix(name)?.strip_prefix('-')?.chars().next();
        names.iter().any(|name| rest(name).is_some_and(|first| first.is_ascii_digit()))
    };
    entries(folder).filter(is_nameless).flat_map(|one| entries(&one)).filter(is_member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_in_nameless_registries_are_forgotten() {
        let folder =
            std::env::temp_dir().join(format!("open-local-packaged-{}", std::process::id()));
        for path in ["-abc/member-0.1.0", "-abc/member-more-0.1.0", "index-x/member-0.1.0"] {
            fs::create_dir_all(folder.join(path)).unwrap();
        }
        assert_eq!(kept(&folder, &["member"]), [folder.join("-abc/member-0.1.0")]);
        fs::remove_dir_all(folder).unwrap();
    }
}
