//! The header of a metadata area: which text in the area counts.
//!
//! It is the first sector of the area. Offsets are those of lvm2 2.03.16 and 2.03.31.

use open_local_core::Error;

use super::crc::crc;
use super::damage::damaged;
use super::label::SECTOR;

/// Bytes of the header.
pub const MDA_HEADER: u64 = 512;
/// Bit of [`RawLocation::flags`]: the area is not in use, though it may be read.
pub const FLAG_IGNORED: u32 = 1;

const MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";
const VERSION: u32 = 1;
const CHECKSUM_FROM: usize = 4;

/// The header of a metadata area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MdaHeader {
    /// Where the area begins on the device, in bytes.
    pub start: u64,
    /// Bytes of the area with this header.
    pub size: u64,
    /// The text that counts.
    pub committed: RawLocation,
    /// A text that was about to count when its writer ended; all zeroes at rest.
    pub precommitted: RawLocation,
}

/// Where a text lies in its area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RawLocation {
    /// Its first byte, from the beginning of the area; 0 for no text.
    pub offset: u64,
    /// Its length with the zero byte that ends it.
    pub size: u64,
    /// Its checksum, zero byte included.
    pub checksum: u32,
    /// See [`FLAG_IGNORED`]; unknown bits are kept.
    pub flags: u32,
}

impl RawLocation {
    /// Whether there is a text.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.offset != 0
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.checksum.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
    }

    fn read(bytes: [u8; 24]) -> Self {
        let [o0, o1, o2, o3, o4, o5, o6, o7, rest @ ..] = bytes;
        let [s0, s1, s2, s3, s4, s5, s6, s7, c0, c1, c2, c3, flags @ ..] = rest;
        Self {
            offset: u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            size: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            checksum: u32::from_le_bytes([c0, c1, c2, c3]),
            flags: u32::from_le_bytes(flags),
        }
    }
}

impl MdaHeader {
    /// The header of an area without a text.
    #[must_use]
    pub fn empty(start: u64, size: u64) -> Self {
        let none = RawLocation::default();
        Self { start, size, committed: none, precommitted: none }
    }

    /// Whether the area is set aside: lvm2 keeps its header current but no text in it.
    #[must_use]
    pub const fn is_ignored(&self) -> bool {
        self.committed.flags & FLAG_IGNORED != 0
    }

    /// Reads the first sector of an area which, by the label, begins at `start`.
    ///
    /// # Errors
    /// `Corrupt` if checksum, magic, version or place are wrong.
    pub fn parse(sector: &[u8; SECTOR], start: u64) -> Result<Self, Error> {
        let about = |message: &str| damaged(format_args!("metadata area at byte {start}"), message);
        let checked = sector.get(CHECKSUM_FROM..).unwrap_or_default();
        let [c0, c1, c2, c3, ..] = *sector;
        if u32::from_le_bytes([c0, c1, c2, c3]) != crc(checked) {
            return Err(about("the checksum of its header is wrong"));
        }
        let field = |at: usize| sector.get(at..).and_then(|rest| rest.first_chunk::<8>());
        let number = |at| field(at).copied().map(u64::from_le_bytes).unwrap_or_default();
        let slot = |at: usize| sector.get(at..).and_then(|rest| rest.first_chunk::<24>());
        let slot = |at| slot(at).copied().map(RawLocation::read).unwrap_or_default();
        let version = checked.get(16..).and_then(|rest| rest.first_chunk::<4>());
        if !checked.starts_with(MAGIC) {
            return Err(about("its header has another magic"));
        }
        if version.copied().map(u32::from_le_bytes) != Some(VERSION) {
            return Err(about("its header is not of version 1"));
        }
        let own_start = number(24);
        if own_start != start {
            return Err(about(&format!("its header was written for byte {own_start}")));
        }
        let size = number(32);
        if size <= MDA_HEADER || start.checked_add(size).is_none() {
            return Err(about(&format!("its header says it has {size} bytes")));
        }
        Ok(Self { start, size, committed: slot(40), precommitted: slot(64) })
    }

