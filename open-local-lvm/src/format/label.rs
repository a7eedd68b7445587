//! The label: the sector that makes a device a physical volume.
//!
//! Offsets are those of lvm2 2.03.16 and 2.03.31, all numbers little endian; a sector has 512
//! bytes on devices with larger blocks too.

use open_local_core::Error;

use super::crc::crc;
use super::damage::{damaged, unprintable};
use super::id::{ID_LEN, LvmId};

/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// Sectors at the beginning of a device in which a label may be; `pvcreate` takes the second.
pub const LABEL_SECTORS: usize = 4;
/// Version of the extension that lvm2 writes since 2.02.172.
pub const EXTENSION_VERSION: u32 = 2;
/// Bit of [`Extension::flags`]: the physical volume belongs to a group.
pub const FLAG_USED: u32 = 1;

const MAGIC: &[u8; 8] = b"LABELONE";
const KIND: &[u8; 8] = b"LVM2 001";
/// Where the physical volume's header begins in the sector; right after the label's own.
const HEADER: usize = 32;
const CHECKSUM_FROM: usize = 20;

/// A sector with a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The sector it lies in, 0 to 3.
    pub sector: u64,
    /// What it says of the physical volume.
    pub header: PvHeader,
}

/// What a label says of a physical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PvHeader {
    /// Its UUID.
    pub id: LvmId,
    /// Size of the device in bytes when the label was written.
    pub device_size: u64,
    /// Where extents are: normally one area, of size 0, which means to the end.
    pub data_areas: Vec<DiskArea>,
    /// Metadata areas: none, one or two.
    pub metadata_areas: Vec<DiskArea>,
    /// What newer versions added; absent in labels of before 2.02.97.
    pub extension: Option<Extension>,
}

/// The part of the header that newer versions of lvm2 added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its version, never 0; 2 for what is known here.
    pub version: u32,
    /// See [`FLAG_USED`]; unknown bits are kept.
    pub flags: u32,
    /// Room for a boot loader.
    pub bootloader_areas: Vec<DiskArea>,
}

/// A part of a device, in bytes; never both zero, which ends a list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DiskArea {
    /// Where it begins.
    pub offset: u64,
    /// How long it is; 0 is to the end of the device.
    pub size: u64,
}

/// What the first sectors of a device hold.
#[derive(Debug, Default)]
pub struct LabelScan {
    /// The first good label, which is the one that counts.
    pub label: Option<Label>,
    /// Sectors that begin like a label but are none, with the reason.
    pub damaged: Vec<(u64, Error)>,
    /// Sectors with further good labels, which lvm2 ignores.
    pub ignored: Vec<u64>,
}

impl LabelScan {
    /// Looks at the first four sectors of a device; fewer where there are fewer.
    #[must_use]
    pub fn of(start_of_device: &[u8]) -> Self {
        let mut scan = Self::default();
        let (sectors, _) = start_of_device.as_chunks::<SECTOR>();
        for (number, sector) in (0u64..).zip(sectors.iter().take(LABEL_SECTORS)) {
            match Label::parse(sector, number) {
                Ok(None) => {}
                Ok(Some(_)) if scan.label.is_some() => scan.ignored.push(number),
                Ok(label) => scan.label = label,
                Err(error) => scan.damaged.push((number, error)),
            }
        }
        scan
    }
}

/// Reads numbers from the front of bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// A list of areas up to the zeroes that end it.
    fn areas(&mut self) -> Option<Vec<DiskArea>> {
        let mut areas = Vec::new();
        loop {
            let area = DiskArea { offset: self.u64()?, size: self.u64()? };
            if area.offset == 0 && area.size == 0 {
                return Some(areas);
            }
            areas.push(area);
        }
    }
}

fn put_areas(out: &mut Vec<u8>, areas: &[DiskArea]) {
    for area in areas.iter().chain([&DiskArea { offset: 0, size: 0 }]) {
        out.extend_from_slice(&area.offset.to_le_bytes());
        out.extend_from_slice(&area.size.to_le_bytes());
    }
}

