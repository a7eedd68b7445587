//! Faults that show only when an operation is cut, or where many act at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use open_local_core::conformance::Fixture;
use open_local_core::host::{Checkpoints, Unchecked};
use open_local_core::{
    Attachment, Bytes, DeviceNumber, Ensured, ErrorKind, Op, Pool, Provisioning, PublishSpec,
    Result, SnapshotId, Source, Subject, ThinPolicy, VolumeId, VolumeInfo, VolumeSpec,
};

use crate::sim_fixture::SimFixture;
use crate::wrapper::{Fault, Sound};

/// It never asks before a step, so that no test can cut it.
#[derive(Debug, Default)]
pub(crate) struct NeverAsks;
impl Fault for NeverAsks {
    fn reopen(&self, fixture: &SimFixture, _: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        fixture.reopen(Arc::new(Unchecked))
    }
}

/// Opening a pool in which nothing is wrong takes a step all the same.
#[derive(Debug, Default)]
pub(crate) struct StepsToOpen;
impl Fault for StepsToOpen {
    fn reopen(&self, fixture: &SimFixture, asked: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        asked.before(Op::Recover, &Subject::Host, "look around")?;
        fixture.reopen(asked)
    }
}

/// A publication that was cut is said to be done.
#[derive(Debug, Default)]
pub(crate) struct SaysDoneWhenCut;
impl Fault for SaysDoneWhenCut {
    fn publish(&self, on: &Sound, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        match on.pool.publish(spec) {
            Err(error) if error.kind() == ErrorKind::Indeterminate => {
                let (source, number) = (spec.source.clone(), DeviceNumber::new(0, 0));
                let device = Attachment::new(source, "/dev/none", number, Bytes::new(512));
                Ok(Ensured::Created(device))
            }
            other => other,
        }
    }
}

/// A volume whose roll back was cut is ready, but holds a part of each.
#[derive(Debug, Default)]
pub(crate) struct ReadyInPieces(AtomicBool);
impl Fault for ReadyInPieces {
    fn roll_back(&self, on: &Sound, volume: &VolumeId, to: &SnapshotId) -> Result<VolumeInfo> {
        let back = on.snapshots().roll_back(volume, to);
        let cut = matches!(&back, Err(error) if error.kind() == ErrorKind::Indeterminate);
        self.0.store(cut, Ordering::SeqCst);
        back
    }
    fn publish(&self, on: &Sound, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        if self.0.load(Ordering::SeqCst) && matches!(spec.source, Source::Volume(_)) {
            let write = PublishSpec::new(spec.source.clone());
            on.device(&write, |io| io.write_at(0, &[0; 512]).unwrap())?;
        }
        on.pool.publish(spec)
    }
}

/// Counts the steps of one kind of operation that were let through, up to the cut.
#[derive(Debug)]
struct Spy {
    asked: Arc<dyn Checkpoints>,
    passed: AtomicU64,
    leaks: fn(u64) -> bool,
    leaked: Arc<AtomicBool>,
}
impl Checkpoints for Spy {
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        let asked = self.asked.before(op, subject, step);
        if op == Op::RollBack {
            let before = match asked {
                Ok(()) => self.passed.fetch_add(1, Ordering::SeqCst),
                Err(_) => self.passed.load(Ordering::SeqCst),
            };
            if asked.is_err() && (self.leaks)(before) {
                self.leaked.store(true, Ordering::SeqCst);
            }
        }
        asked
    }
}

fn spied(
    fixture: &SimFixture,
    asked: Arc<dyn Checkpoints>,
    leaked: &Arc<AtomicBool>,
    leaks: fn(u64) -> bool,
) -> Result<Arc<dyn Pool>> {
    fixture.reopen(Arc::new(Spy {
        asked,
        passed: AtomicU64::new(0),
        leaks,
        leaked: Arc::clone(leaked),
    }))
}

fn stray(leaked: &AtomicBool) -> Vec<String> {
    let leaked = leaked.load(Ordering::SeqCst);
    leaked.then(|| "a spare".to_owned()).into_iter().collect()
}

/// A roll back that is cut before its first step leaves something.
#[derive(Debug, Default)]
pub(crate) struct LeaksWhenCutEarly(Arc<AtomicBool>);
impl Fault for LeaksWhenCutEarly {
    fn reopen(&self, fixture: &SimFixture, asked: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        spied(fixture, asked, &self.0, |passed| passed == 0)
    }
    fn strays(&self) -> Vec<String> {
        stray(&self.0)
    }
}

/// A roll back that is cut before a later step leaves something.
#[derive(Debug, Default)]
pub(crate) struct LeaksWhenCutLate(Arc<AtomicBool>);
impl Fault for LeaksWhenCutLate {
    fn reopen(&self, fixture: &SimFixture, asked: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        spied(fixture, asked, &self.0, |passed| passed > 0)
    }
    fn strays(&self) -> Vec<String> {
        stray(&self.0)
    }
}

/// Something is left by an act that nobody cut.
#[derive(Debug, Default)]
pub(crate) struct LeaksUncut(AtomicBool);
impl Fault for LeaksUncut {
    fn set_thin_policy(&self, on: &Sound, policy: &ThinPolicy) -> Result<()> {
        self.0.store(true, Ordering::SeqCst);
        on.thin().set_thin_policy(policy)
    }
    fn strays(&self) -> Vec<String> {
        stray(&self.0)
    }
}

/// The room is looked at and taken without a lock: two threads get the same.
#[derive(Debug, Default)]
pub(crate) struct SameRoomTwice(Mutex<Vec<ThreadId>>);
impl Fault for SameRoomTwice {
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let made = on.pool.ensure_volume(spec);
        let here = std::thread::current().id();
        let mut threads = self.0.lock().unwrap();
        if !threads.contains(&here) {
            threads.push(here);
        }
        match made {
            Err(error) if error.kind() == ErrorKind::OutOfSpace && threads.len() > 1 => {
                let (id, size): (VolumeId, _) = (spec.id.clone(), spec.size.required());
                Ok(Ensured::Created(VolumeInfo::new(id, size, Provisioning::Thin)))
            }
            other => other,
        }
    }
}
