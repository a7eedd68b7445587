//! Requests, checked: from what came over the wire to what can be asked for.
//!
//! Pure: no file, no clock, no pool. Every function takes a message as it came, of whatever
//! content, and answers either a request whose parts are within their bounds or
//! `INVALID_ARGUMENT` with the name of the field. Secrets are looked at for keys that must be
//! refused, and are not kept.

mod capability;
mod group;
mod listing;
mod node;
mod path;
mod size;
mod snapshot;
mod topology;
mod volume;

pub use capability::{Access, AccessMode, Capability};
pub use group::{CreateGroup, NamedGroup};
pub use listing::Page;
pub use node::{ExpandOnNode, Publish, Stage, Stats, Unpublish, Unstage};
pub use path::{target_path, text_path};
pub use size::Size;
pub use snapshot::{CreateSnapshot, DeleteSnapshot, ListSnapshots};
pub use topology::{Segments, TopologyWish};
pub use volume::{
    CreateVolume, DeleteVolume, ExpandVolume, GetCapacity, GetVolume, ModifyVolume,
    ValidateCapabilities, VolumeOrigin,
};

#[cfg(test)]
mod tests;
