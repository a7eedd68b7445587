//! The verdict on every device (pure).

use std::collections::{BTreeMap, BTreeSet};

use super::device::order;
use super::duplicates::duplicates;
use super::{BlockDevice, DeviceKind, Filter, Probe, Reason, Selection};
use crate::plan::{Exclusive, Name};
use crate::raw::Signature;
use crate::units::Bytes;

/// Which devices are offered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Policy {
    /// The kinds of devices and disks that are offered.
    pub kinds: BTreeSet<DeviceKind>,
    /// The smallest size; 1 GiB unless set, below which there are boot partitions that carry no
    /// signature (BIOS boot, PReP).
    pub minimum: Bytes,
    /// Which names.
    pub filter: Filter,
}

impl Default for Policy {
    /// Disks, partitions, software RAID and multipath devices of 1 GiB and more.
    fn default() -> Self {
        let kinds = [
            DeviceKind::Scsi,
            DeviceKind::Nvme,
            DeviceKind::Virtio,
            DeviceKind::Xen,
            DeviceKind::Mmc,
            DeviceKind::Pmem,
            DeviceKind::Md,
            DeviceKind::DmMultipath,
            DeviceKind::DmPartition,
        ];
        Self { kinds: kinds.into(), minimum: Bytes::GIB, filter: Filter::everything() }
    }
}

impl Policy {
    /// Offers this kind too.
    #[must_use]
    pub fn with_kind(mut self, kind: DeviceKind) -> Self {
        self.kinds.insert(kind);
        self
    }

    /// Sets the smallest size.
    #[must_use]
    pub const fn with_minimum(mut self, minimum: Bytes) -> Self {
        self.minimum = minimum;
        self
    }

    /// Whether devices of this kind and name are offered at all.
    #[must_use]
    pub fn considers(&self, device: &BlockDevice) -> bool {
        let name = device.node.to_string_lossy();
        self.kinds.contains(&device.kind) && self.filter.judge(&name) == Selection::Chosen
    }

    /// Sets which names.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }
}

/// What was found of a device: free, or why not. Never free if there is a reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    reasons: Vec<Reason>,
}

impl Verdict {
    /// Whether it may be claimed. A claim looks again.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Why not, the most telling first; empty for a free device.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// In a few words, for a table.
    #[must_use]
    pub fn short(&self) -> String {
        let words: Vec<String> = self.reasons.iter().map(Reason::short).collect();
        if words.is_empty() { "free".to_owned() } else { words.join(", ") }
    }
}

/// A device and what was found of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judged {
    /// The device.
    pub device: BlockDevice,
    /// The verdict.
    pub verdict: Verdict,
}

/// Judges all devices of a host together; sorted by name, a disk before its partitions, `loop2`
/// before `loop10`. The order of the input makes no difference.
///
/// `probes` says what was found in a device, by kernel name; one that is missing was not looked
/// into and is never free. Verdicts depend on the other devices (partitions, paths, loop devices
/// over disks), so `devices` must be all of them; narrowing is the [`Policy`]'s.
#[must_use]
pub fn judge(
    devices: &[BlockDevice],
    probes: &BTreeMap<String, Probe>,
    policy: &Policy,
) -> Vec<Judged> {
    let all = All::of(devices);
    let mut judged: Vec<Judged> = devices
        .iter()
        .map(|device| {
            let mut reasons = Vec::new();
            of_use(device, &all, &mut reasons);
            of_content(device, probes.get(&device.name), &mut reasons);
            of_policy(device, policy, &mut reasons);
            if reasons.is_empty() && !probes.contains_key(&device.name) {
                reasons.push(Reason::NotProbed);
            }
            Judged { device: device.clone(), verdict: Verdict { reasons } }
        })
        .collect();
    judged.sort_by(|a, b| order(&a.device.name).cmp(&order(&b.device.name)));
    judged
}

/// Free devices as the planner takes them, named by their nodes.
///
/// # Errors
/// `InvalidArgument` for a node whose name the planner does not take.
pub fn exclusives(judged: &[Judged]) -> crate::error::Result<Vec<Exclusive>> {
    let free = judged.iter().filter(|one| one.verdict.is_free());
    free.map(|one| {
        let name = Name::new(one.device.node.to_string_lossy())?;
        Ok(Exclusive::new(name, one.device.size).with_media(one.device.media()))
    })
    .collect()
}

