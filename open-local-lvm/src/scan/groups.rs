//! A group as it was put together.

use std::sync::Arc;

use super::area::AreaText;
use super::assemble::Scan;
use super::device::ScannedDevice;
use crate::format::check::{Finding, FindingKind, Severity};
use crate::format::group::{Metadata, PhysicalVolume, VolumeGroup};

/// A group as it was put together from devices.
#[derive(Debug, Clone)]
pub struct ScannedGroup {
    /// The text that counts.
    pub text: Arc<AreaText>,
    /// For each physical volume of the text, in its order, the index of its device in
    /// [`Scan::devices`]; `None` where it was not found.
    pub members: Vec<Option<usize>>,
    /// What is wrong with it: the checks of the text, and what the devices showed.
    pub findings: Vec<Finding>,
}

impl ScannedGroup {
    /// The text as values.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.text.metadata
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> &VolumeGroup {
        &self.text.metadata.group
    }

    /// Whether physical volumes are missing.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.members.contains(&None)
    }

    /// Whether it belongs to another host.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind == FindingKind::Foreign)
    }

    /// Findings that forbid changing the group.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity() >= Severity::Refuse)
    }

    /// Its physical volumes with their devices.
    pub fn physical<'a>(
        &'a self,
        scan: &'a Scan,
    ) -> impl Iterator<Item = (&'a PhysicalVolume, Option<&'a ScannedDevice>)> {
        let devices = self.members.iter();
        let devices = devices.map(|member| member.and_then(|index| scan.devices.get(index)));
        self.group().physical_volumes.iter().zip(devices)
    }
}
