//! Segments of a tree to values.

use std::collections::HashSet;

use open_local_core::{Error, Extents, Sectors};

use super::fields::Fields;
use super::segment::{
    Area, CarriedSegment, Segment, SegmentKind, SegmentType, SnapshotStore, StripedSegment,
    ThinMessage, ThinPoolSegment, ThinSegment,
};
use crate::format::text::{Entry, Item, Key, Section, Value};

/// `segment` or `message` with its number.
fn is_numbered(key: &str, name: &str) -> bool {
    let number = key.strip_prefix(name).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn segments(
    fields: &mut Fields<'_>,
    physical: &HashSet<&str>,
) -> Result<Vec<Segment>, Error> {
    let declared = fields.unsigned("segment_count")?;
    let declared = fields.required("segment_count", declared)?;
    let sections = fields.sections(|key| is_numbered(key, "segment"));
    if u64::try_from(sections.len()) != Ok(declared) {
        let message = format!("says {declared}, but there are {}", sections.len());
        return Err(fields.error("segment_count", message));
    }
    let place = fields.place();
    let read = |(key, section): (Key, Section)| {
        segment(Fields::new(place.inside(&key), section), physical)
    };
    let mut segments = sections.into_iter().map(read).collect::<Result<Vec<_>, Error>>()?;
    // lvm2 sorts them in as it reads (2.03.16, _insert_segment).
    segments.sort_by_key(|segment| segment.start_extent);
    Ok(segments)
}

fn segment(mut fields: Fields<'_>, physical: &HashSet<&str>) -> Result<Segment, Error> {
    let word = fields.text("type")?;
    let segment_type = SegmentType::from_word(&fields.required("type", word)?);
    let start_extent = fields.extents("start_extent")?;
    let extent_count = fields.extents("extent_count")?;
    let tags = fields.strings("tags")?.unwrap_or_default();
    let kind = match segment_type.name.as_str() {
        "striped" | "linear" => striped(&mut fields, physical)?,
        "thin-pool" => thin_pool(&mut fields)?,
        "thin" => thin(&mut fields)?,
        "snapshot" => snapshot(&mut fields)?,
        _ => {
            let kind = SegmentKind::Carried(CarriedSegment { entries: fields.rest() });
            let unknown = Vec::new();
            return Ok(Segment { start_extent, extent_count, segment_type, tags, kind, unknown });
        }
    };
    let unknown = fields.rest();
    Ok(Segment { start_extent, extent_count, segment_type, tags, kind, unknown })
}

fn striped(fields: &mut Fields<'_>, physical: &HashSet<&str>) -> Result<SegmentKind, Error> {
    let declared = fields.unsigned("stripe_count")?;
    let declared = fields.required("stripe_count", declared)?;
    let stripe_size = fields.sectors("stripe_size")?;
    let list = fields.value("stripes");
    let list = fields.required("stripes", list)?;
    let mut areas = Vec::new();
    for pair in list.items().chunks(2) {
        let [Value::Text(name), Value::Integer(start)] = pair else {
            return Err(fields.error("stripes", "wanted pairs of a name and an extent"));
        };
        let start = u32::try_from(*start);
        let start = start.map_err(|_| fields.error("stripes", "an extent is out of range"))?;
        let start = Extents::new(u64::from(start));
        let name = name.clone();
        areas.push(if physical.contains(name.as_str()) {
            Area::Physical { pv: name, start }
        } else {
            Area::Logical { lv: name, start }
        });
    }
    if u64::try_from(areas.len()) != Ok(declared) {
        let message = format!("says {declared}, but there are {}", areas.len());
        return Err(fields.error("stripe_count", message));
    }
    Ok(SegmentKind::Striped(StripedSegment { stripe_size, areas }))
}

fn name(fields: &mut Fields<'_>, key: &str) -> Result<String, Error> {
    let name = fields.text(key)?;
    fields.required(key, name)
}

fn size(fields: &mut Fields<'_>, key: &str) -> Result<Sectors, Error> {
    let size = fields.sectors(key)?;
    fields.required(key, size)
}

fn thin_pool(fields: &mut Fields<'_>) -> Result<SegmentKind, Error> {
    let transaction = fields.unsigned("transaction_id")?;
    let messages = fields.sections(|key| is_numbered(key, "message"));
    Ok(SegmentKind::ThinPool(ThinPoolSegment {
        metadata: name(fields, "metadata")?,
        data: name(fields, "pool")?,
        transaction_id: fields.required("transaction_id", transaction)?,
        chunk_size: size(fields, "chunk_size")?,
        discards: fields.text("discards")?,
        zero_new_blocks: zeroing(fields)?,
        messages: messages.into_iter().map(|(_, section)| message(section)).collect(),
    }))
}

/// lvm2 writes the line `zero_new_blocks = 1` or none.
fn zeroing(fields: &mut Fields<'_>) -> Result<bool, Error> {
    match fields.unsigned("zero_new_blocks")? {
        None | Some(0) => Ok(false),
        Some(_) => Ok(true),
    }
}

fn message(section: Section) -> ThinMessage {
    let Section(entries) = section;
    let [Entry { key, item: Item::Value(value) }] = entries.as_slice() else {
        return ThinMessage::Other(entries);
    };
    match (&**key, value) {
        ("create", Value::Text(lv)) => ThinMessage::Create { lv: lv.clone() },
        ("delete", Value::Integer(id)) => match u32::try_from(*id) {
            Ok(device_id) => ThinMessage::Delete { device_id },
            Err(_) => ThinMessage::Other(entries),
        },
        _ => ThinMessage::Other(entries),
    }
}

fn thin(fields: &mut Fields<'_>) -> Result<SegmentKind, Error> {
    let transaction = fields.unsigned("transaction_id")?;
    let device = fields.small("device_id")?;
    Ok(SegmentKind::Thin(ThinSegment {
        thin_pool: name(fields, "thin_pool")?,
        transaction_id: fields.required("transaction_id", transaction)?,
        device_id: fields.required("device_id", device)?,
        origin: fields.text("origin")?,
        external_origin: fields.text("external_origin")?,
        merge: fields.text("merge")?,
    }))
}

fn snapshot(fields: &mut Fields<'_>) -> Result<SegmentKind, Error> {
    let store = match (fields.text("cow_store")?, fields.text("merging_store")?) {
        (Some(cow), None) => SnapshotStore::Cow(cow),
        (None, Some(merging)) => SnapshotStore::Merging(merging),
        _ => return Err(fields.error("cow_store", "wanted either cow_store or merging_store")),
    };
    let chunk_size = size(fields, "chunk_size")?;
    Ok(SegmentKind::Snapshot { chunk_size, origin: name(fields, "origin")?, store })
}
