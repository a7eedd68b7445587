//! Thin volumes removed.

use open_local_core::Error;

use super::messages::{is_pending, pool};
use super::part::thin;
use crate::format::group::ThinMessage;
use crate::plan::draft::Draft;
use crate::plan::step::Step;

impl Draft<'_> {
    pub(in crate::plan) fn remove_thin(&mut self, name: &str) -> Result<(), Error> {
        let (lv, own) = thin(&self.group, name)?;
        let (id, pool_name, device) = (lv.id, own.thin_pool.clone(), own.device_id);
        self.only_copies_use(name)?;
        self.no_child_is_pending(name)?;
        self.begin(&pool_name)?;
        if is_pending(pool(&self.group, &pool_name)?.1, name) {
            self.replace_creation(&pool_name, name, device)?;
        } else {
            self.message(&pool_name, ThinMessage::Delete { device_id: device })?;
        }
        self.forget_origin(name);
        self.group.logical_volumes.retain(|lv| lv.name != name);
        self.steps.push(Step::RemoveThin { name: name.to_owned(), id, pool: pool_name, device });
        Ok(())
    }
}
