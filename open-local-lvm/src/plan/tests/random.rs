//! Random operations on random groups, against a model of single extents.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::alloc::{FreeMap, Policy};
use crate::format::check::check;

#[derive(Debug, Clone)]
enum Act {
    Create { name: u8, extents: u64, stripes: u32, policy: Option<Policy>, read_only: bool },
    Remove(u8),
    Extend { name: u8, to: u64, stripes: Option<u32> },
    Reduce { name: u8, to: u64 },
    Rename(u8, u8),
    Tag(u8, u8),
    Write(u8, bool),
    Allocatable(u8, bool),
    Grow(u8, u64),
    Join(u64),
    Leave(u8),
}

fn acts() -> impl Strategy<Value = Act> {
    let name = 0u8..6;
    let policy = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Policy::Contiguous)),
        1 => Just(Some(Policy::Cling)),
        1 => Just(Some(Policy::Normal)),
    ];
    prop_oneof![
        6 => (name.clone(), 1u64..60, 1u32..4, policy, any::<bool>()).prop_map(
            |(name, extents, stripes, policy, read_only)| {
                Act::Create { name, extents, stripes, policy, read_only }
            }
        ),
        2 => name.clone().prop_map(Act::Remove),
        4 => (name.clone(), 1u64..90, prop::option::of(1u32..4))
            .prop_map(|(name, to, stripes)| Act::Extend { name, to, stripes }),
        2 => (name.clone(), 1u64..60).prop_map(|(name, to)| Act::Reduce { name, to }),
        1 => (name.clone(), name.clone()).prop_map(|(from, to)| Act::Rename(from, to)),
        1 => (name.clone(), 0u8..4).prop_map(|(name, tag)| Act::Tag(name, tag)),
        1 => (name.clone(), any::<bool>()).prop_map(|(name, writable)| Act::Write(name, writable)),
        1 => (0u8..4, any::<bool>()).prop_map(|(pv, yes)| Act::Allocatable(pv, yes)),
        1 => (0u8..4, 20u64..200).prop_map(|(pv, size)| Act::Grow(pv, size)),
        1 => (30u64..200).prop_map(Act::Join),
        1 => (0u8..4).prop_map(Act::Leave),
    ]
}

fn name(number: u8) -> String {
    format!("v{number}")
}

fn operation(act: &Act, group: &VolumeGroup) -> Operation {
    let pv = |number: u8| {
        let count = group.physical_volumes.len();
        &group.physical_volumes[usize::from(number) % count]
    };
    match act {
        Act::Create { name: number, extents: count, stripes, policy, read_only } => {
            let mut new = NewVolume::new(name(*number), extents(*count));
            (new.stripes, new.policy, new.read_only) = (*stripes, *policy, *read_only);
            Operation::CreateVolume(new)
        }
        Act::Remove(number) => Operation::RemoveVolume(name(*number)),
        Act::Extend { name: number, to, stripes } => {
            let mut growth = Growth::new(name(*number), extents(*to));
            growth.stripes = *stripes;
            Operation::Extend(growth)
        }
        Act::Reduce { name: number, to } => reduce(&name(*number), *to),
        Act::Rename(from, to) => rename(&name(*from), &name(*to)),
        Act::Tag(number, tag) if tag % 2 == 0 => tagged(&name(*number), &[&format!("t{tag}")], &[]),
        Act::Tag(number, tag) => tagged(&name(*number), &[], &[&format!("t{}", tag - 1)]),
        Act::Write(number, writable) => {
            Operation::SetWritable { name: name(*number), writable: *writable }
        }
        Act::Allocatable(number, allocatable) => {
            Operation::SetAllocatable { id: pv(*number).id, allocatable: *allocatable }
        }
        Act::Grow(number, size) => Operation::ResizePhysical(PhysicalResize {
            id: pv(*number).id,
            device_size: Bytes::new((size << 20) + (17 << 20)),
            metadata_areas: Vec::new(),
        }),
        Act::Join(size) => {
            Operation::AddPhysical(devices::device(&format!("/dev/j{size}"), size << 20))
        }
        Act::Leave(number) => Operation::RemovePhysical(pv(*number).id),
    }
}

/// Every extent of every volume in order, as physical volume and extent.
type Extent = (String, u64);

fn extents_of(lv: &LogicalVolume) -> Vec<Vec<Extent>> {
    let rows = lv.segments.iter().flat_map(|segment| {
        let stripes = segment.areas().len() as u64;
        (0..segment.extent_count.get() / stripes).map(|row| {
            let areas = segment.areas().iter().map(|area| match area {
                Area::Physical { pv, start } => (pv.clone(), start.get() + row),
                Area::Logical { .. } => panic!("none is made"),
            });
            areas.collect()
        })
    });
    rows.collect()
}

fn whole(group: &VolumeGroup) -> BTreeMap<String, Vec<Vec<Extent>>> {
    group.logical_volumes.iter().map(|lv| (lv.id.to_string(), extents_of(lv))).collect()
}

