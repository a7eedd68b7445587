//! `open-local throttle …`.

use clap::{Args, Subcommand};
use open_local_core::throttle::{CgroupTarget, IoLimits};
use open_local_core::{
    BytesPerSec, DeviceNumber, Error, ErrorKind, Iops, Op, Result, Subject, VolumeId,
};
use serde_json::json;

use super::values;
use crate::answer::Answer;
use crate::context::Context;
use crate::view::{OutcomeWord, throttle as shown};

/// What to do with I/O limits.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set the limits of a cgroup on a device; a limit that is left out is lifted
    Apply {
        /// Whose I/O and on what
        #[command(flatten)]
        on: On,
        /// The limits
        #[command(flatten)]
        limits: Limits,
    },
    /// Show what is in force and what is wished
    Show {
        /// Whose I/O and on what
        #[command(flatten)]
        on: On,
    },
    /// Lift all limits of a cgroup on a device
    Clear {
        /// Whose I/O and on what
        #[command(flatten)]
        on: On,
    },
    /// Bring the recorded wishes to cgroups that have appeared since
    Reconcile,
    /// Say whether a limit would take effect, and if not, why
    Support {
        /// Whose I/O and on what
        #[command(flatten)]
        on: On,
    },
}

/// A cgroup and a device.
#[derive(Debug, Args)]
pub struct On {
    /// The cgroup, as its path below the hierarchy's root, such as kubepods/pod1
    #[arg(long, value_parser = values::cgroup)]
    pub cgroup: CgroupTarget,
    /// The device, as major:minor
    #[arg(long, value_name = "MAJOR:MINOR", required_unless_present = "volume")]
    pub device: Option<DeviceNumber>,
    /// The device of this published volume
    #[arg(long, value_name = "NAME", conflicts_with = "device")]
    pub volume: Option<VolumeId>,
}

/// Limits a second.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Limits {
    /// Bytes read a second, such as 10MiB
    #[arg(long, value_name = "RATE")]
    pub read_bps: Option<BytesPerSec>,
    /// Bytes written a second, such as 10MiB
    #[arg(long, value_name = "RATE")]
    pub write_bps: Option<BytesPerSec>,
    /// Reads a second
    #[arg(long, value_name = "COUNT")]
    pub read_iops: Option<Iops>,
    /// Writes a second
    #[arg(long, value_name = "COUNT")]
    pub write_iops: Option<Iops>,
}

impl Limits {
    fn limits(&self) -> IoLimits {
        let mut limits = IoLimits::none();
        limits.read_bps = self.read_bps;
        limits.write_bps = self.write_bps;
        limits.read_iops = self.read_iops;
        limits.write_iops = self.write_iops;
        limits
    }
}

impl On {
    fn device(&self, context: &Context, op: Op) -> Result<DeviceNumber> {
        if let Some(number) = self.device {
            return Ok(number);
        }
        let Some(id) = &self.volume else {
            let message = "neither a device nor a volume is named";
            return Err(Error::new(ErrorKind::InvalidArgument, op, Subject::Host, message)
                .with_remedy("add --volume NAME or --device MAJOR:MINOR"));
        };
        let attachment = context.pool()?.volume(id)?.attachment.ok_or_else(|| {
            let message = "it has no block device: it is not published";
            let remedy = format!(
                "publish it first: open-local volume publish {id}; or name the device it had with \
                 --device MAJOR:MINOR"
            );
            Error::new(ErrorKind::Refused, op, id, message).with_remedy(remedy)
        })?;
        Ok(attachment.number)
    }
}

/// Runs a command.
///
/// # Errors
/// Those of the I/O limits.
pub fn run(context: &Context, command: Command) -> Result<Answer> {
    match command {
        Command::Apply { on, limits } => apply(context, &on, &limits.limits()),
        Command::Show { on } => show(context, &on),
        Command::Clear { on } => clear(context, &on),
        Command::Reconcile => reconcile(context),
        Command::Support { on } => {
            let device = on.device(context, Op::ThrottleSupport)?;
            let support = context.throttle()?.support(&on.cgroup, device)?;
            Ok(Answer::new(
                json!({ "support": shown::support_json(&support) }),
                format!("{} on {device}: {}", on.cgroup, shown::support_text(&support)),
            ))
        }
    }
}

fn apply(context: &Context, on: &On, limits: &IoLimits) -> Result<Answer> {
    let device = on.device(context, Op::ApplyLimits)?;
    let target = &on.cgroup;
    let steps = [
        "record the wish".to_owned(),
        format!("write {limits} for {device} to the cgroup (on v1 also to those below it)"),
    ];
    if let Some(answer) = context.planned_steps(Subject::from(target), &steps) {
        return Ok(answer);
    }
    context.machine.require_root(Op::ApplyLimits)?;
    let done = context.throttle()?.apply(target, device, limits)?;
    let (word, state) = (done.word(), done.get());
    Ok(Answer::new(
        json!({ "outcome": word, "limits": shown::state_json(state) }),
        format!("{target} on {device}: {word}\n{}", shown::state_facts(state)),
    ))
}

fn show(context: &Context, on: &On) -> Result<Answer> {
    let device = on.device(context, Op::ReadLimits)?;
    let state = context.throttle()?.current(&on.cgroup, device)?;
    let text = state
        .as_ref()
        .map_or_else(|| format!("{} on {device}: no limits", on.cgroup), shown::state_facts);
    let json = json!({ "limits": state.as_ref().map(shown::state_json) });
    Ok(Answer::new(json, text))
}

fn clear(context: &Context, on: &On) -> Result<Answer> {
    let device = on.device(context, Op::ClearLimits)?;
    let target = &on.cgroup;
    let steps = ["lift the limits".to_owned(), "forget the wish".to_owned()];
    if let Some(answer) = context.planned_steps(Subject::from(target), &steps) {
        return Ok(answer);
    }
    context.machine.require_root(Op::ClearLimits)?;
    let done = context.throttle()?.clear(target, device)?;
    let (word, last) = (done.word(), done.object().map(shown::state_json));
    Ok(Answer::new(
        json!({ "outcome": word, "limits": last }),
        format!("{target} on {device}: limits {word}"),
    ))
}

fn reconcile(context: &Context) -> Result<Answer> {
    let steps = ["write each recorded wish to the cgroups that lack it".to_owned()];
    if let Some(answer) = context.planned_steps(Subject::Host, &steps) {
        return Ok(answer);
    }
    context.machine.require_root(Op::ApplyLimits)?;
    let done = context.throttle()?.reconcile()?;
    let text = format!(
        "{} wishes: {} cgroups written, {} waiting for their cgroup, {} forgotten",
        done.wishes, done.written, done.waiting, done.forgotten
    );
    Ok(Answer::new(json!({ "reconciled": shown::reconciled_json(&done) }), text))
}
