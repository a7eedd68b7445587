//! Reading what is there: records, images, loop devices, room.

use std::collections::BTreeMap;
use std::path::Path;

use super::group_record::{GROUP, GroupRecord, GroupStage};
use super::hostfs;
use super::layout::{Entry, Family, classify};
use super::planner::{Seen, attachment, source_key};
use super::pool::FilePool;
use super::record::{OBJECT, ObjectRecord, POOL, PoolRecord, Stage, VERSION};
use super::room::{Room, Share};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileKind, FileStat, LoopDevice};
use crate::ids::GroupSnapshotId;
use crate::info::{Health, Phase};
use crate::spec::{Provisioning, Source};
use crate::state::Record;
use crate::units::{Bytes, Ratio};

pub(super) use crate::device::LOOP_TAG as TAG;

/// The tag of an object's loop device.
pub(super) fn tag(record: &ObjectRecord) -> String {
    format!("{TAG}{}", record.uuid)
}

/// The object's device among all: by tag and by the file it is bound to, never by one alone,
/// since tags can be copied and inode numbers are reused.
pub(super) fn own_device<'a>(
    devices: &'a [LoopDevice],
    record: &ObjectRecord,
    image: Option<&FileStat>,
) -> Option<&'a LoopDevice> {
    let image = image?;
    let tag = tag(record);
    devices.iter().find(|device| {
        device.tag == tag && device.file_device == image.device && device.file_inode == image.inode
    })
}

/// A device that stands in the way: bound to the object's image without our tag, or carrying our
/// tag where there is no image any more. It is told and never touched.
pub(super) fn other_device<'a>(
    devices: &'a [LoopDevice],
    record: &ObjectRecord,
    image: Option<&FileStat>,
) -> Option<&'a LoopDevice> {
    let tag = tag(record);
    devices.iter().find(|device| match image {
        Some(image) => {
            let same = (device.file_device, device.file_inode) == (image.device, image.inode);
            same && device.tag != tag
        }
        None => device.tag == tag,
    })
}

/// What is wrong with an image that should be whole.
pub(super) fn image_fault(record: &ObjectRecord, image: Option<&FileStat>) -> Option<String> {
    match image {
        None => Some("its image is missing".to_owned()),
        Some(image) if image.kind != FileKind::File => Some("its image is no file".to_owned()),
        Some(image) if image.size < record.usable_size() => {
            Some(format!("its image has {} of {}", image.size, record.usable_size()))
        }
        Some(_) => None,
    }
}

/// Everything recorded in a pool's folder; damaged records beside the others.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) objects: BTreeMap<Source, Result<ObjectRecord>>,
    pub(super) groups: BTreeMap<GroupSnapshotId, Result<GroupRecord>>,
    /// Files that no record explains.
    pub(super) strays: Vec<String>,
    /// Spare images and half-written records: left by a kill, or by a call at work now.
    pub(super) leftovers: Vec<Source>,
    pub(super) half_records: bool,
}

impl Contents {
    /// The object at the beginning of the chain of sources that leads to this one: only those of
    /// one family can share blocks.
    fn family(&self, key: &Source) -> Source {
        let mut first = key.clone();
        // No longer than all there are: a record restored from a copy might close a circle.
        for _ in 0..self.objects.len() {
            let record = self.objects.get(&first).and_then(|record| record.as_ref().ok());
            match record.and_then(|record| record.origin.as_ref()) {
                Some(origin) => first = source_key(origin),
                None => break,
            }
        }
        first
    }
}

impl FilePool {
    /// The pool's record, read anew.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it or the folder is gone, [`ErrorKind::Corrupt`].
    pub(super) fn pool_record(&self, op: Op) -> Result<PoolRecord> {
        let path = self.layout.pool_record();
        let record = Record::load(self.host.files.as_ref(), &path, POOL, VERSION)
            .and_then(|record| PoolRecord::from_record(&record))
            .map_err(|e| self.about_pool(op, e))?;
        if record.uuid == self.uuid {
            return Ok(record);
        }
        Err(Error::new(
            ErrorKind::Corrupt,
            op,
            &self.id,
            format!("another pool ({}) is in its folder now", record.spec.id),
        )
        .with_remedy(format!("mount the right disk at {}", self.layout.root().display())))
    }

