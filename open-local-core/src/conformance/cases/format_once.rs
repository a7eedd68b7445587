//! Formatting a volume at most once in its life, with real file systems.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, Lab, during, refused, vol, volume_source};
use crate::error::{ErrorKind, Result};
use crate::fs::{Filesystems, FormatSpec, FsIdentity, Probe};
use crate::info::Attachment;
use crate::outcome::Ensured;
use crate::pool::PoolExt;
use crate::spec::{PublishSpec, VolumeSource, VolumeSpec};
use crate::token::{FormatToken, FsKind, Uuid};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "format_once/second_time_is_unchanged",
        "A volume is formatted once; the same again finds that file system.",
        second_time_is_unchanged,
    )
    .needs(&[Need::FormatTokens, Need::Filesystems])
    .rests_on(&["tokens/spent_stays_spent"]),
    Case::new(
        "format_once/started_is_finished",
        "A format that was cut before mkfs is finished with the UUID it had chosen.",
        started_is_finished,
    )
    .needs(&[Need::FormatTokens, Need::Filesystems])
    .rests_on(&["tokens/chosen_uuid_is_remembered", "tokens/spent_stays_spent"]),
    Case::new(
        "format_once/spent_and_blank_is_refused",
        "A volume without token and without file system is never formatted.",
        spent_and_blank_is_refused,
    )
    .needs(&[Need::FormatTokens, Need::Filesystems])
    .rests_on(&["tokens/spent_stays_spent"]),
    Case::new(
        "format_once/foreign_is_refused",
        "A foreign signature is never formatted over, even with an unused token.",
        foreign_is_refused,
    )
    .needs(&[Need::FormatTokens, Need::Filesystems]),
    Case::new(
        "format_once/present_is_refused_unless_named",
        "A file system that is there is formatted over only if token and caller both allow it.",
        present_is_refused_unless_named,
    )
    .needs(&[Need::FormatTokens, Need::Filesystems])
    .rests_on(&["format_once/second_time_is_unchanged"]),
    Case::new(
        "format_once/device_of_another_is_refused",
        "The token of one volume never allows the device of another to be formatted.",
        device_of_another_is_refused,
    )
    .needs(&[Need::FormatTokens, Need::Filesystems]),
    Case::new(
        "format_once/clone_of_formatted_is_unchanged",
        "A clone of a formatted volume has its file system and is not formatted.",
        clone_of_formatted_is_unchanged,
    )
    .needs(&[Need::FormatTokens, Need::Filesystems, Need::Clones])
    .rests_on(&["tokens/clones_inherit"]),
];

fn filesystems<'a>(context: &Context<'a>) -> Checked<&'a dyn Filesystems> {
    let offered = context.fixture.filesystems();
    offered.ok_or_else(|| "the fixture offers no file systems".to_owned().into())
}

fn published(lab: &Lab<'_>, name: &str) -> Checked<Attachment> {
    let spec = PublishSpec::new(volume_source(name)?);
    Ok(lab.pool().publish(&spec)?.into_inner())
}

fn format(lab: &Lab<'_>, name: &str, device: &Attachment) -> Checked<Result<Ensured<FsIdentity>>> {
    Ok(filesystems(lab.context)?.ensure_formatted(
        lab.pool().require_format_tokens()?,
        &vol(name)?,
        device,
        &FormatSpec::new(FsKind::Ext4),
    ))
}

fn second_time_is_unchanged(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = lab.create("data", context.mib(16)?)?.id;
    let device = published(&lab, "data")?;
    let first = format(&lab, "data", &device)??;
    check!(first.changed(), "the first time answered Unchanged");
    let first = first.into_inner();
    let token = lab.pool().require_format_tokens()?.format_token(&id)?;
    check!(token == FormatToken::Spent, "its token is {token:?}");
    let found = filesystems(context)?.probe(&device.device)?;
    check!(found == Probe::Filesystem(first.clone()), "probed {found:?}");
    let lab = lab.reopen()?;
    let device = published(&lab, "data")?;
    let again = format(&lab, "data", &device)??;
    check!(!again.changed(), "the second time answered Created");
    check!(*again.get() == first, "first {first:?}, again {again:?}");
    let _ = lab.pool().unpublish(&device.source)?;
    Ok(())
}