    /// The sector to write. [`Self::parse`] of it gives the same header.
    #[must_use]
    pub fn encode(&self) -> [u8; SECTOR] {
        let mut body = Vec::with_capacity(SECTOR);
        body.extend_from_slice(MAGIC);
        body.extend_from_slice(&VERSION.to_le_bytes());
        body.extend_from_slice(&self.start.to_le_bytes());
        body.extend_from_slice(&self.size.to_le_bytes());
        self.committed.put(&mut body);
        self.precommitted.put(&mut body);
        body.resize(SECTOR.saturating_sub(CHECKSUM_FROM), 0);
        let mut sector = [0; SECTOR];
        let (checksum, rest) = sector.split_at_mut(CHECKSUM_FROM);
        checksum.copy_from_slice(&crc(&body).to_le_bytes());
        rest.copy_from_slice(&body);
        sector
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fields_lie_where_lvm_has_them() {
        let mut header = MdaHeader::empty(4096, 1_044_480);
        header.committed =
            RawLocation { offset: 512, size: 1000, checksum: 0x0102_0304, flags: FLAG_IGNORED };
        header.precommitted.offset = 0x0a0b;
        let sector = header.encode();
        let magic = [
            0x20, 0x4c, 0x56, 0x4d, 0x32, 0x20, 0x78, 0x5b, 0x35, 0x41, 0x25, 0x72, 0x30, 0x4e,
            0x2a, 0x3e,
        ];
        assert_eq!(sector[4..20], magic);
        assert_eq!(sector[20..24], [1, 0, 0, 0]);
        assert_eq!(sector[24..32], 4096u64.to_le_bytes());
        assert_eq!(sector[32..40], 1_044_480u64.to_le_bytes());
        assert_eq!(sector[40..48], 512u64.to_le_bytes());
        assert_eq!(sector[56..60], [4, 3, 2, 1]);
        assert_eq!(sector[60..64], [1, 0, 0, 0]);
        assert_eq!(sector[64..66], [0x0b, 0x0a]);
        assert!(MdaHeader::parse(&sector, 4096).unwrap().is_ignored());
    }

    #[test]
    fn every_kind_of_damage_is_named() {
        let good = MdaHeader::empty(4096, 1_044_480).encode();
        let broken = |at: usize, repair: bool| {
            let mut bad = good;
            bad[at] ^= 1;
            if repair {
                let checksum = crc(&bad[4..]).to_le_bytes();
                bad[..4].copy_from_slice(&checksum);
            }
            MdaHeader::parse(&bad, 4096).unwrap_err().to_string()
        };
        assert!(broken(0, false).contains("checksum"));
        assert!(broken(511, false).contains("checksum"));
        assert!(broken(4, true).contains("magic"));
        assert!(broken(20, true).contains("version"));
        assert!(broken(24, true).contains("written for byte 4097"));
        let small = MdaHeader::empty(4096, 512).encode();
        assert!(MdaHeader::parse(&small, 4096).unwrap_err().to_string().contains("512 bytes"));
    }

    fn location() -> impl Strategy<Value = RawLocation> {
        (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>()).prop_map(
            |(offset, size, checksum, flags)| RawLocation { offset, size, checksum, flags },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(
            start in 0u64..1 << 60, size in 513u64..1 << 60,
            committed in location(), precommitted in location(),
        ) {
            let header = MdaHeader { start, size, committed, precommitted };
            prop_assert_eq!(MdaHeader::parse(&header.encode(), start).unwrap(), header);
        }

        #[test]
        fn any_sector_gives_an_answer(sector in proptest::collection::vec(any::<u8>(), 512)) {
            let raw: [u8; 512] = sector.try_into().unwrap();
            let _ = MdaHeader::parse(&raw, 4096);
        }
    }
}
