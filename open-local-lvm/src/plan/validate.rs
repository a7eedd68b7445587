//! The last look before a text may be written.

use std::collections::HashSet;

use open_local_core::{Error, ErrorKind};

use super::draft::about;
use crate::format::check::{Severity, check};
use crate::format::group::{HistoricalVolume, Metadata, VolumeGroup};
use crate::format::text::{Entry, Item, Value};

/// The sequence number after this one.
///
/// # Errors
/// `Refused` if there is none.
pub(super) fn next_seqno(group: &VolumeGroup) -> Result<u32, Error> {
    let next = group.seqno.checked_add(1);
    next.ok_or_else(|| about(ErrorKind::Refused, &group.name, "has no sequence number left"))
}

/// A group that breaks no rule, as its text reads back.
///
/// The rules are those of [`check`], and: the text says what the group says, and nothing has
/// the name or the UUID of a remembered volume. An error here is a mistake of this crate, or a group from
/// elsewhere that could not be written as it is.
///
/// # Errors
/// `Refused`, naming the rule.
pub(super) fn proven(metadata: &Metadata) -> Result<Metadata, Error> {
    let group = &metadata.group;
    let broken = |message: String| {
        let message = format!("its new text would break a rule and is not written: {message}");
        about(ErrorKind::Refused, &group.name, message)
    };
    let findings = check(group);
    if let Some(finding) = findings.iter().find(|finding| finding.severity() >= Severity::Refuse) {
        return Err(broken(finding.to_string()));
    }
    if !group.historical_volumes.is_empty()
        && let Some(message) = against_history(group)
    {
        return Err(broken(message));
    }
    match metadata.read_back() {
        // The one that was read knows its text.
        Ok(read) if read == *metadata => {
            read.group.logical_volumes.set_checked_like(&group.logical_volumes);
            Ok(read)
        }
        Ok(_) => Err(broken("read back it says something else".to_owned())),
        Err(error) if error.kind() == ErrorKind::Corrupt => Err(broken(error.to_string())),
        Err(error) => Err(error),
    }
}

/// What a remembered volume has in common with one that is there.
fn against_history(group: &VolumeGroup) -> Option<String> {
    let names: HashSet<&str> = group.logical_volumes.iter().map(|lv| lv.name.as_str()).collect();
    if let Some(old) = group.historical_volumes.iter().find(|old| names.contains(old.key.as_str()))
    {
        return Some(format!("volume {} is remembered and there", old.key));
    }
    let ids = group.logical_volumes.iter().map(|lv| Value::from(lv.id.to_string()));
    let ids: Vec<Value> = ids.collect();
    let remembered = |entry: &Entry| matches!(&entry.item, Item::Value(id) if ids.contains(id));
    let of_old = |old: &&HistoricalVolume| {
        old.entries.iter().any(|entry| entry.key == "id" && remembered(entry))
    };
    let old = group.historical_volumes.iter().find(of_old)?;
    Some(format!("the remembered volume {} has the UUID of another", old.key))
}
