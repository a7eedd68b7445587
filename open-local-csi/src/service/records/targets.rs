//! The records of published targets, a file each.
//!
//! The name of a file is a digest of the target, a hyphen and a digest of the volume: it says what
//! the record is about without being read, so that one that can't be read keeps only that volume
//! and that target waiting. Earlier files carry the digest of the target alone. They are read as
//! well and get their new name when they are written again; one of them that can't be read may be
//! of any volume.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::published::{KIND, Published, read, write};
use super::{Records, digest};

/// What the name of a file says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    target: String,
    /// Earlier files do not say.
    volume: Option<String>,
}

impl Name {
    fn of(published: &Published) -> Self {
        let volume = Some(digest(&published.volume));
        Self { target: digest(&published.target.to_string_lossy()), volume }
    }

    /// `None` for what is no record of a target.
    fn read(text: &str) -> Option<Self> {
        let name = match text.split_once('-') {
            Some((target, volume)) => (target, Some(volume)),
            None => (text, None),
        };
        let is_digest = |part: &str| {
            part.len() == 32 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let (target, volume) = name;
        let good = is_digest(target) && volume.is_none_or(is_digest);
        good.then(|| Self { target: target.to_owned(), volume: volume.map(str::to_owned) })
    }

    /// The name of the record that a killed write began under this name.
    fn without_half(text: &str) -> &str {
        text.strip_prefix('.').and_then(|text| text.strip_suffix(".new")).unwrap_or(text)
    }

    fn file(&self) -> String {
        match &self.volume {
            Some(volume) => format!("{}-{volume}", self.target),
            None => self.target.clone(),
        }
    }
}

/// A record that can't be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unread {
    /// Why, with the file and what to do.
    pub error: Error,
    volume: Option<String>,
}

impl Unread {
    /// Whether it may be of this volume: earlier records do not say in their names.
    #[must_use]
    pub fn may_be_of(&self, volume: &str) -> bool {
        self.volume.as_ref().is_none_or(|one| *one == digest(volume))
    }
}

impl Records {
    fn published_folder(&self) -> PathBuf {
        self.host.roots.run.join("csi/published")
    }

    /// What is published at a target.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if its record can't be read.
    pub fn published(&self, target: &Path) -> Result<Option<Published>> {
        let wanted = digest(&target.to_string_lossy());
        Ok(self.chosen(|name| name.target == wanted)?.into_values().next())
    }

    /// Every target that a volume is published at.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if a record can't be read that is of this volume, or may be.
    pub fn published_of(&self, volume: &str) -> Result<Vec<Published>> {
        let wanted = digest(volume);
        let mut all = self.chosen(|name| name.volume.as_ref().is_none_or(|one| *one == wanted))?;
        all.retain(|_, published| published.volume == volume);
        Ok(all.into_values().collect())
    }

    /// Every target that is published.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the folder or one of the records can't be read.
    pub fn all_published(&self) -> Result<Vec<Published>> {
        let (all, unread) = self.readable_published()?;
        unread.into_iter().next().map_or(Ok(all), |unread| Err(unread.error))
    }

    /// Every target that is published as far as that can be read, and the records that can't.
    ///
    /// # Errors
    /// `Io` if the folder can't be read, `Refused` if there are too many.
    pub fn readable_published(&self) -> Result<(Vec<Published>, Vec<Unread>)> {
        let (mut all, mut unread) = (BTreeMap::new(), Vec::new());
        for name in self.target_names()? {
            match self.read_target(&name) {
                Ok(Some(published)) => {
                    let _ = all.insert(published.target.clone(), published);
                }
                Ok(None) => {}
                Err(error) => unread.push(Unread { error, volume: name.volume }),
            }
        }
        Ok((all.into_values().collect(), unread))
    }

    /// Remembers a target before it is mounted; what another volume left there is forgotten.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`; `Corrupt` if what is remembered of the target can't
    /// be read.
    pub fn publish(&self, published: &Published) -> Result<()> {
        let (folder, name) = (self.published_folder(), Name::of(published));
        let others = self.target_names()?.into_iter();
        let others = others.filter(|other| other.target == name.target && *other != name);
        let mut earlier = Vec::new();
        for other in others {
            let same = other.volume.is_none()
                && self.read_target(&other)?.is_some_and(|one| one.volume == published.volume);
            if same {
                // It is all there is of a target that may be in use: it goes after the new one.
                earlier.push(other);
            } else {
                self.remove(&folder, &other.file())?;
            }
        }
        self.store(&folder, &name.file(), &write(published))?;
        earlier.iter().try_for_each(|other| self.remove(&folder, &other.file()))
    }

