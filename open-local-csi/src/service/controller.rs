//! Volumes, snapshots and groups as objects.

mod capabilities;
mod capacity;
mod expand;
mod groups;
mod modify;
mod snapshots;
mod volumes;
