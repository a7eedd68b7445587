//! Deliberately broken backends: each fails exactly the case that names its fault.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "broken/copies.rs"]
mod copies;
#[path = "broken/cuts.rs"]
mod cuts;
#[path = "broken/groups.rs"]
mod groups;
#[path = "broken/sim_fixture.rs"]
mod sim_fixture;
#[path = "broken/volumes.rs"]
mod volumes;
#[path = "broken/wrapper.rs"]
mod wrapper;

use std::sync::Arc;

use open_local_core::conformance::{self, Report, Verdict};
use wrapper::{BrokenFixture, Fault};

type Make = fn() -> Arc<dyn Fault>;

struct Broken {
    fault: &'static str,
    caught_by: &'static str,
    make: Make,
}

fn fault<F: Fault + Default + 'static>() -> Arc<dyn Fault> {
    Arc::new(F::default())
}

macro_rules! broken {
    ($($fault:literal: $make:ty => $caught_by:literal,)*) => {
        &[$(Broken { fault: $fault, caught_by: $caught_by, make: fault::<$make> },)*]
    };
}

const BROKEN: &[Broken] = broken! {
    "ignores a conflict of size": volumes::IgnoresConflict => "identity/other_size_is_a_conflict",
    "ignores an unknown parameter": volumes::IgnoresParameter
        => "identity/unknown_parameter_is_refused",
    "ignores a snapshot's unknown parameter": copies::IgnoresParameter
        => "snapshots/unknown_parameter_is_refused",
    "ignores a conflict of source": volumes::IgnoresSource => "identity/other_source_is_a_conflict",
    "forgets after a restart": volumes::ForgetsAfterRestart => "restart/volumes_are_remembered",
    "leaks room on a kill": volumes::LeaksRoomOnKill => "interruption/grow",
    "leaks a device on a kill": volumes::LeaksDeviceOnKill => "interruption/publish",
    "lies about the size": volumes::LiesAboutSize => "volumes/device_is_as_large_as_said",
    "shrinks": volumes::Shrinks => "growth/never_shrinks",
    "removes a published volume": volumes::RemovesPublished => "publishing/published_is_not_removed",
    "promises too much": volumes::OverPromises => "capacity/largest_is_the_limit",
    "shows thin room as thick": volumes::ShowsThinRoomAsThick => "thin/largest_thick_is_the_limit",
    "shows old data": volumes::ShowsOldData => "content/fresh_reads_as_zeroes",
    "fails to unpublish the unknown": volumes::UnpublishOfUnknownFails
        => "publishing/unpublishing_unknown_is_no_error",
    "has two creators": volumes::TwoCreators => "threads/one_creates",
    "changes something by planning": volumes::PlanChanges => "plans/announce_and_change_nothing",
    "says no remedy": volumes::SaysNoRemedy => "errors/name_the_thing_and_the_remedy",
    "snapshot is not frozen": copies::SnapshotNotFrozen => "snapshots/keep_their_content",
    "takes a snapshot again": copies::SnapshotTakenAgain => "snapshots/again_takes_no_new_content",
    "clone shares with its source": copies::CloneShares => "clones/are_independent",
    "hides the group of its members": groups::HidesMembers => "groups/created_is_observed",
    "group is not frozen": groups::GroupNotFrozen => "groups/keep_their_content",
    "takes a group again": groups::GroupTakenAgain => "groups/same_again_is_unchanged",
    "ignores other members of a group": groups::IgnoresMembers
        => "groups/other_members_are_a_conflict",
    "replaces a snapshot by a member": groups::ReplacesSnapshots
        => "groups/taken_snapshot_is_a_conflict",
    "ignores a group's unknown parameter": groups::IgnoresParameter
        => "groups/malformed_are_refused",
    "takes what there is of a group": groups::TakesTheRest
        => "groups/missing_volume_makes_nothing",
    "removes a member alone": groups::RemovesMember => "groups/member_is_not_removed_alone",
    "leaves members of a removed group": groups::LeavesMembers => "groups/removed_with_members",
    "removes a group in use": groups::RemovesPublished => "groups/published_member_keeps_all",
    "restores the volume, not the member": groups::RestoresTheVolume
        => "groups/restore_from_member",
    "takes members one by one": groups::OneByOne => "groups/hold_one_moment",
    "says a group is taken when it was cut": groups::SaysTakenWhenCut
        => "interruption/group_snapshot",
    "says a group is removed when it was cut": groups::SaysRemovedWhenCut
        => "interruption/remove_group_snapshot",
    "roll back keeps new data": copies::RollBackKeepsNew => "roll_back/restores_content",
    "formats twice": copies::FormatsTwice => "tokens/giving_back_is_refused",
    "names no field in a conflict": volumes::NamesNoField => "identity/other_size_is_a_conflict",
    "shows promised room as left": volumes::ShowsPromisedAsLeft => "capacity/figures_add_up",
    "forgets its promises": volumes::ForgetsPromises => "capacity/figures_add_up",
    "loses the room of what is removed": volumes::LosesRoomOfRemoved
        => "capacity/removal_gives_room_back",
    "ignores the reserve": volumes::IgnoresReserve => "capacity/reserve_is_kept",
    "hides the reserve": volumes::HidesReserve => "capacity/reserve_is_kept",
    "says done when it was cut": cuts::SaysDoneWhenCut => "interruption/publish",
    "is ready in pieces": cuts::ReadyInPieces => "interruption/roll_back",
    "leaks when cut before the first step": cuts::LeaksWhenCutEarly => "interruption/roll_back",
    "leaks when cut before a later step": cuts::LeaksWhenCutLate => "interruption/roll_back",
    "leaks though nobody cut it": cuts::LeaksUncut => "thin/policy_is_kept",
    "gives the same room twice": cuts::SameRoomTwice => "threads/never_promise_too_much",
    "never spends the token": copies::NeverSpends => "tokens/spent_stays_spent",
};

