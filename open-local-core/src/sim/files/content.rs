//! The bytes of one file: sparse, in blocks that copies share, beside what a power cut would leave.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::random::{Fate, Style};
use super::room::{Recounted, Retaken, Room, Taken};

/// Bytes in a block.
pub(super) const BLOCK: u64 = 4096;
/// Bytes a disk writes whole or not at all.
const SECTOR: usize = 512;
/// The largest file, as ext4 with 4 KiB blocks has it.
pub(super) const MAX_LEN: u64 = (1 << 44) - BLOCK;

type Page = [u8; 4096];

/// A block of a file. Without a page it is taken but was never written and reads as zeroes.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    id: u64,
    /// `None` for what is only on the simulated disk, where the room is counted with the file.
    taken: Option<Arc<Taken>>,
    page: Option<Arc<Page>>,
}

impl Slot {
    pub(super) const fn new(id: u64, taken: Arc<Taken>) -> Self {
        Self { id, taken: Some(taken), page: None }
    }

    /// What two files that share the block have in common.
    pub(super) fn identity(&self) -> (u64, usize) {
        let page = self.page.as_ref();
        (self.id, page.map_or(0, |page| Arc::as_ptr(page).addr()))
    }

    fn is_shared(&self) -> bool {
        self.taken.as_ref().is_some_and(|taken| Arc::strong_count(taken) > 1)
    }

    fn on_disk(&self) -> Self {
        Self { id: self.id, taken: None, page: self.page.clone() }
    }

    fn bytes_mut(&mut self) -> &mut Page {
        let page = self.page.get_or_insert_with(|| Arc::new([0; 4096]));
        Arc::make_mut(page)
    }

    /// Zeroes the end; a page that has nothing there stays shared.
    fn zero_from(&mut self, start: usize) {
        let tail = self.page.as_ref().and_then(|page| page.get(start..));
        if tail.is_some_and(|tail| tail.iter().any(|byte| *byte != 0))
            && let Some(tail) = self.bytes_mut().get_mut(start..)
        {
            tail.fill(0);
        }
    }
}

/// One file's bytes now, and those that are durable.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    len: u64,
    blocks: BTreeMap<u64, Slot>,
    /// Blocks in which the two may differ.
    dirty: BTreeSet<u64>,
    durable_len: u64,
    durable: BTreeMap<u64, Slot>,
}

/// A part of a transfer that stays within one block.
struct Piece {
    block: u64,
    within: Range<usize>,
    buffer: Range<usize>,
}

fn pieces(offset: u64, len: usize) -> impl Iterator<Item = Piece> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= len {
            return None;
        }
        let at = offset.checked_add(u64::try_from(done).ok()?)?;
        let start = usize::try_from(at % BLOCK).ok()?;
        let count = (4096 - start).min(len - done);
        let piece =
            Piece { block: at / BLOCK, within: start..start + count, buffer: done..done + count };
        done += count;
        Some(piece)
    })
}

fn end_of(offset: u64, len: usize) -> io::Result<u64> {
    let too_large = || io::Error::from_raw_os_error(libc::EFBIG);
    u64::try_from(len)
        .ok()
        .and_then(|len| offset.checked_add(len))
        .filter(|end| *end <= MAX_LEN)
        .ok_or_else(too_large)
}

impl Content {
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn allocated(&self) -> u64 {
        let blocks = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        blocks.saturating_mul(BLOCK)
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if end_of(offset, buf.len()).map_or(true, |end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for piece in pieces(offset, buf.len()) {
            let page = self.blocks.get(&piece.block).and_then(|slot| slot.page.as_ref());
            let Some(target) = buf.get_mut(piece.buffer) else {
                continue;
            };
            match page.and_then(|page| page.get(piece.within)) {
                Some(bytes) => target.copy_from_slice(bytes),
                None => target.fill(0),
            }
        }
        Ok(())
    }

    /// Writes; on `ENOSPC` what came before is written, as by the system call.
    pub(super) fn write(&mut self, room: &mut Room, offset: u64, data: &[u8]) -> io::Result<()> {
        end_of(offset, data.len())?;
        for piece in pieces(offset, data.len()) {
            let end = end_of(offset, piece.buffer.end)?;
            let slot = self.own(room, piece.block)?;
            let target = slot.bytes_mut().get_mut(piece.within);
            if let Some((target, bytes)) = target.zip(data.get(piece.buffer)) {
                target.copy_from_slice(bytes);
            }
            self.len = self.len.max(end);
        }
        Ok(())
    }

    /// The block for writing: taken if it is a hole, taken anew if it is shared.
    fn own(&mut self, room: &mut Room, block: u64) -> io::Result<&mut Slot> {
        let slot = match self.blocks.remove(&block) {
            Some(slot) if slot.is_shared() => match room.take() {
                Ok(fresh) => Slot { page: slot.page, ..fresh },
                Err(error) => {
                    self.blocks.insert(block, slot);
                    return Err(error);
                }
            },
            Some(slot) => slot,
            None => room.take()?,
        };
        self.dirty.insert(block);
        Ok(self.blocks.entry(block).or_insert(slot))
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        if len > MAX_LEN {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        if len < self.len {
            let cut = self.blocks.split_off(&len.div_ceil(BLOCK));
            self.dirty.extend(cut.keys());
            let tail = usize::try_from(len % BLOCK).unwrap_or(0);
            if let Some(slot) = self.blocks.get_mut(&(len / BLOCK)) {
                slot.zero_from(tail);
                self.dirty.insert(len / BLOCK);
            }
        }
        self.len = len;
        Ok(())
    }

    /// Takes room for a range; on `ENOSPC` nothing of it is taken and the length is as before.
    pub(super) fn allocate(&mut self, room: &mut Room, offset: u64, len: u64) -> io::Result<()> {
        let end = offset
            .checked_add(len)
            .filter(|end| *end <= MAX_LEN)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EFBIG))?;
        let range = offset / BLOCK..end.div_ceil(BLOCK);
        let present = self.blocks.range(range.clone()).count();
        let present = u64::try_from(present).unwrap_or(u64::MAX);
        let missing = (range.end - range.start).saturating_sub(present);
        if missing.saturating_mul(BLOCK) > room.available() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        for block in range {
            if !self.blocks.contains_key(&block) {
                self.own(room, block)?;
            }
        }
        self.len = self.len.max(end);
        Ok(())
    }

