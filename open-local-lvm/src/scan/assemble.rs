//! From devices to groups.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::host::{BlockIo, DeviceAccess, Devices};

use super::area::{AreaText, MetadataArea, Texts};
use super::device::ScannedDevice;
use super::groups::ScannedGroup;
use crate::format::check::{Finding, FindingKind, Object, check};
use crate::format::id::LvmId;

/// What a scan has to know of the host.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The host's system id as lvm2 has it (`lvm systemid`); `None` where it has none. A group
    /// with another one is foreign.
    pub system_id: Option<String>,
}

impl Options {
    /// With the host's system id.
    #[must_use]
    pub fn with_system_id(mut self, id: impl Into<String>) -> Self {
        self.system_id = Some(id.into());
        self
    }
}

/// What was found on devices.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Scan {
    /// Every device, in the order given, physical volume or not.
    pub devices: Vec<ScannedDevice>,
    /// The groups, by name, then UUID.
    pub groups: Vec<ScannedGroup>,
}

impl Scan {
    /// A group by its name; of two with the same name the first.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&ScannedGroup> {
        self.groups.iter().find(|group| group.group().name == name)
    }

    /// Physical volumes that belong to no group found.
    pub fn free_devices(&self) -> impl Iterator<Item = &ScannedDevice> {
        let member = |index| self.groups.iter().any(|group| group.members.contains(&Some(index)));
        let devices = self.devices.iter().enumerate();
        devices
            .filter(move |(index, device)| device.label.is_some() && !member(*index))
            .map(|d| d.1)
    }

    /// All findings: of the devices, then of the groups.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let devices = self.devices.iter().flat_map(|device| &device.findings);
        devices.chain(self.groups.iter().flat_map(|group| &group.findings))
    }
}

/// Reads the given devices and puts their groups together.
///
/// # Blocking
/// Reads each device once; a hung one hangs the call.
pub fn scan<'a>(
    devices: impl IntoIterator<Item = (&'a Path, &'a dyn BlockIo)>,
    options: &Options,
) -> Scan {
    let mut texts = Texts::default();
    let devices = devices.into_iter();
    let devices = devices.map(|(path, io)| ScannedDevice::read(path, io, &mut texts));
    assemble(devices.collect(), options)
}

/// Opens devices for reading beside whoever uses them, one after the other, and does as [`scan`].
///
/// # Privileges
/// Read access to the devices.
pub fn open_and_scan(machine: &dyn Devices, paths: &[PathBuf], options: &Options) -> Scan {
    let mut texts = Texts::default();
    let devices = paths.iter().map(|path| match machine.open(path, DeviceAccess::Look) {
        Ok(device) => ScannedDevice::read(path, &*device, &mut texts),
        Err(error) => ScannedDevice::unreadable(path, format!("can't open it: {error}")),
    });
    assemble(devices.collect(), options)
}

/// The texts of a group and the areas that hold them.
type Copies<'a> = Vec<(&'a ScannedDevice, &'a MetadataArea, &'a Arc<AreaText>)>;

fn assemble(mut devices: Vec<ScannedDevice>, options: &Options) -> Scan {
    let by_id = distinct(&mut devices);
    let mut copies: BTreeMap<LvmId, Copies<'_>> = BTreeMap::new();
    for device in &devices {
        for area in &device.areas {
            if let Some(text) = &area.text {
                copies.entry(text.metadata.group.id).or_default().push((device, area, text));
            }
        }
    }
    let groups = copies.values().filter_map(|copies| group(copies, &devices, &by_id, options));
    let mut groups: Vec<ScannedGroup> = groups.collect();
    groups.sort_by(|a, b| {
        let key = |group: &ScannedGroup| (group.group().name.clone(), group.group().id);
        key(a).cmp(&key(b))
    });
    same_names(&mut groups);
    strays(&mut devices, &groups);
    Scan { devices, groups }
}

/// Devices by the UUID of their physical volume; of several with the same one the first, each
/// with a finding.
fn distinct(devices: &mut [ScannedDevice]) -> HashMap<LvmId, usize> {
    let mut all: BTreeMap<LvmId, Vec<usize>> = BTreeMap::new();
    for (index, device) in devices.iter().enumerate() {
        if let Some(id) = device.id() {
            all.entry(id).or_default().push(index);
        }
    }
    let twins = all.iter().filter(|(_, indices)| indices.len() > 1);
    for (id, indices) in twins {
        let count = indices.len();
        for index in indices {
            if let Some(device) = devices.get_mut(*index) {
                let message = format!("is one of {count} devices with the physical volume {id}");
                device.add(FindingKind::DuplicatePhysical, message);
            }
        }
    }
    all.into_iter().filter_map(|(id, indices)| Some((id, *indices.first()?))).collect()
}

/// The text with the highest number; of several the first.
fn newest<'a>(
    mut copies: impl Iterator<Item = &'a (&'a ScannedDevice, &'a MetadataArea, &'a Arc<AreaText>)>,
) -> Option<&'a Arc<AreaText>> {
    let seqno = |text: &AreaText| text.metadata.group.seqno;
    let (_, _, first) = copies.next()?;
    Some(
        copies
            .fold(*first, |best, (_, _, text)| if seqno(text) > seqno(best) { text } else { best }),
    )
}

