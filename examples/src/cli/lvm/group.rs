//! `open-local lvm group …`: groups and their physical volumes.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use open_local_core::{Bytes, ErrorKind, Op, Result, Subject};
use open_local_lvm::exec::Choice;
use open_local_lvm::format::check::Finding;
use open_local_lvm::plan::{Operation, remove_group};

use super::activate::{How, Which, activate, deactivate, sweep};
use super::change::{Wish, Words, answer, change, dry, metadata, require_all_inactive};
use super::engine::{self, Engine};
use super::members;
use super::site::{On, Site};
use super::volume::Tags;
use crate::answer::Answer;
use crate::cli::confirm;
use crate::context::Globals;
use crate::view::lvm_change::{self, Changed};

/// What to do with groups. All but activate and deactivate write labels and metadata only.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a group of devices; blank ones become physical volumes
    Create(Create),
    /// Add devices to a group; blank ones become physical volumes
    Extend(Extend),
    /// Take devices that hold no extents of volumes out of a group
    Reduce {
        /// The group
        name: String,
        /// A device to take out; may be repeated
        #[arg(long = "drop", value_name = "DEVICE", required = true)]
        drop: Vec<PathBuf>,
        /// Its devices
        #[command(flatten)]
        on: On,
    },
    /// Give a group another name; none of its volumes may be active
    Rename {
        /// The name it has
        name: String,
        /// The name it gets
        to: String,
        /// Its devices
        #[command(flatten)]
        on: On,
    },
    /// Remove a group without volumes; its devices stay physical volumes, of no group
    Remove {
        /// The group
        name: String,
        /// Its devices
        #[command(flatten)]
        on: On,
    },
    /// Add and remove tags
    Tag {
        /// The group
        name: String,
        /// Which tags
        #[command(flatten)]
        tags: Tags,
        /// Its devices
        #[command(flatten)]
        on: On,
    },
    /// Write the version that counts to metadata areas that are damaged or left behind
    Repair {
        /// The group
        name: String,
        /// Where areas hold different texts of the same version: let the one on this device count
        #[arg(long, value_name = "DEVICE")]
        text_of: Option<PathBuf>,
        /// Its devices
        #[command(flatten)]
        on: On,
    },
    /// Make all volumes of a group block devices, but for those marked to be skipped
    Activate(Activation),
    /// Remove the block devices of all volumes of a group
    Deactivate(Activation),
    /// Let go on what a killed process left suspended
    Sweep(Activation),
}

/// Arguments of `lvm group activate`, `deactivate` and `sweep`.
#[derive(Debug, Args)]
pub struct Activation {
    /// The group
    pub name: String,
    /// How
    #[command(flatten)]
    pub how: How,
    /// Its devices
    #[command(flatten)]
    pub on: On,
}

/// How a blank device becomes a physical volume.
#[derive(Debug, Args)]
pub struct Blank {
    /// Room for metadata on a device that is blank, 16MiB unless given: they hold about 20,000
    /// volumes; it can't be changed later
    #[arg(long, value_name = "SIZE")]
    pub metadata_size: Option<Bytes>,
    /// What a device holds and may be destroyed, named as the refusal names it, such as swap; may
    /// be repeated
    #[arg(long, value_name = "SIGNATURE")]
    pub replace: Vec<String>,
}

/// Arguments of `lvm group create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name
    pub name: String,
    /// The size of an extent
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    pub extent_size: Bytes,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// How its devices are laid out
    #[command(flatten)]
    pub blank: Blank,
    /// Its devices
    #[command(flatten)]
    pub on: On,
}

/// Arguments of `lvm group extend`.
#[derive(Debug, Args)]
pub struct Extend {
    /// The group
    pub name: String,
    /// A device to add; may be repeated
    #[arg(long = "add", value_name = "DEVICE", required = true)]
    pub add: Vec<PathBuf>,
    /// How the new devices are laid out
    #[command(flatten)]
    pub blank: Blank,
    /// The devices it has
    #[command(flatten)]
    pub on: On,
}

/// Runs a command.
///
/// # Errors
/// As the operations of [`open_local_lvm::exec::Session`]; `Busy` for a group with an active
/// volume where that matters; `Refused` if what is lost was not confirmed.
pub fn run(globals: &Globals, command: &Command) -> Result<Answer> {
    if command.on().beside.engine == Engine::Cli {
        return engine::group(globals, command);
    }
    on_site(globals, &command.on().open(globals, command.more())?, command)
}

impl Command {
    /// Devices that are named besides those of the group.
    pub(super) fn more(&self) -> &[PathBuf] {
        match self {
            Self::Extend(arguments) => &arguments.add,
            Self::Reduce { drop, .. } => drop,
            _ => &[],
        }
    }

