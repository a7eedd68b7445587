//! Programs of the machine this process runs on.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::{Clock, Deadline, Invocation, Output, ProgramRunner, SystemClock, ioctl, poll_until};
use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// The longest time between two looks at whether the program has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How long a killed program may take to go; one that waits for a dead device takes for ever.
const REAP_WAIT: Duration = Duration::from_secs(5);

/// Runs programs as child processes in process groups of their own.
///
/// A program that has ended takes with it whatever it left running in its group, so that nothing
/// works on a device after [`ProgramRunner::run`] has returned.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRunner;

impl SystemRunner {
    /// A runner.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl ProgramRunner for SystemRunner {
    fn run(&self, invocation: &Invocation) -> Result<Output> {
        let running = Running::start(invocation)?;
        let (output, ended) = running.watch(invocation)?;
        if ended {
            return Ok(output);
        }
        Err(failed(
            invocation,
            ErrorKind::Indeterminate,
            format!(
                "it did not end within {:?} and was killed; what it did is unknown",
                invocation.deadline
            ),
        )
        .with_remedy("repeat the call, which looks at what is there and goes on"))
    }
}

fn failed(invocation: &Invocation, kind: ErrorKind, message: impl Into<String>) -> Error {
    let subject = Subject::Program(invocation.program.display().to_string());
    Error::new(kind, Op::RunProgram, subject, message)
}

fn failed_io(invocation: &Invocation, message: &str, source: io::Error) -> Error {
    let subject = Subject::Program(invocation.program.display().to_string());
    Error::from_io(Op::RunProgram, subject, message, source)
}

/// One output stream: its open end, and what came out up to the limit.
struct Stream {
    pipe: Option<Box<dyn Pipe>>,
    kept: Vec<u8>,
    limit: usize,
}

trait Pipe: Read + AsFd {}
impl<T: Read + AsFd> Pipe for T {}

impl Stream {
    fn new(pipe: Option<impl Pipe + 'static>, limit: usize) -> Self {
        Self { pipe: pipe.map(|p| -> Box<dyn Pipe> { Box::new(p) }), kept: Vec::new(), limit }
    }

    /// Takes what is ready, which `poll` said there is; all beyond the limit is dropped, so that
    /// the program never waits for a reader.
    fn take(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut chunk = [0; 16 << 10];
        let got = match pipe.read(&mut chunk) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        };
        if got == 0 {
            self.pipe = None;
        }
        let room = self.limit.saturating_sub(self.kept.len());
        let keep = chunk.get(..got.min(room)).unwrap_or_default();
        self.kept.extend_from_slice(keep);
        Ok(())
    }
}

/// Reads whichever stream is ready within the wait; answers whether one was.
fn take_ready(streams: &mut [Stream; 2], wait: Duration) -> io::Result<bool> {
    let ready: Vec<bool> = {
        let mut polled: Vec<PollFd<'_>> = streams
            .iter()
            .filter_map(|s| s.pipe.as_ref())
            .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
            .collect();
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        polled.iter().map(|p| p.revents().is_some_and(|events| !events.is_empty())).collect()
    };
    let open = streams.iter_mut().filter(|s| s.pipe.is_some());
    for (stream, _) in open.zip(&ready).filter(|(_, ready)| **ready) {
        stream.take()?;
    }
    Ok(ready.contains(&true))
}

/// A child process that has not been waited for, and its process group.
struct Running {
    child: Child,
    group: Pid,
}