/// What is known of the devices together.
struct All<'a> {
    by_name: BTreeMap<&'a str, &'a BlockDevice>,
    duplicates: BTreeMap<&'a str, &'a str>,
    /// Loop devices over devices, by the number of the latter.
    windows: BTreeMap<crate::DeviceNumber, Vec<String>>,
}

impl<'a> All<'a> {
    fn of(devices: &'a [BlockDevice]) -> Self {
        let mut windows: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for device in devices {
            if let Some(behind) = device.window.and_then(|window| window.device) {
                windows.entry(behind).or_default().push(device.name.clone());
            }
        }
        Self {
            by_name: devices.iter().map(|device| (device.name.as_str(), device)).collect(),
            duplicates: duplicates(devices),
            windows,
        }
    }

    /// Devices made of this one, loop devices over it among them.
    fn holders(&self, device: &BlockDevice) -> Vec<String> {
        let windows = self.windows.get(&device.number).into_iter().flatten();
        let mut holders: Vec<String> = device.holders.iter().chain(windows).cloned().collect();
        holders.sort_by(|a, b| order(a).cmp(&order(b)));
        holders.dedup();
        holders
    }
}

/// Reasons from how it is used.
fn of_use(device: &BlockDevice, all: &All<'_>, reasons: &mut Vec<Reason>) {
    if !device.mounted.is_empty() {
        reasons.push(Reason::Mounted(device.mounted.clone()));
    }
    if device.swap {
        reasons.push(Reason::Swap);
    }
    let duplicate = all.duplicates.get(device.name.as_str());
    let mut holders = all.holders(device);
    if let Some(of) = duplicate {
        reasons.push(Reason::DuplicatePath { of: (*of).to_owned() });
        holders.retain(|holder| holder != of);
    }
    if !holders.is_empty() {
        reasons.push(Reason::Held(holders));
    }
    if !device.partitions.is_empty() {
        reasons.push(Reason::Partitions(device.partitions.clone()));
    }
    let disk = device.partition.as_ref().and_then(|part| all.by_name.get(part.disk.as_str()));
    if let Some(disk) = disk
        && (disk.is_in_use() || !all.holders(disk).is_empty())
        && duplicate.is_none()
    {
        reasons.push(Reason::DiskInUse { disk: disk.name.clone() });
    }
}

/// Reasons from what it holds and says.
fn of_content(device: &BlockDevice, probe: Option<&Probe>, reasons: &mut Vec<Reason>) {
    // A size that can't be read is zero here, too.
    if device.size.is_zero() && device.trouble.is_none() {
        reasons.push(Reason::NoMedium);
    }
    match probe {
        Some(Probe::Content { signatures, busy }) => {
            reasons.extend(held(signatures));
            reasons.extend(busy.clone().map(|writers| Reason::Busy { writers }));
        }
        Some(Probe::Failed(why)) => reasons.push(Reason::Unreadable(why.clone())),
        Some(Probe::Changed(how)) => reasons.push(Reason::Changed(how.clone())),
        Some(Probe::NotAnswering) => reasons.push(Reason::NotAnswering),
        None => {}
    }
    if device.suspended {
        reasons.push(Reason::Suspended);
    }
    if let Some(trouble) = &device.trouble {
        reasons.push(Reason::Unreadable(trouble.clone()));
    }
    if device.read_only {
        reasons.push(Reason::ReadOnly);
    }
}

/// One reason a name: a table that stands at both ends of a disk is one.
fn held(signatures: &[Signature]) -> Vec<Reason> {
    let mut seen = BTreeSet::new();
    let once = signatures.iter().filter(|signature| seen.insert(signature.name));
    once.map(|signature| match signature.name {
        "LVM2 physical volume" | "LVM1 physical volume" => {
            Reason::PhysicalVolume { group: signature.group.clone() }
        }
        _ => Reason::Signature(signature.clone()),
    })
    .collect()
}

/// Reasons of the policy.
fn of_policy(device: &BlockDevice, policy: &Policy, reasons: &mut Vec<Reason>) {
    if device.size < policy.minimum && !device.size.is_zero() {
        reasons.push(Reason::TooSmall { size: device.size, minimum: policy.minimum });
    }
    if !policy.kinds.contains(&device.kind) {
        reasons.push(Reason::KindNotOffered(device.kind));
    }
    match policy.filter.judge(&device.node.to_string_lossy()) {
        Selection::Chosen => {}
        Selection::NotIncluded => reasons.push(Reason::NotIncluded),
        Selection::Excluded(by) => reasons.push(Reason::Excluded(by.to_owned())),
    }
}
