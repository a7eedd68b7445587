//! A change of one group: planned, shown or confirmed, planned again under the lock, committed.

use open_local_core::{Error, ErrorKind, Op, Plan as Steps, Result, Subject};
use open_local_lvm::exec::{Committed, GroupView, active_volumes, require_inactive};
use open_local_lvm::format::group::{Metadata, Provenance, VolumeGroup};
use open_local_lvm::plan::{Operation, Plan, Step, plan};

use super::site::Site;
use crate::answer::Answer;
use crate::cli::confirm;
use crate::context::Globals;
use crate::view::lvm_change::{self, Changed};

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Wish {
    /// The word for it in the text, for people.
    pub(super) what: &'static str,
    /// In this order, with one commit.
    pub(super) operations: Vec<Operation>,
    /// Volumes the kernel must not have as devices.
    pub(super) inactive: Vec<String>,
    /// Volumes that may be active, but whose device does not follow.
    pub(super) stale: Vec<String>,
    /// What is lost, where something is.
    pub(super) loses: Option<String>,
    /// The words of the answer where something was done, and where nothing was to do.
    pub(super) words: Words,
}

/// Words of outcomes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) done: &'static str,
    pub(super) nothing: &'static str,
}

impl Default for Words {
    fn default() -> Self {
        Self { done: "changed", nothing: "unchanged" }
    }
}

/// Carries a wish out.
///
/// # Errors
/// As [`plan`] and [`open_local_lvm::exec::Session::change`]; `Busy` for an active volume;
/// `Refused` if what is lost was not confirmed.
pub(super) fn change(globals: &Globals, site: &Site, group: &str, wish: &Wish) -> Result<Answer> {
    let view = site.session.group(group)?;
    let planned = permitted(site, &view.metadata.group, wish)?;
    if site.dry_run {
        return Ok(dry(Subject::value(group), &texts(&planned), &planned.warnings));
    }
    if let Some(loses) = wish.loses.as_deref().filter(|_| !planned.is_empty()) {
        confirm::destruction(globals, Op::PlanChange, Subject::value(group), loses)?;
    }
    let mut last = None;
    let done = site.session.change(group, wish.what, |old| {
        // Planned again: the group may be another one since it was shown.
        let planned = permitted(site, old, wish)?;
        let new = planned.metadata.group.clone();
        last = Some(planned);
        Ok(new)
    })?;
    let planned = last.unwrap_or(planned);
    Ok(answer(&done, &texts(&planned), planned.warnings, wish.words))
}

/// The plan, if the kernel's devices allow it.
fn permitted(site: &Site, group: &VolumeGroup, wish: &Wish) -> Result<Plan> {
    let mut planned = plan(&metadata(group), &wish.operations, &site.context(wish.what))
        .map_err(with_some_remedy)?;
    if planned.is_empty() {
        return Ok(planned);
    }
    let told = planned.steps.iter().find(|step| matches!(step, Step::SendMessages(_)));
    if let Some(step) = told.filter(|_| !site.dry_run) {
        let message = format!("this command changes metadata only, and the kernel is to: {step}");
        return Err(Error::new(
            ErrorKind::Unsupported,
            Op::PlanChange,
            Subject::value(&group.name),
            message,
        )
        .with_remedy("use lvremove of the lvm2 tools"));
    }
    let inactive: Vec<&str> = wish.inactive.iter().map(String::as_str).collect();
    if !inactive.is_empty() {
        require_inactive(&site.host, group, Some(&inactive))?;
    }
    if wish.stale.is_empty() {
        return Ok(planned);
    }
    for active in active_volumes(&site.host, &group.id)? {
        let lv = group.logical_volumes.iter().find(|lv| lv.id == active.volume);
        if let Some(lv) = lv.filter(|lv| wish.stale.contains(&lv.name)) {
            planned.warnings.push(format!(
                "{}: the kernel's device {} stays as it was until lvchange --refresh {}/{0}",
                lv.name, active.device, group.name
            ));
        }
    }
    Ok(planned)
}

/// Where the planner names no way out, looking does.
fn with_some_remedy(error: Error) -> Error {
    if error.remedy().is_some() {
        return error;
    }
    error.with_remedy("see open-local lvm report lvs with the same devices")
}

/// A group as what plans are made from; who wrote it last does not matter.
pub(super) fn metadata(group: &VolumeGroup) -> Metadata {
    Metadata { group: group.clone(), provenance: Provenance::default() }
}

/// The steps in words.
pub(super) fn texts(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

/// The answer of a dry run.
pub(super) fn dry(subject: Subject, steps: &[String], warnings: &[String]) -> Answer {
    lvm_change::planned(&Steps::new(subject, steps), warnings)
}

/// The answer of a commit.
pub(super) fn answer(
    done: &Committed,
    steps: &[String],
    mut warnings: Vec<String>,
    words: Words,
) -> Answer {
    for area in &done.degraded {
        warnings.push(format!(
            "{}: the metadata area at byte {} did not get it ({}); the next change repairs it",
            area.device.display(),
            area.area,
            area.why
        ));
    }
    warnings.extend(done.backup.iter().map(|why| format!("the backup file is not current: {why}")));
    let group = &done.metadata.group;
    lvm_change::done(&Changed {
        outcome: match (done.changed, steps) {
            (true, [_, ..]) => words.done,
            // What was asked for was there; areas that a cut-off commit left behind were not.
            (true, []) => "repaired",
            (false, _) => words.nothing,
        },
        name: &group.name,
        group: Some(group),
        steps: if done.changed { steps } else { &[] },
        warnings: &warnings,
    })
}

/// Refuses while the kernel has any volume of the group as a device.
///
/// # Errors
/// As [`require_inactive`].
pub(super) fn require_all_inactive(site: &Site, view: &GroupView) -> Result<()> {
    require_inactive(&site.host, &view.metadata.group, None)
}

/// The error for an argument.
pub(super) fn invalid(name: &str, message: &str, remedy: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::value(name), message)
        .with_remedy(remedy)
}
