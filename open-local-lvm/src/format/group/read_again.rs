//! Texts to values, without reading volumes again that are known.

use std::collections::HashMap;

use open_local_core::Error;

use super::volume_group::{Metadata, VolumeGroup};
use super::volumes::{PvKeys, Shared, Source};
use crate::format::text::{self, Duplicate, Member, Members, Section, parse};

/// What holds the volumes.
const LIST: &str = "logical_volumes";
/// Known volumes that are looked at one by one before the name is looked up.
const NEAR: usize = 4;

/// A volume of a text.
#[derive(Debug)]
pub(super) enum Found<'t> {
    Known(Shared),
    /// One to be read; known again by its bytes only if each key stands in it once.
    New {
        member: Member<'t>,
        plain: bool,
    },
}

impl Metadata {
    /// Reads a text.
    ///
    /// # Errors
    /// `Corrupt`, with the place, if it is no text or not that of a group.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        Self::parse_noting(text, None).map(|(metadata, _)| metadata)
    }

    /// Reads a text that has much in common with one that was read before.
    ///
    /// The answer is that of [`Self::parse`]. Volumes whose bytes are those they were read from
    /// for `known` are shared with it and not read again.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_again(text: &[u8], known: &Self) -> Result<Self, Error> {
        Self::parse_noting(text, Some(known)).map(|(metadata, _)| metadata)
    }

    /// The same with the keys that stand twice in a section of the text: the values have one of
    /// each.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn parse_noting(
        text: &[u8],
        known: Option<&Self>,
    ) -> Result<(Self, Vec<Duplicate>), Error> {
        let known: Option<&VolumeGroup> = known.map(|known| &known.group);
        let shared = known.map_or(&[][..], |known| known.logical_volumes.shared());
        let keys = known.iter().flat_map(|known| &known.physical_volumes).map(|pv| pv.key.as_str());
        let mut volumes = Apart {
            known: shared,
            keys: keys.collect(),
            good: None,
            next: 0,
            by_name: None,
            found: Vec::with_capacity(shared.len()),
            duplicates: Vec::new(),
            lists: 0,
        };
        let tree = text::parse_apart(text, LIST, &mut volumes)?;
        let own = volumes.lists <= 1 && volumes.fit(&tree);
        if own {
            let mut duplicates = tree.duplicates();
            let group = tree.sections().next().map(|(name, _)| name.to_owned());
            duplicates.extend(volumes.duplicates.drain(..).map(|mut inside| {
                inside.path.splice(0..0, group.clone());
                inside
            }));
            let read = Self::from_parts(tree, volumes.found)?;
            let checked = known.and_then(|known| known.logical_volumes.checked());
            read.group.logical_volumes.set_checked(checked);
            return Ok((read, duplicates));
        }
        let tree = parse(text)?;
        let duplicates = tree.duplicates();
        Ok((Self::from_tree(tree)?, duplicates))
    }
}

struct Apart<'k, 't> {
    known: &'k [Shared],
    /// The physical volumes beside which they are known.
    keys: Vec<&'k str>,
    /// The same, as one of them has it: to compare them once.
    good: Option<&'k PvKeys>,
    /// The known volume that is likely to come next.
    next: usize,
    by_name: Option<HashMap<&'k str, usize>>,
    found: Vec<Found<'t>>,
    /// Of the volumes that were read.
    duplicates: Vec<Duplicate>,
    lists: usize,
}

