//! The [`Pool`] trait: volumes of one pool.

use std::fmt::Debug;

use crate::capability::Capabilities;
use crate::change::{Change, Plan};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::VolumeId;
use crate::info::{Attachment, PoolInfo, Upkeep, VolumeInfo};
use crate::outcome::{Ensured, Grown, Removed};
use crate::spec::{PublishSpec, Source, VolumeSpec};
use crate::token::FormatTokens;
use crate::units::Bytes;

#[cfg(feature = "snapshot")]
use crate::group_snapshot::GroupSnapshots;
#[cfg(feature = "snapshot")]
use crate::snapshot::Snapshots;
#[cfg(feature = "thin")]
use crate::thin::ThinProvisioning;

/// Volumes of one pool.
///
/// Synchronous and object-safe; every call may block for as long as its device takes, within the
/// backend's deadlines. Calls from several threads and several processes are safe.
///
/// An interrupted call leaves a state that the same call, made again, finishes or undoes.
pub trait Pool: Debug + Send + Sync {
    /// The pool as it is now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it was removed, [`ErrorKind::Corrupt`] if its state can't be read.
    fn info(&self) -> Result<PoolInfo>;

    /// What this pool can do.
    fn capabilities(&self) -> Capabilities;

    /// One volume as it is now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none of this name.
    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo>;

    /// All volumes, sorted by name, including those being filled or erased.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the pool's state can't be read; one damaged volume is listed with
    /// its health, not an error.
    fn volumes(&self) -> Result<Vec<VolumeInfo>>;

    /// Makes sure the volume exists; its content is zeroes or its source's.
    ///
    /// # Idempotency
    /// The same specification again answers [`Ensured::Unchanged`], also after the volume grew.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] naming the field in which an existing volume differs,
    /// [`ErrorKind::InvalidArgument`] as [`VolumeSpec::validate`], [`ErrorKind::OutOfSpace`],
    /// [`ErrorKind::NotFound`] for a missing source, [`ErrorKind::Unsupported`] for a kind of
    /// provisioning or source this pool has not, [`ErrorKind::Busy`] while the source's content
    /// can't be held still.
    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>>;

    /// Makes the volume at least so large, online if it is published.
    ///
    /// # Idempotency
    /// A size that is reached already answers [`Grown::AlreadyLarge`]; a volume never shrinks.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::InvalidArgument`] for a size that can't be,
    /// [`ErrorKind::OutOfSpace`] (the volume stays as it was), [`ErrorKind::Unsupported`],
    /// [`ErrorKind::Busy`] while the volume is being filled or another call changes it, and where
    /// the backend can't grow it just now: the remedy says what is in the way.
    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>>;

    /// Attaches a volume or snapshot on this host: as a block device, or as a directory where
    /// [`Capabilities::block`] says no.
    ///
    /// # Idempotency
    /// Published already in the same mode answers [`Ensured::Unchanged`] with the same device.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] if it is published in the other mode or a
    /// read-only snapshot is asked for writing, [`ErrorKind::Busy`] while it is being filled, and
    /// what attaching a device can run into.
    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>>;

    /// Detaches the block device.
    ///
    /// # Idempotency
    /// Not published (or unknown) answers [`Removed::WasAbsent`].
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while the device is open or mounted; it stays published.
    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>>;

    /// Removes the volume and its content. Where its room must be erased first, the name is free at
    /// once and [`Self::maintain`] does the rest. Its clones stay, and so do its snapshots where
    /// [`Capabilities::snapshots_outlive`] says so.
    ///
    /// # Idempotency
    /// An unknown volume answers [`Removed::WasAbsent`].
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while it is published, and while it has snapshots that can't be without
    /// it: nothing in use is ever removed.
    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>>;

    /// The steps a change would take now, without taking any.
    ///
    /// # Errors
    /// Those the change itself would give before its first step.
    fn plan(&self, change: &Change) -> Result<Plan>;

    /// Does a piece of what calls left for later: about `budget` bytes of it.
    ///
    /// A pool that erases a removed volume answers the removal at once; the name is free, the
    /// volume is listed as [`crate::Phase::Erasing`] under a name that nobody can ask for, and its
    /// room counts as used. This call does the erasing. The library has no threads of its own, so
    /// somebody has to call it until nothing is left; several processes may, and share the work.
    ///
    /// # Idempotency
    /// What is done stays done; a killed call is taken up by the next one.
    ///
    /// # Errors
    /// Of the first piece that failed, after the others have had their turn.
    fn maintain(&self, budget: Bytes) -> Result<Upkeep> {
        let _ = budget;
        Ok(Upkeep::default())
    }

    /// The pool's format tokens, if it keeps them.
    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        None
    }

    /// The pool's snapshots, if it has any.
    #[cfg(feature = "snapshot")]
    fn snapshots(&self) -> Option<&dyn Snapshots> {
        None
    }

    /// The pool's group snapshots, if it has any.
    #[cfg(feature = "snapshot")]
    fn group_snapshots(&self) -> Option<&dyn GroupSnapshots> {
        None
    }

    /// The pool's thin provisioning, if it has any.
    #[cfg(feature = "thin")]
    fn thin(&self) -> Option<&dyn ThinProvisioning> {
        None
    }
}

