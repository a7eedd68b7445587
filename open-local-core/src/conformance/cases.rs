//! The cases, one module a subject.

mod capacity;
mod content;
mod growth;
mod identity;
mod publishing;
mod restart;
mod sizes;
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
    ];
    modules.concat()
}
