//! `open-local snapshot …`.

pub mod group;

use clap::{Args, Subcommand};
use open_local_core::{
    Bytes, Change, Op, PoolExt, PublishSpec, Result, SnapshotId, SnapshotSpec, Subject, VolumeId,
    VolumeSource, VolumeSpec,
};
use serde_json::{Value, json};

use super::{confirm, values, volume};
use crate::answer::Answer;
use crate::context::Context;
use crate::view::{OutcomeWord, snapshot as shown, volume as shown_volume};

/// What to do with snapshots.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make sure a snapshot exists
    Create(Create),
    /// List all snapshots
    List {
        /// Only those of this volume
        #[arg(long, value_name = "VOLUME")]
        volume: Option<VolumeId>,
    },
    /// Show one snapshot
    Show {
        /// Its name
        name: SnapshotId,
    },
    /// Make a new volume with the content of a snapshot
    Restore {
        /// The snapshot
        snapshot: SnapshotId,
        /// The new volume's name
        volume: VolumeId,
        /// The new volume's size [default: the snapshot's]
        #[arg(long)]
        size: Option<Bytes>,
    },
    /// Give a volume the content of its snapshot; what was written since is lost
    Rollback {
        /// The volume
        volume: VolumeId,
        /// The snapshot
        snapshot: SnapshotId,
    },
    /// Attach a snapshot as a block device; one that is not writable refuses writes
    Publish {
        /// Its name
        name: SnapshotId,
        /// The device refuses writes though the snapshot is writable
        #[arg(long)]
        read_only: bool,
    },
    /// Detach its block device
    Unpublish {
        /// Its name
        name: SnapshotId,
    },
    /// Remove a snapshot; volumes made from it stay
    Remove {
        /// Its name
        name: SnapshotId,
    },
    /// Take, list and remove snapshots of several volumes at one moment
    #[command(subcommand)]
    Group(group::Command),
}

/// Arguments of `snapshot create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name
    pub name: SnapshotId,
    /// The volume whose content it keeps
    #[arg(long, value_name = "VOLUME")]
    pub volume: VolumeId,
    /// It can be written once it is published
    #[arg(long)]
    pub writable: bool,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = values::pair)]
    pub tags: Vec<(String, String)>,
    /// A setting only this backend knows; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::pair)]
    pub settings: Vec<(String, String)>,
}

/// Runs a command.
///
/// # Errors
/// Those of the pool.
pub fn run(context: &Context, command: Command) -> Result<Answer> {
    match command {
        Command::Create(arguments) => create(context, arguments),
        Command::List { volume } => {
            let pool = context.pool()?;
            let snapshots = pool.require_snapshots()?.list_snapshots(volume.as_ref())?;
            let list: Vec<Value> = snapshots.iter().map(shown::json).collect();
            let json = json!({ "snapshots": list });
            Ok(Answer::new(json, shown::table(&snapshots)))
        }
        Command::Show { name } => {
            let snapshot = context.pool()?.require_snapshots()?.snapshot(&name)?;
            let json = json!({ "snapshot": shown::json(&snapshot) });
            Ok(Answer::new(json, shown::facts(&snapshot)))
        }
        Command::Restore { snapshot, volume, size } => restore(context, snapshot, volume, size),
        Command::Rollback { volume, snapshot } => roll_back(context, &volume, &snapshot),
        Command::Publish { name, read_only } => {
            let snapshot = context.pool()?.require_snapshots()?.snapshot(&name)?;
            let spec = PublishSpec::new(name);
            let refuses = read_only || !snapshot.writable;
            volume::publish(context, if refuses { spec.read_only() } else { spec })
        }
        Command::Unpublish { name } => volume::unpublish(context, &name.into()),
        Command::Remove { name } => remove(context, &name),
        Command::Group(command) => group::run(context, command),
    }
}

fn create(context: &Context, arguments: Create) -> Result<Answer> {
    let mut spec = SnapshotSpec::new(arguments.name, arguments.volume);
    if arguments.writable {
        spec = spec.writable();
    }
    for (key, value) in arguments.tags {
        spec = spec.with_tag(key, value);
    }
    for (key, value) in arguments.settings {
        spec = spec.with_parameter(key, value);
    }
    let pool = context.pool()?;
    let change = Change::EnsureSnapshot(spec.clone());
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    context.machine.require_root(Op::EnsureSnapshot)?;
    let done = pool.require_snapshots()?.ensure_snapshot(&spec)?;
    let (word, snapshot) = (done.word(), done.get());
    Ok(Answer::new(
        json!({ "outcome": word, "snapshot": shown::json(snapshot) }),
        format!("snapshot {}: {word} (of volume {})", snapshot.id, snapshot.volume),
    ))
}

fn restore(
    context: &Context,
    snapshot: SnapshotId,
    name: VolumeId,
    size: Option<Bytes>,
) -> Result<Answer> {
    let size = match size {
        Some(size) => size,
        None => context.pool()?.require_snapshots()?.snapshot(&snapshot)?.size,
    };
    let spec = VolumeSpec::new(name, size).from_source(VolumeSource::Snapshot(snapshot));
    volume::ensure(context, &spec)
}

fn roll_back(context: &Context, id: &VolumeId, snapshot: &SnapshotId) -> Result<Answer> {
    let pool = context.pool()?;
    let change = Change::RollBack(id.clone(), snapshot.clone());
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    context.machine.require_root(Op::RollBack)?;
    let what = format!("this discards what was written to volume {id} since snapshot {snapshot}");
    confirm::destruction(&context.globals, Op::RollBack, Subject::from(id), &what)?;
    let volume = pool.require_snapshots()?.roll_back(id, snapshot)?;
    Ok(Answer::new(
        json!({ "outcome": "done", "volume": shown_volume::json(&volume) }),
        format!("volume {id}: rolled back to snapshot {snapshot}"),
    ))
}

fn remove(context: &Context, id: &SnapshotId) -> Result<Answer> {
    let pool = context.pool()?;
    let change = Change::RemoveSnapshot(id.clone());
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    context.machine.require_root(Op::RemoveSnapshot)?;
    let what = format!("this removes snapshot {id}");
    confirm::destruction(&context.globals, Op::RemoveSnapshot, Subject::from(id), &what)?;
    let done = pool.require_snapshots()?.remove_snapshot(id)?;
    let (word, last) = (done.word(), done.object().map(shown::json));
    Ok(Answer::new(json!({ "outcome": word, "snapshot": last }), format!("snapshot {id}: {word}")))
}
