//! What every command works with: the machine, watched, and the global options.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use open_local_core::fs::Filesystems;
use open_local_core::host::{Host, Roots};
use open_local_core::throttle::IoThrottle;
use open_local_core::{Backend, Change, Error, ErrorKind, Op, Pool, PoolId, Result, Subject};

use crate::answer::{Answer, OutputFormat};
use crate::machine::Machine;
use crate::observe::{ObservedBackend, ObservedFilesystems, ObservedThrottle, Observer, Ring};
use crate::progress::Bars;
use crate::view;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What went wrong inside the program.
    Error,
    /// What needs attention.
    Warn,
    /// One line an operation.
    Info,
    /// Decisions on the way.
    Debug,
    /// Everything.
    Trace,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// The kind of pools: file (directories and loop devices), raw (whole disks and partitions),
    /// mountpoint (directories that are mount points) or sim (in memory, without root; forgotten
    /// when the process ends)
    #[arg(long, global = true, default_value = "file", env = "OPEN_LOCAL_BACKEND")]
    pub backend: String,
    /// The pool; may be left out where there is only one
    // Text, since `csi` has an option of this name whose values say more.
    #[arg(long, global = true, env = "OPEN_LOCAL_POOL", value_parser = pool_name)]
    pub pool: Option<String>,
    /// The form of answers
    #[arg(long, short = 'o', global = true, value_enum, default_value_t)]
    pub output: OutputFormat,
    /// The folder for state that survives a reboot [default: /var/lib/open-local]
    #[arg(long, global = true, value_name = "DIR", env = "OPEN_LOCAL_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// The folder for state that a reboot may forget [default: /run/open-local]
    #[arg(long, global = true, value_name = "DIR", env = "OPEN_LOCAL_RUN_DIR")]
    pub run_dir: Option<PathBuf>,
    /// The form of log lines on standard error
    #[arg(long, global = true, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// How much is logged; info logs one line an operation [default: warn; of csi: info]
    #[arg(long, global = true, value_enum)]
    pub log_level: Option<LogLevel>,
    /// Print the steps and change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Do what destroys data without asking
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Show no progress bars
    #[arg(long, global = true)]
    pub no_progress: bool,
}

impl Globals {
    /// The folders of the kernel, and our own as the options say.
    ///
    /// # Errors
    /// `Io` if the working folder is gone and a folder is given relative to it.
    pub fn roots(&self) -> Result<Roots> {
        let mut roots = Roots::system();
        if let Some(folder) = &self.state_dir {
            roots.state = absolute(folder)?;
        }
        if let Some(folder) = &self.run_dir {
            roots.run = absolute(folder)?;
        }
        Ok(roots)
    }
}

fn pool_name(text: &str) -> Result<String> {
    PoolId::new(text).map(|id| id.to_string())
}

/// A path as seen from the root folder.
///
/// # Errors
/// `InvalidArgument` for an empty path, `Io` if the working folder is gone.
pub fn absolute(path: &std::path::Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| {
        let about = Subject::path(path);
        Error::from_io(Op::Parse, about, "this is no usable path", e)
            .with_kind(ErrorKind::InvalidArgument)
            .with_remedy("give an absolute path")
    })
}

/// A machine whose operations are logged, and the global options.
#[derive(Debug)]
pub struct Context {
    /// The machine; its backend, file systems and limits log what is done through them.
    pub machine: Machine,
    /// The global options.
    pub globals: Globals,
    /// The file of recent operations, if one is kept.
    pub ring: Option<Ring>,
}

impl Context {
    /// Opens the machine the options name.
    ///
    /// # Errors
    /// As [`Machine::open`] and [`Globals::roots`].
    pub fn open(globals: Globals) -> Result<Self> {
        let progress = Bars::if_terminal(!globals.no_progress);
        let machine = Machine::open(&globals.backend, globals.roots()?, progress)?;
        // A simulated machine must not leave files on the real one unless told where.
        let keeps = machine.real || globals.state_dir.is_some();
        let ring = keeps.then(|| Ring::in_folder(&machine.host.roots.state));
        Ok(Self { machine: observed(machine, ring.clone()), globals, ring })
    }

    /// The chosen backend.
    #[must_use]
    pub fn backend(&self) -> &dyn Backend {
        self.machine.backend.as_ref()
    }

    /// The file systems.
    ///
    /// # Errors
    /// As [`Machine::filesystems`].
    pub fn filesystems(&self) -> Result<&dyn Filesystems> {
        Ok(self.machine.filesystems()?.as_ref())
    }

    /// The I/O limits.
    ///
    /// # Errors
    /// As [`Machine::throttle`].
    pub fn throttle(&self) -> Result<&dyn IoThrottle> {
        Ok(self.machine.throttle()?.as_ref())
    }

    /// The name of the pool the options name, or of the only one.
    ///
    /// # Errors
    /// `NotFound` if there is none, `InvalidArgument` naming the pools if there are several.
    pub fn pool_id(&self) -> Result<PoolId> {
        if let Some(name) = &self.globals.pool {
            return PoolId::new(name);
        }
        let backend = self.backend();
        let pools = backend.list_pools()?;
        let about = Subject::Backend(backend.name().to_owned());
        match pools.as_slice() {
            [only] => Ok(only.id().clone()),
            [] => Err(Error::new(ErrorKind::NotFound, Op::OpenPool, about, "there is no pool")
                .with_remedy("make one: open-local pool create NAME")),
            several => {
                let names: Vec<&str> = several.iter().map(|p| p.id().as_str()).collect();
                Err(Error::new(
                    ErrorKind::InvalidArgument,
                    Op::OpenPool,
                    about,
                    format!("there are {} pools and none is named", several.len()),
                )
                .with_remedy(format!("add --pool with one of: {}", names.join(", "))))
            }
        }
    }

    /// The pool the options name, or the only one.
    ///
    /// # Errors
    /// As [`Self::pool_id`] and [`Backend::open_pool`].
    pub fn pool(&self) -> Result<Arc<dyn Pool>> {
        self.backend().open_pool(&self.pool_id()?)
    }

    /// The printed plan of a change, if this is a dry run.
    ///
    /// # Errors
    /// As [`Pool::plan`].
    pub fn planned(&self, pool: &dyn Pool, change: &Change) -> Result<Option<Answer>> {
        if !self.globals.dry_run {
            return Ok(None);
        }
        Ok(Some(view::change::answer(&pool.plan(change)?)))
    }

    /// The printed steps of a change no pool plans, if this is a dry run.
    #[must_use]
    pub fn planned_steps(&self, subject: Subject, steps: &[String]) -> Option<Answer> {
        let plan = || open_local_core::Plan::new(subject, steps);
        self.globals.dry_run.then(|| view::change::answer(&plan()))
    }
}

/// The same machine, logging what is done through its backend, file systems and limits.
#[must_use]
pub fn observed(mut machine: Machine, ring: Option<Ring>) -> Machine {
    let observer = Arc::new(Observer::new(&Host::system(), ring));
    let watch = || Arc::clone(&observer);
    machine.backend = Arc::new(ObservedBackend::new(machine.backend, watch()));
    machine.filesystems = machine.filesystems.map(|inner| -> Arc<dyn Filesystems> {
        Arc::new(ObservedFilesystems::new(inner, watch()))
    });
    machine.throttle = machine
        .throttle
        .map(|inner| -> Arc<dyn IoThrottle> { Arc::new(ObservedThrottle::new(inner, watch())) });
    machine
}
