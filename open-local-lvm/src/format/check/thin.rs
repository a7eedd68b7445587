//! Messages of thin pools, parts of pools, origins, and the spare.
//!
//! Runs at every commit, so it looks no closer than it must: most groups have one pool, and most
//! pools few messages.

use std::collections::HashMap;

use super::{FindingKind, Findings, Object};
use crate::format::group::{
    LogicalVolume, SegmentKind, ThinMessage, ThinPoolSegment, ThinSegment, VolumeGroup,
};

/// A thin pool, the number of its segment, and what the segment says.
type Pool<'a> = (&'a LogicalVolume, usize, &'a ThinPoolSegment);

pub(super) fn check(group: &VolumeGroup, findings: &mut Findings) {
    let mut pools: Vec<Pool<'_>> = Vec::new();
    let mut spare: Option<&str> = None;
    for lv in &group.logical_volumes {
        if !lv.is_visible() && lv.name.contains("_pmspare") {
            if let Some(first) = spare {
                let message = format!("is a spare beside {first}");
                findings.add(FindingKind::SecondSpare, Object::Logical(lv.name.clone()), message);
            }
            spare = spare.or(Some(&lv.name));
        }
        for (number, segment) in (1..).zip(&lv.segments) {
            if let SegmentKind::ThinPool(pool) = &segment.kind {
                pools.push((lv, number, pool));
            }
        }
    }
    if pools.len() > 1 {
        origins(group, findings);
    }
    for pool in pools {
        parts(pool, findings);
        if !pool.2.messages.is_empty() {
            messages(group, pool, findings);
        }
    }
}

fn thin(group: &VolumeGroup) -> impl Iterator<Item = (&LogicalVolume, usize, &ThinSegment)> {
    group.logical_volumes.iter().flat_map(|lv| {
        let segments = (1usize..).zip(&lv.segments);
        segments.filter_map(move |(number, segment)| match &segment.kind {
            SegmentKind::Thin(own) => Some((lv, number, own)),
            _ => None,
        })
    })
}

/// A thin volume and what it was made from are in the same pool.
fn origins(group: &VolumeGroup, findings: &mut Findings) {
    let pools: HashMap<&str, &str> =
        thin(group).map(|(lv, _, own)| (lv.name.as_str(), own.thin_pool.as_str())).collect();
    for (lv, number, own) in thin(group) {
        // One that there is not is found among the references.
        let of = own.origin.as_deref().and_then(|name| pools.get(name));
        if let Some(of) = of.filter(|of| **of != own.thin_pool) {
            let message = format!("is in {}, its origin in {of}", own.thin_pool);
            let object = Object::Segment(lv.name.clone(), number);
            findings.add(FindingKind::DanglingReference, object, message);
        }
    }
}

fn parts((lv, number, pool): Pool<'_>, findings: &mut Findings) {
    let object = || Object::Segment(lv.name.clone(), number);
    if pool.data == pool.metadata {
        let message = format!("has {} for data and for metadata", pool.data);
        findings.add(FindingKind::UsedTwice, object(), message);
    }
    if !pool.messages.is_empty() && pool.transaction_id == 0 {
        let message = "has messages before its first transaction";
        findings.add(FindingKind::BadMessage, object(), message);
    }
}

/// Messages are about volumes of the pool and devices nobody has, each once.
fn messages(group: &VolumeGroup, (lv, number, pool): Pool<'_>, findings: &mut Findings) {
    let mut made: Vec<(&str, bool)> = Vec::new();
    let mut deleted: Vec<u32> = Vec::new();
    let mut unknown = 0usize;
    for message in &pool.messages {
        match message {
            ThinMessage::Create { lv } => made.push((lv, false)),
            ThinMessage::Delete { device_id } => deleted.push(*device_id),
            ThinMessage::Other(_) => unknown = unknown.saturating_add(1),
        }
    }
    made.sort_unstable();
    deleted.sort_unstable();
    let object = || Object::Segment(lv.name.clone(), number);
    let mut bad = |message: String| findings.add(FindingKind::BadMessage, object(), message);
    for ((one, _), (next, _)) in made.iter().zip(made.iter().skip(1)) {
        if one == next {
            bad(format!("two messages make {one}"));
        }
    }
    for (one, next) in deleted.iter().zip(deleted.iter().skip(1)) {
        if one == next {
            bad(format!("two messages delete device {one}"));
        }
    }
    for (of, _, own) in thin(group).filter(|(_, _, own)| own.thin_pool == lv.name) {
        if deleted.binary_search(&own.device_id).is_ok() {
            bad(format!("a message deletes device {}, which {} has", own.device_id, of.name));
        }
        let at = made.partition_point(|(name, _)| *name < of.name.as_str());
        let same = made.iter_mut().skip(at).take_while(|(name, _)| *name == of.name);
        same.for_each(|(_, found)| *found = true);
    }
    for (name, _) in made.iter().filter(|(_, found)| !found) {
        bad(format!("a message makes {name}, which is no volume of the pool"));
    }
    if unknown > 0 {
        let message = format!("has {unknown} messages that are not known");
        findings.add(FindingKind::UnknownMessage, object(), message);
    }
}
