//! Writable and read-only volumes.

use open_local_core::{Error, ErrorKind};

use super::draft::{Draft, about};
use super::guards;
use super::step::Step;
use crate::format::group::{SegmentKind, Words, status};

impl Draft<'_> {
    pub(super) fn set_writable(&mut self, name: &str, writable: bool) -> Result<(), Error> {
        let lv = guards::public(&self.group, name)?;
        if lv.is_writable() == writable {
            return Ok(());
        }
        for segment in &lv.segments {
            if !matches!(segment.kind, SegmentKind::Striped(_) | SegmentKind::Thin(_)) {
                let kind = &segment.segment_type;
                let message = format!("the access of a volume of type {kind} is not changed here");
                return Err(
                    about(ErrorKind::Unsupported, name, message).with_remedy("use the lvm2 tools")
                );
            }
        }
        // A thin volume may be read-only or not whatever was made from it: they share nothing
        // that is written.
        let thin = lv.segments.iter().all(|s| matches!(s.kind, SegmentKind::Thin(_)));
        let users = guards::users(&self.group, name);
        let against = users.iter().find(|(_, how)| !thin || *how == "the external origin of");
        if let Some((user, how)) = against {
            return Err(about(ErrorKind::Refused, name, format!("is {how} {user}"))
                .with_remedy("remove that first"));
        }
        let lv = self.volume_mut(name)?;
        if writable {
            // In the order in which lvm2 writes them.
            let others = lv.status.iter().filter(|word| *word != status::READ);
            let words = [status::READ, status::WRITE].into_iter().chain(others);
            lv.status = Words::new(words.collect::<Vec<_>>());
        } else {
            lv.status.remove(status::WRITE);
        }
        let id = lv.id;
        self.steps.push(Step::SetWritable { name: name.to_owned(), id, writable });
        Ok(())
    }
}
