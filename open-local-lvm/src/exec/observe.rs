//! What the devices of a session hold: labels, metadata areas, and the group they agree on.

use std::collections::BTreeMap;
use std::sync::Arc;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::device::Device;
use crate::format::check::{Finding, FindingKind, Object};
use crate::format::crc::crc;
use crate::format::group::{Metadata, VolumeGroup};
use crate::format::id::LvmId;
use crate::format::label::{Label, LabelScan, SECTOR};
use crate::format::mda::MdaHeader;
use crate::format::text::{Duplicate, MAX_TEXT};

/// Bytes at the beginning of a device in which a label is looked for.
const LABEL_BYTES: u64 = 4 * 512;
/// Where the header of the first metadata area is on nearly every device.
const FIRST_AREA: u64 = 4096;
/// What is read at once: the label and that header.
const START_BYTES: u64 = FIRST_AREA + 512;

type Sector = [u8; SECTOR];

/// A device with its label.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its index in the session.
    pub(super) device: usize,
    pub(super) label: Label,
    pub(super) areas: Vec<Area>,
}

/// A text of an area.
#[derive(Debug, Clone)]
pub(super) struct ReadText {
    pub(super) metadata: Arc<Metadata>,
    /// Keys that stand twice in a section of it, of which the values know one only.
    duplicates: Arc<[Duplicate]>,
}

/// A metadata area.
#[derive(Debug, Clone)]
pub(super) struct Area {
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) state: AreaState,
}

/// What an area holds.
#[derive(Debug, Clone)]
pub(super) enum AreaState {
    /// A good header, and the text that counts if there is one.
    Good { sector: Box<Sector>, header: MdaHeader, text: Option<ReadText> },
    /// A good header and a text that is none.
    BadText { header: MdaHeader, why: String },
    /// A header that is none.
    BadHeader { why: String },
    /// The device gives an error.
    Unreadable { why: String },
}

impl Area {
    pub(super) fn header(&self) -> Option<&MdaHeader> {
        match &self.state {
            AreaState::Good { header, .. } | AreaState::BadText { header, .. } => Some(header),
            _ => None,
        }
    }

    fn read_text(&self) -> Option<&ReadText> {
        match &self.state {
            AreaState::Good { text, header, .. } if !header.is_ignored() => text.as_ref(),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&Arc<Metadata>> {
        self.read_text().map(|text| &text.metadata)
    }

    /// Whether lvm2 has set it aside; then nothing is written to it.
    pub(super) fn is_ignored(&self) -> bool {
        self.header().is_some_and(MdaHeader::is_ignored)
    }
}

/// All devices of a session, as they were read at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Observed {
    seen: Vec<Arc<Seen>>,
}

/// One device, and the bytes by which it is known again.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// The size of the device then.
    size: u64,
    start: Vec<u8>,
    member: Option<Member>,
    findings: Vec<Finding>,
}

/// One group among them.
#[derive(Debug, Clone)]
pub(super) struct ObservedGroup {
    pub(super) metadata: Arc<Metadata>,
    /// Devices that the text names, in its order; `None` for one that is not there.
    pub(super) members: Vec<Option<Member>>,
    /// Devices that hold a text of the group but are not in it any more.
    pub(super) outdated: Vec<Member>,
    pub(super) findings: Vec<Finding>,
}

/// The beginning of a device: where labels are, and the first header if it is not too short.
struct Start(Vec<u8>);

