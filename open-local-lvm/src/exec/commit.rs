//! One text to all metadata areas of a group, so that at every moment either the old or the new
//! one counts.
//!
//! The order (lvm2's, 2.03.16, with flushes, which lvm2 does not do): the text into free room of
//! each ring; flush; a header whose second slot names it; a header whose first slot names it, which
//! is the moment from which it counts; flush; read back. A header is one sector, which disks write
//! whole or not at all. There is no flush between the two headers, which are the same sector:
//! whichever of them a power cut leaves, the text that counts is whole.

use std::ops::Range;
use std::sync::Arc;

use open_local_core::host::Host;
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::device::Device;
use super::observe::{Area, AreaState, Member, Sector, Written};
use super::pages::{Pages, Spare, ZEROES};
use crate::format::crc::crc;
use crate::format::group::Metadata;
use crate::format::mda::{MdaHeader, RawLocation};

/// Where texts begin: the 4 KiB that hold a header hold no text then.
const ALIGNMENT: u64 = 4096;

/// What is written to one area.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) device: usize,
    pub(super) start: u64,
    /// Where parts of the text go, and which bytes of it, with zeroes up to the end of a block.
    parts: Vec<(u64, Range<usize>)>,
    /// The header that announces the text; none where the header that is there is damaged.
    precommit: Option<Sector>,
    commit: Sector,
    /// The header as it was, without an announcement.
    revert: Option<Sector>,
}

/// A commit that is decided: everything that will be written.
#[derive(Debug)]
pub(super) struct Transaction {
    /// What is written, as it reads back.
    pub(super) metadata: Arc<Metadata>,
    text: Pages,
    pub(super) targets: Vec<Target>,
    /// Areas that can't be read: what is written to one can't be placed beside what it holds.
    passed_over: Vec<Degraded>,
    subject: Subject,
}

/// A metadata area that did not get a commit which others have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Degraded {
    /// The device.
    pub device: std::path::PathBuf,
    /// Where the area begins on it, in bytes.
    pub area: u64,
    /// What went wrong.
    pub why: String,
}

/// The text as it goes to devices, with its zero byte, and what it reads back as: proven to be
/// what it is meant to say.
///
/// # Errors
/// `InvalidArgument` if it can't be written or reads back differently.
fn encode(metadata: &Metadata, spare: &Spare) -> Result<(Pages, Metadata)> {
    let text = Pages::filled(spare.take(), metadata.expected_bytes(), |out| {
        let mut out = metadata.to_text_onto(out)?;
        out.push(0);
        Ok(out)
    })?;
    match metadata.read_back() {
        Ok(read) if read == *metadata => return Ok((text, read)),
        _ => {}
    }
    let message = "the text of the new version reads back as something else; nothing was written";
    let subject = Subject::value(&metadata.group.name);
    Err(Error::new(ErrorKind::InvalidArgument, Op::PlanChange, subject, message)
        .with_remedy("report it with the output of vgcfgbackup"))
}

impl Transaction {
    /// Decides what is written where; writes nothing.
    ///
    /// # Errors
    /// `OutOfSpace` if an area has no room for the text, `Corrupt` if a header makes no sense.
    pub(super) fn plan(
        devices: &[Device],
        metadata: &Metadata,
        members: &[&Member],
        spare: &Spare,
    ) -> Result<Self> {
        let (text, read) = encode(metadata, spare)?;
        let place = TextPlace { size: bytes_of(text.bytes()), checksum: crc(text.bytes()) };
        read.group.logical_volumes.set_checked_like(&metadata.group.logical_volumes);
        let metadata = Arc::new(read);
        let subject = Subject::value(&metadata.group.name);
        let mut targets = Vec::new();
        let passed_over = members.iter().flat_map(|member| unreadable(devices, member)).collect();
        for member in members {
            let areas = member.areas.iter().filter(|area| !area.is_ignored());
            for area in areas {
                if let Some(target) = Target::plan(devices, member.device, area, place)
                    .map_err(|e| about_device(e, devices, member.device))?
                {
                    targets.push(target);
                }
            }
        }
        if targets.is_empty() {
            let message = "no device has a metadata area that could be written";
            return Err(Error::new(ErrorKind::Refused, Op::PlanChange, subject, message)
                .with_remedy("add a physical volume with a metadata area"));
        }
        Ok(Self { metadata, text, targets, passed_over, subject })
    }

