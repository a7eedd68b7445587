//! What the cases work with: a pool of their own and short words for common acts.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::case::{Checked, Failure, check};
use super::{Fixture, PoolWish, pattern};
use crate::capability::Capabilities;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{BlockIo, Checkpoints, SystemClock, Unchecked, poll_until};
use crate::ids::VolumeId;
#[cfg(feature = "snapshot")]
use crate::ids::{GroupSnapshotId, SnapshotId};
use crate::info::{Capacity, Phase, VolumeInfo};
use crate::outcome::Ensured;
use crate::pool::{Pool, PoolExt};
use crate::spec::{PublishSpec, Source, VolumeSpec};
use crate::units::{Bytes, SECTOR_SIZE};

/// Longest wait for filling and erasing in the background.
const BACKGROUND: Duration = Duration::from_secs(60);

/// What is erased between two looks.
const UPKEEP: Bytes = Bytes::new(64 << 20);

/// A name of a volume.
pub(crate) fn vol(name: &str) -> Checked<VolumeId> {
    Ok(VolumeId::new(name)?)
}

/// A name of a snapshot.
#[cfg(feature = "snapshot")]
pub(crate) fn snap(name: &str) -> Checked<SnapshotId> {
    Ok(SnapshotId::new(name)?)
}

/// A name of a group snapshot.
#[cfg(feature = "snapshot")]
pub(crate) fn group(name: &str) -> Checked<GroupSnapshotId> {
    Ok(GroupSnapshotId::new(name)?)
}

/// A volume as something to publish.
pub(crate) fn volume_source(name: &str) -> Checked<Source> {
    Ok(Source::Volume(vol(name)?))
}

/// A snapshot as something to publish.
#[cfg(feature = "snapshot")]
pub(crate) fn snapshot_source(name: &str) -> Checked<Source> {
    Ok(Source::Snapshot(snap(name)?))
}

/// Turns an input/output error into a failure that says what was tried.
pub(crate) fn during<T>(what: &str, result: io::Result<T>) -> Checked<T> {
    result.map_err(|e| Failure(format!("{what}: {e}")))
}

/// The error of a call that must fail with this kind.
pub(crate) fn refused<T: Debug>(what: &str, result: Result<T>, kind: ErrorKind) -> Checked<Error> {
    match result {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Failure(format!(
            "{what}: expected {kind}, got {}: {}",
            error.kind(),
            error.report()
        ))),
        Ok(answer) => Err(Failure(format!("{what}: expected {kind}, got {answer:?}"))),
    }
}

/// The conflict a call must fail with, naming the field by one of these words.
pub(crate) fn conflict<T: Debug>(what: &str, result: Result<T>, words: &[&str]) -> Checked {
    let error = refused(what, result, ErrorKind::Conflict)?;
    let text = error.message().to_lowercase();
    check!(
        words.iter().any(|word| text.contains(word)),
        "{what}: the conflict does not name the field ({}): {}",
        words.join(" or "),
        error.message()
    );
    Ok(())
}

/// What the suite knows of the backend before the first case.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) fixture: &'a dyn Fixture,
    pub(crate) can: Capabilities,
    /// The unit sizes are rounded up to: the size of a volume of one sector, or a sector where
    /// volumes are as large as the places they take.
    pub(crate) unit: Bytes,
}

impl<'a> Context<'a> {
    pub(crate) fn survey(fixture: &'a dyn Fixture) -> Checked<Self> {
        let pool = fixture.fresh(&PoolWish::default())?;
        let id = vol("survey")?;
        let made = pool.ensure_volume(&VolumeSpec::new(id, SECTOR_SIZE))?;
        let unit = made.get().size;
        check!(unit.is_multiple_of(SECTOR_SIZE), "a volume of one sector has the size {unit}");
        let can = pool.capabilities();
        let unit = if can.exclusive { SECTOR_SIZE } else { unit };
        Ok(Self { fixture, can, unit })
    }

    /// Whether a volume grows because somebody asks for it, and not only when its place has.
    pub(crate) fn grows(&self) -> bool {
        self.can.grow_offline && !self.can.exclusive
    }

