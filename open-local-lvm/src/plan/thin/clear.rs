//! Messages that were sent, and volumes that could not be made.

use std::collections::BTreeSet;

use open_local_core::{Error, ErrorKind};

use super::device_id;
use super::messages::{is_pending, pool};
use super::part::thin;
use crate::format::group::{SegmentKind, ThinMessage};
use crate::plan::draft::{Draft, about};
use crate::plan::step::Step;

impl Draft<'_> {
    /// Drops messages that were sent; nothing to do if there are none.
    pub(in crate::plan) fn clear_messages(&mut self, name: &str) -> Result<(), Error> {
        let (lv, found) = pool(&self.group, name)?;
        let (id, count) = (lv.id, found.messages.len());
        if count == 0 {
            return Ok(());
        }
        if self.transactions.contains(&id) {
            let message = "its messages come from this very plan and were never sent";
            return Err(about(ErrorKind::InvalidArgument, name, message));
        }
        if found.messages.iter().any(|message| matches!(message, ThinMessage::Other(_))) {
            let message = "has a message that is not known here";
            return Err(
                about(ErrorKind::Unsupported, name, message).with_remedy("use the lvm2 tools")
            );
        }
        self.pool_mut(name)?.messages.clear();
        self.steps.push(Step::ClearMessages { pool: name.to_owned(), id, count });
        Ok(())
    }

    /// Gives up what the kernel refused to make: the message that makes the device becomes one
    /// that deletes it, in the same transaction.
    ///
    /// A new volume leaves the group. One that was being rolled back keeps its name and gets the
    /// device `back_to` again, whose deletion is taken back.
    pub(in crate::plan) fn abandon_thin(
        &mut self,
        name: &str,
        back_to: Option<u32>,
    ) -> Result<(), Error> {
        let (lv, own) = thin(&self.group, name)?;
        let (id, pool_name, device) = (lv.id, own.thin_pool.clone(), own.device_id);
        let (of, found) = pool(&self.group, &pool_name)?;
        let of = of.id;
        if !is_pending(found, name) {
            let message = "is made already: no message of its pool is about it";
            return Err(about(ErrorKind::Refused, name, message).with_remedy("remove it"));
        }
        self.no_child_is_pending(name)?;
        if let Some(old) = back_to {
            let delete = ThinMessage::Delete { device_id: old };
            if !found.messages.contains(&delete) {
                let message = format!("device {old} is not being deleted, so it never was its own");
                return Err(about(ErrorKind::InvalidArgument, name, message));
            }
            self.pool_mut(&pool_name)?.messages.retain(|message| *message != delete);
        }
        self.replace_creation(&pool_name, name, device)?;
        // The transaction goes on with what is left of it.
        if !self.transactions.contains(&of) {
            self.transactions.push(of);
        }
        match back_to {
            Some(old) => {
                let lv = self.volume_mut(name)?;
                for segment in &mut lv.segments {
                    if let SegmentKind::Thin(thin) = &mut segment.kind {
                        // What it was made from once was forgotten when it was rolled back.
                        (thin.device_id, thin.origin) = (old, None);
                    }
                }
            }
            None => {
                self.forget_origin(name);
                self.group.logical_volumes.retain(|lv| lv.name != name);
            }
        }
        let name = name.to_owned();
        self.steps.push(Step::AbandonThin { name, id, pool: pool_name, device, back_to });
        Ok(())
    }

    /// Another number for a device that is still to be made.
    pub(in crate::plan) fn renumber_thin(
        &mut self,
        name: &str,
        taken: &BTreeSet<u32>,
    ) -> Result<(), Error> {
        let (lv, own) = thin(&self.group, name)?;
        let (id, pool_name, from) = (lv.id, own.thin_pool.clone(), own.device_id);
        let (_, found) = pool(&self.group, &pool_name)?;
        if !is_pending(found, name) {
            let message = "is made already: no message of its pool is about it";
            return Err(about(ErrorKind::Refused, name, message));
        }
        let to = device_id::next_without(&self.group, &pool_name, found, taken)?;
        for segment in &mut self.volume_mut(name)?.segments {
            if let SegmentKind::Thin(thin) = &mut segment.kind {
                thin.device_id = to;
            }
        }
        let name = name.to_owned();
        self.steps.push(Step::RenumberThin { name, id, pool: pool_name, from, to });
        Ok(())
    }
}
