//! Where texts lie in a metadata area, and where the next one goes.
//!
//! The area after its header is a ring: a text that reaches the end goes on right after the
//! header. Readers follow the header only, so a writer may begin wherever it does not touch the
//! text that counts (lvm2 2.03.16: at the end of it, rounded up to 512 bytes).

use std::ops::Range;

use open_local_core::{Error, ErrorKind, Op, Subject};

use super::damage::damaged;
use super::mda::{MDA_HEADER, MdaHeader, RawLocation};

/// The parts of an area that a text covers, in bytes from the beginning of the area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The text, or its beginning.
    pub first: Range<u64>,
    /// The rest, where it goes on after the header.
    pub wrapped: Option<Range<u64>>,
}

impl Placement {
    /// The parts in the order of the text.
    pub fn parts(&self) -> impl Iterator<Item = &Range<u64>> {
        std::iter::once(&self.first).chain(&self.wrapped)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let apart = |a: &Range<u64>, b: &Range<u64>| a.end <= b.start || b.end <= a.start;
        !self.parts().all(|own| other.parts().all(|theirs| apart(own, theirs)))
    }
}

/// Longest text an area holds, with its zero byte, so that two always fit: half of the ring less
/// one sector (lvm2 2.03.16).
#[must_use]
pub const fn longest_text(area_size: u64) -> u64 {
    (area_size.saturating_sub(MDA_HEADER) / 2).saturating_sub(512)
}

/// Where `size` bytes from `offset` lie in an area of `area_size` bytes.
///
/// # Errors
/// `Corrupt` if the offset lies outside of the ring or the text is longer than it.
pub fn placement(area_size: u64, offset: u64, size: u64) -> Result<Placement, Error> {
    let about = |message: String| damaged("place of a metadata text", message);
    if offset < MDA_HEADER || offset >= area_size {
        return Err(about(format!("byte {offset} is outside of an area of {area_size}")));
    }
    let before_end = area_size.saturating_sub(offset);
    let first = offset..offset.saturating_add(size.min(before_end));
    let rest = size.saturating_sub(before_end);
    if size == 0 || rest > offset.saturating_sub(MDA_HEADER) {
        return Err(about(format!("{size} bytes can't lie in an area of {area_size}")));
    }
    let wrapped = (rest > 0).then(|| MDA_HEADER..MDA_HEADER.saturating_add(rest));
    Ok(Placement { first, wrapped })
}

impl RawLocation {
    /// Where the text lies in its area.
    ///
    /// # Errors
    /// `Corrupt` if it can't lie there.
    pub fn placement(&self, area_size: u64) -> Result<Placement, Error> {
        placement(area_size, self.offset, self.size)
    }
}

impl MdaHeader {
    /// Where the next text of `size` bytes (with its zero byte) goes, beginning at a multiple of
    /// `alignment` where that is possible and of 512 else. It never touches the text that counts.
    ///
    /// With an alignment of 4096 the block of the header stays free of text, unless the text
    /// has to go over the end of the area.
    ///
    /// # Errors
    /// `OutOfSpace` for a text longer than [`longest_text`]; `Corrupt` if the place of the text
    /// that counts makes no sense.
    pub fn next_placement(&self, size: u64, alignment: u64) -> Result<Placement, Error> {
        let longest = longest_text(self.size);
        if size > longest {
            let message =
                format!("a text of {size} bytes, where the metadata area holds {longest}");
            let subject = Subject::value("metadata area");
            return Err(Error::new(ErrorKind::OutOfSpace, Op::WriteDevice, subject, message)
                .with_remedy("remove volumes, or move to physical volumes with larger areas"));
        }
        let current = match self.committed.is_set() {
            true => Some(self.committed.placement(self.size)?),
            false => None,
        };
        let candidates = [alignment, 512].into_iter().flat_map(|alignment| {
            let first = MDA_HEADER.max(alignment);
            let after = current.as_ref().map(|text| text.parts().last().map_or(0, |p| p.end));
            let after = after.and_then(|end| end.checked_next_multiple_of(alignment));
            let after = after.filter(|start| self.size.saturating_sub(*start) >= alignment);
            let after = after.unwrap_or(first);
            let wraps = self.size.saturating_sub(after) < size;
            // Beginning again at the front is better than going over the end, if there is room.
            if alignment > 512 && wraps { [first, after] } else { [after, first] }
        });
        for start in candidates {
            let Ok(place) = placement(self.size, start, size) else {
                continue;
            };
            if current.as_ref().is_none_or(|text| !place.overlaps(text)) {
                return Ok(place);
            }
        }
        Err(damaged("place of a metadata text", "leaves no room for the next one"))
    }