impl<'k> Apart<'k, '_> {
    /// Whether the tree has the physical volumes beside which volumes are known, and one group:
    /// else the sections that were taken apart may not be its volumes.
    fn fit(&self, tree: &Section) -> bool {
        let mut groups = tree.sections();
        let (Some((_, group)), None) = (groups.next(), groups.next()) else {
            return false;
        };
        let physical = group.section("physical_volumes");
        let keys = physical.into_iter().flat_map(Section::sections).map(|(key, _)| key);
        // Nothing was taken from what is known.
        self.good.is_none() || keys.eq(self.keys.iter().copied())
    }

    /// What a volume was read from, if `rest` begins with it and it meant this volume beside
    /// those physical volumes.
    fn source(&mut self, shared: &'k Shared, rest: &[u8]) -> Option<&'k Source> {
        let source = shared.source().filter(|source| rest.starts_with(&source.text))?;
        if !self.good.is_some_and(|good| PvKeys::ptr_eq(good, &source.keys)) {
            // What was read beside others may mean something else beside these.
            if !self.keys.iter().eq(source.keys.iter()) {
                return None;
            }
            self.good = Some(&source.keys);
        }
        Some(source)
    }

    /// The known volume whose bytes `rest` begins with.
    fn at(&mut self, rest: &[u8]) -> Option<(&'k Shared, &'k Source)> {
        let known = self.known;
        for at in self.next..self.next.saturating_add(NEAR) {
            if let Some(shared) = known.get(at)
                && let Some(source) = self.source(shared, rest)
            {
                self.next = at.saturating_add(1);
                return Some((shared, source));
            }
        }
        let end = rest.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'{')?;
        let name = std::str::from_utf8(rest.get(..end)?).ok()?;
        let at = self.by_its_name(name)?;
        // Changed, if it is not the same: those behind it come next all the same.
        self.next = at.saturating_add(1);
        let shared = known.get(at)?;
        self.source(shared, rest).map(|source| (shared, source))
    }

    fn by_its_name(&mut self, name: &str) -> Option<usize> {
        let known = self.known;
        let is_next = |shared: &Shared| shared.volume().name == name;
        if known.get(self.next).is_some_and(is_next) {
            return Some(self.next);
        }
        let by_name = self.by_name.get_or_insert_with(|| {
            known.iter().map(|shared| shared.volume().name.as_str()).zip(0..).collect()
        });
        by_name.get(name).copied()
    }
}

impl<'t> Members<'t> for Apart<'_, 't> {
    fn known(&mut self, rest: &'t [u8]) -> Option<text::Known> {
        let (shared, source) = self.at(rest)?;
        self.found.push(Found::Known(shared.clone()));
        Some(text::Known { bytes: source.text.len(), entries: source.entries })
    }

    fn read(&mut self, member: Member<'t>) {
        let before = self.duplicates.len();
        member.section.duplicates_at(&[LIST, &member.key], &mut self.duplicates);
        let plain = self.duplicates.len() == before;
        self.found.push(Found::New { member, plain });
    }

