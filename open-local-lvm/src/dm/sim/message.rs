//! Messages to targets, and what targets say of themselves.

use std::io;

use open_local_core::Sectors;

use super::super::status::{PoolStatus, StatusLine, TargetStatus, ThinStatus};
use super::super::table::{MAX_THIN_ID, Table, Target, number};
use super::kernel::{Kernel, minor_of, number_of, os};
use super::pool::Mode;

fn volume_id(word: &str) -> io::Result<u32> {
    number(word).filter(|id| *id <= MAX_THIN_ID).ok_or_else(|| os(libc::EINVAL))
}

fn transaction(word: &str) -> io::Result<u64> {
    number(word).ok_or_else(|| os(libc::EINVAL))
}

impl Kernel {
    pub(super) fn table_of(&self, minor: u32) -> Table {
        let live = self.devices.get(&minor).and_then(|device| device.live.as_ref());
        live.map(|live| live.table.clone()).unwrap_or_default()
    }

    pub(super) fn status_of(&self, minor: u32) -> Vec<StatusLine> {
        let table = self.table_of(minor);
        let lines = table.lines().iter().map(|line| {
            let status = match &line.target {
                Target::ThinPool { .. } => {
                    let pool = self.pools.get(&minor);
                    TargetStatus::ThinPool(pool.map_or(PoolStatus::Error, |pool| pool.status()))
                }
                Target::Thin { pool, id, .. } => {
                    TargetStatus::Thin(self.thin_status(minor_of(*pool), *id))
                }
                // As the kernel says it: the devices, and an A for each that is alive.
                Target::Striped { stripes, .. } => {
                    let mut text = stripes.len().to_string();
                    stripes.iter().for_each(|area| text.push_str(&format!(" {}", area.device)));
                    text.push_str(&format!(" 1 {}", "A".repeat(stripes.len())));
                    TargetStatus::parse("striped", &text)
                }
                other => TargetStatus::parse(other.name(), ""),
            };
            StatusLine::new(line.start, line.length, status)
        });
        lines.collect()
    }

    fn thin_status(&self, pool: Option<u32>, id: u32) -> ThinStatus {
        let Some(pool) = pool.and_then(|minor| self.pools.get(&minor)) else {
            return ThinStatus::Error;
        };
        if pool.mode == Mode::Fail {
            return ThinStatus::Fail;
        }
        let Ok(volume) = pool.now.volume(id) else {
            return ThinStatus::Error;
        };
        let count = u64::try_from(volume.mappings.len()).unwrap_or(u64::MAX);
        let last = volume.mappings.last_key_value().map(|(at, _)| *at);
        ThinStatus::Ready {
            mapped: Sectors::new(count.saturating_mul(pool.now.block)),
            highest: last
                .map(|at| at.saturating_add(1).saturating_mul(pool.now.block).saturating_sub(1)),
        }
    }

    pub(super) fn message(
        &mut self,
        minor: u32,
        sector: u64,
        text: &str,
    ) -> io::Result<Option<String>> {
        let table = self.table_of(minor);
        let size = table.size().get();
        let pool =
            matches!(table.lines().first().map(|line| &line.target), Some(Target::ThinPool { .. }));
        if sector >= size || !pool {
            return Err(os(libc::EINVAL));
        }
        if self.pool(minor)?.mode >= Mode::OutOfMetadataSpace {
            return Err(os(libc::EOPNOTSUPP));
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["create_thin", id] => {
                let id = volume_id(id)?;
                self.pool_mut(minor)?.change().create(id)?;
            }
            ["create_snap", id, origin] => {
                let (id, origin) = (volume_id(id)?, volume_id(origin)?);
                self.pool_mut(minor)?.change().snapshot(id, origin)?;
                self.note_unsafe_snapshot(minor, origin);
            }
            ["delete", id] => {
                let id = volume_id(id)?;
                self.pool(minor)?.now.volume(id)?;
                if self.shows(minor, id).is_some() {
                    return Err(os(libc::EBUSY));
                }
                self.pool_mut(minor)?.change().delete(id)?;
            }
            ["set_transaction_id", old, new] => {
                let (old, new) = (transaction(old)?, transaction(new)?);
                let pool = self.pool_mut(minor)?;
                if pool.now.transaction != old {
                    return Err(os(libc::EINVAL));
                }
                pool.change().transaction = new;
            }
            _ => return Err(os(libc::EINVAL)),
        }
        // A message that worked stays so, whatever becomes of its commit.
        let _ = self.commit(minor);
        Ok(None)
    }

    /// A device that shows a volume of a pool.
    fn shows(&self, pool: u32, id: u32) -> Option<u32> {
        let shown = number_of(pool);
        let same = |target: &Target| matches!(target, Target::Thin { pool, id: of, .. } if *pool == shown && *of == id);
        let mut devices = self.devices.iter();
        let found = devices.find(|(_, device)| {
            device.tables().any(|t| t.table.lines().iter().any(|line| same(&line.target)))
        });
        found.map(|(minor, _)| *minor)
    }

    /// The kernel takes a snapshot of a volume that is being written; what it holds is anybody's
    /// guess.
    fn note_unsafe_snapshot(&mut self, pool: u32, origin: u32) {
        let Some(minor) = self.shows(pool, origin) else {
            return;
        };
        let Some(device) = self.devices.get(&minor).filter(|d| d.live.is_some() && !d.suspended)
        else {
            return;
        };
        let text = format!("snapshot of {}, which is active and not suspended", device.name);
        self.hazard(text);
    }
}