impl Label {
    /// Reads a sector; `None` if it does not begin like a label.
    ///
    /// # Errors
    /// `Corrupt` if it begins like one but its checksum, number or content is wrong.
    pub fn parse(sector: &[u8; SECTOR], number: u64) -> Result<Option<Self>, Error> {
        let about = |message: &str| damaged(format_args!("label in sector {number}"), message);
        let cut = || about("a list of areas has no end");
        let mut reader = Reader(sector);
        if reader.bytes() != Some(*MAGIC) {
            return Ok(None);
        }
        let own_number = reader.u64().ok_or_else(cut)?;
        let checksum = reader.u32().ok_or_else(cut)?;
        let offset = reader.u32().ok_or_else(cut)?;
        let kind = reader.bytes::<8>().ok_or_else(cut)?;
        if own_number != number {
            return Err(about(&format!("was written for sector {own_number}")));
        }
        if checksum != crc(sector.get(CHECKSUM_FROM..).unwrap_or_default()) {
            return Err(about("its checksum is wrong"));
        }
        if kind != *KIND {
            return Err(about("is of another kind than LVM2 001"));
        }
        let header = usize::try_from(offset).ok().filter(|offset| *offset >= HEADER);
        let header = header.and_then(|offset| sector.get(offset..));
        let mut reader = Reader(header.ok_or_else(|| about("its header lies outside"))?);
        let id = reader.bytes::<ID_LEN>().ok_or_else(cut)?;
        let id = LvmId::from_raw(id).ok_or_else(|| about("its UUID has odd characters"))?;
        let device_size = reader.u64().ok_or_else(cut)?;
        let data_areas = reader.areas().ok_or_else(cut)?;
        let metadata_areas = reader.areas().ok_or_else(cut)?;
        let extension = Extension::read(&mut reader).ok_or_else(cut)?;
        let header = PvHeader { id, device_size, data_areas, metadata_areas, extension };
        Ok(Some(Self { sector: number, header }))
    }

    /// The sector to write. [`Self::parse`] of it gives the same label.
    ///
    /// # Errors
    /// `InvalidArgument` if the areas do not fit, one of them is all zeroes, or the extension has
    /// version 0.
    pub fn encode(&self) -> Result<[u8; SECTOR], Error> {
        let about = |message| unprintable("label", message);
        let header = &self.header;
        let bootloader = header.extension.iter().flat_map(|e| &e.bootloader_areas);
        let mut all = header.data_areas.iter().chain(&header.metadata_areas).chain(bootloader);
        if all.any(|area| area.offset == 0 && area.size == 0) {
            return Err(about("an area that is all zeroes would end the list"));
        }
        let mut body = Vec::with_capacity(SECTOR);
        body.extend_from_slice(&32u32.to_le_bytes());
        body.extend_from_slice(KIND);
        body.extend_from_slice(header.id.as_raw());
        body.extend_from_slice(&header.device_size.to_le_bytes());
        put_areas(&mut body, &header.data_areas);
        put_areas(&mut body, &header.metadata_areas);
        if let Some(extension) = &header.extension {
            if extension.version == 0 {
                return Err(about("version 0 of the extension means that there is none"));
            }
            body.extend_from_slice(&extension.version.to_le_bytes());
            body.extend_from_slice(&extension.flags.to_le_bytes());
            put_areas(&mut body, &extension.bootloader_areas);
        }
        // Room for the eight bytes without which it could not be told that there is no extension.
        let room = SECTOR.saturating_sub(CHECKSUM_FROM);
        let needed = body.len().saturating_add(if header.extension.is_some() { 0 } else { 8 });
        if needed > room {
            return Err(about("more areas than a sector holds"));
        }
        body.resize(room, 0);
        let mut sector = Vec::with_capacity(SECTOR);
        sector.extend_from_slice(MAGIC);
        sector.extend_from_slice(&self.sector.to_le_bytes());
        sector.extend_from_slice(&crc(&body).to_le_bytes());
        sector.extend_from_slice(&body);
        sector.try_into().map_err(|_| about("is longer than a sector"))
    }
}

impl Extension {
    /// The outer `None` is for a list without end, the inner one for a label without extension.
    #[expect(clippy::option_option, reason = "the two mean different things")]
    fn read(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        // A full sector of an old version has no room for one.
        let (Some(version), Some(flags)) = (reader.u32(), reader.u32()) else {
            return Some(None);
        };
        if version == 0 {
            return Some(None);
        }
        let bootloader_areas = reader.areas()?;
        Some(Some(Self { version, flags, bootloader_areas }))
    }

    /// Whether the physical volume belongs to a group.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.flags & FLAG_USED != 0
    }
}

