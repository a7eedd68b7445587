//! `open-local lvm pv …`: devices that become physical volumes of no group, and blank ones again.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use open_local_lvm::exec::{PvOptions, PvView};
use open_local_lvm::plan::{Operation, PhysicalResize, PvLayout, plan};

use super::change::{Words, answer, dry, metadata};
use super::group::Blank;
use super::members;
use super::site::{On, Site};
use crate::answer::Answer;
use crate::cli::confirm;
use crate::context::{Globals, absolute};
use crate::view::lvm_change;

/// What to do with physical volumes.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make blank devices physical volumes of no group; those that are free ones stay as they are
    Create(Create),
    /// Let a physical volume, and its group, know how large its device is now
    Resize {
        /// The device that was made larger or smaller
        device: PathBuf,
        /// It and the other devices of its group
        #[command(flatten)]
        on: On,
    },
    /// Make physical volumes of no group blank devices: their labels are cleared
    Remove {
        /// The devices
        #[command(flatten)]
        on: On,
    },
}

/// Arguments of `lvm pv create`.
#[derive(Debug, Args)]
pub struct Create {
    /// How they are laid out
    #[command(flatten)]
    pub blank: Blank,
    /// The devices
    #[command(flatten)]
    pub on: On,
}

/// Runs a command.
///
/// # Errors
/// As [`open_local_lvm::exec::Session::create_pv`], [`open_local_lvm::exec::Session::resize_pv`],
/// [`open_local_lvm::exec::Session::remove_pv`]; `Refused` if what is lost was not confirmed.
pub fn run(globals: &Globals, command: &Command) -> Result<Answer> {
    on_site(globals, &command.on().open(globals, command.more())?, command)
}

impl Command {
    pub(super) const fn on(&self) -> &On {
        match self {
            Self::Create(Create { on, .. }) | Self::Resize { on, .. } | Self::Remove { on } => on,
        }
    }

    /// Devices that are named besides those.
    pub(super) fn more(&self) -> &[PathBuf] {
        match self {
            Self::Resize { device, .. } => std::slice::from_ref(device),
            _ => &[],
        }
    }
}

/// Runs a command on devices that are open.
pub(super) fn on_site(globals: &Globals, site: &Site, command: &Command) -> Result<Answer> {
    let devices: Vec<PathBuf> = site.session.devices().map(Path::to_path_buf).collect();
    match command {
        Command::Create(arguments) => create(globals, site, &devices, &arguments.blank),
        Command::Resize { device, .. } => resize(site, &absolute(device)?),
        Command::Remove { .. } => remove(globals, site, &devices),
    }
}

/// What several devices are called.
fn subject(devices: &[PathBuf]) -> Subject {
    match devices {
        [one] => Subject::device(one),
        _ => Subject::Host,
    }
}

fn create(globals: &Globals, site: &Site, devices: &[PathBuf], blank: &Blank) -> Result<Answer> {
    let views = site.session.physical_volumes()?;
    let mut made = Vec::new();
    let mut steps = Vec::new();
    // All are looked at before the first is changed.
    for new in members::joining(site, devices, &views, blank)? {
        let path = PathBuf::from(&new.device);
        if views.iter().any(|view| view.path == path) {
            continue;
        }
        let layout = PvLayout::new(&new.device, &new.geometry, &new.options)?;
        let start = layout.extents_start;
        steps.push(format!("make {} a physical volume, extents from {start}", new.device));
        made.push((path, layout));
    }
    if site.dry_run {
        return Ok(dry(subject(devices), &steps, &[]));
    }
    if !blank.replace.is_empty() && !made.is_empty() {
        let loses = format!("this destroys {} on its devices", blank.replace.join(", "));
        confirm::destruction(globals, Op::EnsurePool, subject(devices), &loses)?;
    }
    for (path, layout) in made {
        let mut options = PvOptions::default().with_layout(layout);
        options.destroy.clone_from(&blank.replace);
        site.session.create_pv(&path, &options)?;
    }
    Ok(lvm_change::physical("created", &steps, &shown(site, devices)?))
}

fn shown(site: &Site, devices: &[PathBuf]) -> Result<Vec<PvView>> {
    let views = site.session.physical_volumes()?;
    Ok(views.into_iter().filter(|view| devices.contains(&view.path)).collect())
}

fn resize(site: &Site, device: &Path) -> Result<Answer> {
    let what = "open-local lvm pv resize";
    let views = site.session.physical_volumes()?;
    let Some(view) = views.iter().find(|view| view.path == device) else {
        let message = "it is no physical volume";
        return Err(Error::new(
            ErrorKind::NotFound,
            Op::PlanChange,
            Subject::device(device),
            message,
        )
        .with_remedy("make it one with: open-local lvm pv create"));
    };
    let Some(name) = &view.group else {
        let steps = [format!("let the label of {} say {}", device.display(), view.device_size)];
        if site.dry_run {
            return Ok(dry(Subject::device(device), &steps, &[]));
        }
        site.session.resize_pv(device)?;
        let now = shown(site, &[device.to_path_buf()])?;
        return Ok(lvm_change::physical("resized", &steps, &now));
    };
    let operation = Operation::ResizePhysical(PhysicalResize {
        id: view.id,
        device_size: view.device_size,
        metadata_areas: view.area_places.clone(),
    });
    let operations = [operation];
    let group = site.session.group(name)?;
    let planned = plan(&group.metadata, &operations, &site.context(what))?;
    let steps = super::change::texts(&planned);
    if site.dry_run {
        return Ok(dry(Subject::value(name), &steps, &planned.warnings));
    }
    let done = site.session.change_members(name, what, |old| {
        // Planned again: the group may be another one since it was shown.
        Ok(plan(&metadata(old), &operations, &site.context(what))?.metadata.group)
    })?;
    Ok(answer(&done, &steps, planned.warnings, Words::default()))
}

fn remove(globals: &Globals, site: &Site, devices: &[PathBuf]) -> Result<Answer> {
    let views = shown(site, devices)?;
    if let Some((view, why)) = views.iter().find_map(|view| Some((view, view.taken.as_ref()?))) {
        let message = format!("the physical volume {why}");
        let subject = Subject::device(&view.path);
        return Err(Error::new(ErrorKind::Refused, Op::RemovePool, subject, message)
            .with_remedy("take it out with: open-local lvm group reduce, or remove the group"));
    }
    let steps: Vec<String> =
        views.iter().map(|view| format!("clear the label of {}", view.path.display())).collect();
    if site.dry_run {
        return Ok(dry(subject(devices), &steps, &[]));
    }
    if !views.is_empty() {
        let loses = format!("this makes {} physical volumes blank devices", views.len());
        confirm::destruction(globals, Op::RemovePool, subject(devices), &loses)?;
    }
    views.iter().try_for_each(|view| site.session.remove_pv(&view.path))?;
    Ok(lvm_change::physical("removed", &steps, &[]))
}
