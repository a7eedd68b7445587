//! The `open-local` program as a library: one module a command, so that tests call what a shell
//! calls.
//!
//! Nothing here knows a backend by more than its name; [`machine`] is the only place that makes
//! one.

pub mod answer;
pub mod cli;
pub mod context;
pub mod csi;
pub mod demo;
pub mod exit;
pub mod failure;
pub mod machine;
pub mod mounts;
pub mod observe;
pub mod plan;
pub mod progress;
pub mod view;
