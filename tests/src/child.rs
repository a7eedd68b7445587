//! This test program as a child process: one test of it, run again.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use open_local_core::host::{Clock, Invocation, SystemClock, poll_until};

/// The test program with the arguments that run one test of it.
///
/// The test is an ordinary one for everybody else: it does nothing unless its environment says
/// that it is a child.
///
/// # Panics
/// If this program does not know its own path.
#[must_use]
#[expect(clippy::expect_used, reason = "a test that can't have its child must fail")]
pub fn one_test(name: &str) -> Invocation {
    let me = std::env::current_exe().expect("the path of this program");
    Invocation::new(me).args([name, "--exact", "--nocapture", "--test-threads=1"])
}

/// How a child ended and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Its status; `None` if it had not ended when the deadline passed, and was killed.
    pub status: Option<ExitStatus>,
    /// Standard output and standard error.
    pub said: String,
}

impl Ended {
    /// The signal that ended it, not counting that of the deadline.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status?.signal()
    }

    /// Whether it ended well.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// The number behind a word at the beginning of a line, wherever in the line it stands: test
    /// programs print words of their own.
    #[must_use]
    pub fn number_after(&self, word: &str) -> Option<u64> {
        let (_, rest) = self.said.split_once(word)?;
        rest.split_whitespace().next()?.parse().ok()
    }
}

/// Runs a child to its end. Unlike the program runner of the SDK it tells which signal ended it.
///
/// A child that does not end within the invocation's deadline is killed; if it waits in the
/// kernel for a frozen file system, it goes when that is thawed, and nobody waits for it here.
///
/// # Panics
/// If it can't be started.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "the seams of the SDK hide what these tests are about"
)]
pub fn run(invocation: &Invocation, environment: &[(OsString, OsString)]) -> Ended {
    let mut child = Command::new(&invocation.program)
        .args(&invocation.arguments)
        .env_clear()
        .envs(invocation.environment.iter().map(|(k, v)| (k, v)))
        .envs(environment.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start a child");
    match wait(&mut child, invocation.deadline) {
        // What a test prints fits into the pipes, so that it never waits for a reader.
        Some(status) => {
            let output = child.wait_with_output().expect("read what the child said");
            let said = [output.stdout, output.stderr].concat();
            Ended { status: Some(status), said: String::from_utf8_lossy(&said).into_owned() }
        }
        None => {
            let _ = child.kill();
            let _ = wait(&mut child, Duration::from_secs(1));
            Ended { status: None, said: String::new() }
        }
    }
}

fn wait(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let clock: &dyn Clock = &SystemClock;
    let ended = poll_until(clock, deadline, || Ok(child.try_wait().ok().flatten()));
    ended.ok().flatten()
}
