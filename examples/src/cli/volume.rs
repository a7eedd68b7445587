//! `open-local volume …`.

mod filesystem;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use open_local_core::fs::CheckPolicy;
use open_local_core::{
    Attachment, Bytes, Change, FsKind, Op, Pool, PoolExt, Provisioning, PublishSpec, Result,
    SnapshotId, Source, Subject, VolumeId, VolumeInfo, VolumeSource, VolumeSpec,
};
use serde_json::{Value, json};

use super::{confirm, upkeep, values};
use crate::answer::Answer;
use crate::context::Context;
use crate::view::{self, OutcomeWord, volume as shown};

/// What to do with volumes.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make sure a volume exists
    Create(Create),
    /// List all volumes
    List {
        /// Only those that carry this tag with this value
        #[arg(long, value_name = "KEY=VALUE", value_parser = values::pair)]
        tag: Option<(String, String)>,
    },
    /// Show one volume
    Show {
        /// Its name
        name: VolumeId,
    },
    /// Make a volume, and the file system mounted from it, at least so large
    Grow {
        /// Its name
        name: VolumeId,
        /// The size wanted, such as 20GiB
        #[arg(long)]
        size: Bytes,
        /// Leave the file system as it is
        #[arg(long)]
        device_only: bool,
    },
    /// Attach a volume as a block device
    Publish {
        /// Its name
        name: VolumeId,
        /// The device refuses writes
        #[arg(long)]
        read_only: bool,
    },
    /// Detach its block device
    Unpublish {
        /// Its name
        name: VolumeId,
    },
    /// Make a file system on a published volume, once in its life
    Format(Format),
    /// Mount the file system of a published volume
    Mount(Mount),
    /// Unmount; never lazily
    Unmount {
        /// Where it is mounted
        target: PathBuf,
    },
    /// Remove a volume and its content
    Remove {
        /// Its name
        name: VolumeId,
        /// Do not wait until its place is erased, where that takes its time
        #[arg(long)]
        no_wait: bool,
    },
    /// Allow one more format, which destroys what the volume holds
    AllowFormat {
        /// Its name
        name: VolumeId,
    },
    /// Make a volume with the content another one has now
    Clone {
        /// The volume to copy
        source: VolumeId,
        /// The new volume's name
        name: VolumeId,
        /// The new volume's size [default: the source's]
        #[arg(long)]
        size: Option<Bytes>,
    },
    /// Show the bytes and inodes of a mounted file system
    Usage {
        /// Where it is mounted
        target: PathBuf,
    },
    /// Check the file system of a published volume that is not mounted
    Check {
        /// Its name
        name: VolumeId,
        /// What the check may do
        #[arg(long, value_enum, default_value_t = Policy::ReadOnly)]
        policy: Policy,
    },
    /// Give back to the device what a mounted file system does not use
    Trim {
        /// Where it is mounted
        target: PathBuf,
    },
}

/// Arguments of `volume create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name
    pub name: VolumeId,
    /// Its size, such as 10GiB
    #[arg(long)]
    pub size: Bytes,
    /// The largest acceptable size
    #[arg(long, value_name = "SIZE")]
    pub limit: Option<Bytes>,
    /// How its room is promised: thin or thick [default: the backend's]
    #[arg(long, value_name = "KIND")]
    pub provisioning: Option<Provisioning>,
    /// Start with the content of this snapshot
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "from_volume")]
    pub from_snapshot: Option<SnapshotId>,
    /// Start with the content of this volume
    #[arg(long, value_name = "VOLUME")]
    pub from_volume: Option<VolumeId>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = values::pair)]
    pub tags: Vec<(String, String)>,
    /// A setting only this backend knows; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::pair)]
    pub settings: Vec<(String, String)>,
}