    /// The first written range at or after `offset`.
    pub(super) fn next_data(&self, offset: u64) -> Option<(u64, u64)> {
        let written = |block: &u64| self.blocks.get(block).is_some_and(|s| s.page.is_some());
        let mut rest = self.blocks.range(offset / BLOCK..).map(|(block, _)| *block);
        let first = rest.find(written)?;
        let start = offset.max(first * BLOCK);
        if start >= self.len {
            return None;
        }
        let mut last = first;
        while written(&(last + 1)) {
            last += 1;
        }
        Some((start, ((last + 1) * BLOCK).min(self.len)))
    }

    /// A copy that shares every block; nothing of it is durable.
    pub(super) fn share(&self) -> Self {
        Self {
            len: self.len,
            blocks: self.blocks.clone(),
            dirty: self.blocks.keys().copied().collect(),
            ..Self::default()
        }
    }

    pub(super) fn flush(&mut self) {
        for block in std::mem::take(&mut self.dirty) {
            match self.blocks.get(&block) {
                Some(slot) => self.durable.insert(block, slot.on_disk()),
                None => self.durable.remove(&block),
            };
        }
        self.durable_len = self.len;
    }

    /// Gives its room back; a power cut may still bring the bytes back.
    pub(super) fn give_back_room(&mut self) {
        for slot in self.blocks.values_mut() {
            slot.taken = None;
        }
    }

    /// For a copied machine: takes room there for what is taken here.
    pub(super) fn recount(&mut self, room: &Room, known: &mut Recounted) {
        for slot in self.blocks.values_mut() {
            slot.taken = slot.taken.as_ref().map(|taken| room.recount(taken, known));
        }
    }

    /// Leaves what a power cut leaves; all of it is durable then.
    pub(super) fn cut(&mut self, fate: &mut Fate) {
        let style = fate.style();
        let len = match style {
            Style::Old => self.durable_len,
            Style::New => self.len,
            Style::Torn => fate.length_between(self.durable_len, self.len),
        };
        for block in std::mem::take(&mut self.dirty) {
            let (old, new) = (self.durable.get(&block), self.blocks.get(&block));
            let left = match style {
                Style::Old => old.cloned(),
                Style::New => new.map(Slot::on_disk),
                Style::Torn => torn(old, new, fate),
            };
            match left {
                Some(slot) => self.durable.insert(block, slot),
                None => self.durable.remove(&block),
            };
        }
        self.durable.split_off(&len.div_ceil(BLOCK));
        if let Some(slot) = self.durable.get_mut(&(len / BLOCK)) {
            slot.zero_from(usize::try_from(len % BLOCK).unwrap_or(0));
        }
        self.durable_len = len;
        self.len = len;
        self.blocks.clear();
    }

    /// After [`Self::cut`]: shows what is on the disk and takes room for it.
    pub(super) fn show(&mut self, room: &Room, known: &mut Retaken) {
        let retaken = |(block, slot): (&u64, &Slot)| {
            let taken = Some(room.retake(slot, known));
            let slot = slot.clone();
            (*block, Slot { taken, ..slot })
        };
        self.blocks = self.durable.iter().map(retaken).collect();
    }
}

/// A block of which each sector is old or new.
fn torn(old: Option<&Slot>, new: Option<&Slot>, fate: &mut Fate) -> Option<Slot> {
    let mut page = [0; 4096];
    let (mut any_old, mut any_new) = (false, false);
    for start in (0..page.len()).step_by(SECTOR) {
        let keep = fate.keeps_sector();
        any_new |= keep;
        any_old |= !keep;
        let source = if keep { new } else { old };
        let range = start..start + SECTOR;
        let bytes = source.and_then(|slot| slot.page.as_ref()?.get(range.clone()));
        if let Some((target, bytes)) = page.get_mut(range).zip(bytes) {
            target.copy_from_slice(bytes);
        }
    }
    match (any_old, any_new) {
        (_, false) => old.cloned(),
        (false, true) => new.map(Slot::on_disk),
        (true, true) => {
            let slot = new.or(old)?.on_disk();
            let page = Some(Arc::new(page));
            Some(Slot { page, ..slot })
        }
    }
}
