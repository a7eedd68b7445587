//! What devices hold.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::Bytes;
use open_local_core::fs::{Probe, recognise};
use open_local_core::host::{BlockIo, MemoryBlock};
use open_local_core::raw::{names, signatures};

/// The largest device: more than what is read of one.
const LARGEST: u64 = 3 << 19;
/// No more is read, as the recogniser says.
const MOST_READ: u64 = (1 << 20) + 4096;

/// A device that counts what is read of it.
#[derive(Debug)]
struct Counting {
    device: MemoryBlock,
    read: AtomicU64,
}

impl BlockIo for Counting {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let len = u64::try_from(buf.len()).unwrap();
        self.read.fetch_add(len, Ordering::Relaxed);
        self.device.read_at(offset, buf)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        panic!("looking at a device writes nothing")
    }

    fn flush(&self) -> io::Result<()> {
        panic!("looking at a device flushes nothing")
    }

    fn size(&self) -> io::Result<Bytes> {
        self.device.size()
    }
}

/// The device an input describes, all numbers little-endian: its size in 4 bytes; then pieces, an
/// offset in 4 bytes, a length in 2, and as many bytes that stand there. The rest are zeroes;
/// what goes beyond the end is left out.
fn device(data: &[u8]) -> MemoryBlock {
    let (size, mut rest) = number(data);
    let size = usize::try_from(size % (LARGEST + 1)).unwrap();
    let mut content = vec![0; size];
    while !rest.is_empty() {
        let (offset, after) = number(rest);
        let (head, after) = after.split_at(after.len().min(2));
        let len = head.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
        let (piece, after) = after.split_at(after.len().min(len));
        let offset = usize::try_from(offset).unwrap();
        let room = content.get_mut(offset..).unwrap_or_default();
        room.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
        rest = after;
    }
    MemoryBlock::new(content)
}

fn number(data: &[u8]) -> (u64, &[u8]) {
    let (head, rest) = data.split_at(data.len().min(4));
    let number = head.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    (number, rest)
}

/// Any content is judged within what may be read, and only a device without a signature is blank.
pub(crate) fn superblock(data: &[u8]) {
    let device = Counting { device: device(data), read: AtomicU64::new(0) };
    let size = device.size().unwrap().get();
    let found = signatures(&device).unwrap();
    assert!(device.read.load(Ordering::Relaxed) <= MOST_READ.min(size));
    for (position, one) in found.iter().enumerate() {
        assert!(one.offset < size, "{one:?}");
        let same =
            |s: &open_local_core::raw::Signature| (s.name, s.offset) == (one.name, one.offset);
        assert_eq!(found.iter().position(same), Some(position), "{one:?} stands twice");
    }
    let text = names(&found);
    assert_eq!(text.is_empty(), found.is_empty());
    assert!(!text.chars().any(char::is_control), "{text:?}");
    let probe = recognise(&device).unwrap();
    assert_eq!(probe == Probe::Blank, found.is_empty());
    if let Probe::Filesystem(fs) = probe {
        let only = found.first().unwrap();
        assert_eq!((found.len(), only.unfinished), (1, false));
        assert_eq!((only.kind, only.uuid), (Some(fs.kind), Some(fs.uuid)));
    }
}
