//! The form of calls and answers in the kernel's buffers (`linux/dm-ioctl.h`, 6.18).
//!
//! Building a call can't go wrong but for names that are too long; reading an answer is total.
//! Strings end with a zero byte, numbers are the machine's own, records begin at multiples of 8.

#[cfg(test)]
mod tests;

use std::io;

use open_local_core::{DeviceNumber, Sectors};

use super::control::{DmInfo, DmListed, DmVersion, TargetVersion};
use super::id::{DmId, MAX_NAME, MAX_UUID};
use super::ioctl::{DATA_SIZE_AT, HEADER};
use super::status::{StatusLine, TargetStatus};
use super::table::{Table, TableLine, Target};

pub(super) const READ_ONLY: u32 = 1 << 0;
pub(super) const SUSPEND: u32 = 1 << 1;
pub(super) const STATUS_TABLE: u32 = 1 << 4;
const ACTIVE_PRESENT: u32 = 1 << 5;
const INACTIVE_PRESENT: u32 = 1 << 6;
const BUFFER_FULL: u32 = 1 << 8;
pub(super) const SKIP_LOCKFS: u32 = 1 << 10;
pub(super) const NO_FLUSH: u32 = 1 << 11;
pub(super) const UEVENT_GENERATED: u32 = 1 << 13;
/// Of a list: with UUIDs (Linux 5.13 and newer).
pub(super) const UUIDS: u32 = 1 << 14;
const DATA_OUT: u32 = 1 << 16;
/// The list of devices has UUIDs (`DM_NAME_LIST_FLAG_HAS_UUID`), or says there is none.
const LISTED_UUID: u32 = 1;
const LISTED_NO_UUID: u32 = 2;

/// The version of the interface this speaks; the kernel answers with its own.
const VERSION: [u32; 3] = [4, 0, 0];
/// Bytes of `struct dm_target_spec`.
const SPEC: usize = 40;
/// Bytes of a target's name in it, with the final zero.
const TARGET_NAME: usize = 16;
/// Most records of an answer.
const MAX_RECORDS: usize = 1 << 20;

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

fn misread() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is not understood")
}

/// A call before it is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) flags: u32,
    pub(super) event_nr: u32,
    target_count: u32,
    number: u64,
    name: String,
    uuid: String,
    payload: Vec<u8>,
}

impl Request {
    /// A call about a device.
    pub(super) fn about(id: &DmId) -> Self {
        match id {
            DmId::Uuid(uuid) => Self { uuid: uuid.clone(), ..Self::default() },
            DmId::Name(name) => Self { name: name.clone(), ..Self::default() },
            DmId::Number(number) => Self { number: number.to_dev_t(), ..Self::default() },
        }
    }

    /// A call that names a new device.
    pub(super) fn new_device(name: &str, uuid: &str) -> Self {
        Self { name: name.into(), uuid: uuid.into(), ..Self::default() }
    }

    pub(super) fn with_flags(mut self, flags: u32) -> Self {
        self.flags |= flags;
        self
    }

    /// With the new name of a rename.
    pub(super) fn with_text(mut self, text: &str) -> Self {
        self.payload = text.bytes().chain([0]).collect();
        self
    }

    /// With a message to the target at a sector.
    pub(super) fn with_message(mut self, sector: Sectors, text: &str) -> Self {
        let sector = sector.get().to_ne_bytes();
        self.payload = sector.into_iter().chain(text.bytes()).chain([0]).collect();
        self
    }

    /// With a table to load.
    pub(super) fn with_table(mut self, table: &Table) -> io::Result<Self> {
        for line in table.lines() {
            let arguments = line.target.arguments();
            let name = line.target.name();
            if name.len() >= TARGET_NAME || name.contains('\0') || arguments.contains('\0') {
                return Err(invalid());
            }
            // From this record to the next.
            let len = (SPEC + arguments.len() + 1).next_multiple_of(8);
            let next = u32::try_from(len).map_err(|_| invalid())?;
            let end = self.payload.len() + len;
            self.payload.extend(line.start.get().to_ne_bytes());
            self.payload.extend(line.length.get().to_ne_bytes());
            self.payload.extend(0u32.to_ne_bytes());
            self.payload.extend(next.to_ne_bytes());
            self.payload.extend(name.bytes());
            self.payload.resize(end - len + SPEC, 0);
            self.payload.extend(arguments.bytes());
            self.payload.resize(end, 0);
        }
        self.target_count = u32::try_from(table.lines().len()).map_err(|_| invalid())?;
        Ok(self)
    }

