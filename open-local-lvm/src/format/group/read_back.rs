//! What a text will read back as, without reading again what is known.

use open_local_core::Error;

use super::volume_group::{Metadata, VolumeGroup};
use super::volumes::{PvKeys, Shared, Source, Volumes};
use crate::format::text::{MAX_ENTRIES, MAX_TEXT};

impl Metadata {
    /// What [`Self::to_text`] reads back as: [`Self::parse`] of it.
    ///
    /// A volume that was not changed since it was read is written with the very bytes it was read
    /// from. Beside the same physical volumes they say the same again, whatever stands around
    /// them: they begin with the volume's name and end with its closing brace. So only what is
    /// printed anew is written and read, with the others left out.
    ///
    /// # Errors
    /// As [`Self::to_text`] and [`Self::parse`].
    pub(crate) fn read_back(&self) -> Result<Self, Error> {
        let keys = self.group.physical_volumes.iter().map(|pv| pv.key.as_str());
        let mut known = Known { keys: keys.collect(), good: None };
        let volumes = self.group.logical_volumes.shared();
        let kept: Vec<bool> = volumes.iter().map(|shared| known.means_the_same(shared)).collect();
        let rest = self.text_without(&kept)?;
        let sources = volumes.iter().zip(&kept).filter(|(_, kept)| **kept);
        let sources = sources.filter_map(|(shared, _)| shared.source());
        let (bytes, entries) =
            sources.fold((rest.len(), rest.len()), |(bytes, entries), source| {
                let bytes = bytes.saturating_add(source.text.len()).saturating_add(1);
                (bytes, entries.saturating_add(source.entries))
            });
        // An entry has more than one byte: within both bounds so is the whole.
        if bytes > MAX_TEXT || entries > MAX_ENTRIES {
            return Self::parse_again(&self.to_text()?, self);
        }
        let Self { group, provenance } = Self::parse(&rest)?;
        if group.logical_volumes.is_empty() && kept.iter().all(|kept| *kept) {
            let logical_volumes = self.group.logical_volumes.list().into();
            return Ok(Self { group: VolumeGroup { logical_volumes, ..group }, provenance });
        }
        let mut new = group.logical_volumes.into_shared().into_iter();
        let mut all = Vec::with_capacity(volumes.len());
        for (shared, kept) in volumes.iter().zip(kept) {
            // Fewer than were written: the caller sees that it is not the same.
            let Some(mut one) = (if kept { Some(shared.clone()) } else { new.next() }) else {
                continue;
            };
            if let Some(keys) = known.good.filter(|_| !kept) {
                one.share_keys(keys);
            }
            all.push(one);
        }
        all.extend(new);
        let group = VolumeGroup { logical_volumes: Volumes::from(all), ..group };
        Ok(Self { group, provenance })
    }
}

/// The physical volumes beside which volumes are written.
struct Known<'a> {
    keys: Vec<&'a str>,
    /// The same, as one of the volumes has it: to compare them once.
    good: Option<&'a PvKeys>,
}

impl<'a> Known<'a> {
    /// Whether a volume is written as it was read, and means the same beside these physical
    /// volumes as beside those it was read with.
    fn means_the_same(&mut self, shared: &'a Shared) -> bool {
        let Some(Source { keys, .. }) = shared.source() else {
            return false;
        };
        if self.good.is_some_and(|good| PvKeys::ptr_eq(good, keys)) {
            return true;
        }
        let same = self.keys.iter().eq(keys.iter());
        if same {
            self.good = Some(keys);
        }
        same
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::group::tests::GROUP;
    use crate::format::text::Value;

    const TEXTS: [&str; 4] = [
        GROUP,
        include_str!("../../../tests/fixtures/carried.vg"),
        include_str!("../../../tests/fixtures/moving.vg"),
        include_str!("../../../tests/fixtures/odd.vg"),
    ];

    /// What is written, read by the reader that knows nothing.
    fn plainly(metadata: &Metadata) -> Result<Metadata, String> {
        let text = metadata.to_text().map_err(|error| error.to_string())?;
        Metadata::parse(&text).map_err(|error| error.to_string())
    }

    fn back(metadata: &Metadata) -> Result<Metadata, String> {
        metadata.read_back().map_err(|error| error.to_string())
    }

    #[test]
    fn a_volume_that_means_something_else_beside_other_physical_volumes_is_read() {
        let mut metadata = Metadata::parse(GROUP.as_bytes()).unwrap();
        metadata.group.physical_volumes[0].key = "pv9".to_owned();
        let read = back(&metadata).unwrap();
        assert_eq!(read, plainly(&metadata).unwrap());
        assert_ne!(read, metadata, "areas on pv0 lie on a volume of that name now");
    }

    #[test]
    fn what_can_not_be_written_is_an_error() {
        let mut metadata = Metadata::parse(GROUP.as_bytes()).unwrap();
        metadata.group.logical_volumes[0].tags.push("a\0b".to_owned());
        assert_eq!(back(&metadata).unwrap_err(), plainly(&metadata).unwrap_err());
        let mut metadata = Metadata::parse(GROUP.as_bytes()).unwrap();
        metadata.group.logical_volumes[0].name = String::new();
        assert!(back(&metadata).is_err());
    }

    proptest! {
        #[test]
        fn it_is_what_the_whole_text_reads_back_as(
            which in 0usize..4,
            changes in proptest::collection::vec((0u8..9, any::<prop::sample::Index>()), 0..5),
        ) {
            let mut metadata = Metadata::parse(TEXTS[which].as_bytes()).unwrap();
            for (what, index) in changes {
                let group = &mut metadata.group;
                let lv = |group: &VolumeGroup| index.index(group.logical_volumes.len().max(1));
                let at = lv(group);
                match what {
                    0 => group.seqno += 1,
                    1 => drop(group.logical_volumes.remove(at)),
                    2 => if let Some(lv) = group.logical_volumes.get_mut(at) {
                        lv.name.push_str("} \"");
                    },
                    3 => if let Some(lv) = group.logical_volumes.get_mut(at) {
                        lv.tags.push("a # \\ \" {".to_owned());
                    },
                    4 => if let Some(lv) = group.logical_volumes.get(at).cloned() {
                        group.logical_volumes.insert(at, lv);
                    },
                    5 => group.name.push_str(" {"),
                    6 => metadata.provenance.description = Some(Value::from("x\n}\n{ # \"")),
                    7 => group.physical_volumes.reverse(),
                    _ => if let Some(lv) = group.logical_volumes.get_mut(at) {
                        lv.segments.clear();
                    },
                }
                // Known by its bytes from here on, as what a commit keeps.
                if what % 2 == 0 && let Ok(read) = back(&metadata) {
                    metadata = read;
                }
            }
            prop_assert_eq!(back(&metadata), plainly(&metadata));
        }
    }
}