impl PvHeader {
    /// Where the first extent begins, in bytes: the first data area.
    #[must_use]
    pub fn data_start(&self) -> Option<u64> {
        self.data_areas.first().map(|area| area.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Label {
        let area = |offset, size| DiskArea { offset, size };
        Label {
            sector: 1,
            header: PvHeader {
                id: "GWyL43-I45Q-DR02-02x0-TLJM-gyuP-z3p7I4".parse().unwrap(),
                device_size: 1 << 30,
                data_areas: vec![area(1 << 20, 0)],
                metadata_areas: vec![area(4096, 1_044_480)],
                extension: Some(Extension { version: 2, flags: 1, bootloader_areas: Vec::new() }),
            },
        }
    }

    #[test]
    fn the_fields_lie_where_lvm_has_them() {
        let sector = sample().encode().unwrap();
        assert_eq!(&sector[..8], b"LABELONE");
        assert_eq!(&sector[24..32], b"LVM2 001");
        assert_eq!(&sector[32..64], b"GWyL43I45QDR0202x0TLJMgyuPz3p7I4");
        assert_eq!(sector[64..72], (1u64 << 30).to_le_bytes());
        assert_eq!(sector[72..80], (1u64 << 20).to_le_bytes());
        assert_eq!(sector[104..112], 4096u64.to_le_bytes());
        assert_eq!(sector[136..144], [2, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(Label::parse(&sector, 1).unwrap(), Some(sample()));
    }

    #[test]
    fn damage_is_told_from_absence() {
        let good = sample().encode().unwrap();
        assert!(Label::parse(&[0; SECTOR], 1).unwrap().is_none());
        assert!(Label::parse(&good, 2).unwrap_err().to_string().contains("sector 1"));
        for (offset, wanted) in [(16, "checksum"), (25, "checksum"), (511, "checksum")] {
            let mut bad = good;
            bad[offset] ^= 1;
            assert!(Label::parse(&bad, 1).unwrap_err().to_string().contains(wanted));
        }
    }

    #[test]
    fn the_first_good_label_counts() {
        let mut device = vec![0; SECTOR * 6];
        let label = |sector| Label { sector, ..sample() }.encode().unwrap();
        device[..SECTOR].copy_from_slice(&label(7));
        device[SECTOR..2 * SECTOR].copy_from_slice(&label(1));
        device[3 * SECTOR..4 * SECTOR].copy_from_slice(&label(3));
        device[4 * SECTOR..5 * SECTOR].copy_from_slice(&label(4));
        let scan = LabelScan::of(&device);
        assert_eq!(scan.label, Some(sample()));
        assert_eq!(scan.ignored, [3]);
        assert_eq!(scan.damaged.len(), 1);
        assert!(LabelScan::of(&device[..700]).label.is_none());
    }

    #[test]
    fn lists_without_end_are_refused() {
        let mut label = sample();
        label.header.metadata_areas = vec![DiskArea { offset: 1, size: 1 }; 40];
        assert!(label.encode().is_err());
        let mut sector = sample().encode().unwrap();
        sector[72..].fill(1);
        let checksum = crc(&sector[20..]).to_le_bytes();
        sector[16..20].copy_from_slice(&checksum);
        assert!(Label::parse(&sector, 1).unwrap_err().to_string().contains("no end"));
    }

    fn areas() -> impl Strategy<Value = Vec<DiskArea>> {
        let area = (1u64.., any::<u64>()).prop_map(|(offset, size)| DiskArea { offset, size });
        proptest::collection::vec(area, 0..12)
    }

    prop_compose! {
        fn any_label()(
            id: [u8; 32], sector in 0u64..4, device_size: u64, data_areas in areas(),
            metadata_areas in areas(), version: u32, flags: u32, bootloader_areas in areas(),
        ) -> Label {
            let id = LvmId::from_random(id);
            let extension = Extension { version, flags, bootloader_areas };
            let extension = (version != 0).then_some(extension);
            let header = PvHeader { id, device_size, data_areas, metadata_areas, extension };
            Label { sector, header }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(label in any_label()) {
            if let Ok(sector) = label.encode() {
                prop_assert_eq!(Label::parse(&sector, label.sector).unwrap(), Some(label));
            }
        }

        #[test]
        fn any_sector_gives_an_answer(mut sector in proptest::collection::vec(any::<u8>(), 512)) {
            let raw: [u8; 512] = sector.clone().try_into().unwrap();
            let _ = Label::parse(&raw, 1);
            sector[..8].copy_from_slice(MAGIC);
            sector[8..16].copy_from_slice(&1u64.to_le_bytes());
            sector[20..24].copy_from_slice(&32u32.to_le_bytes());
            sector[24..32].copy_from_slice(KIND);
            sector[32..64].fill(b'a');
            let checksum = crc(&sector[20..]).to_le_bytes();
            sector[16..20].copy_from_slice(&checksum);
            let raw: [u8; 512] = sector.try_into().unwrap();
            if let Ok(Some(label)) = Label::parse(&raw, 1) {
                prop_assert_eq!(Label::parse(&label.encode().unwrap(), 1).unwrap(), Some(label));
            }
        }
    }
}
