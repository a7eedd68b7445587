//! Thin volumes: made, copied, grown, rolled back, removed; several in one transaction.

use super::*;

#[test]
fn a_volume_gets_a_device_and_the_pool_a_message() {
    let with_pool = planned(&group(), &[pool("pool", 100)]).metadata;
    let plan = planned(&with_pool, &[empty("v", 500)]);
    assert_eq!(
        plan.to_string(),
        "group vg:\n  1. create thin volume v: device 1 of pool pool, 500 extents\n  2. tell pool \
         pool: create_thin 1, then transaction 1"
    );
    assert_eq!(size_of(plan.group(), "v"), 500, "more than there is");
    assert_eq!((thin(plan.group(), "v").device_id, thin(plan.group(), "v").transaction_id), (1, 0));
    let pool = segment(plan.group(), "pool");
    assert_eq!(pool.transaction_id, 1);
    assert_eq!(pool.messages, [ThinMessage::Create { lv: "v".to_owned() }]);
    let free = |group| crate::alloc::FreeMap::of_group(group).unwrap().free();
    assert_eq!(free(plan.group()), free(&with_pool.group), "no extent is taken");
    // The same again is nothing to do, also while the message is pending.
    assert!(run(&plan.metadata, &[empty("v", 500)]).unwrap().is_empty());
    let cleared = planned(&plan.metadata, &[clear()]);
    assert_eq!(segment(cleared.group(), "pool").messages, []);
    assert_eq!(segment(cleared.group(), "pool").transaction_id, 1);
    assert!(run(&cleared.metadata, &[clear()]).unwrap().is_empty());
}

#[test]
fn the_next_commit_drops_messages_that_were_sent() {
    let with_pool = planned(&group(), &[pool("pool", 100)]).metadata;
    let first = planned(&with_pool, &[empty("a", 5)]).metadata;
    let (kind, report) = kind(&first, empty("b", 5));
    assert_eq!(kind, ErrorKind::Busy, "{report}");
    let plan = planned(&first, &[clear(), empty("b", 5)]);
    assert_eq!(told(&plan), ["create_thin 2"]);
    assert_eq!(segment(plan.group(), "pool").transaction_id, 2);
    // What does not concern the kernel's devices carries them along.
    let plan = planned(&first, &[extend("a", 9), rename("a", "z"), tagged("z", &["t"], &[])]);
    assert_eq!(
        segment(plan.group(), "pool").messages,
        [ThinMessage::Create { lv: "z".to_owned() }]
    );
    assert_eq!(told(&plan), [""; 0]);
}

#[test]
fn a_snapshot_has_the_size_of_its_origin_and_is_passed_over_by_activation() {
    let mut read_only = NewThin::snapshot("r", "v");
    (read_only.read_only, read_only.auto_activation) = (true, false);
    let plan = planned(&furnished(), &[Operation::CreateThin(read_only)]);
    let lv = plan.group().logical("r").unwrap();
    assert!(!lv.is_writable() && lv.flags.has(flag::ACTIVATION_SKIP));
    assert!(lv.flags.has(flag::NOAUTOACTIVATE));
    assert_eq!(size_of(plan.group(), "r"), 50);
    assert_eq!(thin(plan.group(), "r").origin.as_deref(), Some("v"));
    assert_eq!(told(&plan), ["create_snap 3 1"]);
    let Settlement::Pending(transaction) = settle(plan.group(), "pool", 1).unwrap() else {
        panic!()
    };
    assert_eq!(transaction.origins, ["v"]);
}

#[test]
fn a_clone_is_activated_like_any_volume_and_may_be_larger() {
    let clone = |size| Operation::CreateThin(NewThin::clone_of("c", "s", size));
    let plan = planned(&furnished(), &[clone(Some(extents(80)))]);
    let lv = plan.group().logical("c").unwrap();
    assert!(lv.is_writable() && !lv.flags.has(flag::ACTIVATION_SKIP));
    assert_eq!(size_of(plan.group(), "c"), 80);
    assert_eq!(told(&plan), ["create_snap 3 2"]);
    assert_eq!(size_of(planned(&furnished(), &[clone(None)]).group(), "c"), 50);
    assert!(run(&plan.metadata, &[clone(Some(extents(80)))]).unwrap().is_empty());
    let (kind, report) = kind(&furnished(), clone(Some(extents(49))));
    assert_eq!(kind, ErrorKind::InvalidArgument, "{report}");
}

