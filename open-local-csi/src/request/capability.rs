//! How a volume is to be used.

use open_local_core::{FsKind, Subject};

use crate::errors::{Answer, Status};
use crate::proto;
use crate::proto::volume_capability::{AccessType, access_mode::Mode};

/// Most capabilities of one request.
const MAX_CAPABILITIES: usize = 32;
/// Most bytes of all mount flags.
const MAX_FLAGS: usize = 4096;

/// How a volume is made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// As a block device.
    Block,
    /// As a mounted file system.
    Mount {
        /// Its kind; the default when unset.
        fs: Option<FsKind>,
        /// Mount options, each one option.
        flags: Vec<String>,
    },
}

/// Who may use it how, all on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessMode {
    /// For reading and writing, by whom the orchestrator lets.
    Writer,
    /// For reading.
    Reader,
    /// For reading and writing, at one place only.
    SingleWriter,
    /// For reading and writing, at several places.
    MultiWriter,
}

impl AccessMode {
    /// Whether nobody may write.
    #[must_use]
    pub const fn is_read_only(self) -> bool {
        matches!(self, Self::Reader)
    }
}

/// A way to use a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// How it is made visible.
    pub access: Access,
    /// Who may use it how.
    pub mode: AccessMode,
}

impl Capability {
    /// Reads a capability.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the part that is missing, unknown, or not one of this plugin.
    pub fn read(field: &str, message: Option<&proto::VolumeCapability>) -> Answer<Self> {
        let Some(message) = message else {
            return Err(Status::invalid(field, "is missing"));
        };
        let mode = mode(field, message)?;
        let access = match &message.access_type {
            None => {
                return Err(Status::invalid(&format!("{field}.access_type"), "is missing"));
            }
            Some(AccessType::Block(_)) => Access::Block,
            Some(AccessType::Mount(mount)) => access(&format!("{field}.mount"), mount)?,
        };
        Ok(Self { access, mode })
    }

    /// Reads several, at least one.
    ///
    /// # Errors
    /// As [`Self::read`], with the position in the field's name.
    pub fn read_all(field: &str, messages: &[proto::VolumeCapability]) -> Answer<Vec<Self>> {
        if messages.is_empty() {
            return Err(Status::invalid(field, "is missing"));
        }
        Self::read_any(field, messages)
    }

    /// Reads several or none.
    ///
    /// # Errors
    /// As [`Self::read_all`].
    pub fn read_any(field: &str, messages: &[proto::VolumeCapability]) -> Answer<Vec<Self>> {
        if messages.len() > MAX_CAPABILITIES {
            let what = format!("has {} entries, more than {MAX_CAPABILITIES}", messages.len());
            return Err(Status::invalid(field, what));
        }
        let numbered = messages.iter().enumerate();
        numbered.map(|(at, one)| Self::read(&format!("{field}[{at}]"), Some(one))).collect()
    }

    /// Whether it is the raw device.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.access == Access::Block
    }
}

fn mode(field: &str, message: &proto::VolumeCapability) -> Answer<AccessMode> {
    let field = format!("{field}.access_mode");
    let Some(mode) = message.access_mode else {
        return Err(Status::invalid(&field, "is missing"));
    };
    match Mode::try_from(mode.mode) {
        Ok(Mode::SingleNodeWriter) => Ok(AccessMode::Writer),
        Ok(Mode::SingleNodeReaderOnly) => Ok(AccessMode::Reader),
        Ok(Mode::SingleNodeSingleWriter) => Ok(AccessMode::SingleWriter),
        Ok(Mode::SingleNodeMultiWriter) => Ok(AccessMode::MultiWriter),
        Ok(Mode::Unknown) => Err(Status::invalid(&field, "is UNKNOWN")),
        Ok(mode) => {
            let what = format!("is {}, and a volume here is on one node", mode.as_str_name());
            Err(Status::invalid(&field, what))
        }
        Err(_) => Err(Status::invalid(&field, format!("is {}, which is unknown", mode.mode))),
    }
}

fn access(field: &str, mount: &proto::volume_capability::MountVolume) -> Answer<Access> {
    let fs = match mount.fs_type.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| {
            let what = format!("is {}; it must be ext4, xfs or btrfs", Subject::value(text));
            Status::invalid(&format!("{field}.fs_type"), what)
        })?),
    };
    let group = &mount.volume_mount_group;
    if !group.is_empty() {
        return Err(Status::invalid(&format!("{field}.volume_mount_group"), "is not supported"));
    }
    let bytes: usize = mount.mount_flags.iter().map(String::len).sum();
    let field = format!("{field}.mount_flags");
    if bytes > MAX_FLAGS {
        return Err(Status::invalid(&field, format!("has {bytes} bytes, more than {MAX_FLAGS}")));
    }
    let flags = mount.mount_flags.iter().flat_map(|flag| flag.split(','));
    let flags: Vec<String> = flags.filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
    if let Some(bad) = flags.iter().find(|flag| flag.chars().any(char::is_control)) {
        let what = format!("has {}, with a control character", Subject::value(bad));
        return Err(Status::invalid(&field, what));
    }
    Ok(Access::Mount { fs, flags })
}
