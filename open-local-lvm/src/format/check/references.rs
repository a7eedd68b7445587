//! Names of volumes inside other volumes: they exist, are used once, and make no circle.

use std::collections::{HashMap, HashSet};

use super::{FindingKind, Findings, Object};
use crate::format::group::{Area, Segment, SegmentKind, SnapshotStore, VolumeGroup};
use crate::format::text::{Item, Value};

/// Keys of carried segments whose values are names of volumes (lvm2 2.03.16).
const KEYS: [&str; 14] = [
    "cache_pool",
    "data",
    "external_origin",
    "fast",
    "meta_dev",
    "metadata",
    "mirror_log",
    "mirrors",
    "origin",
    "raid0_lvs",
    "raids",
    "stripes",
    "vdo_pool",
    "writecache",
];

/// How one volume uses another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// As a part nobody else may use.
    Part,
    /// As a pool or origin, beside others.
    Shared,
}

pub(super) fn check(group: &VolumeGroup, findings: &mut Findings) {
    let mut segments = group.logical_volumes.iter().flat_map(|lv| &lv.segments);
    if segments.all(|segment| references(segment).is_empty()) {
        return;
    }
    let index: HashMap<&str, usize> =
        (0..).zip(&group.logical_volumes).map(|(at, lv)| (lv.name.as_str(), at)).collect();
    let physical: HashSet<&str> = group.physical_volumes.iter().map(|pv| pv.key.as_str()).collect();
    let mut edges: Vec<Vec<usize>> = Vec::with_capacity(group.logical_volumes.len());
    let mut user: HashMap<usize, &str> = HashMap::new();
    for lv in &group.logical_volumes {
        let mut targets = Vec::new();
        for (number, segment) in (1..).zip(&lv.segments) {
            let object = || Object::Segment(lv.name.clone(), number);
            for (name, how) in references(segment) {
                let Some(target) = index.get(name).copied() else {
                    if !physical.contains(name) || !matches!(segment.kind, SegmentKind::Carried(_))
                    {
                        let message = format!("names {name}, which there is not");
                        findings.add(FindingKind::DanglingReference, object(), message);
                    }
                    continue;
                };
                targets.push(target);
                if how == Use::Part {
                    match user.insert(target, &lv.name) {
                        Some(other) if other != lv.name => {
                            let message = format!("uses {name}, which {other} uses too");
                            findings.add(FindingKind::UsedTwice, object(), message);
                        }
                        _ => {}
                    }
                }
            }
        }
        edges.push(targets);
    }
    if let Some(at) = circle(&edges) {
        let name = group.logical_volumes.get(at).map(|lv| lv.name.clone()).unwrap_or_default();
        findings.add(FindingKind::Cycle, Object::Logical(name), "is part of itself");
    }
}

/// Names of volumes a segment is made of or depends on.
pub(crate) fn references(segment: &Segment) -> Vec<(&str, Use)> {
    match &segment.kind {
        SegmentKind::Striped(striped) => {
            let logical = striped.areas.iter().filter_map(|area| match area {
                Area::Logical { lv, .. } => Some((lv.as_str(), Use::Shared)),
                Area::Physical { .. } => None,
            });
            logical.collect()
        }
        SegmentKind::ThinPool(pool) => {
            vec![(pool.metadata.as_str(), Use::Part), (pool.data.as_str(), Use::Part)]
        }
        SegmentKind::Thin(thin) => {
            let others = [&thin.origin, &thin.external_origin, &thin.merge];
            let others = others.into_iter().flatten();
            let all = std::iter::once(&thin.thin_pool).chain(others);
            all.map(|name| (name.as_str(), Use::Shared)).collect()
        }
        SegmentKind::Snapshot { origin, store, .. } => {
            let (SnapshotStore::Cow(store) | SnapshotStore::Merging(store)) = store;
            vec![(origin.as_str(), Use::Shared), (store.as_str(), Use::Part)]
        }
        SegmentKind::Carried(carried) => {
            let known = carried.entries.iter().filter(|entry| KEYS.contains(&&*entry.key));
            let values = known.filter_map(|entry| match &entry.item {
                Item::Value(value) => Some(value.items()),
                Item::Section(_) => None,
            });
            let texts = values.flatten().filter_map(Value::as_str);
            texts.map(|name| (name, Use::Shared)).collect()
        }
    }
}

/// A volume that is reached from itself. Depth-first with a stack of our own.
fn circle(edges: &[Vec<usize>]) -> Option<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for start in 0..edges.len() {
        if marks.get(start) != Some(&Mark::New) {
            continue;
        }
        let mut stack = vec![(start, 0usize)];
        while let Some((at, next)) = stack.pop() {
            let target = edges.get(at).and_then(|targets| targets.get(next)).copied();
            if let Some(mark) = marks.get_mut(at) {
                *mark = if target.is_some() { Mark::Open } else { Mark::Done };
            }
            let Some(target) = target else {
                continue;
            };
            stack.push((at, next.saturating_add(1)));
            match marks.get(target) {
                Some(Mark::Open) => return Some(target),
                Some(Mark::New) => stack.push((target, 0)),
                Some(Mark::Done) | None => {}
            }
        }
    }
    None
}
