//! `cargo xtask vm test`, and the same as a step of `cargo xtask test`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::agent;
use super::host::{Choice, Host};
use super::machine::{self, Outcome, Shape, Watcher, Wish};
use super::protocol::{Ending, Item, Job, Message};
use super::report::{Failure, Report, verdict};
use super::targets::{self, Target};
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

/// A test and the program it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    target: String,
    name: String,
    program: PathBuf,
    /// That of its package.
    folder: PathBuf,
    seconds: u64,
}

/// Tests that share a start of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Boot {
    shape: Shape,
    tests: Vec<Test>,
}

/// A program whose tests run on the host and start guests themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outside {
    target: String,
    folder: PathBuf,
    program: PathBuf,
    tests: Vec<String>,
}

impl Test {
    fn full_name(&self) -> String {
        format!("{}::{}", self.target, self.name)
    }
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
    for boot in &boots {
        in_guest(&host, boot, &mut report)?;
    }
    for program in &outside {
        on_host(&host, program, &mut report)?;
    }
    Ok(report.finish())
}

/// Builds the tests and says what will run.
fn planned(workspace: &Workspace, filter: Option<&str>) -> Result<(Vec<Boot>, Vec<Outside>)> {
    let targets = targets::all(workspace)?;
    if targets.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let programs = targets::build(workspace, &targets)?;
    let mut names = BTreeMap::new();
    for (target, program) in &programs {
        names.insert(target.clone(), targets::list(program)?);
    }
    Ok(plan(&targets, &programs, &names, filter))
}

/// Targets that ask for the same guest share it.
fn plan(
    targets: &[Target],
    programs: &BTreeMap<String, PathBuf>,
    names: &BTreeMap<String, Vec<String>>,
    filter: Option<&str>,
) -> (Vec<Boot>, Vec<Outside>) {
    let mut boots: Vec<Boot> = Vec::new();
    let mut outside = Vec::new();
    for target in targets {
        let Some(program) = programs.get(&target.name) else {
            continue;
        };
        let test = |name: &String| Test {
            target: target.name.clone(),
            name: name.clone(),
            program: program.clone(),
            folder: target.folder.clone(),
            seconds: target.seconds,
        };
        let named = |test: &Test| filter.is_none_or(|part| test.full_name().contains(part));
        let tests = names.get(&target.name).into_iter().flatten().map(test).filter(named);
        let tests: Vec<Test> = tests.collect();
        if tests.is_empty() {
            continue;
        }
        if target.outside {
            let tests = tests.into_iter().map(|test| test.name).collect();
            outside.push(Outside {
                target: target.name.clone(),
                folder: target.folder.clone(),
                program: program.clone(),
                tests,
            });
            continue;
        }
        match boots.iter_mut().find(|boot| boot.shape == target.shape) {
            Some(boot) => boot.tests.extend(tests),
            None => boots.push(Boot { shape: target.shape.clone(), tests }),
        }
    }
    (boots, outside)
}

fn print_plan(boots: &[Boot], outside: &[Outside]) {
    for (number, boot) in boots.iter().enumerate() {
        let disks = boot.shape.disks.iter().map(|disk| format!(", disk {}", disk.name));
        let udev = if boot.shape.udev { "with udev" } else { "without udev" };
        let number = number.saturating_add(1);
        println!("guest {number}, {udev}{}:", disks.collect::<String>());
        for test in &boot.tests {
            println!("    {}", test.full_name());
        }
    }
    for program in outside {
        println!("on the host:");
        for test in &program.tests {
            println!("    {}::{test}", program.target);
        }
    }
}

fn in_guest(host: &Host, boot: &Boot, report: &mut Report) -> Result<()> {
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
    let before = report.counts().failed;
    let mut progress = Progress { boot, report, running: None, clock: Watch::start(), ended: 0 };
    let outcome = machine::run(host, &boot.shape, job, false, &mut progress)?;
    let (running, ended) = (progress.running, progress.ended);
    for (number, test) in boot.tests.iter().enumerate().skip(ended) {
        let why =
            if running == Some(number) { "the guest ended during it" } else { "it did not run" };
        report.failed(failure(test, number, why, &outcome.folder.share()));
        if running == Some(number) {
            report.explain(&guest_failed(&outcome));
        }
    }
    if outcome.complaints.is_empty() || running.is_some() {
        return Ok(());
    }
    if report.counts().failed > before {
        report.explain(&guest_failed(&outcome));
    } else {
        report.failed(Failure {
            name: "guest".to_owned(),
            why: guest_failed(&outcome),
            output: String::new(),
            kernel_log: String::new(),
        });
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
    report: &'a mut Report,
    running: Option<usize>,
    /// Since the test that runs has begun.
    clock: Watch,
    /// Tests end in their order.
    ended: usize,
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
            Ok(()) => self.report.passed(&failure.name, self.clock.elapsed()),
            Err(why) => self.report.failed(Failure { why, ..failure }),
        }
    }
}

/// Runs a program's tests here, one after the other; it starts guests through us.
fn on_host(host: &Host, outside: &Outside, report: &mut Report) -> Result<()> {
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
        match judged {
            Ok(()) => report.passed(&name, watch.elapsed()),
            Err(why) => report.failed(Failure { name, why, output, kernel_log: String::new() }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, disk: Option<&str>, outside: bool) -> Target {
        Target {
            folder: "/w/p".into(),
            name: name.to_owned(),
            shape: Shape {
                disks: disk.into_iter().map(|text| text.parse().unwrap()).collect(),
                udev: false,
                memory: 512,
                processors: 1,
            },
            seconds: 9,
            outside,
        }
    }

    fn planned(filter: Option<&str>) -> (Vec<Boot>, Vec<Outside>) {
        let targets = [
            target("guest_a", None, false),
            target("guest_b", Some("nvme"), false),
            target("guest_c", None, false),
            target("power", None, true),
        ];
        let programs = targets.iter().map(|t| (t.name.clone(), PathBuf::from("/t"))).collect();
        let tests = |t: &Target| (t.name.clone(), vec!["one".to_owned(), "two".to_owned()]);
        plan(&targets, &programs, &targets.iter().map(tests).collect(), filter)
    }

    #[test]
    fn targets_with_the_same_needs_share_a_guest() {
        let (boots, outside) = planned(None);
        let names = |boot: &Boot| boot.tests.iter().map(Test::full_name).collect::<Vec<_>>();
        assert_eq!(boots.len(), 2);
        assert_eq!(
            names(&boots[0]),
            ["guest_a::one", "guest_a::two", "guest_c::one", "guest_c::two"]
        );
        assert_eq!(names(&boots[1]), ["guest_b::one", "guest_b::two"]);
        assert_eq!(outside[0].tests, ["one", "two"]);
    }

    #[test]
    fn a_filter_leaves_guests_without_tests_out() {
        let (boots, outside) = planned(Some("guest_b::t"));
        assert_eq!((boots.len(), outside.len()), (1, 0));
        assert_eq!(boots[0].tests[0].full_name(), "guest_b::two");
        let (boots, outside) = planned(Some("nothing"));
        assert!(boots.is_empty() && outside.is_empty());
    }
}
