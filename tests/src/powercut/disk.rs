//! The disk itself: flushed state below, writes since then in memory.

use std::collections::VecDeque;
use std::io;

use super::backing::Backing;
use super::fate::{Fate, decide};

/// The unit of reading and writing.
pub const SECTOR: u64 = 512;
/// The most that one read or write may move.
pub const MOST: u32 = 32 << 20;

/// Why the disk did not do it.
#[derive(Debug)]
pub enum Refused {
    /// The power is off.
    Off,
    /// Beyond the end.
    Range,
    /// Not whole sectors.
    Unaligned,
    /// The backing failed.
    Backing(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Backing(error)
    }
}

/// What a write writes.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// These bytes.
    Data(&'a [u8]),
    /// Zeroes, this many.
    Zeroes(u64),
}

impl Content<'_> {
    const fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Zeroes(length) => *length,
        }
    }
}

/// A write that has not been flushed; `None` are zeroes.
#[derive(Debug)]
struct Pending {
    offset: u64,
    length: u64,
    data: Option<Vec<u8>>,
}

impl Pending {
    fn new(offset: u64, content: Content<'_>) -> Self {
        let data = match content {
            Content::Data(data) => Some(data.to_vec()),
            Content::Zeroes(_) => None,
        };
        Self { offset, length: content.len(), data }
    }

    const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    /// Bytes of memory it takes.
    fn weight(&self) -> u64 {
        self.data.as_ref().map_or(0, |d| d.len() as u64).saturating_add(WEIGHT)
    }

    /// The part of it that lies in a range.
    fn part(&self, start: u64, end: u64) -> Option<(u64, Content<'_>)> {
        let (start, end) = (start.max(self.offset), end.min(self.end()));
        let length = end.checked_sub(start).filter(|length| *length > 0)?;
        let content = match &self.data {
            None => Content::Zeroes(length),
            Some(data) => {
                let from = usize::try_from(start.checked_sub(self.offset)?).ok()?;
                let to = from.checked_add(usize::try_from(length).ok()?)?;
                Content::Data(data.get(from..to)?)
            }
        };
        Some((start, content))
    }
}

/// What a pending write takes beside its data.
const WEIGHT: u64 = 64;

/// What the disk says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Whether the power is on.
    pub powered: bool,
    /// How often the power was cut.
    pub cuts: u64,
    /// Writes that a cut may lose.
    pub pending: u64,
    /// Flushes so far.
    pub flushes: u64,
    /// Writes so far, zeroing and trimming too.
    pub writes: u64,
    /// Writes that became durable unasked, because the memory for them is bounded.
    pub written_back: u64,
}

/// What a cut did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aftermath {
    /// Writes that reached the medium.
    pub kept: u64,
    /// Writes that did not.
    pub lost: u64,
    /// Writes of which a part did.
    pub torn: u64,
    /// Whether they came in another order.
    pub reordered: bool,
}

/// A disk with a volatile write cache.
///
/// The memory for the cache is bounded. A write that would pass the bound first makes the oldest
/// ones durable, as the cache of a real disk does, and [`Status::written_back`] counts them. To
/// hold that write back until a flush would hang: file systems wait for their writes before they
/// flush.
#[derive(Debug)]
pub struct PowerDisk {
    backing: Box<dyn Backing>,
    granule: u64,
    memory: u64,
    used: u64,
    pending: VecDeque<Pending>,
    status: Status,
    armed: Option<(u64, u64)>,
    last: Option<Aftermath>,
}

impl PowerDisk {
    /// A disk that tears writes between sectors of 512 bytes and keeps up to 256 MiB of them.
    #[must_use]
    pub fn new(backing: impl Backing + 'static) -> Self {
        let status = Status { powered: true, ..Status::default() };
        let (granule, memory) = (SECTOR, 256 << 20);
        let backing = Box::new(backing);
        let pending = VecDeque::new();
        Self { backing, granule, memory, used: 0, pending, status, armed: None, last: None }
    }

    /// Sets what a tear does not divide: the logical block of the disk the guest sees, since a
    /// disk writes each of these wholly or not at all. Rounded up to whole sectors.
    #[must_use]
    pub fn with_granule(mut self, bytes: u64) -> Self {
        self.granule = bytes.max(1).next_multiple_of(SECTOR);
        self
    }