/// Conveniences over any pool; nobody implements this by hand.
pub trait PoolExt: Pool {
    /// The volume, or `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`Pool::volume`], without [`ErrorKind::NotFound`].
    fn find_volume(&self, id: &VolumeId) -> Result<Option<VolumeInfo>> {
        match self.volume(id) {
            Ok(volume) => Ok(Some(volume)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All volumes that carry this tag with this value, sorted by name.
    ///
    /// # Errors
    /// As [`Pool::volumes`].
    fn find_by_tag(&self, key: &str, value: &str) -> Result<Vec<VolumeInfo>> {
        let mut found = self.volumes()?;
        found.retain(|volume| volume.tags.get(key).is_some_and(|v| v == value));
        Ok(found)
    }

    /// The pool's format tokens, or the error that says it keeps none.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    fn require_format_tokens(&self) -> Result<&dyn FormatTokens> {
        self.format_tokens().ok_or_else(|| self.lacks(Op::FormatToken, "format tokens"))
    }

    /// The pool's snapshots, or the error that says it has none.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    #[cfg(feature = "snapshot")]
    fn require_snapshots(&self) -> Result<&dyn Snapshots> {
        self.snapshots().ok_or_else(|| self.lacks(Op::EnsureSnapshot, "snapshots"))
    }

    /// The pool's group snapshots, or the error that says it has none.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    #[cfg(feature = "snapshot")]
    fn require_group_snapshots(&self) -> Result<&dyn GroupSnapshots> {
        self.group_snapshots().ok_or_else(|| self.lacks(Op::EnsureGroupSnapshot, "group snapshots"))
    }

    /// Does all upkeep there is; answers what others are still at work on.
    ///
    /// # Errors
    /// As [`Pool::maintain`].
    fn maintain_all(&self) -> Result<Upkeep> {
        let mut done = Bytes::ZERO;
        loop {
            let piece = self.maintain(Bytes::MAX)?;
            done = done.saturating_add(piece.done);
            if piece.left.is_zero() || piece.done.is_zero() {
                return Ok(Upkeep::new(done, piece.left));
            }
        }
    }

    /// The error for something this pool has not.
    fn lacks(&self, op: Op, what: &str) -> Error {
        let message = format!("this pool has no {what}");
        let error = match self.info() {
            Ok(info) => Error::new(ErrorKind::Unsupported, op, info.id(), message),
            Err(_) => Error::new(ErrorKind::Unsupported, op, crate::Subject::Host, message),
        };
        error.with_remedy("look at the pool's capabilities and choose another backend")
    }
}

impl<P: Pool + ?Sized> PoolExt for P {}

#[cfg(test)]
#[cfg(feature = "sim")]
mod tests {
    use super::*;
    use crate::backend::Backend;
    use crate::sim::{Machine, SimBackend};
    use crate::spec::PoolSpec;

    /// A pool that has none of what is optional.
    #[derive(Debug)]
    struct Bare(std::sync::Arc<dyn Pool>);

    impl Pool for Bare {
        fn info(&self) -> Result<PoolInfo> {
            self.0.info()
        }
        fn capabilities(&self) -> Capabilities {
            Capabilities::MINIMAL
        }
        fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
            self.0.volume(id)
        }
        fn volumes(&self) -> Result<Vec<VolumeInfo>> {
            self.0.volumes()
        }
        fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
            self.0.ensure_volume(spec)
        }
        fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
            self.0.grow_volume(id, size)
        }
        fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
            self.0.publish(spec)
        }
        fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
            self.0.unpublish(source)
        }
        fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
            self.0.remove_volume(id)
        }
        fn plan(&self, change: &Change) -> Result<Plan> {
            self.0.plan(change)
        }
    }

    fn pool() -> Bare {
        let backend = SimBackend::new(&Machine::new(1));
        let id: crate::PoolId = "p".parse().unwrap();
        backend.ensure_pool(&PoolSpec::new(id.clone())).unwrap().get();
        Bare(backend.open_pool(&id).unwrap())
    }

    #[test]
    fn what_a_pool_lacks_is_said_with_its_name() {
        let pool = pool();
        let tokens = pool.require_format_tokens().unwrap_err();
        let snapshots = pool.require_snapshots().unwrap_err();
        let groups = pool.require_group_snapshots().unwrap_err();
        for (error, what) in
            [(tokens, "format tokens"), (snapshots, "snapshots"), (groups, "group snapshots")]
        {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(what), "{error}");
            assert_eq!(error.subject().to_string(), "pool p");
            assert!(error.remedy().is_some());
        }
    }

    #[test]
    fn a_volume_is_found_by_name_and_by_tag() {
        let pool = pool();
        let make = |name: &str, tag: &str| {
            let spec = VolumeSpec::new(name.parse().unwrap(), Bytes::MIB).with_tag("team", tag);
            pool.ensure_volume(&spec).unwrap().into_inner()
        };
        let (a, _b) = (make("a", "x"), make("b", "y"));
        assert_eq!(pool.find_volume(&a.id).unwrap(), Some(a.clone()));
        assert_eq!(pool.find_volume(&"c".parse().unwrap()).unwrap(), None);
        assert_eq!(pool.find_by_tag("team", "x").unwrap(), [a]);
        assert!(pool.find_by_tag("team", "z").unwrap().is_empty());
        assert!(pool.find_by_tag("x", "team").unwrap().is_empty());
    }
}