    /// The name of the group.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Create(Create { name, .. })
            | Self::Extend(Extend { name, .. })
            | Self::Reduce { name, .. }
            | Self::Rename { name, .. }
            | Self::Remove { name, .. }
            | Self::Tag { name, .. }
            | Self::Repair { name, .. }
            | Self::Activate(Activation { name, .. })
            | Self::Deactivate(Activation { name, .. })
            | Self::Sweep(Activation { name, .. }) => name,
        }
    }

    pub(super) const fn on(&self) -> &On {
        match self {
            Self::Create(Create { on, .. })
            | Self::Extend(Extend { on, .. })
            | Self::Reduce { on, .. }
            | Self::Rename { on, .. }
            | Self::Remove { on, .. }
            | Self::Tag { on, .. }
            | Self::Repair { on, .. }
            | Self::Activate(Activation { on, .. })
            | Self::Deactivate(Activation { on, .. })
            | Self::Sweep(Activation { on, .. }) => on,
        }
    }
}

/// Runs a command on devices that are open.
pub(super) fn on_site(globals: &Globals, site: &Site, command: &Command) -> Result<Answer> {
    match command {
        Command::Create(arguments) => members::create(globals, site, arguments),
        Command::Extend(arguments) => members::extend(globals, site, arguments),
        Command::Reduce { name, drop, .. } => members::reduce(site, name, drop),
        Command::Rename { name, to, .. } => rename(site, name, to),
        Command::Remove { name, .. } => remove(globals, site, name),
        Command::Tag { name, tags, .. } => {
            let wish = Wish {
                what: "open-local lvm group tag",
                operations: vec![Operation::TagGroup(tags.into())],
                ..Wish::default()
            };
            change(globals, site, name, &wish)
        }
        Command::Repair { name, text_of, .. } => repair(site, name, text_of.as_deref()),
        Command::Activate(it) => activate(site, &it.name, Which::All, &it.how),
        Command::Deactivate(it) => deactivate(site, &it.name, Which::All, &it.how),
        Command::Sweep(it) => sweep(site, &it.name, &it.how),
    }
}

fn rename(site: &Site, name: &str, to: &str) -> Result<Answer> {
    let what = "open-local lvm group rename";
    let view = site.session.group(name)?;
    let operation = Operation::RenameGroup(to.to_owned());
    let planned = open_local_lvm::plan::plan(&view.metadata, &[operation], &site.context(what))?;
    require_all_inactive(site, &view)?;
    let steps = super::change::texts(&planned);
    if site.dry_run {
        return Ok(dry(Subject::value(name), &steps, &planned.warnings));
    }
    let done = site.session.rename_group(name, to, what)?;
    Ok(answer(&done, &steps, planned.warnings, Words::default()))
}

fn remove(globals: &Globals, site: &Site, name: &str) -> Result<Answer> {
    let what = "open-local lvm group remove";
    let subject = Subject::value(name);
    let gone = |outcome, steps: &[String]| {
        let warnings = &[];
        lvm_change::done(&Changed { outcome, name, group: None, steps, warnings })
    };
    let view = match site.session.group(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(if site.dry_run { dry(subject, &[], &[]) } else { gone("absent", &[]) });
        }
        other => other?,
    };
    let (_, steps) = remove_group(&metadata(&view.metadata.group), &site.context(what))?;
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    require_all_inactive(site, &view)?;
    if site.dry_run {
        return Ok(dry(subject, &steps, &[]));
    }
    let loses = format!("this removes group {name}");
    confirm::destruction(globals, Op::RemovePool, subject, &loses)?;
    site.session.remove_group(name, what)?;
    Ok(gone("removed", &steps))
}

fn repair(site: &Site, name: &str, text_of: Option<&Path>) -> Result<Answer> {
    let view = site.session.group(name)?;
    let told =
        |finding: &Finding| format!("{}: {} ({})", finding.object, finding.message, finding.kind);
    if site.dry_run {
        let steps: Vec<String> = view.findings.iter().map(told).collect();
        let warning = "what is listed was found; a repair mends metadata areas and nothing else";
        let warnings = if steps.is_empty() { vec![] } else { vec![warning.to_owned()] };
        return Ok(dry(Subject::value(name), &steps, &warnings));
    }
    let text_of = text_of.map(crate::context::absolute).transpose()?;
    let choice = text_of.as_deref().map_or(Choice::Refuse, Choice::Of);
    let done = site.session.repair(name, choice)?;
    let now = site.session.group(name)?;
    let left = |finding: &&Finding| now.findings.contains(finding);
    let steps: Vec<String> = view
        .findings
        .iter()
        .filter(|finding| !left(finding))
        .map(|finding| format!("mended: {}", told(finding)))
        .collect();
    let mut warnings: Vec<String> =
        now.findings.iter().map(|finding| format!("not mended: {}", told(finding))).collect();
    warnings.extend(done.backup.iter().map(|why| format!("the backup file is not current: {why}")));
    Ok(lvm_change::done(&Changed {
        outcome: if done.changed || !steps.is_empty() { "repaired" } else { "unchanged" },
        name,
        group: Some(&done.metadata.group),
        steps: &steps,
        warnings: &warnings,
    }))
}
