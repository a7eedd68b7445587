//! `--engine cli`: groups changed by running the lvm2 tools, for what this program refuses to do
//! without them.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use open_local_core::host::Host;
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use open_local_lvm::cli::{CliConfig, CliTools, GroupOptions, Order};

use super::change::dry;
use super::group::{Command, Create, Extend};
use super::site::On;
use crate::answer::Answer;
use crate::cli::confirm;
use crate::context::{Globals, absolute};
use crate::view::lvm_change::by_tools;

/// Who changes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Engine {
    /// This program
    #[default]
    Native,
    /// The lvm2 tools of this host, run by this program
    Cli,
}

/// What a command has the tools do.
struct Job {
    order: Order,
    /// What is lost, where something is.
    loses: Option<String>,
    /// The name of the group afterwards; none once it is gone.
    name: Option<String>,
}

/// Changes a group by running the tools.
///
/// # Errors
/// As [`CliTools::run`]; `Unsupported` for what the tools have no command for; `Refused` if what
/// is lost was not confirmed.
pub(super) fn group(globals: &Globals, command: &Command) -> Result<Answer> {
    let tools = tools(globals, command.on(), command.more())?;
    let job = job(command)?;
    let shown = [tools.show(&job.order)];
    let subject = job.order.subject().clone();
    tools.refuse_others(Op::PlanChange, &job.order)?;
    if globals.dry_run {
        return Ok(dry(subject, &shown, &[]));
    }
    if let Some(loses) = &job.loses {
        confirm::destruction(globals, Op::PlanChange, subject, loses)?;
    }
    tools.run(Op::PlanChange, &job.order)?;
    let group = job.name.map(|name| tools.group(Op::InspectPool, &name)).transpose()?;
    Ok(by_tools(command.name(), group.as_ref(), &shown))
}

/// Refuses to have the tools change volumes: their own commands do that.
///
/// # Errors
/// `Unsupported`.
pub(super) fn refuse_volumes(on: &On) -> Result<()> {
    if on.beside.engine == Engine::Native {
        return Ok(());
    }
    let message = "volumes are changed without the tools only";
    Err(Error::new(ErrorKind::Unsupported, Op::PlanChange, Subject::Host, message)
        .with_remedy("leave --engine out, or run lvcreate, lvextend, lvremove by hand"))
}

fn tools(globals: &Globals, on: &On, more: &[PathBuf]) -> Result<CliTools> {
    let host = Host::system().with_roots(globals.roots()?);
    let devices: Result<Vec<PathBuf>> =
        on.devices.iter().chain(more).map(|path| absolute(path)).collect();
    let folder = absolute(&on.beside.lvm_dir)?;
    let mut config = CliConfig::from_folder(&host, &folder, &devices?)?;
    // The tools wait for locks without an end of their own.
    config.settings.lock_folder_is_hosts = on.beside.lock_folder_is_hosts;
    let wait = Duration::from_secs(on.beside.lock_wait);
    config.read_deadline = config.read_deadline.saturating_add(wait);
    config.change_deadline = config.change_deadline.saturating_add(wait);
    CliTools::new(&host, config)
}

fn job(command: &Command) -> Result<Job> {
    let plain = |order: Order, name: &str| Job { order, loses: None, name: Some(name.to_owned()) };
    Ok(match command {
        Command::Create(arguments) => plain(create(arguments)?, &arguments.name),
        Command::Extend(arguments) => plain(extend(arguments)?, &arguments.name),
        Command::Reduce { name, drop, .. } => plain(Order::reduce_group(name, drop)?, name),
        Command::Rename { name, to, .. } => plain(Order::rename_group(name, to)?, to),
        Command::Tag { name, tags, .. } => plain(Order::tag_group(name, &tags.into())?, name),
        Command::Repair { name, text_of: None, .. } => plain(Order::mend_group(name)?, name),
        Command::Repair { .. } => {
            return Err(beyond(
                "the tools choose between different texts themselves",
                "leave --text-of out",
            ));
        }
        Command::Activate(_) | Command::Deactivate(_) | Command::Sweep(_) => {
            return Err(beyond(
                "volumes are activated without the tools only",
                "leave --engine out, or run vgchange -ay or -an by hand",
            ));
        }
        Command::Remove { name, .. } => Job {
            order: Order::remove_group(name)?,
            loses: Some(format!("this removes group {name}")),
            name: None,
        },
    })
}

fn create(arguments: &Create) -> Result<Order> {
    refuse_replacing(&arguments.blank.replace)?;
    let options =
        GroupOptions::default().with_extent_size(arguments.extent_size).with_tags(&arguments.tags);
    let options = match arguments.blank.metadata_size {
        Some(size) => options.with_metadata_size(size),
        None => options,
    };
    let devices: Result<Vec<PathBuf>> =
        arguments.on.devices.iter().map(|path| absolute(path)).collect();
    Order::create_group(&arguments.name, &devices?, &options)
}

fn extend(arguments: &Extend) -> Result<Order> {
    refuse_replacing(&arguments.blank.replace)?;
    let devices: Result<Vec<PathBuf>> = arguments.add.iter().map(|path| absolute(path)).collect();
    Order::extend_group(&arguments.name, &devices?)
}

fn refuse_replacing(replace: &[String]) -> Result<()> {
    if replace.is_empty() {
        return Ok(());
    }
    Err(beyond(
        "the tools destroy all that a device holds, or nothing",
        "erase the device first: wipefs --all DEVICE",
    ))
}

fn beyond(message: &str, remedy: &str) -> Error {
    Error::new(ErrorKind::Unsupported, Op::PlanChange, Subject::Host, message).with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn ordered(line: &str) -> Result<String> {
        let words = ["group"].into_iter().chain(line.split(' '));
        job(&Line::try_parse_from(words).unwrap().command).map(|job| job.order.to_string())
    }

    #[test]
    fn each_command_is_one_of_the_tools() {
        for (line, wanted) in [
            (
                "create g --tag a --engine cli /dev/b",
                "vgcreate -s 4194304b --metadatasize 16777216b --addtag a g /dev/b",
            ),
            ("extend g --add /dev/c --engine cli /dev/b", "vgextend g /dev/c"),
            ("reduce g --drop /dev/c --engine cli /dev/b", "vgreduce g /dev/c"),
            ("rename g h --engine cli /dev/b", "vgrename g h"),
            ("remove g --engine cli /dev/b", "vgremove g"),
            ("tag g --add x --engine cli /dev/b", "vgchange --addtag x g"),
            ("repair g --engine cli /dev/b", "vgck --updatemetadata g"),
        ] {
            assert_eq!(ordered(line).unwrap(), wanted, "{line}");
        }
    }

    #[test]
    fn what_the_tools_cannot_do_is_refused() {
        for line in [
            "create g --replace swap --engine cli /dev/b",
            "extend g --add /dev/c --replace swap --engine cli /dev/b",
            "repair g --text-of /dev/b --engine cli /dev/b",
        ] {
            assert_eq!(ordered(line).unwrap_err().kind(), ErrorKind::Unsupported, "{line}");
        }
    }
}
