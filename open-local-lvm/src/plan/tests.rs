use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::host::Entropy;
use open_local_core::{Bytes, Error, ErrorKind, Extents};

use super::*;
use crate::format::group::tests::GROUP;
use crate::format::group::{Area, LogicalVolume, Metadata, SegmentKind, VolumeGroup};
use crate::format::text::{Style, print};

mod devices;
mod random;
mod refusals;
mod thin;
mod volumes;

/// Random bytes that are the same in every run.
#[derive(Debug, Default)]
pub(super) struct Dice(AtomicU64);

impl Entropy for Dice {
    fn fill(&self, buf: &mut [u8]) -> Result<(), Error> {
        for byte in buf {
            let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            let mixed = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = mixed.to_le_bytes()[6];
        }
        Ok(())
    }
}

pub(super) fn context(dice: &Dice) -> Context<'_> {
    Context {
        host: "node",
        time: 1_800_000_000,
        description: "test",
        system_id: None,
        entropy: dice,
    }
}

pub(super) fn fixture() -> Metadata {
    Metadata::parse(GROUP.as_bytes()).unwrap()
}

/// The fixture with parts of its text replaced.
fn changed(changes: &[(&str, &str)]) -> Metadata {
    let mut text = GROUP.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    Metadata::parse(text.as_bytes()).unwrap()
}

fn run(metadata: &Metadata, operations: &[Operation]) -> Result<Plan, Error> {
    let dice = Dice::default();
    plan(metadata, operations, &context(&dice))
}

fn extents(count: u64) -> Size {
    Size::Extents(Extents::new(count))
}

fn linear(name: &str, count: u64) -> Operation {
    Operation::CreateVolume(NewVolume::new(name, extents(count)))
}

fn extend(name: &str, count: u64) -> Operation {
    Operation::Extend(Growth::new(name, extents(count)))
}

fn reduce(name: &str, count: u64) -> Operation {
    Operation::Reduce(Reduction { name: name.to_owned(), to: extents(count) })
}

fn rename(from: &str, to: &str) -> Operation {
    Operation::RenameVolume { from: from.to_owned(), to: to.to_owned() }
}

fn tagged(name: &str, add: &[&str], remove: &[&str]) -> Operation {
    Operation::TagVolume { name: name.to_owned(), tags: change(add, remove) }
}

fn change(add: &[&str], remove: &[&str]) -> TagChange {
    let own = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    TagChange { add: own(add), remove: own(remove) }
}

/// Something that is spoiled, with what the error then says.
type Spoiled<T> = (&'static str, fn(&mut T));

/// First extent, extents, and where the stripes begin.
type Part = (u64, u64, Vec<(String, u64)>);

/// Each segment as its extents and where its stripes begin.
fn segments(group: &VolumeGroup, name: &str) -> Vec<Part> {
    let areas = |segment: &crate::format::group::Segment| {
        let areas = segment.areas().iter().map(|area| match area {
            Area::Physical { pv, start } => (pv.clone(), start.get()),
            Area::Logical { lv, start } => (lv.clone(), start.get()),
        });
        areas.collect()
    };
    let segments = &group.logical(name).unwrap().segments;
    segments.iter().map(|s| (s.start_extent.get(), s.extent_count.get(), areas(s))).collect()
}

/// The section of a volume as it is written.
fn section(metadata: &Metadata, name: &str) -> String {
    let tree = metadata.to_tree();
    let group = tree.section(&metadata.group.name).unwrap();
    let volume = group.section("logical_volumes").unwrap().section(name).unwrap();
    String::from_utf8(print(volume, Style::Raw).unwrap()).unwrap()
}

/// Volumes that no step is about are written as they were, byte by byte.
fn others_are_carried(before: &Metadata, plan: &Plan, touched: &[&str]) {
    for LogicalVolume { name, .. } in &before.group.logical_volumes {
        if !touched.contains(&name.as_str()) {
            assert_eq!(section(before, name), section(&plan.metadata, name), "{name}");
        }
    }
}

fn kind(metadata: &Metadata, operation: Operation) -> (ErrorKind, String) {
    let error = run(metadata, &[operation]).unwrap_err();
    (error.kind(), error.report().to_string())
}

fn stripes(metadata: &Metadata, name: &str) -> Option<Bytes> {
    match &metadata.group.logical(name).unwrap().segments.last().unwrap().kind {
        SegmentKind::Striped(striped) => striped.stripe_size.and_then(|size| size.to_bytes()),
        _ => None,
    }
}
