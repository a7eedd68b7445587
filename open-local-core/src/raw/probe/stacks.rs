//! Layers that make other block devices of a device: LVM, LUKS, md, DRBD, bcache and the like.

use super::super::Signature;
use super::view::View;
use crate::token::Uuid;

pub(super) fn find(view: &View, found: &mut Vec<Signature>) {
    found.extend(lvm2(view));
    found.extend(luks(view));
    found.extend(md(view));
    found.extend(drbd(view));
    for (name, offset, magic) in FIXED {
        if view.has(*offset, magic) {
            found.push(Signature::new(name, *offset));
        }
    }
}

/// A name, and bytes at a place.
const FIXED: &[(&str, u64, &[u8])] = &[
    ("LVM1 physical volume", 0, b"HM\x01\0"),
    ("LVM1 physical volume", 0, b"HM\x02\0"),
    (
        "bcache device",
        4120,
        &[
            0xC6, 0x85, 0x73, 0xF6, 0x4E, 0x1A, 0x45, 0xCA, 0x82, 0x65, 0xF5, 0x7F, 0x48, 0xBA,
            0x6D, 0x81,
        ],
    ),
    ("dm-integrity device", 0, b"integrt\0"),
    ("dm-snapshot store", 0, b"SnAp"),
    ("dm-verity hash device", 0, b"verity\0\0"),
    ("Stratis device", 516, b"!Stra0tis\x86\xff\x02^\x41rh"),
    ("VDO device", 0, b"dmvdo001"),
    ("thin-pool metadata", 32, &[0xD6, 0x9B, 0x9D, 0x01, 0, 0, 0, 0]),
    ("dm-cache metadata", 32, &[0x91, 0x96, 0x5F, 0x00, 0, 0, 0, 0]),
];

fn lvm2(view: &View) -> Option<Signature> {
    (0..4)
        .map(|sector| sector * 512)
        .find(|at| view.has(*at, b"LABELONE"))
        .map(|at| Signature::new(super::lvm::NAME, at))
}

/// Where LUKS2 may have its second header: powers of two from 16 KiB; the first few are looked at.
const LUKS2_SECOND: [u64; 5] = [0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000];

fn luks(view: &View) -> Option<Signature> {
    let uuid = |at: u64| view.text(at + 168, 40)?.parse::<Uuid>().ok();
    if view.has(0, b"LUKS\xBA\xBE") {
        let name = match view.bytes(6, 2) {
            Some([0, 1]) => "LUKS1 volume",
            _ => "LUKS2 volume",
        };
        return Some(Signature::new(name, 0).with_uuid(uuid(0)));
    }
    LUKS2_SECOND
        .into_iter()
        .find(|at| view.has(*at, b"SKUL\xBA\xBE"))
        .map(|at| Signature::new("LUKS2 volume", at).with_uuid(uuid(at)))
}

/// `MD_SB_MAGIC`.
const MD_MAGIC: u32 = 0xA92B_4EFC;

fn md(view: &View) -> Option<Signature> {
    let size = view.size();
    // Format 0.90: 64 KiB aligned, at least 64 KiB before the end; in the byte order of its maker.
    let old = (size & !0xFFFF).checked_sub(0x1_0000);
    // Format 1.0: 4 KiB aligned, at least 8 KiB before the end.
    let at_end = size.checked_sub(0x2000).map(|at| at & !0xFFF);
    if let Some(at) = old.filter(|at| {
        view.has(*at, &MD_MAGIC.to_le_bytes()) || view.has(*at, &MD_MAGIC.to_be_bytes())
    }) {
        return Some(Signature::new("md raid member 0.90", at));
    }
    let places = [
        ("md raid member 1.1", Some(0)),
        ("md raid member 1.2", Some(4096)),
        ("md raid member 1.0", at_end),
    ];
    places.into_iter().find_map(|(name, at)| {
        let at = at.filter(|at| view.le32(*at) == Some(MD_MAGIC))?;
        let signature = Signature::new(name, at)
            .with_uuid(view.uuid(at + 16))
            .with_label(view.text(at + 32, 32));
        Some(signature)
    })
}

/// Magic numbers of DRBD metadata: 8.4 unclean, 8.4, 8.3, 9.
const DRBD: [u32; 4] = [0x8374_026B, 0x8374_026C, 0x8374_026D, 0x8374_026E];

fn drbd(view: &View) -> Option<Signature> {
    let at = (view.size() & !0xFFF).checked_sub(0x1000)? + 60;
    DRBD.iter()
        .any(|magic| view.has(at, &magic.to_be_bytes()))
        .then(|| Signature::new("DRBD device", at))
}
