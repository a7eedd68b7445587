//! The texts of areas, each parsed once and not again while it is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use open_local_core::{Error, ErrorKind, Op, Result};

use super::super::device::Device;
use super::Observed;
use super::area::{AreaState, ReadText, Sector};
use crate::format::crc::crc;
use crate::format::group::Metadata;
use crate::format::mda::MdaHeader;
use crate::format::text::MAX_TEXT;

/// Texts that were read, and those from which volumes are known.
pub(super) struct Parsed<'b> {
    pub(super) before: Option<&'b Observed>,
    /// By checksum and length.
    pub(super) texts: BTreeMap<(u32, u64), Vec<WasRead>>,
}

/// A text with what it says.
pub(super) type WasRead = (Vec<u8>, ReadText);

pub(super) fn read_area(
    device: &Device,
    sector: Result<Sector>,
    start: u64,
    size: u64,
    parsed: &mut Parsed<'_>,
) -> AreaState {
    let sector = match sector {
        Ok(sector) => sector,
        Err(error) => return AreaState::Unreadable { why: error.report().to_string() },
    };
    let header = match MdaHeader::parse(&sector, start) {
        Ok(header) if header.size == size => header,
        Ok(header) => {
            let why = format!("the label says it has {size} bytes, its header {}", header.size);
            return AreaState::BadHeader { why };
        }
        Err(error) => {
            return AreaState::BadHeader { why: error.report().to_string() };
        }
    };
    if !header.committed.is_set() || header.is_ignored() {
        return AreaState::Good { sector: Box::new(sector), header, text: None };
    }
    match read_text(device, &header, parsed) {
        Ok(text) => AreaState::Good { sector: Box::new(sector), header, text: Some(text) },
        Err(error) => AreaState::BadText { header, why: error.report().to_string() },
    }
}

/// The bytes of the text that counts, with the zero byte that ends it; the checksum is right.
fn read_committed(device: &Device, header: &MdaHeader) -> Result<Vec<u8>> {
    let about =
        |message: String| Error::new(ErrorKind::Corrupt, Op::ReadDevice, device.subject(), message);
    let location = &header.committed;
    if location.size > u64::try_from(MAX_TEXT).unwrap_or(u64::MAX) {
        return Err(about(format!("a text of {} bytes is too long", location.size)));
    }
    let mut text = Vec::new();
    for part in location.placement(header.size)?.parts() {
        let offset = header.start.saturating_add(part.start);
        text.extend(device.read(offset, part.end.saturating_sub(part.start))?);
    }
    if crc(&text) != location.checksum {
        return Err(about(format!(
            "the checksum of the text at byte {} is wrong",
            location.offset
        )));
    }
    Ok(text)
}

fn read_text(device: &Device, header: &MdaHeader, parsed: &mut Parsed<'_>) -> Result<ReadText> {
    let bytes = read_committed(device, header)?;
    let same = parsed.texts.entry((header.committed.checksum, header.committed.size)).or_default();
    if let Some((_, known)) = same.iter().find(|(other, _)| *other == bytes) {
        return Ok(known.clone());
    }
    // A group is known by its name here only so that its volumes need not be read again.
    let name = bytes.split(|byte| matches!(byte, b' ' | b'{' | b'\n')).next().unwrap_or_default();
    let mut before = parsed.before.into_iter().flat_map(Observed::texts);
    let known = before.find(|text| text.group.name.as_bytes() == name);
    let (metadata, duplicates) = Metadata::parse_noting(&bytes, known.map(|known| &**known))?;
    // The same version as before, on another device or with other neighbours.
    let metadata = match known.filter(|known| ***known == metadata) {
        Some(known) => Arc::clone(known),
        None => Arc::new(metadata),
    };
    let text = ReadText { metadata, duplicates: duplicates.into() };
    same.push((bytes, text.clone()));
    Ok(text)
}
