//! Fixtures of the test tiers that need a machine.
//!
//! Everything a test makes carries its run id: folders, loop tags, names of mapped devices, cgroups. A [`Scratch`] removes
//! exactly its own, also after a panic; what a killed run left is removed by [`sweep`], which
//! touches only objects of runs whose process is gone.

pub mod child;
pub mod direct;
pub mod dm;
pub mod dm_script;
pub mod guest;
pub mod lvm_tools;
pub mod pool_folder;
pub mod powercut;
pub mod scratch;
pub mod sweep;

pub use direct::Direct;
pub use lvm_tools::LvmTools;
pub use pool_folder::PoolFolder;
pub use scratch::{LoopFixture, Scratch, require_root};
