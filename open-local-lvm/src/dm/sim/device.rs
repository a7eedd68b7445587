//! One device: its tables and who has it open.

use std::sync::{Arc, Weak};

use open_local_core::DeviceNumber;

use super::super::table::{Table, Target};

/// A table that was loaded.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) table: Table,
    pub(super) read_only: bool,
}

impl Loaded {
    /// What it has open: each device, and whether for writing.
    pub(super) fn uses(&self) -> Vec<(DeviceNumber, bool)> {
        let mut uses = Vec::new();
        for line in self.table.lines() {
            match &line.target {
                Target::ThinPool { metadata, data, features, .. } => {
                    uses.extend([(*metadata, !features.read_only), (*data, true)]);
                }
                Target::Thin { pool, external, .. } => {
                    uses.push((*pool, !self.read_only));
                    uses.extend(external.map(|origin| (origin, false)));
                }
                other => uses.extend(other.devices().into_iter().map(|d| (d, !self.read_only))),
            }
        }
        uses
    }

    pub(super) fn is_pool(&self) -> bool {
        self.table.lines().iter().any(|line| matches!(line.target, Target::ThinPool { .. }))
    }
}

/// Who has a device open.
#[derive(Debug, Clone, Default)]
pub(super) struct Openers(Vec<(Weak<()>, bool)>);

impl Openers {
    pub(super) fn add(&mut self, claims: bool) -> Arc<()> {
        let token = Arc::new(());
        self.0.retain(|(opener, _)| opener.strong_count() > 0);
        self.0.push((Arc::downgrade(&token), claims));
        token
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().filter(|(opener, _)| opener.strong_count() > 0).count()
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.0.iter().any(|(opener, claims)| *claims && opener.strong_count() > 0)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) live: Option<Loaded>,
    pub(super) inactive: Option<Loaded>,
    pub(super) suspended: bool,
    /// Whether the disk of it refuses writes.
    pub(super) read_only: bool,
    pub(super) event_nr: u32,
    /// Whether a table was loaded once: only then it is a disk with a node.
    pub(super) is_disk: bool,
    pub(super) openers: Openers,
}

impl Device {
    pub(super) fn tables(&self) -> impl Iterator<Item = &Loaded> {
        [&self.live, &self.inactive].into_iter().flatten()
    }

    /// What its tables have open; each device once for each way it is opened.
    pub(super) fn uses(&self) -> Vec<(DeviceNumber, bool)> {
        let mut uses: Vec<_> = self.tables().flat_map(Loaded::uses).collect();
        uses.sort_unstable();
        uses.dedup();
        uses
    }

    /// Sectors it has now.
    pub(super) fn sectors(&self) -> u64 {
        self.live.as_ref().map_or(0, |loaded| loaded.table.size().get())
    }
}