    /// How many bytes behind a text may be written with it, so that it ends with a block of the
    /// device: they lie in the area and belong neither to the text that counts nor to itself.
    ///
    /// lvm2 fills up its texts with zeroes in the same way, to 512 bytes (2.03.16).
    pub(crate) fn padding(&self, place: &Placement, block: u64) -> Option<u64> {
        let end = place.parts().last()?.end;
        let on_device = self.start.checked_add(end)?;
        let padding = on_device.checked_next_multiple_of(block)?.checked_sub(on_device)?;
        let wider = end.checked_add(padding).filter(|end| *end <= self.size)?;
        let behind = Placement { first: end..wider, wrapped: None };
        let taken = match self.committed.is_set() {
            true => behind.overlaps(&self.committed.placement(self.size).ok()?),
            false => false,
        };
        (padding == 0 || !(taken || behind.overlaps(place))).then_some(padding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEFAULT: u64 = 1_044_480;

    fn after(offset: u64, size: u64, next: u64, alignment: u64) -> Placement {
        let mut header = MdaHeader::empty(4096, DEFAULT);
        header.committed.offset = offset;
        header.committed.size = size;
        header.next_placement(next, alignment).unwrap()
    }

    #[test]
    fn the_longest_text_of_a_default_area() {
        assert_eq!(longest_text(DEFAULT), 521_472);
        assert_eq!(longest_text(512), 0);
        let error = MdaHeader::empty(4096, DEFAULT).next_placement(521_473, 512).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    }

    #[test]
    fn only_what_is_nobodys_is_written_behind_a_text() {
        let mut header = MdaHeader::empty(4096, DEFAULT);
        let padding = |header: &MdaHeader, range: Range<u64>, block| {
            header.padding(&Placement { first: range, wrapped: None }, block)
        };
        assert_eq!(padding(&header, 4096..4196, 512), Some(412));
        assert_eq!(padding(&header, 4096..4196, 4096), Some(3996));
        assert_eq!(padding(&header, 4096..8192, 4096), Some(0));
        // lvm2's text begins with a sector, ours with a block.
        (header.committed.offset, header.committed.size) = (6144, 100);
        assert_eq!(padding(&header, 4096..5000, 512), Some(120));
        assert_eq!(padding(&header, 4096..5000, 4096), None);
        // Behind the area are extents.
        let odd = MdaHeader::empty(4096, DEFAULT - 1024);
        assert_eq!(padding(&odd, 8192..DEFAULT - 1100, 4096), None);
        let wrapped = Placement { first: 5120..DEFAULT, wrapped: Some(512..4700) };
        assert_eq!(header.padding(&wrapped, 4096), None);
    }

    #[test]
    fn the_next_text_follows_the_last_one() {
        assert_eq!(after(0, 0, 100, 512).first, 512..612);
        assert_eq!(after(0, 0, 100, 4096).first, 4096..4196);
        assert_eq!(after(512, 100, 100, 512).first, 1024..1124);
        assert_eq!(after(512, 100, 100, 4096).first, 4096..4196);
        assert_eq!(after(DEFAULT - 600, 100, 100, 512).first, 512..612);
        let over = after(DEFAULT - 1024, 300, 1000, 512);
        assert_eq!((over.first, over.wrapped), (DEFAULT - 512..DEFAULT, Some(512..1000)));
        let over = after(DEFAULT - 8192, 300, 10_000, 4096);
        assert_eq!((over.first, over.wrapped), (4096..14_096, None));
        let after_wrapped = after(DEFAULT - 512, 1024, 100, 512);
        assert_eq!(after_wrapped.first, 1024..1124);
    }

    #[test]
    fn places_outside_of_the_ring_are_refused() {
        assert!(placement(4096, 511, 1).is_err());
        assert!(placement(4096, 4096, 1).is_err());
        assert!(placement(4096, 1024, 0).is_err());
        assert!(placement(4096, 1024, 3584).is_ok());
        assert!(placement(4096, 1024, 3585).is_err());
        assert!(placement(u64::MAX, u64::MAX - 1, u64::MAX).is_err());
    }

    proptest! {
        #[test]
        fn a_chain_of_texts_never_touches_the_one_before(
            area in (4096u64..1 << 20).prop_map(|size| size * 512),
            texts in proptest::collection::vec((0.0f64..=1.0, any::<bool>()), 1..60),
        ) {
            let mut header = MdaHeader::empty(4096, area);
            for (part, large) in texts {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss,
                    clippy::cast_precision_loss, reason = "a part of the longest")]
                let size = ((longest_text(area) as f64 * part) as u64).clamp(1, longest_text(area));
                let alignment = if large { 4096 } else { 512 };
                let place = header.next_placement(size, alignment).unwrap();
                let length: u64 = place.parts().map(|part| part.end - part.start).sum();
                prop_assert_eq!(length, size);
                prop_assert_eq!(place.first.start % 512, 0);
                prop_assert!(place.parts().all(|part| part.start >= 512 && part.end <= area));
                if header.committed.is_set() {
                    prop_assert!(!place.overlaps(&header.committed.placement(area).unwrap()));
                }
                header.committed.offset = place.first.start;
                header.committed.size = size;
            }
        }

        #[test]
        fn any_location_gives_an_answer(area: u64, offset: u64, size: u64, next: u64) {
            let mut header = MdaHeader::empty(4096, area);
            header.committed.offset = offset;
            header.committed.size = size;
            let _ = header.next_placement(next, 4096);
        }
    }
}
