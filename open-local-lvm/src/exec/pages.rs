//! Bytes as devices take them without a copy: they begin with a page of memory and are followed
//! by zeroes.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use open_local_core::Result;

/// What direct transfers begin at a multiple of, in memory.
const PAGE: usize = 4096;
/// Zeroes behind the bytes.
pub(super) const ZEROES: usize = 4096;
/// Memory larger than this is not kept.
const MAX_SPARE: usize = 1 << 20;

/// Bytes, and zeroes behind them.
#[derive(Debug)]
pub(super) struct Pages {
    memory: Vec<u8>,
    bytes: Range<usize>,
}

impl Pages {
    /// About `expected` bytes, which `fill` adds to what it is handed.
    pub(super) fn filled(
        mut memory: Vec<u8>,
        expected: usize,
        fill: impl FnOnce(Vec<u8>) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        memory.clear();
        memory.reserve(expected.saturating_add(PAGE).saturating_add(ZEROES));
        let lead = memory.as_ptr().align_offset(PAGE);
        memory.resize(lead.min(PAGE), 0);
        let start = memory.len();
        // Where more than was expected is added it may move, and is copied once more later.
        let mut memory = fill(memory)?;
        let bytes = start..memory.len();
        memory.resize(bytes.end.saturating_add(ZEROES), 0);
        Ok(Self { memory, bytes })
    }

    /// So many zeroes, to be read over.
    pub(super) fn blank(mut memory: Vec<u8>, length: usize) -> Self {
        let whole = length.saturating_add(PAGE);
        if memory.len() < whole {
            memory = vec![0; whole];
        }
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        Self { memory, bytes: start..start.saturating_add(length) }
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(self.bytes.clone()).unwrap_or_default()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.bytes.clone()).unwrap_or_default()
    }

    /// Some of the bytes and of the zeroes behind them.
    pub(super) fn part(&self, range: &Range<usize>) -> &[u8] {
        let at = |index: usize| self.bytes.start.saturating_add(index);
        self.memory.get(at(range.start)..at(range.end)).unwrap_or_default()
    }

    pub(super) fn into_memory(self) -> Vec<u8> {
        self.memory
    }
}

/// Memory that was used for the text of one change and serves for the next: fresh memory of that
/// size costs the kernel more than the text costs us.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<u8>>);

impl Spare {
    /// What there is, perhaps none.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps memory, unless it is too much or there is more already.
    pub(super) fn give(&self, memory: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.capacity() <= MAX_SPARE && memory.capacity() > kept.capacity() {
            *kept = memory;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_begin_with_a_page_and_zeroes_follow_also_in_memory_that_was_used() {
        let spare = Spare::default();
        for length in [5000usize, 10, 20_000] {
            let fill = |mut memory: Vec<u8>| {
                memory.resize(memory.len() + length, 7);
                Ok(memory)
            };
            let pages = Pages::filled(spare.take(), length, fill).unwrap();
            assert_eq!(pages.bytes(), vec![7; length]);
            assert_eq!(pages.bytes().as_ptr().align_offset(PAGE), 0);
            let mut wanted = vec![7; 3];
            wanted.resize(3 + ZEROES, 0);
            assert_eq!(pages.part(&(length - 3..length + ZEROES)), wanted);
            assert_eq!(pages.part(&(length..length + ZEROES + 1)), [] as [u8; 0]);
            spare.give(pages.into_memory());
            let blank = Pages::blank(spare.take(), length);
            assert_eq!(
                (blank.bytes().len(), blank.bytes().as_ptr().align_offset(PAGE)),
                (length, 0)
            );
            spare.give(blank.into_memory());
        }
        spare.give(vec![0; MAX_SPARE + 1]);
        assert!(spare.take().capacity() <= MAX_SPARE);
    }
}