    /// Text on all areas, durable, and announced; the old version still counts.
    ///
    /// # Errors
    /// Those of the first device that fails; the announcements were taken back then.
    pub(super) fn prepare(&self, host: &Host, devices: &[Device]) -> Result<()> {
        let written = self.write_texts(host, devices).and_then(|()| {
            self.flush(host, devices, "flush the new text")?;
            for target in &self.targets {
                if let Some(sector) = &target.precommit {
                    self.put(host, devices, target, sector, "announce the new text")?;
                }
            }
            Ok(())
        });
        match written {
            // As after a kill: what is there stays.
            Err(error) if error.kind() == ErrorKind::Indeterminate => Err(error),
            Err(error) => Err(self.undo(host, devices, error)),
            Ok(()) => Ok(()),
        }
    }

    /// Takes the announcements back. What fails here does no harm: an announced text does not
    /// count, and the next commit replaces it.
    pub(super) fn revert(&self, host: &Host, devices: &[Device]) -> Result<()> {
        let mut first = Ok(());
        for target in &self.targets {
            let Some(sector) = &target.revert else {
                continue;
            };
            let put = self.put(host, devices, target, sector, "take back the announcement");
            match put {
                Err(error) if error.kind() == ErrorKind::Indeterminate => return Err(error),
                put => first = first.and(put),
            }
        }
        first.and(self.flush(host, devices, "flush the old header"))
    }

    fn undo(&self, host: &Host, devices: &[Device], error: Error) -> Error {
        match self.revert(host, devices) {
            Err(cut) if cut.kind() == ErrorKind::Indeterminate => cut,
            // The old version counts either way.
            _ => error.with_remedy("the old version still counts; mend the device and try again"),
        }
    }

    fn write_texts(&self, host: &Host, devices: &[Device]) -> Result<()> {
        for target in &self.targets {
            let device = device(devices, target.device)?;
            for (offset, range) in &target.parts {
                let part = self.text.part(range);
                host.checkpoints.before(
                    Op::WriteDevice,
                    &device.subject(),
                    "write the new text",
                )?;
                device.write(*offset, part)?;
            }
        }
        Ok(())
    }

    fn put(
        &self,
        host: &Host,
        devices: &[Device],
        target: &Target,
        sector: &Sector,
        step: &str,
    ) -> Result<()> {
        let device = device(devices, target.device)?;
        host.checkpoints.before(Op::WriteDevice, &device.subject(), step)?;
        device.write(target.start, sector)
    }

    fn flush(&self, host: &Host, devices: &[Device], step: &str) -> Result<()> {
        let mut indices: Vec<usize> = self.targets.iter().map(|target| target.device).collect();
        indices.dedup();
        for index in indices {
            let device = device(devices, index)?;
            host.checkpoints.before(Op::WriteDevice, &device.subject(), step)?;
            device.flush()?;
        }
        Ok(())
    }

    /// Lets the new version count. It does once one area has it; areas that fail are answered, and
    /// those that could not be read before.
    ///
    /// # Errors
    /// `Indeterminate` if it is not certain that any area has it.
    pub(super) fn commit(&self, host: &Host, devices: &[Device]) -> Result<Vec<Degraded>> {
        let mut degraded: Vec<Degraded> = Vec::new();
        let mut last = None;
        for target in &self.targets {
            match self.put(host, devices, target, &target.commit, "let the new text count") {
                Err(error) if error.kind() == ErrorKind::Indeterminate => return Err(error),
                Err(error) => {
                    degraded.push(target.degraded(devices, &error));
                    last = Some(error);
                }
                Ok(()) => {}
            }
        }
        for target in &self.targets {
            if degraded.iter().any(|bad| bad.is(devices, target)) {
                continue;
            }
            let device = device(devices, target.device)?;
            let step = "flush the new header";
            host.checkpoints.before(Op::WriteDevice, &device.subject(), step)?;
            let kept = device.flush().and_then(|()| self.read_back(device, target));
            if let Err(error) = kept {
                degraded.push(target.degraded(devices, &error));
                last = Some(error);
            }
        }
        match last {
            Some(error) if degraded.len() == self.targets.len() => {
                let message = "no metadata area is known to have the new version";
                Err(Error::new(
                    ErrorKind::Indeterminate,
                    Op::WriteDevice,
                    self.subject.clone(),
                    message,
                )
                .with_remedy("read the group again: the old or the new version counts")
                .with_source(error))
            }
            _ => {
                degraded.extend(self.passed_over.iter().cloned());
                Ok(degraded)
            }
        }
    }

    /// Reads header and text as a program that starts now would.
    fn read_back(&self, device: &Device, target: &Target) -> Result<()> {
        let differs = |what: &str| {
            let message = format!("the {what} reads back as something else than was written");
            Error::new(ErrorKind::Io, Op::ReadDevice, device.subject(), message)
                .with_remedy("do not trust this device; look at the kernel log")
        };
        if !device.holds(target.start, &target.commit)? {
            return Err(differs("header of the metadata area"));
        }
        for (offset, range) in &target.parts {
            if !device.holds(*offset, self.text.part(range))? {
                return Err(differs("metadata text"));
            }
        }
        Ok(())
    }

