//! The kernel inside its self-extracting image: unpacked here it starts seconds earlier than when
//! an emulated processor has to unpack it.

/// Where the header says the compressed kernel is (`Documentation/arch/x86/boot.rst`, protocol
/// 2.08: number of setup sectors, magic, version, offset and length of the payload).
const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR: usize = 512;
const XZ: &[u8] = b"\xfd7zXZ\0";

/// The part of a kernel image that is an xz stream, with the four bytes of its unpacked size
/// after it. Nothing where the image is odd or compressed by another method: it is started as it
/// is then.
pub(super) fn xz_payload(image: &[u8]) -> Option<&[u8]> {
    if image.get(MAGIC..VERSION)? != b"HdrS" || le(image, VERSION, 2)? < 0x208 {
        return None;
    }
    // 0 stands for 4 in the oldest images.
    let sectors = match le(image, SETUP_SECTORS, 1)? {
        0 => 4,
        n => n,
    };
    let setup = sectors.checked_add(1)?.checked_mul(SECTOR)?;
    let start = setup.checked_add(le(image, PAYLOAD_OFFSET, 4)?)?;
    let end = start.checked_add(le(image, PAYLOAD_LENGTH, 4)?)?;
    let payload = image.get(start..end)?;
    payload.starts_with(XZ).then_some(payload)
}

/// Whether a program runs without a dynamic loader: its ELF program headers (elf(5)) name none.
pub(super) fn is_static(program: &[u8]) -> bool {
    const INTERPRETER: usize = 3;
    let read = || {
        if program.get(..5)? != b"\x7fELF\x02" {
            return None;
        }
        let (table, size, count) = (le(program, 32, 8)?, le(program, 54, 2)?, le(program, 56, 2)?);
        let mut kinds =
            (0..count).map(|n| le(program, table.checked_add(n.checked_mul(size)?)?, 4));
        Some(kinds.all(|kind| kind.is_some_and(|kind| kind != INTERPRETER)))
    };
    read().unwrap_or(false)
}

fn le(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    let mut value = 0usize;
    for byte in field.iter().rev() {
        value = value.checked_mul(256)?.checked_add(usize::from(*byte))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        let mut image = vec![0u8; 2048];
        image[SETUP_SECTORS] = 1;
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image[VERSION..VERSION + 2].copy_from_slice(&[0x0f, 2]);
        image[PAYLOAD_OFFSET] = 16;
        image[PAYLOAD_LENGTH] = 20;
        image[1040..1046].copy_from_slice(XZ);
        image
    }

    #[test]
    fn a_payload_is_found_by_the_header() {
        assert_eq!(xz_payload(&image()).map(<[u8]>::len), Some(20));
    }

    #[test]
    fn odd_images_have_none() {
        let mut other = image();
        other[1040] = 0;
        let mut beyond = image();
        beyond[PAYLOAD_LENGTH + 3] = 0xff;
        let mut old = image();
        old[VERSION] = 7;
        for odd in [other, beyond, old, image()[..700].to_vec(), Vec::new()] {
            assert_eq!(xz_payload(&odd), None);
        }
    }

    #[test]
    fn a_program_with_a_loader_is_not_static() {
        let mut elf = vec![0u8; 200];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 2;
        elf[64] = 1;
        assert!(is_static(&elf));
        elf[120] = 3;
        assert!(!is_static(&elf));
        assert!(!is_static(&elf[..100]));
        assert!(!is_static(b"#!/bin/sh"));
    }
}
