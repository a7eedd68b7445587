//! Rounds: every side takes the same step, one after the other.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use open_local_core::Bytes;
use open_local_core::host::{Clock, SystemClock};
use open_local_tests::Scratch;
use open_local_tests::scratch::run;

use crate::side::{SIZE, Side};

/// Volume that is copied, never published.
pub const BASE: &str = "base";
/// Snapshot of [`BASE`].
pub const POINT: &str = "point";
/// Volume that stays published and grows.
pub const GROWING: &str = "growing";
/// What comes and goes in a round.
const NEW: &str = "new";
/// How much larger [`GROWING`] becomes in a round.
const GROWTH: u64 = 64 << 10;

/// A step: what is timed, and what is done without being timed so that it can be.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its name in reports.
    pub name: &'static str,
    before: fn(&dyn Side),
    timed: fn(&dyn Side, u64),
    after: fn(&dyn Side),
}

fn nothing(_: &dyn Side) {}

/// Every step that is compared.
pub const STEPS: [Step; 7] = [
    Step {
        name: "create",
        before: nothing,
        timed: |side, _| side.create(NEW),
        after: |side| side.remove(NEW),
    },
    Step {
        name: "snapshot",
        before: nothing,
        timed: |side, _| side.snapshot(BASE, NEW),
        after: |side| side.remove_snapshot(NEW),
    },
    Step {
        name: "clone",
        before: nothing,
        timed: |side, _| side.clone_snapshot(POINT, NEW),
        after: |side| side.remove(NEW),
    },
    Step {
        name: "publish",
        before: nothing,
        timed: |side, _| side.publish(BASE),
        after: |side| side.unpublish(BASE),
    },
    Step {
        name: "grow",
        before: nothing,
        timed: |side, turn| {
            let more = GROWTH.saturating_mul(turn);
            side.grow(GROWING, SIZE.saturating_add(Bytes::new(more)));
        },
        after: nothing,
    },
    Step {
        name: "unpublish",
        before: |side| side.publish(BASE),
        timed: |side, _| side.unpublish(BASE),
        after: nothing,
    },
    Step {
        name: "remove",
        before: |side| {
            side.create(NEW);
            side.fill(NEW);
        },
        timed: |side, _| side.remove(NEW),
        after: nothing,
    },
];

/// A small disk of its own with one file system, on which the sides meet.
#[derive(Debug)]
pub struct Arena {
    // Dropped last: it takes away what the sides left.
    scratch: Scratch,
    disk: PathBuf,
    turn: Cell<u64>,
}

impl Arena {
    /// A sparse disk of this size with a file system of this kind.
    ///
    /// # Panics
    /// If it can't be made, or the process is not root.
    #[must_use]
    pub fn new(kind: &str, size: Bytes) -> Self {
        let scratch = Scratch::new(&format!("bench-{kind}"));
        let disk = scratch.disk("disk", size, kind);
        Self { scratch, disk, turn: Cell::new(0) }
    }

    /// The machine, with state folders of this run.
    #[must_use]
    pub fn host(&self) -> open_local_core::host::Host {
        self.scratch.host()
    }

    /// A path on the disk.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.disk.join(name)
    }

    /// Makes what the steps start from.
    pub fn prepare(&self, side: &dyn Side) {
        side.create(BASE);
        side.fill(BASE);
        side.snapshot(BASE, POINT);
        side.create(GROWING);
        side.publish(GROWING);
        self.settle();
    }

    /// Takes the step once on every side; tells the time of each. The order changes from round to
    /// round, and before each turn the disk is flushed, so that nobody pays for another.
    pub fn round(&self, step: &Step, sides: &[&dyn Side], mut tell: impl FnMut(&str, Duration)) {
        let turn = self.turn.get().saturating_add(1);
        self.turn.set(turn);
        let first = usize::try_from(turn).unwrap_or(0) % sides.len().max(1);
        let order = sides.iter().skip(first).chain(sides.iter().take(first));
        for side in order {
            self.take(step, *side, |work| tell(side.name(), timed(work).0));
        }
    }

    /// Takes the step once on one side, within `around`.
    pub fn turn(&self, step: &Step, side: &dyn Side, around: impl FnOnce(&dyn Fn())) {
        self.turn.set(self.turn.get().saturating_add(1));
        self.take(step, side, around);
    }

    fn take(&self, step: &Step, side: &dyn Side, around: impl FnOnce(&dyn Fn())) {
        (step.before)(side);
        self.settle();
        around(&|| (step.timed)(side, self.turn.get()));
        (step.after)(side);
    }

    fn settle(&self) {
        let _ = run("sync", &["-f".as_ref(), self.disk.as_os_str()]);
    }
}

/// How long this takes, and what it gives.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = SystemClock.monotonic();
    let answer = work();
    (SystemClock.monotonic().saturating_sub(start), answer)
}
