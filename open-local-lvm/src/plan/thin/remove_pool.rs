//! Thin pools removed and renamed, with their parts.

use open_local_core::{Error, ErrorKind, Extents};

use super::messages::pool;
use super::part::parts;
use super::pool::check_pool_name;
use crate::format::group::{LogicalVolume, VolumeGroup, status};
use crate::plan::draft::{Draft, about};
use crate::plan::guards;
use crate::plan::step::Step;

/// Refuses a pool that is, or whose parts are, being moved or converted, or whose parts are of
/// types that are carried.
fn whole<'a>(group: &'a VolumeGroup, name: &str) -> Result<[&'a LogicalVolume; 3], Error> {
    let (lv, found) = pool(group, name)?;
    let [data, metadata] = parts(group, found)?;
    let all = [lv, data, metadata];
    if all.iter().any(|lv| lv.status.has(status::LOCKED) || lv.status.has(status::PVMOVE)) {
        return Err(about(ErrorKind::Refused, name, "is being moved or converted"));
    }
    Ok(all)
}

impl Draft<'_> {
    pub(in crate::plan) fn remove_pool(&mut self, name: &str) -> Result<(), Error> {
        if let Some((user, how)) = guards::users(&self.group, name).first() {
            return Err(about(ErrorKind::Refused, name, format!("is {how} {user}"))
                .with_remedy("remove that first"));
        }
        let all = whole(&self.group, name)?;
        let names = all.map(|lv| lv.name.clone());
        let [pool, data, metadata] = all.map(|lv| (lv.id, lv.extents().unwrap_or(Extents::MAX)));
        self.group.logical_volumes.retain(|lv| !names.contains(&lv.name));
        self.transactions.retain(|id| *id != pool.0);
        self.steps.push(Step::RemoveThinPool {
            name: name.to_owned(),
            id: pool.0,
            data: data.1,
            metadata: metadata.1,
        });
        self.drop_spare();
        Ok(())
    }

    /// Gives the parts of a pool that are called after it the name they have after another one.
    ///
    /// # Errors
    /// As for a new pool; `Unsupported` for one whose parts are not changed here.
    pub(in crate::plan) fn rename_parts(&mut self, from: &str, to: &str) -> Result<(), Error> {
        check_pool_name(self, to)?;
        let [_, data, metadata] = whole(&self.group, from)?;
        let parts = [data, metadata].map(|lv| (lv.id, lv.name.clone()));
        for (id, part) in parts {
            let Some(suffix) = part.strip_prefix(from) else {
                continue;
            };
            let new = format!("{to}{suffix}");
            self.volume_mut(&part)?.name.clone_from(&new);
            let pool = self.pool_mut(from)?;
            let names = [&mut pool.data, &mut pool.metadata].into_iter();
            names.filter(|name| **name == part).for_each(|name| name.clone_from(&new));
            self.steps.push(Step::RenameVolume { id, from: part, to: new });
        }
        Ok(())
    }
}