    fn list(&mut self) {
        self.lists = self.lists.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::group::tests::GROUP;

    const TEXTS: [&str; 4] = [
        GROUP,
        include_str!("../../../tests/fixtures/carried.vg"),
        include_str!("../../../tests/fixtures/moving.vg"),
        include_str!("../../../tests/fixtures/odd.vg"),
    ];

    /// The reader that knows nothing.
    fn plainly(text: &[u8]) -> Result<Metadata, String> {
        parse(text).and_then(Metadata::from_tree).map_err(|error| error.to_string())
    }

    fn again(text: &[u8], known: &Metadata) -> Result<Metadata, String> {
        Metadata::parse_again(text, known).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_the_same_is_shared_and_what_changed_is_read() {
        let known = Metadata::parse(GROUP.as_bytes()).unwrap();
        let text = GROUP.replacen("device_id = 1", "device_id = 7", 1);
        let read = again(text.as_bytes(), &known).unwrap();
        assert_eq!(Ok(&read), plainly(text.as_bytes()).as_ref());
        let (before, now) = known.group.logical_volumes.apart(&read.group.logical_volumes);
        assert_eq!((before.len(), now.len()), (1, 1));
        assert_eq!((before[0].name.as_str(), now[0].name.as_str()), ("t1", "t1"));
    }

    #[test]
    fn a_name_that_means_something_else_now_is_read_again() {
        // What was a physical volume is a volume of that name now.
        let known = Metadata::parse(GROUP.as_bytes()).unwrap();
        let text = GROUP.replacen("pv0 {", "pv9 {", 1);
        assert_ne!(text, GROUP);
        assert_eq!(again(text.as_bytes(), &known), plainly(text.as_bytes()));
        // The same where somebody renamed it in memory.
        let mut renamed = known.clone();
        renamed.group.physical_volumes[0].key = "pv9".to_owned();
        assert_eq!(again(text.as_bytes(), &renamed), plainly(text.as_bytes()));
        assert_eq!(again(GROUP.as_bytes(), &renamed), plainly(GROUP.as_bytes()));
    }

    #[test]
    fn a_changed_volume_is_printed_anew_and_others_as_they_were() {
        let text = GROUP.replacen("\nt1 {", "\nt1 { # a remark\n", 1);
        let mut metadata = Metadata::parse(text.as_bytes()).unwrap();
        let printed = |metadata: &Metadata| String::from_utf8(metadata.to_text().unwrap()).unwrap();
        assert!(printed(&metadata).contains("# a remark"));
        metadata.group.logical_mut("t1").unwrap().tags.push("x".to_owned());
        assert!(!printed(&metadata).contains("# a remark"));
        assert_eq!(Metadata::parse(printed(&metadata).as_bytes()).unwrap(), metadata);
        let backup = metadata.to_backup_text().unwrap();
        let tree = metadata.to_backup_tree();
        assert_eq!(backup, text::print(&tree, text::Style::Indented).unwrap());
        assert_eq!(metadata.to_backup_text().unwrap(), backup, "also the second time");
    }

    #[test]
    fn a_key_that_stands_twice_is_noted_however_often_the_text_is_read() {
        let doubled = |from: &str, to: &str| GROUP.replacen(from, to, 1);
        let texts = [
            doubled("device_id = 1", "device_id = 1\ndevice_id = 7"),
            doubled("extent_size", "extent_size = 1\nextent_size"),
            doubled("physical_volumes {", "physical_volumes {\n}\nphysical_volumes {"),
            doubled("logical_volumes {", "logical_volumes {\n}\nlogical_volumes {"),
        ];
        for text in texts {
            assert_ne!(text, GROUP);
            let Ok((first, noted)) = Metadata::parse_noting(text.as_bytes(), None) else {
                assert!(plainly(text.as_bytes()).is_err(), "{text}");
                continue;
            };
            assert_eq!(noted.len(), 1, "{text}");
            let again = Metadata::parse_noting(text.as_bytes(), Some(&first)).unwrap();
            assert_eq!(again, (first, noted));
        }
        let (known, noted) = Metadata::parse_noting(GROUP.as_bytes(), None).unwrap();
        assert_eq!(noted, []);
        assert_eq!(Metadata::parse_noting(GROUP.as_bytes(), Some(&known)).unwrap().1, []);
    }

    fn edit() -> impl Strategy<Value = (prop::sample::Index, prop::sample::Index, usize, String)> {
        let piece = prop_oneof![
            Just(String::new()),
            Just("}".to_owned()),
            Just("{".to_owned()),
            Just("\"".to_owned()),
            Just("# ".to_owned()),
            Just("logical_volumes {\n}\n".to_owned()),
            Just("logical_volumes = 1\n".to_owned()),
            Just("\nid = \"LoOXH7-iSM0-yIzk-2SL7-7LyV-SsQz-iEqlOd\"\n".to_owned()),
            "[a-z0-9 ={}\"\\[\\]\n]{0,8}",
        ];
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0usize..40, piece)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn the_answer_is_that_of_the_reader_that_knows_nothing(
            which in 0usize..4,
            known in 0usize..4,
            forget in any::<prop::sample::Index>(),
            edits in proptest::collection::vec(edit(), 0..4),
        ) {
            let mut known = Metadata::parse(TEXTS[known].as_bytes()).unwrap();
            let count = known.group.logical_volumes.len();
            known.group.logical_volumes[forget.index(count)].tags.clear();
            let mut text = TEXTS[which].as_bytes().to_vec();
            for (from, to, cut, piece) in edits {
                // Cuts a little and moves or adds a piece.
                let from = from.index(text.len());
                let end = (from + cut).min(text.len());
                let moved: Vec<u8> = text.drain(from..end).collect();
                let at = to.index(text.len() + 1);
                text.splice(at..at, piece.into_bytes());
                if cut % 2 == 0 {
                    let at = to.index(text.len() + 1);
                    text.splice(at..at, moved);
                }
            }
            let read = again(&text, &known);
            prop_assert_eq!(&read, &plainly(&text));
            if let Ok(read) = read {
                let printed = read.to_text().unwrap();
                prop_assert_eq!(&plainly(&printed).unwrap(), &read);
                prop_assert_eq!(&again(&printed, &read).unwrap(), &read);
            }
        }
    }
}
