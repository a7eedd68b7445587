//! Whole block devices: what they hold, who they are, and the proof that one may be written.
//!
//! Feature `raw`.

mod probe;
mod proof;
mod report;
mod signature;

pub use probe::signatures;
pub use proof::{DeviceProof, prove_writable};
pub use report::{DeviceIdentity, DeviceReport, look};
pub use signature::{Signature, names};

#[cfg(feature = "fs")]
pub(crate) use report::is_mount_of;
#[cfg(any(feature = "fs", feature = "inventory"))]
pub(crate) use report::open;
#[cfg(feature = "inventory")]
pub(crate) use report::{attribute, holders, identity, names_in, swaps};
