//! `open-local device …`.

mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use open_local_core::host::SystemDevices;
use open_local_core::inventory::{BlockDevice, DeviceKind, Filter, Inventory, Judged, Policy};
use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::Context;
use crate::view::device as view;

/// What to do with devices.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List disks and partitions, and whether they are free
    List(List),
    /// Say everything that is known of one device, and why it is not free
    Explain(Explain),
}

/// Which devices are offered.
#[derive(Debug, Clone, Args)]
pub struct Offer {
    /// Offer only devices whose path an expression means, such as /dev/sd[b-z]; may be repeated.
    /// Expressions mean whole paths
    #[arg(long, value_name = "REGEX")]
    pub include: Vec<String>,
    /// Offer no device whose path an expression means; may be repeated
    #[arg(long, value_name = "REGEX")]
    pub exclude: Vec<String>,
    /// The smallest size that is offered
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub min_size: Bytes,
    /// Offer devices of this kind too, such as loop or dm-lvm; may be repeated
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<DeviceKind>,
    /// Open no device: what it holds stays unknown, and none counts as free
    #[arg(long)]
    pub no_open: bool,
}

/// Arguments of `device list`.
#[derive(Debug, Args)]
pub struct List {
    /// Which devices are offered
    #[command(flatten)]
    pub offer: Offer,
    /// Also list devices that are not offered or have no medium; they are not opened
    #[arg(long)]
    pub all: bool,
    /// Then print what changes, a line each, as it comes; with --output json an object a line
    #[arg(long)]
    pub watch: bool,
    /// How long to watch, such as 90s, 10m or 2h; at most 30d
    #[arg(long = "for", value_name = "DURATION", requires = "watch", default_value = "1h",
          value_parser = duration)]
    pub span: Duration,
}

/// Arguments of `device explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Its kernel name, its node, or another path to it such as one below /dev/disk
    #[arg(value_name = "PATH|NAME")]
    pub device: PathBuf,
    /// Which devices are offered
    #[command(flatten)]
    pub offer: Offer,
}

impl Offer {
    fn policy(&self) -> Result<Policy> {
        let filter = if self.include.is_empty() {
            Filter::all_but(&self.exclude)?
        } else {
            Filter::new(&self.include, &self.exclude)?
        };
        let policy = Policy::default().with_minimum(self.min_size).with_filter(filter);
        Ok(self.kinds.iter().fold(policy, |policy, kind| policy.with_kind(*kind)))
    }
}

/// Longest time to watch.
const MAX_SPAN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// `90s`, `10m`, `2h`, `1d`, or a number of seconds.
fn duration(text: &str) -> Result<Duration, Error> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: Option<u64> = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    };
    let seconds =
        number.parse().ok().zip(unit).and_then(|(n, unit): (u64, u64)| n.checked_mul(unit));
    seconds.map(Duration::from_secs).filter(|span| *span <= MAX_SPAN).ok_or_else(|| {
        let subject = Subject::value(text);
        let message = "this is no duration of at most 30 days";
        Error::new(ErrorKind::InvalidArgument, Op::Parse, subject, message)
            .with_remedy("write it like 90s, 10m, 2h or 1d")
    })
}

/// Runs a command.
///
/// # Errors
/// `Unsupported` on the simulated machine, `InvalidArgument` naming a wrong expression, `NotFound`
/// for an unknown device, and if the kernel's lists can't be read.
pub fn run(context: &Context, command: Command) -> Result<Answer> {
    let offer = match &command {
        Command::List(list) => &list.offer,
        Command::Explain(explain) => &explain.offer,
    };
    let policy = offer.policy()?;
    if !context.machine.real {
        let subject = Subject::Backend(context.backend().name().to_owned());
        let message = "the simulated machine has no disks, only volumes";
        return Err(Error::new(ErrorKind::Unsupported, Op::Probe, subject, message)
            .with_remedy("leave --backend sim out: looking at devices changes nothing"));
    }
    match command {
        Command::List(list) if list.watch => watch::run(context, &list, policy),
        Command::List(list) => {
            let view = View { policy, all: list.all, no_open: list.offer.no_open };
            let mut inventory = read(context)?;
            let shown = view.shown(&mut inventory);
            let objects: Vec<Value> = shown
                .iter()
                .map(|one| view::json(one, inventory.probed(&one.device.name)))
                .collect();
            Ok(Answer::new(json!({ "devices": objects }), view::table(&shown)))
        }
        Command::Explain(explain) => self::explain(context, &explain, &policy),
    }
}

fn read(context: &Context) -> Result<Inventory> {
    Inventory::read(&context.machine.host, Arc::new(SystemDevices))
}

/// What a list shows.
#[derive(Debug)]
struct View {
    policy: Policy,
    all: bool,
    no_open: bool,
}

impl View {
    fn shows(&self, device: &BlockDevice) -> bool {
        self.all || (self.policy.considers(device) && !device.size.is_zero())
    }

    /// The devices shown, judged; those that are offered are looked into.
    fn shown(&self, inventory: &mut Inventory) -> Vec<Judged> {
        inventory.probe(|device| !self.no_open && self.policy.considers(device));
        let mut judged = inventory.judge(&self.policy);
        judged.retain(|one| self.shows(&one.device));
        judged
    }
}

fn explain(context: &Context, explain: &Explain, policy: &Policy) -> Result<Answer> {
    let mut inventory = read(context)?;
    let name = inventory.find(&explain.device)?.name.clone();
    inventory.probe(|device| !explain.offer.no_open && device.name == name);
    let judged = inventory.judge(policy);
    let one = judged.iter().find(|one| one.device.name == name).ok_or_else(|| {
        let subject = Subject::device(&explain.device);
        Error::new(ErrorKind::NotFound, Op::Probe, subject, "it went away meanwhile")
            .with_remedy("list what is there: open-local device list --all")
    })?;
    let probe = inventory.probed(&name);
    let has_raw = context.machine.registry.names().any(|backend| backend == "raw");
    let object = json!({ "device": view::json(one, probe) });
    Ok(Answer::new(object, view::explained(one, probe, has_raw)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_a_limit() {
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
        assert_eq!(duration("30d").unwrap(), MAX_SPAN);
        for bad in ["", "h", "31d", "-1s", "1w", "99999999999999999999s", "18446744073709551615d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
