//! The parts of a device in which formats put their signatures.

use std::io;

use crate::host::BlockIo;
use crate::token::Uuid;

/// Bytes looked at from the start: up to the end of the second ZFS label.
pub(super) const HEAD: u64 = 512 << 10;
/// Bytes looked at before the end: the third and fourth ZFS label, with room for alignment.
const TAIL: u64 = 512 << 10;
/// The tail starts at a multiple of this.
const TAIL_ALIGN: u64 = 4096;

/// The first and last bytes of a device.
#[derive(Debug)]
pub(super) struct View {
    size: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
    tail_start: u64,
}

fn read(device: &dyn BlockIo, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    device.read_at(start, &mut bytes)?;
    Ok(bytes)
}

impl View {
    pub(super) fn of(device: &dyn BlockIo) -> io::Result<Self> {
        let size = device.size()?.get();
        let head_end = size.min(HEAD);
        let wanted = size.saturating_sub(TAIL) / TAIL_ALIGN * TAIL_ALIGN;
        let tail_start = wanted.max(head_end);
        Ok(Self {
            size,
            head: read(device, 0, head_end)?,
            tail: read(device, tail_start, size)?,
            tail_start,
        })
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of the head or the tail; `None` outside of both.
    pub(super) fn bytes(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let part = |bytes: &[u8], start: u64| -> Option<std::ops::Range<usize>> {
            let from = usize::try_from(offset.checked_sub(start)?).ok()?;
            let to = from.checked_add(len)?;
            (to <= bytes.len()).then_some(from..to)
        };
        if let Some(range) = part(&self.head, 0) {
            return self.head.get(range);
        }
        self.tail.get(part(&self.tail, self.tail_start)?)
    }

    fn array<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        self.bytes(offset, N)?.try_into().ok()
    }

    /// Whether these bytes stand there.
    pub(super) fn has(&self, offset: u64, magic: &[u8]) -> bool {
        self.bytes(offset, magic.len()) == Some(magic)
    }

    pub(super) fn u8(&self, offset: u64) -> Option<u8> {
        self.array(offset).map(u8::from_le_bytes)
    }

    pub(super) fn le16(&self, offset: u64) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub(super) fn le32(&self, offset: u64) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub(super) fn be32(&self, offset: u64) -> Option<u32> {
        self.array(offset).map(u32::from_be_bytes)
    }

    pub(super) fn be64(&self, offset: u64) -> Option<u64> {
        self.array(offset).map(u64::from_be_bytes)
    }

    pub(super) fn le64(&self, offset: u64) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// The UUID there; `None` for one of zeroes only.
    pub(super) fn uuid(&self, offset: u64) -> Option<Uuid> {
        self.array(offset).filter(|bytes| *bytes != [0; 16]).map(Uuid::from_bytes)
    }

    /// The text there up to a NUL; `None` for an empty one.
    pub(super) fn text(&self, offset: u64, len: usize) -> Option<String> {
        let bytes = self.bytes(offset, len)?;
        let text = bytes.split(|b| *b == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(text).trim_end().to_owned();
        (!text.is_empty()).then_some(text)
    }
}
