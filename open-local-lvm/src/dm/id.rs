//! How a device is addressed, and which names and UUIDs the kernel takes.

use std::fmt;
use std::path::PathBuf;

use open_local_core::{DeviceNumber, Error, ErrorKind, Op, Result, Subject};

/// Most bytes of a device's name (`DM_NAME_LEN` less the final zero, `linux/dm-ioctl.h` of 6.18).
pub const MAX_NAME: usize = 127;
/// Most bytes of a device's UUID (`DM_UUID_LEN` less the final zero, `linux/dm-ioctl.h` of 6.18).
pub const MAX_UUID: usize = 128;

/// A device, by one of the three things the kernel finds it by.
///
/// The UUID is the one to use: names change and numbers are reused.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DmId {
    /// By its UUID, as given when it was made.
    Uuid(String),
    /// By its name.
    Name(String),
    /// By its number.
    Number(DeviceNumber),
}

impl DmId {
    /// By UUID.
    #[must_use]
    pub fn uuid(uuid: impl Into<String>) -> Self {
        Self::Uuid(uuid.into())
    }

    /// By name.
    #[must_use]
    pub fn name(name: impl Into<String>) -> Self {
        Self::Name(name.into())
    }

    /// What errors name: the link udev makes for the name, the UUID or the number.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::Device(match self {
            Self::Uuid(uuid) => PathBuf::from(format!("/dev/disk/by-id/dm-uuid-{uuid}")),
            Self::Name(name) => PathBuf::from(format!("/dev/mapper/{name}")),
            Self::Number(number) => PathBuf::from(format!("/dev/block/{number}")),
        })
    }

    /// Refuses what the kernel would cut or misread.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty or too long name or UUID, or one with a character that
    /// [`check_name`] or [`check_uuid`] refuses.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Uuid(uuid) => check_uuid(uuid),
            Self::Name(name) => check_name(name),
            Self::Number(_) => Ok(()),
        }
    }
}

impl From<DeviceNumber> for DmId {
    fn from(number: DeviceNumber) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for DmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(text) | Self::Name(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Debug for DmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DmId({self})")
    }
}

fn check(text: &str, what: &str, max: usize, good: impl Fn(char) -> bool) -> Result<()> {
    let why = if text.is_empty() {
        format!("a device's {what} must not be empty")
    } else if text.len() > max {
        format!("a device's {what} has at most {max} bytes, not {}", text.len())
    } else if !text.chars().all(good) {
        format!("a device's {what} has no slash, space or control character")
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidArgument, Op::MapDevice, Subject::value(text), why))
}

fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !c.is_control()
}

/// Whether a device may have this name: it becomes a file in `/dev/mapper`, so it has no slash,
/// which the kernel refuses too, and no space or control character, which break the text
/// interfaces around it. `.` and `..` are folders.
///
/// # Errors
/// `InvalidArgument` with the reason.
pub fn check_name(name: &str) -> Result<()> {
    if matches!(name, "." | "..") {
        let why = "is no name of a device but of a folder";
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            Op::MapDevice,
            Subject::value(name),
            why,
        ));
    }
    check(name, "name", MAX_NAME, |c| is_plain(c) && c != '/')
}

/// Whether a device may have this UUID: like a name, since udev makes a link of it.
///
/// # Errors
/// `InvalidArgument` with the reason.
pub fn check_uuid(uuid: &str) -> Result<()> {
    check(uuid, "UUID", MAX_UUID, |c| is_plain(c) && c != '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_kernel_would_cut_or_refuse_are_refused_before() {
        let long = "x".repeat(MAX_NAME + 1);
        for bad in ["", ".", "..", "a/b", "a b", "a\nb", long.as_str()] {
            let error = DmId::name(bad).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad:?}");
        }
        for good in ["vg0-lin--a", "a", "x-tpool", "ä"] {
            DmId::name(good).check().unwrap();
        }
        assert!(DmId::uuid("x".repeat(MAX_UUID)).check().is_ok());
        assert!(DmId::uuid("x".repeat(MAX_UUID + 1)).check().is_err());
    }
}
