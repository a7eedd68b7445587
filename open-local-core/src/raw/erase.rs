//! Erasing a device that is claimed, and reading back that it is.

use std::io;

use super::{names, signatures};
use crate::exclusive::Erasure;
use crate::host::DeviceHandle;

/// At most so much is asked of the kernel at once: a call can't be interrupted, and a kill waits
/// for it.
const SLICE: u64 = 16 << 20;
/// What is written or read at once.
const BUFFER: u64 = 1 << 20;
/// A discarded range is looked at so often.
const SAMPLE_EVERY: u64 = 4 << 20;
/// How much is looked at each time.
const SAMPLE: u64 = 4096;
/// What signatures can stand in, at either end of a device: all that is probed, and more.
const EDGE: u64 = 2 << 20;

/// Whether a device says that it can't do it this way.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOTTY | libc::ENOSYS | libc::ENODEV)
    )
}

fn slices(from: u64, to: u64, step: u64) -> impl Iterator<Item = (u64, u64)> {
    let starts = std::iter::successors(Some(from), move |at| at.checked_add(step));
    starts.take_while(move |at| *at < to).map(move |at| (at, step.min(to.saturating_sub(at))))
}

fn buffer(len: u64) -> io::Result<Vec<u8>> {
    usize::try_from(len).map(|len| vec![0; len]).map_err(io::Error::other)
}

/// Makes a range read as zeroes: by the device's own means, or by writing them.
///
/// # Errors
/// As the device gives them.
pub(super) fn zero(device: &dyn DeviceHandle, from: u64, to: u64) -> io::Result<()> {
    for (at, len) in slices(from, to, SLICE) {
        match device.zero(at, len) {
            Err(e) if is_unsupported(&e) => {
                let blank = buffer(BUFFER.min(len))?;
                for (at, len) in slices(at, at.saturating_add(len), BUFFER) {
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    let part = blank.get(..len).unwrap_or(&blank);
                    device.write_at(at, part)?;
                }
            }
            other => other?,
        }
    }
    Ok(())
}

/// The first place of a range that holds something else than zeroes, read from the device itself.
///
/// # Errors
/// As the device gives them.
pub(super) fn first_data(device: &dyn DeviceHandle, from: u64, to: u64) -> io::Result<Option<u64>> {
    first_data_in(device, slices(from, to, BUFFER))
}

fn first_data_in(
    device: &dyn DeviceHandle,
    ranges: impl Iterator<Item = (u64, u64)>,
) -> io::Result<Option<u64>> {
    let blank = buffer(BUFFER)?;
    let mut content = Vec::new();
    for (at, len) in ranges {
        content.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        device.read_at(at, &mut content)?;
        if blank.starts_with(&content) {
            continue;
        }
        let data = content.iter().position(|byte| *byte != 0);
        if let Some(data) = data.and_then(|data| u64::try_from(data).ok()) {
            return Ok(Some(at.saturating_add(data)));
        }
    }
    Ok(None)
}

/// Where a discarded range is looked at: at both its ends and in between.
fn samples(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    let last = to.saturating_sub(SAMPLE).max(from);
    slices(from, to, SAMPLE_EVERY)
        .map(|(at, len)| (at, len.min(SAMPLE)))
        .chain([(last, to.saturating_sub(last))])
}

/// What stands on a device after a chunk was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verified {
    /// What should.
    Yes,
    /// Something else, here.
    DataAt(u64),
}

/// Erases a chunk and verifies it: what the device was told is flushed, what the host has cached is
/// dropped, and the device itself is asked.
///
/// # Errors
/// As the device gives them.
pub(super) fn erase(
    device: &dyn DeviceHandle,
    erasure: Erasure,
    from: u64,
    to: u64,
) -> io::Result<Verified> {
    if erasure == Erasure::Discard && discard(device, from, to)? {
        return Ok(Verified::Yes);
    }
    zero(device, from, to)?;
    settle(device)?;
    Ok(first_data(device, from, to)?.map_or(Verified::Yes, Verified::DataAt))
}

fn settle(device: &dyn DeviceHandle) -> io::Result<()> {
    device.flush()?;
    device.drop_cache()
}

/// Discards a chunk; whether it reads as zeroes wherever it is looked at. A device that breaks its
/// promise is not trusted with another way of keeping it: the caller writes.
fn discard(device: &dyn DeviceHandle, from: u64, to: u64) -> io::Result<bool> {
    for (at, len) in slices(from, to, SLICE) {
        match device.discard(at, len) {
            Err(e) if is_unsupported(&e) => return Ok(false),
            other => other?,
        }
    }
    settle(device)?;
    Ok(first_data_in(device, samples(from, to))?.is_none())
}

/// Erases what says whose a device is; answers what is still found.
///
/// # Errors
/// As the device gives them.
pub(super) fn erase_signatures(device: &dyn DeviceHandle, size: u64) -> io::Result<String> {
    zero(device, 0, EDGE.min(size))?;
    zero(device, size.saturating_sub(EDGE).max(EDGE.min(size)), size)?;
    settle(device)?;
    Ok(names(&signatures(device)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_a_range_once() {
        let all: Vec<_> = slices(3, 10, 4).collect();
        assert_eq!(all, [(3, 4), (7, 3)]);
        assert_eq!(slices(5, 5, 4).count(), 0);
        assert_eq!(slices(u64::MAX - 1, u64::MAX, 4).collect::<Vec<_>>(), [(u64::MAX - 1, 1)]);
    }

    #[test]
    fn samples_lie_in_the_range_and_at_both_ends() {
        for (from, to) in [(0, 512), (0, 4096), (512, 9 << 20), (0, 64 << 20)] {
            let all: Vec<_> = samples(from, to).collect();
            assert_eq!(all.first().map(|(at, _)| *at), Some(from));
            assert_eq!(all.last().map(|(at, len)| at + len), Some(to));
            assert!(all.iter().all(|(at, len)| *at >= from && at + len <= to));
        }
    }
}
