//! `cargo xtask vm test`, and the same as a step of `cargo xtask test`.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::agent;
use super::boots::{Boot, Outside, Test, planned, print_plan};
use super::host::{Choice, Host};
use super::lanes::{self, Work, lock};
use super::machine::{self, Outcome, Watcher, Wish};
use super::protocol::{Ending, Item, Job, Message};
use super::report::{Failure, Report, verdict};
use crate::cargo_output::{Counts, tail};
use crate::process::{Call, Ended, Watch};
use crate::workspace::Workspace;
use crate::{Result, install, needs, report};

/// Lines of the console that are shown where the guest itself failed.
const SHOWN: usize = 40;
/// Beginning of the variables that tests in the guest are given.
const SETTINGS: &str = "OPEN_LOCAL_TEST_";
/// How many times as long as in CI a test may take that does more than there.
const LONGER: u64 = 20;
/// Tells tests on the host the program that starts guests.
const PROGRAM: &str = "OPEN_LOCAL_VM";

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Only tests with this in their name, which begins with that of their target.
    filter: Option<String>,
    /// Prints the tests and the guest of each, and runs none.
    #[arg(long)]
    list: bool,
    /// What executes the guest.
    #[arg(long, value_enum, default_value = "auto")]
    accel: Choice,
    /// Lists what this machine lacks for a guest and installs it (Debian, as root).
    #[arg(long)]
    install: bool,
}

pub(super) fn test(args: &TestArgs) -> Result<u8> {
    let workspace = Workspace::load()?;
    if args.install {
        install::install(needs::GUEST.into_iter().chain(needs::DEVICEMAPPER))?;
    }
    let filter = args.filter.as_deref();
    if args.list {
        let (boots, outside) = planned(&workspace, filter)?;
        print_plan(&boots, &outside);
        return Ok(0);
    }
    let counts = run(&workspace, filter, args.accel, Report::to_shell())?;
    if counts.total() == 0 {
        return Err("no guest test has such a name; `--list` prints them".to_owned());
    }
    println!("{}", report::last_line(counts.passed, counts.failed));
    Ok(u8::from(counts.failed > 0))
}

/// All of them, reported in a log.
pub(crate) fn logged(workspace: &Workspace, filter: Option<&str>, log: &Path) -> Result<Ended> {
    let counts = run(workspace, filter, Choice::Auto, Report::to_log(log)?)?;
    Ok(if counts.failed == 0 {
        Ended::Well
    } else {
        Ended::Badly(format!("{} tests failed", counts.failed))
    })
}

fn run(
    workspace: &Workspace,
    filter: Option<&str>,
    accel: Choice,
    mut report: Report,
) -> Result<Counts> {
    let (boots, outside) = planned(workspace, filter)?;
    if boots.is_empty() && outside.is_empty() {
        return Ok(report.finish());
    }
    let host = Host::ready(workspace, accel)?;
    report.line(&format!("guest: {}", host.versions.line()));
    let report = Mutex::new(report);
    lanes::run(lanes::in_order(boots, outside), |work| match work {
        Work::Guest(boot) => in_guest(&host, boot, &report),
        Work::Host(program) => on_host(&host, program, &report),
    })?;
    Ok(report.into_inner().unwrap_or_else(PoisonError::into_inner).finish())
}

fn in_guest(host: &Host, boot: &Boot, report: &Mutex<Report>) -> Result<()> {
    let environment = environment();
    let more = environment.iter().any(|(name, _)| name.starts_with(SETTINGS));
    let item = |(number, test): (usize, &Test)| {
        let program = test.program.to_string_lossy().into_owned();
        let args = ["--exact", &test.name, "--test-threads=1", "--nocapture"];
        Item {
            // As cargo does.
            folder: test.folder.clone(),
            command: [program].into_iter().chain(args.map(str::to_owned)).collect(),
            seconds: if more { test.seconds.saturating_mul(LONGER) } else { test.seconds },
            log: Some(output_name(number)),
        }
    };
    let job = Job {
        env: environment,
        items: boot.tests.iter().enumerate().map(item).collect(),
        ..Job::default()
    };
    let clock = Watch::start();
    let mut progress = Progress { boot, report, running: None, clock, ended: 0, failed: None };
    let outcome = machine::run(host, &boot.shape, job, false, &mut progress)?;
    let Progress { running, ended, mut failed, .. } = progress;
    let mut report = lock(report);
    for (number, test) in boot.tests.iter().enumerate().skip(ended) {
        let mut failure = failure(test, number, "it did not run", &outcome.folder.share());
        if running == Some(number) {
            failure.why = format!("the guest ended during it\n{}", guest_failed(&outcome));
        }
        failed = Some(failure.name.clone());
        report.failed(failure);
    }
    if outcome.complaints.is_empty() || running.is_some() {
        return Ok(());
    }
    match failed {
        Some(name) => report.explain(&name, &guest_failed(&outcome)),
        None => report.failed(Failure {
            name: "guest".to_owned(),
            why: guest_failed(&outcome),
            output: String::new(),
            kernel_log: String::new(),
        }),
    }
    Ok(())
}

