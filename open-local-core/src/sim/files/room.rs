//! The blocks of the simulated file system: how many there are and who has taken them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::content::{BLOCK, Slot};

/// One block that is taken; files that share it share this value. Dropping the last one frees it.
#[derive(Debug)]
pub(super) struct Taken(Arc<AtomicU64>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Blocks that a power cut brought back, by the slot that holds them.
pub(super) type Retaken = BTreeMap<(u64, usize), Arc<Taken>>;

/// Blocks of a copied machine, by those they are copies of.
pub(super) type Recounted = BTreeMap<usize, Arc<Taken>>;

#[derive(Debug)]
pub(super) struct Room {
    used: Arc<AtomicU64>,
    total: u64,
    next_slot: u64,
}

impl Room {
    pub(super) fn new(total: u64) -> Self {
        Self { used: Arc::new(AtomicU64::new(0)), total: total / BLOCK, next_slot: 0 }
    }

    pub(super) const fn set_total(&mut self, total: u64) {
        self.total = total / BLOCK;
    }

    pub(super) const fn total(&self) -> u64 {
        self.total.saturating_mul(BLOCK)
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst).saturating_mul(BLOCK)
    }

    pub(super) fn available(&self) -> u64 {
        self.total().saturating_sub(self.used())
    }

    fn taken(&self) -> Arc<Taken> {
        self.used.fetch_add(1, Ordering::SeqCst);
        Arc::new(Taken(Arc::clone(&self.used)))
    }

    /// A new block that reads as zeroes.
    pub(super) fn take(&mut self) -> io::Result<Slot> {
        if self.available() < BLOCK {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.next_slot += 1;
        Ok(Slot::new(self.next_slot, self.taken()))
    }

    /// The same with nothing taken.
    pub(super) fn empty(&self) -> Self {
        Self { used: Arc::new(AtomicU64::new(0)), ..*self }
    }

    /// Takes a block as it is taken elsewhere; once for all that share it there.
    pub(super) fn recount(&self, elsewhere: &Arc<Taken>, known: &mut Recounted) -> Arc<Taken> {
        let address = Arc::as_ptr(elsewhere).addr();
        Arc::clone(known.entry(address).or_insert_with(|| self.taken()))
    }

    /// Takes a block again that the disk holds after a power cut; once for all that share it.
    pub(super) fn retake(&self, slot: &Slot, known: &mut Retaken) -> Arc<Taken> {
        let taken = known.entry(slot.identity()).or_insert_with(|| self.taken());
        Arc::clone(taken)
    }
}
