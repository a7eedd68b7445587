//! Volumes become block devices and cease to be.

use clap::{Args, ValueEnum};
use open_local_core::{Result, Subject};
use open_local_lvm::activate::{
    ActivateOptions, ActivationPlan, Activator, Goal, PoolCheck, UdevMode, all_goals,
};
use open_local_lvm::exec::GroupView;

use super::change::dry;
use super::site::Site;
use crate::answer::Answer;
use crate::view::lvm_activate::{self, Done};

/// How devices are made.
#[derive(Debug, Clone, Args)]
pub struct How {
    /// What udev has to do with it
    #[arg(long, value_enum, default_value_t)]
    pub udev: Udev,
    /// Do not run thin_check on the metadata of a thin pool before its first activation
    #[arg(long)]
    pub no_pool_check: bool,
}

/// Who makes nodes and links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Udev {
    /// udev where it runs, and it is waited for; else this program
    #[default]
    Auto,
    /// udev, some time later
    Later,
    /// This program
    Absent,
}

/// Which volumes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// One.
    Volume(&'a str),
    /// All of the group.
    All,
}

impl How {
    fn activator(&self, site: &Site) -> Result<Activator> {
        let mut options = ActivateOptions::of_host(&site.host);
        match self.udev {
            Udev::Auto => {}
            Udev::Later => options.udev = UdevMode::Later,
            Udev::Absent => options.udev = UdevMode::Absent,
        }
        if self.no_pool_check {
            options.pool_check = PoolCheck::Skip;
        }
        let options = options.with_system_id(site.settings.system_id.clone());
        Ok(Activator::new(site.host.clone(), site.device_mapper()?, options))
    }
}

/// Does something with a group under its lock.
fn locked<T>(site: &Site, group: &str, act: impl FnOnce(&GroupView) -> Result<T>) -> Result<T> {
    let locked = site.session.lock(group)?;
    let done = act(&locked.view());
    locked.release();
    done
}

fn goals<'v>(
    view: &'v GroupView,
    activator: &Activator,
    which: Which<'v>,
) -> (Vec<Goal<'v>>, Vec<String>) {
    match which {
        Which::Volume(name) => (vec![Goal::Volume(name)], Vec::new()),
        Which::All => {
            let group = &view.metadata.group;
            let (goals, refused) = all_goals(group, &view.numbers, &activator.options().tree);
            (goals, refused.iter().map(|error| error.report().to_string()).collect())
        }
    }
}

fn steps(plan: &ActivationPlan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

/// Activates.
///
/// # Errors
/// As [`Activator::activate`].
pub(super) fn activate(site: &Site, group: &str, which: Which<'_>, how: &How) -> Result<Answer> {
    let activator = how.activator(site)?;
    if site.dry_run {
        let view = site.session.group(group)?;
        let (goals, refused) = goals(&view, &activator, which);
        let plan = activator.plan(&view.metadata.group, &view.numbers, &goals)?;
        return Ok(dry(Subject::value(group), &steps(&plan), &refused));
    }
    locked(site, group, |view| {
        let (goals, refused) = goals(view, &activator, which);
        let done = activator.activate(&view.metadata.group, &view.numbers, &goals)?;
        Ok(lvm_activate::answer(&Done {
            group,
            outcome: if done.changed { "activated" } else { "unchanged" },
            active: &done.devices,
            devices: &[],
            warnings: &[refused, done.warnings].concat(),
        }))
    })
}

/// Deactivates.
///
/// # Errors
/// As [`Activator::deactivate`].
pub(super) fn deactivate(site: &Site, group: &str, which: Which<'_>, how: &How) -> Result<Answer> {
    let activator = how.activator(site)?;
    if site.dry_run {
        let view = site.session.group(group)?;
        let metadata = &view.metadata.group;
        let plan = match which {
            Which::Volume(name) => activator.plan_deactivation(metadata, &[name])?,
            Which::All => activator.plan_deactivation_of_all(metadata)?,
        };
        return Ok(dry(Subject::value(group), &steps(&plan), &[]));
    }
    locked(site, group, |view| {
        let metadata = &view.metadata.group;
        let done = match which {
            Which::Volume(name) => activator.deactivate(metadata, &[name])?,
            Which::All => activator.deactivate_all(metadata)?,
        };
        Ok(lvm_activate::answer(&Done {
            group,
            outcome: if done.removed.is_empty() { "unchanged" } else { "deactivated" },
            active: &[],
            devices: &done.removed,
            warnings: &done.warnings,
        }))
    })
}

/// Lets go on what is suspended.
///
/// # Errors
/// As [`Activator::sweep`].
pub(super) fn sweep(site: &Site, group: &str, how: &How) -> Result<Answer> {
    let activator = how.activator(site)?;
    if site.dry_run {
        let view = site.session.group(group)?;
        let plan = activator.plan_sweep(&view.metadata.group, &view.numbers)?;
        return Ok(dry(Subject::value(group), &steps(&plan), &[]));
    }
    locked(site, group, |view| {
        let done = activator.sweep(&view.metadata.group, &view.numbers)?;
        Ok(lvm_activate::answer(&Done {
            group,
            outcome: if done.report.is_empty() { "unchanged" } else { "swept" },
            active: &[],
            devices: &done.report,
            warnings: &done.warnings,
        }))
    })
}
