//! Running programs: by absolute path, without a shell, within bounds.

use std::ffi::OsString;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::Files;

/// One run of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invocation {
    /// Its absolute path.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// After this long it is killed with everything it started.
    pub deadline: Duration,
    /// More output than this, of either stream, is cut.
    pub output_limit: usize,
}

impl Invocation {
    /// A run with `LC_ALL=C`, `PATH=/usr/sbin:/usr/bin:/sbin:/bin`, one minute and 64 KiB.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: vec![
                ("LC_ALL".into(), "C".into()),
                ("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ],
            deadline: Duration::from_secs(60),
            output_limit: 64 << 10,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// What a program answered; a runner of another crate starts from the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Output {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// Its standard error, up to the limit.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it ended with exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The error for a run that ended badly, with the last lines it printed.
    #[must_use]
    pub fn failure(&self, op: Op, subject: impl Into<Subject>, program: &Path) -> Error {
        let said = String::from_utf8_lossy(&self.stderr);
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let last = lines.iter().skip(lines.len().saturating_sub(3)).copied().collect::<Vec<_>>();
        let ended = self.code.map_or("was killed".to_owned(), |code| format!("exited with {code}"));
        Error::new(
            ErrorKind::External,
            op,
            subject,
            format!("{} {ended}: {}", program.display(), last.join(" | ")),
        )
    }
}

/// Runs programs.
pub trait ProgramRunner: Debug + Send + Sync {
    /// Runs one to its end.
    ///
    /// # Errors
    /// [`ErrorKind::MissingProgram`] if there is no such file, [`ErrorKind::Indeterminate`] if the
    /// deadline passed (it was killed; what it did is unknown), [`ErrorKind::Io`]. A non-zero exit
    /// code is not an error here.
    fn run(&self, invocation: &Invocation) -> Result<Output>;
}

/// Finds a program by name in the system folders.
///
/// # Errors
/// [`ErrorKind::MissingProgram`] naming the Debian package that has it.
pub fn find_program(files: &dyn Files, name: &str, package: &str) -> Result<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| files.stat(path).is_ok())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::MissingProgram,
                Op::RunProgram,
                Subject::Program(name.to_owned()),
                "the program is not installed",
            )
            .with_remedy(format!("install it: apt-get install {package}"))
        })
}
