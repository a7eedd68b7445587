//! The pools of one node, by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use open_local_core::plan::Media;
use open_local_core::{
    Capabilities, CopyMethod, Error, ErrorKind, GroupSnapshotId, GroupSnapshotInfo, Op, Pool,
    PoolId, PoolInfo, SnapshotId, SnapshotInfo, Subject, Uuid, VolumeId, VolumeInfo,
};

use super::guarded::Guarded;
use super::lane::{Lane, PATIENCE, Place, Work};
use crate::errors::{Answer, Code, Status};
use crate::parameters::{VolumeClass, VolumeType};
use crate::rpc::Rpc;

/// A pool under the name that classes know it by.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PoolEntry {
    /// The name.
    pub name: PoolId,
    /// The registered name of its backend.
    pub backend: String,
    /// What its volumes are made of.
    pub kind: VolumeType,
    /// What it lies on.
    pub media: Media,
    /// Whether pods may have inline volumes in it.
    pub inline: bool,
    /// The pool.
    pub pool: Arc<dyn Pool>,
    /// The way to it, once it is in a set.
    lane: Option<Arc<Lane>>,
}

impl PoolEntry {
    /// A pool of this backend; the kind follows from what it can do.
    #[must_use]
    pub fn new(name: PoolId, backend: impl Into<String>, pool: Arc<dyn Pool>) -> Self {
        let capabilities = pool.capabilities();
        let kind = match (capabilities.exclusive, capabilities.block) {
            (true, true) => VolumeType::Device,
            (_, false) => VolumeType::MountPoint,
            (false, true) => VolumeType::Lvm,
        };
        let (backend, media) = (backend.into(), Media::Unspecified);
        Self { name, backend, kind, media, inline: false, pool, lane: None }
    }

    /// Puts the pool behind a lane of its own.
    fn guarded(mut self, patience: Duration) -> Self {
        if self.lane.is_none() {
            let lane = Lane::new(self.name.clone(), patience);
            self.pool = Arc::new(Guarded { pool: self.pool, lane: Arc::clone(&lane) });
            self.lane = Some(lane);
        }
        self
    }

    /// A place among those who mount, unmount or measure what is in the pool, until it is dropped.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` if the pool hangs.
    pub(super) fn visit(&self, rpc: Rpc) -> Answer<Option<Place>> {
        let place = self.lane.as_ref().map(|lane| lane.enter(Op::Mount, Work::Visit));
        place.transpose().map_err(|e| Status::of(rpc, &e))
    }

    /// Sets what it lies on.
    #[must_use]
    pub const fn on_media(mut self, media: Media) -> Self {
        self.media = media;
        self
    }

    /// Allows inline volumes, or not.
    #[must_use]
    pub const fn with_inline(mut self, allowed: bool) -> Self {
        self.inline = allowed;
        self
    }

    /// Whether a volume of this class may come from here.
    #[must_use]
    pub fn serves(&self, class: &VolumeClass) -> bool {
        class.pool.as_ref().is_none_or(|pool| *pool == self.name)
            && class.kind.is_none_or(|kind| kind == self.kind)
            && class.media.accepts(self.media)
            && class.spdk == (self.backend == "spdk")
    }
}

/// The UUID of a pool, if its backend says.
pub(super) fn uuid_of(info: &PoolInfo) -> Option<Uuid> {
    info.details.get("uuid").and_then(|text| text.parse().ok())
}

/// Where something was found.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// The pool.
    pub entry: PoolEntry,
    /// The thing.
    pub object: T,
}

/// All pools of one node.
#[derive(Debug, Clone, Default)]
pub struct PoolSet {
    pools: BTreeMap<PoolId, PoolEntry>,
}

impl PoolSet {
    /// Pools, each under a name of its own.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a name that comes twice.
    pub fn new(entries: impl IntoIterator<Item = PoolEntry>) -> Answer<Self> {
        Self::with_patience(entries, PATIENCE)
    }