/// The cases that were not run because the one that failed is what they rest on.
fn resting(report: &Report) -> Vec<&'static str> {
    let results = report.results().iter();
    let rests = results.filter(|result| match &result.verdict {
        Verdict::NotRun(why) => why.starts_with("rests on"),
        _ => false,
    });
    rests.map(|result| result.case.name()).collect()
}

#[test]
fn the_wrapper_itself_breaks_nothing() {
    let report = conformance::run(&BrokenFixture::new(fault::<volumes::NoFault>), "");
    let none: [&str; 0] = [];
    assert_eq!(report.failed(), none, "{report}");
    assert_eq!(resting(&report), none, "{report}");
}

#[test]
fn each_fault_fails_exactly_the_case_that_names_it() {
    let mut wrong = Vec::new();
    println!("{:36}  {:45}  not run for it", "fault", "caught by");
    for broken in BROKEN {
        let report = conformance::run(&BrokenFixture::new(broken.make), "");
        let (failed, not_run) = (report.failed(), resting(&report));
        println!("{:36}  {:45}  {}", broken.fault, failed.join(", "), not_run.len());
        if failed != [broken.caught_by] {
            wrong.push(format!("{}: {failed:?}\n{report}", broken.fault));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(BROKEN.len() >= 10);
}

/// Faults of the way to be cut: every case that cuts must fail, and no other.
#[test]
fn a_backend_that_cant_be_cut_fails_every_case_that_cuts() {
    let faults: [(&str, Make, &str); 2] = [
        ("never asks before a step", fault::<cuts::NeverAsks>, "it took no step"),
        ("takes a step to open", fault::<cuts::StepsToOpen>, "opening a pool"),
    ];
    for (name, make, reason) in faults {
        let report = conformance::run(&BrokenFixture::new(make), "");
        for result in report.results() {
            let case = result.case.name();
            let cuts = case.starts_with("interruption/");
            match &result.verdict {
                Verdict::Failed(why) => assert!(cuts && why.contains(reason), "{name}\n{report}"),
                Verdict::NotRun(_) => assert!(cuts || case.starts_with("processes/"), "{case}"),
                _ => assert!(!cuts, "{name}: {case} passed"),
            }
        }
    }
}