    /// Gives back the memory of the text.
    pub(super) fn end(self, spare: &Spare) {
        spare.give(self.text.into_memory());
    }

    /// The headers that were written, by device and area.
    pub(super) fn headers(&self) -> Vec<Written> {
        self.targets.iter().map(|target| (target.device, target.start, target.commit)).collect()
    }
}

/// What a header says of a text, but for its place.
#[derive(Debug, Clone, Copy)]
struct TextPlace {
    size: u64,
    checksum: u32,
}

fn bytes_of(text: &[u8]) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// The areas of a physical volume that can't be read, as those that do not get a commit.
pub(super) fn unreadable(devices: &[Device], member: &Member) -> Vec<Degraded> {
    let path = devices.get(member.device).map(|device| device.path.clone()).unwrap_or_default();
    let one = |area: &Area| match &area.state {
        AreaState::Unreadable { why } => {
            Some(Degraded { device: path.clone(), area: area.start, why: why.clone() })
        }
        _ => None,
    };
    member.areas.iter().filter_map(one).collect()
}

impl Degraded {
    fn is(&self, devices: &[Device], target: &Target) -> bool {
        let path = devices.get(target.device).map(|device| &device.path);
        self.area == target.start && path == Some(&self.device)
    }
}

impl Target {
    /// What a commit of this text writes to an area; nothing if it can't be read.
    fn plan(
        devices: &[Device],
        index: usize,
        area: &Area,
        text: TextPlace,
    ) -> Result<Option<Self>> {
        let blank = MdaHeader::empty(area.start, area.size);
        let (old, announce) = match &area.state {
            AreaState::Good { header, .. } => (*header, true),
            // Its place tells what must not be touched no more than the text does.
            AreaState::BadText { header, .. } => {
                (MdaHeader { committed: RawLocation::default(), ..*header }, false)
            }
            AreaState::BadHeader { .. } => (blank, false),
            AreaState::Unreadable { .. } => return Ok(None),
        };
        let TextPlace { size, checksum } = text;
        let place = old.next_placement(size, ALIGNMENT)?;
        let new =
            RawLocation { offset: place.first.start, size, checksum, flags: old.committed.flags };
        let none = RawLocation::default();
        let padding = old.padding(&place, device(devices, index)?.unit());
        let padding = padding.and_then(|bytes| usize::try_from(bytes).ok());
        let mut parts: Vec<(u64, Range<usize>)> = Vec::new();
        let mut done = 0usize;
        for part in place.parts() {
            let length = usize::try_from(part.end.saturating_sub(part.start)).unwrap_or(usize::MAX);
            let end = done.saturating_add(length);
            parts.push((area.start.saturating_add(part.start), done..end));
            done = end;
        }
        // Else what stands there is read first and written again.
        if let Some((_, last)) = parts.last_mut()
            && let Some(padding) = padding.filter(|bytes| *bytes <= ZEROES)
        {
            last.end = last.end.saturating_add(padding);
        }
        Ok(Some(Self {
            device: index,
            start: area.start,
            parts,
            precommit: announce.then(|| MdaHeader { precommitted: new, ..old }.encode()),
            commit: MdaHeader { committed: new, precommitted: none, ..old }.encode(),
            revert: announce.then(|| MdaHeader { precommitted: none, ..old }.encode()),
        }))
    }

    fn degraded(&self, devices: &[Device], error: &Error) -> Degraded {
        let device = devices.get(self.device).map(|device| device.path.clone());
        let why = error.report().to_string();
        Degraded { device: device.unwrap_or_default(), area: self.start, why }
    }
}

/// A device of the session by its index.
pub(super) fn device(devices: &[Device], index: usize) -> Result<&Device> {
    devices.get(index).ok_or_else(|| {
        let message = format!("device {index} is not one of this session");
        Error::new(ErrorKind::InvalidArgument, Op::WriteDevice, Subject::Host, message)
    })
}

fn about_device(error: Error, devices: &[Device], index: usize) -> Error {
    let Some(device) = devices.get(index) else {
        return error;
    };
    let remedy = error.remedy().unwrap_or("look at it with: vgck --updatemetadata").to_owned();
    let message = "its metadata area can't take the new version";
    Error::new(error.kind(), Op::PlanChange, device.subject(), message)
        .with_remedy(remedy)
        .with_source(error)
}
