//! The power goes while thin and thick volumes are made, written to, copied, grown and removed.
//!
//! What was answered is there afterwards, file systems are whole, what was flushed reads as it was
//! written, and the call that was cut finishes when it is made again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use open_local_core::host::{MountCalls, SystemMounts, Unchecked};
use open_local_core::sim::SimEntropy;
use open_local_core::{
    Backend, Bytes, Pool, PoolExt, PoolSpec, PublishSpec, SnapshotSpec, VolumeSpec,
};
use open_local_lvm::activate::UdevMode;
use open_local_tests::dm::{Disk, NbdDisk, Slice};
use open_local_tests::guest::{require_modules, rounds};
use open_local_tests::scratch::run;

use crate::changes::{snapshot, volume};
use crate::rack::Rack;

/// The two pools, each on its half of the disk.
const POOLS: [&str; 2] = ["thin", "thick"];
const HALF: Bytes = Bytes::new(96 << 20);
const DATA: Bytes = Bytes::new(64 << 20);
const SIZE: Bytes = Bytes::new(12 << 20);
const LARGER: Bytes = Bytes::new(16 << 20);
/// Bytes of a file.
const FILE: usize = 200_000;
/// Turns of the workload.
const TURNS: u8 = 2;
/// About how many writes there are.
const WRITES: u64 = 340;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Make,
    Mount,
    Write,
    Snapshot,
    Grow,
    Rewrite,
    RemoveSnapshot,
    Remove,
}

const ACTS: [Act; 8] = [
    Act::Make,
    Act::Mount,
    Act::Write,
    Act::Snapshot,
    Act::Grow,
    Act::Rewrite,
    Act::RemoveSnapshot,
    Act::Remove,
];

/// An act on the volume of a turn in a pool.
type Call = (Act, usize, u8);

/// All calls in order: both pools in turns; what a turn removes is of the turn before.
fn calls() -> Vec<Call> {
    let mut all = Vec::new();
    for turn in 1..=TURNS {
        for act in ACTS {
            for pool in 0..POOLS.len() {
                let of_snapshot = matches!(act, Act::Snapshot | Act::RemoveSnapshot);
                let earlier = matches!(act, Act::RemoveSnapshot | Act::Remove);
                let about = if earlier { turn - 1 } else { turn };
                if about > 0 && (pool == 0 || !of_snapshot) {
                    all.push((act, pool, about));
                }
            }
        }
    }
    all
}

fn name(turn: u8) -> String {
    format!("v{turn}")
}

/// What a file holds: a pattern of its own.
fn content(pool: usize, turn: u8, again: bool) -> Vec<u8> {
    let seed = (pool as u64) * 1000 + u64::from(turn) * 2 + u64::from(again);
    let dice = SimEntropy::new(seed);
    let words = std::iter::repeat_with(|| dice.next_u64().to_le_bytes());
    words.flatten().take(FILE).collect()
}

struct Lab {
    rack: Rack,
    disk: NbdDisk,
    halves: Vec<Slice>,
}

impl Lab {
    fn new() -> Self {
        require_modules(&["ext4"]);
        let rack = Rack::new("powercut", true, UdevMode::Absent);
        let disk = NbdDisk::attach(&rack.scratch, "disk", HALF.get() * 2, 512).unwrap();
        let mut lab = Self { rack, disk, halves: Vec::new() };
        lab.divide();
        for number in 0..POOLS.len() {
            let backend = lab.rack.site.backend(Arc::new(Unchecked));
            let _ = backend.ensure_pool(&lab.spec(number)).unwrap();
        }
        lab
    }

    fn divide(&mut self) {
        let node = self.disk.path().file_name().unwrap().to_str().unwrap().to_owned();
        let whole = Disk::all().into_iter().find(|disk| disk.name == node).unwrap();
        let run = self.rack.scratch.run_id();
        let half = |number: usize| {
            let start = Bytes::new(HALF.get() * number as u64);
            Slice::of(run, &format!("half{number}"), &whole, start, HALF)
        };
        self.halves = (0..POOLS.len()).map(half).collect();
    }

    fn spec(&self, number: usize) -> PoolSpec {
        let spec = PoolSpec::new(POOLS[number].parse().unwrap())
            .with_parameter("devices", self.halves[number].path().display().to_string());
        if number > 0 {
            return spec;
        }
        spec.with_parameter("mode", "thin")
            .with_parameter("thin-pool", "tp")
            .with_parameter("data-size", DATA.to_string())
    }