    /// The buffer, with at least so many bytes for the answer.
    pub(super) fn buffer(&self, room: usize) -> io::Result<Vec<u64>> {
        if self.name.len() > MAX_NAME || self.uuid.len() > MAX_UUID {
            return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        }
        let len = HEADER.saturating_add(self.payload.len().max(room)).next_multiple_of(8);
        let mut bytes = Vec::with_capacity(len);
        let start = u32::try_from(HEADER).map_err(|_| invalid())?;
        let size = u32::try_from(len).map_err(|_| invalid())?;
        for number in VERSION {
            bytes.extend(number.to_ne_bytes());
        }
        debug_assert_eq!(bytes.len(), DATA_SIZE_AT);
        for number in [size, start, self.target_count, 0, self.flags, self.event_nr, 0] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend(self.number.to_ne_bytes());
        bytes.extend(self.name.bytes());
        bytes.resize(48 + 128, 0);
        bytes.extend(self.uuid.bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(&self.payload);
        bytes.resize(len, 0);
        let (words, _) = bytes.as_chunks::<8>();
        Ok(words.iter().map(|word| u64::from_ne_bytes(*word)).collect())
    }
}

/// An answer: the whole buffer, as bytes.
#[derive(Debug, Clone)]
pub(super) struct Answer(Vec<u8>);

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(misread)
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    bytes_at(bytes, at).map(u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> io::Result<u64> {
    bytes_at(bytes, at).map(u64::from_ne_bytes)
}

fn usize_at(bytes: &[u8], at: usize) -> io::Result<usize> {
    usize::try_from(u32_at(bytes, at)?).map_err(|_| misread())
}

/// The text up to the zero that ends it, and how many bytes it is.
fn text_at(bytes: &[u8], at: usize) -> io::Result<(String, usize)> {
    let rest = bytes.get(at..).ok_or_else(misread)?;
    let len = rest.iter().position(|byte| *byte == 0).ok_or_else(misread)?;
    let text = rest.get(..len).unwrap_or_default();
    Ok((String::from_utf8_lossy(text).into_owned(), len))
}

impl Answer {
    pub(super) fn new(buffer: &[u64]) -> Self {
        Self(buffer.iter().flat_map(|word| word.to_ne_bytes()).collect())
    }

    pub(super) fn flags(&self) -> io::Result<u32> {
        u32_at(&self.0, 28)
    }

    /// Whether the answer did not fit.
    pub(super) fn is_cut(&self) -> io::Result<bool> {
        Ok(self.flags()? & BUFFER_FULL != 0)
    }

    pub(super) fn version(&self) -> io::Result<DmVersion> {
        let part = |at| u32_at(&self.0, at);
        Ok(DmVersion { major: part(0)?, minor: part(4)?, patch: part(8)? })
    }

    fn target_count(&self) -> io::Result<usize> {
        usize_at(&self.0, 20)
    }

    pub(super) fn info(&self) -> io::Result<DmInfo> {
        let flags = self.flags()?;
        let has = |flag: u32| flags & flag != 0;
        let open = bytes_at(&self.0, 24).map(i32::from_ne_bytes)?;
        Ok(DmInfo {
            name: text_at(&self.0, 48)?.0,
            uuid: text_at(&self.0, 176)?.0,
            number: DeviceNumber::from_dev_t(u64_at(&self.0, 40)?),
            suspended: has(SUSPEND),
            live_table: has(ACTIVE_PRESENT),
            inactive_table: has(INACTIVE_PRESENT),
            read_only: has(READ_ONLY),
            open_count: u32::try_from(open).unwrap_or(0),
            event_nr: u32_at(&self.0, 32)?,
            target_count: u32_at(&self.0, 20)?,
        })
    }

    /// What follows the header, as far as the kernel says it wrote.
    fn payload(&self) -> io::Result<&[u8]> {
        let (size, start) = (usize_at(&self.0, DATA_SIZE_AT)?, usize_at(&self.0, 16)?);
        self.0.get(start..size.max(start).min(self.0.len())).ok_or_else(misread)
    }

    /// The devices of a list.
    pub(super) fn devices(&self) -> io::Result<Vec<DmListed>> {
        let payload = self.payload()?;
        let mut devices = Vec::new();
        let mut at = 0usize;
        for _ in 0..MAX_RECORDS {
            let Ok(number) = u64_at(payload, at) else { break };
            // An empty list is one record of zeroes.
            if number == 0 {
                break;
            }
            let next = usize_at(payload, at + 8)?;
            let (name, len) = text_at(payload, at + 12)?;
            // The event number and what is new in 4.44 follow at a multiple of 8.
            let tail = (at + 12 + len + 1).next_multiple_of(8);
            let uuid = match u32_at(payload, tail + 4) {
                Ok(LISTED_UUID) => Some(text_at(payload, tail + 8)?.0),
                Ok(LISTED_NO_UUID) => Some(String::new()),
                _ => None,
            };
            devices.push(DmListed::new(name, DeviceNumber::from_dev_t(number), uuid));
            if next == 0 {
                break;
            }
            at = at.checked_add(next).ok_or_else(misread)?;
        }
        Ok(devices)
    }

    pub(super) fn versions(&self) -> io::Result<Vec<TargetVersion>> {
        let payload = self.payload()?;
        let mut versions = Vec::new();
        let mut at = 0usize;
        for _ in 0..MAX_RECORDS {
            let Ok(next) = usize_at(payload, at) else { break };
            let part = |nth: usize| u32_at(payload, at + 4 + 4 * nth);
            let version = DmVersion { major: part(0)?, minor: part(1)?, patch: part(2)? };
            versions.push(TargetVersion::new(text_at(payload, at + 16)?.0, version));
            if next == 0 {
                break;
            }
            at = at.checked_add(next).ok_or_else(misread)?;
        }
        Ok(versions)
    }

    /// Start, length, name and text of each target.
    fn targets(&self) -> io::Result<Vec<(Sectors, Sectors, String, String)>> {
        let payload = self.payload()?;
        let mut targets = Vec::new();
        let mut at = 0usize;
        for _ in 0..self.target_count()?.min(MAX_RECORDS) {
            let range =
                (Sectors::new(u64_at(payload, at)?), Sectors::new(u64_at(payload, at + 8)?));
            // From the first record to the next one, unlike in a table to load.
            let next = usize_at(payload, at + 20)?;
            let name: [u8; TARGET_NAME] = bytes_at(payload, at + 24)?;
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            let text = text_at(payload, at + SPEC)?.0;
            targets.push((range.0, range.1, name, text));
            if next <= at {
                break;
            }
            at = next;
        }
        Ok(targets)
    }

    pub(super) fn table(&self) -> io::Result<Table> {
        let lines = self.targets()?.into_iter().map(|(start, length, name, arguments)| {
            TableLine::new(start, length, Target::parse(&name, &arguments))
        });
        Ok(Table::from_lines(lines.collect()))
    }

    pub(super) fn status(&self) -> io::Result<Vec<StatusLine>> {
        let lines = self.targets()?.into_iter().map(|(start, length, name, text)| {
            StatusLine::new(start, length, TargetStatus::parse(&name, &text))
        });
        Ok(lines.collect())
    }

    pub(super) fn deps(&self) -> io::Result<Vec<DeviceNumber>> {
        let payload = self.payload()?;
        let count = if payload.is_empty() { 0 } else { usize_at(payload, 0)? };
        let numbers = (0..count.min(MAX_RECORDS)).map(|nth| {
            u64_at(payload, nth.saturating_mul(8).saturating_add(8)).map(DeviceNumber::from_dev_t)
        });
        let mut found: Vec<DeviceNumber> = numbers.collect::<io::Result<_>>()?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// What a target answered to a message.
    pub(super) fn text(&self) -> io::Result<Option<String>> {
        if self.flags()? & DATA_OUT == 0 {
            return Ok(None);
        }
        text_at(self.payload()?, 0).map(|(text, _)| Some(text))
    }
}
