//! A metadata area of a device.

use std::sync::Arc;

use open_local_core::host::BlockIo;

use super::blocks;
use crate::format::check::{Finding, FindingKind, Object};
use crate::format::crc::{crc, crc_continued};
use crate::format::group::Metadata;
use crate::format::label::{DiskArea, SECTOR};
use crate::format::mda::{MdaHeader, RawLocation};
use crate::format::text::{Duplicate, MAX_TEXT, parse};

/// How often a text is read again that others may be changing.
const RETRIES: usize = 3;

/// A metadata area as it was read.
#[derive(Debug, Clone)]
pub struct MetadataArea {
    /// Where the label says it is.
    pub place: DiskArea,
    /// Its header, if it is good.
    pub header: Option<MdaHeader>,
    /// The text that counts, if there is a good one.
    pub text: Option<Arc<AreaText>>,
}

/// A text of a metadata area; shared by all areas that hold the same.
#[derive(Debug, PartialEq)]
pub struct AreaText {
    /// Its bytes up to the zero byte that ends it.
    pub raw: Vec<u8>,
    /// Its checksum, zero byte included, as in headers.
    pub checksum: u32,
    /// What it says.
    pub metadata: Metadata,
    /// Keys that stand more than once.
    pub duplicates: Vec<Duplicate>,
}

/// Texts that were read; a group with a hundred physical volumes has one text, parsed once.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<Arc<AreaText>>);

impl Texts {
    fn get(&mut self, mut raw: Vec<u8>, checksum: u32) -> Result<Arc<AreaText>, String> {
        let end = raw.iter().position(|byte| *byte == 0).unwrap_or(raw.len());
        raw.truncate(end);
        let same = |text: &&Arc<AreaText>| text.checksum == checksum && text.raw == raw;
        if let Some(known) = self.0.iter().find(same) {
            return Ok(Arc::clone(known));
        }
        let tree = parse(&raw).map_err(|error| error.to_string())?;
        let duplicates = tree.duplicates();
        let metadata = Metadata::from_tree(tree).map_err(|error| error.to_string())?;
        let text = Arc::new(AreaText { raw, checksum, metadata, duplicates });
        self.0.push(Arc::clone(&text));
        Ok(text)
    }
}

impl MetadataArea {
    /// Bytes that are free for a larger text, in whole sectors as lvm2 reports them; `None`
    /// without a good header.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        let header = self.header?;
        let used = if header.committed.is_set() { header.committed.size } else { 0 };
        let free = crate::format::ring::longest_text(header.size).saturating_sub(used);
        free.checked_sub(free % 512)
    }

    /// Whether it is set aside; `false` without a good header.
    #[must_use]
    pub fn is_ignored(&self) -> bool {
        self.header.is_some_and(|header| header.is_ignored())
    }

    pub(super) fn read(
        device: &dyn BlockIo,
        path: &str,
        place: DiskArea,
        texts: &mut Texts,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let object = || Object::MetadataArea(path.to_owned(), place.offset);
        let mut add = |kind, message: String| findings.push(Finding::new(kind, object(), message));
        let mut area = Self { place, header: None, text: None };
        let (header, text) = match area.read_quiet(device, texts) {
            Ok(read) => read,
            Err((kind, message)) => {
                add(kind, message);
                return area;
            }
        };
        area.header = Some(header);
        if place.size != 0 && place.size != header.size {
            let message =
                format!("the label says {} bytes, its header {}", place.size, header.size);
            add(FindingKind::LabelMismatch, message);
        }
        if header.is_ignored() {
            add(FindingKind::IgnoredArea, "is set aside".to_owned());
        }
        if header.precommitted.is_set() {
            add(FindingKind::Precommitted, "a text was written and not committed".to_owned());
        }
        match text {
            Ok(text) => area.text = text,
            Err((kind, message)) => add(kind, message),
        }
        area
    }

    /// The header, and the text it names. Who reads without lvm's locks may have a text overwritten
    /// under his eyes, by the second commit after he read the header: a bad text counts only if
    /// the header is still the same.
    fn read_quiet(
        &self,
        device: &dyn BlockIo,
        texts: &mut Texts,
    ) -> Result<(MdaHeader, TextRead), Problem> {
        let mut header = self.read_header(device)?;
        let mut text = read_text(device, &header, texts);
        for _ in 0..RETRIES {
            if text.is_ok() {
                break;
            }
            let again = self.read_header(device)?;
            if again == header {
                break;
            }
            header = again;
            text = read_text(device, &header, texts);
        }
        Ok((header, text))
    }

    fn read_header(&self, device: &dyn BlockIo) -> Result<MdaHeader, Problem> {
        let sector = blocks::read(device, self.place.offset, SECTOR);
        let unreadable =
            |error| (FindingKind::Unreadable, format!("can't read its header: {error}"));
        let sector = sector.map_err(unreadable)?;
        let sector = <[u8; SECTOR]>::try_from(sector);
        let sector = sector.map_err(|_| (FindingKind::Unreadable, "is cut off".to_owned()))?;
        MdaHeader::parse(&sector, self.place.offset)
            .map_err(|error| (FindingKind::DamagedHeader, error.message().to_owned()))
    }
}

/// A finding about an area before it has its object.
type Problem = (FindingKind, String);
/// A text, none, or what is wrong with it.
type TextRead = Result<Option<Arc<AreaText>>, Problem>;

/// The text a header names.
fn read_text(device: &dyn BlockIo, header: &MdaHeader, texts: &mut Texts) -> TextRead {
    if !header.committed.is_set() {
        return Ok(None);
    }
    let raw = read_bytes(device, header, &header.committed)?;
    let text = texts.get(raw, header.committed.checksum);
    text.map(Some).map_err(|message| (FindingKind::DamagedText, message))
}

/// The bytes of a text, checked against its checksum.
fn read_bytes(
    device: &dyn BlockIo,
    header: &MdaHeader,
    location: &RawLocation,
) -> Result<Vec<u8>, Problem> {
    let damaged = |message: String| (FindingKind::DamagedText, message);
    let size = usize::try_from(location.size).ok().filter(|size| *size <= MAX_TEXT);
    let size = size.ok_or_else(|| damaged(format!("its text has {} bytes", location.size)))?;
    let place = location.placement(header.size).map_err(|error| damaged(error.to_string()))?;
    let mut text = Vec::with_capacity(size);
    let mut checksum = crc(&[]);
    for part in place.parts() {
        let length = part.end.saturating_sub(part.start);
        let bytes = usize::try_from(length).ok().zip(header.start.checked_add(part.start));
        let (length, start) = bytes.ok_or_else(|| damaged("its text lies too far".to_owned()))?;
        let bytes = blocks::read(device, start, length)
            .map_err(|error| (FindingKind::Unreadable, format!("can't read its text: {error}")))?;
        checksum = crc_continued(checksum, &bytes);
        text.extend_from_slice(&bytes);
    }
    if checksum != location.checksum {
        return Err(damaged("the checksum of its text is wrong".to_owned()));
    }
    Ok(text)
}
