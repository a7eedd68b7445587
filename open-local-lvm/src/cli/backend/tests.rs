//! The backend on tools that keep no more than tags.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use open_local_core::host::{Host, Invocation, Output, ProgramRunner};
use open_local_core::sim::{SimDisks, SimFiles, sim_host};
use open_local_core::{
    Backend, Bytes, Change, ErrorKind, FullPolicy, PoolSpec, Result, Source, VolumeId, VolumeSpec,
};

use super::CliBackend;
use crate::cli::{CliConfig, Mapper};
use crate::exec::Settings;

/// A group with a thin pool, as lvm2 2.03.16 prints it.
const REPORT: &str = include_str!("../tests/fullreport.txt");

/// What the tools have changed.
#[derive(Debug, Default)]
struct Tools {
    /// Tags by the name of the group or volume.
    tags: Mutex<BTreeMap<String, Vec<String>>>,
    runs: Mutex<Vec<String>>,
    /// A run with this in it fails.
    fails: Mutex<Option<&'static str>>,
}

/// A cell of a row of the report.
fn cell<'l>(line: &'l str, column: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(&format!("\"{column}\":\""))?;
    Some(rest.split_once('"')?.0)
}

impl Tools {
    fn report(&self) -> String {
        let tags = self.tags.lock().unwrap();
        let row = |line: &str| {
            let (name, column) = match cell(line, "lv_name") {
                Some(name) => (Some(name), "lv_tags"),
                None => (cell(line, "vg_name"), "vg_tags"),
            };
            let Some(name) = name else { return line.to_owned() };
            let now = tags.get(name).map(|tags| tags.join(",")).unwrap_or_default();
            let old = cell(line, column).unwrap();
            line.replace(&format!("\"{column}\":\"{old}\""), &format!("\"{column}\":\"{now}\""))
        };
        REPORT.lines().map(row).collect::<Vec<_>>().join("\n")
    }

    fn change_tags(&self, words: &[String]) {
        let name = words.last().unwrap().rsplit('/').next().unwrap().to_owned();
        let mut tags = self.tags.lock().unwrap();
        let own = tags.entry(name).or_default();
        for pair in words.windows(2) {
            match pair[0].as_str() {
                "--addtag" => own.push(pair[1].clone()),
                "--deltag" => own.retain(|tag| *tag != pair[1]),
                _ => {}
            }
        }
    }

    fn set(&self, name: &str, tags: &[&str]) {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self.tags.lock().unwrap().insert(name.to_owned(), tags);
    }

