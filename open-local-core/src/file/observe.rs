//! Reading what is there: records, images, loop devices, room.

use std::collections::BTreeMap;

use super::hostfs;
use super::layout::{Entry, Family, classify};
use super::planner::{Seen, attachment};
use super::pool::FilePool;
use super::record::{OBJECT, ObjectRecord, POOL, PoolRecord, Stage, VERSION};
use super::room::{Room, Share};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileKind, FileStat, LoopDevice};
use crate::info::{Health, Phase};
use crate::spec::Source;
use crate::state::Record;
use crate::units::{Bytes, Ratio};

/// Beginning of the tag of every loop device of this backend; the object's UUID follows.
pub(super) const TAG: &str = "open-local ";

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
        Some(image) if image.size < record.usable_size() => Some(format!(
            "its image has {} of {}",
            image.size,
            record.usable_size()
        )),
        Some(_) => None,
    }
}

/// Everything recorded in a pool's folder; damaged records beside the others.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) objects: BTreeMap<Source, Result<ObjectRecord>>,
    /// Files that no record explains.
    pub(super) strays: Vec<String>,
    /// Spare images and half-written records: left by a kill, or by a call at work now.
    pub(super) leftovers: Vec<Source>,
    pub(super) half_records: bool,
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
        .with_remedy(format!(
            "mount the right disk at {}",
            self.layout.root().display()
        )))
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
        Error::new(e.kind(), op, &self.id, message)
            .with_remedy(remedy)
            .with_source(e)
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
            Ok(record) if record.key == *key => Ok(Some(record)),
            Ok(record) => Err(Error::new(
                ErrorKind::Corrupt,
                op,
                key,
                format!("its record is that of {}", record.key),
            )
            .with_remedy(format!("restore {}", path.display()))),
            // No record is only believed where its folder is there to have held it.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let folder = self.layout.folder_of(key);
                self.host.files.stat(&folder).map(|_| None).map_err(|e| {
                    Error::from_io(op, &self.id, format!("can't see {}", folder.display()), e)
                        .with_remedy("check that the pool's disk is mounted")
                })
            }
            Err(e) => {
                let remedy = e.remedy().map_or_else(
                    || format!("restore {} from a copy", path.display()),
                    str::to_owned,
                );
                Err(
                    Error::new(e.kind(), op, key, "its record can't be understood")
                        .with_remedy(remedy)
                        .with_source(e),
                )
            }
        }
    }

    /// Everything known of an object.
    ///
    /// # Errors
    /// As [`Self::load`], and what listing loop devices gives.
    pub(super) fn see(&self, op: Op, key: &Source) -> Result<Seen> {
        let record = self.load(op, key)?;
        let image = self.host.files.stat(&self.layout.image(key)).ok();
        let spare = self.host.files.stat(&self.layout.spare(key)).is_ok();
        let (device, other) = match &record {
            Some(record) => {
                let devices = self.devices(op)?;
                let own = own_device(&devices, record, image.as_ref()).cloned();
                (own, other_device(&devices, record, image.as_ref()).cloned())
            }
            None => (None, None),
        };
        Ok(Seen {
            record,
            image,
            spare,
            device,
            other,
        })
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
                    Entry::HalfRecord => contents.half_records = true,
                    Entry::Unknown => contents
                        .strays
                        .push(folder.join(file_name).display().to_string()),
                }
            }
        }
        for key in images {
            // The record may have come between the listing and now.
            if !contents.objects.contains_key(&key) && matches!(self.load(op, &key), Ok(None)) {
                contents
                    .strays
                    .push(self.layout.image(&key).display().to_string());
            }
        }
        Ok(contents)
    }

    /// The pool's room now. Exact while the room is locked.
    ///
    /// # Errors
    /// As [`Self::contents`].
    pub(super) fn room(&self, op: Op, pool: &PoolRecord) -> Result<Room> {
        let contents = self.contents(op)?;
        let root = self.layout.root();
        let space = self.host.files.space(root).map_err(|e| {
            Error::from_io(
                op,
                &self.id,
                format!("can't read the room of {}", root.display()),
                e,
            )
        })?;
        let mut taken = Bytes::ZERO;
        let mut shares = Vec::new();
        for (key, record) in &contents.objects {
            let image = self.host.files.stat(&self.layout.image(key)).ok();
            let allocated = image.map_or(Bytes::ZERO, |image| image.allocated);
            taken = taken.saturating_add(allocated);
            if let Ok(record) = record {
                shares.push(Share {
                    provisioning: record.provisioning,
                    promised: record.is_promised(),
                    size: record.size,
                    allocated,
                });
            }
        }
        let reachable = taken.saturating_add(space.available).min(space.total);
        let room = Room {
            total: pool
                .spec
                .capacity
                .map_or(reachable, |capacity| capacity.min(reachable)),
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
        let image = self.host.files.stat(&self.layout.image(&record.key)).ok();
        let device = own_device(devices, record, image.as_ref());
        let phase = match record.stage {
            Stage::Ready | Stage::Growing { .. } => Phase::Ready,
            Stage::Filling { done } => Phase::Filling(Ratio::of(done, record.size)),
            Stage::Removing => Phase::Erasing(Ratio::ZERO),
        };
        let fault = image_fault(record, image.as_ref()).filter(|_| phase == Phase::Ready);
        let health = match fault {
            Some(fault) => Health::Failed(lost(&fault, devices, record, image.as_ref())),
            None => self.device_health(record, devices, device, image.as_ref()),
        };
        (
            image,
            device.map(|device| attachment(&record.key, device)),
            phase,
            health,
        )
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
        let foreign = devices
            .iter()
            .find(|d| d.tag == tag && Some(d.index) != own.map(|o| o.index));
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
