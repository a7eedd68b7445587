//! Random operations on thin groups, with the kernel's pool beside them.

use proptest::prelude::*;

use super::cuts::Kernel;
use super::*;
use crate::format::check::FindingKind;

#[derive(Debug, Clone)]
enum Act {
    Empty(u8, u64),
    Copy { name: u8, of: u8, larger: Option<u64>, read_only: bool },
    Remove(u8),
    RollBack(u8, u8),
    Extend(u8, u64),
    Rename(u8, u8),
    Write(u8, bool),
    Data(u64),
    Metadata(u64),
    Linear(u8, u64),
    RenamePool,
}

fn acts() -> impl Strategy<Value = Act> {
    let name = 0u8..7;
    prop_oneof![
        5 => (name.clone(), 1u64..300).prop_map(|(name, size)| Act::Empty(name, size)),
        5 => (name.clone(), name.clone(), prop::option::of(1u64..400), any::<bool>())
            .prop_map(|(name, of, larger, read_only)| Act::Copy { name, of, larger, read_only }),
        3 => name.clone().prop_map(Act::Remove),
        4 => (name.clone(), name.clone()).prop_map(|(volume, to)| Act::RollBack(volume, to)),
        2 => (name.clone(), 1u64..500).prop_map(|(name, size)| Act::Extend(name, size)),
        1 => (name.clone(), name.clone()).prop_map(|(from, to)| Act::Rename(from, to)),
        1 => (name.clone(), any::<bool>()).prop_map(|(name, yes)| Act::Write(name, yes)),
        1 => (1u64..300).prop_map(Act::Data),
        1 => (1u64..20).prop_map(Act::Metadata),
        1 => (name, 1u64..200).prop_map(|(name, size)| Act::Linear(name, size)),
        1 => Just(Act::RenamePool),
    ]
}

fn operations(act: &Act) -> Vec<Operation> {
    let name = |number: &u8| format!("v{number}");
    let one = match act {
        Act::Empty(number, size) => empty(&name(number), *size),
        Act::Copy { name: number, of, larger, read_only } => {
            let mut new = NewThin::clone_of(name(number), name(of), larger.map(extents));
            new.read_only = *read_only;
            Operation::CreateThin(new)
        }
        Act::Remove(number) => remove(&name(number)),
        Act::RollBack(volume, to) => roll_back(&name(volume), &name(to)),
        Act::Extend(number, size) => extend(&name(number), *size),
        Act::Rename(from, to) => rename(&name(from), &name(to)),
        Act::Write(number, writable) => {
            Operation::SetWritable { name: name(number), writable: *writable }
        }
        Act::Data(size) => extend("pool", *size),
        Act::Metadata(size) => Operation::ExtendPoolMetadata(Growth::new("pool", extents(*size))),
        Act::Linear(number, size) => linear(&format!("l{number}"), *size),
        Act::RenamePool => return vec![rename("pool", "other"), rename("other", "pool")],
    };
    vec![one]
}

/// What must hold after any plan.
fn judge(before: &Metadata, plan: &Plan) {
    let group = plan.group();
    let small_spare = plan.warnings.iter().any(|warning| warning.contains("spare"));
    for finding in check(group) {
        // Noted for ever once there was no room.
        let known = finding.kind == FindingKind::SmallSpare;
        let was = check(&before.group).contains(&finding);
        assert!(known && (small_spare || was), "{finding}: {plan}");
    }
    assert_eq!(Metadata::parse(&plan.text().unwrap()).unwrap(), plan.metadata);
    let (was, is) = (segment(&before.group, "pool"), segment(group, "pool"));
    let told = plan.steps.iter().any(|step| matches!(step, Step::SendMessages(_)));
    assert_eq!(is.transaction_id, was.transaction_id + u64::from(told), "{plan}");
    assert!(!told || !is.messages.is_empty());
    // A volume keeps its UUID whatever becomes of its device, and never loses extents.
    for lv in &before.group.logical_volumes {
        if let Some(after) = group.logical_volumes.iter().find(|after| after.id == lv.id) {
            assert!(after.extents() >= lv.extents(), "{plan}");
        }
    }
}

const ALLOWED: [ErrorKind; 6] = [
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::OutOfSpace,
    ErrorKind::Busy,
    ErrorKind::InvalidArgument,
    ErrorKind::Refused,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    /// Plans of several operations; messages cleared at once or with the next plan; the kernel
    /// interrupted after some of them. In the end group and kernel agree.
    #[test]
    fn random_operations_keep_group_and_kernel_together(
        rounds in prop::collection::vec(
            (prop::collection::vec(acts(), 1..4), any::<bool>(), 0usize..6),
            1..25,
        ),
    ) {
        let mut now = planned(&group(), &[pool("pool", 100)]).metadata;
        let mut kernel = Kernel::new();
        // UUIDs are never drawn twice.
        let dice = Dice::default();
        let run = |metadata: &Metadata, wanted: &[Operation]| {
            plan(metadata, wanted, &context(&dice))
        };
        for (acts, lazily, cut) in &rounds {
            let mut wanted = vec![clear()];
            for act in acts {
                let before = wanted.len();
                wanted.extend(operations(act));
                if let Err(error) = run(&now, &wanted) {
                    prop_assert!(ALLOWED.contains(&error.kind()), "{act:?}: {}", error.report());
                    wanted.truncate(before);
                }
            }
            let plan = run(&now, &wanted).unwrap();
            judge(&now, &plan);
            kernel.settle(plan.group(), *cut);
            prop_assert!(kernel.settle(plan.group(), usize::MAX));
            kernel.agrees(plan.group());
            now = plan.metadata;
            if !lazily {
                now = run(&now, &[clear()]).unwrap().metadata;
            }
        }
    }
}
