//! Attaching and detaching devices.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, conflict, during, refused, vol, volume_source};
use crate::error::ErrorKind;
use crate::outcome::Removed;
use crate::spec::PublishSpec;
use crate::units::SECTOR_SIZE;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "publishing/shown_while_published",
        "A published volume shows its device; an unpublished one shows none.",
        shown_while_published,
    ),
    Case::new(
        "publishing/again_is_the_same_device",
        "Publishing again in the same mode answers Unchanged with the same device.",
        again_is_the_same_device,
    ),
    Case::new(
        "publishing/other_mode_is_a_conflict",
        "Publishing again in the other mode is a conflict that names the mode.",
        other_mode_is_a_conflict,
    )
    .needs(&[Need::ReadOnly]),
    Case::new(
        "publishing/read_only_refuses_writes",
        "A device published read-only refuses writes and reads as written before.",
        read_only_refuses_writes,
    )
    .needs(&[Need::ReadOnly]),
    Case::new(
        "publishing/unpublishing_again_is_no_error",
        "Unpublishing a volume that is not published answers WasAbsent.",
        unpublishing_again_is_no_error,
    ),
    Case::new(
        "publishing/unpublishing_unknown_is_no_error",
        "Unpublishing a volume that does not exist answers WasAbsent.",
        unpublishing_unknown_is_no_error,
    ),
    Case::new(
        "publishing/open_device_stays_published",
        "Unpublishing is Busy while the device is open, which goes on working.",
        open_device_stays_published,
    )
    .needs(&[Need::Block]),
    Case::new(
        "publishing/published_is_not_removed",
        "Removing a published volume is Busy, and it stays as it is.",
        published_is_not_removed,
    ),
];

fn shown_while_published(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = lab.create("data", context.mib(4)?)?.id;
    lab.create("other", SECTOR_SIZE)?;
    let source = volume_source("data")?;
    let made = lab.pool().publish(&PublishSpec::new(source.clone()))?;
    check!(made.changed(), "publishing answered Unchanged");
    let device = made.into_inner();
    check!(device.source == source, "it is of {}", device.source);
    check!(!device.read_only, "it is read-only");
    check!(
        device.block_size >= SECTOR_SIZE && device.block_size.get().is_power_of_two(),
        "its block size is {}",
        device.block_size
    );
    let shown = lab.pool().volume(&id)?.attachment;
    check!(shown.as_ref() == Some(&device), "shown: {shown:?}");
    let other = lab.pool().volume(&vol("other")?)?.attachment;
    check!(other.is_none(), "another volume shows {other:?}");
    let gone = lab.pool().unpublish(&source)?;
    check!(gone == Removed::Removed(device), "the answer is {gone:?}");
    let shown = lab.pool().volume(&id)?.attachment;
    check!(shown.is_none(), "unpublished, it shows {shown:?}");
    Ok(())
}

fn again_is_the_same_device(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("data", context.mib(4)?)?;
    let spec = PublishSpec::new(volume_source("data")?);
    let first = lab.pool().publish(&spec)?.into_inner();
    let again = lab.pool().publish(&spec)?;
    check!(!again.changed(), "publishing again answered Created");
    check!(*again.get() == first, "first {first:?}, again {:?}", again.get());
    let _ = lab.pool().unpublish(&spec.source)?;
    Ok(())
}

fn other_mode_is_a_conflict(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("data", context.mib(4)?)?;
    let write = PublishSpec::new(volume_source("data")?);
    let read = write.clone().read_only();
    let words = ["read-only", "read_only", "mode", "writ"];
    for (first, second) in [(&write, &read), (&read, &write)] {
        let device = lab.pool().publish(first)?.into_inner();
        conflict("the other mode", lab.pool().publish(second), &words)?;
        let still = lab.pool().publish(first)?;
        check!(
            *still.get() == device && !still.changed(),
            "the refusal changed the device to {still:?}"
        );
        let _ = lab.pool().unpublish(&first.source)?;
    }
    Ok(())
}

fn read_only_refuses_writes(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 7)?.size;
    let spec = PublishSpec::new(volume_source("data")?).read_only();
    lab.device(&spec, |io| {
        let block = vec![0xa5; 4096];
        check!(
            io.write_at(0, &block).is_err() || io.flush().is_err(),
            "a write to a read-only device succeeded"
        );
        Ok(())
    })?;
    let device = lab.pool().publish(&spec)?.into_inner();
    check!(device.read_only, "the attachment does not say read-only");
    let io = during("open it", context.fixture.open(&device))?;
    crate::conformance::pattern::verify(io.as_ref(), 7, 0, size.get())?;
    drop(io);
    let _ = lab.pool().unpublish(&spec.source)?;
    Ok(())
}

fn unpublishing_again_is_no_error(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("data", context.mib(4)?)?;
    let source = volume_source("data")?;
    let gone = lab.pool().unpublish(&source)?;
    check!(gone == Removed::WasAbsent, "never published: {gone:?}");
    let _ = lab.pool().publish(&PublishSpec::new(source.clone()))?;
    let gone = lab.pool().unpublish(&source)?;
    check!(gone.changed(), "published: {gone:?}");
    let gone = lab.pool().unpublish(&source)?;
    check!(gone == Removed::WasAbsent, "the second time: {gone:?}");
    Ok(())
}

fn unpublishing_unknown_is_no_error(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let gone = lab.pool().unpublish(&volume_source("never-made")?)?;
    check!(gone == Removed::WasAbsent, "the answer is {gone:?}");
    Ok(())
}

fn open_device_stays_published(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 13)?.size;
    let spec = PublishSpec::new(volume_source("data")?);
    let device = lab.pool().publish(&spec)?.into_inner();
    let io = during("open it", context.fixture.open(&device))?;
    refused("unpublish it", lab.pool().unpublish(&spec.source), ErrorKind::Busy)?;
    let shown = lab.pool().volume(&vol("data")?)?.attachment;
    check!(shown.as_ref() == Some(&device), "refused, it shows {shown:?}");
    crate::conformance::pattern::verify(io.as_ref(), 13, 0, size.get())?;
    drop(io);
    let gone = lab.pool().unpublish(&spec.source)?;
    check!(gone.changed(), "closed, unpublishing answered {gone:?}");
    lab.holds("data", 13, size)
}

fn published_is_not_removed(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 11)?.size;
    let id = vol("data")?;
    let spec = PublishSpec::new(volume_source("data")?);
    let device = lab.pool().publish(&spec)?.into_inner();
    refused("remove it", lab.pool().remove_volume(&id), ErrorKind::Busy)?;
    let shown = lab.pool().volume(&id)?;
    check!(shown.attachment.as_ref() == Some(&device), "after the refusal it is {shown:?}");
    let _ = lab.pool().unpublish(&spec.source)?;
    lab.holds("data", 11, size)?;
    lab.remove("data")
}
