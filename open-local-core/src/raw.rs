//! Whole block devices: what they hold, who they are, and the proof that one may be written.

mod probe;
mod signature;

pub use probe::signatures;
pub use signature::{Signature, names};
