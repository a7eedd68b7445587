//! The cgroups under a cgroup.

use std::path::{Path, PathBuf};

use super::kernel::{KernelFiles, is_gone};
use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// A tree with more cgroups is not walked.
const MAX_CGROUPS: usize = 100_000;

/// A tree that is deeper is not walked.
const MAX_DEPTH: usize = 64;

/// `top` and every cgroup under it, as paths relative to it, parents first; nothing if `top` is
/// not there. What goes away meanwhile is left out.
///
/// # Errors
/// `Unsupported` for a tree beyond the bounds, `Io`.
pub(super) fn subtree(files: &dyn KernelFiles, top: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut level = vec![PathBuf::new()];
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for cgroup in level {
            let folder = under(top, &cgroup);
            let below = match files.folders(&folder) {
                Ok(below) => below,
                Err(error) if is_gone(&error) => continue,
                Err(error) => {
                    let subject = Subject::path(&folder);
                    return Err(Error::from_io(Op::ReadLimits, subject, "can't list", error));
                }
            };
            next.extend(below.into_iter().map(|name| cgroup.join(name)));
            found.push(cgroup);
            if found.len().saturating_add(next.len()) > MAX_CGROUPS {
                return Err(too_much(top, format!("more than {MAX_CGROUPS} cgroups")));
            }
        }
        if next.is_empty() {
            return Ok(found);
        }
        level = next;
    }
    Err(too_much(top, format!("cgroups more than {MAX_DEPTH} deep")))
}

/// `base` joined with a relative path that may be empty; joining that would end in a slash.
pub(super) fn under(base: &Path, relative: &Path) -> PathBuf {
    if relative.as_os_str().is_empty() {
        return base.to_path_buf();
    }
    base.join(relative)
}

fn too_much(top: &Path, what: String) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        Op::ReadLimits,
        Subject::path(top),
        format!("there are {what} under it"),
    )
    .with_remedy("limit cgroups further down")
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeKernel, V1_POINT};
    use super::*;

    fn names(kernel: &FakeKernel, top: &str) -> Vec<String> {
        subtree(kernel, &Path::new(V1_POINT).join(top))
            .unwrap()
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn a_tree_is_listed_parents_first_and_a_missing_one_is_empty() {
        let kernel = FakeKernel::v1();
        for cgroup in ["a", "a/b", "a/b/c", "a/d", "ab"] {
            kernel.make(cgroup);
        }
        assert_eq!(names(&kernel, "a"), ["", "b", "d", "b/c"]);
        assert!(names(&kernel, "missing").is_empty());
    }

    #[test]
    fn a_tree_that_is_too_deep_is_refused() {
        let kernel = FakeKernel::v1();
        let mut path = String::from("a");
        for _ in 0..MAX_DEPTH {
            kernel.make(&path);
            path.push_str("/a");
        }
        assert_eq!(names(&kernel, "a").len(), MAX_DEPTH);
        kernel.make(&path);
        let error = subtree(&kernel, &Path::new(V1_POINT).join("a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
