//! `cargo xtask vm run` and `vm shell`.

use std::io::Write as _;
use std::path::Path;

use super::disk::{self, Disk};
use super::host::{Choice, Host};
use super::machine::{self, Outcome, Shape, Watcher, Wish};
use super::protocol::{BUSYBOX, Ending, Item, Job, Message};
use crate::cargo_output::tail;
use crate::workspace::Workspace;
use crate::{Result, install, needs};

/// Lines of the console that are shown of a failed run.
const SHOWN: usize = 25;
/// How long a person may stay in a shell.
const SHELL_SECONDS: u64 = 24 * 60 * 60;
/// The console of a guest that shows a terminal.
const TERMINAL: &str = "/dev/hvc0";

/// What the guest is.
#[derive(Debug, clap::Args)]
pub(crate) struct GuestArgs {
    /// A disk: nvme, virtio or scsi, then `:` and settings with `,` between them, of
    /// size=2G, logical=4096, discard=off, cache=writethrough, readonly, name=NAME,
    /// file=PATH (kept), nbd=SOCKET. A program finds it in GUEST_DISK_NAME, by default
    /// GUEST_DISK_DISK0, GUEST_DISK_DISK1 and so on.
    #[arg(long = "disk", value_name = "KIND[:SETTING,…]")]
    disks: Vec<Disk>,
    /// Starts systemd-udevd and waits for it to settle.
    #[arg(long)]
    udev: bool,
    /// Memory, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..=65_536))]
    memory: u32,
    /// Processors.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// What executes the guest.
    #[arg(long, value_enum, default_value = "auto")]
    accel: Choice,
    /// Lists what this machine lacks for a guest and installs it (Debian, as root).
    #[arg(long)]
    install: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    guest: GuestArgs,
    /// The most seconds the command may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// A variable for the command's environment.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Kills the machine as a power cut does, as soon as the command prints this; the run
    /// succeeds if it does.
    #[arg(long, value_name = "TEXT")]
    cut_at: Option<String>,
    /// The command, run as root in the current folder.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl GuestArgs {
    fn shape(&self) -> Result<Shape> {
        Ok(Shape {
            disks: disk::name_all(self.disks.clone())?,
            udev: self.udev,
            memory: self.memory,
            processors: self.cpus,
        })
    }

    fn host(&self) -> Result<Host> {
        if self.install {
            install::install(needs::GUEST)?;
        }
        Host::ready(&Workspace::load()?, self.accel)
    }
}

/// Runs a command in a new guest; the exit code is the command's own.
pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let mut job = job(args.command.clone(), args.timeout)?;
    for setting in &args.env {
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("--env {setting}: NAME=VALUE expected"))?;
        job.env.push((name.to_owned(), value.to_owned()));
    }
    let mut console = Console(args.cut_at.as_deref().map(Cut::at));
    let shape = args.guest.shape()?;
    let host = args.guest.host()?;
    eprintln!("guest: {}", host.versions.line());
    let outcome = machine::run(&host, &shape, job, false, &mut console)?;
    if outcome.cut {
        eprintln!("guest: cut off");
        return Ok(0);
    }
    eprintln!("guest: first command after {:.1} s", outcome.start.as_secs_f64());
    if args.cut_at.is_some() && outcome.complaints.is_empty() {
        return Err("the command ended and never printed the text to be cut at".to_owned());
    }
    code(&outcome)
}

/// A shell in a new guest, at this terminal.
pub(super) fn shell(args: &GuestArgs) -> Result<u8> {
    // A session of its own on the terminal gives job control. It is not the last command: that
    // would take this shell's place, lead its group, and leave its own place to a child.
    let session = format!("{BUSYBOX} setsid -c bash -l; exit $?");
    let script = format!("exec <{TERMINAL} >{TERMINAL} 2>&1; {session}");
    let command = [BUSYBOX, "sh", "-c", &script].map(str::to_owned).into();
    let mut job = job(command, SHELL_SECONDS)?;
    let term = std::env::var("TERM").unwrap_or_else(|_| "vt100".to_owned());
    job.env.push(("TERM".to_owned(), term));
    let shape = args.shape()?;
    let host = args.host()?;
    eprintln!("guest: {}; `exit` ends it", host.versions.line());
    let outcome = machine::run(&host, &shape, job, true, &mut Console::default())?;
    code(&outcome)
}

fn job(command: Vec<String>, seconds: u64) -> Result<Job> {
    let folder = std::env::current_dir().map_err(|e| format!("the current folder: {e}"))?;
    let item = Item { command, folder, seconds, log: None };
    Ok(Job { items: vec![item], ..Job::default() })
}

/// The command's own code, as a shell gives it, if the run is to be believed.
fn code(outcome: &Outcome) -> Result<u8> {
    if !outcome.complaints.is_empty() {
        let last = tail(&outcome.console, SHOWN).join("\n");
        return Err(format!(
            "{}\n--- the last lines of the console\n{last}\n--- more in {}",
            outcome.complaints.join("\n"),
            outcome.folder.path().display()
        ));
    }
    match outcome.endings.first() {
        Some((_, Ending::Exit(code))) => Ok(u8::try_from(*code).unwrap_or(u8::MAX)),
        Some((_, Ending::Signal(signal))) => {
            Ok(u8::try_from(signal.saturating_add(128)).unwrap_or(u8::MAX))
        }
        Some((_, Ending::TimedOut)) => Err("the command took too long and was killed".to_owned()),
        Some((_, other)) => Err(format!("the command ended badly: {other}")),
        None => Err("the command never ended".to_owned()),
    }
}

/// Passes output on, and sees the text to be cut at.
#[derive(Default)]
struct Console(Option<Cut>);

impl Watcher for Console {
    fn message(&mut self, _: &Message, _: &Path) {}

    fn stdout(&mut self, bytes: &[u8]) -> Wish {
        let mut stdout = std::io::stdout().lock();
        // A reader that went away is no reason to end.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
        let cut = self.0.as_mut().is_some_and(|cut| cut.is_in(bytes));
        if cut { Wish::Cut } else { Wish::GoOn }
    }

    fn stderr(&mut self, bytes: &[u8]) {
        let _ = std::io::stderr().write_all(bytes);
    }
}

/// Looks for a text in output that comes in pieces.
struct Cut {
    text: Vec<u8>,
    /// The end of what came, as much as the text may take.
    end: Vec<u8>,
}

impl Cut {
    fn at(text: &str) -> Self {
        Self { text: text.as_bytes().to_vec(), end: Vec::new() }
    }

    fn is_in(&mut self, more: &[u8]) -> bool {
        self.end.extend_from_slice(more);
        // An empty text is in everything.
        let width = self.text.len().max(1);
        let found = self.end.windows(width).any(|part| part.starts_with(&self.text));
        let useless = self.end.len().saturating_sub(width);
        self.end.drain(..useless);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_seen_across_pieces_of_output() {
        let mut cut = Cut::at("now!");
        assert!(!cut.is_in(b"not yet, no"));
        assert!(!cut.is_in(b"w"));
        assert!(cut.is_in(b"! more"));
        assert!(Cut::at("").is_in(b"x") && !Cut::at("").is_in(b""));
    }
}
