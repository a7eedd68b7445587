//! One device: its label, its areas, and the bytes by which it is known again.

use open_local_core::Result;

use super::super::device::Device;
use super::area::{Area, AreaState, Member, Sector, read_sector};
use super::text::{Parsed, read_area};
use crate::format::check::{Finding, FindingKind, Object};
use crate::format::label::LabelScan;

/// Bytes at the beginning of a device in which a label is looked for.
const LABEL_BYTES: u64 = 4 * 512;
/// Where the header of the first metadata area is on nearly every device.
const FIRST_AREA: u64 = 4096;
/// What is read at once: the label and that header.
const START_BYTES: u64 = FIRST_AREA + 512;

/// One device, and the bytes by which it is known again.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The size of the device then.
    size: u64,
    start: Vec<u8>,
    pub(super) member: Option<Member>,
    pub(super) findings: Vec<Finding>,
}

/// The beginning of a device: where labels are, and the first header if it is not too short.
pub(super) struct Start(Vec<u8>);

impl Start {
    /// The size is asked first: what lies where depends on it.
    pub(super) fn read(device: &Device) -> Result<Self> {
        device.renew_size()?;
        let bytes = START_BYTES.min(device.size()).max(LABEL_BYTES);
        device.read(0, bytes).map(Self)
    }

    fn labels(&self) -> &[u8] {
        let end = usize::try_from(LABEL_BYTES).unwrap_or(usize::MAX);
        self.0.get(..end).unwrap_or(&self.0)
    }

    /// The header of an area: from here if it is here, else from the device.
    fn sector(&self, device: &Device, start: u64) -> Result<Sector> {
        let from = usize::try_from(start).unwrap_or(usize::MAX);
        match self.0.get(from..).and_then(|rest| rest.first_chunk()) {
            Some(sector) => Ok(*sector),
            None => read_sector(device, start),
        }
    }
}

impl Seen {
    pub(super) fn of(
        index: usize,
        device: &Device,
        start: Result<Start>,
        parsed: &mut Parsed,
    ) -> Self {
        let path = device.path.display().to_string();
        let mut seen = Self { size: device.size(), ..Self::default() };
        let start = match start {
            Ok(start) => start,
            Err(error) => {
                let message = error.report().to_string();
                seen.note(FindingKind::Unreadable, Object::Device(path), message);
                return seen;
            }
        };
        seen.start = start.labels().to_vec();
        let scan = LabelScan::of(&seen.start);
        for (_, error) in scan.damaged {
            let object = Object::Device(path.clone());
            seen.note(FindingKind::DamagedLabel, object, error.report().to_string());
        }
        let Some(label) = scan.label else {
            return seen;
        };
        if label.header.device_size > seen.size {
            let said = label.header.device_size;
            let message = format!("has {} bytes, its label says {said}", seen.size);
            seen.note(FindingKind::LabelMismatch, Object::Device(path.clone()), message);
        }
        let areas = label.header.metadata_areas.iter().map(|place| {
            let sector = start.sector(device, place.offset);
            let state = read_area(device, sector, place.offset, place.size, parsed);
            Area { start: place.offset, size: place.size, state }
        });
        let areas: Vec<Area> = areas.collect();
        areas.iter().for_each(|area| seen.note_area(&path, area));
        seen.member = Some(Member { device: index, label, areas });
        seen
    }

    fn note(&mut self, kind: FindingKind, object: Object, message: impl Into<String>) {
        self.findings.push(Finding::new(kind, object, message));
    }

    fn note_area(&mut self, path: &str, area: &Area) {
        let (kind, message) = match &area.state {
            AreaState::Good { .. } if area.is_ignored() => {
                (FindingKind::IgnoredArea, "is set aside")
            }
            AreaState::Good { header, .. } if header.precommitted.is_set() => {
                (FindingKind::Precommitted, "a commit was cut off; the text before it counts")
            }
            AreaState::Good { .. } => return,
            AreaState::BadText { why, .. } => (FindingKind::DamagedText, why.as_str()),
            AreaState::BadHeader { why, .. } => (FindingKind::DamagedHeader, why.as_str()),
            AreaState::Unreadable { why } => (FindingKind::Unreadable, why.as_str()),
        };
        self.note(kind, Object::MetadataArea(path.to_owned(), area.start), message);
    }

    /// What an area holds now; a finding about what it held is void.
    pub(super) fn set_area(&mut self, start: u64, state: AreaState) {
        let areas = self.member.iter_mut().flat_map(|member| &mut member.areas);
        for area in areas.filter(|area| area.start == start) {
            area.state = state.clone();
        }
        self.findings.retain(
            |finding| !matches!(&finding.object, Object::MetadataArea(_, at) if *at == start),
        );
    }

    /// Whether size, label and headers are those that were read before: then so are the texts,
    /// which are never written in place.
    pub(super) fn is_current(&self, device: &Device, start: &Start) -> bool {
        if device.size() != self.size || start.labels() != self.start {
            return false;
        }
        let areas = self.member.iter().flat_map(|member| &member.areas);
        areas.into_iter().all(|area| match &area.state {
            AreaState::Good { sector, .. } => {
                start.sector(device, area.start).ok().as_ref() == Some(&**sector)
            }
            _ => false,
        })
    }
}
