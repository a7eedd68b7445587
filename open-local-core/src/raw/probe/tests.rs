use proptest::prelude::*;

use super::signatures;
use crate::host::MemoryBlock;
use crate::raw::Signature;
use crate::token::{FsKind, Uuid};

const MIB: usize = 1 << 20;
const UUID: [u8; 16] = *b"0123456789abcdef";

/// A device with these bytes at these places, zero elsewhere.
fn device(size: usize, parts: &[(usize, &[u8])]) -> MemoryBlock {
    let mut content = vec![0; size];
    for (at, bytes) in parts {
        content[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    MemoryBlock::new(content)
}

fn found(size: usize, parts: &[(usize, &[u8])]) -> Vec<Signature> {
    signatures(&device(size, parts)).unwrap()
}

fn names(size: usize, parts: &[(usize, &[u8])]) -> Vec<&'static str> {
    found(size, parts).iter().map(|s| s.name).collect()
}

fn ext(compat: u32, incompat: u32, ro_compat: u32, blocks: u32) -> Vec<u8> {
    let mut sb = vec![0; 1024];
    sb[4..8].copy_from_slice(&blocks.to_le_bytes());
    sb[0x18] = 2;
    sb[0x38..0x3A].copy_from_slice(&[0x53, 0xEF]);
    sb[0x5C..0x60].copy_from_slice(&compat.to_le_bytes());
    sb[0x60..0x64].copy_from_slice(&incompat.to_le_bytes());
    sb[0x64..0x68].copy_from_slice(&ro_compat.to_le_bytes());
    sb[0x68..0x78].copy_from_slice(&UUID);
    sb[0x78..0x7C].copy_from_slice(b"data");
    sb
}

/// The features of mkfs.ext4's default, for a device of 4 MiB.
fn ext4() -> Vec<u8> {
    ext(0x3C, 0x2C2, 0x46B, 1024)
}

#[test]
fn an_empty_device_of_any_size_holds_nothing() {
    for size in [0, 1, 511, 512, 4096, 65_536, MIB - 1, 3 * MIB] {
        assert_eq!(names(size, &[]), Vec::<&str>::new(), "{size}");
    }
}

#[test]
fn the_ext_family_is_told_apart() {
    let one = |sb: Vec<u8>| found(4 * MIB, &[(1024, &sb)]).remove(0);
    let found = one(ext4());
    assert_eq!((found.name, found.kind), ("ext4", Some(FsKind::Ext4)));
    assert_eq!(found.uuid, Some(Uuid::from_bytes(UUID)));
    assert_eq!(found.label.as_deref(), Some("data"));
    assert_eq!(one(ext(0, 0x2, 0x3, 9)).name, "ext2");
    let ext3 = one(ext(0x4, 0x6, 0x3, 9));
    assert_eq!((ext3.name, ext3.kind), ("ext3", None));
    assert_eq!(one(ext(0x4, 0x8, 0, 9)).name, "ext4 journal device");
    assert_eq!(one(ext(0, 0x42, 0x3, 9)).name, "ext4");
}

#[test]
fn an_xfs_that_is_being_made_says_so() {
    let mut sb = vec![0; 512];
    sb[..4].copy_from_slice(b"XFSB");
    sb[32..48].copy_from_slice(&UUID);
    let done = found(MIB, &[(0, &sb)]).remove(0);
    assert_eq!((done.kind, done.unfinished), (Some(FsKind::Xfs), false));
    assert_eq!(done.uuid, Some(Uuid::from_bytes(UUID)));
    sb[126] = 1;
    assert!(found(MIB, &[(0, &sb)])[0].unfinished);
}

#[test]
fn a_btrfs_that_is_being_made_or_has_several_devices_says_so() {
    let mut sb = vec![0; 4096];
    sb[0x20..0x30].copy_from_slice(&UUID);
    sb[0x40..0x48].copy_from_slice(b"_BHRfS_M");
    sb[0x88] = 1;
    let done = found(MIB, &[(65_536, &sb)]).remove(0);
    assert_eq!((done.kind, done.unfinished), (Some(FsKind::Btrfs), false));
    sb[0x88] = 2;
    assert_eq!(found(MIB, &[(65_536, &sb)])[0].kind, None);
    sb[0x40] = b'!';
    assert!(found(MIB, &[(65_536, &sb)])[0].unfinished);
}

#[test]
fn foreign_formats_are_named() {
    let size = 4 * MIB + 12_288;
    let md = 0xA92B_4EFC_u32.to_le_bytes();
    let zfs = 0x00BA_B10C_u64.to_be_bytes();
    let gpt = b"EFI PART";
    let cases: &[(&str, usize, &[u8])] = &[
        ("LVM2 physical volume", 512, b"LABELONE"),
        ("LVM2 physical volume", 1536, b"LABELONE"),
        ("LUKS1 volume", 0, b"LUKS\xBA\xBE\0\x01"),
        ("LUKS2 volume", 0, b"LUKS\xBA\xBE\0\x02"),
        ("LUKS2 volume", 0x4000, b"SKUL\xBA\xBE"),
        ("md raid member 1.1", 0, &md),
        ("md raid member 1.2", 4096, &md),
        ("md raid member 1.0", size - 8192, &md),
        ("md raid member 0.90", (size & !0xFFFF) - 65_536, &md),
        ("GPT partition table", 512, gpt),
        ("GPT partition table", 4096, gpt),
        ("GPT partition table", size - 512, gpt),
        ("GPT partition table", size - 4096, gpt),
        ("DOS partition table", 510, &[0x55, 0xAA]),
        ("swap", 4086, b"SWAPSPACE2"),
        ("swap", 65_526, b"SWAPSPACE2"),
        ("NTFS", 3, b"NTFS    "),
        ("exFAT", 3, b"EXFAT   "),
        ("ISO 9660", 32_769, b"CD001"),
        ("squashfs", 0, b"hsqs"),
        ("f2fs", 1024, &[0x10, 0x20, 0xF5, 0xF2]),
        ("erofs", 1024, &[0xE2, 0xE1, 0xF5, 0xE0]),
        ("ZFS member", 128 << 10, &zfs),
        ("ZFS member", (size & !0x3FFFF) - 0x20000, &zfs),
        ("DRBD device", size - 4096 + 60, &[0x83, 0x74, 0x02, 0x6D]),
        ("BitLocker volume", 3, b"-FVE-FS-"),
    ];
    for (name, at, magic) in cases {
        assert_eq!(names(size, &[(*at, magic)]), [*name], "at {at}");
    }
}

#[test]
fn boot_sectors_are_no_partition_tables() {
    let mark: (usize, &[u8]) = (510, &[0x55, 0xAA]);
    assert_eq!(names(MIB, &[(3, b"NTFS    "), mark]), ["NTFS"]);
    assert_eq!(names(MIB, &[(3, b"EXFAT   "), mark]), ["exFAT"]);
    assert_eq!(names(MIB, &[(82, b"FAT32   "), mark]), ["FAT"]);
    let bpb = [0xEB, 0x3C, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 1, 0, 2, 0, 2, 0, 0, 0xF8];
    assert_eq!(names(MIB, &[(0, &bpb), mark]), ["FAT"]);
    let partition = [0x80, 0, 2, 0, 0x83];
    assert_eq!(names(MIB, &[(446, &partition), mark]), ["DOS partition table"]);
}

#[test]
fn several_signatures_are_all_named() {
    let md = 0xA92B_4EFC_u32.to_le_bytes();
    let stale = names(4 * MIB, &[(1024, &ext4()), (4096, &md)]);
    assert_eq!(stale, ["ext4", "md raid member 1.2"]);
    let both = names(4 * MIB, &[(1024, &ext4()), (65_536 + 64, b"_BHRfS_M")]);
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn a_file_systems_own_bytes_are_not_taken_for_another_format() {
    // An inode count that reads like the magic of HFS+.
    let mut sb = ext4();
    sb[..2].copy_from_slice(b"H+");
    assert_eq!(names(4 * MIB, &[(1024, &sb)]), ["ext4"]);
    // The image of a partitioned disk in a file whose last block is the file system's last.
    let backup: (usize, &[u8]) = (4 * MIB - 512, b"EFI PART");
    assert_eq!(names(4 * MIB, &[(1024, &ext4()), backup]), ["ext4"]);
    // The same behind the end of the file system belongs to the disk.
    let backup: (usize, &[u8]) = (5 * MIB - 512, b"EFI PART");
    assert_eq!(names(5 * MIB, &[(1024, &ext4()), backup]).len(), 2);
}

proptest! {
    #[test]
    fn any_content_gives_an_answer(
        size in 0usize..200_000,
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..64),
        magic in prop::sample::select(vec![
            &b"XFSB"[..], b"_BHRfS_M", b"LABELONE", b"EFI PART", b"LUKS\xBA\xBE", b"\x53\xEF",
        ]),
    ) {
        let mut content = vec![0; size];
        for (at, value) in noise {
            if size >= 8 {
                let at = at.index(size - 7);
                content[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
        }
        if size > 1100 {
            let at = if magic.len() == 2 { 1080 } else { 0 };
            content[at..at + magic.len()].copy_from_slice(magic);
        }
        prop_assert!(signatures(&MemoryBlock::new(content)).is_ok());
    }
}
