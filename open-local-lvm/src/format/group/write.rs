//! Values to a tree, in the order in which lvm2 2.03.16 writes them.

use open_local_core::{Error, Extents, Sectors};

use super::logical::{HistoricalVolume, LogicalVolume};
use super::physical::PhysicalVolume;
use super::read::CONTENTS;
use super::segment::{
    Area, Segment, SegmentKind, SnapshotStore, StripedSegment, ThinMessage, ThinPoolSegment,
    ThinSegment,
};
use super::volume_group::{Metadata, Provenance, VolumeGroup};
use super::volumes::Shared;
use super::words::{AllocationPolicy, Words};
use crate::format::text::{Entry, Key, Printer, Section, Style, Value};

impl Metadata {
    /// The tree of the text as it stands on devices: the group first.
    #[must_use]
    pub fn to_tree(&self) -> Section {
        let mut tree = Section::new();
        tree.push_section(self.group.name.clone(), self.group.to_section());
        self.provenance.write(&mut tree);
        tree
    }

    /// The same as in backup files: the group last.
    #[must_use]
    pub fn to_backup_tree(&self) -> Section {
        let mut tree = Section::new();
        self.provenance.write(&mut tree);
        tree.push_section(self.group.name.clone(), self.group.to_section());
        tree
    }
}

impl Metadata {
    /// The text as it stands on devices, without the zero byte that ends it: [`Self::to_tree`],
    /// printed. Volumes that were not changed since they were read are written as they were.
    ///
    /// # Errors
    /// `InvalidArgument` for what has no form in the text, see [`print`](crate::format::text::print).
    pub fn to_text(&self) -> Result<Vec<u8>, Error> {
        self.to_text_onto(Vec::with_capacity(self.expected_bytes()))
    }

    /// The same behind what `out` holds.
    ///
    /// # Errors
    /// As [`Self::to_text`].
    pub(crate) fn to_text_onto(&self, out: Vec<u8>) -> Result<Vec<u8>, Error> {
        let (head, tail, provenance) = self.group_apart();
        let mut out = Printer::onto(Style::Raw, out);
        self.print_group(&mut out, &head, &tail, self.group.logical_volumes.shared())?;
        out.section(&provenance)?;
        out.finish()
    }

    /// The same text without volumes: of each is said whether it is left out.
    ///
    /// # Errors
    /// As [`Self::to_text`].
    pub(super) fn text_without(&self, left_out: &[bool]) -> Result<Vec<u8>, Error> {
        let (head, tail, provenance) = self.group_apart();
        let mut out = Printer::onto(Style::Raw, Vec::new());
        let volumes = self.group.logical_volumes.shared().iter().zip(left_out);
        let volumes = volumes.filter(|(_, left_out)| !**left_out).map(|(shared, _)| shared);
        self.print_group(&mut out, &head, &tail, volumes)?;
        out.section(&provenance)?;
        out.finish()
    }

    /// The text as in backup files: [`Self::to_backup_tree`], printed with tabs.
    ///
    /// # Errors
    /// As [`Self::to_text`].
    pub fn to_backup_text(&self) -> Result<Vec<u8>, Error> {
        self.to_backup_text_onto(Vec::with_capacity(self.expected_bytes()))
    }

    /// The same behind what `out` holds.
    ///
    /// # Errors
    /// As [`Self::to_text`].
    pub(crate) fn to_backup_text_onto(&self, out: Vec<u8>) -> Result<Vec<u8>, Error> {
        let (head, tail, provenance) = self.group_apart();
        let mut out = Printer::onto(Style::Indented, out);
        out.section(&provenance)?;
        self.print_group(&mut out, &head, &tail, self.group.logical_volumes.shared())?;
        out.finish()
    }

    /// About as many bytes as the text has.
    pub(crate) fn expected_bytes(&self) -> usize {
        let volumes = self.group.logical_volumes.shared().iter();
        let bytes = |shared: &Shared| shared.source().map_or(512, |source| source.text.len() + 1);
        let rest = 8192usize.saturating_add(self.group.physical_volumes.len().saturating_mul(512));
        volumes.map(bytes).fold(rest, usize::saturating_add)
    }

    /// The group before and behind its volumes, and what stands beside it.
    fn group_apart(&self) -> (Section, Section, Section) {
        let mut provenance = Section::new();
        self.provenance.write(&mut provenance);
        (self.group.head(), self.group.tail(), provenance)
    }

    fn print_group<'a>(
        &'a self,
        out: &mut Printer<'a>,
        head: &'a Section,
        tail: &'a Section,
        volumes: impl IntoIterator<Item = &'a Shared>,
    ) -> Result<(), Error> {
        out.open(&self.group.name)?;
        out.section(head)?;
        if !self.group.logical_volumes.is_empty() {
            out.open(VOLUMES)?;
            volumes.into_iter().try_for_each(|shared| print_volume(out, shared))?;
            out.close();
        }
        out.section(tail)?;
        out.close();
        Ok(())
    }
}

