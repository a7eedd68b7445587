//! Random histories on a simulated node: the plugin is cut before any of its steps and started
//! again, or the whole machine is.
//!
//! `OPEN_LOCAL_CSI_SEED` repeats one history, `OPEN_LOCAL_CSI_HISTORIES` sets how many there are.

use std::sync::Arc;

use open_local_core::fs::{Filesystems, Probe};
use open_local_core::host::StopAt;
use open_local_core::sim::{Machine, SimBackend, SimFilesystems, SimThrottle};
use open_local_core::{Backend, Bytes, PoolId, PoolSpec};
use open_local_csi::proto;
use open_local_csi::service::{Config, Driver, PoolEntry, PoolSet, Records};
use open_local_csi::{Answer, Code};

use crate::ask::{self, MIB};
use crate::orchestrator::{
    Call, Dice, Fault, History, NONSENSE, Node, Origin, Outcome, Reply, Seen, Tally, setting,
};

/// Histories unless told otherwise.
const HISTORIES: u64 = 2000;
/// Steps of each.
const STEPS: u64 = 30;
/// Where tests write, beyond the superblock.
const AT: u64 = 1 << 20;

struct SimNode {
    machine: Machine,
    driver: Driver,
}

impl SimNode {
    fn new(seed: u64) -> Self {
        let machine = Machine::new(seed);
        let driver = start(&machine);
        Self { machine, driver }
    }
}

/// Starts the plugin on what there is.
fn start(machine: &Machine) -> Driver {
    let backend = SimBackend::new(machine);
    let id = PoolId::new("fast").unwrap();
    let spec = PoolSpec::new(id.clone()).with_capacity(Bytes::from_gib(8).unwrap());
    backend.ensure_pool(&spec).unwrap().get();
    let entry = PoolEntry::new(id.clone(), "sim", backend.open_pool(&id).unwrap());
    let entry = entry.with_inline(true);
    let filesystems = Arc::new(SimFilesystems::new(machine));
    Driver::builder(Config::new("node-1"), machine.host(), filesystems)
        .pools(PoolSet::new([entry]).unwrap())
        .throttle(Arc::new(SimThrottle::new(machine)))
        .build()
        .unwrap()
}

pub(crate) fn staging(id: &str) -> String {
    format!("/staging/{id}")
}

fn target(target: u64) -> String {
    format!("/pods/{target}")
}

fn ask(driver: &Driver, call: &Call) -> Result<Reply, (Code, String)> {
    let answer = answer(driver, call);
    answer.map_err(|status| (status.code(), status.message().to_owned()))
}

fn answer(driver: &Driver, call: &Call) -> Answer<Reply> {
    let nothing = |()| Reply::Nothing;
    Ok(match call {
        Call::Create { name, mib, from } => {
            let mut request = ask::create(name);
            request.capacity_range = ask::range(mib * MIB, 0);
            request.volume_content_source = from.as_ref().and_then(|from| match from {
                Origin::Volume(id) => ask::from_volume(id),
                Origin::Snapshot(id) => ask::from_snapshot(id),
            });
            Reply::Volume(driver.create_volume(&request)?.volume.unwrap())
        }
        Call::Delete { id } => driver.delete_volume(&ask::delete(id)).map(drop).map(nothing)?,
        Call::Stage { volume, block } => {
            let request = ask::stage_as(volume, &staging(&volume.volume_id), *block);
            driver.node_stage_volume(&request).map(drop).map(nothing)?
        }
        Call::Unstage { id } => {
            let request = ask::unstage(id, &staging(id));
            driver.node_unstage_volume(&request).map(drop).map(nothing)?
        }
        Call::Publish { volume, target: at, block, single } => {
            let paths = (staging(&volume.volume_id), target(*at));
            let request = ask::publish_as(volume, (&paths.0, &paths.1), *block, *single);
            driver.node_publish_volume(&request).map(drop).map(nothing)?
        }
        Call::Unpublish { id, target: at } => {
            let request = ask::unpublish(id, &target(*at));
            driver.node_unpublish_volume(&request).map(drop).map(nothing)?
        }
        Call::Expand { id, mib } => {
            let request = ask::expand(id, mib * MIB);
            Reply::Size(driver.controller_expand_volume(&request)?.capacity_bytes)
        }
        Call::ExpandOnNode { id, target: at, mib } => {
            let request = ask::expand_on_node(id, &target(*at), mib * MIB);
            Reply::Size(driver.node_expand_volume(&request)?.capacity_bytes)
        }
        Call::Snapshot { name, of } => {
            let made = driver.create_snapshot(&ask::snapshot(name, of))?;
            Reply::Snapshot(made.snapshot.unwrap())
        }
        Call::DeleteSnapshot { id } => {
            driver.delete_snapshot(&ask::delete_snapshot(id)).map(drop).map(nothing)?
        }
        Call::Volumes => {
            let all = driver.list_volumes(&proto::ListVolumesRequest::default())?.entries;
            let all = all.into_iter().map(|one| one.volume.unwrap());
            Reply::Volumes(all.map(|one| (one.volume_id, one.capacity_bytes)).collect())
        }
        Call::Snapshots => {
            let all = driver.list_snapshots(&proto::ListSnapshotsRequest::default())?.entries;
            let all = all.into_iter().map(|one| one.snapshot.unwrap());
            Reply::Snapshots(all.map(|one| (one.snapshot_id, one.source_volume_id)).collect())
        }
        Call::Nonsense { which } => nonsense(driver, *which).map(nothing)?,
        other => return answer_other(driver, other),
    })
}

