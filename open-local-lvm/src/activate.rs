//! Volumes become block devices and cease to be: names, UUIDs, layers, tables and links as lvm2
//! has them, so that its tools take an active volume for their own, and this crate theirs.
//!
//! - [`names`]: what devices are called, both ways;
//! - [`device_tree`]: which devices a volume needs, in which order, of what (pure);
//! - [`Step`]: what is done, decided by comparing that with what the kernel has (pure);
//! - [`Activator`]: does it, under the group's lock that its caller holds.
//!
//! A device of another group, or of no group, is neither touched nor opened; a device whose name,
//! table or node is not what it should be is an error or a warning that names it.

pub mod names;

mod answers;
mod compare;
mod engine;
mod execute;
mod links;
mod observe;
mod openers;
mod plan;
mod pool_state;
mod removal;
mod self_test;
mod settings;
mod steps;
mod sweep;
mod tree;
mod udev;

pub(crate) use pool_state::CHECK;

pub use answers::{Activated, ActivationPlan, ActiveDevice, Deactivated, PhysicalDevices};
pub use engine::Activator;
pub use settings::{ActivateOptions, PoolCheck, UdevMode};
pub use steps::Step;
pub use sweep::Swept;
pub use tree::{
    Below, Goal, Line, PoolFacts, PoolTarget, Target, TreeOptions, WantedDevice, all_goals,
    device_tree,
};