    fn about_pool(&self, op: Op, e: Error) -> Error {
        let root = self.layout.root().display();
        let message = match e.kind() {
            ErrorKind::NotFound => format!("its record is missing from {root}"),
            _ => format!("its record in {root} can't be read"),
        };
        let remedy = match e.remedy() {
            Some(remedy) => remedy.to_owned(),
            None => format!("check that its disk is mounted at {root}"),
        };
        Error::new(e.kind(), op, &self.id, message).with_remedy(remedy).with_source(e)
    }

    /// An object's record; `None` if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] or [`ErrorKind::Unsupported`] if it can't be understood.
    pub(super) fn load(&self, op: Op, key: &Source) -> Result<Option<ObjectRecord>> {
        let path = self.layout.record(key);
        let loaded = Record::load(self.host.files.as_ref(), &path, OBJECT, VERSION)
            .and_then(|record| ObjectRecord::from_record(&record));
        match loaded {
            Ok(record) if record.key == *key => self.with_group_stage(op, record).map(Some),
            Ok(record) => Err(Error::new(
                ErrorKind::Corrupt,
                op,
                key,
                format!("its record is that of {}", record.key),
            )
            .with_remedy(format!("restore {}", path.display()))),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.check_folder(op, &self.layout.folder_of(key)).map(|()| None)
            }
            Err(e) => {
                let remedy = e.remedy().map_or_else(
                    || format!("restore {} from a copy", path.display()),
                    str::to_owned,
                );
                Err(Error::new(e.kind(), op, key, "its record can't be understood")
                    .with_remedy(remedy)
                    .with_source(e))
            }
        }
    }

    /// No record is only believed where its folder is there to have held it.
    fn check_folder(&self, op: Op, folder: &Path) -> Result<()> {
        self.host.files.stat(folder).map(drop).map_err(|e| {
            Error::from_io(op, &self.id, format!("can't see {}", folder.display()), e)
                .with_remedy("check that the pool's disk is mounted")
        })
    }

    /// The members of a group are ready from the moment on in which it is recorded as such.
    fn with_group_stage(&self, op: Op, record: ObjectRecord) -> Result<ObjectRecord> {
        let (Some(id), Stage::Filling { .. }) = (&record.group, record.stage) else {
            return Ok(record);
        };
        let group = self.load_group(op, id)?;
        Ok(match group.filter(|group| group.stage == GroupStage::Ready) {
            Some(_) => record.with_stage(Stage::Ready),
            None => record,
        })
    }

    /// A group snapshot's record; `None` if there is none.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(super) fn load_group(&self, op: Op, id: &GroupSnapshotId) -> Result<Option<GroupRecord>> {
        let path = self.layout.group(id);
        let loaded = Record::load(self.host.files.as_ref(), &path, GROUP, VERSION)
            .and_then(|record| GroupRecord::from_record(&record));
        match loaded {
            Ok(record) if record.id == *id => Ok(Some(record)),
            Ok(record) => Err(Error::new(
                ErrorKind::Corrupt,
                op,
                id,
                format!("its record is that of group snapshot {}", record.id),
            )
            .with_remedy(format!("restore {}", path.display()))),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.check_folder(op, &self.layout.family(Family::Snapshots)).map(|()| None)
            }
            Err(e) => Err(Error::new(e.kind(), op, id, "its record can't be understood")
                .with_remedy(format!(
                    "restore {} from a copy, or move it away and remove its members alone",
                    path.display()
                ))
                .with_source(e)),
        }
    }

    /// Everything known of an object.
    ///
    /// # Errors
    /// As [`Self::load`], and what listing loop devices gives.
    pub(super) fn see(&self, op: Op, key: &Source) -> Result<Seen> {
        let record = self.load(op, key)?;
        let image = self.stat(op, key, &self.layout.image(key))?;
        let spare = self.stat(op, key, &self.layout.spare(key))?.is_some();
        let (mut device, mut other) = (None, None);
        if let Some(record) = &record {
            let devices = self.devices(op)?;
            device = own_device(&devices, record, image.as_ref()).cloned();
            other = other_device(&devices, record, image.as_ref()).cloned();
        }
        let group = record.as_ref().and_then(|record| record.group.as_ref());
        // One whose record is gone holds nobody back; one that can't be read does.
        let grouped = group.is_some_and(|id| !matches!(self.load_group(op, id), Ok(None)));
        Ok(Seen { record, image, spare, device, other, grouped })
    }

    /// What is at a path; `None` only if nothing is. No other error is a proof of absence.
    fn stat(&self, op: Op, key: &Source, path: &Path) -> Result<Option<FileStat>> {
        match self.host.files.stat(path) {
            Ok(stat) => Ok(Some(stat)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => {
                let what = format!("can't look at {}", path.display());
                Err(Error::from_io(op, key, what, e)
                    .with_remedy("see the kernel log for errors of the pool's disk"))
            }
        }
    }

    /// All attached loop devices.
    ///
    /// # Errors
    /// `PermissionDenied` with the remedy, `Io`.
    pub(super) fn devices(&self, op: Op) -> Result<Vec<LoopDevice>> {
        self.loops.list().map_err(|e| {
            Error::from_io(op, Subject::Host, "can't list the loop devices", e)
                .with_remedy("run as root, or use the backend sim")
        })
    }

    /// Everything in the pool's folder.
    ///
    /// # Errors
    /// `NotFound` or `Io` if it can't be listed.
    pub(super) fn contents(&self, op: Op) -> Result<Contents> {
        let mut contents = Contents::default();
        let mut images = Vec::new();
        for family in Family::ALL {
            let folder = self.layout.family(family);
            let names = self.host.files.list(&folder).map_err(|e| {
                Error::from_io(op, &self.id, format!("can't list {}", folder.display()), e)
                    .with_remedy("check that the pool's disk is mounted")
            })?;
            for file_name in names {
                match classify(family, &file_name) {
                    Entry::Record(key) => match self.load(op, &key) {
                        Ok(None) => {}
                        Ok(Some(record)) => {
                            contents.objects.insert(key, Ok(record));
                        }
                        Err(error) => {
                            contents.objects.insert(key, Err(error));
                        }
                    },
                    Entry::Image(key) => images.push(key),
                    Entry::Spare(key) => contents.leftovers.push(key),
                    Entry::Group(id) => {
                        let record = self.load_group(op, &id).transpose();
                        contents.groups.extend(record.map(|record| (id, record)));
                    }
                    Entry::HalfRecord => contents.half_records = true,
                    Entry::Unknown => {
                        contents.strays.push(folder.join(file_name).display().to_string())
                    }
                }
            }
        }
        for key in images {
            // The record may have come between the listing and now.
            if !contents.objects.contains_key(&key) && matches!(self.load(op, &key), Ok(None)) {
                contents.strays.push(self.layout.image(&key).display().to_string());
            }
        }
        Ok(contents)
    }

    /// The pool's room now. Exact while the room is locked.
    ///
    /// # Errors
    /// As [`Self::contents`].
    pub(super) fn room(&self, op: Op, pool: &PoolRecord) -> Result<Room> {
        self.room_of(op, pool, &self.contents(op)?)
    }

    /// The pool's room with these contents.
    ///
    /// # Errors
    /// `Io` if the disk can't be asked.
    pub(super) fn room_of(&self, op: Op, pool: &PoolRecord, contents: &Contents) -> Result<Room> {
        let root = self.layout.root();
        let space = self.host.files.space(root).map_err(|e| {
            Error::from_io(op, &self.id, format!("can't read the room of {}", root.display()), e)
        })?;
        let mut families = BTreeMap::new();
        let mut shares = Vec::new();
        for (key, record) in &contents.objects {
            let image = self.stat(op, key, &self.layout.image(key))?;
            let allocated = image.map_or(Bytes::ZERO, |image| image.allocated);
            let family = if self.reflink { contents.family(key) } else { key.clone() };
            let most = families.entry(family).or_insert(Bytes::ZERO);
            *most = allocated.max(*most);
            shares.push(match record {
                Ok(record) => Share {
                    provisioning: record.provisioning,
                    promised: record.is_promised(),
                    size: record.size,
                    allocated,
                },
                // What it was promised can't be read; its image is the next best to go by.
                Err(_) => Share {
                    provisioning: Provisioning::Thin,
                    promised: true,
                    size: image.map_or(Bytes::ZERO, |image| image.size),
                    allocated,
                },
            });
        }
        // Blocks that images share are counted by each of them. What a family takes for certain is
        // what its largest member takes; counting more would promise room that is not there.
        let taken = families.into_values().fold(Bytes::ZERO, |all, most| all.saturating_add(most));
        let reachable = taken.saturating_add(space.available).min(space.total);
        let room = Room {
            total: pool.spec.capacity.map_or(reachable, |capacity| capacity.min(reachable)),
            reserve: pool.spec.reserve,
            overcommit: pool.overcommit,
            stop_at: pool.stop_at,
            thick: Bytes::ZERO,
            thin: Bytes::ZERO,
            thin_used: Bytes::ZERO,
            host_free: space.available,
        };
        Ok(shares.into_iter().fold(room, Room::add))
    }

    /// The name of the host's file system.
    pub(super) fn host_fs_name(&self) -> &'static str {
        let space = self.host.files.space(self.layout.root());
        space.map_or("unknown", |space| hostfs::kind(space.magic).name)
    }

    /// What a published object's attachment, phase and health are.
    pub(super) fn appearance(
        &self,
        record: &ObjectRecord,
        devices: &[LoopDevice],
    ) -> (Option<FileStat>, Option<crate::Attachment>, Phase, Health) {
        let looked = self.stat(Op::InspectVolume, &record.key, &self.layout.image(&record.key));
        let (image, trouble) = match looked {
            Ok(image) => (image, None),
            Err(error) => (None, Some(error.report().to_string())),
        };
        let device = own_device(devices, record, image.as_ref());
        let phase = match record.stage {
            Stage::Ready | Stage::Growing { .. } => Phase::Ready,
            Stage::Filling { done } => Phase::Filling(Ratio::of(done, record.size)),
            Stage::Removing => Phase::Erasing(Ratio::ZERO),
        };
        let fault = image_fault(record, image.as_ref()).filter(|_| phase == Phase::Ready);
        let larger = image.filter(|image| phase == Phase::Ready && image.size > record.size);
        let health = match (trouble, fault, larger) {
            (Some(trouble), _, _) => Health::Failed(trouble),
            (None, Some(fault), _) => Health::Failed(lost(&fault, devices, record, image.as_ref())),
            (None, None, Some(image)) => Health::Degraded(format!(
                "its image has {}, more than the {} of its record: grow it to that size",
                image.size, record.size
            )),
            (None, None, None) => self.device_health(record, devices, device, image.as_ref()),
        };
        (image, device.map(|device| attachment(&record.key, device)), phase, health)
    }

    /// A device with our tag on another file was taken over by somebody: it is never touched.
    fn device_health(
        &self,
        record: &ObjectRecord,
        devices: &[LoopDevice],
        own: Option<&LoopDevice>,
        image: Option<&FileStat>,
    ) -> Health {
        let tag = tag(record);
        if let (Some(device), Some(_)) = (other_device(devices, record, image), image) {
            return Health::Degraded(format!(
                "somebody else attached its image as {}; detach it: losetup -d {}",
                device.path.display(),
                device.path.display()
            ));
        }
        let foreign =
            devices.iter().find(|d| d.tag == tag && Some(d.index) != own.map(|o| o.index));
        match foreign {
            Some(device) => Health::Degraded(format!(
                "{} carries its tag but is bound to another file; detach it: losetup -d {}",
                device.path.display(),
                device.path.display()
            )),
            None => Health::Healthy,
        }
    }
}

/// What a person should know of an object whose image is not whole.
fn lost(
    fault: &str,
    devices: &[LoopDevice],
    record: &ObjectRecord,
    image: Option<&FileStat>,
) -> String {
    match other_device(devices, record, image).filter(|_| image.is_none()) {
        Some(device) => format!(
            "{fault}, but {} may still hold it: copy it from there before it is detached",
            device.path.display()
        ),
        None => format!("{fault}: restore it from a copy, or remove the object"),
    }
}
