//! A device as it was read.

use std::path::{Path, PathBuf};

use open_local_core::Bytes;
use open_local_core::host::BlockIo;

use super::area::{MetadataArea, Texts};
use super::blocks;
use crate::format::check::{Finding, FindingKind, Object};
use crate::format::id::LvmId;
use crate::format::label::{Label, LabelScan};

/// Where a label may be.
const LABEL_BYTES: u64 = 2048;

/// A device as it was read.
#[derive(Debug, Clone)]
pub struct ScannedDevice {
    /// The path it was given with.
    pub path: PathBuf,
    /// Its size; zero if it could not be asked.
    pub size: Bytes,
    /// Its label, if it is a physical volume.
    pub label: Option<Label>,
    /// Its metadata areas, in the order of the label.
    pub areas: Vec<MetadataArea>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl ScannedDevice {
    /// The UUID of the physical volume, if it is one.
    #[must_use]
    pub fn id(&self) -> Option<LvmId> {
        self.label.as_ref().map(|label| label.header.id)
    }

    /// The path as text, for messages and reports.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn unreadable(path: &Path, message: String) -> Self {
        let mut device = Self {
            path: path.to_path_buf(),
            size: Bytes::ZERO,
            label: None,
            areas: Vec::new(),
            findings: Vec::new(),
        };
        device.add(FindingKind::Unreadable, message);
        device
    }

    pub(super) fn add(&mut self, kind: FindingKind, message: impl Into<String>) {
        let object = Object::Device(self.name());
        self.findings.push(Finding::new(kind, object, message));
    }

    pub(super) fn read(path: &Path, io: &dyn BlockIo, texts: &mut Texts) -> Self {
        let start = io.size().and_then(|size| {
            let length = usize::try_from(size.get().min(LABEL_BYTES)).unwrap_or(0);
            blocks::read(io, 0, length).map(|start| (size, start))
        });
        let (size, start) = match start {
            Ok(read) => read,
            Err(error) => return Self::unreadable(path, format!("can't read it: {error}")),
        };
        let scan = LabelScan::of(&start);
        let mut device = Self {
            path: path.to_path_buf(),
            size,
            label: None,
            areas: Vec::new(),
            findings: Vec::new(),
        };
        for (_, error) in scan.damaged {
            let message = format!("{}: {}", error.subject(), error.message());
            device.add(FindingKind::DamagedLabel, message);
        }
        for sector in scan.ignored {
            device.add(FindingKind::SecondLabel, format!("has another label in sector {sector}"));
        }
        let Some(label) = scan.label else {
            return device;
        };
        if label.header.device_size > size.get() {
            let message =
                format!("has {} bytes, its label says {}", size.get(), label.header.device_size);
            device.add(FindingKind::LabelMismatch, message);
        }
        let name = device.name();
        for place in &label.header.metadata_areas {
            let area = MetadataArea::read(io, &name, *place, texts, &mut device.findings);
            device.areas.push(area);
        }
        device.label = Some(label);
        device
    }
}
