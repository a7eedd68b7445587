//! Disks that can be taken away and given back.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use open_local_core::host::{SystemClock, poll_until};
use open_local_core::{Attachment, Bytes, VolumeId};
use open_local_tests::Scratch;
use open_local_tests::dm::{Disk, Fault, FaultyDevice};

const WAIT: Duration = Duration::from_secs(30);

/// How a disk goes away.
#[derive(Debug)]
pub(crate) enum Removable {
    /// The kernel is told to forget a SCSI disk, and later to look for disks.
    Scsi,
    /// The same with the PCI device of an NVMe disk.
    Nvme,
    /// Every I/O fails, as when a cable is pulled and the device stays known.
    Mapped(FaultyDevice),
}

impl Removable {
    pub(crate) fn mapped(scratch: &Scratch) -> Self {
        let disk = Disk::by_serial("removable-scsi");
        Self::Mapped(FaultyDevice::over(scratch.run_id(), "disk", disk.number, disk.size))
    }

    const fn serial(&self) -> &'static str {
        match self {
            Self::Nvme => "removable-nvme",
            _ => "removable-scsi",
        }
    }

    fn disk(&self) -> Disk {
        Disk::by_serial(self.serial())
    }

    /// Its node now.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Mapped(device) => device.device().path(),
            _ => self.disk().path(),
        }
    }

    /// It as the published device of a volume.
    pub(crate) fn attachment(&self, volume: VolumeId) -> Attachment {
        let number = match self {
            Self::Mapped(device) => device.device().number(),
            _ => self.disk().number,
        };
        Attachment::new(volume, self.path(), number, Bytes::new(512))
    }

    pub(crate) fn take_away(&self) {
        match self {
            Self::Scsi => fs::write(self.disk().sys().join("device/delete"), "1").unwrap(),
            Self::Nvme => fs::write(self.disk().sys().join("device/device/remove"), "1").unwrap(),
            Self::Mapped(device) => device.set(Fault::Everything),
        }
    }

    pub(crate) fn give_back(&self) {
        match self {
            Self::Scsi => {
                for host in fs::read_dir("/sys/class/scsi_host").unwrap() {
                    fs::write(host.unwrap().path().join("scan"), "- - -").unwrap();
                }
            }
            Self::Nvme => fs::write("/sys/bus/pci/rescan", "1").unwrap(),
            Self::Mapped(device) => device.set(Fault::None),
        }
        let serial = self.serial();
        let is_back = || {
            let all = Disk::all();
            // A disk is known a moment before it can be read.
            let found = all.iter().find(|d| d.serial().as_deref() == Some(serial));
            let ready = found.filter(|d| d.size > Bytes::new(0) && d.path().exists());
            Ok(ready.map(|_| ()))
        };
        assert_eq!(poll_until(&SystemClock, WAIT, is_back).unwrap(), Some(()), "{serial} is back");
    }
}
