//! Snapshots of several volumes at one moment.

use super::parameters::{check_parameters, refuse_unknown};
use super::{Parameters, Tags, check_tags};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::ids::{GroupSnapshotId, SnapshotId, VolumeId};

/// Most members of one group snapshot.
pub const MAX_GROUP_MEMBERS: usize = 64;

/// A group snapshot that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupSnapshotSpec {
    /// Its name.
    pub id: GroupSnapshotId,
    /// The names of its members, each with the volume whose content it keeps. Their order does not
    /// matter.
    pub members: Vec<(SnapshotId, VolumeId)>,
    /// Whether the members can be written once published.
    pub writable: bool,
    /// The caller's tags, which its members carry too.
    pub tags: Tags,
    /// Hints on how to make it, which only this backend knows: see [`Parameters`].
    pub parameters: Parameters,
}

impl GroupSnapshotSpec {
    /// A read-only group snapshot that has no members yet.
    #[must_use]
    pub const fn new(id: GroupSnapshotId) -> Self {
        Self {
            id,
            members: Vec::new(),
            writable: false,
            tags: Tags::new(),
            parameters: Parameters::new(),
        }
    }

    /// Adds a member: a snapshot of this name, of this volume.
    #[must_use]
    pub fn with_member(mut self, snapshot: SnapshotId, volume: VolumeId) -> Self {
        self.members.push((snapshot, volume));
        self
    }

    /// Makes its members writable.
    #[must_use]
    pub const fn writable(mut self) -> Self {
        self.writable = true;
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn with_tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Sets a hint for the backend; a key that it does not know is refused.
    #[must_use]
    pub fn with_parameter(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    /// What a backend calls with the keys it knows, before it looks at anything.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] naming the first unknown key and listing the known ones.
    pub fn refuse_unknown_parameters(&self, known: &[&str]) -> Result<()> {
        let op = Op::EnsureGroupSnapshot;
        refuse_unknown(&self.parameters, known, op, &Subject::from(&self.id))
    }

    /// Its members sorted by name: two specifications of one group have the same.
    #[must_use]
    pub fn sorted(&self) -> Vec<(SnapshotId, VolumeId)> {
        let mut members = self.members.clone();
        members.sort();
        members
    }

    /// Checks the rules that hold for every backend.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no member or more than [`MAX_GROUP_MEMBERS`], for a
    /// snapshot or a volume that is named twice, and for tags and parameters over the limits.
    pub fn validate(&self) -> Result<()> {
        let op = Op::EnsureGroupSnapshot;
        let refuse = |message: String, remedy: &str| {
            Err(Error::new(ErrorKind::InvalidArgument, op, &self.id, message).with_remedy(remedy))
        };
        check_tags(&self.tags, op, &Subject::from(&self.id))?;
        check_parameters(&self.parameters, op, &Subject::from(&self.id))?;
        if self.members.is_empty() {
            return refuse("it has no member".to_owned(), "name at least one volume");
        }
        if self.members.len() > MAX_GROUP_MEMBERS {
            return refuse(
                format!("it has {} members, more than {MAX_GROUP_MEMBERS}", self.members.len()),
                "make several groups",
            );
        }
        for (number, (snapshot, volume)) in (1..).zip(&self.members) {
            let mut others = self.members.iter().skip(number);
            let Some((again, _)) = others.find(|(s, v)| s == snapshot || v == volume) else {
                continue;
            };
            return match again == snapshot {
                true => refuse(
                    format!("snapshot {snapshot} is named twice"),
                    "give each member a name of its own",
                ),
                false => refuse(
                    format!("volume {volume} is named twice"),
                    "name each volume once: two snapshots of one moment hold the same",
                ),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(members: &[(&str, &str)]) -> GroupSnapshotSpec {
        let spec = GroupSnapshotSpec::new("g".parse().unwrap());
        members
            .iter()
            .fold(spec, |spec, (s, v)| spec.with_member(s.parse().unwrap(), v.parse().unwrap()))
    }

    #[test]
    fn members_are_few_and_each_once() {
        assert!(group(&[("s", "v"), ("t", "w")]).validate().is_ok());
        let many: Vec<String> = (0..=MAX_GROUP_MEMBERS).map(|n| format!("n{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|n| (n.as_str(), n.as_str())).collect();
        let bad: [(&[(&str, &str)], &str); 4] = [
            (&[], "no member"),
            (&[("s", "v"), ("t", "w"), ("s", "x")], "snapshot s"),
            (&[("s", "v"), ("t", "w"), ("u", "v")], "volume v"),
            (&many, "more than 64"),
        ];
        for (members, why) in bad {
            let error = group(members).validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{why}");
            assert!(error.message().contains(why) && error.remedy().is_some(), "{error}");
        }
        assert!(group(&many[..MAX_GROUP_MEMBERS]).validate().is_ok());
    }

    #[test]
    fn the_order_of_members_does_not_matter() {
        let (a, b) = (group(&[("s", "v"), ("t", "w")]), group(&[("t", "w"), ("s", "v")]));
        assert_eq!(a.sorted(), b.sorted());
    }
}