#[test]
fn several_volumes_are_one_transaction_and_one_message_each() {
    let plan = planned(
        &furnished(),
        &[empty("a", 10), snapshot("b", "a"), snapshot("c", "v"), snapshot("d", "b"), remove("s")],
    );
    let wanted =
        ["create_thin 3", "create_snap 4 3", "create_snap 5 1", "create_snap 6 4", "delete 2"];
    assert_eq!(told(&plan), wanted);
    assert_eq!(segment(plan.group(), "pool").transaction_id, 2, "one higher");
    let Some(Step::SendMessages(transaction)) = plan.steps.last() else { panic!() };
    assert_eq!((transaction.from, transaction.to), (1, 2));
    assert_eq!(transaction.origins, ["a", "v", "b"]);
}

#[test]
fn pools_have_transactions_of_their_own() {
    let both = planned(&furnished(), &[pool("p2", 10)]).metadata;
    let other = Operation::CreateThin(NewThin::empty("w", "p2", extents(3)));
    let plan = planned(&both, &[other, empty("x", 3)]);
    assert_eq!(segment(plan.group(), "p2").transaction_id, 1);
    assert_eq!(segment(plan.group(), "pool").transaction_id, 2);
    assert_eq!(thin(plan.group(), "w").device_id, 1, "numbers are the pool's own");
    let sent = plan.steps.iter().filter(|step| matches!(step, Step::SendMessages(_)));
    assert_eq!(sent.count(), 2);
}

#[test]
fn devices_that_are_being_deleted_are_not_given_away() {
    // Else a message sent again would delete what was just made.
    let plan = planned(&furnished(), &[remove("s"), empty("n", 5)]);
    assert_eq!(told(&plan), ["create_thin 3", "delete 2"]);
    let later = planned(&plan.metadata, &[clear(), remove("n")]).metadata;
    let plan = planned(&later, &[clear(), empty("m", 5)]);
    assert_eq!(told(&plan), ["create_thin 2"], "free again");
}

#[test]
fn a_removed_volume_is_forgotten_by_its_copies() {
    let plan = planned(&furnished(), &[remove("v")]);
    assert_eq!(told(&plan), ["delete 1"]);
    assert!(plan.group().logical("v").is_none());
    assert_eq!(thin(plan.group(), "s").origin, None);
    assert!(run(&plan.metadata, &[remove("v")]).unwrap().is_empty(), "asked for again");
    // One that was never made is deleted in its place.
    let plan = planned(&furnished(), &[empty("n", 5), remove("n")]);
    assert_eq!(told(&plan), ["delete 3"]);
}

#[test]
fn growth_of_a_volume_is_virtual() {
    let plan = planned(&furnished(), &[extend("v", 5000)]);
    assert_eq!(size_of(plan.group(), "v"), 5000);
    assert_eq!(plan.to_string(), "group vg:\n  1. extend thin volume v from 50 to 5000 extents");
    assert_eq!(segment(plan.group(), "pool").transaction_id, 1, "the kernel need not know");
    others_are_carried(&furnished(), &plan, &["v"]);
    assert!(run(&plan.metadata, &[extend("v", 5000)]).unwrap().is_empty());
}

#[test]
fn a_roll_back_keeps_the_volume_and_the_snapshot_and_can_be_repeated() {
    let before = furnished();
    let plan = planned(&before, &[roll_back("v", "s")]);
    assert_eq!(told(&plan), ["create_snap 3 2", "delete 1"]);
    let (was, is) = (before.group.logical("v").unwrap(), plan.group().logical("v").unwrap());
    assert_eq!((was.id, &was.status, &was.tags), (is.id, &is.status, &is.tags));
    assert_eq!(thin(plan.group(), "v").device_id, 3);
    assert_eq!(thin(plan.group(), "v").origin.as_deref(), Some("s"));
    assert_eq!((thin(plan.group(), "s").device_id, &thin(plan.group(), "s").origin), (2, &None));
    let again = planned(&plan.metadata, &[clear(), roll_back("v", "s")]);
    assert_eq!(told(&again), ["create_snap 4 2", "delete 3"]);
    // The snapshot may go afterwards, and so may the volume.
    let last = planned(&again.metadata, &[clear(), remove("s"), remove("v")]);
    assert_eq!(told(&last), ["delete 2", "delete 4"]);
}