    /// A new pool of the usual size.
    pub(crate) fn lab(&self) -> Checked<Lab<'_>> {
        self.lab_with(&PoolWish::default())
    }

    /// A new pool.
    pub(crate) fn lab_with(&self, wish: &PoolWish) -> Checked<Lab<'_>> {
        Ok(Lab { context: self, pool: self.fixture.fresh(wish)? })
    }

    /// The pool there is, as a new process sees it.
    pub(crate) fn found(&self) -> Checked<Lab<'_>> {
        Ok(Lab { context: self, pool: self.fixture.reopen(Arc::new(Unchecked))? })
    }

    /// At least so many MiB, in whole units.
    pub(crate) fn mib(&self, count: u64) -> Checked<Bytes> {
        Bytes::from_mib(count)
            .and_then(|size| size.round_up_to(self.unit))
            .ok_or_else(|| Failure(format!("{count} MiB in units of {}", self.unit)))
    }
}

/// A pool a case may do with as it likes.
#[derive(Debug)]
pub(crate) struct Lab<'a> {
    pub(crate) context: &'a Context<'a>,
    pool: Arc<dyn Pool>,
}

impl Lab<'_> {
    pub(crate) fn pool(&self) -> &dyn Pool {
        self.pool.as_ref()
    }

    /// The same pool as a new process sees it.
    pub(crate) fn reopen(self) -> Checked<Self> {
        self.reopen_with(Arc::new(Unchecked))
    }

    /// The same with checkpoints.
    pub(crate) fn reopen_with(self, checkpoints: Arc<dyn Checkpoints>) -> Checked<Self> {
        let context = self.context;
        // The handle goes first: a backend may hold a lock as long as its pool lives.
        drop(self);
        Ok(Self { context, pool: context.fixture.reopen(checkpoints)? })
    }

    pub(crate) fn capacity(&self) -> Checked<Capacity> {
        Ok(self.pool().info()?.capacity)
    }

    /// Makes sure a volume exists and waits until it is ready.
    pub(crate) fn ensure(&self, spec: &VolumeSpec) -> Checked<Ensured<VolumeInfo>> {
        let made = self.pool().ensure_volume(spec)?;
        if made.get().phase == Phase::Ready {
            return Ok(made);
        }
        self.settle()?;
        let now = self.pool().volume(&spec.id)?;
        Ok(made.map(|_| now))
    }

    /// Makes a new empty volume.
    pub(crate) fn create(&self, name: &str, size: Bytes) -> Checked<VolumeInfo> {
        match self.ensure(&VolumeSpec::new(vol(name)?, size))? {
            Ensured::Created(volume) => Ok(volume),
            Ensured::Unchanged(_) => {
                Err(Failure(format!("{name} is new, but creating it answered Unchanged")))
            }
        }
    }

    /// Makes a new volume of 4 MiB that holds a pattern.
    pub(crate) fn filled(&self, name: &str, seed: u64) -> Checked<VolumeInfo> {
        let id = self.create(name, self.context.mib(4)?)?.id;
        self.stamp(name, seed)?;
        Ok(self.pool().volume(&id)?)
    }

    /// Does what upkeep there is, and waits until nothing is filled or erased any more.
    pub(crate) fn settle(&self) -> Checked {
        let settled = poll_until(&SystemClock, BACKGROUND, || {
            let _ = self.pool().maintain(UPKEEP)?;
            let volumes = self.pool().volumes()?;
            let ready = volumes.iter().all(|volume| volume.phase == Phase::Ready);
            Ok(ready.then_some(()))
        })?;
        check!(
            settled.is_some(),
            "a volume is still being filled or erased after {} s",
            BACKGROUND.as_secs()
        );
        Ok(())
    }

    /// Removes a volume and waits until its room is free.
    pub(crate) fn remove(&self, name: &str) -> Checked {
        let gone = self.pool().remove_volume(&vol(name)?)?;
        check!(gone.changed(), "removing {name} answered WasAbsent");
        self.settle()
    }

    /// Whether a volume is listed.
    pub(crate) fn has(&self, name: &str) -> Checked<bool> {
        Ok(self.pool().find_volume(&vol(name)?)?.is_some())
    }

    /// Publishes, does something to the device, flushes, unpublishes.
    pub(crate) fn device<T>(
        &self,
        spec: &PublishSpec,
        body: impl FnOnce(&dyn BlockIo) -> Checked<T>,
    ) -> Checked<T> {
        let attachment = self.pool().publish(spec)?.into_inner();
        let what = format!("open the device of {}", spec.source);
        let io = during(&what, self.context.fixture.open(&attachment))?;
        let answer = body(io.as_ref());
        if !spec.read_only {
            during("flush the device", io.flush())?;
        }
        drop(io);
        let answer = answer?;
        let gone = self.pool().unpublish(&spec.source)?;
        check!(
            gone.changed(),
            "{} was published, but unpublishing it answered WasAbsent",
            spec.source
        );
        Ok(answer)
    }

    /// Writes a pattern over a whole volume.
    pub(crate) fn stamp(&self, name: &str, seed: u64) -> Checked {
        let size = self.pool().volume(&vol(name)?)?.size;
        let spec = PublishSpec::new(volume_source(name)?);
        self.device(&spec, |io| pattern::stamp(io, seed, 0, size.get()))
    }

    /// Fails unless a volume holds the pattern from its start to `end`.
    pub(crate) fn holds(&self, name: &str, seed: u64, end: Bytes) -> Checked {
        let spec = PublishSpec::new(volume_source(name)?);
        self.device(&spec, |io| pattern::verify(io, seed, 0, end.get()))
            .map_err(|Failure(why)| Failure(format!("volume {name}: {why}")))
    }

    /// Fails unless a volume reads as zeroes from `start` to its end.
    pub(crate) fn zero_from(&self, name: &str, start: Bytes) -> Checked {
        let size = self.pool().volume(&vol(name)?)?.size;
        let spec = PublishSpec::new(volume_source(name)?);
        self.device(&spec, |io| pattern::zeroes(io, start.get(), size.get()))
            .map_err(|Failure(why)| Failure(format!("volume {name}: {why}")))
    }
}

