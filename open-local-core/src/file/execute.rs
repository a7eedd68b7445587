//! Taking the steps of a plan, one by one, each after its checkpoint.

use std::io;

use super::copy::{Job, copy};
use super::group_record::{GroupRecord, GroupStage};
use super::held::Held;
use super::layout::Family;
use super::observe::tag;
use super::pool::FilePool;
use super::record::{ObjectRecord, Stage};
use super::steps::{Step, Target, Work};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::host::{FileLock, LoopSpec, OpenMode};
use crate::ids::GroupSnapshotId;
use crate::spec::Source;
use crate::units::Bytes;

/// One run through a plan.
struct Run<'a> {
    pool: &'a FilePool,
    work: &'a Work,
    held: Held,
    /// Whether others may rely on it by now, as users of a device who have seen it grow: then
    /// nothing is taken back any more.
    relied_on: bool,
    /// Where something stood in the way that this plan did not know of, and so must not remove.
    in_the_way: Option<Target>,
}

impl FilePool {
    /// Takes the steps; the room's lock is given back as soon as all promises are recorded.
    ///
    /// # Errors
    /// Of the step that failed; everything is undone then. A run cut by a checkpoint answers
    /// [`ErrorKind::Indeterminate`] and undoes nothing, as after a kill.
    pub(super) fn carry_out(&self, work: &Work, room: Option<Box<dyn FileLock>>) -> Result<()> {
        let mut run =
            Run { pool: self, work, held: Held::default(), relied_on: false, in_the_way: None };
        let mut room = room;
        let mut failed = None;
        for (number, step) in (1..).zip(&work.steps) {
            if let Err(error) = run.checked(step) {
                failed = Some(error);
                break;
            }
            if number >= work.promising {
                room = None;
            }
        }
        drop(room);
        match failed {
            None => Ok(()),
            Some(error) if error.kind() == ErrorKind::Indeterminate => Err(error),
            Some(error) => Err(run.take_back(error)),
        }
    }
}

