//! Several threads, and several processes, on one pool.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, vol};
use crate::conformance::race::{Means, ended_badly, race, second};
use crate::conformance::run::no_leaks;
use crate::conformance::worker::Event;
use crate::info::{Phase, VolumeInfo};
use crate::spec::VolumeSpec;
use crate::units::Bytes;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "threads/one_creates",
        "Of many threads that want the same volume one creates it, the others find it.",
        |context| one_creates(context, Means::Threads),
    ),
    Case::new(
        "threads/all_get_their_own",
        "Many threads that want different volumes all get them.",
        |context| all_get_their_own(context, Means::Threads),
    )
    .rests_on(&["capacity/removal_gives_room_back"]),
    Case::new(
        "threads/creation_and_removal_balance",
        "A name created and removed by many threads is there as often as it was created.",
        |context| creation_and_removal_balance(context, Means::Threads),
    )
    .rests_on(&["threads/one_creates", "capacity/removal_gives_room_back"]),
    Case::new(
        "threads/never_promise_too_much",
        "Many threads together get no more room than there is.",
        |context| never_promise_too_much(context, Means::Threads),
    )
    .needs(&[Need::Divisible])
    .rests_on(&["capacity/largest_is_the_limit", "capacity/figures_add_up"]),
    Case::new(
        "processes/one_creates",
        "Of two processes that want the same volume one creates it, the other finds it.",
        |context| one_creates(context, Means::Processes),
    )
    .needs(&[Need::SecondProcess]),
    Case::new(
        "processes/all_get_their_own",
        "Two processes that want different volumes all get them, and see each other's.",
        |context| all_get_their_own(context, Means::Processes),
    )
    .needs(&[Need::SecondProcess])
    .rests_on(&["capacity/removal_gives_room_back"]),
    Case::new(
        "processes/creation_and_removal_balance",
        "A name created and removed by two processes is there as often as it was created.",
        |context| creation_and_removal_balance(context, Means::Processes),
    )
    .needs(&[Need::SecondProcess])
    .rests_on(&["processes/one_creates", "capacity/removal_gives_room_back"]),
    Case::new(
        "processes/never_promise_too_much",
        "Two processes together get no more room than there is.",
        |context| never_promise_too_much(context, Means::Processes),
    )
    .needs(&[Need::SecondProcess, Need::Divisible])
    .rests_on(&["capacity/largest_is_the_limit", "capacity/figures_add_up"]),
    Case::new(
        "processes/killed_one_harms_nobody",
        "A process killed with SIGKILL before any step leaves nothing the next call can't finish.",
        killed_one_harms_nobody,
    )
    .needs(&[Need::SecondProcess]),
];

fn count(events: &[Vec<Event>], name: Option<&str>, verb: &str) -> usize {
    let fits = |event: &&Event| event.verb == verb && name.is_none_or(|name| event.name == name);
    events.iter().flatten().filter(fits).count()
}

/// Fails on any event that is none of these.
fn only(events: &[Vec<Event>], verbs: &[&str]) -> Checked {
    for event in events.iter().flatten() {
        check!(verbs.contains(&event.verb.as_str()), "{event:?}");
    }
    Ok(())
}

fn one_creates(context: &Context<'_>, means: Means) -> Checked {
    let lab = context.lab()?;
    let names: Vec<String> = (0..12).map(|n| format!("v{n}")).collect();
    let size = context.mib(1)?;
    let script: String = names.iter().map(|n| format!("create {n} {size}\n")).collect();
    let events = race(&lab, means, &vec![script; means.actors()])?;
    only(&events, &["created", "unchanged"])?;
    for name in &names {
        let made = count(&events, Some(name), "created");
        check!(made == 1, "{made} of {} created {name}", means.actors());
    }
    let listed = lab.pool().volumes()?.len();
    check!(listed == names.len(), "{listed} volumes are listed");
    Ok(())
}

