//! A thin volume given the content of a snapshot.
//!
//! lvm2 merges the snapshot into the volume, which uses it up. Here the snapshot is copied: one
//! transaction makes a device from it, which the volume gets, and deletes the volume's old one.
//! Name, UUID, tags and access of the volume stay.
//!
//! | cut | what is found | what [`super::settle`] and [`super::Sending`] do |
//! |---|---|---|
//! | before the commit | the volume as it was | nothing |
//! | after it | the kernel has the old device only | make the new one, delete the old one |
//! | after the new device was made | both | delete the new one, make it again, delete the old one |
//! | after the old device was deleted | the new one only | the same; there is nothing left to delete |
//! | after the count was set | as it should be | nothing |
//!
//! The content is never lost: the new device is made before the old one is deleted, and what it is
//! made from is the snapshot, which stays.

use open_local_core::{Error, ErrorKind, Extents};

use super::device_id;
use super::messages::{is_pending, pool};
use super::part::source;
use crate::format::group::{SegmentKind, ThinMessage};
use crate::plan::draft::{Draft, about};
use crate::plan::step::Step;

impl Draft<'_> {
    pub(in crate::plan) fn roll_back_thin(
        &mut self,
        volume: &str,
        snapshot: &str,
    ) -> Result<(), Error> {
        let (lv, own) = source(&self.group, volume)?;
        let (of, from) = source(&self.group, snapshot)?;
        let invalid = |message: &str| about(ErrorKind::InvalidArgument, volume, message);
        if volume == snapshot {
            return Err(invalid("can't be rolled back to itself"));
        }
        if own.thin_pool != from.thin_pool {
            let message = format!("{snapshot} is in pool {}, not in its own", from.thin_pool);
            return Err(invalid(&message).with_remedy("name a snapshot of this volume"));
        }
        let (id, pool_name, old_device) = (lv.id, own.thin_pool.clone(), own.device_id);
        // A volume that has grown keeps its size; the new device has no blocks there.
        let extents = [lv, of].map(|lv| lv.extents().unwrap_or(Extents::MAX));
        let extents = extents.into_iter().max().unwrap_or(Extents::MAX);
        let transaction_id = self.begin(&pool_name)?;
        if is_pending(pool(&self.group, &pool_name)?.1, volume) {
            let message = "its device is still to be made";
            return Err(about(ErrorKind::Busy, volume, message)
                .with_remedy("send the pool's messages first"));
        }
        self.no_child_is_pending(volume)?;
        self.only_copies_use(volume)?;
        let device = device_id::next(&self.group, &pool_name, pool(&self.group, &pool_name)?.1)?;
        // What was made from the old device has no origin once it is deleted; and the snapshot,
        // from now on the origin of the volume, can't be made from it.
        self.forget_origin(volume);
        for segment in &mut self.volume_mut(volume)?.segments {
            segment.extent_count = extents;
            if let SegmentKind::Thin(thin) = &mut segment.kind {
                thin.device_id = device;
                thin.transaction_id = transaction_id;
                thin.origin = Some(snapshot.to_owned());
            }
        }
        self.message(&pool_name, ThinMessage::Create { lv: volume.to_owned() })?;
        self.message(&pool_name, ThinMessage::Delete { device_id: old_device })?;
        self.steps.push(Step::RollBackThin {
            name: volume.to_owned(),
            id,
            pool: pool_name,
            snapshot: snapshot.to_owned(),
            device,
            old_device,
        });
        Ok(())
    }
}