/// What tests see of the environment here: how much of everything they shall do.
fn environment() -> Vec<(String, String)> {
    let told = std::env::vars().filter(|(name, _)| name.starts_with(SETTINGS));
    told.chain([("RUST_BACKTRACE".to_owned(), "0".to_owned())]).collect()
}

/// Why a run is not to be believed, with the end of its console.
fn guest_failed(outcome: &Outcome) -> String {
    let folder = outcome.folder.path().display();
    let last = tail(&outcome.console, SHOWN).join("\n");
    format!(
        "{}\nthe last lines of the console:\n{last}\nmore in {folder}",
        outcome.complaints.join("\n")
    )
}

fn failure(test: &Test, number: usize, why: &str, share: &Path) -> Failure {
    Failure {
        name: test.full_name(),
        why: why.to_owned(),
        output: text(&share.join(output_name(number))),
        kernel_log: text(&share.join(agent::slice(number))),
    }
}

fn output_name(number: usize) -> String {
    format!("{number:04}.log")
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reports each test as it ends.
struct Progress<'a> {
    boot: &'a Boot,
    report: &'a Mutex<Report>,
    running: Option<usize>,
    /// Since the test that runs has begun.
    clock: Watch,
    /// Tests end in their order.
    ended: usize,
    /// The last that failed.
    failed: Option<String>,
}

impl Watcher for Progress<'_> {
    fn message(&mut self, message: &Message, share: &Path) {
        match message {
            Message::Begun(number) => {
                self.running = Some(*number);
                self.clock = Watch::start();
            }
            Message::Ended(number, ending) => {
                self.running = None;
                self.ended = number.saturating_add(1);
                if let Some(test) = self.boot.tests.get(*number) {
                    self.judge(test, *number, *ending, share);
                }
            }
            Message::Ready | Message::Done(_) | Message::Failed(_) => {}
        }
    }

    fn stdout(&mut self, _: &[u8]) -> Wish {
        Wish::GoOn
    }

    fn stderr(&mut self, _: &[u8]) {}
}

impl Progress<'_> {
    fn judge(&mut self, test: &Test, number: usize, ending: Ending, share: &Path) {
        let failure = failure(test, number, "", share);
        match verdict(ending, &failure.output, &failure.kernel_log) {
            Ok(()) => lock(self.report).passed(&failure.name, self.clock.elapsed()),
            Err(why) => {
                self.failed = Some(failure.name.clone());
                lock(self.report).failed(Failure { why, ..failure });
            }
        }
    }
}

/// Runs a program's tests here, one after the other; it starts guests through us.
fn on_host(host: &Host, outside: &Outside, report: &Mutex<Report>) -> Result<()> {
    for (number, test) in outside.tests.iter().enumerate() {
        let log = host.runs.join(format!("{}-{}", outside.target, output_name(number)));
        let _ = fs::remove_file(&log);
        let args = ["--exact", test, "--test-threads=1", "--nocapture"];
        let call = Call::new(&outside.program, &args)
            .dir(&outside.folder)
            .env(PROGRAM, &host.program.to_string_lossy());
        let watch = Watch::start();
        let ended = call.logged(&log)?;
        let name = format!("{}::{test}", outside.target);
        let output = text(&log);
        let judged = match ended {
            Ended::Well => verdict(Ending::Exit(0), &output, ""),
            Ended::Badly(how) => Err(how),
        };
        let kernel_log = String::new();
        match judged {
            Ok(()) => lock(report).passed(&name, watch.elapsed()),
            Err(why) => lock(report).failed(Failure { name, why, output, kernel_log }),
        }
    }
    Ok(())
}