/// Arguments of `volume format`.
#[derive(Debug, Args)]
pub struct Format {
    /// Its name
    pub name: VolumeId,
    /// The kind of file system: ext4, xfs or btrfs
    #[arg(long = "fs", value_name = "KIND", default_value = "ext4")]
    pub kind: FsKind,
    /// The file system's label
    #[arg(long)]
    pub label: Option<String>,
    /// One more argument for mkfs; may be repeated
    #[arg(long = "mkfs-option", value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub options: Vec<String>,
    /// What the volume holds and may be destroyed, named as the refusal names it, such as swap
    /// or "LVM2 physical volume"; may be repeated
    #[arg(long, value_name = "SIGNATURE")]
    pub replace: Vec<String>,
    /// Seconds after which mkfs is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub deadline: u64,
}

/// Arguments of `volume mount`.
#[derive(Debug, Args)]
pub struct Mount {
    /// Its name
    pub name: VolumeId,
    /// Where; made if it is missing
    pub target: PathBuf,
    /// The kind of file system it must hold
    #[arg(long = "fs", value_name = "KIND")]
    pub kind: Option<FsKind>,
    /// Refuse writes
    #[arg(long)]
    pub read_only: bool,
    /// A mount option; may be repeated
    #[arg(long = "option", value_name = "OPTION")]
    pub options: Vec<String>,
    /// What a check before mounting may do
    #[arg(long, value_enum, default_value_t = Policy::Preen)]
    pub check: Policy,
}

/// What a check may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// It does not run
    Skip,
    /// It looks and changes nothing
    ReadOnly,
    /// It repairs what is safe to repair
    Preen,
}

impl From<Policy> for CheckPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Skip => Self::Skip,
            Policy::ReadOnly => Self::ReadOnly,
            Policy::Preen => Self::Preen,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// Those of the pool and of the file systems.
pub fn run(context: &Context, command: Command) -> Result<Answer> {
    match command {
        Command::Create(arguments) => ensure(context, &arguments.spec()),
        Command::List { tag } => list(context, tag.as_ref()),
        Command::Show { name } => {
            let volume = context.pool()?.volume(&name)?;
            let json = json!({ "volume": shown::json(&volume) });
            Ok(Answer::new(json, shown::facts(&volume)))
        }
        Command::Grow { name, size, device_only } => grow(context, &name, size, device_only),
        Command::Publish { name, read_only } => {
            let spec = PublishSpec::new(name);
            publish(context, if read_only { spec.read_only() } else { spec })
        }
        Command::Unpublish { name } => unpublish(context, &name.into()),
        Command::Format(arguments) => filesystem::format(context, &arguments),
        Command::Mount(arguments) => filesystem::mount(context, &arguments),
        Command::Unmount { target } => filesystem::unmount(context, &target),
        Command::Remove { name, no_wait } => remove(context, &name, no_wait),
        Command::AllowFormat { name } => filesystem::allow_format(context, &name),
        Command::Clone { source, name, size } => clone(context, source, name, size),
        Command::Usage { target } => filesystem::usage(context, &target),
        Command::Check { name, policy } => filesystem::check(context, &name, policy.into()),
        Command::Trim { target } => filesystem::trim(context, &target),
    }
}

impl Create {
    fn spec(self) -> VolumeSpec {
        let mut spec = VolumeSpec::new(self.name, self.size);
        if let Some(limit) = self.limit {
            spec = spec.with_limit(limit);
        }
        if let Some(provisioning) = self.provisioning {
            spec = spec.with_provisioning(provisioning);
        }
        let volume = self.from_volume.map(VolumeSource::Volume);
        if let Some(source) = self.from_snapshot.map(VolumeSource::Snapshot).or(volume) {
            spec = spec.from_source(source);
        }
        for (key, value) in self.tags {
            spec = spec.with_tag(key, value);
        }
        for (key, value) in self.settings {
            spec = spec.with_parameter(key, value);
        }
        spec
    }
}

fn outcome(word: &str, volume: &VolumeInfo, pool: &dyn Pool) -> Result<Answer> {
    let info = pool.info()?;
    let (id, size) = (&volume.id, view::size::human(volume.size));
    Ok(Answer::new(
        json!({ "outcome": word, "volume": shown::json(volume) }),
        format!("volume {id}: {word} ({size}, pool {})", info.id()),
    ))
}

