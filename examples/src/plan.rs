//! What-if planning: a cluster in a file, and what would happen to it.
//!
//! Pure functions over data: [`read`] makes a [`model::Cluster`] of text, [`simulate`] places its
//! pods with the planner of the library ([`open_local_core::plan`]), [`report`] tells it as text
//! and as JSON, [`picture`] draws it. Files, the terminal and the clock are the command's
//! (`cli/plan.rs`).

pub mod figures;
pub mod limits;
pub mod mistakes;
pub mod model;
pub mod picture;
pub mod quantity;
pub mod read;
pub mod refusals;
pub mod report;
pub mod simulate;

pub(crate) mod nearest;
pub(crate) mod source;