impl Start {
    /// The size is asked first: what lies where depends on it.
    fn read(device: &Device) -> Result<Self> {
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
    fn of(index: usize, device: &Device, start: Result<Start>, parsed: &mut Parsed) -> Self {
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
    fn set_area(&mut self, start: u64, state: AreaState) {
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
    fn is_current(&self, device: &Device, start: &Start) -> bool {
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

impl Observed {
    /// Reads all devices; of those whose headers are as in `before` the texts are not read again.
    pub(super) fn of(devices: &[Device], before: Option<&Self>) -> Self {
        // Areas of a group hold the same text: it is parsed once.
        let mut parsed = Parsed { before, texts: BTreeMap::new() };
        let seen = devices.iter().enumerate().map(|(index, device)| {
            let known = before.and_then(|before| before.seen.get(index));
            let start = Start::read(device);
            let current = |start| known.filter(|known| known.is_current(device, start));
            match start.as_ref().ok().and_then(current) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Seen::of(index, device, start, &mut parsed)),
            }
        });
        Self { seen: seen.collect() }
    }

    /// The same after a commit that wrote these headers, and a text that was read back, to areas
    /// of the devices: what would be read there now.
    pub(super) fn with_written(
        &self,
        text: &Arc<Metadata>,
        written: &[(usize, u64, Sector)],
    ) -> Result<Self> {
        let mut now = self.clone();
        let seen = now.seen.iter_mut().filter_map(|seen| {
            let device = seen.member.as_ref()?.device;
            let own: Vec<_> = written.iter().filter(|(of, ..)| *of == device).collect();
            (!own.is_empty()).then_some((seen, own))
        });
        for (seen, own) in seen {
            let seen = Arc::make_mut(seen);
            for (_, start, sector) in own {
                let header = MdaHeader::parse(sector, *start)?;
                let sector = Box::new(*sector);
                let metadata = Arc::clone(text);
                // A text that we print has each key once.
                let text = Some(ReadText { metadata, duplicates: Arc::default() });
                let state = AreaState::Good { sector, header, text };
                seen.set_area(*start, state);
            }
        }
        Ok(now)
    }

    /// Devices that have a label.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.seen.iter().filter_map(|seen| seen.member.as_ref())
    }

    /// What is wrong with single devices.
    pub(super) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.seen.iter().flat_map(|seen| &seen.findings)
    }

    /// Every text on the devices.
    fn texts(&self) -> impl Iterator<Item = &Arc<Metadata>> {
        self.members().flat_map(|member| &member.areas).filter_map(Area::text)
    }

    /// The text that counts of every group: the one with the highest sequence number, and of
    /// several with one number the first that was read.
    fn newest(&self) -> BTreeMap<LvmId, &Arc<Metadata>> {
        let mut newest: BTreeMap<LvmId, &Arc<Metadata>> = BTreeMap::new();
        for text in self.texts() {
            let group = &text.group;
            let best = newest.entry(group.id).or_insert(text);
            if group.seqno > best.group.seqno {
                *best = text;
            }
        }
        newest
    }

    /// The names of all groups, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let newest = self.newest();
        let mut names: Vec<String> = newest.values().map(|text| text.group.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The group that has a physical volume by the text that counts.
    pub(super) fn owner(&self, id: &LvmId) -> Option<String> {
        let newest = self.newest();
        let owner = newest.values().find(|text| text.group.physical_by_id(id).is_some())?;
        Some(owner.group.name.clone())
    }

    /// A group by its name.
    pub(super) fn group(&self, name: &str) -> Result<ObservedGroup> {
        let newest = self.newest();
        let mut named = newest.values().filter(|text| text.group.name == name);
        let Some(text) = named.next() else {
            return Err(self.no_group(name));
        };
        let others = named.count();
        let mut findings = Vec::new();
        if others > 0 {
            let message = format!("{} groups have this name", others.saturating_add(1));
            let object = Object::Group(name.to_owned());
            findings.push(Finding::new(FindingKind::DuplicateGroup, object, message));
        }
        Ok(self.assemble(text, findings))
    }

    fn no_group(&self, name: &str) -> Error {
        let damaged = |finding: &&Finding| {
            matches!(finding.kind, FindingKind::DamagedHeader | FindingKind::DamagedText)
        };
        let subject = Subject::value(name);
        match self.findings().find(damaged) {
            None => {
                let message = "no device that was given holds a group of this name";
                Error::new(ErrorKind::NotFound, Op::ReadState, subject, message)
                    .with_remedy("give the devices of its physical volumes")
            }
            Some(finding) => {
                let message = format!("no device holds a group of this name; {finding}");
                Error::new(ErrorKind::Corrupt, Op::ReadState, subject, message).with_remedy(
                    "restore it from its backup: vgcfgrestore, with the file of /etc/lvm/backup",
                )
            }
        }
    }

    /// Keys that stand twice in a text of the version that counts. The values know one of each:
    /// written from them, the others were gone.
    fn duplicates(&self, group: &VolumeGroup) -> Vec<Finding> {
        let areas = self.members().flat_map(|member| &member.areas);
        let texts = areas.filter_map(Area::read_text).filter(|text| {
            let own = &text.metadata.group;
            own.id == group.id && own.seqno == group.seqno
        });
        let mut found = Vec::new();
        for duplicate in texts.flat_map(|text| text.duplicates.iter()) {
            let message = format!("{} has the key {} twice", duplicate.place(), duplicate.key);
            let object = Object::Group(group.name.clone());
            let finding = Finding::new(FindingKind::DuplicateKey, object, message);
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
        found
    }

    fn assemble(&self, text: &Arc<Metadata>, findings: Vec<Finding>) -> ObservedGroup {
        let group = &text.group;
        let mut found = ObservedGroup {
            members: Vec::new(),
            outdated: Vec::new(),
            findings,
            metadata: Arc::clone(text),
        };
        found.findings.extend(self.duplicates(group));
        for pv in &group.physical_volumes {
            let mut devices = self.members().filter(|m| m.label.header.id == pv.id);
            let first = devices.next().cloned();
            let object = || Object::Physical(pv.key.clone());
            if first.is_none() {
                let message = format!("{} is on none of the devices that were given", pv.id);
                found.findings.push(Finding::new(FindingKind::AbsentPhysical, object(), message));
            } else if devices.next().is_some() {
                let message = format!("{} is on two of the devices that were given", pv.id);
                let kind = FindingKind::DuplicatePhysical;
                found.findings.push(Finding::new(kind, object(), message));
            }
            found.members.push(first);
        }
        let ours = |member: &&Member| {
            let mut texts = member.areas.iter().filter_map(Area::text);
            let is_member = group.physical_by_id(&member.label.header.id).is_some();
            !is_member && texts.any(|text| text.group.id == group.id)
        };
        found.outdated = self.members().filter(ours).cloned().collect();
        found
    }
}

/// Texts that were read, and those from which volumes are known.
struct Parsed<'b> {
    before: Option<&'b Observed>,
    /// By checksum and length.
    texts: BTreeMap<(u32, u64), Vec<WasRead>>,
}

/// A text with what it says.
type WasRead = (Vec<u8>, ReadText);

fn read_area(
    device: &Device,
    sector: Result<Sector>,
    start: u64,
    size: u64,
    parsed: &mut Parsed<'_>,
) -> AreaState {
    let sector = match sector {
        Ok(sector) => sector,
        Err(error) => return AreaState::Unreadable { why: error.report().to_string() },
    };
    let header = match MdaHeader::parse(&sector, start) {
        Ok(header) if header.size == size => header,
        Ok(header) => {
            let why = format!("the label says it has {size} bytes, its header {}", header.size);
            return AreaState::BadHeader { why };
        }
        Err(error) => {
            return AreaState::BadHeader { why: error.report().to_string() };
        }
    };
    if !header.committed.is_set() || header.is_ignored() {
        return AreaState::Good { sector: Box::new(sector), header, text: None };
    }
    match read_text(device, &header, parsed) {
        Ok(text) => AreaState::Good { sector: Box::new(sector), header, text: Some(text) },
        Err(error) => AreaState::BadText { header, why: error.report().to_string() },
    }
}

/// The header's sector.
pub(super) fn read_sector(device: &Device, start: u64) -> Result<Sector> {
    let sector = device.read(start, 512)?;
    sector.try_into().map_err(|_| {
        Error::new(ErrorKind::Corrupt, Op::ReadDevice, device.subject(), "read too little")
    })
}

/// The bytes of the text that counts, with the zero byte that ends it; the checksum is right.
pub(super) fn read_committed(device: &Device, header: &MdaHeader) -> Result<Vec<u8>> {
    let about =
        |message: String| Error::new(ErrorKind::Corrupt, Op::ReadDevice, device.subject(), message);
    let location = &header.committed;
    if location.size > u64::try_from(MAX_TEXT).unwrap_or(u64::MAX) {
        return Err(about(format!("a text of {} bytes is too long", location.size)));
    }
    let mut text = Vec::new();
    for part in location.placement(header.size)?.parts() {
        let offset = header.start.saturating_add(part.start);
        text.extend(device.read(offset, part.end.saturating_sub(part.start))?);
    }
    if crc(&text) != location.checksum {
        return Err(about(format!(
            "the checksum of the text at byte {} is wrong",
            location.offset
        )));
    }
    Ok(text)
}

fn read_text(device: &Device, header: &MdaHeader, parsed: &mut Parsed<'_>) -> Result<ReadText> {
    let bytes = read_committed(device, header)?;
    let same = parsed.texts.entry((header.committed.checksum, header.committed.size)).or_default();
    if let Some((_, known)) = same.iter().find(|(other, _)| *other == bytes) {
        return Ok(known.clone());
    }
    // A group is known by its name here only so that its volumes need not be read again.
    let name = bytes.split(|byte| matches!(byte, b' ' | b'{' | b'\n')).next().unwrap_or_default();
    let mut before = parsed.before.into_iter().flat_map(Observed::texts);
    let known = before.find(|text| text.group.name.as_bytes() == name);
    let (metadata, duplicates) = Metadata::parse_noting(&bytes, known.map(|known| &**known))?;
    // The same version as before, on another device or with other neighbours.
    let metadata = match known.filter(|known| ***known == metadata) {
        Some(known) => Arc::clone(known),
        None => Arc::new(metadata),
    };
    let text = ReadText { metadata, duplicates: duplicates.into() };
    same.push((bytes, text.clone()));
    Ok(text)
}