impl Run<'_> {
    fn checked(&mut self, step: &Step) -> Result<()> {
        let work = self.work;
        self.pool.host.checkpoints.before(work.op, &work.subject, &step.to_string())?;
        self.take(step)
    }

    /// Thaws, undoes, and answers the error to give.
    fn take_back(&mut self, error: Error) -> Error {
        let work = self.work;
        if let Err(undo) = self.take(&Step::Release) {
            return error.with_failed_rollback(undo);
        }
        if self.relied_on {
            return error;
        }
        for step in &work.undo {
            let foreign = matches!(step, Step::Drop(to) if self.in_the_way.as_ref() == Some(to));
            // A record that never changed is not written anew: the disk may be full.
            if foreign || self.is_stored(step) {
                continue;
            }
            if let Err(undo) = self.checked(step) {
                return error
                    .with_failed_rollback(undo)
                    .with_remedy("look at the pool's health; the same call again tries once more");
            }
        }
        error
    }

    fn failed<S: Into<String>>(&self, what: S) -> impl FnOnce(io::Error) -> Error + use<S> {
        let (op, subject, what) = (self.work.op, self.work.subject.clone(), what.into());
        move |e| {
            let remedy = remedy(&e);
            Error::from_io(op, subject, what, e).with_remedy(remedy)
        }
    }

    fn is_stored(&self, step: &Step) -> bool {
        match step {
            Step::Record(record) => {
                let stored = self.pool.load(self.work.op, &record.key);
                matches!(stored, Ok(Some(stored)) if stored == **record)
            }
            Step::ForgetGroup(id) => {
                matches!(self.pool.load_group(self.work.op, id), Ok(None))
            }
            _ => false,
        }
    }

    fn take(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Record(record) => match self.store(record) {
                // A full disk must not keep anybody from making room on it. Killed after this, the
                // volume shows as damaged until the removal is repeated.
                Err(e) if e.kind() == ErrorKind::OutOfSpace && record.stage == Stage::Removing => {
                    tracing::warn!(object = %record.key, error = %e.report(), "removal not recorded");
                    Ok(())
                }
                other => other,
            },
            Step::Make { target, size, thick } => self.make(target, *size, *thick),
            Step::Hold(at) => self.held.hold(self.pool, self.work.op, at),
            Step::Release => self.held.release(self.pool, self.work.op, &self.work.subject),
            Step::Flush(device) => {
                self.pool.loops.flush(device).map_err(self.failed("can't flush its device"))
            }
            Step::Share { from, to, size } => self.share(from, to, *size),
            Step::Copy { from, to, start, size, record } => {
                self.copy(from, to, (*start, *size), record.as_deref())
            }
            Step::Extend { target, size, thick } => self.extend(target, *size, *thick),
            Step::Shrink { key, size } => self.shrink(key, *size),
            Step::Attach { record, read_only } => self.attach(record, *read_only),
            Step::Detach(device) => self.detach(device),
            Step::Resize(device) => {
                self.relied_on = true;
                let resized = self.pool.loops.resize(device);
                resized.map(drop).map_err(self.failed("can't resize its device"))
            }
            Step::Swap(key) => self.swap(key),
            Step::Drop(target) => self.remove(target.key(), &self.path(target)),
            Step::Forget(key) => self.remove(key, &self.pool.layout.record(key)),
            Step::RecordGroup(record) => self.store_group(record),
            Step::ForgetGroup(id) => self.forget_group(id),
        }
    }

    fn path(&self, target: &Target) -> std::path::PathBuf {
        match target {
            Target::Image(key) => self.pool.layout.image(key),
            Target::Spare(key) => self.pool.layout.spare(key),
        }
    }

    fn sync_folder(&self, key: &Source) -> Result<()> {
        let folder = self.pool.layout.folder_of(key);
        self.pool.host.files.sync_dir(&folder).map_err(self.failed("can't flush its folder"))
    }

    fn store(&self, record: &ObjectRecord) -> Result<()> {
        let path = self.pool.layout.record(&record.key);
        record.to_record().store(self.pool.host.files.as_ref(), &path).map_err(|e| {
            Error::new(e.kind(), self.work.op, &record.key, "can't store its record")
                .with_remedy("free room on the pool's disk and check that it is writable")
                .with_source(e)
        })
    }

    fn store_group(&mut self, record: &GroupRecord) -> Result<()> {
        let path = self.pool.layout.group(&record.id);
        let stored = record.to_record().store(self.pool.host.files.as_ref(), &path).map_err(|e| {
            Error::new(e.kind(), self.work.op, &record.id, "can't store its record")
                .with_remedy("free room on the pool's disk and check that it is writable")
                .with_source(e)
        });
        match (stored, record.stage) {
            (Ok(()), GroupStage::Ready) => {
                self.relied_on = true;
                Ok(())
            }
            // As for objects: a full disk keeps nobody from making room on it.
            (Err(e), GroupStage::Removing) if e.kind() == ErrorKind::OutOfSpace => {
                tracing::warn!(group = %record.id, error = %e.report(), "removal not recorded");
                Ok(())
            }
            (other, _) => other,
        }
    }

    fn forget_group(&self, id: &GroupSnapshotId) -> Result<()> {
        let path = self.pool.layout.group(id);
        match self.pool.host.files.remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(self.failed(format!("can't remove {}", path.display()))(e))
            }
            _ => {
                let folder = self.pool.layout.family(Family::Snapshots);
                let synced = self.pool.host.files.sync_dir(&folder);
                synced.map_err(self.failed("can't flush its folder"))
            }
        }
    }

    /// The error of a file that can't be made; what was there before is not ours to undo.
    fn not_made(&mut self, target: &Target, what: String, e: io::Error) -> Error {
        if e.kind() != io::ErrorKind::AlreadyExists {
            return self.failed(what)(e);
        }
        self.in_the_way = Some(target.clone());
        self.failed(what)(e)
            .with_kind(ErrorKind::Refused)
            .with_remedy("look at the file in its place and move it out of the pool's folder")
    }

    fn make(&mut self, target: &Target, size: Bytes, thick: bool) -> Result<()> {
        let files = &self.pool.host.files;
        let image = files
            .create_new(&self.path(target))
            .map_err(|e| self.not_made(target, format!("can't make {target}"), e))?;
        image.set_len(size).map_err(self.failed(format!("can't give {target} {size}")))?;
        if thick {
            image
                .allocate(0, size.get())
                .map_err(self.failed(format!("can't take {size} of room for {target}")))?;
        }
        image.flush().map_err(self.failed(format!("can't flush {target}")))?;
        self.sync_folder(target.key())
    }

    fn share(&mut self, from: &Source, to: &Target, size: Bytes) -> Result<()> {
        let files = &self.pool.host.files;
        let (source, target) = (self.pool.layout.image(from), self.path(to));
        // What was written through the page cache has to be on its blocks before they are shared.
        let open =
            files.open(&source, OpenMode::Read).map_err(self.failed("can't open its source"))?;
        open.flush().map_err(self.failed("can't flush its source"))?;
        files
            .reflink(&source, &target)
            .map_err(|e| self.not_made(to, format!("can't share blocks with {to}"), e))?;
        let image = files
            .open(&target, OpenMode::ReadWrite)
            .map_err(self.failed(format!("can't open {to}")))?;
        let all = image.size().map_err(self.failed(format!("can't read the size of {to}")))?;
        if all > size {
            image.set_len(size).map_err(self.failed(format!("can't cut {to} to {size}")))?;
        }
        image.flush().map_err(self.failed(format!("can't flush {to}")))?;
        self.sync_folder(to.key())
    }

    fn copy(
        &self,
        from: &Source,
        to: &Target,
        range: (Bytes, Bytes),
        record: Option<&ObjectRecord>,
    ) -> Result<()> {
        let pool = self.pool;
        let files = &pool.host.files;
        let source = files
            .open(&pool.layout.image(from), OpenMode::Read)
            .map_err(self.failed("can't open its source"))?;
        let target = files
            .open(&self.path(to), OpenMode::ReadWrite)
            .map_err(self.failed(format!("can't open {to}")))?;
        let job = Job {
            op: self.work.op,
            subject: &self.work.subject,
            clock: pool.host.clock.as_ref(),
            progress: pool.host.progress.as_ref(),
            until: self.held.until(),
            mark_every: pool.options.copy_mark,
        };
        copy(&job, source.as_ref(), target.as_ref(), range, |done| {
            let text = format!("copy the content of {from} to {to}, from {done} on");
            pool.host.checkpoints.before(job.op, job.subject, &text)?;
            record.map_or(Ok(()), |r| self.store(&r.with_stage(Stage::Filling { done })))
        })
    }

    fn extend(&self, target: &Target, size: Bytes, thick: bool) -> Result<()> {
        let image = self
            .pool
            .host
            .files
            .open(&self.path(target), OpenMode::ReadWrite)
            .map_err(self.failed(format!("can't open {target}")))?;
        let now = image.size().map_err(self.failed(format!("can't read the size of {target}")))?;
        if now < size {
            image.set_len(size).map_err(self.failed(format!("can't extend {target} to {size}")))?;
        }
        if thick {
            image
                .allocate(0, size.get())
                .map_err(self.failed(format!("can't take {size} of room for {target}")))?;
        }
        image.flush().map_err(self.failed(format!("can't flush {target}")))
    }

    fn shrink(&self, key: &Source, size: Bytes) -> Result<()> {
        let path = self.pool.layout.image(key);
        let image = self
            .pool
            .host
            .files
            .open(&path, OpenMode::ReadWrite)
            .map_err(self.failed("can't open its image"))?;
        image.set_len(size).map_err(self.failed("can't cut its image back"))?;
        image.flush().map_err(self.failed("can't flush its image"))
    }

    fn attach(&self, record: &ObjectRecord, read_only: bool) -> Result<()> {
        let file = self.pool.layout.image(&record.key);
        let tag = tag(record);
        let spec = LoopSpec {
            file: &file,
            tag: &tag,
            read_only,
            direct_io: true,
            block_size: record.block_size,
        };
        let attached = self.pool.loops.attach(&spec).map_err(|e| match e.raw_os_error() {
            Some(libc::ENOSPC | libc::ENODEV) => {
                Error::from_io(self.work.op, &record.key, "there is no free loop device", e)
                    .with_remedy("unpublish a volume, or raise the module parameter max_loop")
            }
            Some(libc::EACCES | libc::EPERM) => {
                Error::from_io(self.work.op, &record.key, "can't attach a loop device", e)
                    .with_remedy("run as root, or use the backend sim")
            }
            _ => self.failed("can't attach a loop device")(e),
        })?;
        if attached.block_size == record.block_size {
            return Ok(());
        }
        // A file system made for one block size may not mount on another.
        self.pool.loops.detach(&attached).map_err(self.failed("can't detach its device"))?;
        Err(Error::new(
            ErrorKind::Unsupported,
            self.work.op,
            &record.key,
            format!("the kernel gave blocks of {}, not {}", attached.block_size, record.block_size),
        ))
    }

    fn detach(&self, device: &crate::host::LoopDevice) -> Result<()> {
        self.pool.loops.detach(device).or_else(|e| match e.raw_os_error() {
            // Somebody else detached it, and it may be on another file by now.
            Some(libc::ENXIO) => Ok(()),
            Some(libc::EBUSY) => Err(Error::from_io(
                self.work.op,
                self.work.subject.clone(),
                format!("{} is in use", device.path.display()),
                e,
            )
            .with_remedy(format!(
                "unmount it and end what has it open: fuser {}",
                device.path.display()
            ))),
            _ => Err(self.failed(format!("can't detach {}", device.path.display()))(e)),
        })
    }

    fn swap(&self, key: &Source) -> Result<()> {
        let layout = &self.pool.layout;
        self.pool
            .host
            .files
            .rename(&layout.spare(key), &layout.image(key))
            .map_err(self.failed("can't put the spare image in place"))?;
        self.sync_folder(key)
    }

    fn remove(&self, key: &Source, path: &std::path::Path) -> Result<()> {
        match self.pool.host.files.remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(self.failed(format!("can't remove {}", path.display()))(e))
            }
            _ => self.sync_folder(key),
        }
    }
}

/// What a person can do about an error of the pool's disk.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => "free room on the pool's disk, then try again",
        Some(libc::EROFS) => "mount the pool's disk read-write, then try again",
        Some(libc::EACCES | libc::EPERM) => "run as root",
        _ => "look for errors of the pool's disk in the kernel log, then try again",
    }
}

impl Target {
    fn key(&self) -> &Source {
        match self {
            Self::Image(key) | Self::Spare(key) => key,
        }
    }
}

/// The operation name of removing an object.
pub(super) fn removal_op(key: &Source) -> Op {
    match key {
        Source::Volume(_) => Op::RemoveVolume,
        Source::Snapshot(_) => Op::RemoveSnapshot,
    }
}