    /// The same with another limit of how long a pool is waited for where it is only looked at; 10
    /// seconds otherwise. A pool that does not answer within it is not asked again until it does.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_patience(
        entries: impl IntoIterator<Item = PoolEntry>,
        patience: Duration,
    ) -> Answer<Self> {
        let mut pools = BTreeMap::new();
        for entry in entries {
            let name = entry.name.clone();
            if pools.insert(name.clone(), entry.guarded(patience)).is_some() {
                return Err(Status::invalid("the pools", format!("have {name} twice")));
            }
        }
        Ok(Self { pools })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &PoolEntry> {
        self.pools.values()
    }

    /// The pool of this name.
    #[must_use]
    pub fn get(&self, name: &PoolId) -> Option<&PoolEntry> {
        self.pools.get(name)
    }

    /// How many there are.
    #[cfg(feature = "server")]
    pub(crate) fn count(&self) -> usize {
        self.pools.len()
    }

    /// Whether any pool can do this.
    pub fn any(&self, can: impl Fn(&Capabilities) -> bool) -> bool {
        self.iter().any(|entry| can(&entry.pool.capabilities()))
    }

    /// Whether any pool makes snapshots.
    #[must_use]
    pub fn has_snapshots(&self) -> bool {
        self.any(|can| can.snapshots != CopyMethod::None)
    }

    /// The volume of this id, wherever it is: `None` only if every pool says it has none.
    ///
    /// # Errors
    /// `UNAVAILABLE` if a pool can't be read and none of the others has it; `INTERNAL` naming both
    /// pools if two have it.
    pub fn volume(&self, id: &VolumeId) -> Answer<Option<Found<VolumeInfo>>> {
        self.volume_of(id, |_| true)
    }

    /// The same for somebody to whom only some pools matter: the others may be unreadable.
    ///
    /// # Errors
    /// As [`Self::volume`].
    pub(super) fn volume_of(
        &self,
        id: &VolumeId,
        matters: impl Fn(&PoolEntry) -> bool,
    ) -> Answer<Option<Found<VolumeInfo>>> {
        self.search(&format!("volume {id}"), matters, |entry| entry.pool.volume(id))
    }

    /// The snapshot of this id, wherever it is.
    ///
    /// # Errors
    /// As [`Self::volume`].
    pub fn snapshot(&self, id: &SnapshotId) -> Answer<Option<Found<SnapshotInfo>>> {
        let all = |_: &PoolEntry| true;
        self.search(&format!("snapshot {id}"), all, |entry| match entry.pool.snapshots() {
            Some(snapshots) => snapshots.snapshot(id),
            None => Err(absent(id)),
        })
    }

    /// The group snapshot of this id, wherever it is.
    ///
    /// # Errors
    /// As [`Self::volume`].
    pub fn group(&self, id: &GroupSnapshotId) -> Answer<Option<Found<GroupSnapshotInfo>>> {
        let all = |_: &PoolEntry| true;
        self.search(&format!("group snapshot {id}"), all, |entry| {
            match entry.pool.group_snapshots() {
                Some(groups) => groups.group_snapshot(id),
                None => {
                    let op = open_local_core::Op::InspectSnapshot;
                    let message = "the pool has no group snapshots";
                    Err(Error::new(ErrorKind::NotFound, op, id, message))
                }
            }
        })
    }

    /// The volume of this id in one pool; `None` if there is none in it.
    ///
    /// # Errors
    /// What the pool answers.
    pub(super) fn volume_in(
        &self,
        rpc: Rpc,
        pool: &PoolId,
        id: &VolumeId,
    ) -> Answer<Option<Found<VolumeInfo>>> {
        let Some(entry) = self.get(pool) else {
            return Ok(None);
        };
        match entry.pool.volume(id) {
            Ok(object) => Ok(Some(Found { entry: entry.clone(), object })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Status::of(rpc, &error)),
        }
    }

    fn search<T>(
        &self,
        what: &str,
        matters: impl Fn(&PoolEntry) -> bool,
        ask: impl Fn(&PoolEntry) -> open_local_core::Result<T>,
    ) -> Answer<Option<Found<T>>> {
        let mut found: Option<Found<T>> = None;
        let mut unread: Option<(&PoolEntry, Error)> = None;
        for entry in self.iter() {
            match ask(entry) {
                Ok(object) => {
                    if let Some(first) = &found {
                        let message = format!(
                            "{what} is in pool {} and in pool {}; remove or rename one of them",
                            first.entry.name, entry.name
                        );
                        return Err(Status::new(Code::Internal, message));
                    }
                    found = Some(Found { entry: entry.clone(), object });
                }
                Err(error) if is_absent(&error) => {}
                Err(error) if matters(entry) => unread = Some((entry, error)),
                Err(_) => {}
            }
        }
        match (found, unread) {
            (Some(found), _) => Ok(Some(found)),
            (None, None) => Ok(None),
            (None, Some((entry, error))) => {
                let message = format!(
                    "{what} is in none of the pools that can be read, and pool {} can't: {}",
                    entry.name,
                    error.report()
                );
                Err(Status::new(Code::Unavailable, message))
            }
        }
    }
}

/// What a pool without snapshots says of one.
fn absent(id: &SnapshotId) -> Error {
    let op = open_local_core::Op::InspectSnapshot;
    Error::new(ErrorKind::NotFound, op, id, "the pool has no snapshots")
}

/// Whether a pool was read and has no such object. That the pool itself is not found says nothing
/// of what is in it.
pub(super) fn is_absent(error: &Error) -> bool {
    let object = matches!(
        error.subject(),
        Subject::Volume(_) | Subject::Snapshot(_) | Subject::GroupSnapshot(_)
    );
    error.kind() == ErrorKind::NotFound && object
}