fn started_is_finished(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = lab.create("data", context.mib(16)?)?.id;
    let uuid = Uuid::from_bytes(*b"conformance-uuid");
    let kind = FsKind::Ext4;
    let tokens = lab.pool().require_format_tokens()?;
    tokens.set_format_token(&id, FormatToken::Started { kind, uuid })?;
    let lab = lab.reopen()?;
    let device = published(&lab, "data")?;
    let made = format(&lab, "data", &device)??.into_inner();
    check!(made.uuid == uuid, "chosen was {uuid}, made {}", made.uuid);
    let token = lab.pool().require_format_tokens()?.format_token(&id)?;
    check!(token == FormatToken::Spent, "its token is {token:?}");
    let _ = lab.pool().unpublish(&device.source)?;
    Ok(())
}

fn spent_and_blank_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = lab.create("data", context.mib(16)?)?.id;
    let tokens = lab.pool().require_format_tokens()?;
    tokens.set_format_token(&id, FormatToken::Spent)?;
    let device = published(&lab, "data")?;
    let answer = format(&lab, "data", &device)?;
    refused("format it", answer, ErrorKind::Refused)?;
    let found = filesystems(context)?.probe(&device.device)?;
    check!(found == Probe::Blank, "refused, yet there is {found:?}");
    let _ = lab.pool().unpublish(&device.source)?;
    Ok(())
}

fn foreign_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("data", context.mib(16)?)?;
    let device = published(&lab, "data")?;
    let io = during("open it", context.fixture.open(&device))?;
    // The label of an LVM2 physical volume, in the second sector.
    let mut page = vec![0u8; 512];
    page.extend_from_slice(b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001");
    page.resize(4096, 0);
    during("write the mark", io.write_at(0, &page))?;
    during("flush it", io.flush())?;
    drop(io);
    let answer = format(&lab, "data", &device)?;
    refused("format over LVM2", answer, ErrorKind::Refused)?;
    let io = during("open it", context.fixture.open(&device))?;
    let mut now = vec![0u8; page.len()];
    during("read the mark", io.read_at(0, &mut now))?;
    drop(io);
    check!(now == page, "refused, yet the first page has changed");
    let _ = lab.pool().unpublish(&device.source)?;
    Ok(())
}

fn present_is_refused_unless_named(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = lab.create("data", context.mib(16)?)?.id;
    let device = published(&lab, "data")?;
    let first = format(&lab, "data", &device)??.into_inner();
    let _ = lab.pool().unpublish(&device.source)?;
    lab.pool().require_format_tokens()?.allow_format(&id)?;
    let device = published(&lab, "data")?;
    let answer = format(&lab, "data", &device)?;
    refused("format over ext4", answer, ErrorKind::Refused)?;
    let found = filesystems(context)?.probe(&device.device)?;
    check!(found == Probe::Filesystem(first.clone()), "refused, yet there is {found:?}");
    let named = FormatSpec::new(FsKind::Ext4).replacing(FsKind::Ext4.as_str());
    let tokens = lab.pool().require_format_tokens()?;
    let again = filesystems(context)?.ensure_formatted(tokens, &id, &device, &named)?;
    check!(
        again.changed() && again.get().uuid != first.uuid,
        "allowed and named, yet there is {again:?}"
    );
    let _ = lab.pool().unpublish(&device.source)?;
    Ok(())
}

fn device_of_another_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = lab.create("data", context.mib(16)?)?.id;
    lab.create("other", context.mib(16)?)?;
    let device = published(&lab, "other")?;
    let answer = format(&lab, "data", &device)?;
    refused("format it", answer, ErrorKind::InvalidArgument)?;
    let found = filesystems(context)?.probe(&device.device)?;
    check!(found == Probe::Blank, "refused, yet there is {found:?}");
    let token = lab.pool().require_format_tokens()?.format_token(&id)?;
    check!(token == FormatToken::Unused, "its token is {token:?}");
    let _ = lab.pool().unpublish(&device.source)?;
    Ok(())
}

fn clone_of_formatted_is_unchanged(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.create("data", context.mib(16)?)?.size;
    let device = published(&lab, "data")?;
    let first = format(&lab, "data", &device)??.into_inner();
    let _ = lab.pool().unpublish(&device.source)?;
    let source = VolumeSource::Volume(vol("data")?);
    let _ = lab.ensure(&VolumeSpec::new(vol("copy")?, size).from_source(source))?;
    let device = published(&lab, "copy")?;
    let again = format(&lab, "copy", &device)??;
    check!(!again.changed(), "the clone was formatted");
    check!(again.get().uuid == first.uuid, "it has {:?}", again.get());
    let _ = lab.pool().unpublish(&device.source)?;
    Ok(())
}
