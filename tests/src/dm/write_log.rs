//! A disk whose writes are written down, and its replay to any point.

use std::io;
use std::path::Path;

use open_local_core::host::{BlockIo, FileIo, Files, OpenMode, SystemFiles};
use open_local_core::{Bytes, DeviceNumber};

use super::control::DmDevice;
use super::log_format::{Entry, What, read_log};
use super::table::{Table, Target};

/// What is copied at once.
const CHUNK: u64 = 1 << 20;

/// A whole disk under a device that writes down what is written to it.
#[derive(Debug)]
pub struct WriteLog {
    device: DmDevice,
}

impl WriteLog {
    /// Puts the device over all of `below`; the log goes to the device `log`, which must have
    /// room for all data written and a block for each write.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn over(
        run: &str,
        name: &str,
        (below, size): (DeviceNumber, Bytes),
        log: DeviceNumber,
    ) -> Self {
        let table = Table { sectors: size.get() / 512, target: Target::LogWrites { below, log } };
        Self { device: DmDevice::create(run, name, &table) }
    }

    /// The device to use.
    #[must_use]
    pub const fn device(&self) -> &DmDevice {
        &self.device
    }

    /// Writes a mark into the log, after everything that was flushed so far.
    ///
    /// # Panics
    /// If the kernel refuses.
    #[expect(clippy::panic, reason = "a test without its marks must fail")]
    pub fn mark(&self, text: &str) {
        self.device.message(&format!("mark {text}")).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Ends the recording: the device is removed, which writes the log out.
    ///
    /// # Errors
    /// What `dmsetup` said, for example that the device is open.
    pub fn finish(self) -> Result<(), String> {
        self.device.remove()
    }
}

/// A recording and how far it has been replayed.
#[derive(Debug)]
pub struct Replay {
    log: Box<dyn FileIo>,
    entries: Vec<Entry>,
    next: usize,
}

impl Replay {
    /// Reads the log on a device or in a file.
    ///
    /// # Errors
    /// As [`read_log`].
    pub fn open(log: &Path) -> io::Result<Self> {
        let log = SystemFiles.open(log, OpenMode::Read)?;
        let entries = read_log(log.as_ref())?;
        Ok(Self { log, entries, next: 0 })
    }

    /// All entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The numbers of entries to replay to reach each state that a power cut may leave without
    /// losing anything flushed: up to and with each flush, durable write and mark.
    #[must_use]
    pub fn points(&self) -> Vec<usize> {
        points(&self.entries)
    }

    /// The last mark among the entries replayed so far.
    #[must_use]
    pub fn last_mark(&self) -> Option<&str> {
        let done = self.entries.get(..self.next).unwrap_or_default();
        done.iter().rev().find_map(|entry| match &entry.what {
            What::Mark(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Brings a disk that holds what was replayed so far to the state after this many entries.
    /// Points are replayed in order; an earlier one changes nothing.
    ///
    /// # Errors
    /// As the disk and the log give them.
    pub fn advance(&mut self, disk: &dyn BlockIo, point: usize) -> io::Result<()> {
        while self.next < point
            && let Some(entry) = self.entries.get(self.next)
        {
            apply(self.log.as_ref(), entry, disk)?;
            self.next += 1;
        }
        Ok(())
    }
}

fn points(entries: &[Entry]) -> Vec<usize> {
    let ends = (1..).zip(entries);
    let ends = ends.filter(|(_, e)| e.is_durable() || matches!(e.what, What::Mark(_)));
    ends.map(|(number, _)| number).collect()
}

/// Does what one entry did. What was discarded reads as zeroes, as on a disk that promises it.
fn apply(log: &dyn BlockIo, entry: &Entry, disk: &dyn BlockIo) -> io::Result<()> {
    let from = match entry.what {
        What::Mark(_) => return Ok(()),
        What::Discard => None,
        What::Data(at) => Some(at),
    };
    let mut done = 0;
    while done < entry.length {
        let part = CHUNK.min(entry.length - done);
        let mut bytes = vec![0; usize::try_from(part).unwrap_or(0)];
        if let Some(at) = from {
            log.read_at(at + done, &mut bytes)?;
        }
        disk.write_at(entry.offset + done, &bytes)?;
        done += part;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use open_local_core::host::MemoryBlock;

    use super::*;

    fn entry(offset: u64, what: What, durable: bool) -> Entry {
        let length = if matches!(what, What::Mark(_)) { 0 } else { 4 };
        Entry { offset, length, flush: durable, fua: false, what }
    }

    #[test]
    fn a_replay_does_what_was_written_down() {
        let log = MemoryBlock::new(b"aaaabbbb".to_vec());
        let disk = MemoryBlock::new(b"............".to_vec());
        let entries = [
            entry(0, What::Data(0), false),
            entry(4, What::Data(4), true),
            entry(0, What::Discard, false),
            entry(0, What::Mark("x".to_owned()), false),
        ];
        assert_eq!(points(&entries), [2, 4]);
        for entry in &entries {
            apply(&log, entry, &disk).unwrap();
        }
        assert_eq!(disk.content(), b"\0\0\0\0bbbb....");
        assert!(apply(&log, &entry(10, What::Data(0), true), &disk).is_err(), "beyond the end");
    }
}
