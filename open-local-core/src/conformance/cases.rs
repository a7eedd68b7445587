//! The cases, one module a subject.

mod capacity;
mod clones;
mod content;
mod errors;
mod exclusive;
#[cfg(feature = "fs")]
mod format_once;
#[cfg(feature = "snapshot")]
mod frozen;
#[cfg(feature = "snapshot")]
mod groups;
mod growth;
mod identity;
mod interruption;
mod plans;
mod publishing;
mod races;
mod restart;
#[cfg(feature = "snapshot")]
mod restores;
mod sizes;
#[cfg(feature = "snapshot")]
mod snapshots;
mod thin;
mod tokens;
mod volumes;

use super::case::Case;

/// Every case; what others rest on comes first.
pub(super) fn all() -> Vec<Case> {
    let modules: &[&[Case]] = &[
        volumes::CASES,
        identity::CASES,
        sizes::CASES,
        publishing::CASES,
        content::CASES,
        restart::CASES,
        capacity::CASES,
        growth::CASES,
        exclusive::CASES,
        thin::CASES,
        plans::CASES,
        errors::CASES,
        #[cfg(feature = "snapshot")]
        snapshots::CASES,
        #[cfg(feature = "snapshot")]
        frozen::CASES,
        #[cfg(feature = "snapshot")]
        groups::CASES,
        clones::CASES,
        #[cfg(feature = "snapshot")]
        restores::CASES,
        tokens::CASES,
        #[cfg(feature = "fs")]
        format_once::CASES,
        races::CASES,
        interruption::CASES,
    ];
    modules.concat()
}
