//! What a volume or snapshot holds: a sparse map of blocks that copies share until one is written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::state::crc32c;
use crate::units::Bytes;

/// The size of one block, and the unit of volume sizes.
pub(super) const BLOCK: Bytes = Bytes::new(BLOCK_LEN as u64);
const BLOCK_LEN: usize = 4096;

/// Counts the blocks of a pool that are really there, each once however many share it.
#[derive(Debug, Default)]
pub(super) struct Room(AtomicU64);

impl Room {
    /// The room all counted blocks take.
    pub(super) fn taken(&self) -> Bytes {
        let blocks = self.0.load(Ordering::SeqCst);
        BLOCK.checked_mul(blocks).unwrap_or(Bytes::MAX)
    }
}

/// One block's entry in the count; leaves it with the last copy of the block.
#[derive(Debug)]
struct Charge(Arc<Room>);

impl Charge {
    fn new(room: &Arc<Room>) -> Self {
        room.0.fetch_add(1, Ordering::SeqCst);
        Self(room.clone())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Block {
    bytes: [u8; BLOCK_LEN],
    _charge: Option<Charge>,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes would bury whatever else is printed.
        write!(f, "Block({:08x})", crc32c(&self.bytes))
    }
}

/// Who pays for the blocks of a content.
#[derive(Debug, Clone)]
pub(super) enum Payer {
    /// The pool, block by block as they are written; such contents share blocks.
    Pool(Arc<Room>),
    /// Whoever holds the content took all its room beforehand; its blocks are its own.
    Holder,
}

impl Payer {
    fn charge(&self) -> Option<Charge> {
        match self {
            Self::Pool(room) => Some(Charge::new(room)),
            Self::Holder => None,
        }
    }
}

/// Blocks by their number; a missing one reads as zeroes.
#[derive(Debug)]
pub(super) struct Content {
    blocks: BTreeMap<u64, Arc<Block>>,
    payer: Payer,
}

/// One block's part of a range of bytes.
struct Part {
    block: u64,
    from: usize,
    len: usize,
}

fn parts(mut offset: u64, mut len: usize) -> impl Iterator<Item = Part> {
    std::iter::from_fn(move || {
        if len == 0 {
            return None;
        }
        let from = usize::try_from(offset % BLOCK.get()).ok()?;
        let part = Part {
            block: offset / BLOCK.get(),
            from,
            len: len.min(BLOCK_LEN.saturating_sub(from)),
        };
        offset = offset.checked_add(u64::try_from(part.len).ok()?)?;
        len = len.saturating_sub(part.len);
        Some(part)
    })
}

impl Content {
    /// All zeroes.
    pub(super) fn new(payer: Payer) -> Self {
        Self { blocks: BTreeMap::new(), payer }
    }

    /// A copy that `payer` pays for: shared where the pool pays for both, else block by block.
    pub(super) fn copy(&self, payer: Payer) -> Self {
        let shared = matches!((&self.payer, &payer), (Payer::Pool(_), Payer::Pool(_)));
        let copy = |block: &Arc<Block>| {
            if shared {
                return block.clone();
            }
            Arc::new(Block { bytes: block.bytes, _charge: payer.charge() })
        };
        let blocks = self.blocks.iter().map(|(n, b)| (*n, copy(b))).collect();
        Self { blocks, payer }
    }

    /// The room the pool must have for a copy that it pays for.
    pub(super) fn cost_of_copy(&self) -> Bytes {
        match self.payer {
            Payer::Pool(_) => Bytes::ZERO,
            Payer::Holder => self.allocated(),
        }
    }

    /// The room of all blocks, shared ones too.
    pub(super) fn allocated(&self) -> Bytes {
        let blocks = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        BLOCK.checked_mul(blocks).unwrap_or(Bytes::MAX)
    }

    /// Fills `buf` from `offset`.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) {
        let mut rest = buf;
        for part in parts(offset, rest.len()) {
            let Some((now, later)) = rest.split_at_mut_checked(part.len) else {
                return;
            };
            let bytes = self.blocks.get(&part.block).and_then(|block| {
                let end = part.from.checked_add(part.len)?;
                block.bytes.get(part.from..end)
            });
            match bytes {
                Some(bytes) => now.copy_from_slice(bytes),
                None => now.fill(0),
            }
            rest = later;
        }
    }

    /// The room the pool must have for this write.
    pub(super) fn cost_of_write(&self, offset: u64, len: usize) -> Bytes {
        if matches!(self.payer, Payer::Holder) {
            return Bytes::ZERO;
        }
        let own = |n: &u64| self.blocks.get(n).is_some_and(|b| Arc::strong_count(b) == 1);
        let new = parts(offset, len).filter(|part| !own(&part.block)).count();
        BLOCK.checked_mul(u64::try_from(new).unwrap_or(u64::MAX)).unwrap_or(Bytes::MAX)
    }

    /// Writes `data` at `offset`.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        let mut rest = data;
        for part in parts(offset, data.len()) {
            let Some((now, later)) = rest.split_at_checked(part.len) else {
                return;
            };
            let end = part.from.saturating_add(part.len);
            if let Some(to) = self.own_block(part.block).get_mut(part.from..end) {
                to.copy_from_slice(now);
            }
            rest = later;
        }
    }

    /// The bytes of a block that nobody else holds, made or copied if need be.
    fn own_block(&mut self, number: u64) -> &mut [u8] {
        let payer = &self.payer;
        let fresh = |bytes| Arc::new(Block { bytes, _charge: payer.charge() });
        let block = self.blocks.entry(number).or_insert_with(|| fresh([0; BLOCK_LEN]));
        if Arc::get_mut(block).is_none() {
            *block = fresh(block.bytes);
        }
        Arc::get_mut(block).map_or(&mut [], |block| &mut block.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_room_until_one_is_written() {
        let room = Arc::new(Room::default());
        let mut first = Content::new(Payer::Pool(room.clone()));
        first.write(4090, b"0123456789");
        assert_eq!(room.taken(), Bytes::new(8192));
        let second = first.copy(Payer::Pool(room.clone()));
        assert_eq!(room.taken(), Bytes::new(8192));
        assert_eq!(first.cost_of_write(0, 8192), Bytes::new(8192));
        first.write(0, b"x");
        assert_eq!(room.taken(), Bytes::new(12288));
        let mut buf = [9; 12];
        second.read(4089, &mut buf);
        assert_eq!(&buf, b"\x000123456789\x00");
        drop(first);
        assert_eq!(room.taken(), Bytes::new(8192));
        drop(second);
        assert_eq!(room.taken(), Bytes::ZERO);
    }

    #[test]
    fn what_is_paid_beforehand_shares_nothing() {
        let room = Arc::new(Room::default());
        let mut thick = Content::new(Payer::Holder);
        thick.write(0, b"x");
        assert_eq!(room.taken(), Bytes::ZERO);
        assert_eq!(thick.cost_of_copy(), BLOCK);
        let copy = thick.copy(Payer::Pool(room.clone()));
        assert_eq!(room.taken(), BLOCK);
        thick.write(0, b"y");
        let mut buf = [0; 1];
        copy.read(0, &mut buf);
        assert_eq!(&buf, b"x");
    }

    #[test]
    fn the_far_end_of_a_huge_device_can_be_written() {
        let mut content = Content::new(Payer::Holder);
        let last = u64::try_from(i64::MAX).unwrap() - 4;
        content.write(last, b"end!");
        let mut buf = [0; 4];
        content.read(last, &mut buf);
        assert_eq!(&buf, b"end!");
    }
}
