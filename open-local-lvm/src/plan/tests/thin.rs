//! Pools and thin volumes: what is planned, and what the kernel would be told.

use super::*;
use crate::alloc::Policy;
use crate::format::check::check;
use crate::format::group::{
    AllocationPolicy, ThinMessage, ThinPoolSegment, ThinSegment, flag, status,
};
use crate::plan::thin::{
    Answer, Discards, KernelMessage, NewThin, NewThinPool, PoolChange, Promised, Sending,
    Settlement, Transaction, settle,
};

mod cuts;
mod model;
mod pools;
mod refused;
mod transactions;
mod volumes;

/// Two disks of 2 GiB with extents of 4 MiB.
fn group() -> Metadata {
    let physical = ["/dev/a", "/dev/b"].map(|path| devices::device(path, 2 << 30));
    let dice = Dice::default();
    create_group(&NewGroup::new("vg", physical.to_vec()), &context(&dice)).unwrap().metadata
}

fn pool(name: &str, count: u64) -> Operation {
    Operation::CreateThinPool(NewThinPool::new(name, extents(count)))
}

fn empty(name: &str, count: u64) -> Operation {
    Operation::CreateThin(NewThin::empty(name, "pool", extents(count)))
}

fn snapshot(name: &str, of: &str) -> Operation {
    Operation::CreateThin(NewThin::snapshot(name, of))
}

fn remove(name: &str) -> Operation {
    Operation::RemoveVolume(name.to_owned())
}

fn roll_back(volume: &str, snapshot: &str) -> Operation {
    let (volume, snapshot) = (volume.to_owned(), snapshot.to_owned());
    Operation::RollBackThin { volume, snapshot }
}

fn clear() -> Operation {
    Operation::ClearMessages("pool".to_owned())
}

/// The text is whole, and what is planned has a line each.
fn planned(metadata: &Metadata, operations: &[Operation]) -> Plan {
    let plan = run(metadata, operations).unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(check(plan.group()), [], "{plan}");
    assert_eq!(Metadata::parse(&plan.text().unwrap()).unwrap(), plan.metadata);
    assert!(plan.steps.iter().all(|step| !step.to_string().is_empty()), "{plan:?}");
    plan
}

/// The same, with the messages sent and cleared.
fn settled(metadata: &Metadata, operations: &[Operation]) -> Metadata {
    let plan = planned(metadata, operations);
    planned(&plan.metadata, &[clear()]).metadata
}

/// A pool of 100 extents with a volume of 50 that has a snapshot, all settled.
fn furnished() -> Metadata {
    let with_pool = planned(&group(), &[pool("pool", 100)]).metadata;
    settled(&with_pool, &[empty("v", 50), snapshot("s", "v")])
}

fn thin<'a>(group: &'a VolumeGroup, name: &str) -> &'a ThinSegment {
    match &group.logical(name).unwrap().segments[0].kind {
        SegmentKind::Thin(thin) => thin,
        other => panic!("{other:?}"),
    }
}

fn segment<'a>(group: &'a VolumeGroup, name: &str) -> &'a ThinPoolSegment {
    match &group.logical(name).unwrap().segments[0].kind {
        SegmentKind::ThinPool(pool) => pool,
        other => panic!("{other:?}"),
    }
}

/// What the kernel is to be told by the last step.
fn told(plan: &Plan) -> Vec<String> {
    match plan.steps.last() {
        Some(Step::SendMessages(transaction)) => {
            transaction.messages.iter().map(ToString::to_string).collect()
        }
        _ => Vec::new(),
    }
}

fn size_of(group: &VolumeGroup, name: &str) -> u64 {
    group.logical(name).unwrap().extents().unwrap().get()
}
