//! A pool on a small disk of its own, with one volume whose content is known.

use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use open_local_core::host::{
    Checkpoints, Files, LoopDevice, Loops, OpenMode, SystemFiles, SystemLoops,
};
use open_local_core::{
    Bytes, Error, ErrorKind, Op, Pool, PublishSpec, Result, SnapshotId, Source, Subject, VolumeId,
    VolumeInfo, VolumeSpec,
};
use open_local_tests::{PoolFolder, Scratch};

/// The size of the volume that is there.
pub(crate) const SIZE: Bytes = Bytes::new(4 << 20);

pub(crate) fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

pub(crate) fn snapshot(name: &str) -> SnapshotId {
    SnapshotId::new(name).unwrap()
}

/// The volume that is there.
pub(crate) fn old() -> Source {
    Source::Volume(volume("old"))
}

/// The error of a call that must fail with this kind, name these things and a remedy.
pub(crate) fn refused<T: Debug>(result: Result<T>, kind: ErrorKind, names: &[&str]) -> Error {
    let error = match result {
        Err(error) => error,
        Ok(answer) => panic!("expected {kind}, got {answer:?}"),
    };
    let text = error.report().to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for name in names {
        assert!(text.contains(name), "{text} does not name {name}");
    }
    assert!(error.remedy().is_some_and(|r| !r.is_empty()), "no remedy: {text}");
    error
}

pub(crate) struct Lab {
    pub(crate) scratch: Scratch,
    pub(crate) disk: PathBuf,
    pub(crate) pool: PoolFolder,
}

impl Lab {
    pub(crate) fn new(test: &str) -> Self {
        Self::on("ext4", 64, test)
    }

    /// A pool on a disk of this kind, with the volume `old` full of twos.
    pub(crate) fn on(kind: &str, mib: u64, test: &str) -> Self {
        let lab = Self::bare(kind, mib, test);
        let pool = lab.pool.ensure().unwrap();
        let _ = pool.ensure_volume(&VolumeSpec::new(volume("old"), SIZE)).unwrap();
        lab.fill(pool.as_ref(), &old(), 2);
        lab
    }

    /// A disk without a pool.
    pub(crate) fn bare(kind: &str, mib: u64, test: &str) -> Self {
        let scratch = Scratch::new(test);
        let disk = scratch.disk("disk", Bytes::from_mib(mib).unwrap(), kind);
        let pool = PoolFolder::new(scratch.path(), &disk.join("pool"));
        Self { scratch, disk, pool }
    }

    pub(crate) fn open(&self) -> Arc<dyn Pool> {
        self.pool.open().unwrap_or_else(|e| panic!("{}", e.report()))
    }

    pub(crate) fn old(&self) -> VolumeInfo {
        self.open().volume(&volume("old")).unwrap()
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.pool.join("volumes/old.img")
    }

    pub(crate) fn fill(&self, pool: &dyn Pool, source: &Source, byte: u8) {
        let at = pool.publish(&PublishSpec::new(source.clone())).unwrap().into_inner();
        let device = SystemFiles.open(&at.device, OpenMode::ReadWrite).unwrap();
        let size = device.size().unwrap().to_usize().unwrap();
        device.write_at(0, &vec![byte; size]).unwrap();
        device.flush().unwrap();
        drop(device);
        let _ = pool.unpublish(source).unwrap();
    }

    /// Fails unless the object holds nothing but this byte. It is published for that and
    /// unpublished again, if it is not published already.
    pub(crate) fn holds(&self, source: &Source, byte: u8) {
        let pool = self.open();
        let mut spec = PublishSpec::new(source.clone());
        if matches!(source, Source::Snapshot(_)) {
            spec = spec.read_only();
        }
        let at = pool.publish(&spec);
        let at = at.unwrap_or_else(|e| panic!("{}", e.report()));
        let device = SystemFiles.open(&at.get().device, OpenMode::Read).unwrap();
        let mut bytes = vec![0; device.size().unwrap().to_usize().unwrap()];
        device.read_at(0, &mut bytes).unwrap();
        drop(device);
        let wrong = bytes.iter().position(|b| *b != byte);
        assert_eq!(wrong, None, "{source}: other bytes than {byte} from there on");
        if at.changed() {
            let _ = pool.unpublish(source).unwrap();
        }
    }

    /// Fails unless the old volume holds what it held and nothing lies around.
    pub(crate) fn intact(&self) {
        self.holds(&old(), 2);
        let leaks = self.pool.leaks().unwrap();
        assert!(leaks.is_empty(), "left behind: {leaks:?}");
    }

    /// Fails unless a new volume can be made, written and removed.
    pub(crate) fn is_usable(&self) {
        let pool = self.open();
        let spec = VolumeSpec::new(volume("usable"), SIZE);
        let made = pool.ensure_volume(&spec);
        let _ = made.unwrap_or_else(|e| panic!("{}", e.report()));
        self.fill(pool.as_ref(), &volume("usable").into(), 9);
        self.holds(&volume("usable").into(), 9);
        let _ = pool.remove_volume(&volume("usable")).unwrap();
        self.intact();
    }

    /// The loop device of an object that is published.
    pub(crate) fn loop_of(&self, source: &Source) -> LoopDevice {
        let pool = self.open();
        let at = pool.publish(&PublishSpec::new(source.clone())).unwrap().into_inner();
        let all = SystemLoops::default().list().unwrap();
        all.into_iter().find(|d| d.number == at.number).unwrap()
    }

    /// Takes all the room there is on the disk, to the last block.
    pub(crate) fn fill_disk(&self) {
        fill_disk(&self.disk.join("filler"));
    }

    pub(crate) fn free_disk(&self) {
        fs::remove_file(self.disk.join("filler")).unwrap();
        nix::unistd::sync();
    }

    /// Fills the disk before the first step whose description holds this text.
    pub(crate) fn fill_before(&self, text: &'static str) -> Arc<Before> {
        let filler = self.disk.join("filler");
        self.before(text, move || fill_disk(&filler))
    }

    /// Does something before the first step whose description holds this text.
    pub(crate) fn before(
        &self,
        text: &'static str,
        act: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Before> {
        Arc::new(Before { text, act: Box::new(act), done: AtomicBool::new(false) })
    }

    /// Opens the pool with a fault waiting in one of its steps.
    pub(crate) fn open_with(&self, fault: &Arc<Before>) -> Arc<dyn Pool> {
        use open_local_core::Backend;
        // Opening sweeps first; the fault is meant for the call that follows.
        drop(self.open());
        let backend = self.pool.backend(fault.clone());
        backend.open_pool(&self.pool.id()).unwrap()
    }
}

fn fill_disk(filler: &std::path::Path) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(filler).unwrap();
    for size in [1 << 20, 64 << 10, 4 << 10, 1 << 10, 1] {
        let piece = vec![0x5A; size];
        // The last bytes of a block that is taken anyway are not worth a call each.
        for _ in 0..4096 {
            if file.write_all(&piece).and_then(|()| file.sync_data()).is_err() {
                break;
            }
        }
    }
}

/// Something that happens to the machine right before a step.
pub(crate) struct Before {
    text: &'static str,
    act: Box<dyn Fn() + Send + Sync>,
    done: AtomicBool,
}

impl Before {
    /// Whether the step was reached.
    pub(crate) fn happened(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }
}

impl Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Before({:?})", self.text)
    }
}

impl Checkpoints for Before {
    fn before(&self, _op: Op, _subject: &Subject, step: &str) -> Result<()> {
        if step.contains(self.text) && !self.done.swap(true, Ordering::SeqCst) {
            (self.act)();
        }
        Ok(())
    }
}
