//! Partition tables, and the FAT family, whose boot sector ends like one.

use super::super::Signature;
use super::view::View;

/// Where the DOS table's four entries start.
const ENTRIES: u64 = 446;
/// Where both a DOS table and a boot sector have 0x55 0xAA.
const BOOT_MARK: u64 = 510;
/// Sector sizes by which a GPT may be laid out.
const SECTORS: [u64; 4] = [512, 1024, 2048, 4096];

pub(super) fn find(view: &View, found: &mut Vec<Signature>) {
    let first = SECTORS.into_iter().map(Some);
    let last = SECTORS.map(|sector| view.size().checked_sub(sector));
    for at in first.chain(last).flatten() {
        let new = !found.iter().any(|s| s.offset == at);
        if new && view.has(at, b"EFI PART") {
            let signature = Signature::new("GPT partition table", at);
            found.push(signature.with_uuid(view.uuid(at + 56)));
        }
    }
    if view.has(512, b"PM\0\0") {
        found.push(Signature::new("Apple partition map", 512));
    }
    if view.has(508, &[0xDA, 0xBE]) {
        found.push(Signature::new("Sun disk label", 508));
    }
    if let Some(signature) = fat(view) {
        found.push(signature);
    } else if is_dos_table(view, found) {
        found.push(Signature::new("DOS partition table", BOOT_MARK));
    }
}

/// FAT names itself in most boot sectors; older ones are known by a parameter block that makes
/// sense.
fn fat(view: &View) -> Option<Signature> {
    if view.has(3, b"NTFS    ") || view.has(3, b"EXFAT   ") {
        return None;
    }
    let names: [(u64, &[u8]); 7] = [
        (54, b"FAT12   "),
        (54, b"FAT16   "),
        (54, b"FAT     "),
        (54, b"MSDOS"),
        (82, b"FAT32   "),
        (82, b"MSWIN"),
        (82, b"FAT     "),
    ];
    let marked = view.has(BOOT_MARK, &[0x55, 0xAA]);
    let named = names.iter().find(|(at, name)| view.has(*at, name));
    let wide = named.is_some_and(|(at, _)| *at == 82);
    let label = if wide { (71, 11) } else { (43, 11) };
    if named.is_some() || (marked && has_parameter_block(view)) {
        let label = named.and_then(|_| view.text(label.0, label.1));
        return Some(Signature::new("FAT", BOOT_MARK).with_label(label));
    }
    None
}

fn has_parameter_block(view: &View) -> bool {
    let jump = matches!(view.u8(0), Some(0xEB | 0xE9));
    let sector = view.le16(11).unwrap_or(0);
    let cluster = view.u8(13).unwrap_or(0);
    let reserved = view.le16(14).unwrap_or(0);
    let tables = view.u8(16).unwrap_or(0);
    let media = view.u8(21).unwrap_or(0);
    jump && sector.is_power_of_two()
        && (512..=4096).contains(&sector)
        && cluster.is_power_of_two()
        && reserved > 0
        && matches!(tables, 1 | 2)
        && (media == 0xF0 || media >= 0xF8)
}

/// Whether the first sector is a DOS table: marked, no boot sector of a file system, and four
/// entries whose boot flags are possible. A table without partitions is one, too.
fn is_dos_table(view: &View, found: &[Signature]) -> bool {
    let boot_sector = found
        .iter()
        .any(|s| s.offset == 3 && matches!(s.name, "NTFS" | "exFAT" | "ReFS" | "BitLocker volume"));
    let plausible = (0..4).all(|entry| {
        let at = ENTRIES + entry * 16;
        matches!(view.u8(at), Some(0 | 0x80))
    });
    view.has(BOOT_MARK, &[0x55, 0xAA]) && !boot_sector && plausible
}
