//! Every operation, cut before each of its steps and made again.

use crate::conformance::case::{Case, Checked, Need};
use crate::conformance::interrupt::{Scenario, at_every_step, twice};
use crate::conformance::lab::{Context, Lab, during, volume_source};
use crate::conformance::pattern;
use crate::error::Result;
use crate::info::Phase;
use crate::pool::PoolExt;
use crate::spec::{PublishSpec, Source, VolumeSource, VolumeSpec};
use crate::units::Bytes;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "interruption/create",
        "Creating a volume, cut before any step, is finished by the same call.",
        |context| at_every_step(context, CREATE),
    )
    .rests_on(&["restart/volumes_are_remembered", "content/fresh_reads_as_zeroes"]),
    Case::new(
        "interruption/clone",
        "Cloning a volume, cut before any step, is finished by the same call.",
        |context| at_every_step(context, CLONE),
    )
    .needs(&[Need::Clones])
    .rests_on(RESTART),
    Case::new(
        "interruption/grow",
        "Growing a volume, cut before any step, is finished by the same call.",
        |context| at_every_step(context, GROW),
    )
    .needs(&[Need::GrowOffline, Need::Divisible])
    .rests_on(RESTART),
    Case::new(
        "interruption/publish",
        "Publishing a volume, cut before any step, is finished by the same call.",
        |context| at_every_step(context, PUBLISH),
    )
    .rests_on(RESTART),
    Case::new(
        "interruption/unpublish",
        "Unpublishing a volume, cut before any step, is finished by the same call.",
        |context| at_every_step(context, UNPUBLISH),
    )
    .rests_on(RESTART),
    Case::new(
        "interruption/remove",
        "Removing a volume, cut before any step, is finished by the same call.",
        |context| at_every_step(context, REMOVE),
    )
    .rests_on(&["restart/volumes_are_remembered", "capacity/removal_gives_room_back"]),
    Case::new(
        "interruption/cut_again",
        "An operation cut in its second attempt as well is finished by the third.",
        cut_again,
    )
    .rests_on(&["interruption/create", "interruption/remove"]),
    #[cfg(feature = "snapshot")]
    Case::new(
        "interruption/snapshot",
        "Taking a snapshot, cut before any step, is finished by the same call.",
        |context| at_every_step(context, with_snapshots::TAKE),
    )
    .needs(&[Need::Snapshots])
    .rests_on(FROZEN),
    #[cfg(feature = "snapshot")]
    Case::new(
        "interruption/restore",
        "Making a volume from a snapshot, cut before any step, is finished by the same call.",
        |context| at_every_step(context, with_snapshots::RESTORE),
    )
    .needs(&[Need::Snapshots, Need::Clones])
    .rests_on(FROZEN),
    #[cfg(feature = "snapshot")]
    Case::new(
        "interruption/roll_back",
        "Going back to a snapshot, cut before any step, is finished by the same call.",
        |context| at_every_step(context, with_snapshots::ROLL_BACK),
    )
    .needs(&[Need::Snapshots, Need::RollBack])
    .rests_on(&["restart/volumes_are_remembered", "roll_back/restores_content"]),
    #[cfg(feature = "snapshot")]
    Case::new(
        "interruption/remove_snapshot",
        "Removing a snapshot, cut before any step, is finished by the same call.",
        |context| at_every_step(context, with_snapshots::REMOVE),
    )
    .needs(&[Need::Snapshots])
    .rests_on(FROZEN),
    #[cfg(feature = "snapshot")]
    Case::new(
        "interruption/group_snapshot",
        "Taking a group snapshot, cut before any step, is finished by the same call; no member \
         is ready before the group is.",
        |context| at_every_step(context, with_groups::TAKE),
    )
    .needs(&[Need::GroupSnapshots])
    .rests_on(GROUPS),
    #[cfg(feature = "snapshot")]
    Case::new(
        "interruption/remove_group_snapshot",
        "Removing a group snapshot, cut before any step, is finished by the same call.",
        |context| at_every_step(context, with_groups::REMOVE),
    )
    .needs(&[Need::GroupSnapshots])
    .rests_on(GROUPS),
];

const RESTART: &[&str] = &["restart/volumes_are_remembered"];

#[cfg(feature = "snapshot")]
const FROZEN: &[&str] = &["restart/volumes_are_remembered", "snapshots/keep_their_content"];

#[cfg(feature = "snapshot")]
const GROUPS: &[&str] = &["restart/volumes_are_remembered", "groups/keep_their_content"];

/// What is asked for is a whole number of MiB, whatever the unit: an operation is a plain function.
const SMALL: Bytes = Bytes::new(4 << 20);
const LARGE: Bytes = Bytes::new(12 << 20);

const CREATE: Scenario = Scenario {
    prepare: |lab| lab.filled("old", 130).and_then(|_| lab.remove("old")),
    act: |pool| {
        let spec = VolumeSpec::new("new".parse()?, SMALL).with_tag("k", "v");
        pool.ensure_volume(&spec).map(drop)
    },
    done: |lab| lab.zero_from("new", Bytes::ZERO),
    meanwhile: |lab| if_ready(lab, "new", |lab| lab.zero_from("new", Bytes::ZERO)),
};

