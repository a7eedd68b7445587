//! The tools on a runner that answers what the test wrote down.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use open_local_core::host::{Host, Invocation, Output, ProgramRunner, StopAt};
use open_local_core::sim::{SimFiles, sim_host};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::{CliConfig, CliTools, GroupOptions, Mapper, Order};
use crate::exec::Settings;

/// Answers in turn, and keeps what was run.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<Result<Output>>>,
    runs: Mutex<Vec<Invocation>>,
}

impl Script {
    fn answer(&self, answer: Result<Output>) {
        self.answers.lock().unwrap().push_back(answer);
    }

    fn runs(&self) -> Vec<Invocation> {
        self.runs.lock().unwrap().clone()
    }
}

impl ProgramRunner for Script {
    fn run(&self, invocation: &Invocation) -> Result<Output> {
        self.runs.lock().unwrap().push(invocation.clone());
        self.answers.lock().unwrap().pop_front().expect("an answer of the script")
    }
}

fn output(code: Option<i32>, stdout: &[u8], stderr: &[u8]) -> Output {
    let mut output = Output::default();
    output.code = code;
    output.stdout = stdout.to_vec();
    output.stderr = stderr.to_vec();
    output
}

/// The host's locks are taken for granted: it has no mount table.
fn settings() -> Settings {
    Settings { lock_folder_is_hosts: true, ..Settings::default() }
}

fn host(script: &Arc<Script>) -> Host {
    let files = Arc::new(SimFiles::new(1));
    files.add_folder("/usr/sbin").unwrap();
    files.add_file("/usr/sbin/lvm", b"").unwrap();
    let mut host = sim_host(files, 1);
    host.programs = Arc::clone(script) as Arc<dyn ProgramRunner>;
    host
}

fn tools(script: &Arc<Script>, mapper: Mapper) -> CliTools {
    let config = CliConfig::new(settings(), &["/dev/sda".into()]).with_mapper(mapper);
    CliTools::new(&host(script), config).unwrap()
}

/// As lvm2 2.03.16 prints it, with a thin pool, and with lines that do not belong there.
const REPORT: &[u8] = include_bytes!("tests/fullreport.txt");

#[test]
fn a_group_is_read_although_other_lines_stand_around_its_report() {
    let script = Arc::new(Script::default());
    script.answer(Ok(output(Some(0), REPORT, b"  WARNING: odd\n")));
    let group = tools(&script, Mapper::Present).group(Op::InspectPool, "fast").unwrap();
    assert_eq!((group.seqno, group.extents.get(), group.free.get()), (31, 511, 370));
    assert_eq!(group.refusal, None);
    assert_eq!(group.physical[0].device.as_deref(), Some("/dev/vdb".as_ref()));
    let pool = group.volume("pool").unwrap();
    assert!(pool.is_thin_pool() && !pool.is_thin() && !pool.hidden);
    assert_eq!(pool.error_when_full, Some(true));
    assert_eq!(pool.data_used.unwrap().ppm(), 31_300);
    assert_eq!(pool.metadata_used.unwrap().ppm(), 100_500);
    assert_eq!(pool.segments[0].chunk_size.get(), 64 << 10);
    assert_eq!(pool.segments[0].transaction_id, Some(2));
    let hidden = group.volume("pool_tdata").unwrap();
    assert!(hidden.hidden);
    assert_eq!(hidden.segments[0].ranges, ["/dev/vdb:4-103"]);
    let snapshot = group.volume("ol.s.one").unwrap();
    assert_eq!(snapshot.origin.as_deref(), Some("t1"));
    assert_eq!(snapshot.pool.as_deref(), Some("pool"));
    assert!(!snapshot.writable && snapshot.is_thin());
    assert_eq!((snapshot.active, snapshot.open), (Some(false), None));
    let thin = group.volume("t1").unwrap();
    assert_eq!((thin.active, thin.open), (Some(true), Some(true)));
    assert_eq!(thin.number.map(|n| n.to_string()).as_deref(), Some("253:4"));
}

