//! Programs, run one at a time with a log and a deadline.
#![expect(
    clippy::disallowed_methods,
    reason = "a development task runs cargo, apt and qemu; this is its only module that does"
)]

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

mod running;

pub(crate) use running::{Outlet, Running, pause};

/// Longest a single program of a step may run; a cold build of everything takes a third of it.
const DEADLINE: Duration = Duration::from_secs(20 * 60);
const POLL: Duration = Duration::from_millis(20);

/// A program with its arguments, not yet run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    dir: Option<PathBuf>,
    deadline: Duration,
}

/// How a logged call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Badly(String),
}

impl Call {
    pub(crate) fn new(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Self {
            program: program.into(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            env: Vec::new(),
            dir: None,
            deadline: DEADLINE,
        }
    }

    /// The cargo that runs this task, so that the tool chain stays the same.
    pub(crate) fn cargo(args: &[&str]) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::new(cargo, args)
    }

    pub(crate) fn args<S: Into<String>>(mut self, more: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(more.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_path_buf());
        self
    }

    /// For a program that runs longer, or shorter, than the usual one.
    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The line a person would type.
    pub(crate) fn line(&self) -> String {
        let env = self.env.iter().map(|(k, v)| format!("{k}={v:?}"));
        let name = self.program.file_name().unwrap_or_default();
        env.chain([name.to_string_lossy().into_owned()])
            .chain(self.args.iter().cloned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// Runs it with both outputs appended to `log`, and kills it and its children at the
    /// deadline.
    pub(crate) fn logged(&self, log: &Path) -> Result<Ended> {
        let about = |e| format!("can't write {}: {e}", log.display());
        fs::create_dir_all(log.parent().unwrap_or(Path::new("."))).map_err(about)?;
        let mut out = OpenOptions::new();
        let out = out.create(true).append(true).open(log).map_err(about)?;
        self.head(&out).map_err(about)?;
        let err = out.try_clone().map_err(about)?;
        let started = Instant::now();
        let mut command = self.command();
        // Backtraces would push the failed assertions out of the lines that are shown.
        command.envs([("CARGO_TERM_COLOR", "never"), ("RUST_BACKTRACE", "0")]);
        let mut child = command
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|e| format!("can't start {}: {e}", self.program.display()))?;
        loop {
            match child.try_wait().map_err(|e| e.to_string())? {
                Some(status) if status.success() => return Ok(Ended::Well),
                Some(status) => return Ok(Ended::Badly(format!("{status}"))),
                None if started.elapsed() > self.deadline => {
                    kill_tree(&mut child);
                    let seconds = self.deadline.as_secs();
                    return Ok(Ended::Badly(format!("killed after {seconds} seconds")));
                }
                None => thread::sleep(POLL),
            }
        }
    }

    fn head(&self, mut log: &File) -> std::io::Result<()> {
        use std::io::Write as _;
        writeln!(log, "$ {}", self.line())
    }

    /// Runs it and gives its standard output.
    pub(crate) fn captured(&self) -> Result<String> {
        let bytes = self.captured_bytes()?;
        String::from_utf8(bytes).map_err(|_| format!("{} printed no text", self.line()))
    }

    /// The same where the output is no text.
    pub(crate) fn captured_bytes(&self) -> Result<Vec<u8>> {
        let output = self
            .command()
            .stderr(Stdio::piped())
            .output()
            .map_err(|e| format!("can't start {}: {e}", self.program.display()))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} failed:\n{}", self.line(), why.trim_end()));
        }
        Ok(output.stdout)
    }

    /// Runs it with its output thrown away, as of a program that leaves a daemon behind.
    pub(crate) fn quietly(&self) -> Result<()> {
        let status = self.command().stdout(Stdio::null()).stderr(Stdio::null()).status();
        let status = status.map_err(|e| format!("can't start {}: {e}", self.program.display()))?;
        if status.success() { Ok(()) } else { Err(format!("{} failed: {status}", self.line())) }
    }

    /// Runs it at the shell's own input and output.
    pub(crate) fn inherited(&self) -> Result<ExitStatus> {
        self.command()
            .stdin(Stdio::inherit())
            .status()
            .map_err(|e| format!("can't start {}: {e}", self.program.display()))
    }
}

/// A stop watch, so that no other module reads the clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Kills a child and all below it. They share our process group, so that Ctrl-C reaches them;
/// for the same reason the group itself can't be killed.
fn kill_tree(child: &mut Child) {
    let pids = descendants(child.id());
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    // Best effort: a machine without this program still loses the child itself.
    let _ = Command::new("kill").arg("-KILL").args(&pids).status();
    let _ = child.kill();
    let _ = child.wait();
}

fn descendants(root: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, parent_of(&stat)?))
        })
        .collect();
    let mut found = BTreeSet::from([root]);
    loop {
        let before = found.len();
        let below = parents.iter().filter(|(_, parent)| found.contains(parent));
        let below: Vec<u32> = below.map(|(pid, _)| *pid).collect();
        found.extend(below);
        if found.len() == before {
            return found;
        }
    }
}

/// The parent in a line of `/proc/<pid>/stat`: the second field after the name, which stands in
/// brackets and may itself hold brackets and blanks (proc_pid_stat(5)).
fn parent_of(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_past_an_odd_name() {
        assert_eq!(parent_of("12 (a) b) (c) S 7 12 12 0"), Some(7));
        assert_eq!(parent_of("12 (a"), None);
    }

    #[test]
    fn a_childs_child_is_found_and_killed() {
        let mut child = Call::new("sh", &["-c", "sleep 600 & wait"]).command().spawn().unwrap();
        let started = Instant::now();
        while descendants(child.id()).len() < 2 && started.elapsed() < Duration::from_secs(10) {
            thread::sleep(POLL);
        }
        let both = descendants(child.id());
        assert_eq!(both.len(), 2);
        kill_tree(&mut child);
        let alive = |pid: &&u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        // The signal is sent; the kernel takes a moment to end them.
        while both.iter().any(|pid| alive(&pid)) {
            assert!(started.elapsed() < Duration::from_secs(20), "{both:?}");
            thread::sleep(POLL);
        }
    }

    #[test]
    fn a_logged_call_ends_with_its_deadline_and_keeps_what_it_printed() {
        let log = std::env::temp_dir().join(format!("xtask-process-{}.log", std::process::id()));
        let call = Call::new("sh", &["-c", "echo begun; sleep 600"]);
        let call = call.deadline(Duration::from_secs(1));
        let ended = call.logged(&log);
        let text = fs::read_to_string(&log).unwrap();
        fs::remove_file(&log).unwrap();
        assert_eq!(ended, Ok(Ended::Badly("killed after 1 seconds".to_owned())));
        assert_eq!(text, "$ sh -c echo begun; sleep 600\nbegun\n");
    }

    #[test]
    fn a_call_prints_as_a_person_would_type_it() {
        let call = Call::new("/usr/bin/cargo", &["doc"])
            .args(["--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(call.line(), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }
}