/// What must hold after any plan.
fn judge(before: &Metadata, act: &Act, plan: &Plan) {
    let group = plan.group();
    assert_eq!(check(group), [], "{act:?}");
    assert_eq!(Metadata::parse(&plan.text().unwrap()).unwrap(), plan.metadata);
    let changed = u32::from(!plan.is_empty());
    assert_eq!(group.seqno, before.group.seqno + changed);
    // No extent twice, none beyond its physical volume, none lost.
    let volumes = whole(group);
    let mut seen = BTreeSet::new();
    for (pv, extent) in volumes.values().flatten().flatten() {
        assert!(seen.insert((pv.clone(), *extent)), "{pv} {extent} twice");
        assert!(*extent < group.physical(pv).unwrap().pe_count.get());
    }
    let all: u64 = group.physical_volumes.iter().map(|pv| pv.pe_count.get()).sum();
    let ids = group.physical_volumes.iter().map(|pv| pv.id);
    let map = FreeMap::of_group(group).unwrap();
    let free: u64 = ids.flat_map(|id| map.runs(&id).to_vec()).map(|run| run.count.get()).sum();
    assert_eq!(free + seen.len() as u64, all);
    // What was there stays where it is: growth adds at the end, reduction cuts there.
    for (id, was) in whole(&before.group) {
        match volumes.get(&id) {
            Some(is) => {
                let common = is.len().min(was.len());
                assert_eq!(is[..common], was[..common], "{act:?}");
                let shrinks = matches!(act, Act::Reduce { .. });
                assert!(is.len() >= was.len() || shrinks, "{act:?}");
            }
            None => assert!(matches!(act, Act::Remove(_)), "{act:?}"),
        }
    }
    for lv in &group.logical_volumes {
        for segment in &lv.segments {
            let pvs = segment.areas().iter().map(|area| match area {
                Area::Physical { pv, .. } | Area::Logical { lv: pv, .. } => pv,
            });
            let pvs: BTreeSet<_> = pvs.collect();
            assert_eq!(pvs.len(), segment.areas().len(), "stripes share a device");
        }
    }
}

/// Where the allocator may say no although there are extents.
fn might_lack_room(act: &Act, group: &VolumeGroup, wanted: u64) -> bool {
    let free = FreeMap::of_group(group).unwrap().free().get();
    match act {
        Act::Create { stripes: 1, policy: None | Some(Policy::Normal), .. } => wanted > free,
        Act::Extend { stripes: Some(1), name: number, .. } => {
            let lv = group.logical(&name(*number)).unwrap();
            wanted > free || lv.allocation_policy.is_some()
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_keep_every_promise(
        sizes in prop::collection::vec(30u64..250, 1..4),
        acts in prop::collection::vec(acts(), 1..40),
    ) {
        let dice = Dice::default();
        let physical = sizes.iter().enumerate();
        let physical = physical.map(|(n, size)| devices::device(&format!("/dev/d{n}"), size << 20));
        let mut new = NewGroup::new("vg", physical.collect());
        new.extent_size = Bytes::MIB;
        let mut now = create_group(&new, &context(&dice)).unwrap().metadata;
        for act in &acts {
            let operation = operation(act, &now.group);
            match plan(&now, std::slice::from_ref(&operation), &context(&dice)) {
                Ok(plan) => {
                    judge(&now, act, &plan);
                    let touched = plan.steps.len();
                    prop_assert!(touched <= 1, "{plan}");
                    now = plan.metadata;
                }
                Err(error) => match error.kind() {
                    ErrorKind::OutOfSpace => {
                        let number = match act {
                            Act::Create { extents, .. } => *extents,
                            Act::Extend { name: number, to, .. } => {
                                let lv = now.group.logical(&name(*number)).unwrap();
                                to - lv.extents().unwrap().get()
                            }
                            other => panic!("{other:?}: {error}"),
                        };
                        prop_assert!(might_lack_room(act, &now.group, number), "{act:?}: {error}");
                    }
                    ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Busy => {}
                    ErrorKind::Refused => prop_assert!(matches!(act, Act::Leave(_)), "{error}"),
                    other => panic!("{act:?}: {other}: {error}"),
                },
            }
        }
    }

    /// All at once is the same as one after the other, but for the number of commits.
    #[test]
    fn one_plan_for_all_is_as_good_as_a_plan_for_each(
        acts in prop::collection::vec(acts(), 1..12),
    ) {
        let physical = vec![devices::device("/dev/a", 100 << 20), devices::device("/dev/b", 90 << 20)];
        let mut new = NewGroup::new("vg", physical);
        new.extent_size = Bytes::MIB;
        let first = create_group(&new, &context(&Dice::default())).unwrap().metadata;
        let (apart, together) = (Dice::default(), Dice::default());
        let mut now = first.clone();
        let mut operations = Vec::new();
        for act in acts.iter().filter(|act| !matches!(act, Act::Join(_) | Act::Leave(_))) {
            let operation = operation(act, &now.group);
            if let Ok(plan) = plan(&now, std::slice::from_ref(&operation), &context(&apart)) {
                now = plan.metadata;
                operations.push(operation);
            }
        }
        let mut plan = plan(&first, &operations, &context(&together)).unwrap();
        plan.metadata.group.seqno = now.group.seqno;
        // UUIDs of failed creations are drawn too; compare without them.
        let plain = |group: &VolumeGroup| {
            let mut group = group.clone();
            group.logical_volumes.iter_mut().for_each(|lv| lv.id = group.id);
            group
        };
        prop_assert_eq!(plain(plan.group()), plain(&now.group));
    }
}
