//! What the device-mapper target `log-writes` writes: a header, then entries with their data.
//!
//! Layout of `drivers/md/dm-log-writes.c` (Linux 6.1): little-endian numbers; the header and each
//! entry take one block of the size that the header names; positions and lengths are in these
//! blocks. Ordinary writes stand in the log before the flush that made them durable.

use std::io;

use open_local_core::host::BlockIo;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const ENTRY: u64 = 32;

const FLUSH: u64 = 1;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;
const METADATA: u64 = 1 << 4;

/// What an entry wrote down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Bytes written: where they stand in the log. None at all is a bare flush.
    Data(u64),
    /// A range discarded.
    Discard,
    /// A mark that a test has set.
    Mark(String),
}

/// One entry of the log; positions and lengths in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where on the disk.
    pub offset: u64,
    /// How much.
    pub length: u64,
    /// Whether everything before it was made durable first.
    pub flush: bool,
    /// Whether it was durable when it was answered.
    pub fua: bool,
    /// What was done.
    pub what: What,
}

impl Entry {
    /// Whether a power cut right after it leaves exactly what stands in the log so far.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        self.flush || self.fua
    }
}

/// The header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How many entries there are.
    pub entries: u64,
    /// Bytes of a block.
    pub block: u64,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(u64::from_le_bytes)
}

/// Reads the header from the first bytes of a log.
///
/// # Errors
/// What is wrong with it.
pub fn parse_header(bytes: &[u8]) -> Result<Header, &'static str> {
    const CUT: &str = "the header is cut off";
    if u64_at(bytes, 0).ok_or(CUT)? != MAGIC {
        return Err("this is no write log");
    }
    if u64_at(bytes, 8).ok_or(CUT)? != VERSION {
        return Err("a write log of another version");
    }
    let entries = u64_at(bytes, 16).ok_or(CUT)?;
    let block = u64::from(number(bytes, 24).map(u32::from_le_bytes).ok_or(CUT)?);
    if !(512..=65536).contains(&block) || !block.is_power_of_two() {
        return Err("blocks of an impossible size");
    }
    Ok(Header { entries, block })
}

/// Reads the entry in a block that stands at `at` in the log; answers it and how many bytes of
/// the log it takes with its data.
///
/// # Errors
/// What is wrong with it.
pub fn parse_entry(bytes: &[u8], at: u64, block: u64) -> Result<(Entry, u64), &'static str> {
    const CUT: &str = "an entry is cut off";
    const FAR: &str = "an entry reaches beyond every disk";
    let field = |index: usize| u64_at(bytes, index * 8).ok_or(CUT);
    let offset = field(0)?.checked_mul(block).ok_or(FAR)?;
    let length = field(1)?.checked_mul(block).ok_or(FAR)?;
    let (flags, mark) = (field(2)?, field(3)?);
    if offset.checked_add(length).is_none() {
        return Err(FAR);
    }
    if flags & !(FLUSH | FUA | DISCARD | MARK | METADATA) != 0 {
        return Err("an entry with an unknown flag");
    }
    let data = at.checked_add(block).ok_or(FAR)?;
    let has = |flag| flags & flag != 0;
    let (what, follows) = if has(MARK) {
        let text = mark.checked_add(ENTRY).filter(|end| *end <= block).ok_or("too long a mark")?;
        let text = usize::try_from(text).ok().and_then(|end| bytes.get(32..end)).ok_or(CUT)?;
        (What::Mark(String::from_utf8_lossy(text).into_owned()), length)
    } else if has(DISCARD) {
        (What::Discard, 0)
    } else {
        (What::Data(data), length)
    };
    let entry = Entry { offset, length, flush: has(FLUSH), fua: has(FUA), what };
    Ok((entry, block.checked_add(follows).ok_or(FAR)?))
}

/// Reads all entries of a log. Each takes at least a block, so that their number is bounded by
/// the size of the device.
///
/// # Errors
/// `InvalidData` for what is no log; others as the device gives them.
pub fn read_log(log: &dyn BlockIo) -> io::Result<Vec<Entry>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut first = [0; 512];
    log.read_at(0, &mut first)?;
    let header = parse_header(&first).map_err(bad)?;
    let mut block = vec![0; usize::try_from(header.block).unwrap_or(512)];
    let (mut at, mut found) = (header.block, Vec::new());
    for _ in 0..header.entries {
        log.read_at(at, &mut block)?;
        let (entry, takes) = parse_entry(&block, at, header.block).map_err(bad)?;
        at = at.checked_add(takes).ok_or_else(|| bad("the log reaches beyond its end"))?;
        if at > log.size()?.get() {
            return Err(bad("the log reaches beyond its end"));
        }
        found.push(entry);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
