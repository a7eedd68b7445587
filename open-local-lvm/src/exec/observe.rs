//! What the devices of a session hold: labels, metadata areas, and the group they agree on.

mod area;
mod groups;
mod seen;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use open_local_core::Result;

use self::area::ReadText;
use self::seen::{Seen, Start};
use self::text::Parsed;
use super::device::Device;
use crate::format::check::Finding;
use crate::format::group::Metadata;
use crate::format::mda::MdaHeader;

pub(super) use self::area::{Area, AreaState, Member, Sector, Written};
pub(super) use self::groups::ObservedGroup;

/// All devices of a session, as they were read at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Observed {
    seen: Vec<Arc<Seen>>,
}

impl Observed {
    /// Reads all devices; of those whose headers are as in `before` the texts are not read again.
    pub(super) fn of(devices: &[Device], before: Option<&Self>) -> Self {
        // Areas of a group hold the same text: it is parsed once.
        let mut parsed = Parsed { before, texts: BTreeMap::new() };
        let seen = devices.iter().enumerate().map(|(index, device)| {
            let known = before.and_then(|before| before.seen.get(index));
            let start = Start::read(device);
            let current = |start| known.filter(|known| known.is_current(device, start));
            match start.as_ref().ok().and_then(current) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Seen::of(index, device, start, &mut parsed)),
            }
        });
        Self { seen: seen.collect() }
    }

    /// The same after a commit that wrote these headers, and a text that was read back, to areas
    /// of the devices: what would be read there now.
    pub(super) fn with_written(&self, text: &Arc<Metadata>, written: &[Written]) -> Result<Self> {
        let mut now = self.clone();
        let seen = now.seen.iter_mut().filter_map(|seen| {
            let device = seen.member.as_ref()?.device;
            let own: Vec<_> = written.iter().filter(|(of, ..)| *of == device).collect();
            (!own.is_empty()).then_some((seen, own))
        });
        for (seen, own) in seen {
            let seen = Arc::make_mut(seen);
            for (_, start, sector) in own {
                let header = MdaHeader::parse(sector, *start)?;
                let sector = Box::new(*sector);
                let metadata = Arc::clone(text);
                // A text that we print has each key once.
                let text = Some(ReadText { metadata, duplicates: Arc::default() });
                let state = AreaState::Good { sector, header, text };
                seen.set_area(*start, state);
            }
        }
        Ok(now)
    }

    /// Devices that have a label.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.seen.iter().filter_map(|seen| seen.member.as_ref())
    }

    /// What is wrong with single devices.
    pub(super) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.seen.iter().flat_map(|seen| &seen.findings)
    }

    /// Every text on the devices.
    fn texts(&self) -> impl Iterator<Item = &Arc<Metadata>> {
        self.members().flat_map(|member| &member.areas).filter_map(Area::text)
    }
}