    /// Forgets a target of a volume after it is unmounted; what another volume has there stays.
    ///
    /// # Errors
    /// `Io`; `Corrupt` if a record of the target can't be read that may be of another volume.
    pub fn unpublish(&self, target: &Path, volume: &str) -> Result<()> {
        let wanted =
            Name { target: digest(&target.to_string_lossy()), volume: Some(digest(volume)) };
        let folder = self.published_folder();
        let names = self.every_name(&folder)?;
        let whole = |name: &str| Name::read(Name::without_half(name));
        // A record that only a killed write began is nobody's, and goes as well.
        let of_target: BTreeSet<Name> = names
            .iter()
            .filter_map(|name| whole(name.to_str()?))
            .filter(|name| name.target == wanted.target)
            .collect();
        for name in of_target {
            let others = match &name.volume {
                Some(_) => name != wanted,
                None => self.read_target(&name)?.is_some_and(|one| one.volume != volume),
            };
            if !others {
                self.remove(&folder, &name.file())?;
            }
        }
        Ok(())
    }

    /// The names of all records, each target's earlier one first. What else is in the folder is
    /// nobody's record.
    fn target_names(&self) -> Result<Vec<Name>> {
        let names = self.names(&self.published_folder())?;
        let mut names: Vec<Name> =
            names.iter().filter_map(|name| Name::read(name.to_str()?)).collect();
        names.sort();
        Ok(names)
    }

    /// Chosen records by their targets.
    fn chosen(&self, choose: impl Fn(&Name) -> bool) -> Result<BTreeMap<PathBuf, Published>> {
        let mut all = BTreeMap::new();
        for name in self.target_names()?.iter().filter(|name| choose(name)) {
            if let Some(published) = self.read_target(name)? {
                let _ = all.insert(published.target.clone(), published);
            }
        }
        Ok(all)
    }

    fn read_target(&self, name: &Name) -> Result<Option<Published>> {
        let path = self.published_folder().join(name.file());
        let loaded = self.load_as(&path, KIND, read);
        let loaded = loaded.and_then(|one| one.map(|one| same(name, one, &path)).transpose());
        // The remedy of a record in general is a copy, which nobody has of these.
        loaded.map_err(|error| {
            let remedy =
                format!("see that nothing is mounted by it, and remove {}", path.display());
            error.with_remedy(remedy)
        })
    }
}

/// Refuses a record that is about something else than its name.
fn same(name: &Name, published: Published, path: &Path) -> Result<Published> {
    let is = Name::of(&published);
    if is.target == name.target && (name.volume.is_none() || is.volume == name.volume) {
        return Ok(published);
    }
    let message = "it is the record of another target or volume than its name says";
    Err(Error::new(ErrorKind::Corrupt, Op::ReadState, Subject::path(path), message))
}

#[cfg(test)]
mod tests {
    use super::super::PublishedAs;
    use super::*;
    use open_local_core::host::Host;
    use open_local_core::sim::Machine;
    use proptest::prelude::*;

    fn one(volume: &str, target: &str) -> Published {
        Published::new(volume, target, PublishedAs::Mount)
    }

