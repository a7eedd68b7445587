//! The program as a process of its own, on a pool of files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use open_local_core::Bytes;
use open_local_core::fs::{Filesystems, HostFilesystems, Probe};
use open_local_core::host::{
    Clock, MountCalls, SystemClock, SystemMounts, parse_mountinfo, poll_until,
};
use open_local_tests::Scratch;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::orchestrator::{Call, Fault, Node, Outcome, Seen};
use crate::wire::{Places, ask};

/// How long the program has to serve.
const START: Duration = Duration::from_secs(20);
/// Moments of a call at which the program is killed, in microseconds after the call was made.
const MOMENTS: [u64; 8] = [300, 1_000, 2_500, 6_000, 12_000, 25_000, 50_000, 90_000];

/// A program that serves, and where.
pub(crate) struct Served {
    pub(crate) scratch: Scratch,
    pub(crate) places: Places,
    pub(crate) runtime: Runtime,
    pool: PathBuf,
    child: Option<Child>,
    channel: Option<Channel>,
}

impl Served {
    pub(crate) fn new(test: &str) -> Self {
        let scratch = Scratch::new(test);
        let disk = scratch.disk("disk", Bytes::from_gib(4).unwrap(), "xfs");
        let places = Places { folder: scratch.join("kubelet") };
        for folder in ["staging", "pods"] {
            fs::create_dir_all(places.folder.join(folder)).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let pool = disk.join("pool");
        let mut served = Self { scratch, places, runtime, pool, child: None, channel: None };
        served.start();
        served
    }

    fn socket(&self) -> PathBuf {
        self.scratch.join("csi.sock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.scratch.join("log")
    }

    #[expect(clippy::disallowed_methods, reason = "the program under test, as a pod starts it")]
    fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let folder = |name: &str| self.scratch.join(name).display().to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_open-local"))
            .args(["--state-dir", &folder("state"), "--run-dir", &folder("run"), "csi"])
            .args(["--node-id", "node-1", "--kubelet-dir", &folder("kubelet")])
            .args(["--pool", &format!("fast=file:{}", self.pool.display())])
            .args(["--endpoint", &format!("unix://{}", self.socket().display())])
            .env_clear()
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let uri = format!("unix://{}", self.socket().display());
        let endpoint = Endpoint::from_shared(uri).unwrap();
        let connected = poll_until(&SystemClock as &dyn Clock, START, || {
            Ok(self.runtime.block_on(endpoint.connect()).ok())
        });
        let log = || fs::read_to_string(self.log()).unwrap_or_default();
        self.channel = Some(connected.ok().flatten().unwrap_or_else(|| panic!("{}", log())));
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone().unwrap()
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The device that is mounted at a path.
    pub(crate) fn device_at(&self, path: &str) -> PathBuf {
        let table = parse_mountinfo(&SystemMounts.table().unwrap()).unwrap();
        let mount = table.into_iter().rfind(|mount| mount.target == Path::new(path));
        mount.unwrap_or_else(|| panic!("nothing is mounted at {path}")).source
    }

    fn outcome(&self, call: &Call) -> Outcome {
        let asked = ask(self.channel(), self.places.clone(), call.clone());
        Outcome::Told(self.runtime.block_on(asked))
    }

    /// Kills the program so long after a call was made. An answer that was sent counts.
    fn killed(&mut self, call: &Call, after: Duration) -> Outcome {
        let asked = ask(self.channel(), self.places.clone(), call.clone());
        let asked = self.runtime.spawn(asked);
        SystemClock.sleep(after);
        let answered = asked.is_finished();
        self.kill();
        let answer = self.runtime.block_on(asked).unwrap();
        match (answered, answer) {
            (true, answer) | (false, answer @ Ok(_)) => Outcome::Told(answer),
            (false, Err(_)) => Outcome::Lost,
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("the program said last:");
            last.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
    }
}

impl Node for Served {
    fn offers_all(&self) -> bool {
        false
    }

    fn call(&mut self, call: &Call, fault: Fault) -> Outcome {
        match fault {
            Fault::Nothing => self.outcome(call),
            Fault::Dropped => {
                let asked = ask(self.channel(), self.places.clone(), call.clone());
                let wait = Duration::from_millis(4);
                let answer =
                    self.runtime.block_on(async { tokio::time::timeout(wait, asked).await });
                answer.map_or(Outcome::Lost, Outcome::Told)
            }
            Fault::Twice => {
                let one = || ask(self.channel(), self.places.clone(), call.clone());
                let (first, second) = self.runtime.block_on(async { tokio::join!(one(), one()) });
                let first = first.or_else(|why| if second.is_ok() { second } else { Err(why) });
                Outcome::Told(first)
            }
            Fault::Cut(at) => {
                let moment = MOMENTS[usize::try_from(at).unwrap() % MOMENTS.len()];
                let outcome = self.killed(call, Duration::from_micros(moment));
                self.start();
                outcome
            }
        }
    }

    fn restart(&mut self) {
        self.kill();
        self.start();
    }

    fn reboot(&mut self) -> bool {
        false
    }

    fn look(&mut self, id: &str) -> Seen {
        let at = self.places.staging(id);
        let device = self.device_at(&at);
        let filesystems = HostFilesystems::new(self.scratch.host(), Arc::new(SystemMounts));
        let Probe::Filesystem(found) = filesystems.probe(&device).unwrap() else {
            panic!("{} holds no file system", device.display());
        };
        let mark = match fs::read_to_string(Path::new(&at).join("mark")) {
            Ok(text) => text.parse().unwrap(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
            Err(e) => panic!("{at}: {e}"),
        };
        Seen { filesystem: Some(found.uuid.to_string()), mark }
    }

    fn write(&mut self, id: &str, mark: u64) {
        let path = Path::new(&self.places.staging(id)).join("mark");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(mark.to_string().as_bytes()).unwrap();
        file.sync_all().unwrap();
    }

    fn leaks(&mut self) -> Vec<String> {
        let folder = self.scratch.path().display().to_string();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let disk = self.scratch.join("disk").display().to_string();
        let mounts = table.lines().filter(|line| {
            line.split(' ').nth(4).is_some_and(|at| at.starts_with(&folder) && at != disk)
        });
        let mut left: Vec<String> = mounts.map(str::to_owned).collect();
        let pool = self.pool.display().to_string();
        for device in fs::read_dir("/sys/block").unwrap().flatten() {
            let file = fs::read_to_string(device.path().join("loop/backing_file"));
            left.extend(file.ok().filter(|file| file.starts_with(&pool)));
        }
        for place in ["state/csi/limits", "state/csi/inline", "run/csi", "kubelet/pods"] {
            files_below(&self.scratch.join(place), &mut left);
        }
        for place in ["volumes", "snapshots"] {
            files_below(&self.pool.join(place), &mut left);
        }
        left
    }
}

/// Files below a folder, and folders at its end.
fn files_below(folder: &Path, left: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => files_below(&entry.path(), left),
            false => left.push(entry.path().display().to_string()),
        }
    }
}
