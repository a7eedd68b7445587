//! File systems and contents of others, known by a magic number at a fixed place.

use super::super::Signature;
use super::view::View;

/// A magic number at a fixed place.
struct Fixed {
    name: &'static str,
    offset: u64,
    magic: &'static [u8],
    uuid: Option<u64>,
    label: Option<(u64, usize)>,
}

const fn fixed(name: &'static str, offset: u64, magic: &'static [u8]) -> Fixed {
    Fixed { name, offset, magic, uuid: None, label: None }
}

impl Fixed {
    const fn uuid(mut self, offset: u64) -> Self {
        self.uuid = Some(offset);
        self
    }

    const fn label(mut self, offset: u64, len: usize) -> Self {
        self.label = Some((offset, len));
        self
    }
}

/// Sorted by name.
const FIXED: &[Fixed] = &[
    fixed("APFS", 32, b"NXSB"),
    fixed("BeFS", 544, b"1SFB"),
    fixed("BitLocker volume", 3, b"-FVE-FS-"),
    fixed("Ceph BlueStore device", 0, b"bluestore block device"),
    fixed("GFS2", 65_536, &[0x01, 0x16, 0x19, 0x70]),
    fixed("HFS", 1024, b"BD"),
    fixed("HFS+", 1024, b"H+"),
    fixed("HFSX", 1024, b"HX"),
    fixed("ISO 9660", 32_769, b"CD001").label(32_808, 32),
    fixed("JFS", 32_768, b"JFS1"),
    fixed("NILFS2", 1030, &[0x34, 0x34]),
    fixed("NTFS", 3, b"NTFS    "),
    fixed("OCFS2", 1024, b"OCFSV2"),
    fixed("OCFS2", 2048, b"OCFSV2"),
    fixed("OCFS2", 4096, b"OCFSV2"),
    fixed("OCFS2", 8192, b"OCFSV2"),
    fixed("Oracle ASM disk", 32, b"ORCLDISK"),
    fixed("ReFS", 3, b"ReFS\0\0\0\0"),
    fixed("ReiserFS", 8244, b"ReIsErFs"),
    fixed("ReiserFS", 65_588, b"ReIsErFs"),
    fixed("ReiserFS", 65_588, b"ReIsEr2Fs"),
    fixed("ReiserFS", 65_588, b"ReIsEr3Fs"),
    fixed("Reiser4", 65_536, b"ReIsEr4"),
    fixed("UDF", 32_769, b"BEA01"),
    fixed("UDF", 34_817, b"NSR0"),
    fixed("UFS2", 65_536 + 1372, &[0x19, 0x01, 0x54, 0x19]),
    fixed("bcachefs", 4120, &BCACHEFS).uuid(4096 + 56).label(4096 + 72, 32),
    fixed("cramfs", 0, &[0x45, 0x3D, 0xCD, 0x28]),
    fixed("cramfs", 0, &[0x28, 0xCD, 0x3D, 0x45]),
    fixed("erofs", 1024, &[0xE2, 0xE1, 0xF5, 0xE0]).uuid(1072).label(1088, 16),
    fixed("exFAT", 3, b"EXFAT   "),
    fixed("f2fs", 1024, &[0x10, 0x20, 0xF5, 0xF2]).uuid(1024 + 108),
    fixed("f2fs", 5120, &[0x10, 0x20, 0xF5, 0xF2]).uuid(5120 + 108),
    fixed("romfs", 0, b"-rom1fs-"),
    fixed("squashfs", 0, b"hsqs"),
    fixed("squashfs", 0, b"sqsh"),
];

/// `BCHFS_MAGIC`.
const BCACHEFS: [u8; 16] = [
    0xC6, 0x85, 0x73, 0xF6, 0x66, 0xCE, 0x90, 0xA9, 0xD9, 0x6A, 0x60, 0xCF, 0x80, 0x3D, 0xF7, 0xEF,
];

/// Page sizes at whose end a swap area has its magic number.
const PAGES: [u64; 5] = [4096, 8192, 16_384, 32_768, 65_536];

/// Magic numbers of swap areas, the later ones of hibernated systems.
const SWAP: [&[u8]; 6] =
    [b"SWAPSPACE2", b"SWAP-SPACE", b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"];

/// Copies of a ZFS label; two at the start, two at the end.
const ZFS_LABEL: u64 = 256 << 10;
/// Slots for superblocks in the second half of a ZFS label.
const ZFS_SLOTS: u64 = 128;

pub(super) fn find(view: &View, found: &mut Vec<Signature>) {
    let known = FIXED.iter().filter(|f| view.has(f.offset, f.magic));
    found.extend(known.map(|f| {
        Signature::new(f.name, f.offset)
            .with_uuid(f.uuid.and_then(|at| view.uuid(at)))
            .with_label(f.label.and_then(|(at, len)| view.text(at, len)))
    }));
    found.extend(swap(view));
    found.extend(zfs(view));
}

fn swap(view: &View) -> Option<Signature> {
    let places = PAGES.iter().map(|page| page - 10);
    let at = places.filter(|at| SWAP.iter().any(|magic| view.has(*at, magic))).min()?;
    let signature =
        Signature::new("swap", at).with_uuid(view.uuid(1036)).with_label(view.text(1052, 16));
    Some(signature)
}

fn zfs(view: &View) -> Option<Signature> {
    let end = view.size() / ZFS_LABEL * ZFS_LABEL;
    let labels =
        [Some(0), Some(ZFS_LABEL), end.checked_sub(2 * ZFS_LABEL), end.checked_sub(ZFS_LABEL)];
    labels
        .into_iter()
        .flatten()
        .flat_map(|label| (0..ZFS_SLOTS).map(move |slot| label + (128 << 10) + slot * 1024))
        .find(|at| {
            view.has(*at, &0x00BA_B10C_u64.to_le_bytes())
                || view.has(*at, &0x00BA_B10C_u64.to_be_bytes())
        })
        .map(|at| Signature::new("ZFS member", at))
}
