//! One run of the tools, as data.
//!
//! An order can be printed before it is run, logged, and run later. Names, tags and paths are
//! checked when it is made, so that no argument can be taken for an option.

mod group;
mod thin;
mod volume;

use std::fmt;
use std::path::{Path, PathBuf};

use open_local_core::{Bytes, Error, ErrorKind, Extents, Op, Result, Subject};

pub use group::GroupOptions;
pub use thin::{NewPool, SnapshotRoom};
pub use volume::Where;

use crate::format::names::{check_name, check_new_volume_name, check_tag};
use crate::plan::{Size, TagChange};

/// One run of the tools: a command of lvm2 with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    command: &'static str,
    arguments: Vec<String>,
    subject: Subject,
    changes: bool,
    /// What has to lie on the devices that are named, or to be one of them.
    touches: Vec<Touched>,
}

/// What an order changes that is there already: also a device that becomes part of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Touched {
    Group(String),
    Device(PathBuf),
}

impl Order {
    /// A run that only reads.
    fn reading(command: &'static str, subject: Subject) -> Self {
        Self { command, arguments: Vec::new(), subject, changes: false, touches: Vec::new() }
    }

    /// A run that changes something. Questions are answered with no: there is no input.
    fn changing(command: &'static str, subject: Subject) -> Self {
        Self { command, arguments: Vec::new(), subject, changes: true, touches: Vec::new() }
    }

    /// A run that changes something of a volume or makes it, in a group that is there.
    fn changing_in(command: &'static str, group: &str, name: &str) -> Self {
        Self::changing(command, about(group, name)).touching(Touched::Group(group.to_owned()))
    }

    fn touching(mut self, touched: Touched) -> Self {
        self.touches.push(touched);
        self
    }

    fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The same for a linear or striped volume that is not activated with its group: only who asks
    /// for it by name makes it a device. For others see [`Self::set_autoactivation`].
    #[must_use]
    pub fn activated_by_name(mut self) -> Self {
        self.arguments.splice(0..0, ["--setautoactivation".to_owned(), "n".to_owned()]);
        self
    }

    /// The command of lvm2, such as `lvcreate`.
    #[must_use]
    pub const fn command(&self) -> &'static str {
        self.command
    }

    /// Its arguments; those that say how the tools are run are not among them.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// What it is about.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether it changes anything.
    #[must_use]
    pub const fn changes(&self) -> bool {
        self.changes
    }

    pub(super) fn touches(&self) -> &[Touched] {
        &self.touches
    }

    /// Everything about a group and what is in it, in one report; about all groups if none is
    /// named.
    ///
    /// One run takes the group's lock once, so that its parts fit together.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that no group can have.
    pub fn full_report(group: Option<&str>) -> Result<Self> {
        group.map_or(Ok(()), check_name)?;
        let subject = group.map_or(Subject::Host, Subject::value);
        let mut order = Self::reading("fullreport", subject).args([
            "-a",
            "--reportformat",
            "json",
            "--units",
            "b",
            "--nosuffix",
            "--binary",
        ]);
        for (kind, columns) in super::report::COLUMNS {
            order = order.args(["--configreport", kind, "-o", &columns.join(",")]);
        }
        Ok(order.args(group))
    }
}

/// As a person would type it.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", shell_word(argument)))
    }
}

/// A word as a shell takes it literally.
pub(super) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A volume as the tools name it.
fn path_of(group: &str, name: &str) -> Result<String> {
    check_name(group)?;
    check_name(name)?;
    Ok(format!("{group}/{name}"))
}

fn new_name(name: &str) -> Result<String> {
    check_new_volume_name(name)?;
    Ok(name.to_owned())
}

fn about(group: &str, name: &str) -> Subject {
    Subject::value(&format!("{group}/{name}"))
}

fn device(path: &Path) -> Result<String> {
    let text = path.to_str().filter(|text| text.starts_with('/') && !text.contains(':'));
    text.map(str::to_owned).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            Op::RunProgram,
            Subject::device(path),
            "the tools can't be told of this path",
        )
        .with_remedy("name the device by its absolute path, such as /dev/sdb")
    })
}

fn bytes(size: Bytes) -> String {
    format!("{}b", size.get())
}

