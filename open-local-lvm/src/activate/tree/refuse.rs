//! Why a volume is not activated.

use open_local_core::{Error, ErrorKind, Op, Subject};

use crate::format::group::VolumeGroup;

/// A volume as the tools name it.
pub(in crate::activate) fn subject(group: &VolumeGroup, volume: &str) -> Subject {
    Subject::value(&format!("{}/{volume}", group.name))
}

pub(super) fn unsupported(group: &VolumeGroup, volume: &str, what: &str) -> Error {
    let message = format!("{what}, which is not activated natively");
    Error::new(ErrorKind::Unsupported, Op::Publish, subject(group, volume), message)
        .with_remedy(format!("activate it with the tools: lvchange -ay {}/{volume}", group.name))
}

pub(super) fn absent(group: &VolumeGroup, volume: &str) -> Error {
    let message = "there is no such volume in the group";
    Error::new(ErrorKind::NotFound, Op::Publish, subject(group, volume), message)
        .with_remedy("see open-local lvm report lvs with the same devices")
}

pub(super) fn hidden(group: &VolumeGroup, volume: &str) -> Error {
    let message = "is a part of another volume and not activated by itself";
    Error::new(ErrorKind::InvalidArgument, Op::Publish, subject(group, volume), message)
        .with_remedy("activate the volume it is a part of")
}

pub(super) fn corrupt(group: &VolumeGroup, volume: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, Op::Publish, subject(group, volume), message)
        .with_remedy("look at the group with open-local lvm check")
}

pub(super) fn no_device(group: &VolumeGroup, volume: &str, pv: &str) -> Error {
    let message = format!("the device of its physical volume {pv} is not there");
    Error::new(ErrorKind::NotFound, Op::Publish, subject(group, volume), message)
        .with_remedy("attach the device, and name it with the others of the group")
}
