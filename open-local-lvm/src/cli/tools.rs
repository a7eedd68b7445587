//! Running the tools.

use std::path::{Path, PathBuf};

use open_local_core::host::{Host, Invocation, Output, find_program};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::config::CliConfig;
use super::order::{Order, Touched, shell_word};
use super::{answer, folder, json, report};

/// What a run that changes something may print.
const CHANGE_LIMIT: usize = 1 << 20;
/// What a report may take: some 30,000 volumes.
const REPORT_LIMIT: usize = 64 << 20;

/// The lvm2 tools on the devices of one configuration.
///
/// Cheap to clone. Several may work on the same devices: the tools lock against each other.
#[derive(Debug, Clone)]
pub struct CliTools {
    host: Host,
    config: CliConfig,
    program: PathBuf,
    /// What the tools take for `/etc/lvm`.
    folder: PathBuf,
    has_mapper: bool,
}

impl CliTools {
    /// The tools, with the configuration they get written into our run folder.
    ///
    /// Where lvm2 uses a devices file, the host's own configuration is taken: the file is found
    /// relative to it, and the tools have to keep it.
    ///
    /// # Errors
    /// `MissingProgram` where lvm2 is not installed, `InvalidArgument` for devices the tools can't
    /// be told of, `PermissionDenied`, `OutOfSpace` or `Io` if the configuration can't be written.
    pub fn new(host: &Host, config: CliConfig) -> Result<Self> {
        let program = find_program(host.files.as_ref(), "lvm", "lvm2")?;
        let folder = match config.settings.devices_file {
            Some(_) => config.system_folder.clone(),
            None => folder::ensure(host, &config)?,
        };
        let has_mapper = config.has_mapper(host);
        Ok(Self { host: host.clone(), config, program, folder, has_mapper })
    }

    /// Whether volumes can become active.
    #[must_use]
    pub const fn has_mapper(&self) -> bool {
        self.has_mapper
    }

    /// How the tools are run.
    #[must_use]
    pub const fn config(&self) -> &CliConfig {
        &self.config
    }

    /// The folder the tools take for `/etc/lvm`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The host they run on.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The run of the program that an order stands for.
    #[must_use]
    pub fn invocation(&self, order: &Order) -> Invocation {
        let mut run = Invocation::new(&self.program).arg(order.command()).arg("--nohints");
        if !self.has_mapper {
            run = run.args(["--driverloaded", "n"]);
        }
        let mut arguments: Vec<String> =
            order.arguments().iter().map(ToString::to_string).collect();
        if self.config.settings.devices_file.is_some() {
            // The tools take the option once.
            const QUIET: &str = "activation/monitoring=0";
            let own = arguments.iter().position(|word| word == "--config");
            match own.and_then(|at| arguments.get_mut(at.saturating_add(1))) {
                Some(config) => *config = format!("{config} {QUIET}"),
                None => run = run.args(["--config", QUIET]),
            }
        }
        let mut run = run.args(arguments);
        run.environment.push(("LVM_SYSTEM_DIR".into(), self.folder.clone().into()));
        // Descriptors of this process are none of the tools' business.
        run.environment.push(("LVM_SUPPRESS_FD_WARNINGS".into(), "1".into()));
        run.output_limit = if order.changes() { CHANGE_LIMIT } else { REPORT_LIMIT };
        let config = &self.config;
        run.with_deadline(if order.changes() {
            config.change_deadline
        } else {
            config.read_deadline
        })
    }

    /// The same as a line for a shell, for people and for dry runs.
    #[must_use]
    pub fn show(&self, order: &Order) -> String {
        let run = self.invocation(order);
        let variable = |name: &str| {
            let value = run.environment.iter().find(|(key, _)| key == name);
            value.map(|(_, value)| format!("{name}={}", shell_word(&value.to_string_lossy())))
        };
        let arguments = run.arguments.iter().map(|word| shell_word(&word.to_string_lossy()));
        let words = variable("LVM_SYSTEM_DIR").into_iter();
        let words = words.chain([run.program.display().to_string()]).chain(arguments);
        words.collect::<Vec<_>>().join(" ")
    }

    /// Runs an order to its end. One that finds all as it was asked for succeeds.
    ///
    /// # Idempotency
    /// As the command of lvm2 has it: making what is there is a `Conflict`, removing what is not
    /// there is `NotFound`. Look first.
    ///
    /// # Errors
    /// What the tools say, by kind: `OutOfSpace`, `NotFound`, `Conflict`, `Busy`, `Refused`,
    /// `Unsupported`, `InvalidArgument`, `PermissionDenied`, `External` for anything else.
    /// `Indeterminate` where a run that changes something was killed, by its deadline or by
    /// somebody; `Timeout` where one that only reads was. As [`Self::refuse_others`].
    pub fn run(&self, op: Op, order: &Order) -> Result<Vec<u8>> {
        let output = self.output(op, order)?;
        if output.success() || answer::is_done(&output) {
            return Ok(output.stdout);
        }
        Err(answer::failure(op, order, &output))
    }