#[test]
fn a_roll_back_never_makes_a_volume_smaller_or_a_circle_of_origins() {
    let grown = planned(&furnished(), &[extend("v", 80)]).metadata;
    assert_eq!(size_of(planned(&grown, &[roll_back("v", "s")]).group(), "v"), 80);
    let grown = planned(&furnished(), &[extend("s", 90)]).metadata;
    assert_eq!(size_of(planned(&grown, &[roll_back("v", "s")]).group(), "v"), 90);
    // v <- s <- q: to the last of a chain, then to the one before.
    let chain = settled(&furnished(), &[snapshot("q", "s")]);
    let first = settled(&chain, &[roll_back("v", "q")]);
    let second = planned(&first, &[roll_back("v", "s")]);
    assert_eq!(thin(second.group(), "v").origin.as_deref(), Some("s"));
    // And a snapshot back to its own copy.
    let back = planned(&chain, &[roll_back("s", "q")]);
    assert_eq!(thin(back.group(), "s").origin.as_deref(), Some("q"));
}

#[test]
fn several_volumes_are_rolled_back_together() {
    let two = settled(&furnished(), &[empty("w", 20), snapshot("t", "w")]);
    let plan = planned(&two, &[roll_back("v", "s"), roll_back("w", "t")]);
    assert_eq!(told(&plan), ["create_snap 5 2", "create_snap 6 4", "delete 1", "delete 3"]);
}

#[test]
fn a_volume_the_kernel_refused_is_given_up_in_the_same_transaction() {
    let plan = planned(&furnished(), &[empty("n", 5), snapshot("m", "v"), remove("s")]);
    let abandon = |name: &str, back_to| Operation::AbandonThin { volume: name.to_owned(), back_to };
    let less = planned(&plan.metadata, &[abandon("m", None)]);
    assert_eq!(told(&less), ["create_thin 3", "delete 2", "delete 4"]);
    assert_eq!(segment(less.group(), "pool").transaction_id, 2, "the same");
    assert!(less.group().logical("m").is_none() && less.group().logical("n").is_some());
    let (kind, report) = kind(&less.metadata, abandon("v", None));
    assert_eq!(kind, ErrorKind::Refused, "{report}");
}

#[test]
fn a_roll_back_the_kernel_refused_is_taken_back() {
    let before = furnished();
    let plan = planned(&before, &[roll_back("v", "s")]);
    let abandon = |device| Operation::AbandonThin { volume: "v".to_owned(), back_to: Some(device) };
    let back = planned(&plan.metadata, &[abandon(1)]);
    assert_eq!(told(&back), ["delete 3"]);
    assert_eq!(thin(back.group(), "v").device_id, 1);
    assert_eq!(back.group().logical("v").unwrap().id, before.group.logical("v").unwrap().id);
    let (kind, report) = kind(&plan.metadata, abandon(2));
    assert_eq!(kind, ErrorKind::InvalidArgument, "{report}");
}

#[test]
fn access_and_names_change_as_those_of_other_volumes() {
    let write = |name: &str, writable| Operation::SetWritable { name: name.to_owned(), writable };
    let plan = planned(&furnished(), &[write("v", false), write("s", false), rename("v", "w")]);
    assert!(!plan.group().logical("w").unwrap().status.has(status::WRITE));
    assert_eq!(thin(plan.group(), "s").origin.as_deref(), Some("w"));
    let back = planned(&plan.metadata, &[rename("w", "v"), write("v", true), write("s", true)]);
    assert_eq!(back.group().logical_volumes, furnished().group.logical_volumes);
}

#[test]
fn promises_are_volumes_and_snapshots_that_may_be_written() {
    let mut read_only = NewThin::snapshot("r", "v");
    read_only.read_only = true;
    let metadata =
        settled(&furnished(), &[Operation::CreateThin(read_only), empty("x", 7), extend("s", 60)]);
    let mib = |count: u64| Bytes::new(count << 22);
    let promised = Promised::of(&metadata.group, "pool").unwrap();
    assert_eq!(promised.volumes, mib(57));
    assert_eq!(promised.writable_snapshots, mib(60));
    assert_eq!(promised.read_only_snapshots, mib(50));
    assert_eq!(promised.total(), mib(117));
    // An orphan is a snapshot to whoever remembers that it was one.
    let orphans = settled(&metadata, &[remove("v")]).group;
    assert_eq!(Promised::of(&orphans, "pool").unwrap().total(), mib(7 + 60 + 50));
    let known = |lv: &LogicalVolume| ["r", "s"].contains(&lv.name.as_str());
    assert_eq!(Promised::with(&orphans, "pool", known).unwrap().total(), mib(67));
    assert_eq!(Promised::of(&orphans, "no").unwrap_err().kind(), ErrorKind::NotFound);
}
