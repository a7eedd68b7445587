//! New names.

use open_local_core::{Error, ErrorKind};

use super::draft::{Draft, about};
use super::guards;
use super::step::Step;
use super::thin::is_pool;
use crate::format::group::{LogicalVolume, Segment, SegmentKind, SnapshotStore, ThinMessage};
use crate::format::names::{check_name, check_new_volume_name};

impl Draft<'_> {
    pub(super) fn rename_volume(&mut self, from: &str, to: &str) -> Result<(), Error> {
        check_new_volume_name(to)?;
        guards::device_name(&self.group.name, to)?;
        let lv = guards::public(&self.group, from)?;
        if from == to {
            return Ok(());
        }
        if guards::is_taken(&self.group, to) {
            let message = format!("can't be renamed: the group has a volume {to} already");
            return Err(about(ErrorKind::Conflict, from, message));
        }
        for segment in &lv.segments {
            // Carried types have parts whose names follow theirs, in ways of their own.
            let known = matches!(
                segment.kind,
                SegmentKind::Striped(_) | SegmentKind::Thin(_) | SegmentKind::ThinPool(_)
            );
            if !known {
                let message =
                    format!("a volume of type {} is not renamed here", segment.segment_type);
                return Err(
                    about(ErrorKind::Unsupported, from, message).with_remedy("use the lvm2 tools")
                );
            }
        }
        let (id, has_parts) = (lv.id, is_pool(lv));
        let fixed = ["a part of", "a part of pool", "the history of"];
        let users = guards::users(&self.group, from);
        if let Some((user, how)) = users.iter().find(|(_, how)| fixed.contains(how)) {
            let message = format!("is {how} {user}, which is carried and not changed here");
            return Err(about(ErrorKind::Refused, from, message));
        }
        let users: Vec<String> = users.iter().map(|(user, _)| (*user).to_owned()).collect();
        if has_parts {
            self.rename_parts(from, to)?;
        }
        let creates = |segment: &Segment| matches!(&segment.kind, SegmentKind::ThinPool(pool) if !pool.messages.is_empty());
        // The others need not count as changed.
        let concerned = |lv: &LogicalVolume| {
            lv.name == from || users.contains(&lv.name) || lv.segments.iter().any(creates)
        };
        for at in 0..self.group.logical_volumes.len() {
            if !self.group.logical_volumes.get(at).is_some_and(concerned) {
                continue;
            }
            if let Some(lv) = self.group.logical_volumes.get_mut(at) {
                lv.segments.iter_mut().for_each(|segment| follow(segment, from, to));
                if lv.name == from {
                    to.clone_into(&mut lv.name);
                }
            }
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        self.steps.push(Step::RenameVolume { id, from, to });
        Ok(())
    }

    pub(super) fn rename_group(&mut self, to: &str) -> Result<(), Error> {
        check_name(to)?;
        for lv in &self.group.logical_volumes {
            guards::device_name(to, &lv.name)?;
        }
        if self.group.name == to {
            return Ok(());
        }
        let from = std::mem::replace(&mut self.group.name, to.to_owned());
        self.steps.push(Step::RenameGroup { from, to: to.to_owned() });
        Ok(())
    }
}

/// Replaces a name in what a segment says of other volumes.
fn follow(segment: &mut Segment, from: &str, to: &str) {
    let put = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    match &mut segment.kind {
        SegmentKind::Thin(thin) => {
            put(&mut thin.thin_pool);
            let others = [&mut thin.origin, &mut thin.external_origin, &mut thin.merge];
            others.into_iter().flatten().for_each(put);
        }
        SegmentKind::ThinPool(pool) => {
            for message in &mut pool.messages {
                if let ThinMessage::Create { lv } = message {
                    put(lv);
                }
            }
        }
        SegmentKind::Snapshot { origin, store, .. } => {
            put(origin);
            match store {
                SnapshotStore::Cow(name) | SnapshotStore::Merging(name) => put(name),
            }
        }
        SegmentKind::Striped(_) | SegmentKind::Carried(_) => {}
    }
}