fn all_get_their_own(context: &Context<'_>, means: Means) -> Checked {
    let lab = context.lab()?;
    let before = lab.capacity()?;
    let size = context.mib(1)?;
    let own = |actor: usize| (0..4).map(move |n| format!("v{actor}-{n}"));
    let scripts: Vec<String> = (0..means.actors())
        .map(|actor| own(actor).map(|n| format!("create {n} {size}\n")).collect())
        .collect();
    let events = race(&lab, means, &scripts)?;
    only(&events, &["created"])?;
    for name in (0..means.actors()).flat_map(own) {
        check!(lab.has(&name)?, "{name} was created, but it is not listed");
        lab.remove(&name)?;
    }
    let left = lab.pool().volumes()?;
    check!(left.is_empty(), "left: {left:?}");
    let after = lab.capacity()?;
    check!(
        after.available == before.available && after.promised == before.promised,
        "the room was {before:?} and is {after:?}"
    );
    Ok(())
}

fn creation_and_removal_balance(context: &Context<'_>, means: Means) -> Checked {
    let lab = context.lab()?;
    let before = lab.capacity()?;
    let line = format!("create v {}\nremove v\n", context.mib(1)?);
    let events = race(&lab, means, &vec![line.repeat(20); means.actors()])?;
    // A volume being erased or made by another may be Busy for a moment, and what is erased only
    // when somebody does it is room that nobody has until then.
    let mut fine = vec!["created", "unchanged", "removed", "absent", "busy"];
    let erasing = |volume: &VolumeInfo| matches!(volume.phase, Phase::Erasing(_));
    let waits = context.can.exclusive || lab.pool().volumes()?.iter().any(erasing);
    fine.extend(waits.then_some("out-of-space"));
    only(&events, &fine)?;
    lab.settle()?;
    let (made, gone) = (count(&events, None, "created"), count(&events, None, "removed"));
    let left = usize::from(lab.has("v")?);
    check!(
        made == gone.saturating_add(left),
        "{made} times created, {gone} times removed, {left} left"
    );
    if left == 1 {
        lab.remove("v")?;
    }
    let after = lab.capacity()?;
    check!(
        after.available == before.available && after.promised == before.promised,
        "the room was {before:?} and is {after:?}"
    );
    Ok(())
}

fn never_promise_too_much(context: &Context<'_>, means: Means) -> Checked {
    let lab = context.lab()?;
    let room = lab.capacity()?;
    let fifth = Bytes::new(room.available.get() / 5);
    let size = fifth.round_down_to(context.unit).unwrap_or(fifth);
    let scripts: Vec<String> = (0..means.actors())
        .map(|actor| (0..5).map(|n| format!("create v{actor}-{n} {size}\n")).collect())
        .collect();
    let events = race(&lab, means, &scripts)?;
    only(&events, &["created", "out-of-space"])?;
    let made = u64::try_from(count(&events, None, "created")).unwrap_or(u64::MAX);
    // The markers of two processes take a unit each while they race, which may cost one volume.
    let fit = room.available.get() / size.get();
    check!(
        made <= fit && made.saturating_add(1) >= fit,
        "{made} volumes of {size} were made where {fit} fit in {}",
        room.available
    );
    let listed = lab.pool().volumes()?;
    let sum = Bytes::checked_sum(listed.iter().map(|volume| volume.size));
    let now = lab.capacity()?;
    check!(
        sum == Some(now.promised) && now.promised <= room.available,
        "sizes add up to {sum:?} of {}: {now:?}",
        room.available
    );
    Ok(())
}

/// No operation has more steps.
const MOST_STEPS: u64 = 64;

fn killed_one_harms_nobody(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = context.mib(4)?;
    let before = lab.capacity()?;
    for step in 1..=MOST_STEPS {
        let script = format!("create victim {size}\nremove victim\n");
        let output = second(&lab, &script, Some(step))?;
        if output.success() {
            check!(step > 2, "it was not killed: open its pool with worker_checkpoints");
            return Ok(());
        }
        check!(output.code.is_none(), "{}", ended_badly(&output));
        let _ = lab.ensure(&VolumeSpec::new(vol("victim")?, size))?;
        lab.zero_from("victim", Bytes::ZERO)?;
        lab.remove("victim")?;
        no_leaks(context.fixture)?;
        let after = lab.capacity()?;
        check!(
            after.available == before.available,
            "killed before step {step}: the room was {before:?} and is {after:?}"
        );
    }
    Err(format!("it still runs after {MOST_STEPS} steps").into())
}
