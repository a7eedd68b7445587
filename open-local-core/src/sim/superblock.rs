//! The made-up on-disk form of a simulated file system.

use crate::fs::FsIdentity;
use crate::state::crc32c;
use crate::token::{FsKind, Uuid};
use crate::units::Bytes;

const MAGIC: &[u8; 8] = b"OLSIMFS1";
const LEN: usize = 72;
/// Longest label in bytes; longer ones are refused by the real mkfs programs too.
pub(super) const MAX_LABEL: usize = 32;

/// What stands at the start of a device with a simulated file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) identity: FsIdentity,
    /// The size it has, which may be less than its device's.
    pub(super) size: Bytes,
}

impl Superblock {
    pub(super) const LEN: usize = LEN;

    /// Magic, kind, UUID, size, length of the label, label, checksum of all before.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let label = self.identity.label.as_deref().unwrap_or("");
        let label = label.as_bytes().get(..MAX_LABEL).unwrap_or(label.as_bytes());
        let kind = FsKind::ALL.iter().position(|k| *k == self.identity.kind);
        let small = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
        let mut bytes = MAGIC.to_vec();
        bytes.push(kind.map_or(u8::MAX, small));
        bytes.extend(self.identity.uuid.as_bytes());
        bytes.extend(self.size.get().to_le_bytes());
        bytes.push(small(label.len()));
        bytes.extend(label);
        bytes.resize(LEN - 4, 0);
        bytes.extend(crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// What the bytes say; `None` if they are no whole and undamaged superblock.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.get(..LEN)?.split_at_checked(LEN - 4)?;
        if crc32c(body).to_le_bytes() != *sum {
            return None;
        }
        let rest = body.strip_prefix(MAGIC)?;
        let (kind, rest) = rest.split_first()?;
        let kind = *FsKind::ALL.get(usize::from(*kind))?;
        let (uuid, rest) = rest.split_first_chunk::<16>()?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first()?;
        let label = std::str::from_utf8(rest.get(..usize::from(*len))?).ok()?;
        let mut identity = FsIdentity::new(kind, Uuid::from_bytes(*uuid));
        identity.label = (!label.is_empty()).then(|| label.to_owned());
        Some(Self { identity, size: Bytes::new(u64::from_le_bytes(*size)) })
    }

    /// Whether the bytes start as a superblock does, damaged or not.
    pub(super) fn is_claimed(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_give_a_superblock_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Superblock::parse(&bytes), None);
        }

        #[test]
        fn what_is_written_is_read(uuid in any::<[u8; 16]>(), size in any::<u64>(), label in "[a-z]{0,32}") {
            for kind in FsKind::ALL {
                let mut identity = FsIdentity::new(kind, Uuid::from_bytes(uuid));
                identity.label = (!label.is_empty()).then(|| label.clone());
                let block = Superblock { identity, size: Bytes::new(size) };
                let mut bytes = block.to_bytes();
                prop_assert_eq!(Superblock::parse(&bytes), Some(block));
                bytes[40] ^= 1;
                prop_assert_eq!(Superblock::parse(&bytes), None);
            }
        }
    }
}