    fn pool(&self, number: usize) -> open_local_core::Result<Arc<dyn Pool>> {
        let backend = self.rack.site.backend(Arc::new(Unchecked));
        // The devices have other numbers after each start.
        let _ = backend.ensure_pool(&self.spec(number))?;
        backend.open_pool(&POOLS[number].parse().unwrap())
    }

    fn mount_name(pool: usize, turn: u8) -> String {
        format!("{}-{turn}", POOLS[pool])
    }

    fn target(&self, pool: usize, turn: u8) -> PathBuf {
        self.rack.scratch.join(&Self::mount_name(pool, turn))
    }

    fn unmount(&self, pool: usize, turn: u8) {
        let target = self.target(pool, turn);
        let _ = SystemMounts.unmount(&target, false);
        let _ = fs::remove_dir(&target);
    }

    /// Publishes a volume and mounts its file system.
    fn mount(&self, open: &dyn Pool, pool: usize, turn: u8) -> Result<(), String> {
        let at = open.publish(&PublishSpec::new(volume(&name(turn)))).map_err(said)?;
        let device = at.get().device.clone();
        let mounted = self.rack.scratch.mount(&Self::mount_name(pool, turn), &device, "ext4");
        mounted.map(drop).map_err(|error| error.to_string())
    }

    fn write(&self, pool: usize, turn: u8, again: bool) -> std::io::Result<()> {
        let target = self.target(pool, turn);
        let mut file = File::create(target.join(if again { "second" } else { "first" }))?;
        file.write_all(&content(pool, turn, again))?;
        file.sync_all()?;
        File::open(target)?.sync_all()
    }

    /// Makes one call; all of them can be made again.
    fn act(&self, pools: &[Arc<dyn Pool>], (act, pool, turn): Call) -> Result<(), String> {
        let open = pools[pool].as_ref();
        let id = volume(&name(turn));
        match act {
            Act::Make => open.ensure_volume(&VolumeSpec::new(id, SIZE)).map(drop).map_err(said),
            Act::Mount => {
                let at = open.publish(&PublishSpec::new(id)).map_err(said)?;
                let device = at.get().device.clone();
                let mkfs = open_local_core::host::Invocation::new("/sbin/mkfs.ext4");
                let mkfs = mkfs.args(["-q", "-F"]).arg(device);
                let made = open_local_tests::child::run(&mkfs, &[]);
                if !made.success() {
                    return Err(made.said);
                }
                self.mount(open, pool, turn)
            }
            Act::Write => self.write(pool, turn, false).map_err(|e| e.to_string()),
            Act::Rewrite => self.write(pool, turn, true).map_err(|e| e.to_string()),
            Act::Snapshot => {
                let spec = SnapshotSpec::new(snapshot(&name(turn)), id);
                let snapshots = open.require_snapshots().map_err(said)?;
                snapshots.ensure_snapshot(&spec).map(drop).map_err(said)
            }
            Act::Grow => open.grow_volume(&id, LARGER).map(drop).map_err(said),
            Act::RemoveSnapshot => {
                let snapshots = open.require_snapshots().map_err(said)?;
                snapshots.remove_snapshot(&snapshot(&name(turn))).map(drop).map_err(said)
            }
            Act::Remove => {
                self.unmount(pool, turn);
                let _ = open.unpublish(&id.clone().into()).map_err(said)?;
                open.remove_volume(&id).map(drop).map_err(said)
            }
        }
    }

    /// Makes calls until one fails; how many did not.
    fn work(&self, calls: &[Call]) -> usize {
        let pools: Result<Vec<_>, _> = (0..POOLS.len()).map(|pool| self.pool(pool)).collect();
        let Ok(pools) = pools else { return 0 };
        for (done, call) in calls.iter().enumerate() {
            if let Err(why) = self.act(&pools, *call) {
                println!("{call:?}: {why}");
                return done;
            }
        }
        calls.len()
    }

    /// What the end of a machine does, as far as a kernel that lives on can.
    fn power_off(&mut self) {
        for pool in 0..POOLS.len() {
            (1..=TURNS).for_each(|turn| self.unmount(pool, turn));
        }
        self.rack.take_down();
        for half in self.halves.drain(..) {
            half.device().remove().unwrap();
        }
        self.disk.detach().unwrap();
    }