fn group(
    copies: &Copies<'_>,
    devices: &[ScannedDevice],
    by_id: &HashMap<LvmId, usize>,
    options: &Options,
) -> Option<ScannedGroup> {
    let in_use = copies.iter().filter(|(_, area, _)| !area.is_ignored());
    let chosen = newest(in_use).or_else(|| newest(copies.iter()))?;
    let metadata = &chosen.metadata;
    let mut findings = Vec::new();
    copies_findings(copies, chosen, &mut findings);
    findings.extend(check(&metadata.group));
    for duplicate in &chosen.duplicates {
        let message = format!("{} has the key {} twice", duplicate.place(), duplicate.key);
        let object = Object::Group(metadata.group.name.clone());
        findings.push(Finding::new(FindingKind::DuplicateKey, object, message));
    }
    let owner = metadata.group.system_id.as_deref().filter(|id| !id.is_empty());
    if let Some(owner) = owner.filter(|owner| options.system_id.as_deref() != Some(*owner)) {
        let object = Object::Group(metadata.group.name.clone());
        let message = format!("belongs to the host with system id {owner}");
        findings.push(Finding::new(FindingKind::Foreign, object, message));
    }
    let mut members = Vec::new();
    for pv in &metadata.group.physical_volumes {
        let member = by_id.get(&pv.id).copied();
        let device = member.and_then(|index| devices.get(index));
        let doubled = |finding: &Finding| finding.kind == FindingKind::DuplicatePhysical;
        if device.is_some_and(|device| device.findings.iter().any(doubled)) {
            let message = format!("{} is on more than one device", pv.id);
            let object = Object::Physical(pv.key.clone());
            findings.push(Finding::new(FindingKind::DuplicatePhysical, object, message));
        }
        if member.is_none() {
            let message = format!("{} is on none of the devices that were read", pv.id);
            let object = Object::Physical(pv.key.clone());
            findings.push(Finding::new(FindingKind::AbsentPhysical, object, message));
        }
        members.push(member);
    }
    Some(ScannedGroup { text: Arc::clone(chosen), members, findings })
}

/// Areas that hold another text than the one that counts.
fn copies_findings(copies: &Copies<'_>, chosen: &Arc<AreaText>, findings: &mut Vec<Finding>) {
    let seqno = chosen.metadata.group.seqno;
    for (device, area, text) in copies {
        let own = text.metadata.group.seqno;
        let object = Object::MetadataArea(device.name(), area.place.offset);
        if own != seqno && !area.is_ignored() {
            let message = format!("has sequence number {own}, the newest is {seqno}");
            findings.push(Finding::new(FindingKind::StaleArea, object, message));
        } else if own == seqno && text.raw != chosen.raw {
            let message = format!("has another text with the sequence number {seqno}");
            findings.push(Finding::new(FindingKind::InconsistentAreas, object, message));
        }
    }
}

fn same_names(groups: &mut [ScannedGroup]) {
    let mut count: HashMap<String, usize> = HashMap::new();
    for group in groups.iter() {
        let slot = count.entry(group.group().name.clone()).or_default();
        *slot = slot.saturating_add(1);
    }
    for group in groups {
        let name = group.group().name.clone();
        let same = count.get(&name).copied().unwrap_or(0);
        if same > 1 {
            let message = format!("{same} groups have this name; this one is {}", group.group().id);
            let object = Object::Group(name);
            group.findings.push(Finding::new(FindingKind::DuplicateGroup, object, message));
        }
    }
}

/// Devices whose own text or label says they belong to a group that does not know them.
fn strays(devices: &mut [ScannedDevice], groups: &[ScannedGroup]) {
    let mut owners: HashMap<usize, &str> = HashMap::new();
    let mut twice = Vec::new();
    for group in groups {
        for index in group.members.iter().flatten() {
            if let Some(other) = owners.insert(*index, &group.group().name) {
                twice.push((*index, format!("belongs to {other} and {}", group.group().name)));
            }
        }
    }
    for (index, message) in twice {
        if let Some(device) = devices.get_mut(index) {
            device.add(FindingKind::DuplicatePhysical, message);
        }
    }
    let physical = groups.iter().flat_map(|group| &group.group().physical_volumes);
    let known: HashSet<LvmId> = physical.map(|pv| pv.id).collect();
    for device in devices {
        if device.id().is_some_and(|id| known.contains(&id)) {
            continue;
        }
        let text = device.areas.iter().find_map(|area| area.text.as_ref());
        let name = text.map(|text| text.metadata.group.name.clone());
        let extension = device.label.as_ref().and_then(|label| label.header.extension.as_ref());
        if let Some(name) = name {
            let message = format!("holds a text of group {name}, which no longer has it");
            device.add(FindingKind::NotInGroup, message);
        } else if extension.is_some_and(|extension| extension.is_used()) {
            let message = "is marked as in use, but no group that was found has it";
            device.add(FindingKind::NotInGroup, message);
        }
    }
}
