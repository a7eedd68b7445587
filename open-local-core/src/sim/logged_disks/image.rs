//! The bytes of a disk: a base that many images share, and sectors on top of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::units::Bytes;

/// What a disk writes whole or not at all.
pub(super) const SECTOR: u64 = 512;
const SECTOR_LEN: usize = 512;

type Sector = [u8; SECTOR_LEN];

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Image {
    base: Arc<Vec<u8>>,
    changed: BTreeMap<u64, Sector>,
}

impl Image {
    /// All zeroes; the size is rounded down to whole sectors.
    pub(super) fn blank(size: Bytes) -> Self {
        let len = usize::try_from(size.get() - size.get() % SECTOR).unwrap_or(0);
        Self { base: Arc::new(vec![0; len]), changed: BTreeMap::new() }
    }

    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.base.len()).unwrap_or(u64::MAX)
    }

    /// Whether a range lies inside.
    pub(super) fn holds(&self, offset: u64, len: usize) -> bool {
        let end = u64::try_from(len).ok().and_then(|len| offset.checked_add(len));
        end.is_some_and(|end| end <= self.size())
    }

    fn sector(&self, number: u64) -> Sector {
        if let Some(sector) = self.changed.get(&number) {
            return *sector;
        }
        let start = number.checked_mul(SECTOR).and_then(|start| usize::try_from(start).ok());
        let rest = start.and_then(|start| self.base.get(start..));
        rest.and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; SECTOR_LEN])
    }

    /// Reads; the range lies inside.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) {
        for (number, from, part) in pieces(offset, buf.len()) {
            let sector = self.sector(number);
            let target = buf.get_mut(from..).and_then(|rest| rest.get_mut(..part.len()));
            if let (Some(target), Some(found)) = (target, sector.get(part)) {
                target.copy_from_slice(found);
            }
        }
    }

    /// Writes; the range lies inside.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        self.write_some(offset, data, |_| true);
    }

    /// Writes those of the touched sectors, counted from 0, which `keep` names.
    pub(super) fn write_some(&mut self, offset: u64, data: &[u8], keep: impl Fn(u64) -> bool) {
        for ((number, from, part), index) in pieces(offset, data.len()).zip(0..) {
            if !keep(index) || number.saturating_mul(SECTOR) >= self.size() {
                continue;
            }
            let mut sector = self.sector(number);
            let source = data.get(from..).and_then(|rest| rest.get(..part.len()));
            if let (Some(target), Some(source)) = (sector.get_mut(part), source) {
                target.copy_from_slice(source);
            }
            self.changed.insert(number, sector);
        }
    }

    /// Sectors a write of this range touches.
    pub(super) fn touched(offset: u64, len: usize) -> u64 {
        u64::try_from(pieces(offset, len).count()).unwrap_or(u64::MAX)
    }

    pub(super) fn content(&self) -> Vec<u8> {
        let mut content = vec![0; self.base.len()];
        self.read(0, &mut content);
        content
    }

    /// Makes all of it the base, so that copies are cheap.
    pub(super) fn settle(&mut self) {
        self.base = Arc::new(self.content());
        self.changed.clear();
    }

    /// The sectors that differ from the base: equal for two images of one base that hold the same.
    pub(super) fn difference(&self) -> impl Iterator<Item = (u64, Sector)> {
        let base = Self { base: self.base.clone(), changed: BTreeMap::new() };
        let all = self.changed.iter().map(|(number, sector)| (*number, *sector));
        all.filter(move |(number, sector)| base.sector(*number) != *sector)
    }
}

/// A range by sectors: the sector, where its part begins in the range, which bytes of the sector.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= len {
            return None;
        }
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        let first = usize::try_from(at % SECTOR).unwrap_or(0);
        let part = (len - done).min(SECTOR_LEN - first);
        let piece = (at / SECTOR, done, first..first + part);
        done += part;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_image_is_bytes(
            writes in proptest::collection::vec((0u64..4000, proptest::collection::vec(any::<u8>(), 0..1500)), 0..12),
            settle_at in 0usize..12,
        ) {
            let mut model = vec![0u8; 8192];
            let mut image = Image::blank(Bytes::new(8192));
            for (index, (offset, data)) in writes.iter().enumerate() {
                if index == settle_at {
                    image.settle();
                }
                image.write(*offset, data);
                let start = usize::try_from(*offset).unwrap();
                model[start..start + data.len()].copy_from_slice(data);
            }
            prop_assert_eq!(image.content(), model);
        }
    }
}
