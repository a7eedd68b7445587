//! A tree to values.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use open_local_core::Error;

use super::fields::{Fields, Place};
use super::logical::{HistoricalVolume, LogicalVolume};
use super::physical::PhysicalVolume;
use super::read_again::Found;
use super::read_segment::segments;
use super::volume_group::{Metadata, Provenance, VolumeGroup};
use super::volumes::{PvKeys, Shared, Source, Volumes};
use super::words::AllocationPolicy;
use crate::format::damage::damaged;
use crate::format::text::Section;

/// What `contents` has to say.
pub(super) const CONTENTS: &str = "Text Format Volume Group";

impl Metadata {
    /// Reads a tree. Unknown entries are kept in `unknown` fields and come back in
    /// [`Self::to_tree`]. Of a known key that stands twice in a section the last counts and the
    /// others are left out; [`Section::duplicates`] finds them before.
    ///
    /// # Errors
    /// `Corrupt`, with the path of the entry, if one that is needed is missing or has another
    /// form, or if counts in the text disagree with it: lvm2 refuses such a text too.
    pub fn from_tree(tree: Section) -> Result<Self, Error> {
        Self::from_parts(tree, Vec::new())
    }

    /// The same of a tree whose volumes were taken apart.
    pub(super) fn from_parts(tree: Section, apart: Vec<Found<'_>>) -> Result<Self, Error> {
        let mut fields = Fields::new(Place::top("metadata text"), tree);
        let contents = fields.text("contents")?;
        if contents.as_deref() != Some(CONTENTS) {
            return Err(fields.error("contents", format!("is not \"{CONTENTS}\"")));
        }
        if fields.integer("version")? != Some(1) {
            return Err(fields.error("version", "is not 1"));
        }
        let mut provenance = Provenance {
            description: fields.value("description"),
            creation_host: fields.value("creation_host"),
            creation_time: fields.integer("creation_time")?,
            unknown: Vec::new(),
        };
        let mut groups = fields.sections(|_| true).into_iter();
        let (Some((name, group)), None) = (groups.next(), groups.next()) else {
            return Err(damaged("metadata text", "holds not exactly one group"));
        };
        provenance.unknown = fields.rest();
        Ok(Self { group: volume_group(name.into_owned(), group, apart)?, provenance })
    }
}

fn volume_group(
    name: String,
    section: Section,
    apart: Vec<Found<'_>>,
) -> Result<VolumeGroup, Error> {
    let place = Place::top(&name);
    let mut fields = Fields::new(place, section);
    let seqno = fields.small("seqno")?;
    let extent_size = fields.sectors("extent_size")?;
    let physical = fields.section("physical_volumes").unwrap_or_default();
    let logical = fields.section("logical_volumes").unwrap_or_default();
    let historical = fields.section("historical_logical_volumes").unwrap_or_default();
    let physical_volumes = members(&place.inside("physical_volumes"), physical, physical_volume)?;
    let keys: PvKeys =
        Arc::new(physical_volumes.iter().map(|pv: &PhysicalVolume| pv.key.clone()).collect());
    let logical_volumes = volumes(&place.inside("logical_volumes"), logical, apart, &keys)?;
    let historical_volumes =
        members(&place.inside("historical_logical_volumes"), historical, |_, key, volume| {
            Ok(HistoricalVolume { key: key.to_owned(), entries: volume.0 })
        })?;
    Ok(VolumeGroup {
        id: fields.id()?,
        seqno: fields.required("seqno", seqno)?,
        format: fields.text("format")?,
        status: fields.words("status")?,
        flags: fields.words("flags")?,
        tags: fields.strings("tags")?.unwrap_or_default(),
        system_id: fields.text("system_id")?,
        lock_type: fields.text("lock_type")?,
        lock_args: fields.text("lock_args")?,
        extent_size: fields.required("extent_size", extent_size)?,
        max_lv: fields.small("max_lv")?.unwrap_or(0),
        max_pv: fields.small("max_pv")?.unwrap_or(0),
        allocation_policy: policy(&mut fields)?,
        profile: fields.text("profile")?,
        metadata_copies: fields.small("metadata_copies")?,
        physical_volumes,
        logical_volumes,
        historical_volumes,
        unknown: fields.rest(),
        name,
    })
}

