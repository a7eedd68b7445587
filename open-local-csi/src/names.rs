//! Names and ids of the interface as names of volumes and snapshots.
//!
//! A volume's id is the name it was asked for by, so that the original's volumes are found under
//! theirs. The interface allows any text of 128 bytes and pools allow less: such a name becomes a
//! readable part and a digest, the same one every time, and the whole name is kept with the object
//! as a tag and compared.

use std::fmt::Write;

use open_local_core::{GroupSnapshotId, SnapshotId, VolumeId};
use sha2::{Digest, Sha256};

use crate::errors::{Answer, Status};

/// Longest name and id of the interface, in bytes.
pub const MAX_NAME: usize = 128;

/// How much of a name that can't be kept stays readable.
const READABLE: usize = 40;

/// The tag that keeps the name a volume or snapshot was asked for by.
pub const NAME_TAG: &str = "csi.name";

/// An object that should exist: the name it is asked for by, and the id it gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wanted<T> {
    /// The name as it was given.
    pub name: String,
    /// The id, derived from the name.
    pub id: T,
}

/// An object that is spoken of: its id as text, and as a name of ours if it can be one.
///
/// Text that can't be a name of ours is no error: there is nothing of that name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle<T> {
    /// The id as it was given.
    pub text: String,
    /// The same as a name; `None` if no object can have it.
    pub id: Option<T>,
}

impl<T> Handle<T>
where
    T: for<'a> TryFrom<&'a str>,
{
    /// Reads an id.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field if it is empty or too long.
    pub fn new(field: &str, text: &str) -> Answer<Self> {
        bounded(field, text)?;
        Ok(Self { text: text.to_owned(), id: T::try_from(text).ok() })
    }
}

impl<T> Wanted<T>
where
    T: for<'a> TryFrom<&'a str>,
{
    /// Reads a name and derives the id.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field if it is empty, too long, or holds control characters.
    pub fn new(field: &str, name: &str) -> Answer<Self> {
        bounded(field, name)?;
        if name.chars().any(char::is_control) {
            return Err(Status::invalid(field, "holds a control character"));
        }
        let derived = derived(name);
        // A name that looks derived might be the one another name is given.
        let plain = Some(name).filter(|name| !looks_derived(name));
        let id = plain.and_then(|name| T::try_from(name).ok());
        let id = id.map_or_else(|| T::try_from(derived.as_str()), Ok);
        let id = id.map_err(|_| Status::invalid(field, "can't be a name"))?;
        Ok(Self { name: name.to_owned(), id })
    }
}

/// A volume that should exist.
pub type WantedVolume = Wanted<VolumeId>;
/// A snapshot that should exist.
pub type WantedSnapshot = Wanted<SnapshotId>;
/// A group snapshot that should exist.
pub type WantedGroup = Wanted<GroupSnapshotId>;
/// A volume that is spoken of.
pub type VolumeHandle = Handle<VolumeId>;
/// A snapshot that is spoken of.
pub type SnapshotHandle = Handle<SnapshotId>;
/// A group snapshot that is spoken of.
pub type GroupHandle = Handle<GroupSnapshotId>;

fn bounded(field: &str, text: &str) -> Answer<()> {
    if text.is_empty() {
        return Err(Status::invalid(field, "is missing"));
    }
    if text.len() > MAX_NAME {
        let what = format!("has {} bytes, more than {MAX_NAME}", text.len());
        return Err(Status::invalid(field, what));
    }
    Ok(())
}

/// A name that pools take, for one they do not.
fn derived(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut text: String = name.chars().filter(|c| plain(*c)).take(READABLE).collect();
    text.insert_str(0, "x-");
    text.push('-');
    for byte in Sha256::digest(name.as_bytes()).iter().take(16) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether a name has the form that [`derived`] gives.
fn looks_derived(name: &str) -> bool {
    let digest = name.strip_prefix("x-").and_then(|rest| rest.rsplit_once('-'));
    digest.is_some_and(|(_, digest)| {
        digest.len() == 32
            && digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// The id of the snapshot of one volume of a group: the same for the same group and volume.
///
/// # Errors
/// `INTERNAL`, which can't happen: what is derived is always a name.
pub fn member_of_group(group: &str, volume: &str) -> Answer<SnapshotId> {
    let text = derived(&format!("{group}/{volume}"));
    SnapshotId::new(text)
        .map_err(|e| Status::new(crate::errors::Code::Internal, e.report().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_stay_and_odd_ones_get_a_digest() {
        let plain = WantedVolume::new("name", "pvc-0f5c1a2e").unwrap();
        assert_eq!(plain.id.as_str(), "pvc-0f5c1a2e");
        let long = "n".repeat(128);
        let first = WantedVolume::new("name", &long).unwrap();
        assert_eq!(first, WantedVolume::new("name", &long).unwrap());
        let other = WantedVolume::new("name", &format!("{}m", "n".repeat(127))).unwrap();
        assert_ne!(first.id, other.id);
        let odd = WantedVolume::new("name", "Volume with spaces/and ä").unwrap();
        // What is derived from one name is not the id of another.
        let same = WantedVolume::new("name", odd.id.as_str()).unwrap();
        assert_ne!(odd.id, same.id);
    }

    #[test]
    fn what_is_empty_too_long_or_unprintable_is_refused_by_field() {
        for bad in ["", "a\0b", &"x".repeat(129), &"y".repeat(1 << 20)] {
            let status = WantedSnapshot::new("name", bad).unwrap_err();
            assert_eq!(status.code(), crate::Code::InvalidArgument);
            assert!(status.message().starts_with("name "), "{status}");
        }
    }

    #[test]
    fn an_id_that_nothing_can_have_is_no_error() {
        let handle = VolumeHandle::new("volume_id", "../../etc/passwd").unwrap();
        assert_eq!(handle.id, None);
        assert!(VolumeHandle::new("volume_id", "").is_err());
    }

    proptest! {
        #[test]
        fn any_text_gives_an_id_or_an_error(text in ".{0,200}") {
            if let Ok(wanted) = WantedVolume::new("name", &text) {
                let again = Handle::<VolumeId>::new("volume_id", wanted.id.as_str()).unwrap();
                prop_assert_eq!(again.id, Some(wanted.id));
            }
        }
    }
}