#[cfg(feature = "snapshot")]
impl Lab<'_> {
    /// The pool's snapshots.
    pub(crate) fn snapshots(&self) -> Checked<&dyn crate::Snapshots> {
        Ok(self.pool().require_snapshots()?)
    }

    /// Takes a new snapshot.
    pub(crate) fn take(&self, spec: &crate::SnapshotSpec) -> Checked<crate::SnapshotInfo> {
        let made = self.snapshots()?.ensure_snapshot(spec)?;
        check!(made.changed(), "{} is new, but taking it answered Unchanged", spec.id);
        if made.get().phase == Phase::Ready {
            return Ok(made.into_inner());
        }
        let ready = poll_until(&SystemClock, BACKGROUND, || {
            let now = self.pool().require_snapshots()?.snapshot(&spec.id)?;
            Ok((now.phase == Phase::Ready).then_some(now))
        })?;
        ready.ok_or_else(|| Failure(format!("snapshot {} does not become ready", spec.id)))
    }

    /// Takes a new read-only snapshot.
    pub(crate) fn freeze(&self, name: &str, of: &str) -> Checked<crate::SnapshotInfo> {
        self.take(&crate::SnapshotSpec::new(snap(name)?, vol(of)?))
    }

    /// The pool's group snapshots.
    pub(crate) fn groups(&self) -> Checked<&dyn crate::GroupSnapshots> {
        Ok(self.pool().require_group_snapshots()?)
    }

    /// Takes a new group snapshot.
    pub(crate) fn take_group(
        &self,
        spec: &crate::GroupSnapshotSpec,
    ) -> Checked<crate::GroupSnapshotInfo> {
        let made = self.groups()?.ensure_group_snapshot(spec)?;
        check!(made.changed(), "{} is new, but taking it answered Unchanged", spec.id);
        if made.get().phase == Phase::Ready {
            return Ok(made.into_inner());
        }
        let ready = poll_until(&SystemClock, BACKGROUND, || {
            let now = self.pool().require_group_snapshots()?.group_snapshot(&spec.id)?;
            Ok((now.phase == Phase::Ready).then_some(now))
        })?;
        ready.ok_or_else(|| Failure(format!("group snapshot {} does not become ready", spec.id)))
    }

    /// Fails unless a snapshot holds the pattern.
    pub(crate) fn kept(&self, name: &str, seed: u64) -> Checked {
        let size = self.snapshots()?.snapshot(&snap(name)?)?.size;
        let spec = PublishSpec::new(snapshot_source(name)?).read_only();
        self.device(&spec, |io| pattern::verify(io, seed, 0, size.get()))
            .map_err(|Failure(why)| Failure(format!("snapshot {name}: {why}")))
    }
}