fn print_volume(out: &mut Printer<'_>, shared: &Shared) -> Result<(), Error> {
    let Some(source) = shared.source() else {
        out.printed(&volume_text(shared, out.style())?);
        return Ok(());
    };
    if out.style() == Style::Raw {
        out.printed(&source.text);
        return Ok(());
    }
    if let Some(text) = source.indented.get() {
        out.printed(text);
        return Ok(());
    }
    let text = volume_text(shared, Style::Indented)?;
    out.printed(source.indented.get_or_init(|| text.into()));
    Ok(())
}

/// A volume at its place in a group.
fn volume_text(shared: &Shared, style: Style) -> Result<Vec<u8>, Error> {
    let entry = Section(vec![shared.volume().to_entry()]);
    let mut printer = Printer::inside(style, ["", VOLUMES]);
    printer.section(&entry)?;
    let mut text = printer.finish()?;
    // The end of its last line.
    text.pop();
    Ok(text)
}

/// The section of volumes.
const VOLUMES: &str = "logical_volumes";

impl Provenance {
    fn write(&self, tree: &mut Section) {
        tree.push_value("contents", CONTENTS);
        tree.push_value("version", 1u32);
        optional(tree, "description", self.description.clone());
        optional(tree, "creation_host", self.creation_host.clone());
        optional(tree, "creation_time", self.creation_time);
        tree.0.extend(self.unknown.iter().cloned());
    }
}

fn optional(section: &mut Section, key: &'static str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        section.push_value(key, value);
    }
}

/// Numbers in the text are signed in the tree; sizes were checked to fit when they were read, and
/// a larger one can't be made of bytes.
fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn sectors(section: &mut Section, key: &'static str, value: Option<Sectors>) {
    optional(section, key, value.map(|value| number(value.get())));
}

fn extents(section: &mut Section, key: &'static str, value: Extents) {
    section.push_value(key, number(value.get()));
}

fn words(section: &mut Section, key: &'static str, words: &Words) {
    section.push_value(key, Value::words(words.iter()));
}

fn tags(section: &mut Section, tags: &[String]) {
    if !tags.is_empty() {
        section.push_value("tags", Value::words(tags.iter().map(String::as_str)));
    }
}

fn policy(section: &mut Section, policy: Option<&AllocationPolicy>) {
    optional(section, "allocation_policy", policy.map(AllocationPolicy::as_str));
}

impl VolumeGroup {
    /// The section of the group, without its name.
    #[must_use]
    pub fn to_section(&self) -> Section {
        let mut out = self.head();
        if !self.logical_volumes.is_empty() {
            let logical = self.logical_volumes.iter().map(LogicalVolume::to_entry);
            out.push_section(VOLUMES, logical.collect());
        }
        out.0.extend(self.tail().0);
        out
    }

    /// What stands before the volumes.
    fn head(&self) -> Section {
        let mut out = Section::new();
        out.push_value("id", self.id.to_string());
        out.push_value("seqno", self.seqno);
        optional(&mut out, "format", self.format.clone());
        words(&mut out, "status", &self.status);
        words(&mut out, "flags", &self.flags);
        tags(&mut out, &self.tags);
        optional(&mut out, "system_id", self.system_id.clone());
        optional(&mut out, "lock_type", self.lock_type.clone());
        optional(&mut out, "lock_args", self.lock_args.clone());
        sectors(&mut out, "extent_size", Some(self.extent_size));
        out.push_value("max_lv", self.max_lv);
        out.push_value("max_pv", self.max_pv);
        policy(&mut out, self.allocation_policy.as_ref());
        optional(&mut out, "profile", self.profile.clone());
        optional(&mut out, "metadata_copies", self.metadata_copies);
        out.0.extend(self.unknown.iter().cloned());
        let physical = self.physical_volumes.iter().map(PhysicalVolume::to_entry);
        out.push_section("physical_volumes", physical.collect());
        out
    }

    /// What stands behind them.
    fn tail(&self) -> Section {
        let mut out = Section::new();
        if !self.historical_volumes.is_empty() {
            let entry = |volume: &HistoricalVolume| {
                Entry::section(volume.key.clone(), Section(volume.entries.clone()))
            };
            let historical = self.historical_volumes.iter().map(entry);
            out.push_section("historical_logical_volumes", historical.collect());
        }
        out
    }
}

