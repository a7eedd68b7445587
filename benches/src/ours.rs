//! Our side: the `file` backend, called in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::file::FileBackend;
use open_local_core::host::{Host, Loops, SystemLoops};
use open_local_core::{
    Backend, Bytes, Pool, PoolId, PoolSpec, PublishSpec, SnapshotId, SnapshotSpec, Snapshots,
    Source, VolumeId, VolumeSource, VolumeSpec,
};

use crate::ledger::Ledger;
use crate::side::{SIZE, Side};
use crate::watched::{WatchedFiles, WatchedLoops};

/// The name of the side and of its pool.
const NAME: &str = "open-local";

/// A pool of the `file` backend.
#[derive(Debug)]
pub struct OpenLocal {
    folder: PathBuf,
    backend: FileBackend,
    pool: Arc<dyn Pool>,
}

fn volume_id(name: &str) -> VolumeId {
    VolumeId::new(name).expect("a valid name")
}

fn snapshot_id(name: &str) -> SnapshotId {
    SnapshotId::new(name).expect("a valid name")
}

impl OpenLocal {
    /// The pool in this folder of the machine; a new one where there is none.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn new(host: Host, folder: &Path) -> Self {
        Self::with_loops(host, Arc::new(SystemLoops::default()), folder)
    }

    /// The same, with a ledger of what its calls to the machine cost.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn watched(mut host: Host, folder: &Path, ledger: &Arc<Ledger>) -> Self {
        host.files = Arc::new(WatchedFiles::new(host.files, ledger));
        let loops = WatchedLoops::new(Arc::new(SystemLoops::default()), ledger);
        Self::with_loops(host, Arc::new(loops), folder)
    }

    fn with_loops(host: Host, loops: Arc<dyn Loops>, folder: &Path) -> Self {
        let backend = FileBackend::new(host, loops);
        let id = PoolId::new(NAME).expect("a valid name");
        let _ = backend.ensure_pool(&PoolSpec::new(id.clone()).at(folder)).expect("make the pool");
        let pool = backend.open_pool(&id).expect("open the pool");
        Self { folder: folder.to_path_buf(), backend, pool }
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &dyn Pool {
        self.pool.as_ref()
    }

    /// Opens the pool once more, as a program that starts does.
    ///
    /// # Panics
    /// If it can't be opened.
    #[must_use]
    pub fn open(&self) -> Arc<dyn Pool> {
        let id = PoolId::new(NAME).expect("a valid name");
        self.backend.open_pool(&id).expect("open the pool")
    }

    fn snapshots(&self) -> &dyn Snapshots {
        self.pool.snapshots().expect("the pool has snapshots")
    }
}

impl Side for OpenLocal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn create(&self, volume: &str) {
        let spec = VolumeSpec::new(volume_id(volume), SIZE);
        assert!(self.pool.ensure_volume(&spec).expect("create").changed());
    }

    fn snapshot(&self, volume: &str, snapshot: &str) {
        let spec = SnapshotSpec::new(snapshot_id(snapshot), volume_id(volume));
        let made = self.snapshots().ensure_snapshot(&spec);
        assert!(made.expect("take a snapshot").changed());
    }

    fn clone_snapshot(&self, snapshot: &str, volume: &str) {
        let source = VolumeSource::Snapshot(snapshot_id(snapshot));
        let spec = VolumeSpec::new(volume_id(volume), SIZE).from_source(source);
        assert!(self.pool.ensure_volume(&spec).expect("clone").changed());
    }

    fn publish(&self, volume: &str) {
        let spec = PublishSpec::new(volume_id(volume));
        assert!(self.pool.publish(&spec).expect("publish").changed());
    }

    fn grow(&self, volume: &str, size: Bytes) {
        let grown = self.pool.grow_volume(&volume_id(volume), size);
        assert!(grown.expect("grow").changed());
    }

    fn unpublish(&self, volume: &str) {
        let source = Source::Volume(volume_id(volume));
        assert!(self.pool.unpublish(&source).expect("unpublish").changed());
    }

    fn remove(&self, volume: &str) {
        let removed = self.pool.remove_volume(&volume_id(volume));
        assert!(removed.expect("remove").changed());
    }

    fn remove_snapshot(&self, snapshot: &str) {
        let removed = self.snapshots().remove_snapshot(&snapshot_id(snapshot));
        assert!(removed.expect("remove the snapshot").changed());
    }

    fn image(&self, volume: &str) -> PathBuf {
        // The layout is the backend's own; filling a file there spares a loop device.
        self.folder.join(format!("volumes/{volume}.img"))
    }
}