#[test]
fn what_runs_is_what_is_shown_and_nothing_of_ours_leaks_in() {
    let script = Arc::new(Script::default());
    let order = Order::remove_volume("vg", "a").unwrap();
    let absent = tools(&script, Mapper::Absent);
    let run = absent.invocation(&order);
    let words: Vec<_> = run.arguments.iter().map(|word| word.to_str().unwrap()).collect();
    assert_eq!(words, ["lvremove", "--nohints", "--driverloaded", "n", "-y", "vg/a"]);
    assert_eq!(run.program.to_str(), Some("/usr/sbin/lvm"));
    let names: Vec<_> = run.environment.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    assert_eq!(names, ["LC_ALL", "PATH", "LVM_SYSTEM_DIR", "LVM_SUPPRESS_FD_WARNINGS"]);
    assert_eq!(run.deadline, Duration::from_secs(120));
    let shown = absent.show(&order);
    assert!(shown.starts_with("LVM_SYSTEM_DIR=/run/open-local/lvm-cli/"), "{shown}");
    assert!(
        shown.ends_with("/usr/sbin/lvm lvremove --nohints --driverloaded n -y vg/a"),
        "{shown}"
    );
    let present = tools(&script, Mapper::Present).show(&order);
    assert!(present.ends_with("lvremove --nohints -y vg/a"), "{present}");
    // Looking into /sys, which this host has none of.
    assert!(!tools(&script, Mapper::Look).has_mapper());
    assert!(script.runs().is_empty());
}

#[test]
fn a_devices_file_is_kept_by_the_hosts_own_configuration() {
    let script = Arc::new(Script::default());
    let settings = Settings { devices_file: Some("/x/devices/d".into()), ..settings() };
    let mut config = CliConfig::new(settings, &["/dev/sda".into()]).with_mapper(Mapper::Present);
    config.system_folder = "/x".into();
    let tools = CliTools::new(&host(&script), config).unwrap();
    let shown = tools.show(&Order::remove_group("vg").unwrap());
    let wanted = "LVM_SYSTEM_DIR=/x /usr/sbin/lvm vgremove --nohints \
                  --config activation/monitoring=0 vg";
    assert_eq!(shown, wanted);
}

#[test]
fn with_a_devices_file_a_group_on_devices_that_were_not_named_is_refused() {
    let script = Arc::new(Script::default());
    let settings = Settings { devices_file: Some("/x/devices/d".into()), ..settings() };
    // The group of the report lies on /dev/vdb.
    let tools = |devices: &[&str]| {
        let devices: Vec<_> = devices.iter().map(Into::into).collect();
        CliTools::new(&host(&script), CliConfig::new(settings.clone(), &devices)).unwrap()
    };
    let report = || script.answer(Ok(output(Some(0), REPORT, b"")));
    let op = Op::PlanChange;
    let orders = || {
        let tags = crate::plan::TagChange { add: vec!["a".into()], remove: Vec::new() };
        [
            Order::tag_group("fast", &tags).unwrap(),
            Order::remove_volume("fast", "t1").unwrap(),
            Order::remove_physical("/dev/vdb".as_ref()).unwrap(),
        ]
    };
    let other = tools(&["/dev/sda"]);
    for order in orders() {
        report();
        let error = other.run(op, &order).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{order}: {error}");
        script.answers.lock().unwrap().clear();
    }
    assert!(script.runs().iter().all(|run| run.arguments[0] == "fullreport"));
    report();
    let error = other.group(op, "fast").unwrap_err();
    assert!(error.message().contains("/dev/vdb") && error.remedy().is_some(), "{error}");
    report();
    assert_eq!(other.groups(op).unwrap(), []);
    // Nor does a device join a group that was not named, whatever the devices file lets in.
    let (sda, sdb) = (PathBuf::from("/dev/sda"), PathBuf::from("/dev/sdb"));
    let joining = |with: &[PathBuf]| {
        [
            Order::create_group("new", with, &GroupOptions::default()).unwrap(),
            Order::extend_group("none", with).unwrap(),
        ]
    };
    for order in joining(&[sda.clone(), sdb.clone()]) {
        script.answer(Ok(output(Some(0), b"{\"report\":[]}", b"")));
        let error = other.run(op, &order).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{order}: {error}");
        assert!(error.message().contains("/dev/sdb"), "{error}");
        script.answers.lock().unwrap().clear();
    }
    assert!(script.runs().iter().all(|run| run.arguments[0] == "fullreport"));
    for order in joining(std::slice::from_ref(&sda)) {
        if order.command() == "vgextend" {
            script.answer(Ok(output(Some(0), b"{\"report\":[]}", b"")));
        }
        script.answer(Ok(output(Some(0), b"", b"")));
        other.run(op, &order).unwrap();
    }
    // Named, alone or among others, it is changed.
    for devices in [&["/dev/vdb"][..], &["/dev/sda", "/dev/vdb"]] {
        for order in orders() {
            if order.command() != "pvremove" {
                report();
            }
            script.answer(Ok(output(Some(0), b"", b"")));
            tools(devices).run(op, &order).unwrap();
        }
    }
    // A group that the tools do not know is for them to refuse.
    script.answer(Ok(output(Some(0), b"{\"report\":[]}", b"")));
    script.answer(Ok(output(Some(0), b"", b"")));
    other.run(op, &Order::remove_group("none").unwrap()).unwrap();
}

