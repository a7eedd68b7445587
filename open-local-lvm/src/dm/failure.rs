//! From the kernel's error numbers to kinds a caller can act on; one table for every
//! implementation.

use std::io;

use open_local_core::{Error, ErrorKind, Op, Subject};

use super::control::MessageError;
use super::id::DmId;

/// What was asked of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Version,
    Targets,
    List,
    Info,
    Create,
    Load,
    Clear,
    Suspend,
    Resume,
    Remove,
    Rename,
    Table,
    Status,
    Message,
    Deps,
    Cookie,
}

impl Call {
    const fn failed(self) -> &'static str {
        match self {
            Self::Version => "can't ask device-mapper for its version",
            Self::Targets => "can't list the targets",
            Self::List => "can't list the devices",
            Self::Info => "can't ask for the device's state",
            Self::Create => "can't make the device",
            Self::Load => "can't load the table",
            Self::Clear => "can't forget the loaded table",
            Self::Suspend => "can't suspend the device",
            Self::Resume => "can't resume the device",
            Self::Remove => "can't remove the device",
            Self::Rename => "can't rename the device",
            Self::Table => "can't read the table",
            Self::Status => "can't read the status",
            Self::Message => "can't send the message",
            Self::Deps => "can't list the devices below",
            Self::Cookie => "can't make a cookie for udev",
        }
    }

    /// What an error number means here, and what to do about it.
    fn meaning(self, number: i32) -> (ErrorKind, Option<&'static str>) {
        match (number, self) {
            (libc::ENXIO, Self::Load) => (
                ErrorKind::NotFound,
                Some("see whether the device and those its table names exist: dmsetup ls"),
            ),
            (libc::ENXIO, _) => (ErrorKind::NotFound, None),
            (libc::ENODATA, Self::Load) => {
                (ErrorKind::NotFound, Some("the pool has no volume of this id"))
            }
            (libc::ENODATA, _) => (ErrorKind::NotFound, None),
            (libc::EBUSY, Self::Create | Self::Rename) => {
                (ErrorKind::Conflict, Some("another device has this name or UUID: dmsetup ls"))
            }
            (libc::EBUSY, Self::Message) => {
                (ErrorKind::Busy, Some("deactivate the volume that is meant first"))
            }
            (libc::EBUSY | libc::ETXTBSY, _) => {
                (ErrorKind::Busy, Some("see who uses it: dmsetup info, dmsetup deps, lsblk"))
            }
            (libc::EEXIST, _) => (ErrorKind::Conflict, None),
            (libc::EINVAL, Self::Load | Self::Resume | Self::Message) => {
                (ErrorKind::InvalidArgument, Some("the kernel log has the reason"))
            }
            (libc::EINVAL | libc::ENAMETOOLONG, _) => (ErrorKind::InvalidArgument, None),
            (libc::EPERM | libc::EACCES, _) => {
                (ErrorKind::PermissionDenied, Some("this needs CAP_SYS_ADMIN"))
            }
            (libc::EOPNOTSUPP, Self::Message) => (
                ErrorKind::Unsupported,
                Some("the pool is read-only or has failed: see its status, then thin_check"),
            ),
            (libc::EOPNOTSUPP | libc::ENOTTY, _) => (ErrorKind::Unsupported, None),
            (libc::ENOENT | libc::ENODEV, Self::Version) => (
                ErrorKind::Unsupported,
                Some("the kernel has no device-mapper: load the module dm_mod"),
            ),
            (libc::ENOENT, _) => (ErrorKind::NotFound, None),
            (libc::ENOTBLK | libc::EILSEQ, Self::Load) => {
                (ErrorKind::Corrupt, Some("the pool's metadata is damaged: run thin_check on it"))
            }
            (libc::ENOSPC | libc::ENOMEM, _) => (ErrorKind::OutOfSpace, None),
            (libc::EIO, _) => {
                (ErrorKind::Io, Some("look for errors of the disk in the kernel log"))
            }
            _ => (ErrorKind::Io, None),
        }
    }
}

/// The error of a call that has no device.
pub(super) fn failure(call: Call, subject: Subject, error: io::Error) -> Error {
    let number = error.raw_os_error();
    let (kind, remedy) = number.map_or((ErrorKind::Io, None), |number| call.meaning(number));
    let failed = Error::new(kind, Op::MapDevice, subject, call.failed()).with_source(error);
    match remedy {
        Some(remedy) => failed.with_remedy(remedy),
        None => failed,
    }
}

/// The error of a call on a device.
pub(super) fn failure_of(call: Call, id: &DmId, error: io::Error) -> Error {
    failure(call, id.subject(), error)
}

/// The error of a message.
pub(super) fn message_failure(id: &DmId, text: &str, error: io::Error) -> MessageError {
    let number = error.raw_os_error();
    let (kind, remedy) =
        number.map_or((ErrorKind::Io, None), |number| Call::Message.meaning(number));
    let message = format!("{}: {}", Call::Message.failed(), text.escape_debug());
    let failed = Error::new(kind, Op::MapDevice, id.subject(), message).with_source(error);
    let failed = match remedy {
        Some(remedy) => failed.with_remedy(remedy),
        None => failed,
    };
    match number {
        Some(libc::EEXIST) => MessageError::Exists(failed),
        Some(libc::ENODATA) => MessageError::NoData(failed),
        _ => MessageError::Other(failed),
    }
}
