//! The file systems that are handled, and their near relatives.

use super::super::Signature;
use super::Territory;
use super::view::View;
use crate::token::FsKind;

pub(super) fn find(view: &View) -> (Vec<Signature>, Vec<Territory>) {
    let makers: [fn(&View) -> Option<Signature>; 3] = [ext, xfs, btrfs];
    let found: Vec<Signature> = makers.iter().filter_map(|maker| maker(view)).collect();
    let territories = found.iter().filter_map(|s| territory(view, s)).collect();
    (found, territories)
}

fn territory(view: &View, signature: &Signature) -> Option<Territory> {
    let (superblock, end) = match signature.kind.filter(|_| !signature.unfinished)? {
        FsKind::Ext4 => (EXT..EXT + 1024, ext_size(view)),
        FsKind::Xfs => (0..512, view.be64(8)?.checked_mul(view.be32(4)?.into())),
        FsKind::Btrfs => (BTRFS..BTRFS + 4096, view.le64(BTRFS + 0x70)),
    };
    Some(Territory { superblock, end: end.unwrap_or(0) })
}

fn ext_size(view: &View) -> Option<u64> {
    let high = match view.le32(EXT + 0x60)? & INCOMPAT_64BIT {
        0 => 0,
        _ => view.le32(EXT + 0x150)?,
    };
    let blocks = u64::from(high) << 32 | u64::from(view.le32(EXT + 0x4)?);
    blocks.checked_mul(1024u64.checked_shl(view.le32(EXT + 0x18)?)?)
}

/// Superblock of the ext family.
const EXT: u64 = 1024;
/// `s_magic`.
const EXT_MAGIC: u64 = EXT + 0x38;
/// `EXT3_FEATURE_COMPAT_HAS_JOURNAL`.
const HAS_JOURNAL: u32 = 0x4;
/// `EXT3_FEATURE_INCOMPAT_JOURNAL_DEV`.
const JOURNAL_DEV: u32 = 0x8;
/// `EXT4_FEATURE_INCOMPAT_64BIT`.
const INCOMPAT_64BIT: u32 = 0x80;
/// Incompatible features that ext2 has: `FILETYPE` and `META_BG`.
const EXT2_INCOMPAT: u32 = 0x2 | 0x10;
/// Incompatible features that ext3 has besides: `RECOVER`.
const EXT3_INCOMPAT: u32 = EXT2_INCOMPAT | 0x4;
/// Read-only-compatible features of both: `SPARSE_SUPER`, `LARGE_FILE`, `BTREE_DIR`.
const EXT3_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;

fn ext(view: &View) -> Option<Signature> {
    if !view.has(EXT_MAGIC, &[0x53, 0xEF]) {
        return None;
    }
    let compat = view.le32(EXT + 0x5C)?;
    let incompat = view.le32(EXT + 0x60)?;
    let ro_compat = view.le32(EXT + 0x64)?;
    let old = ro_compat & !EXT3_RO_COMPAT == 0;
    let name = if incompat & JOURNAL_DEV != 0 {
        "ext4 journal device"
    } else if old && compat & HAS_JOURNAL == 0 && incompat & !EXT2_INCOMPAT == 0 {
        "ext2"
    } else if old && compat & HAS_JOURNAL != 0 && incompat & !EXT3_INCOMPAT == 0 {
        "ext3"
    } else {
        "ext4"
    };
    let signature = Signature::new(name, EXT_MAGIC)
        .with_uuid(view.uuid(EXT + 0x68))
        .with_label(view.text(EXT + 0x78, 16));
    // mke2fs writes the primary superblock last, after a flush (e2fsprogs 1.47): one that is
    // there belongs to a finished file system.
    Some(match name {
        "ext4" => signature.with_kind(FsKind::Ext4),
        _ => signature,
    })
}

/// `sb_inprogress` of the XFS superblock: set by mkfs.xfs until it is done (xfsprogs 6.1).
const XFS_IN_PROGRESS: u64 = 126;

fn xfs(view: &View) -> Option<Signature> {
    if !view.has(0, b"XFSB") {
        return None;
    }
    let signature = Signature::new("xfs", 0)
        .with_uuid(view.uuid(32))
        .with_label(view.text(108, 12))
        .with_kind(FsKind::Xfs);
    Some(match view.u8(XFS_IN_PROGRESS) {
        Some(0) => signature,
        _ => signature.unfinished(),
    })
}

/// The first superblock of btrfs.
const BTRFS: u64 = 64 << 10;
/// Its magic number.
const BTRFS_MAGIC: u64 = BTRFS + 0x40;

fn btrfs(view: &View) -> Option<Signature> {
    // While it works, mkfs.btrfs writes another magic number (btrfs-progs 6.2).
    let made = view.has(BTRFS_MAGIC, b"_BHRfS_M");
    if !made && !view.has(BTRFS_MAGIC, b"!BHRfS_M") {
        return None;
    }
    if made && view.le64(BTRFS + 0x88) != Some(1) {
        return Some(
            Signature::new("btrfs over several devices", BTRFS_MAGIC)
                .with_uuid(view.uuid(BTRFS + 0x20)),
        );
    }
    let signature = Signature::new("btrfs", BTRFS_MAGIC)
        .with_uuid(view.uuid(BTRFS + 0x20))
        .with_label(view.text(BTRFS + 0x12B, 256))
        .with_kind(FsKind::Btrfs);
    Some(if made { signature } else { signature.unfinished() })
}