    fn files(host: &Host) -> Vec<String> {
        let names = host.files.list(&host.roots.run.join("csi/published")).unwrap();
        names.into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    fn overwrite(host: &Host, name: &str, bytes: &[u8]) {
        let path = host.roots.run.join("csi/published").join(name);
        let _ = host.files.remove_file(&path);
        host.files.create_new(&path).unwrap().write_at(0, bytes).unwrap();
    }

    /// The way records were named before.
    fn store_earlier(records: &Records, published: &Published) {
        let name = digest(&published.target.to_string_lossy());
        records.store(&records.published_folder(), &name, &write(published)).unwrap();
    }

    #[test]
    fn a_damaged_record_is_an_error_for_its_own_volume_and_target_only() {
        let host = Machine::new(1).host();
        let records = Records::new(host.clone());
        records.publish(&one("a", "/pods/a")).unwrap();
        records.publish(&one("b", "/pods/b")).unwrap();
        let damaged = Name::of(&one("a", "/pods/a")).file();
        overwrite(&host, &damaged, b"nothing of ours");
        assert_eq!(records.published_of("b").unwrap().len(), 1);
        assert_eq!(records.published_of("c").unwrap(), []);
        assert_eq!(records.published(Path::new("/pods/b")).unwrap().unwrap().volume, "b");
        records.publish(&one("b", "/pods/c")).unwrap();
        for error in [
            records.published(Path::new("/pods/a")).unwrap_err(),
            records.published_of("a").unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.subject().to_string().contains(&damaged), "{error}");
            assert!(error.remedy().unwrap().contains(&damaged), "{error}");
        }
        let (all, unread) = records.readable_published().unwrap();
        assert_eq!((all.len(), unread.len()), (2, 1));
        assert!(unread[0].may_be_of("a") && !unread[0].may_be_of("b"));
        // Nothing was lost: it is there until somebody has looked after it.
        assert!(files(&host).contains(&damaged));
    }

    #[test]
    fn earlier_records_are_read_and_get_their_new_name_when_they_are_written() {
        let host = Machine::new(1).host();
        let records = Records::new(host.clone());
        store_earlier(&records, &one("a", "/pods/a"));
        assert_eq!(records.published_of("a").unwrap().len(), 1);
        assert_eq!(records.published(Path::new("/pods/a")).unwrap().unwrap().volume, "a");
        let mut changed = one("a", "/pods/a");
        changed.single = true;
        records.publish(&changed).unwrap();
        assert_eq!(files(&host), [Name::of(&changed).file()]);
        assert_eq!(records.all_published().unwrap(), [changed.clone()]);
        // A kill may leave both: the new one counts, and both go together.
        store_earlier(&records, &one("a", "/pods/a"));
        assert_eq!(records.published_of("a").unwrap(), [changed.clone()]);
        assert_eq!(records.all_published().unwrap(), [changed]);
        records.unpublish(Path::new("/pods/a"), "b").unwrap();
        assert_eq!(files(&host).len(), 2);
        records.unpublish(Path::new("/pods/a"), "a").unwrap();
        assert_eq!(files(&host), [""; 0]);
    }

    #[test]
    fn a_damaged_earlier_record_may_be_of_any_volume_and_foreign_files_of_none() {
        let host = Machine::new(1).host();
        let records = Records::new(host.clone());
        records.publish(&one("b", "/pods/b")).unwrap();
        overwrite(&host, "README", b"not a record");
        assert_eq!(records.published_of("b").unwrap().len(), 1);
        overwrite(&host, &digest("/pods/a"), b"");
        assert!(records.published_of("b").is_err());
        assert!(records.published(Path::new("/pods/b")).unwrap().is_some());
        assert!(records.readable_published().unwrap().1[0].may_be_of("b"));
    }

    #[test]
    fn a_record_under_the_name_of_another_is_not_believed() {
        let host = Machine::new(1).host();
        let records = Records::new(host);
        let name = Name::of(&one("b", "/pods/b")).file();
        records.store(&records.published_folder(), &name, &write(&one("a", "/pods/a"))).unwrap();
        assert!(records.published(Path::new("/pods/b")).is_err());
        assert_eq!(records.published(Path::new("/pods/a")).unwrap(), None);
    }

    #[test]
    fn another_volume_at_the_target_takes_the_place_of_the_record() {
        let records = Records::new(Machine::new(1).host());
        records.publish(&one("a", "/pods/a")).unwrap();
        records.publish(&one("b", "/pods/a")).unwrap();
        assert_eq!(records.published_of("a").unwrap(), []);
        assert_eq!(records.all_published().unwrap(), [one("b", "/pods/a")]);
    }

    proptest! {
        #[test]
        fn any_text_is_the_name_of_a_record_or_none(text in "[0-9a-f]{30,34}(-[0-9a-f]{30,34})?|.{0,70}") {
            if let Some(name) = Name::read(&text) {
                prop_assert_eq!(name.file(), text);
            }
        }
    }
}
