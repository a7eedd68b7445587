//! Content that can be told from any other: blocks that depend on a seed and on their place.

use super::case::{Checked, check};
use super::lab::during;
use crate::host::BlockIo;

const BLOCK: u64 = 4096;
const STRIDE: u64 = 512 << 10;
const CHUNK: u64 = 256 << 10;

/// Where blocks stand between `from` and `to`: one every 512 KiB, and the last one.
fn places(from: u64, to: u64) -> impl Iterator<Item = u64> {
    let last = to.checked_sub(BLOCK).filter(|place| *place >= from);
    (from..to)
        .step_by(usize::try_from(STRIDE).unwrap_or(usize::MAX))
        .filter(move |place| place.saturating_add(BLOCK) <= to)
        .chain(last)
}

/// The block of a seed at a place; never all zeroes.
fn block(seed: u64, place: u64) -> Vec<u8> {
    let mut state = (seed ^ place.rotate_left(20)) | 1;
    let mut words = Vec::new();
    for _ in 0..BLOCK / 8 {
        // The step of Knuth's MMIX generator; its low bits are weak, which does not matter here.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words.extend_from_slice(&state.to_le_bytes());
    }
    words
}

/// Writes the pattern of a seed between two offsets.
pub(crate) fn stamp(io: &dyn BlockIo, seed: u64, from: u64, to: u64) -> Checked {
    for place in places(from, to) {
        during(
            &format!("write {BLOCK} bytes at {place}"),
            io.write_at(place, &block(seed, place)),
        )?;
    }
    Ok(())
}

/// Whether the pattern of a seed stands between two offsets.
pub(crate) fn verify(io: &dyn BlockIo, seed: u64, from: u64, to: u64) -> Checked {
    let mut found = vec![0; block(seed, 0).len()];
    for place in places(from, to) {
        during(&format!("read {BLOCK} bytes at {place}"), io.read_at(place, &mut found))?;
        let blank = if found.iter().all(|byte| *byte == 0) { "zeroes" } else { "something else" };
        check!(
            found == block(seed, place),
            "at {place} stands {blank}, not what was written (pattern {seed})"
        );
    }
    Ok(())
}

/// Whether every byte between two offsets is zero.
pub(crate) fn zeroes(io: &dyn BlockIo, from: u64, to: u64) -> Checked {
    let blank = vec![0; usize::try_from(CHUNK).unwrap_or(0)];
    let mut buf = blank.clone();
    let mut at = from;
    while at < to {
        let len = usize::try_from(to.saturating_sub(at).min(CHUNK)).unwrap_or(0);
        let Some(part) = buf.get_mut(..len).filter(|part| !part.is_empty()) else {
            break;
        };
        during(&format!("read {len} bytes at {at}"), io.read_at(at, part))?;
        check!(blank.starts_with(part), "the range of {len} bytes at {at} does not read as zeroes");
        at = at.saturating_add(CHUNK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::MemoryBlock;

    #[test]
    fn a_pattern_is_told_from_another_from_zeroes_and_from_a_shifted_one() {
        let io = MemoryBlock::new(vec![0; 1 << 20]);
        zeroes(&io, 0, 1 << 20).unwrap();
        assert!(verify(&io, 1, 0, 1 << 20).is_err());
        stamp(&io, 1, 0, 1 << 20).unwrap();
        verify(&io, 1, 0, 1 << 20).unwrap();
        assert!(verify(&io, 2, 0, 1 << 20).is_err());
        assert!(zeroes(&io, 0, 1 << 20).is_err());
        assert_ne!(block(1, 0), block(1, 4096));
    }

    #[test]
    fn the_last_byte_counts() {
        let io = MemoryBlock::new(vec![0; 1 << 20]);
        io.write_at((1 << 20) - 1, &[1]).unwrap();
        assert!(zeroes(&io, 0, 1 << 20).is_err());
        zeroes(&io, 0, (1 << 20) - 1).unwrap();
        stamp(&io, 3, 0, 1 << 20).unwrap();
        io.write_at((1 << 20) - 1, &[0]).unwrap();
        assert!(verify(&io, 3, 0, 1 << 20).is_err());
    }
}
