//! The commands about the file system on a volume.

use std::path::Path;
use std::time::Duration;

use open_local_core::fs::{CheckOutcome, CheckPolicy, FormatSpec, MountSpec};
use open_local_core::{Attachment, Error, ErrorKind, Op, Pool, PoolExt, Result, Subject, VolumeId};
use serde_json::json;

use super::{Format, Mount};
use crate::answer::Answer;
use crate::cli::confirm;
use crate::context::{Context, absolute};
use crate::mounts;
use crate::view::{OutcomeWord, filesystem as shown, size};

/// The block device of a volume, which must have been published before.
fn device(pool: &dyn Pool, id: &VolumeId, op: Op) -> Result<Attachment> {
    pool.volume(id)?.attachment.ok_or_else(|| {
        let message = "it has no block device: it is not published";
        Error::new(ErrorKind::Refused, op, id, message)
            .with_remedy(format!("publish it first: open-local volume publish {id}"))
    })
}

/// Makes the file system, once.
///
/// # Errors
/// As `Filesystems::ensure_formatted`, and `Refused` for a volume that is not published.
pub(super) fn format(context: &Context, arguments: &Format) -> Result<Answer> {
    let (id, kind) = (&arguments.name, arguments.kind);
    let pool = context.pool()?;
    let device = device(pool.as_ref(), id, Op::Format)?;
    let tokens = pool.require_format_tokens()?;
    let steps = [
        format!("probe {} and read the format token", device.device.display()),
        format!(
            "if the token is unused and the device is blank: write a UUID into the token, run mkfs for {kind}, probe, remove the token"
        ),
    ];
    if let Some(answer) = context.planned_steps(Subject::from(id), &steps) {
        return Ok(answer);
    }
    context.machine.require_root(Op::Format)?;
    let mut spec = FormatSpec::new(kind).with_deadline(Duration::from_secs(arguments.deadline));
    if let Some(label) = &arguments.label {
        spec = spec.with_label(label);
    }
    for option in &arguments.options {
        spec = spec.with_option(option);
    }
    for name in &arguments.replace {
        spec = spec.replacing(name);
    }
    if !arguments.replace.is_empty() {
        let names = arguments.replace.join(", ");
        let what = format!("this destroys what volume {id} holds if that is {names}");
        confirm::destruction(&context.globals, Op::Format, Subject::from(id), &what)?;
    }
    let done = context.filesystems()?.ensure_formatted(tokens, id, &device, &spec)?;
    let (word, found) = (done.word(), done.get());
    Ok(Answer::new(
        json!({ "outcome": word, "filesystem": shown::identity_json(found) }),
        format!("volume {id}: {} {word} (UUID {})", found.kind, found.uuid),
    ))
}

/// Mounts the file system.
///
/// # Errors
/// As `Filesystems::ensure_mounted`, and `Refused` for a volume that is not published.
pub(super) fn mount(context: &Context, arguments: &Mount) -> Result<Answer> {
    let id = &arguments.name;
    let target = absolute(&arguments.target)?;
    let device = device(context.pool()?.as_ref(), id, Op::Mount)?;
    let (from, at) = (device.device.display(), target.display());
    let steps = [format!("make {at} if it is missing"), format!("mount {from} there")];
    if let Some(answer) = context.planned_steps(Subject::from(id), &steps) {
        return Ok(answer);
    }
    context.machine.require_root(Op::Mount)?;
    let mut spec = MountSpec::new(&device.device, &target).with_check(arguments.check.into());
    if let Some(kind) = arguments.kind {
        spec = spec.with_kind(kind);
    }
    if arguments.read_only {
        spec = spec.read_only();
    }
    for option in &arguments.options {
        spec = spec.with_option(option);
    }
    let done = context.filesystems()?.ensure_mounted(&spec)?;
    let (word, mounted) = (done.word(), done.get());
    Ok(Answer::new(
        json!({ "outcome": word, "mount": shown::mounted_json(mounted) }),
        format!("volume {id}: mount of {} at {at} {word}", mounted.kind),
    ))
}

/// Unmounts.
///
/// # Errors
/// As `Filesystems::ensure_unmounted`, and `Refused` for what is mounted from no volume or snapshot.
pub(super) fn unmount(context: &Context, target: &Path) -> Result<Answer> {
    let target = absolute(target)?;
    let at = target.display();
    let steps = [format!("unmount {at} if something is mounted there")];
    if let Some(answer) = context.planned_steps(Subject::path(&target), &steps) {
        return Ok(answer);
    }
    context.machine.require_root(Op::Unmount)?;
    refuse_others(context, &target)?;
    let done = context.filesystems()?.ensure_unmounted(&target)?;
    let (word, last) = (done.word(), done.object().map(shown::mounted_json));
    Ok(Answer::new(json!({ "outcome": word, "mount": last }), format!("{at}: mount {word}")))
}

