//! What a pool does with discards, new blocks, and writes when it is full.

use open_local_core::Error;

use super::messages::pool;
use super::spec::{Discards, PoolChange};
use crate::format::group::flag;
use crate::plan::draft::Draft;
use crate::plan::step::Step;

impl Draft<'_> {
    pub(in crate::plan) fn change_pool(&mut self, change: &PoolChange) -> Result<(), Error> {
        let name = &change.name;
        let (lv, found) = pool(&self.group, name)?;
        let id = lv.id;
        let mut changes = Vec::new();
        let discards = found.discards.as_deref().unwrap_or(Discards::Passdown.as_str());
        if let Some(new) = change.discards.filter(|new| new.as_str() != discards) {
            self.pool_mut(name)?.discards = Some(new.as_str().to_owned());
            changes.push(match new {
                Discards::Passdown => "pass discards down",
                Discards::NoPassdown => "keep discards to itself",
                Discards::Ignore => "ignore discards",
            });
        }
        let found = self.pool_mut(name)?;
        if let Some(zero) = change.zero_new_blocks.filter(|zero| *zero != found.zero_new_blocks) {
            found.zero_new_blocks = zero;
            changes.push(if zero { "zero new blocks" } else { "leave new blocks as they are" });
        }
        let lv = self.volume_mut(name)?;
        let errors = lv.flags.has(flag::ERROR_WHEN_FULL);
        if let Some(error) = change.error_when_full.filter(|error| *error != errors) {
            if error {
                lv.flags.add(flag::ERROR_WHEN_FULL);
                changes.push("fail writes when full");
            } else {
                lv.flags.remove(flag::ERROR_WHEN_FULL);
                changes.push("let writes wait when full");
            }
        }
        if !changes.is_empty() {
            self.steps.push(Step::ChangePool { name: name.clone(), id, changes });
        }
        Ok(())
    }
}
