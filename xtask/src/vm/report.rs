//! What the guest's tests are reported as: the lines that libtest prints, so that everything that
//! counts tests counts these too.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::judge;
use super::protocol::Ending;
use crate::Result;
use crate::cargo_output::{self, Counts, tail};

/// Lines of a failed test's output that are shown, and of the kernel's log during it.
const SHOWN: usize = 120;
const SHOWN_OF_KERNEL: usize = 60;

/// Lines to a log, to the shell, or both.
#[derive(Debug)]
pub(super) struct Report {
    log: Option<File>,
    shell: bool,
    passed: u64,
    failures: Vec<Failure>,
}

/// A failed test and all there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) name: String,
    pub(super) why: String,
    pub(super) output: String,
    pub(super) kernel_log: String,
}

impl Report {
    pub(super) const fn to_shell() -> Self {
        Self { log: None, shell: true, passed: 0, failures: Vec::new() }
    }

    pub(super) fn to_log(path: &Path) -> Result<Self> {
        let about = |e| format!("{}: {e}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(about)?;
        let log = File::create(path).map_err(about)?;
        Ok(Self { log: Some(log), shell: false, passed: 0, failures: Vec::new() })
    }

    pub(super) fn line(&mut self, text: &str) {
        if self.shell {
            println!("{text}");
        }
        if let Some(log) = &mut self.log {
            // A log that can't be written lacks its result, and that is a failure.
            let _ = writeln!(log, "{text}");
        }
    }

    pub(super) fn passed(&mut self, name: &str, time: Duration) {
        self.passed = self.passed.saturating_add(1);
        self.line(&format!("test {name} ... ok <{:.1}s>", time.as_secs_f64()));
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        self.line(&format!("test {} ... FAILED", failure.name));
        self.failures.push(failure);
    }

    /// Says more about a failed test.
    pub(super) fn explain(&mut self, name: &str, why: &str) {
        if let Some(failure) = self.failures.iter_mut().find(|failure| failure.name == name) {
            failure.why.push('\n');
            failure.why.push_str(why);
        }
    }

    /// What was told by a program that counts by itself.
    pub(super) fn counts(&self) -> Counts {
        let failed = u64::try_from(self.failures.len()).unwrap_or(u64::MAX);
        Counts { passed: self.passed, failed, ignored: 0 }
    }

    /// Shows each failed test and ends with the result.
    pub(super) fn finish(mut self) -> Counts {
        let counts = self.counts();
        let failures = std::mem::take(&mut self.failures);
        if !failures.is_empty() {
            self.line("\nfailures:\n");
        }
        for failure in &failures {
            for line in block(failure) {
                self.line(&line);
            }
        }
        if !failures.is_empty() {
            self.line("failures:");
            for failure in &failures {
                self.line(&format!("    {}", failure.name));
            }
        }
        let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
        self.line(&format!(
            "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out",
            counts.passed, counts.failed
        ));
        counts
    }
}

/// A failed test as libtest shows it. Lines of its own output are indented and its own result is
/// left out: both would be taken for ours.
fn block(failure: &Failure) -> Vec<String> {
    let mut lines = vec![format!("---- {} stdout ----", failure.name)];
    lines.extend(failure.why.lines().map(str::to_owned));
    let mut part = |title: &str, text: &str, most: usize| {
        let own = text.lines().filter(|line| !line.contains("test result: "));
        let own: Vec<&str> = own.collect();
        if !own.is_empty() {
            lines.push(title.to_owned());
            lines.extend(tail(&own.join("\n"), most).into_iter().map(|line| format!("  {line}")));
        }
    };
    part("its output:", &failure.output, SHOWN);
    part("the kernel's log during it:", &failure.kernel_log, SHOWN_OF_KERNEL);
    lines.push(String::new());
    lines
}

/// Whether a program that was to run exactly one test did, and the test passed; else why not.
pub(super) fn verdict(ending: Ending, output: &str, kernel_log: &str) -> Result<()> {
    match ending {
        Ending::Exit(0) => {}
        Ending::Exit(code) => return Err(format!("it failed with exit code {code}")),
        Ending::Signal(signal) => return Err(format!("it was killed by signal {signal}")),
        Ending::TimedOut => return Err("time-out: it was killed".to_owned()),
        Ending::TooMuchOutput => return Err("it printed too much and was killed".to_owned()),
        Ending::Stuck => return Err("it could not be killed: it waits for a device".to_owned()),
    }
    let counts = cargo_output::count(output);
    if counts.ignored > 0 {
        return Err("it is ignored, none may be".to_owned());
    }
    if counts != (Counts { passed: 1, failed: 0, ignored: 0 }) {
        return Err(format!("one test was to run and pass, its program counts {counts:?}"));
    }
    let complaints = judge::kernel_complaints(kernel_log);
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored";

    #[test]
    fn only_exactly_one_passed_test_is_a_pass() {
        assert_eq!(verdict(Ending::Exit(0), ONE, "[ 1.0] all well"), Ok(()));
        for (ending, output, log, why) in [
            (Ending::Exit(101), ONE, "", "101"),
            (Ending::Signal(9), ONE, "", "signal 9"),
            (Ending::TimedOut, ONE, "", "time-out"),
            (Ending::Stuck, ONE, "", "could not be killed"),
            (Ending::Exit(0), "", "", "was to run"),
            (Ending::Exit(0), "test result: ok. 0 passed; 0 failed; 0 ignored", "", "was to run"),
            (Ending::Exit(0), "test result: ok. 0 passed; 0 failed; 1 ignored", "", "ignored"),
            (Ending::Exit(0), ONE, "[ 1.0] WARNING: CPU: 0 PID: 1", "WARNING"),
        ] {
            let error = verdict(ending, output, log).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    /// The log of a failing test is read by the same functions that read cargo's.
    #[test]
    fn a_failure_is_counted_once_and_shown_with_its_logs() {
        let path = std::env::temp_dir().join(format!("xtask-report-{}.log", std::process::id()));
        let mut report = Report::to_log(&path).unwrap();
        report.passed("guest_a::one", Duration::ZERO);
        report.failed(Failure {
            name: "guest_a::two".to_owned(),
            why: "it failed with exit code 101".to_owned(),
            output: "left: 1\nfailures:\ntest result: FAILED. 0 passed; 1 failed".to_owned(),
            kernel_log: "[ 2.0] nvme: gone".to_owned(),
        });
        report.explain("guest_a::two", "and the guest ended");
        let counts = report.finish();
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!((counts.passed, counts.failed), (1, 1));
        assert_eq!(cargo_output::count(&text), counts, "{text}");
        assert_eq!(cargo_output::named(&text, "FAILED"), ["test guest_a::two ... FAILED"]);
        let printed = cargo_output::printed(&text, 99).join("\n");
        for part in ["exit code 101", "and the guest ended", "  left: 1", "  [ 2.0] nvme: gone"] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
    }
}
