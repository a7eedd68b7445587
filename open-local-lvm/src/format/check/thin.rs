//! Messages of thin pools, parts of pools, origins, and the spare.

use std::collections::{HashMap, HashSet};

use super::{FindingKind, Findings, Object};
use crate::format::group::{
    LogicalVolume, SegmentKind, ThinMessage, ThinPoolSegment, ThinSegment, VolumeGroup,
};

type Thin<'a> = HashMap<&'a str, &'a ThinSegment>;

pub(super) fn check(group: &VolumeGroup, findings: &mut Findings) {
    let mut thin: Thin<'_> = HashMap::new();
    let mut devices: HashSet<(&str, u32)> = HashSet::new();
    let mut pools: Vec<(&LogicalVolume, usize, &ThinPoolSegment)> = Vec::new();
    let mut spare = None;
    for lv in &group.logical_volumes {
        if !lv.is_visible() && lv.name.contains("_pmspare") {
            match spare {
                None => spare = Some(&lv.name),
                Some(first) => {
                    let message = format!("is a spare beside {first}");
                    findings.add(
                        FindingKind::SecondSpare,
                        Object::Logical(lv.name.clone()),
                        message,
                    );
                }
            }
        }
        for (number, segment) in (1..).zip(&lv.segments) {
            match &segment.kind {
                SegmentKind::Thin(own) => {
                    thin.insert(&lv.name, own);
                    devices.insert((&own.thin_pool, own.device_id));
                }
                SegmentKind::ThinPool(pool) => pools.push((lv, number, pool)),
                _ => {}
            }
        }
    }
    for lv in &group.logical_volumes {
        for (number, segment) in (1..).zip(&lv.segments) {
            if let SegmentKind::Thin(own) = &segment.kind {
                origin(&thin, own, &|| Object::Segment(lv.name.clone(), number), findings);
            }
        }
    }
    for (lv, number, pool) in pools {
        let object = || Object::Segment(lv.name.clone(), number);
        if pool.data == pool.metadata {
            let message = format!("has {} for data and for metadata", pool.data);
            findings.add(FindingKind::UsedTwice, object(), message);
        }
        if !pool.messages.is_empty() && pool.transaction_id == 0 {
            let message = "has messages before its first transaction";
            findings.add(FindingKind::BadMessage, object(), message);
        }
        messages(&thin, &devices, (&lv.name, pool), &object, findings);
    }
}

/// A thin volume and what it was made from are in the same pool.
fn origin(
    volumes: &Thin<'_>,
    own: &ThinSegment,
    object: &dyn Fn() -> Object,
    findings: &mut Findings,
) {
    // One that there is not is found among the references.
    let Some(origin) = own.origin.as_deref().and_then(|name| volumes.get(name)) else {
        return;
    };
    if origin.thin_pool != own.thin_pool {
        let message = format!("is in {}, its origin in {}", own.thin_pool, origin.thin_pool);
        findings.add(FindingKind::DanglingReference, object(), message);
    }
}

/// Messages are about volumes of the pool and devices nobody has, each once.
fn messages(
    volumes: &Thin<'_>,
    devices: &HashSet<(&str, u32)>,
    (name, pool): (&str, &ThinPoolSegment),
    object: &dyn Fn() -> Object,
    findings: &mut Findings,
) {
    let mut bad = |message: String| findings.add(FindingKind::BadMessage, object(), message);
    let (mut made, mut deleted) = (HashSet::new(), HashSet::new());
    let mut unknown = 0usize;
    for message in &pool.messages {
        match message {
            ThinMessage::Create { lv } => {
                if volumes.get(lv.as_str()).is_none_or(|own| own.thin_pool != name) {
                    bad(format!("a message makes {lv}, which is no volume of the pool"));
                }
                if !made.insert(lv) {
                    bad(format!("two messages make {lv}"));
                }
            }
            ThinMessage::Delete { device_id } => {
                if devices.contains(&(name, *device_id)) {
                    bad(format!("a message deletes device {device_id}, which a volume has"));
                }
                if !deleted.insert(device_id) {
                    bad(format!("two messages delete device {device_id}"));
                }
            }
            ThinMessage::Other(_) => unknown = unknown.saturating_add(1),
        }
    }
    if unknown > 0 {
        let message = format!("has {unknown} messages that are not known");
        findings.add(FindingKind::UnknownMessage, object(), message);
    }
}
