//! Which volume group an LVM2 physical volume belongs to.
//!
//! On-disk layout: label in one of the first four sectors, behind it the physical volume with the
//! lists of its data and metadata areas, in the header of a metadata area the place of the text,
//! which begins with the group's name (LVM2 2.03, `lib/format_text/layout.h`).

use std::io;

use super::super::Signature;
use super::view::View;
use crate::host::BlockIo;

/// The name of the signature, as the prober of stacks gives it.
pub(super) const NAME: &str = "LVM2 physical volume";
/// Longest name of a group, and what follows it in the text.
const LONGEST: u64 = 127 + 2;
/// Areas of a kind looked at.
const MAX_AREAS: u64 = 8;
/// Where in a metadata area's header its magic number, its start and the text's place stand.
const MAGIC: (u64, &[u8]) = (4, b" LVM2 x[5A%r0N*>");
const START: u64 = 24;
const SIZE: u64 = 32;
const TEXT: u64 = 40;

/// Sets the group of the physical volume among what was found, where it can be read.
pub(super) fn name_group(
    device: &dyn BlockIo,
    view: &View,
    found: &mut [Signature],
) -> io::Result<()> {
    let Some(volume) = found.iter_mut().find(|s| s.name == NAME) else {
        return Ok(());
    };
    let Some((at, len)) = text(view, volume.offset) else {
        return Ok(());
    };
    let seen = usize::try_from(len).ok().and_then(|len| view.bytes(at, len)).map(<[u8]>::to_vec);
    let text = match seen {
        Some(text) => text,
        None => {
            let mut text = vec![0; usize::try_from(len).unwrap_or(0)];
            device.read_at(at, &mut text)?;
            text
        }
    };
    volume.group = name(&text);
    Ok(())
}

/// Where the beginning of the text is and how much of it to read, within the device.
fn text(view: &View, label: u64) -> Option<(u64, u64)> {
    let volume = label.checked_add(u64::from(view.le32(label.checked_add(20)?)?))?;
    let mut entry = volume.checked_add(40)?;
    for _ in 0..=MAX_AREAS {
        let data = view.le64(entry)?;
        entry = entry.checked_add(16)?;
        if data == 0 {
            break;
        }
    }
    for _ in 0..MAX_AREAS {
        let area = view.le64(entry).filter(|area| *area != 0)?;
        if let Some(place) = text_of(view, area) {
            return Some(place);
        }
        entry = entry.checked_add(16)?;
    }
    None
}

fn text_of(view: &View, area: u64) -> Option<(u64, u64)> {
    if !view.has(area.checked_add(MAGIC.0)?, MAGIC.1) {
        return None;
    }
    let field = |at: u64| view.le64(area.checked_add(at)?);
    // Without a text the volume belongs to no group.
    let offset = field(TEXT).filter(|offset| *offset != 0)?;
    let start = field(START)?;
    let at = start.checked_add(offset)?;
    let end = start.checked_add(field(SIZE)?)?.min(view.size());
    Some((at, end.checked_sub(at)?.min(LONGEST)))
}

/// The name at the beginning of the text.
fn name(text: &[u8]) -> Option<String> {
    let end = text.windows(2).position(|pair| pair == b" {")?;
    let name = std::str::from_utf8(text.get(..end)?).ok()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '_' | '.' | '-');
    (!name.is_empty() && name.chars().all(fits)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::MemoryBlock;
    use crate::raw::signatures;
    use proptest::prelude::*;

    /// A physical volume with one data and one metadata area; the text at this offset in the
    /// latter.
    fn volume(offset: u64, text: &[u8]) -> Vec<u8> {
        let mut disk = vec![0; 4 << 20];
        let mut put = |at: u64, bytes: &[u8]| {
            let at = usize::try_from(at).unwrap();
            disk[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(512, b"LABELONE");
        put(512 + 20, &32u32.to_le_bytes());
        put(512 + 24, b"LVM2 001");
        put(512 + 32 + 40, &(3u64 << 20).to_le_bytes());
        put(512 + 32 + 40 + 32, &4096u64.to_le_bytes());
        put(4096 + 4, MAGIC.1);
        put(4096 + START, &4096u64.to_le_bytes());
        put(4096 + SIZE, &(2u64 << 20).to_le_bytes());
        put(4096 + TEXT, &offset.to_le_bytes());
        if offset != 0 {
            put(4096 + offset, text);
        }
        disk
    }

    fn group(disk: Vec<u8>) -> Option<String> {
        let found = signatures(&MemoryBlock::new(disk)).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].name, NAME);
        found[0].group.clone()
    }

    #[test]
    fn the_group_is_named_wherever_its_text_is() {
        for offset in [512, 700 << 10, 1 << 20] {
            assert_eq!(group(volume(offset, b"vg-0.a {\nid = 1")), Some("vg-0.a".into()));
        }
        assert_eq!(group(volume(0, b"")), None);
    }

    #[test]
    fn damage_gives_a_volume_without_a_group() {
        for text in [&b"a b {"[..], b" {", b"vg0", b"v\xff {"] {
            assert_eq!(group(volume(512, text)), None, "{text:?}");
        }
        let mut far = volume(512, b"vg0 {");
        far[4096 + 40..4096 + 48].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(group(far), None);
        // An area that lies behind the end of the device.
        let mut disk = volume(512, b"vg0 {");
        disk.truncate(1 << 20);
        assert_eq!(group(disk), Some("vg0".into()));
    }

    proptest! {
        #[test]
        fn any_damage_gives_an_answer(at in 512usize..4200, value in any::<u64>()) {
            let mut disk = volume(512, b"vg0 {");
            disk[at..at + 8].copy_from_slice(&value.to_le_bytes());
            prop_assert!(signatures(&MemoryBlock::new(disk)).is_ok());
        }
    }
}
