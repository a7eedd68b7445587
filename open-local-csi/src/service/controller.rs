//! Volumes, snapshots and groups as objects.

mod answers;
mod candidates;
mod capabilities;
mod capacity;
mod create;
mod expand;
mod groups;
mod modify;
mod snapshots;
mod volumes;

pub(super) use answers::{UUID_TAG, volume_uuid};
pub(super) use candidates::erases;
pub(super) use create::{tags, with_parameters};
