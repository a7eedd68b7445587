//! Format tokens: the right to run mkfs, kept with the volume.
//!
//! A volume is born with an unused token. Formatting spends it in this order: write the chosen
//! file-system UUID into the token durably, run mkfs with that UUID, probe for it, mark the token
//! spent durably, and only then mount. Whatever is killed in between, the next call can tell
//! whether the file system was finished; a volume with a spent token and without file system is an
//! error, never a reason to run mkfs. Snapshots and clones inherit an unused token.

use std::fmt::{self, Debug};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::Entropy;
use crate::ids::VolumeId;

/// A UUID: of a file system, a volume or a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// From its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A random one (version 4).
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the source of randomness fails.
    pub fn random(entropy: &dyn Entropy) -> Result<Self> {
        let mut bytes = [0u8; 16];
        entropy.fill(&mut bytes)?;
        let [a, b, c, d, e, f, g, h, i, rest @ ..] = bytes;
        let [j, k, l, m, n, o, p] = rest;
        let (g, i) = (g & 0x0f | 0x40, i & 0x3f | 0x80);
        Ok(Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

impl FromStr for Uuid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_uuid(text).map(Self).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                Op::Parse,
                Subject::value(text),
                "this is not a UUID",
            )
            .with_remedy("write it like 01234567-89ab-cdef-0123-456789abcdef")
        })
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').take(6).collect();
    if groups.iter().map(|g| g.len()).ne([8, 4, 4, 4, 12]) {
        return None;
    }
    let mut bytes = [0u8; 16];
    let hex = groups.concat();
    let pairs = hex.as_bytes().chunks_exact(2);
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let digits = std::str::from_utf8(pair).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FsKind {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
}

impl FsKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Ext4, Self::Xfs, Self::Btrfs];

    /// The kernel's name of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }
}

impl fmt::Display for FsKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FsKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                Op::Parse,
                Subject::value(text),
                "this file system is not supported",
            )
            .with_remedy("use ext4, xfs or btrfs")
        })
    }
}

/// The state of a volume's format token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FormatToken {
    /// Unused: mkfs is allowed once.
    Unused,
    /// mkfs was about to run with this kind and UUID; whether it finished is for a probe to tell.
    Started {
        /// The kind of file system chosen.
        kind: FsKind,
        /// The UUID it was given.
        uuid: Uuid,
    },
    /// Spent: the volume is never formatted again.
    Spent,
}

#[cfg(any(feature = "file", feature = "raw"))]
impl FormatToken {
    /// What records on disk and tags say of it; read for ever.
    #[must_use]
    pub fn to_field(self) -> String {
        match self {
            Self::Unused => "unused".into(),
            Self::Spent => "spent".into(),
            Self::Started { kind, uuid } => format!("started {kind} {uuid}"),
        }
    }

    /// The inverse of [`Self::to_field`]; `None` for any other text.
    #[must_use]
    pub fn from_field(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["unused"] => Some(Self::Unused),
            ["spent"] => Some(Self::Spent),
            ["started", kind, uuid] => {
                Some(Self::Started { kind: kind.parse().ok()?, uuid: uuid.parse().ok()? })
            }
            _ => None,
        }
    }
}

/// Format tokens of the volumes of one pool.
pub trait FormatTokens: Debug + Send + Sync {
    /// The token's state.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown volume, [`ErrorKind::Corrupt`].
    fn format_token(&self, volume: &VolumeId) -> Result<FormatToken>;

    /// Writes the token's state durably: when this returns, it survives a power cut.
    ///
    /// # Idempotency
    /// The state it has already changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown volume; [`ErrorKind::Refused`] for a change that
    /// gives back a spent token, which only [`Self::allow_format`] may do.
    fn set_format_token(&self, volume: &VolumeId, token: FormatToken) -> Result<()>;

    /// Gives a volume an unused token again, on the explicit order of an operator: the next
    /// format destroys what it holds, if its caller names that.
    ///
    /// # Idempotency
    /// An unused token stays unused.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown volume, [`ErrorKind::Busy`] while it is published.
    fn allow_format(&self, volume: &VolumeId) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn uuids_parse_what_they_print(bytes in any::<[u8; 16]>()) {
            let uuid = Uuid::from_bytes(bytes);
            prop_assert_eq!(uuid.to_string().parse::<Uuid>().unwrap(), uuid);
        }

        #[test]
        fn any_text_gives_a_uuid_or_an_error(text in ".{0,50}") {
            let _ = text.parse::<Uuid>();
        }
    }

    /// RFC 9562: 4 in the high half of byte 6, 10 in the two high bits of byte 8.
    #[test]
    fn a_random_uuid_is_of_version_4_and_keeps_the_other_bits() {
        #[derive(Debug)]
        struct Constant(u8);
        impl Entropy for Constant {
            fn fill(&self, buffer: &mut [u8]) -> Result<()> {
                buffer.fill(self.0);
                Ok(())
            }
        }
        for (byte, text) in [
            (0x00, "00000000-0000-4000-8000-000000000000"),
            (0xff, "ffffffff-ffff-4fff-bfff-ffffffffffff"),
        ] {
            assert_eq!(Uuid::random(&Constant(byte)).unwrap().to_string(), text);
        }
    }

    #[test]
    fn malformed_uuids_are_refused() {
        for bad in [
            "",
            "0",
            "01234567-89ab-cdef-0123-456789abcde",
            "+1234567-89ab-cdef-0123-456789abcdef",
            "éé234567-89ab-cdef-0123-456789abcdef",
        ] {
            assert!(bad.parse::<Uuid>().is_err(), "{bad}");
        }
    }
}
