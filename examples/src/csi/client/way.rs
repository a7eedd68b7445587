//! How a volume is to be used, in words.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use open_local_csi::proto::VolumeCapability;
use open_local_csi::proto::volume_capability::access_mode::Mode;
use open_local_csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};

/// As what a volume is made visible: `block`, `mount`, `mount:xfs` or `mount:xfs:noatime,nodev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A device.
    Block,
    /// A file system.
    Mount {
        /// Its kind; empty is the driver's choice.
        kind: String,
        /// Mount options.
        flags: Vec<String>,
    },
}

impl FromStr for Way {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.splitn(3, ':');
        let (word, kind, flags) = (parts.next(), parts.next(), parts.next());
        match (word, kind) {
            (Some("block"), None) => Ok(Self::Block),
            (Some("mount"), kind) => Ok(Self::Mount {
                kind: kind.unwrap_or_default().to_owned(),
                flags: flags
                    .unwrap_or_default()
                    .split(',')
                    .filter(|flag| !flag.is_empty())
                    .map(str::to_owned)
                    .collect(),
            }),
            _ => {
                let message = "this is no way to use a volume";
                let subject = Subject::value(text);
                Err(Error::new(ErrorKind::InvalidArgument, Op::Parse, subject, message)
                    .with_remedy("write mount, mount:xfs, mount:xfs:noatime,nodev or block"))
            }
        }
    }
}

/// Who may use a volume, as the interface has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Access {
    /// One node, reading and writing
    #[default]
    Writer,
    /// One node, reading
    Reader,
    /// One place on one node
    SingleWriter,
    /// Several places on one node
    MultiWriter,
    /// Several nodes, reading
    NodesReader,
    /// Several nodes, one of them writing
    NodesWriter,
    /// Several nodes, all of them writing
    NodesWriters,
}

impl Access {
    const fn mode(self) -> Mode {
        match self {
            Self::Writer => Mode::SingleNodeWriter,
            Self::Reader => Mode::SingleNodeReaderOnly,
            Self::SingleWriter => Mode::SingleNodeSingleWriter,
            Self::MultiWriter => Mode::SingleNodeMultiWriter,
            Self::NodesReader => Mode::MultiNodeReaderOnly,
            Self::NodesWriter => Mode::MultiNodeSingleWriter,
            Self::NodesWriters => Mode::MultiNodeMultiWriter,
        }
    }
}

/// How a volume is to be used.
#[derive(Debug, Clone, Args)]
pub struct Use {
    /// As what: mount, mount:FS, mount:FS:OPTION,OPTION or block
    #[arg(long, value_name = "WAY", default_value = "mount")]
    pub capability: Way,
    /// By whom
    #[arg(long, value_enum, default_value_t)]
    pub access: Access,
}

impl Use {
    /// The message for it.
    #[must_use]
    pub fn message(&self) -> VolumeCapability {
        let kind = match &self.capability {
            Way::Block => AccessType::Block(BlockVolume {}),
            Way::Mount { kind, flags } => AccessType::Mount(MountVolume {
                fs_type: kind.clone(),
                mount_flags: flags.clone(),
                volume_mount_group: String::new(),
            }),
        };
        VolumeCapability {
            access_mode: Some(AccessMode { mode: self.access.mode().into() }),
            access_type: Some(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_capabilities() {
        assert_eq!("block".parse::<Way>().unwrap(), Way::Block);
        let way: Way = "mount:xfs:noatime,context=a:b".parse().unwrap();
        let flags = vec!["noatime".to_owned(), "context=a:b".to_owned()];
        assert_eq!(way, Way::Mount { kind: "xfs".into(), flags });
        for text in ["", "block:xfs", "raw", "Mount"] {
            assert!(text.parse::<Way>().is_err(), "{text}");
        }
    }
}
