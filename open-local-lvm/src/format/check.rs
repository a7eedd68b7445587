//! What is wrong with a group, as findings that name the object.
//!
//! [`check`] looks at one group by itself: it needs no device. What only shows when devices are
//! read (missing physical volumes, stale areas) is found by the module `scan`, with the same
//! [`Finding`].

mod again;
mod finding;
mod layout;
mod objects;
mod references;
mod stacks;
mod thin;
mod words;

pub use finding::{Finding, FindingKind, Object, Severity};
pub(crate) use references::references;

use std::sync::Arc;

use super::group::{Checked, VolumeGroup};

/// Most findings of one check; a text made to have more tells nothing new.
pub const MAX_FINDINGS: usize = 1000;

/// Collects findings up to [`MAX_FINDINGS`].
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, kind: FindingKind, object: Object, message: impl Into<String>) {
        if self.0.len() < MAX_FINDINGS {
            self.0.push(Finding::new(kind, object, message));
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}

/// Everything that is wrong or forbids a change; empty for a good group of this host.
///
/// A group is written natively only if nothing of severity [`Severity::Refuse`] or
/// [`Severity::Damage`] is found.
///
/// Asked again of the same group, or of a copy in which nothing was changed, it remembers. Of a copy
/// of a good group in which a few volumes were changed it looks at these only, where that is enough.
#[must_use]
pub fn check(group: &VolumeGroup) -> Vec<Finding> {
    let volumes = &group.logical_volumes;
    let known = volumes.checked().filter(|known| group.is_same_but_for_volumes(&known.rest));
    if let Some(known) = &known {
        if volumes.is_list(&known.list) {
            return known.findings.clone();
        }
        if again::is_good(group, known) {
            let checked = Checked { list: volumes.list(), ..Checked::clone(known) };
            volumes.set_checked(Some(Arc::new(checked)));
            return Vec::new();
        }
    }
    let findings = find(group);
    let checked = Checked {
        rest: group.without_volumes(),
        list: volumes.list(),
        is_flat: volumes.iter().all(again::is_flat),
        findings: findings.clone(),
    };
    volumes.set_checked(Some(Arc::new(checked)));
    findings
}

fn find(group: &VolumeGroup) -> Vec<Finding> {
    let mut findings = Findings::default();
    words::check(group, &mut findings);
    objects::check(group, &mut findings);
    layout::check(group, &mut findings);
    references::check(group, &mut findings);
    stacks::check(group, &mut findings);
    thin::check(group, &mut findings);
    findings.into_vec()
}

#[cfg(test)]
mod tests;