/// Makes sure a volume exists; `snapshot restore` and `volume clone` end here too.
///
/// # Errors
/// As [`Pool::ensure_volume`].
pub(super) fn ensure(context: &Context, spec: &VolumeSpec) -> Result<Answer> {
    let pool = context.pool()?;
    let change = Change::EnsureVolume(spec.clone());
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    context.machine.require_root(Op::EnsureVolume)?;
    let done = pool.ensure_volume(spec)?;
    outcome(done.word(), done.get(), pool.as_ref())
}

fn list(context: &Context, tag: Option<&(String, String)>) -> Result<Answer> {
    let pool = context.pool()?;
    let volumes = match tag {
        Some((key, value)) => pool.find_by_tag(key, value)?,
        None => pool.volumes()?,
    };
    let list: Vec<Value> = volumes.iter().map(shown::json).collect();
    let json = json!({ "volumes": list });
    Ok(Answer::new(json, shown::table(&volumes)))
}

fn clone(
    context: &Context,
    source: VolumeId,
    name: VolumeId,
    size: Option<Bytes>,
) -> Result<Answer> {
    let size = match size {
        Some(size) => size,
        None => context.pool()?.volume(&source)?.size,
    };
    let spec = VolumeSpec::new(name, size).from_source(VolumeSource::Volume(source));
    ensure(context, &spec)
}

fn grow(context: &Context, id: &VolumeId, size: Bytes, device_only: bool) -> Result<Answer> {
    let pool = context.pool()?;
    let change = Change::GrowVolume(id.clone(), size);
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    context.machine.require_root(Op::GrowVolume)?;
    let done = pool.grow_volume(id, size)?;
    let mut answer = outcome(done.word(), done.get(), pool.as_ref())?;
    if !device_only && let Some(device) = &done.get().attachment {
        filesystem::grow_mounted(context, device, &mut answer)?;
    }
    Ok(answer)
}

/// Attaches a volume or snapshot.
///
/// # Errors
/// As [`Pool::publish`].
pub(super) fn publish(context: &Context, spec: PublishSpec) -> Result<Answer> {
    let pool = context.pool()?;
    let change = Change::Publish(spec.clone());
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    context.machine.require_root(Op::Publish)?;
    let done = pool.publish(&spec)?;
    let (word, device) = (done.word(), done.get());
    let (source, path) = (&spec.source, device.device.display());
    let how = match done.changed() {
        true => "published",
        false => "published already",
    };
    Ok(Answer::new(
        json!({ "outcome": word, "attachment": view::attachment(Some(device)) }),
        format!("{source}: {how} as {path} ({})", device.number),
    ))
}

/// Detaches a volume or snapshot.
///
/// # Errors
/// As [`Pool::unpublish`].
pub(super) fn unpublish(context: &Context, source: &Source) -> Result<Answer> {
    let pool = context.pool()?;
    let change = Change::Unpublish(source.clone());
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    context.machine.require_root(Op::Unpublish)?;
    let done = pool.unpublish(source)?;
    let word = done.word();
    let last: Option<&Attachment> = done.object();
    let how = match last {
        Some(_) => "unpublished",
        None => "was not published",
    };
    Ok(Answer::new(
        json!({ "outcome": word, "attachment": view::attachment(last) }),
        format!("{source}: {how}"),
    ))
}

fn remove(context: &Context, id: &VolumeId, no_wait: bool) -> Result<Answer> {
    let pool = context.pool()?;
    let change = Change::RemoveVolume(id.clone());
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    context.machine.require_root(Op::RemoveVolume)?;
    let what = format!("this removes volume {id} and its content");
    confirm::destruction(&context.globals, Op::RemoveVolume, Subject::from(id), &what)?;
    let done = pool.remove_volume(id)?;
    let (word, last) = (done.word(), done.object().map(shown::json));
    let answer =
        Answer::new(json!({ "outcome": word, "volume": last }), format!("volume {id}: {word}"));
    Ok(upkeep::after(context, pool.as_ref(), !no_wait, answer))
}