/// Refuses to unmount what is mounted from no volume or snapshot of ours.
fn refuse_others(context: &Context, target: &Path) -> Result<()> {
    let machine = &context.machine;
    // Nothing in memory is in this machine's mount table.
    if !machine.real {
        return Ok(());
    }
    let Some(mount) = mounts::at(&machine.host, target)? else {
        return Ok(());
    };
    for info in machine.backend.list_pools()? {
        // A pool that can't be opened can't say what is its own.
        let Ok(pool) = machine.backend.open_pool(info.id()) else {
            continue;
        };
        let volumes = pool.volumes()?.into_iter().map(|volume| volume.attachment);
        let snapshots = match pool.snapshots() {
            Some(snapshots) => snapshots.list_snapshots(None)?,
            None => Vec::new(),
        };
        let snapshots = snapshots.into_iter().map(|snapshot| snapshot.attachment);
        let mut devices = volumes.chain(snapshots).flatten();
        if devices.any(|device| mounts::is_of(&mount, &device)) {
            return Ok(());
        }
    }
    let source = mount.source.display();
    let message = format!("{source} ({}) is mounted there, which is no volume", mount.kind);
    Err(Error::new(ErrorKind::Refused, Op::Unmount, Subject::path(target), message)
        .with_remedy("if it has to go all the same, use umount"))
}

/// Gives back the right to format.
///
/// # Errors
/// As `FormatTokens::allow_format`, and `Refused` without confirmation.
pub(super) fn allow_format(context: &Context, id: &VolumeId) -> Result<Answer> {
    let pool = context.pool()?;
    let tokens = pool.require_format_tokens()?;
    let steps = ["write an unused format token".to_owned()];
    if let Some(answer) = context.planned_steps(Subject::from(id), &steps) {
        return Ok(answer);
    }
    let what = format!("this allows one more format of volume {id}, which destroys its content");
    confirm::destruction(&context.globals, Op::AllowFormat, Subject::from(id), &what)?;
    tokens.allow_format(id)?;
    Ok(Answer::new(
        json!({ "outcome": "done", "volume": id.as_str() }),
        format!("volume {id}: may be formatted once more"),
    ))
}

/// Bytes and inodes.
///
/// # Errors
/// As `Filesystems::usage`.
pub(super) fn usage(context: &Context, target: &Path) -> Result<Answer> {
    let usage = context.filesystems()?.usage(&absolute(target)?)?;
    let json = json!({ "usage": shown::usage_json(&usage) });
    Ok(Answer::new(json, shown::usage_facts(&usage)))
}

/// Checks an unmounted file system.
///
/// # Errors
/// As `Filesystems::check`, and `Refused` for a volume that is not published.
pub(super) fn check(context: &Context, id: &VolumeId, policy: CheckPolicy) -> Result<Answer> {
    let device = device(context.pool()?.as_ref(), id, Op::Check)?;
    let steps = [format!("check {}", device.device.display())];
    if let Some(answer) = context.planned_steps(Subject::from(id), &steps) {
        return Ok(answer);
    }
    context.machine.require_root(Op::Check)?;
    let found = match context.filesystems()?.check(&device.device, policy)? {
        CheckOutcome::Skipped => "skipped",
        CheckOutcome::Clean => "clean",
        CheckOutcome::Repaired => "repaired",
        _ => "unknown",
    };
    Ok(Answer::new(json!({ "outcome": found }), format!("volume {id}: {found}")))
}

/// Discards what a file system does not use.
///
/// # Errors
/// As `Filesystems::trim`.
pub(super) fn trim(context: &Context, target: &Path) -> Result<Answer> {
    let target = absolute(target)?;
    let steps = ["discard all free blocks".to_owned()];
    if let Some(answer) = context.planned_steps(Subject::path(&target), &steps) {
        return Ok(answer);
    }
    context.machine.require_root(Op::Trim)?;
    let freed = context.filesystems()?.trim(&target)?;
    let (at, shown) = (target.display(), size::human(freed));
    Ok(Answer::new(json!({ "discarded": freed.get() }), format!("{at}: {shown} discarded")))
}

/// Grows the file system that is mounted from a device, if one is, and adds it to the answer; if
/// it can't be grown, the answer's failure says why.
///
/// # Errors
/// `Io` or `Corrupt` if the mount table can't be read.
pub(super) fn grow_mounted(
    context: &Context,
    device: &Attachment,
    answer: &mut Answer,
) -> Result<()> {
    let machine = &context.machine;
    // Nothing in memory is in this machine's mount table.
    if !machine.real {
        return Ok(());
    }
    let Some(target) = mounts::target_of(&machine.host, device)? else {
        return Ok(());
    };
    let done = match context.filesystems()?.grow(&target) {
        Ok(done) => done,
        Err(error) => {
            // The volume's part is done and is answered; the error is told after it.
            let at = target.display();
            answer.text.push_str(&format!("\nfile system at {at}: not grown"));
            answer.failure = Some(error);
            return Ok(());
        }
    };
    let (word, usage) = (done.word(), done.get());
    let (at, total) = (target.display(), size::human(usage.total));
    answer.text.push_str(&format!("\nfile system at {at}: {word} ({total})"));
    if let Some(object) = answer.json.as_object_mut() {
        let grown = json!({
            "outcome": word,
            "target": target.to_string_lossy(),
            "usage": shown::usage_json(usage),
        });
        object.insert("filesystem".to_owned(), grown);
    }
    Ok(())
}