impl Running {
    fn start(invocation: &Invocation) -> Result<Self> {
        if !invocation.program.is_absolute() {
            return Err(failed(
                invocation,
                ErrorKind::InvalidArgument,
                "a program is run by absolute path only",
            ));
        }
        #[expect(clippy::disallowed_methods, reason = "this is the replacement the ban points to")]
        let mut command = Command::new(&invocation.program);
        command
            .args(&invocation.arguments)
            .env_clear()
            .envs(invocation.environment.iter().map(|(k, v)| (k, v)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        ioctl::end_with_parent(&mut command);
        let child = command.spawn().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                failed(invocation, ErrorKind::MissingProgram, "there is no such program")
                    .with_source(e)
            }
            _ => failed_io(invocation, "can't start it", e),
        })?;
        let group = i32::try_from(child.id()).map_err(|e| {
            failed(invocation, ErrorKind::Indeterminate, "its process id is no number")
                .with_source(e)
        })?;
        let group = Pid::from_raw(group);
        Ok(Self { child, group })
    }

    /// Whether it has ended, without freeing its process id: the group can still be killed by it.
    fn has_ended(&self) -> io::Result<bool> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.group), flags) {
            Ok(WaitStatus::StillAlive) | Err(nix::Error::EINTR) => Ok(false),
            Ok(_) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    /// Drains the output until the program ends or the deadline passes; then nothing of its group
    /// runs any more. Answers the output and whether it ended by itself.
    fn watch(mut self, invocation: &Invocation) -> Result<(Output, bool)> {
        let clock = SystemClock;
        let deadline = Deadline::after(&clock, invocation.deadline);
        let mut streams = [
            Stream::new(self.child.stdout.take(), invocation.output_limit),
            Stream::new(self.child.stderr.take(), invocation.output_limit),
        ];
        let followed = self.follow(&mut streams, &clock, deadline);
        // The group's id is free to be reused only after the reaping below.
        let killed = killpg(self.group, Signal::SIGKILL);
        let ended = match followed {
            Ok(ended) => ended,
            Err(e) => {
                self.reap(&clock);
                return Err(
                    failed_io(invocation, "can't follow it", e).with_kind(ErrorKind::Indeterminate)
                );
            }
        };
        tracing::trace!(program = %invocation.program.display(), ended, ?killed, "group killed");
        let code = self.reap(&clock).and_then(|status| status.code());
        let [stdout, stderr] = streams.map(|s| s.kept);
        let output = Output { code, stdout, stderr };
        Ok((output, ended))
    }

    fn follow(
        &self,
        streams: &mut [Stream; 2],
        clock: &dyn Clock,
        deadline: Deadline,
    ) -> io::Result<bool> {
        loop {
            let ended = self.has_ended()?;
            // What the program wrote before it ended is in the pipes now. Whoever else holds
            // them, a process it left behind, is not waited for.
            let wait = if ended { Duration::ZERO } else { LOOK.min(deadline.left(clock)) };
            let more = take_ready(streams, wait)?;
            if ended && (!more || deadline.has_passed(clock)) {
                return Ok(true);
            }
            if !ended && deadline.has_passed(clock) {
                return Ok(false);
            }
        }
    }

    /// Frees the process id. A process that even SIGKILL does not end, since it waits in the
    /// kernel for a device, is left to a thread, so that the caller can go on.
    fn reap(mut self, clock: &dyn Clock) -> Option<std::process::ExitStatus> {
        let waited = poll_until(clock, REAP_WAIT, || Ok(self.child.try_wait().ok().flatten()));
        let status = waited.ok().flatten();
        if status.is_none() {
            tracing::warn!(pid = %self.group, "a killed program does not end");
            std::thread::spawn(move || self.child.wait());
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn shell(script: &str) -> Invocation {
        Invocation::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn output_and_exit_code_come_back() {
        let output = SystemRunner.run(&shell("echo out; echo err >&2; exit 3")).unwrap();
        assert_eq!(output.code, Some(3));
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"err\n");
        let killed = SystemRunner.run(&shell("kill -9 $$")).unwrap();
        assert_eq!(killed.code, None);
    }

    #[test]
    fn the_environment_is_the_one_given_and_input_is_empty() {
        let mut invocation = shell("cat; env");
        invocation.environment = vec![("ONLY".into(), "this".into())];
        let output = SystemRunner.run(&invocation).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("ONLY=this"), "{text}");
        assert!(!text.contains("CARGO"), "{text}");
    }

    #[test]
    fn a_program_that_prints_megabytes_is_cut_and_not_blocked() {
        let mut invocation = shell("head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2");
        invocation.output_limit = 1000;
        let output = SystemRunner.run(&invocation).unwrap();
        assert_eq!(output.code, Some(0));
        assert_eq!((output.stdout.len(), output.stderr.len()), (1000, 1000));
    }

    #[test]
    fn missing_and_relative_programs_are_told_apart() {
        let missing = SystemRunner.run(&Invocation::new("/nonexistent/mkfs"));
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::MissingProgram);
        let relative = SystemRunner.run(&Invocation::new("sh"));
        assert_eq!(relative.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    fn is_alive(pid: &str) -> bool {
        let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
        stat.is_ok_and(|s| !s.contains(") Z "))
    }

    fn pid_in(file: &Path) -> String {
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    fn wait_gone(pid: &str) -> bool {
        let gone =
            poll_until(&SystemClock, Duration::from_secs(5), || Ok((!is_alive(pid)).then_some(())));
        gone.unwrap().is_some()
    }

    #[test]
    fn the_deadline_kills_the_program_and_its_children() {
        let name = format!("open-local-runner-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        let script = format!("sleep 300 & echo $! > {}; wait", file.display());
        let invocation = shell(&script).with_deadline(Duration::from_millis(300));
        let clock = SystemClock;
        let before = clock.monotonic();
        let error = SystemRunner.run(&invocation).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Indeterminate);
        assert!(clock.monotonic() - before < Duration::from_secs(30));
        let grandchild = pid_in(&file);
        std::fs::remove_file(&file).unwrap();
        assert!(wait_gone(&grandchild), "{grandchild} still runs");
    }

    #[test]
    fn a_process_left_behind_neither_delays_nor_survives() {
        let output = SystemRunner.run(&shell("sleep 300 & echo $!")).unwrap();
        assert_eq!(output.code, Some(0));
        let left = String::from_utf8(output.stdout).unwrap();
        assert!(wait_gone(left.trim()), "{left} still runs");
    }

    const CALLER: &str = "OPEN_LOCAL_RUNNER_CALLER";

    /// Not a test of its own: the process that the next test kills.
    #[test]
    fn caller_that_is_killed() {
        if let Some(file) = std::env::var_os(CALLER) {
            let script = format!("echo $$ > {}; exec sleep 300", Path::new(&file).display());
            let _ = SystemRunner.run(&shell(&script));
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process that is killed")]
    fn a_program_does_not_outlive_a_killed_caller() {
        let name = format!("open-local-caller-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        let mut caller = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "host::system_runner::tests::caller_that_is_killed"])
            .env(CALLER, &file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let started = poll_until(&SystemClock, Duration::from_secs(20), || {
            let pid = std::fs::read_to_string(&file).unwrap_or_default();
            Ok(pid.ends_with('\n').then_some(pid))
        });
        caller.kill().unwrap();
        caller.wait().unwrap();
        let program = started.unwrap().unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(wait_gone(program.trim()), "{program} still runs");
    }
}