    fn power_on(&mut self) {
        self.disk.power_on().unwrap();
        self.divide();
    }

    /// Fails unless what was answered is there, and what was flushed reads as it was written.
    /// Mounts what is there.
    fn check(&self, calls: &[Call], done: usize, context: &str) {
        let happened = |act, pool, turn| calls[..done].contains(&(act, pool, turn));
        let doubtful = |act, pool, turn| calls.get(done) == Some(&(act, pool, turn));
        for (pool, kind) in POOLS.iter().enumerate() {
            let open = self.pool(pool).unwrap_or_else(|e| panic!("{context}: {}", e.report()));
            for turn in 1..=TURNS {
                let context = format!("{context}: {kind} {}", name(turn));
                let found = open.volume(&volume(&name(turn)));
                if !happened(Act::Make, pool, turn) || happened(Act::Remove, pool, turn) {
                    let is = found.is_ok() && !doubtful(Act::Make, pool, turn);
                    assert!(!is, "{context} is there");
                    continue;
                }
                if doubtful(Act::Remove, pool, turn) {
                    continue;
                }
                let info = found.unwrap_or_else(|e| panic!("{context}: {}", e.report()));
                if happened(Act::Grow, pool, turn) {
                    assert_eq!(info.size, LARGER, "{context}");
                }
                if happened(Act::Mount, pool, turn) {
                    self.mount(open.as_ref(), pool, turn).unwrap();
                    for (act, again) in [(Act::Write, false), (Act::Rewrite, true)] {
                        if happened(act, pool, turn) {
                            let file = if again { "second" } else { "first" };
                            let read = fs::read(self.target(pool, turn).join(file)).unwrap();
                            assert!(read == content(pool, turn, again), "{context}: {file}");
                        }
                    }
                }
                if happened(Act::Snapshot, pool, turn)
                    && !happened(Act::RemoveSnapshot, pool, turn)
                    && !doubtful(Act::RemoveSnapshot, pool, turn)
                {
                    is_whole(open.as_ref(), turn);
                }
            }
        }
    }

    /// File systems are whole, and nothing is suspended or unknown.
    fn is_clean(&self) {
        for pool in 0..POOLS.len() {
            let open = self.pool(pool).unwrap();
            for turn in 1..=TURNS {
                self.unmount(pool, turn);
                if let Ok(info) = open.volume(&volume(&name(turn)))
                    && let Some(at) = info.attachment
                {
                    run("e2fsck", &["-fn".as_ref(), at.device.as_os_str()]);
                }
            }
            assert_eq!(open.info().unwrap().health, open_local_core::Health::Healthy);
        }
    }
}

fn said(error: open_local_core::Error) -> String {
    assert!(error.remedy().is_some(), "no remedy: {}", error.report());
    error.report().to_string()
}

/// The file system of a snapshot was frozen when it was taken: it is clean as it is.
fn is_whole(open: &dyn Pool, turn: u8) {
    let id = snapshot(&name(turn));
    let at = open.publish(&PublishSpec::new(id.clone()).read_only()).unwrap();
    run("e2fsck", &["-fn".as_ref(), at.get().device.as_os_str()]);
    let _ = open.unpublish(&id.into()).unwrap();
}

#[test]
fn what_pools_in_groups_answered_for_survives_a_power_cut() {
    let calls = calls();
    for seed in 0..rounds(1) {
        let mut lab = Lab::new();
        let after = SimEntropy::new(seed).next_u64() % WRITES;
        let start = lab.disk.status().writes;
        lab.disk.cut_after(start + after, seed);
        let done = lab.work(&calls);
        let writes = lab.disk.status().writes - start;
        let cut = lab.disk.cut(seed).unwrap();
        let context = format!("seed {seed}: cut after {after} writes, {cut:?}");
        println!("{context}: {done} of {} calls answered, {writes} writes", calls.len());
        lab.power_off();
        lab.power_on();
        lab.check(&calls, done, &context);
        // The same calls finish what was begun.
        assert_eq!(lab.work(&calls[done..]), calls.len() - done, "{context}");
        lab.is_clean();
        lab.power_off();
    }
}