/// The arguments for the size of a whole volume.
fn size(size: Size) -> [String; 2] {
    match size {
        Size::Extents(Extents::ZERO) => ["-l".into(), "1".into()],
        Size::Extents(count) => ["-l".into(), count.get().to_string()],
        Size::AtLeast(size) => ["-L".into(), bytes(size)],
    }
}

fn add_tags(tags: &[String]) -> Result<Vec<String>> {
    tags.iter().try_for_each(|tag| check_tag(tag))?;
    Ok(tags.iter().flat_map(|tag| ["--addtag".to_owned(), tag.clone()]).collect())
}

/// Tags to add come first, so that an object is never without one that is exchanged.
fn tag_change(change: &TagChange) -> Result<Vec<String>> {
    change.remove.iter().try_for_each(|tag| check_tag(tag))?;
    if change.add.is_empty() && change.remove.is_empty() {
        let message = "no tag is to be added or removed";
        return Err(Error::new(ErrorKind::InvalidArgument, Op::RunProgram, Subject::Host, message)
            .with_remedy("name at least one tag"));
    }
    let mut arguments = add_tags(&change.add)?;
    arguments.extend(change.remove.iter().flat_map(|tag| ["--deltag".to_owned(), tag.clone()]));
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Growth, NewVolume};

    fn line(order: Result<Order>) -> String {
        order.unwrap().to_string()
    }

    #[test]
    fn orders_are_the_commands_of_the_tools() {
        let mut volume = NewVolume::new("a", Size::AtLeast(Bytes::MIB));
        volume.tags = vec!["x=1".into()];
        volume.stripes = 2;
        let on = Where { devices: vec!["/dev/sdb".into()], ..Where::default() };
        let tags = TagChange { add: vec!["n".into()], remove: vec!["o".into()] };
        for (order, wanted) in [
            (
                Order::create_volume("vg", &volume, &on),
                "lvcreate -an -Zn -Wn -y -L 1048576b -i 2 --addtag x=1 -n a vg /dev/sdb",
            ),
            (
                Order::extend_volume("vg", &Growth::new("a", Size::Extents(Extents::new(3))), &[]),
                "lvextend -l 3 vg/a",
            ),
            (Order::remove_volume("vg", "a"), "lvremove -y vg/a"),
            (Order::rename_volume("vg", "a", "b"), "lvrename vg a b"),
            (Order::tag_volume("vg", "a", &tags), "lvchange --addtag n --deltag o vg/a"),
            (Order::set_writable("vg", "a", false), "lvchange -pr vg/a"),
            (Order::activate("vg", "a"), "lvchange -ay -K vg/a"),
            (Order::deactivate("vg", "a"), "lvchange -an vg/a"),
            (Order::rename_group("vg", "wg"), "vgrename vg wg"),
            (Order::remove_group("vg"), "vgremove vg"),
            (Order::mend_group("vg"), "vgck --updatemetadata vg"),
            (Order::restore_group("vg", Path::new("/b/vg"), false), "vgcfgrestore -f /b/vg vg"),
            (
                Order::create_thin("vg", "pool", &NewVolume::new("t", volume.size)),
                "lvcreate -an -y -V 1048576b --thinpool pool -n t vg",
            ),
            (
                Order::create_snapshot("vg", "t", "s", SnapshotRoom::Shared, &[], true),
                "lvcreate -an -y -s -kn -pr -n s vg/t",
            ),
        ] {
            assert_eq!(line(order), wanted);
        }
    }

    #[test]
    fn nothing_can_be_taken_for_an_option() {
        for bad in ["-rf", "", "a/b", "a b", ".."] {
            assert!(Order::remove_volume("vg", bad).is_err(), "{bad}");
            assert!(Order::remove_group(bad).is_err(), "{bad}");
            assert!(Order::full_report(Some(bad)).is_err(), "{bad}");
            let tags = TagChange { add: Vec::new(), remove: vec![bad.into()] };
            assert_eq!(Order::tag_volume("vg", "a", &tags).is_ok(), matches!(bad, "a/b" | ".."));
        }
        for bad in ["-y", "sdb", "/dev/sdb:1-2"] {
            let order = Order::extend_group("vg", &[bad.into()]);
            assert_eq!(order.unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
        assert!(Order::rename_volume("vg", "a", "snapshot1").is_err());
        assert!(Order::tag_volume("vg", "a", &TagChange::default()).is_err());
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(shell_word("a=b/c"), "a=b/c");
        assert_eq!(shell_word("a!b"), "'a!b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
