//! What `lvs -a --segments` shows.

use std::collections::HashMap;

use open_local_core::{Bytes, Extents, Sectors};

use super::attributes::{VolumeState, attributes};
use super::logical::{listed, partial};
use super::physical::{UNKNOWN, tags};
use super::roles::{Role, Roles, names};
use super::row::{Report, Row};
use super::stripes::{Stripe, metadata_stripes, stripes};
use crate::format::group::{CarriedSegment, LogicalVolume, Segment, SegmentKind};
use crate::format::text::Value;
use crate::scan::{Scan, ScannedDevice};

/// Segments of all volumes: one row each, by group, volume and first extent.
#[must_use]
pub fn segments(scan: &Scan) -> Report {
    let mut rows = Vec::new();
    for group in &scan.groups {
        let roles = Roles::of(group.group());
        let devices = group.physical(scan).map(|(pv, device)| {
            let name = device.map_or_else(|| UNKNOWN.to_owned(), ScannedDevice::name);
            (pv.key.as_str(), name)
        });
        let devices: HashMap<&str, String> = devices.collect();
        let partial = partial(scan, group, &roles);
        for lv in listed(&roles) {
            let partial = partial.contains(lv.name.as_str());
            let letters = attributes(&roles, lv, VolumeState::Unknown, partial);
            for segment in &lv.segments {
                rows.push(row(&roles, &devices, lv, (segment, &letters)));
            }
        }
    }
    Report { name: "seg", rows }
}

fn row(
    roles: &Roles<'_>,
    devices: &HashMap<&str, String>,
    lv: &LogicalVolume,
    (segment, letters): (&Segment, &str),
) -> Row {
    let group = roles.group;
    let size = |extents: Extents| group.size_of(extents).unwrap_or(Bytes::MAX);
    let (areas, mut each) = stripes(segment);
    // A vdo volume is shown over all of its pool.
    if let (Some(pool), "vdo") = (areas.first(), segment.segment_type.name.as_str()) {
        each = roles.volume(pool.name).and_then(LogicalVolume::extents).map_or(each, Extents::get);
    }
    let named = |stripe: &Stripe<'_>| {
        let device = devices.get(stripe.name);
        device.map_or_else(|| stripe.name.to_owned(), String::clone)
    };
    let at = |stripe: &Stripe<'_>| format!("{}({})", named(stripe), stripe.start);
    let ranges = areas.iter().map(|stripe| {
        let last = stripe.start.saturating_add(each).saturating_sub(1);
        format!("{}:{}-{last}", named(stripe), stripe.start)
    });
    let mut row = Row::default();
    row.push("lv_name", roles.shown(&lv.name));
    row.push("vg_name", group.name.as_str());
    row.push("lv_attr", letters);
    row.push("stripes", areas.len());
    let name = segment.segment_type.name.as_str();
    let linear = name == "striped" && areas.len() == 1;
    row.push("segtype", if linear { "linear" } else { name });
    row.push("seg_size", size(segment.extent_count));
    row.push("seg_start", size(segment.start_extent));
    row.push("seg_start_pe", segment.start_extent.get());
    row.push("seg_size_pe", segment.extent_count.get());
    row.push("seg_tags", tags(&segment.tags));
    row.push("seg_pe_ranges", ranges.collect::<Vec<_>>().join(" "));
    row.push("devices", areas.iter().map(at).collect::<Vec<_>>().join(","));
    let metadata = metadata_stripes(segment);
    row.push("metadata_devices", metadata.iter().map(at).collect::<Vec<_>>().join(","));
    sizes(&mut row, roles, lv, segment);
    thin(&mut row, roles, lv, segment);
    row
}

fn bytes(sectors: Sectors) -> Bytes {
    sectors.to_bytes().unwrap_or(Bytes::MAX)
}

fn sectors(carried: &CarriedSegment, key: &str) -> Option<Bytes> {
    let value = carried.value(key).and_then(Value::as_integer)?;
    Sectors::new(u64::try_from(value).ok()?).to_bytes()
}

fn sizes(row: &mut Row, roles: &Roles<'_>, lv: &LogicalVolume, segment: &Segment) {
    let (mut stripe, mut region, mut chunk) = (None, None, None);
    match &segment.kind {
        SegmentKind::Striped(striped) => {
            stripe = striped.stripe_size.filter(|_| striped.areas.len() > 1).map(bytes);
        }
        SegmentKind::ThinPool(pool) => chunk = Some(bytes(pool.chunk_size)),
        SegmentKind::Carried(carried) => {
            stripe = sectors(carried, "stripe_size");
            region = sectors(carried, "region_size");
            // A cache takes the chunk size of its pool.
            let pool = names(carried, "cache_pool").next().and_then(|name| roles.kind(name));
            chunk = sectors(carried, "chunk_size").or_else(|| match pool {
                Some(SegmentKind::Carried(pool)) => sectors(pool, "chunk_size"),
                _ => None,
            });
        }
        _ => {}
    }
    // The store of a snapshot has the chunk size of the snapshot.
    if let Some(link) = roles.user(&lv.name, Role::Cow)
        && let Some(SegmentKind::Snapshot { chunk_size, .. }) = roles.kind(&link.name)
    {
        chunk = Some(bytes(*chunk_size));
    }
    row.push("stripe_size", stripe.unwrap_or(Bytes::ZERO));
    row.push("region_size", region.unwrap_or(Bytes::ZERO));
    row.push("chunk_size", chunk.unwrap_or(Bytes::ZERO));
}

fn thin(row: &mut Row, roles: &Roles<'_>, lv: &LogicalVolume, segment: &Segment) {
    let own = match &segment.kind {
        SegmentKind::Thin(thin) => Some(thin),
        _ => None,
    };
    let pool = match &segment.kind {
        SegmentKind::ThinPool(pool) => Some(pool),
        _ => own.and_then(|thin| match roles.kind(&thin.thin_pool) {
            Some(SegmentKind::ThinPool(pool)) => Some(pool),
            _ => None,
        }),
    };
    let is_pool = own.is_none() && pool.is_some();
    row.push("thin_count", is_pool.then(|| roles.thin_count(&lv.name)));
    let discards = pool.map(|pool| pool.discards.as_deref().unwrap_or("passdown"));
    row.push("discards", discards);
    let zero = match pool.map(|pool| pool.zero_new_blocks) {
        Some(true) => "zero",
        Some(false) => "",
        None => "unknown",
    };
    row.push("zero", zero);
    let transaction = match own {
        Some(thin) => Some(thin.transaction_id),
        None => pool.map(|pool| pool.transaction_id),
    };
    row.push("transaction_id", transaction);
    row.push("thin_id", own.map(|thin| u64::from(thin.device_id)));
}