#[test]
fn the_end_of_a_run_says_what_is_known() {
    let deadline = || {
        let subject = Subject::Program("lvm".into());
        Err(Error::new(ErrorKind::Indeterminate, Op::RunProgram, subject, "it was killed"))
    };
    let ask = |answer: Result<Output>| {
        let script = Arc::new(Script::default());
        script.answer(answer);
        let tools = tools(&script, Mapper::Absent);
        tools.run(Op::RemoveVolume, &Order::remove_volume("vg", "a").unwrap())
    };
    ask(Ok(output(Some(0), b"", b""))).unwrap();
    ask(Ok(output(Some(5), b"", b"  New size matches existing size.\n"))).unwrap();
    let error = ask(deadline()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert!(error.report().to_string().contains("it was killed"), "{}", error.report());
    assert_eq!(ask(Ok(output(None, b"", b""))).unwrap_err().kind(), ErrorKind::Indeterminate);
    let failed = ask(Ok(output(Some(5), b"", b"  Failed to find logical volume \"vg/a\"\n")));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);

    let report = |answer: Result<Output>| {
        let script = Arc::new(Script::default());
        script.answer(answer);
        tools(&script, Mapper::Absent).group(Op::InspectPool, "fast").unwrap_err().kind()
    };
    assert_eq!(report(deadline()), ErrorKind::Timeout);
    let cut = &REPORT[..REPORT.len() / 2];
    assert_eq!(report(Ok(output(Some(0), cut, b""))), ErrorKind::Corrupt);
    assert_eq!(report(Ok(output(Some(0), b"\xff{\"report\":[\xff", b""))), ErrorKind::Corrupt);
    assert_eq!(report(Ok(output(Some(0), b"{\"report\":[]}", b""))), ErrorKind::NotFound);
    assert_eq!(report(Ok(output(None, REPORT, b""))), ErrorKind::External);
}

#[test]
fn nothing_is_changed_under_locks_that_the_host_does_not_see() {
    let script = Arc::new(Script::default());
    let config = CliConfig::new(Settings::default(), &["/dev/sda".into()]);
    let host = host(&script);
    let tools = CliTools::new(&host, config).unwrap();
    assert!(tools.run(Op::RemoveVolume, &Order::remove_volume("vg", "a").unwrap()).is_err());
    assert!(script.runs().is_empty());
}

#[test]
fn the_option_for_configuration_is_given_once() {
    let script = Arc::new(Script::default());
    let settings = Settings { devices_file: Some("/x/devices/d".into()), ..settings() };
    let config = CliConfig::new(settings, &["/dev/sda".into()]).with_mapper(Mapper::Present);
    let tools = CliTools::new(&host(&script), config).unwrap();
    let shown = tools.show(&Order::activate_read_only("vg", "a").unwrap());
    assert_eq!(shown.matches("--config").count(), 1, "{shown}");
    assert!(shown.contains("monitoring=0"), "{shown}");
}

#[test]
fn nothing_changes_before_the_checkpoint_and_reading_has_none() {
    let script = Arc::new(Script::default());
    let host = host(&script).with_checkpoints(Arc::new(StopAt::new(1)));
    let config = CliConfig::new(settings(), &["/dev/sda".into()]);
    let tools = CliTools::new(&host, config).unwrap();
    let order = Order::remove_volume("vg", "a").unwrap();
    let error = tools.run(Op::RemoveVolume, &order).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert!(error.message().contains("run lvm lvremove -y vg/a"), "{error}");
    assert!(script.runs().is_empty());
    script.answer(Ok(output(Some(0), REPORT, b"")));
    assert_eq!(tools.groups(Op::ListPools).unwrap().len(), 1);
}

#[test]
fn a_host_without_lvm2_is_told_which_package_to_install() {
    let host = sim_host(Arc::new(SimFiles::new(1)), 1);
    let config = CliConfig::new(settings(), &["/dev/sda".into()]);
    let error = CliTools::new(&host, config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingProgram);
    assert!(error.remedy().is_some_and(|remedy| remedy.contains("lvm2")));
}
