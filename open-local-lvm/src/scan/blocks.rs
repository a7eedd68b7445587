//! Reading parts of a device in whole blocks.

use std::io;

use open_local_core::host::BlockIo;

/// Reads begin and end at multiples of this, whatever the device's own block size.
const BLOCK: u64 = 4096;

/// Reads `length` bytes at `offset`, with whole blocks around them up to the end of the device.
pub(super) fn read(device: &dyn BlockIo, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let beyond = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let size = device.size()?.get();
    let start = offset.checked_sub(offset % BLOCK).ok_or_else(beyond)?;
    let before = usize::try_from(offset % BLOCK).map_err(|_| beyond())?;
    let wanted = u64::try_from(length).ok().and_then(|length| offset.checked_add(length));
    let wanted = wanted.filter(|end| *end <= size).ok_or_else(beyond)?;
    let end = wanted.checked_next_multiple_of(BLOCK).ok_or_else(beyond)?.min(size);
    let all = end.checked_sub(start).and_then(|all| usize::try_from(all).ok());
    let mut buffer = vec![0; all.ok_or_else(beyond)?];
    device.read_at(start, &mut buffer)?;
    buffer.drain(..before);
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use open_local_core::host::MemoryBlock;

    use super::*;

    #[test]
    fn any_part_is_read_and_nothing_beyond_the_end() {
        let content: Vec<u8> = (0..10_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let device = MemoryBlock::new(content.clone());
        for (offset, length) in [(0, 1), (4095, 2), (4096, 4096), (9999, 1), (5, 9995), (100, 0)] {
            let at = usize::try_from(offset).unwrap();
            assert_eq!(read(&device, offset, length).unwrap(), content[at..at + length]);
        }
        assert!(read(&device, 9999, 2).is_err());
        assert!(read(&device, u64::MAX, 1).is_err());
        assert!(read(&device, 1, usize::MAX).is_err());
    }
}