/// Volumes that were taken apart, or else those of the section.
fn volumes(
    list: &Place<'_>,
    section: Section,
    apart: Vec<Found<'_>>,
    keys: &PvKeys,
) -> Result<Volumes, Error> {
    let physical: HashSet<&str> = keys.iter().map(String::as_str).collect();
    let in_tree =
        members(list, section, |place, key, volume| logical_volume(place, key, volume, &physical))?;
    if apart.is_empty() {
        return Ok(in_tree.into());
    }
    let read = |found| match found {
        Found::Known(shared) => Ok(shared),
        Found::New { member: new, plain } => {
            let place = list.inside(&new.key);
            let volume = logical_volume(place, &new.key, new.section, &physical)?;
            let source = Source {
                text: new.text.into(),
                entries: new.entries,
                keys: PvKeys::clone(keys),
                indented: OnceLock::new(),
            };
            Ok(Shared::read(volume, plain.then_some(source)))
        }
    };
    let volumes = apart.into_iter().map(read).collect::<Result<Vec<Shared>, Error>>()?;
    Ok(volumes.into())
}

/// The sections of a section; it must hold nothing else.
fn members<T>(
    list: &Place<'_>,
    section: Section,
    mut read: impl FnMut(Place<'_>, &str, Section) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut fields = Fields::new(*list, section);
    let members = fields.sections(|_| true);
    if let Some(odd) = fields.rest().first() {
        return Err(damaged(format_args!("{list}: {}", odd.key), "is no section"));
    }
    members.into_iter().map(|(key, member)| read(list.inside(&key), &key, member)).collect()
}

fn policy(fields: &mut Fields<'_>) -> Result<Option<AllocationPolicy>, Error> {
    let word = fields.text("allocation_policy")?;
    Ok(word.map(|word| AllocationPolicy::from_word(&word)))
}

fn physical_volume(place: Place<'_>, key: &str, section: Section) -> Result<PhysicalVolume, Error> {
    let mut fields = Fields::new(place, section);
    let pe_start = fields.sectors("pe_start")?;
    Ok(PhysicalVolume {
        key: key.to_owned(),
        id: fields.id()?,
        device: fields.value("device"),
        device_id_type: fields.value("device_id_type"),
        device_id: fields.value("device_id"),
        status: fields.words("status")?,
        flags: fields.words("flags")?,
        tags: fields.strings("tags")?.unwrap_or_default(),
        dev_size: fields.sectors("dev_size")?,
        pe_start: fields.required("pe_start", pe_start)?,
        pe_count: fields.extents("pe_count")?,
        ba_start: fields.sectors("ba_start")?,
        ba_size: fields.sectors("ba_size")?,
        unknown: fields.rest(),
    })
}

fn logical_volume(
    place: Place<'_>,
    name: &str,
    section: Section,
    physical: &HashSet<&str>,
) -> Result<LogicalVolume, Error> {
    let mut fields = Fields::new(place, section);
    Ok(LogicalVolume {
        name: name.to_owned(),
        id: fields.id()?,
        status: fields.words("status")?,
        flags: fields.words("flags")?,
        tags: fields.strings("tags")?.unwrap_or_default(),
        creation_time: fields.integer("creation_time")?,
        creation_host: fields.value("creation_host"),
        lock_args: fields.text("lock_args")?,
        allocation_policy: policy(&mut fields)?,
        profile: fields.text("profile")?,
        read_ahead: fields.integer("read_ahead")?,
        major: fields.integer("major")?,
        minor: fields.integer("minor")?,
        segments: segments(&mut fields, physical)?,
        unknown: fields.rest(),
    })
}