const CLONE: Scenario = Scenario {
    prepare: |lab| lab.filled("data", 131).map(drop),
    act: |pool| {
        let source = VolumeSource::Volume("data".parse()?);
        let spec = VolumeSpec::new("copy".parse()?, LARGE).from_source(source);
        pool.ensure_volume(&spec).map(drop)
    },
    done: |lab| {
        lab.holds("data", 131, small(lab)?)?;
        copied(lab, 131)
    },
    meanwhile: |lab| if_ready(lab, "copy", |lab| copied(lab, 131)),
};

const GROW: Scenario = Scenario {
    prepare: |lab| lab.filled("data", 132).map(drop),
    act: |pool| pool.grow_volume(&"data".parse()?, LARGE).map(drop),
    done: |lab| grown(lab, 132),
    meanwhile: |lab| grown(lab, 132),
};

const PUBLISH: Scenario = Scenario {
    prepare: |lab| lab.filled("data", 133).map(drop),
    act: |pool| pool.publish(&PublishSpec::new(data()?)).map(drop),
    done: |lab| {
        let again = lab.pool().publish(&PublishSpec::new(data()?))?;
        let io = lab.context.fixture.open(again.get());
        pattern::verify(during("open it", io)?.as_ref(), 133, 0, whole(lab, "data")?.get())
    },
    meanwhile: |_| Ok(()),
};

const UNPUBLISH: Scenario = Scenario {
    prepare: |lab| {
        lab.filled("data", 134)?;
        let _ = lab.pool().publish(&PublishSpec::new(data()?))?;
        Ok(())
    },
    act: |pool| pool.unpublish(&data()?).map(drop),
    done: |lab| lab.holds("data", 134, whole(lab, "data")?),
    meanwhile: |_| Ok(()),
};

const REMOVE: Scenario = Scenario {
    prepare: |lab| {
        lab.filled("other", 135)?;
        lab.filled("data", 136).map(drop)
    },
    act: |pool| pool.remove_volume(&"data".parse()?).map(drop),
    done: |lab| lab.holds("other", 135, whole(lab, "other")?),
    meanwhile: |lab| lab.holds("other", 135, whole(lab, "other")?),
};

/// The size of a volume as it is, all of which [`Lab::filled`] has written.
fn whole(lab: &Lab<'_>, name: &str) -> Checked<Bytes> {
    Ok(lab.pool().volume(&name.parse()?)?.size)
}

/// The size of a volume made by [`Lab::filled`] where sizes are what is asked for.
fn small(lab: &Lab<'_>) -> Checked<Bytes> {
    lab.context.mib(4)
}

fn data() -> Result<Source> {
    Ok(Source::Volume("data".parse()?))
}

/// Looks at a volume only if it is there and says it is ready.
fn if_ready(lab: &Lab<'_>, name: &str, look: fn(&Lab<'_>) -> Checked) -> Checked {
    match lab.pool().find_volume(&name.parse()?)? {
        Some(volume) if volume.phase == Phase::Ready => look(lab),
        _ => Ok(()),
    }
}

/// The volume `copy` holds the pattern in its first part and zeroes in the rest.
fn copied(lab: &Lab<'_>, seed: u64) -> Checked {
    lab.holds("copy", seed, small(lab)?)?;
    let start = small(lab)?;
    lab.zero_from("copy", start)
}

/// The volume `data` holds the pattern in its first part, and zeroes in the rest, if there is one.
fn grown(lab: &Lab<'_>, seed: u64) -> Checked {
    let start = small(lab)?;
    let size = lab.pool().volume(&"data".parse()?)?.size;
    let spec = PublishSpec::new(volume_source("data")?);
    lab.device(&spec, |io| {
        pattern::verify(io, seed, 0, start.get())?;
        pattern::zeroes(io, start.get(), size.get())
    })
}

fn cut_again(context: &Context<'_>) -> Checked {
    twice(context, CREATE)?;
    if context.can.clones != crate::CopyMethod::None {
        twice(context, CLONE)?;
    }
    twice(context, REMOVE)
}

#[cfg(feature = "snapshot")]
mod with_snapshots {
    use super::{LARGE, Scenario, copied, if_ready, small};
    use crate::conformance::case::{Checked, check};
    use crate::conformance::lab::{Lab, volume_source};
    use crate::conformance::pattern;
    use crate::error::ErrorKind;
    use crate::info::Phase;
    use crate::pool::PoolExt;
    use crate::spec::{PublishSpec, SnapshotSpec, VolumeSource, VolumeSpec};

    pub(super) const TAKE: Scenario = Scenario {
        prepare: |lab| lab.filled("data", 140).map(drop),
        act: |pool| {
            let spec = SnapshotSpec::new("s".parse()?, "data".parse()?);
            pool.require_snapshots()?.ensure_snapshot(&spec).map(drop)
        },
        done: |lab| lab.kept("s", 140),
        meanwhile: |lab| match lab.snapshots()?.snapshot(&"s".parse()?) {
            Ok(taken) if taken.phase == Phase::Ready => lab.kept("s", 140),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        },
    };