fn answer_other(driver: &Driver, call: &Call) -> Answer<Reply> {
    Ok(match call {
        Call::Group { name, of } => {
            let of: Vec<&str> = of.iter().map(String::as_str).collect();
            let made = driver.create_volume_group_snapshot(&ask::group(name, &of))?;
            Reply::Group(made.group_snapshot.unwrap())
        }
        Call::DeleteGroup { id } => {
            driver.delete_volume_group_snapshot(&ask::delete_group(id, &[])).map(drop)?;
            Reply::Nothing
        }
        Call::Inline { id, target: at } => {
            driver.node_publish_volume(&ask::inline(id, &target(*at))).map(drop)?;
            Reply::Nothing
        }
        Call::EndInline { id, target: at } => {
            driver.node_unpublish_volume(&ask::unpublish(id, &target(*at))).map(drop)?;
            Reply::Nothing
        }
        Call::Modify { id, iops } => {
            let request = ask::modify(id, "iops", &iops.to_string());
            driver.controller_modify_volume(&request).map(drop)?;
            Reply::Nothing
        }
        call => panic!("{call:?} is answered elsewhere"),
    })
}

/// Requests that can't be right, of each kind one.
fn nonsense(driver: &Driver, which: u64) -> Answer<()> {
    let mut create = ask::create("v0");
    match which % NONSENSE {
        0 => driver.create_volume(&ask::create("")).map(drop),
        1 => {
            create.capacity_range = ask::range(-1, 0);
            driver.create_volume(&create).map(drop)
        }
        2 => {
            create.volume_capabilities = vec![ask::mount(ask::MULTI_NODE)];
            driver.create_volume(&create).map(drop)
        }
        3 => driver.delete_volume(&ask::delete("")).map(drop),
        4 => driver.node_unstage_volume(&ask::unstage("v0", "/staging/../etc")).map(drop),
        5 => driver.node_unpublish_volume(&ask::unpublish("v0", "pods/0")).map(drop),
        6 => driver.create_snapshot(&ask::snapshot("s0", "")).map(drop),
        _ => driver.controller_modify_volume(&ask::modify("v0", "colour", "red")).map(drop),
    }
}

impl SimNode {
    fn twice(&self, call: &Call) -> Outcome {
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(|| ask(&self.driver, call));
            let first = ask(&self.driver, call);
            (first, other.join().unwrap())
        });
        let under_way =
            |one: &Result<Reply, (Code, String)>| matches!(one, Err((Code::Aborted, _)));
        match (under_way(&first), under_way(&second)) {
            (true, _) => Outcome::Told(second),
            (false, true) => Outcome::Told(first),
            (false, false) => {
                let code = |one: &Result<Reply, (Code, String)>| one.as_ref().err().map(|e| e.0);
                assert_eq!(code(&first), code(&second), "{call:?} at the same moment");
                if first.is_ok() {
                    assert_eq!(first, second, "{call:?} at the same moment");
                }
                Outcome::Told(first)
            }
        }
    }

    fn device(&self, id: &str) -> open_local_core::Attachment {
        let id = open_local_core::VolumeId::new(id).unwrap();
        let found = self.driver.pools().volume(&id).unwrap().unwrap();
        found.object.attachment.unwrap()
    }
}