    fn output(&self, op: Op, order: &Order) -> Result<Output> {
        let run = self.invocation(order);
        if order.changes() {
            // Locks that the host's tools do not see keep nobody out.
            crate::exec::require_hosts_locks(&self.host, &self.config.settings)?;
            self.refuse_others(op, order)?;
            let step = format!("run lvm {order}");
            self.host.checkpoints.before(op, order.subject(), &step)?;
        }
        self.host.programs.run(&run).map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::Indeterminate if !order.changes() => ErrorKind::Timeout,
                kind => kind,
            };
            let message = format!("lvm {} did not run to its end", order.command());
            Error::new(kind, op, order.subject().clone(), message)
                .with_remedy("repeat the call; if it ends so again, look which process holds the lock of the group")
                .with_source(error)
        })
    }

    /// A group and all that is in it.
    ///
    /// # Errors
    /// `NotFound`; as [`Self::run`]; `Corrupt` if the report can't be understood; `Refused` if it
    /// lies on a device that is none of those that are named.
    pub fn group(&self, op: Op, name: &str) -> Result<report::Group> {
        let mut found = self.reported(op, &Order::full_report(Some(name))?)?;
        found.retain(|group| group.name == name);
        let found = found.pop().ok_or_else(|| {
            let message = "the tools report no group of this name";
            Error::new(ErrorKind::NotFound, op, Subject::value(name), message)
                .with_remedy("look at the name, and at the devices the tools may see")
        })?;
        match self.stranger(&found) {
            None => Ok(found),
            Some(device) => Err(not_named(op, Subject::value(name), &lies_on(device))),
        }
    }

    /// All groups on the devices, sorted by name. One that lies on other devices too says so in
    /// its [`report::Group::refusal`].
    ///
    /// # Errors
    /// As [`Self::run`]; `Corrupt` if the report can't be understood.
    pub fn groups(&self, op: Op) -> Result<Vec<report::Group>> {
        let mut found = self.reported(op, &Order::full_report(None)?)?;
        found.retain(|group| {
            let mut devices = group.physical.iter().filter_map(|pv| pv.device.as_deref());
            !self.is_bound() || devices.any(|device| self.is_named(device))
        });
        for group in &mut found {
            let stranger = self.stranger(group).map(lies_on);
            group.refusal = group.refusal.take().or(stranger);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Refuses an order on what does not lie on the devices that are named, or that takes another
    /// device into a group.
    ///
    /// Where lvm2 uses a devices file the tools see what stands in it, whatever is named here, so
    /// that they are asked first where the group lies. Else they are shown nothing else.
    ///
    /// # Errors
    /// `Refused` naming the device; as [`Self::group`]. A group that is not there is none of them:
    /// the tools say so themselves.
    pub fn refuse_others(&self, op: Op, order: &Order) -> Result<()> {
        if !self.is_bound() {
            return Ok(());
        }
        for touched in order.touches() {
            match touched {
                Touched::Group(name) => match self.group(op, name) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                },
                Touched::Device(path) if !self.is_named(path) => {
                    let message =
                        format!("{} is none of the devices that are named", path.display());
                    return Err(not_named(op, order.subject().clone(), &message));
                }
                Touched::Device(_) => {}
            }
        }
        Ok(())
    }

    /// Whether the tools see more than the devices that are named.
    const fn is_bound(&self) -> bool {
        self.config.settings.devices_file.is_some() && !self.config.devices.is_empty()
    }

    /// A device of a group that is none of those that are named.
    fn stranger<'g>(&self, group: &'g report::Group) -> Option<&'g Path> {
        let mut devices = group.physical.iter().filter_map(|pv| pv.device.as_deref());
        devices.find(|device| self.is_bound() && !self.is_named(device))
    }

    /// Whether a path is one of a named device: one device has several.
    fn is_named(&self, path: &Path) -> bool {
        let number = |path: &Path| self.host.files.stat(path).ok()?.stands_for;
        let own = number(path);
        let same = |named: &PathBuf| named == path || (own.is_some() && number(named) == own);
        self.config.devices.iter().any(same)
    }

    fn reported(&self, op: Op, order: &Order) -> Result<Vec<report::Group>> {
        let printed = self.run(op, order)?;
        if printed.len() >= REPORT_LIMIT {
            let message = format!("the report is longer than {REPORT_LIMIT} bytes and was cut");
            return Err(Error::new(ErrorKind::Corrupt, op, order.subject().clone(), message)
                .with_remedy("ask for one group in place of all"));
        }
        report::groups(&json::parse(&printed)?)
    }
}

fn lies_on(device: &Path) -> String {
    format!("it lies on {}, which is none of the devices that are named", device.display())
}

fn not_named(op: Op, subject: Subject, message: &str) -> Error {
    Error::new(ErrorKind::Refused, op, subject, message)
        .with_remedy("name all devices of the group; lvm2's devices file lets the tools see more")
}