    pub(super) const RESTORE: Scenario = Scenario {
        prepare: |lab| {
            lab.filled("data", 141)?;
            lab.freeze("s", "data")?;
            lab.stamp("data", 142)
        },
        act: |pool| {
            let source = VolumeSource::Snapshot("s".parse()?);
            let spec = VolumeSpec::new("copy".parse()?, LARGE).from_source(source);
            pool.ensure_volume(&spec).map(drop)
        },
        done: |lab| {
            lab.kept("s", 141)?;
            copied(lab, 141)
        },
        meanwhile: |lab| if_ready(lab, "copy", |lab| copied(lab, 141)),
    };

    pub(super) const ROLL_BACK: Scenario = Scenario {
        prepare: |lab| {
            lab.filled("data", 143)?;
            lab.freeze("s", "data")?;
            lab.stamp("data", 144)
        },
        act: |pool| {
            let snapshots = pool.require_snapshots()?;
            snapshots.roll_back(&"data".parse()?, &"s".parse()?).map(drop)
        },
        done: |lab| {
            lab.kept("s", 143)?;
            lab.holds("data", 143, small(lab)?)
        },
        meanwhile: |lab| {
            lab.kept("s", 143)?;
            if_ready(lab, "data", old_or_new)
        },
    };

    pub(super) const REMOVE: Scenario = Scenario {
        prepare: |lab| {
            lab.filled("data", 145)?;
            lab.freeze("s", "data")?;
            lab.freeze("other", "data").map(drop)
        },
        act: |pool| {
            let snapshots = pool.require_snapshots()?;
            snapshots.remove_snapshot(&"s".parse()?).map(drop)
        },
        done: |lab| {
            lab.kept("other", 145)?;
            lab.holds("data", 145, small(lab)?)
        },
        meanwhile: |lab| lab.kept("other", 145),
    };

    /// A volume that is ready holds what it held or what it goes back to, never a part of each.
    fn old_or_new(lab: &Lab<'_>) -> Checked {
        let spec = PublishSpec::new(volume_source("data")?);
        lab.device(&spec, |io| {
            let old = pattern::verify(io, 144, 0, small(lab)?.get());
            let new = pattern::verify(io, 143, 0, small(lab)?.get());
            check!(
                old.is_ok() || new.is_ok(),
                "the volume is ready, but holds a part of each: {old:?}, {new:?}"
            );
            Ok(())
        })
    }
}

#[cfg(feature = "snapshot")]
mod with_groups {
    use super::Scenario;
    use crate::conformance::case::{Checked, check};
    use crate::conformance::lab::Lab;
    use crate::error::{ErrorKind, Result};
    use crate::info::Phase;
    use crate::pool::PoolExt;
    use crate::spec::GroupSnapshotSpec;

    pub(super) const TAKE: Scenario = Scenario {
        prepare: |lab| {
            lab.filled("a", 150)?;
            lab.filled("b", 151).map(drop)
        },
        act: |pool| pool.require_group_snapshots()?.ensure_group_snapshot(&spec()?).map(drop),
        done: |lab| {
            lab.kept("s-a", 150)?;
            lab.kept("s-b", 151)
        },
        meanwhile: |lab| match lab.groups()?.group_snapshot(&"g".parse()?) {
            Ok(taken) if taken.phase == Phase::Ready => {
                lab.kept("s-a", 150)?;
                lab.kept("s-b", 151)
            }
            Ok(_) => none_is_ready(lab),
            Err(error) if error.kind() == ErrorKind::NotFound => none_is_ready(lab),
            Err(error) => Err(error.into()),
        },
    };

    pub(super) const REMOVE: Scenario = Scenario {
        prepare: |lab| {
            lab.filled("a", 152)?;
            lab.filled("b", 153)?;
            lab.take_group(&spec()?)?;
            lab.freeze("other", "a").map(drop)
        },
        act: |pool| {
            let groups = pool.require_group_snapshots()?;
            groups.remove_group_snapshot(&"g".parse()?).map(drop)
        },
        done: |lab| {
            let left = lab.snapshots()?.list_snapshots(None)?;
            check!(left.len() == 1, "left: {left:?}");
            lab.kept("other", 152)
        },
        meanwhile: |lab| lab.kept("other", 152),
    };

    fn spec() -> Result<GroupSnapshotSpec> {
        let spec = GroupSnapshotSpec::new("g".parse()?);
        Ok(spec.with_member("s-a".parse()?, "a".parse()?).with_member("s-b".parse()?, "b".parse()?))
    }

    fn none_is_ready(lab: &Lab<'_>) -> Checked {
        let members = lab.snapshots()?.list_snapshots(None)?;
        let ready = members.iter().find(|member| member.phase == Phase::Ready);
        check!(ready.is_none(), "a member is ready before its group is: {ready:?}");
        Ok(())
    }
}