impl Node for SimNode {
    fn offers_all(&self) -> bool {
        true
    }

    fn call(&mut self, call: &Call, fault: Fault) -> Outcome {
        match fault {
            Fault::Nothing => Outcome::Told(ask(&self.driver, call)),
            Fault::Dropped => {
                let _ = ask(&self.driver, call);
                Outcome::Lost
            }
            Fault::Twice => self.twice(call),
            Fault::Cut(at) => {
                let stop = Arc::new(StopAt::new(at));
                self.machine.arm(stop.clone());
                let answer = ask(&self.driver, call);
                self.machine.disarm();
                if !stop.reached() {
                    return Outcome::Told(answer);
                }
                // Half of them go on in the same process, as after an error.
                if at % 2 == 0 {
                    self.restart();
                }
                Outcome::Lost
            }
        }
    }

    fn restart(&mut self) {
        self.machine.restart();
        self.driver = start(&self.machine);
    }

    fn reboot(&mut self) -> bool {
        self.machine.reboot();
        // What is in memory on a machine stays on the disk of a simulated one.
        let host = self.machine.host();
        let paths = self.machine.files().paths().into_iter();
        for path in paths.filter(|path| path.starts_with(&host.roots.run)) {
            let _ = host.files.remove_file(&path);
        }
        self.driver = start(&self.machine);
        true
    }

    fn look(&mut self, id: &str) -> Seen {
        let device = self.device(id);
        let filesystems = SimFilesystems::new(&self.machine);
        let filesystem = match filesystems.probe(&device.device).unwrap() {
            Probe::Filesystem(found) => Some(found.uuid.to_string()),
            _ => None,
        };
        let mut bytes = [0; 8];
        self.machine.open(&device).unwrap().read_at(AT, &mut bytes).unwrap();
        Seen { filesystem, mark: u64::from_le_bytes(bytes) }
    }

    fn write(&mut self, id: &str, mark: u64) {
        let device = self.machine.open(&self.device(id)).unwrap();
        device.write_at(AT, &mark.to_le_bytes()).unwrap();
        device.flush().unwrap();
    }

    fn leaks(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let filesystems = SimFilesystems::new(&self.machine);
        let places = (0..8).map(|n| staging(&format!("v{n}"))).chain((0..8).map(target));
        for place in places {
            if let Some(mounted) = filesystems.mounted_at(place.as_ref()).unwrap() {
                left.push(format!("{mounted:?}"));
            }
        }
        let records = Records::new(self.machine.host());
        left.extend(records.all_published().unwrap().iter().map(|one| format!("{one:?}")));
        let files = self.machine.files();
        let host = self.machine.host();
        let of_csi = files.paths().into_iter().filter(|path| {
            path.display().to_string().contains("/csi/")
                && host
                    .files
                    .stat(path)
                    .is_ok_and(|stat| stat.kind == open_local_core::host::FileKind::File)
        });
        left.extend(of_csi.map(|path| path.display().to_string()));
        left
    }
}

#[test]
fn random_histories_with_cuts_keep_every_promise() {
    let seed = setting("OPEN_LOCAL_CSI_SEED");
    let histories = match seed {
        Some(_) => 1,
        None => setting("OPEN_LOCAL_CSI_HISTORIES").unwrap_or(HISTORIES),
    };
    let first = seed.unwrap_or_else(Dice::new_seed);
    println!("{histories} histories; the first is that of OPEN_LOCAL_CSI_SEED={first}");
    let mut sum = Tally::default();
    for seed in first..first + histories {
        let mut node = SimNode::new(seed);
        sum.add(&History::new(&mut node, seed, 4, [32, 48, 64]).run(STEPS));
    }
    println!("{sum:?}");
    assert!(histories < HISTORIES || sum.lost > 0, "{sum:?}");
}