impl PhysicalVolume {
    fn to_entry(&self) -> Entry {
        let mut out = Section::new();
        out.push_value("id", self.id.to_string());
        optional(&mut out, "device", self.device.clone());
        optional(&mut out, "device_id_type", self.device_id_type.clone());
        optional(&mut out, "device_id", self.device_id.clone());
        words(&mut out, "status", &self.status);
        words(&mut out, "flags", &self.flags);
        tags(&mut out, &self.tags);
        sectors(&mut out, "dev_size", self.dev_size);
        sectors(&mut out, "pe_start", Some(self.pe_start));
        extents(&mut out, "pe_count", self.pe_count);
        sectors(&mut out, "ba_start", self.ba_start);
        sectors(&mut out, "ba_size", self.ba_size);
        out.0.extend(self.unknown.iter().cloned());
        Entry::section(self.key.clone(), out)
    }
}

impl LogicalVolume {
    fn to_entry(&self) -> Entry {
        let mut out = Section::new();
        out.push_value("id", self.id.to_string());
        words(&mut out, "status", &self.status);
        words(&mut out, "flags", &self.flags);
        tags(&mut out, &self.tags);
        optional(&mut out, "creation_time", self.creation_time);
        optional(&mut out, "creation_host", self.creation_host.clone());
        optional(&mut out, "lock_args", self.lock_args.clone());
        policy(&mut out, self.allocation_policy.as_ref());
        optional(&mut out, "profile", self.profile.clone());
        optional(&mut out, "read_ahead", self.read_ahead);
        optional(&mut out, "major", self.major);
        optional(&mut out, "minor", self.minor);
        let count = u64::try_from(self.segments.len()).unwrap_or(u64::MAX);
        out.push_value("segment_count", number(count));
        out.0.extend(self.unknown.iter().cloned());
        for (index, segment) in (1u64..).zip(&self.segments) {
            let key = match index {
                1 => Key::Borrowed("segment1"),
                _ => Key::Owned(format!("segment{index}")),
            };
            out.push_section(key, segment.to_section());
        }
        Entry::section(self.name.clone(), out)
    }
}

impl Segment {
    fn to_section(&self) -> Section {
        let mut out = Section::new();
        extents(&mut out, "start_extent", self.start_extent);
        extents(&mut out, "extent_count", self.extent_count);
        out.push_value("type", self.segment_type.to_string());
        tags(&mut out, &self.tags);
        match &self.kind {
            SegmentKind::Striped(striped) => striped.write(&mut out),
            SegmentKind::ThinPool(pool) => pool.write(&mut out),
            SegmentKind::Thin(thin) => thin.write(&mut out),
            SegmentKind::Snapshot { chunk_size, origin, store } => {
                sectors(&mut out, "chunk_size", Some(*chunk_size));
                out.push_value("origin", origin.clone());
                match store {
                    SnapshotStore::Cow(lv) => out.push_value("cow_store", lv.clone()),
                    SnapshotStore::Merging(lv) => out.push_value("merging_store", lv.clone()),
                }
            }
            SegmentKind::Carried(carried) => out.0.extend(carried.entries.iter().cloned()),
        }
        out.0.extend(self.unknown.iter().cloned());
        out
    }
}

impl StripedSegment {
    fn write(&self, out: &mut Section) {
        let count = u64::try_from(self.areas.len()).unwrap_or(u64::MAX);
        out.push_value("stripe_count", number(count));
        sectors(out, "stripe_size", self.stripe_size);
        let places = self.areas.iter().map(|area| match area {
            Area::Physical { pv, start } => (pv, start),
            Area::Logical { lv, start } => (lv, start),
        });
        let list = places.flat_map(|(name, start)| [name.clone().into(), number(start.get())]);
        out.push_value("stripes", Value::List(list.collect()));
    }
}

impl ThinPoolSegment {
    fn write(&self, out: &mut Section) {
        out.push_value("metadata", self.metadata.clone());
        out.push_value("pool", self.data.clone());
        out.push_value("transaction_id", number(self.transaction_id));
        sectors(out, "chunk_size", Some(self.chunk_size));
        optional(out, "discards", self.discards.clone());
        if self.zero_new_blocks {
            out.push_value("zero_new_blocks", 1u32);
        }
        for (index, message) in (1u64..).zip(&self.messages) {
            let section = match message {
                ThinMessage::Create { lv } => Section(vec![Entry::value("create", lv.clone())]),
                ThinMessage::Delete { device_id } => {
                    Section(vec![Entry::value("delete", *device_id)])
                }
                ThinMessage::Other(entries) => Section(entries.clone()),
            };
            out.push_section(format!("message{index}"), section);
        }
    }
}

impl ThinSegment {
    fn write(&self, out: &mut Section) {
        out.push_value("thin_pool", self.thin_pool.clone());
        out.push_value("transaction_id", number(self.transaction_id));
        out.push_value("device_id", self.device_id);
        optional(out, "external_origin", self.external_origin.clone());
        optional(out, "origin", self.origin.clone());
        optional(out, "merge", self.merge.clone());
    }
}
