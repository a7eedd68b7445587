//! `open-local snapshot group …`.

use clap::{Args, Subcommand};
use open_local_core::{
    Change, GroupSnapshotId, GroupSnapshotSpec, Op, PoolExt, Result, SnapshotId, Subject, VolumeId,
};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::cli::{confirm, values};
use crate::context::Context;
use crate::view::{OutcomeWord, group as shown};

/// What to do with group snapshots.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make sure there are snapshots of several volumes, all of one moment
    Create(Create),
    /// List all group snapshots
    List,
    /// Show one group snapshot
    Show {
        /// Its name
        name: GroupSnapshotId,
    },
    /// Remove a group snapshot with all its members; volumes made from them stay
    Remove {
        /// Its name
        name: GroupSnapshotId,
    },
}

/// Arguments of `snapshot group create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name
    pub name: GroupSnapshotId,
    /// The name of a member, and the volume whose content it keeps; may be repeated
    #[arg(
        long = "member",
        value_name = "SNAPSHOT=VOLUME",
        required = true,
        value_parser = values::member
    )]
    pub members: Vec<(SnapshotId, VolumeId)>,
    /// Its members can be written once they are published
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
        Command::List => {
            let pool = context.pool()?;
            let groups = pool.require_group_snapshots()?.list_group_snapshots()?;
            let list: Vec<Value> = groups.iter().map(shown::json).collect();
            Ok(Answer::new(json!({ "group_snapshots": list }), shown::table(&groups)))
        }
        Command::Show { name } => {
            let group = context.pool()?.require_group_snapshots()?.group_snapshot(&name)?;
            Ok(Answer::new(json!({ "group_snapshot": shown::json(&group) }), shown::facts(&group)))
        }
        Command::Remove { name } => remove(context, &name),
    }
}

impl Create {
    fn spec(self) -> GroupSnapshotSpec {
        let mut spec = GroupSnapshotSpec::new(self.name);
        spec.members = self.members;
        spec.writable = self.writable;
        spec.tags = self.tags.into_iter().collect();
        spec.parameters = self.settings.into_iter().collect();
        spec
    }
}

fn create(context: &Context, arguments: Create) -> Result<Answer> {
    let spec = arguments.spec();
    let pool = context.pool()?;
    let change = Change::EnsureGroupSnapshot(spec.clone());
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    context.machine.require_root(Op::EnsureGroupSnapshot)?;
    let done = pool.require_group_snapshots()?.ensure_group_snapshot(&spec)?;
    let (word, group) = (done.word(), done.get());
    Ok(Answer::new(
        json!({ "outcome": word, "group_snapshot": shown::json(group) }),
        format!("group snapshot {}: {word} ({} volumes)", group.id, group.members.len()),
    ))
}

fn remove(context: &Context, id: &GroupSnapshotId) -> Result<Answer> {
    let pool = context.pool()?;
    let change = Change::RemoveGroupSnapshot(id.clone());
    if let Some(answer) = context.planned(pool.as_ref(), &change)? {
        return Ok(answer);
    }
    let op = Op::RemoveGroupSnapshot;
    context.machine.require_root(op)?;
    let what = format!("this removes group snapshot {id} with all its members");
    confirm::destruction(&context.globals, op, Subject::from(id), &what)?;
    let done = pool.require_group_snapshots()?.remove_group_snapshot(id)?;
    let (word, last) = (done.word(), done.object().map(shown::json));
    let json = json!({ "outcome": word, "group_snapshot": last });
    Ok(Answer::new(json, format!("group snapshot {id}: {word}")))
}