    fn tags_of(&self, name: &str) -> Vec<String> {
        self.tags.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    fn all_tags(&self) -> Vec<String> {
        self.tags.lock().unwrap().values().flatten().cloned().collect()
    }

    fn changes(&self) -> Vec<String> {
        let runs = self.runs.lock().unwrap();
        runs.iter().filter(|run| !run.starts_with("fullreport")).cloned().collect()
    }
}

impl ProgramRunner for Tools {
    fn run(&self, invocation: &Invocation) -> Result<Output> {
        let words: Vec<String> =
            invocation.arguments.iter().map(|word| word.to_str().unwrap().to_owned()).collect();
        let line = words.join(" ");
        self.runs.lock().unwrap().push(line.clone());
        let mut output = Output::default();
        output.code = Some(0);
        if self.fails.lock().unwrap().is_some_and(|part| line.contains(part)) {
            output.code = Some(5);
            output.stderr = b"  It fails.\n".to_vec();
        } else if words[0] == "fullreport" {
            output.stdout = self.report().into_bytes();
        } else {
            self.change_tags(&words);
        }
        Ok(output)
    }
}

fn backend() -> (Arc<Tools>, CliBackend) {
    let files = Arc::new(SimFiles::new(1));
    for folder in ["/usr/sbin", "/var/lib", "/run"] {
        files.add_folder(folder).unwrap();
    }
    files.add_file("/usr/sbin/lvm", b"").unwrap();
    let disks = SimDisks::new(&files).unwrap();
    disks.add("vdb", Bytes::from_mib(64).unwrap(), None).unwrap();
    let tools = Arc::new(Tools::default());
    let mut host: Host = sim_host(files, 1);
    host.programs = Arc::clone(&tools) as Arc<dyn ProgramRunner>;
    let settings = Settings { lock_folder_is_hosts: true, ..Settings::default() };
    let config = CliConfig::new(settings, &[]).with_mapper(Mapper::Present);
    (tools, CliBackend::new(host, Arc::new(disks), config))
}

fn order() -> PoolSpec {
    PoolSpec::new("mine".parse().unwrap())
        .with_parameter("devices", "/dev/vdb")
        .with_parameter("group", "fast")
        .with_parameter("mode", "thin")
        .with_parameter("thin-pool", "pool")
        .with_parameter("adopt", "yes")
}

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

#[test]
fn an_adopted_thin_pool_is_marked_and_stays_when_its_pool_is_removed() {
    let (tools, backend) = backend();
    tools.set("fast", &["theirs"]);
    assert!(backend.ensure_pool(&order()).unwrap().changed());
    assert!(!backend.ensure_pool(&order()).unwrap().changed());
    assert_eq!(tools.tags_of("pool"), ["open-local/pool=mine", "open-local/adopted"]);
    assert_eq!(tools.tags_of("fast"), ["theirs", "open-local/group"]);
    // But for the tags it is as it was.
    assert!(tools.changes().iter().all(|run| run.contains("--addtag")), "{:?}", tools.changes());
    assert!(backend.remove_pool(&order().id).unwrap().changed());
    assert_eq!(tools.all_tags(), ["theirs"]);
    assert!(tools.changes().iter().all(|run| run.contains("tag ")), "{:?}", tools.changes());
    assert!(backend.list_pools().unwrap().is_empty());
}

#[test]
fn an_adoption_that_fails_takes_its_marks_back() {
    let (tools, backend) = backend();
    tools.set("fast", &["theirs"]);
    *tools.fails.lock().unwrap() = Some("open-local/adopted");
    let error = backend.ensure_pool(&order()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::External, "{}", error.report());
    assert_eq!(tools.all_tags(), ["theirs"]);
    assert!(backend.list_pools().unwrap().is_empty());
    // A mark that was there before stays.
    tools.set("fast", &["open-local/group"]);
    assert!(backend.ensure_pool(&order()).is_err());
    assert_eq!(tools.all_tags(), ["open-local/group"]);
    assert!(backend.list_pools().unwrap().is_empty());
}

#[test]
fn a_thin_pool_that_is_not_as_asked_for_is_refused_before_anything_is_marked() {
    let (tools, backend) = backend();
    // It has 400 MiB of data and 4 MiB of metadata, chunks of 64 KiB, and fails when it is full.
    let refused = [
        ("when-full", "queue", "is error, not queue"),
        ("data-size", "1GiB", "400MiB for data"),
        ("metadata-size", "8MiB", "4MiB for metadata"),
        ("chunk", "128KiB", "64KiB, not 128KiB"),
        ("thin-pool", "t1", "no thin pool"),
        ("adopt", "no", "not made here"),
    ];
    for (key, value, why) in refused {
        let error = backend.ensure_pool(&order().with_parameter(key, value)).unwrap_err();
        let wanted = if key == "adopt" { ErrorKind::Refused } else { ErrorKind::Conflict };
        assert_eq!(error.kind(), wanted, "{key}: {}", error.report());
        assert!(error.message().contains(why), "{key}: {error}");
        assert!(tools.changes().is_empty(), "{key}: {:?}", tools.changes());
    }
    // In a group of ours it is not taken without an order either.
    tools.set("fast", &["open-local/group"]);
    let error = backend.ensure_pool(&order().with_parameter("adopt", "no")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert!(backend.list_pools().unwrap().is_empty());
    let spec = order().with_parameter("when-full", "error").with_parameter("data-size", "400MiB");
    assert!(backend.ensure_pool(&spec).unwrap().changed());
    let pool = backend.open_pool(&spec.id).unwrap();
    assert_eq!(pool.thin().unwrap().thin_policy().unwrap().when_full, FullPolicy::Error);
}

#[test]
fn a_larger_size_makes_the_pool_larger_and_is_kept() {
    let (tools, backend) = backend();
    let _ = backend.ensure_pool(&order()).unwrap();
    let larger =
        order().with_parameter("data-size", "500MiB").with_parameter("metadata-size", "8MiB");
    assert!(backend.ensure_pool(&larger).unwrap().changed());
    let runs = tools.changes();
    let at = |part: &str| runs.iter().position(|run| run.contains(part));
    let metadata = at("lvextend --nohints --poolmetadatasize 8388608b fast/pool");
    let data = at("lvextend --nohints -L 524288000b fast/pool");
    assert!(metadata.is_some() && metadata < data, "{runs:?}");
    assert!(!backend.ensure_pool(&larger).unwrap().changed());
    assert_eq!(tools.changes().len(), runs.len());
    let error = backend.ensure_pool(&order()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
}

#[test]
fn a_volume_that_somebody_renamed_is_found_by_its_tag_and_two_are_a_conflict() {
    let (tools, backend) = backend();
    let _ = backend.ensure_pool(&order()).unwrap();
    tools.set("t1", &["open-local/volume", "open-local/id=old"]);
    let pool = backend.open_pool(&order().id).unwrap();
    assert_eq!(pool.volume(&vol("old")).unwrap().id, vol("old"));
    assert_eq!(pool.volume(&vol("t1")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!pool.remove_volume(&vol("t1")).unwrap().changed());
    // What is made says its id, also where that is its name.
    let new = VolumeSpec::new(vol("new"), Bytes::from_mib(4).unwrap());
    let plan = pool.plan(&Change::EnsureVolume(new)).unwrap().to_string();
    assert!(plan.contains("--addtag open-local/id=new"), "{plan}");
    tools.set("ol.s.one", &["open-local/volume", "open-local/id=old"]);
    let before = tools.changes().len();
    let key = Source::Volume(vol("old"));
    let tokens = pool.format_tokens().unwrap();
    for answer in [
        pool.volume(&vol("old")).map(drop),
        pool.unpublish(&key).map(drop),
        pool.remove_volume(&vol("old")).map(drop),
        pool.grow_volume(&vol("old"), Bytes::GIB).map(drop),
        tokens.format_token(&vol("old")).map(drop),
        tokens.allow_format(&vol("old")),
    ] {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
        assert!(error.to_string().contains("t1"), "{error}");
    }
    assert_eq!(tools.changes().len(), before);
}
