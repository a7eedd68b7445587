//! What members of a group hold of volumes in use.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{nothing_is_there, of_both, two_volumes};
use crate::conformance::case::{Checked, check};
use crate::conformance::lab::{Context, Lab, during, refused, snapshot_source, volume_source};
use crate::error::{ErrorKind, Op, Result, Subject};
use crate::host::{BlockIo, Checkpoints, SystemClock, poll_until};
use crate::spec::PublishSpec;

/// How long a step waits for the writer. It is stuck while the volumes are held still.
const PATIENCE: Duration = Duration::from_millis(20);

/// Rounds of the race.
const ROUNDS: u64 = 3;

pub(super) fn of_published_volumes(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 92)?;
    let on = PublishSpec::new(volume_source("b")?);
    let _ = lab.pool().publish(&on)?;
    let answer = lab.groups()?.ensure_group_snapshot(&of_both()?);
    if context.can.snapshots_online {
        check!(answer?.changed(), "taking a new group answered Unchanged");
        lab.kept("s-a", 92)?;
        lab.kept("s-b", 93)?;
    } else {
        refused("a volume is published and not frozen", answer, ErrorKind::Busy)?;
        nothing_is_there(&lab, "though it was refused")?;
    }
    let _ = lab.pool().unpublish(&on.source)?;
    Ok(())
}

/// Writes the same growing number to the first volume and then to the second, over and over.
#[derive(Debug)]
struct Writer {
    devices: [Box<dyn BlockIo>; 2],
    /// Pairs written.
    pairs: AtomicU64,
    stop: AtomicBool,
    failed: Mutex<Option<String>>,
}

impl Writer {
    fn run(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            let number = self.pairs.load(Ordering::SeqCst).saturating_add(1);
            if let Err(e) = self.write(number) {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                *failed = Some(e.to_string());
                return;
            }
            self.pairs.store(number, Ordering::SeqCst);
        }
    }

    fn write(&self, number: u64) -> io::Result<()> {
        let mut block = [0; 4096];
        for (place, byte) in block.iter_mut().zip(number.to_le_bytes()) {
            *place = byte;
        }
        for device in &self.devices {
            device.write_at(0, &block)?;
            device.flush()?;
        }
        Ok(())
    }

    /// Waits until so many pairs more are written, but not for long.
    fn wait(&self, more: u64) {
        let goal = self.pairs.load(Ordering::SeqCst).saturating_add(more);
        let reached = || Ok((self.pairs.load(Ordering::SeqCst) >= goal).then_some(()));
        // Whether it was reached or not, the step is taken.
        let _ = poll_until(&SystemClock, PATIENCE, reached);
    }
}

/// Lets the writer get on before every step, so that members that are filled one after the other
/// can't hold the same.
#[derive(Debug)]
struct WriteBetween(Mutex<Option<Arc<Writer>>>);

impl Checkpoints for WriteBetween {
    fn before(&self, op: Op, _subject: &Subject, _step: &str) -> Result<()> {
        let writer = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(writer) = writer.filter(|_| op == Op::EnsureGroupSnapshot) {
            writer.wait(2);
        }
        Ok(())
    }
}

/// The number a member begins with.
fn number(lab: &Lab<'_>, snapshot: &str) -> Checked<u64> {
    let spec = PublishSpec::new(snapshot_source(snapshot)?).read_only();
    lab.device(&spec, |io| {
        let mut bytes = [0; 8];
        during("read a member", io.read_at(0, &mut bytes))?;
        Ok(u64::from_le_bytes(bytes))
    })
}

pub(super) fn hold_one_moment(context: &Context<'_>) -> Checked {
    for _ in 0..ROUNDS {
        race(context)?;
    }
    Ok(())
}

fn race(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 94)?;
    let between = Arc::new(WriteBetween(Mutex::new(None)));
    let lab = lab.reopen_with(between.clone())?;
    let open = |name: &str| -> Checked<Box<dyn BlockIo>> {
        let device = lab.pool().publish(&PublishSpec::new(volume_source(name)?))?.into_inner();
        during("open a volume", context.fixture.open(&device))
    };
    let writer = Arc::new(Writer {
        devices: [open("a")?, open("b")?],
        pairs: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        failed: Mutex::new(None),
    });
    during("write the first pair", writer.write(0))?;
    let taken = std::thread::scope(|scope| {
        let writing = scope.spawn(|| writer.run());
        writer.wait(1);
        *between.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer.clone());
        let taken = of_both().and_then(|spec| lab.take_group(&spec));
        *between.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        writer.stop.store(true, Ordering::SeqCst);
        let ended = writing.join();
        check!(ended.is_ok(), "the writer panicked");
        taken
    });
    let failed = writer.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    check!(failed.is_none(), "writing to a volume meanwhile failed: {failed:?}");
    drop(writer);
    for name in ["a", "b"] {
        let _ = lab.pool().unpublish(&volume_source(name)?)?;
    }
    taken?;
    let (a, b) = (number(&lab, "s-a")?, number(&lab, "s-b")?);
    check!(
        a == b || a == b.saturating_add(1),
        "the last write to the first is {a}, to the second {b}: these are two moments"
    );
    Ok(())
}
