//! Metadata areas of a device, and what they hold.

use std::sync::Arc;

use open_local_core::{Error, ErrorKind, Op, Result};

use super::super::device::Device;
use crate::format::group::Metadata;
use crate::format::label::{Label, SECTOR};
use crate::format::mda::MdaHeader;
use crate::format::text::Duplicate;

pub(in crate::exec) type Sector = [u8; SECTOR];

/// A header that was written: the device by its index, where its area begins, and its bytes.
pub(in crate::exec) type Written = (usize, u64, Sector);

/// A device with its label.
#[derive(Debug, Clone)]
pub(in crate::exec) struct Member {
    /// Its index in the session.
    pub(in crate::exec) device: usize,
    pub(in crate::exec) label: Label,
    pub(in crate::exec) areas: Vec<Area>,
}

/// A text of an area.
#[derive(Debug, Clone)]
pub(in crate::exec) struct ReadText {
    pub(in crate::exec) metadata: Arc<Metadata>,
    /// Keys that stand twice in a section of it, of which the values know one only.
    pub(super) duplicates: Arc<[Duplicate]>,
}

/// A metadata area.
#[derive(Debug, Clone)]
pub(in crate::exec) struct Area {
    pub(in crate::exec) start: u64,
    pub(in crate::exec) size: u64,
    pub(in crate::exec) state: AreaState,
}

/// What an area holds.
#[derive(Debug, Clone)]
pub(in crate::exec) enum AreaState {
    /// A good header, and the text that counts if there is one.
    Good { sector: Box<Sector>, header: MdaHeader, text: Option<ReadText> },
    /// A good header and a text that is none.
    BadText { header: MdaHeader, why: String },
    /// A header that is none.
    BadHeader { why: String },
    /// The device gives an error.
    Unreadable { why: String },
}

impl Area {
    pub(in crate::exec) fn header(&self) -> Option<&MdaHeader> {
        match &self.state {
            AreaState::Good { header, .. } | AreaState::BadText { header, .. } => Some(header),
            _ => None,
        }
    }

    pub(super) fn read_text(&self) -> Option<&ReadText> {
        match &self.state {
            AreaState::Good { text, header, .. } if !header.is_ignored() => text.as_ref(),
            _ => None,
        }
    }

    pub(in crate::exec) fn text(&self) -> Option<&Arc<Metadata>> {
        self.read_text().map(|text| &text.metadata)
    }

    /// Whether lvm2 has set it aside; then nothing is written to it.
    pub(in crate::exec) fn is_ignored(&self) -> bool {
        self.header().is_some_and(MdaHeader::is_ignored)
    }
}

/// The header's sector.
pub(super) fn read_sector(device: &Device, start: u64) -> Result<Sector> {
    let sector = device.read(start, 512)?;
    sector.try_into().map_err(|_| {
        Error::new(ErrorKind::Corrupt, Op::ReadDevice, device.subject(), "read too little")
    })
}