    /// Sets how many bytes of writes are kept in memory.
    #[must_use]
    pub const fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.backing.size()
    }

    /// What it says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { pending: self.pending.len() as u64, ..self.status }
    }

    fn admit(&self, offset: u64, length: u64) -> Result<u64, Refused> {
        if !self.status.powered {
            return Err(Refused::Off);
        }
        let end = offset.checked_add(length).filter(|end| *end <= self.size());
        let end = end.ok_or(Refused::Range)?;
        if !offset.is_multiple_of(SECTOR) || !length.is_multiple_of(SECTOR) {
            return Err(Refused::Unaligned);
        }
        Ok(end)
    }

    /// Reads what was written last.
    ///
    /// # Errors
    /// Every kind of [`Refused`].
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Refused> {
        let end = self.admit(offset, buf.len() as u64)?;
        self.backing.read_at(offset, buf)?;
        for write in &self.pending {
            let Some((start, content)) = write.part(offset, end) else { continue };
            let from = usize::try_from(start - offset).unwrap_or(usize::MAX);
            let to = from.saturating_add(usize::try_from(content.len()).unwrap_or(usize::MAX));
            let target = buf.get_mut(from..to).unwrap_or_default();
            match content {
                Content::Data(data) => target.copy_from_slice(data),
                Content::Zeroes(_) => target.fill(0),
            }
        }
        Ok(())
    }

    /// Writes; durable at once if `durable` (FUA), else with the next flush.
    ///
    /// # Errors
    /// Every kind of [`Refused`].
    pub fn write(
        &mut self,
        offset: u64,
        content: Content<'_>,
        durable: bool,
    ) -> Result<(), Refused> {
        let end = self.admit(offset, content.len())?;
        if offset == end {
            return Ok(());
        }
        self.go_off_if_told()?;
        self.status.writes += 1;
        if durable {
            put(self.backing.as_mut(), offset, content)?;
            self.supersede(offset, end);
            return Ok(());
        }
        let write = Pending::new(offset, content);
        while !self.pending.is_empty() && self.used.saturating_add(write.weight()) > self.memory {
            self.write_back()?;
        }
        self.used = self.used.saturating_add(write.weight());
        self.pending.push_back(write);
        Ok(())
    }

    /// Makes all writes so far durable.
    ///
    /// # Errors
    /// Every kind of [`Refused`].
    pub fn flush(&mut self) -> Result<(), Refused> {
        self.admit(0, 0)?;
        self.go_off_if_told()?;
        for write in &self.pending {
            if let Some((start, content)) = write.part(0, u64::MAX) {
                put(self.backing.as_mut(), start, content)?;
            }
        }
        self.forget();
        self.status.flushes += 1;
        Ok(())
    }

    /// Cuts the power: what was not flushed is kept, lost or torn as the seed says, and from now
    /// on everything is refused. A second cut changes nothing and answers what the first did.
    ///
    /// # Errors
    /// As the backing gives them; what survived is unknown then.
    pub fn cut(&mut self, seed: u64) -> io::Result<Aftermath> {
        self.armed = None;
        if !std::mem::replace(&mut self.status.powered, false) {
            return Ok(self.last.unwrap_or_default());
        }
        self.status.cuts += 1;
        let lengths: Vec<u64> =
            self.pending.iter().map(|w| w.length.div_ceil(self.granule)).collect();
        let fates = decide(seed, &lengths);
        let mut done = Aftermath { reordered: !fates.order.is_sorted(), ..Aftermath::default() };
        for index in &fates.order {
            let (Some(write), Some(fate)) = (self.pending.get(*index), fates.each.get(*index))
            else {
                continue;
            };
            let whole = 0..u64::MAX;
            let pieces = match fate {
                Fate::Lost => {
                    done.lost += 1;
                    continue;
                }
                Fate::Kept => {
                    done.kept += 1;
                    std::slice::from_ref(&whole)
                }
                Fate::Torn(pieces) => {
                    done.torn += 1;
                    pieces.as_slice()
                }
            };
            for piece in pieces {
                let at = |edge: u64| write.offset.saturating_add(edge.saturating_mul(self.granule));
                if let Some((start, content)) = write.part(at(piece.start), at(piece.end)) {
                    put(self.backing.as_mut(), start, content)?;
                }
            }
        }
        self.forget();
        self.last = Some(done);
        Ok(done)
    }

    /// Makes the disk cut its own power once it has taken this many writes, counted as
    /// [`Status::writes`] from its beginning on, instead of the next write or flush. No clock
    /// chooses between which two requests the cut falls.
    pub const fn cut_after(&mut self, writes: u64, seed: u64) {
        self.armed = Some((writes, seed));
    }

    /// What the last cut did.
    #[must_use]
    pub const fn last_cut(&self) -> Option<Aftermath> {
        self.last
    }

    /// Turns the power on again, over what the cut has left.
    pub const fn power_on(&mut self) {
        self.status.powered = true;
    }

    fn go_off_if_told(&mut self) -> Result<(), Refused> {
        match self.armed {
            Some((writes, seed)) if self.status.writes >= writes => {
                self.cut(seed)?;
                Err(Refused::Off)
            }
            _ => Ok(()),
        }
    }

    /// Makes the oldest write durable.
    fn write_back(&mut self) -> Result<(), Refused> {
        let Some(oldest) = self.pending.pop_front() else {
            return Ok(());
        };
        self.used = self.used.saturating_sub(oldest.weight());
        self.status.written_back += 1;
        if let Some((start, content)) = oldest.part(0, u64::MAX) {
            put(self.backing.as_mut(), start, content)?;
        }
        Ok(())
    }

    /// Takes a range that is durable now out of older writes, so that none of them comes back.
    fn supersede(&mut self, start: u64, end: u64) {
        let overlaps = |write: &Pending| write.part(start, end).is_some();
        if !self.pending.iter().any(overlaps) {
            return;
        }
        let mut left = VecDeque::with_capacity(self.pending.len());
        for write in self.pending.drain(..) {
            if overlaps(&write) {
                let around = [write.part(0, start), write.part(end, u64::MAX)];
                left.extend(around.into_iter().flatten().map(|(at, c)| Pending::new(at, c)));
            } else {
                left.push_back(write);
            }
        }
        self.pending = left;
        self.used = self.pending.iter().map(Pending::weight).sum();
    }

    fn forget(&mut self) {
        self.pending.clear();
        self.used = 0;
    }
}

fn put(backing: &mut dyn Backing, offset: u64, content: Content<'_>) -> io::Result<()> {
    match content {
        Content::Data(data) => backing.write_at(offset, data),
        Content::Zeroes(length) => backing.zero_at(offset, length),
    }
}

#[cfg(test)]
mod tests;
