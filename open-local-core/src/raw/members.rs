//! Proving that a device is the place of a pool it is taken for, and that nobody uses it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::identity::{self, Disk};
use super::report::open;
use super::{DeviceProof, DeviceReport, Signature, look, prove_writable};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::exclusive::{PlaceRecord, Sighting};
use crate::host::{
    DeviceAccess, DeviceHandle, Devices, Host, MountEntry, parse_mountinfo, read_small,
};

/// A mount table larger than this is not read.
const MAX_TABLE: usize = 16 << 20;

/// Disks and partitions of this host.
#[derive(Debug)]
pub(super) struct Disks {
    pub(super) host: Host,
    pub(super) devices: Arc<dyn Devices>,
}

pub(super) fn refused(path: &Path, why: String, remedy: &str) -> Error {
    Error::new(ErrorKind::Refused, Op::Prove, Subject::device(path), why).with_remedy(remedy)
}

fn busy(path: &Path, why: String) -> Error {
    Error::new(ErrorKind::Busy, Op::Prove, Subject::device(path), why)
        .with_remedy("end that use first; look with lsblk and fuser for who uses it")
}

fn unknown(path: &Path, error: io::Error) -> Error {
    Error::from_io(Op::Prove, Subject::device(path), "can't tell who it is", error)
}

impl Disks {
    pub(super) fn mounts(&self) -> Result<Vec<MountEntry>> {
        let path = self.host.roots.proc.join("self/mountinfo");
        let table = read_small(self.host.files.as_ref(), &path, MAX_TABLE).map_err(|e| {
            Error::from_io(Op::Prove, Subject::path(&path), "can't read the mount table", e)
                .with_remedy("mount procfs at /proc")
        })?;
        parse_mountinfo(&table)
    }

    pub(super) fn sighting(&self, disk: &Disk) -> Sighting {
        Sighting {
            path: identity::node(&self.host, disk),
            number: disk.number,
            size: disk.size,
            block_size: disk.block_size,
            read_only: disk.read_only,
            sequence: disk.sequence,
            media: disk.media(),
        }
    }

    /// Whether what is open is the place that is meant.
    pub(super) fn same(
        &self,
        place: &PlaceRecord,
        at: &Sighting,
        device: &dyn DeviceHandle,
    ) -> Result<()> {
        let number = device.number().map_err(|e| {
            Error::from_io(Op::Prove, Subject::device(&at.path), "can't read its number", e)
        })?;
        let now = identity::disk(&self.host, number).map_err(|e| unknown(&at.path, e))?;
        if now.as_ref().is_some_and(|disk| disk.answers_to(&place.identity)) {
            return Ok(());
        }
        let now = now.and_then(|disk| disk.identity).unwrap_or_else(|| "nobody known".to_owned());
        let why = format!("it is {now}, not {}", place.identity);
        Err(refused(&at.path, why, "try again: devices change names while they come and go"))
    }

    pub(super) fn opened(
        &self,
        place: &PlaceRecord,
        at: &Sighting,
    ) -> Result<Box<dyn DeviceHandle>> {
        let device = open(self.devices.as_ref(), &at.path, DeviceAccess::Look)?;
        self.same(place, at, device.as_ref())?;
        Ok(device)
    }

    pub(super) fn proof(
        &self,
        place: &PlaceRecord,
        at: &Sighting,
        allowed: &dyn Fn(&Signature) -> bool,
    ) -> Result<DeviceProof> {
        let mounts = self.mounts()?;
        let (host, devices) = (&self.host, self.devices.as_ref());
        let proof = prove_writable(host, devices, &mounts, &at.path, at.number, allowed)?;
        let now = identity::disk(host, proof.report().number);
        let now = now.map_err(|e| unknown(&at.path, e))?;
        if !now.as_ref().is_some_and(|disk| disk.answers_to(&place.identity)) {
            let why = format!("it is not {} any more", place.identity);
            return Err(refused(&at.path, why, "try again: devices change names"));
        }
        same_size(place, proof.report())?;
        Ok(proof)
    }

    /// Why a device is in use; `None` if it is not.
    pub(super) fn use_of(&self, place: &PlaceRecord, at: &Sighting) -> Result<Option<Error>> {
        let (devices, path) = (self.devices.as_ref(), at.path.as_path());
        let (device, report) = look(&self.host, devices, &self.mounts()?, path)?;
        self.same(place, at, device.as_ref())?;
        drop(device);
        if let Some(why) = report.in_use() {
            return Ok(Some(busy(path, why)));
        }
        match open(devices, path, DeviceAccess::Claim) {
            Err(e) if e.kind() == ErrorKind::Busy => {
                let why = "another program or the kernel has claimed it".to_owned();
                return Ok(Some(busy(path, why).with_source(e)));
            }
            other => drop(other?),
        }
        let writers = devices.writers(report.number).map_err(|e| {
            let what = "can't tell whether another process writes to it";
            Error::from_io(Op::Prove, Subject::device(path), what, e)
        })?;
        let why = || format!("it is open for writing in {}", writers.join(", "));
        Ok((!writers.is_empty()).then(|| busy(path, why())))
    }
}

/// The size that is known is the size that was judged.
fn same_size(place: &PlaceRecord, report: &DeviceReport) -> Result<()> {
    if report.size == place.size {
        return Ok(());
    }
    let why = format!("it has {}, not the {} it was known with", report.size, place.size);
    let remedy = "find out why; to take it as it is, create its pool again naming it";
    Err(refused(&report.path, why, remedy))
}
