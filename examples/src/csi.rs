//! The commands `csi`, which serves the Container Storage Interface, and `csi-client`, which calls
//! it by hand.
//!
//! [`arguments`] are the options, [`mod@file`] the same from a configuration file, [`settings`] what
//! both and the environment come to. [`pools`] opens the pools, [`run`] puts everything together.

pub mod arguments;
pub mod client;
pub mod file;
pub mod pools;
pub mod run;
pub mod settings;

mod listen;
mod measure;
mod metrics;
mod obsolete;
mod pause;
mod sample;
mod upkeep;
mod web;
