//! The mount table of a process, as `/proc/<pid>/mountinfo` prints it (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountEntry {
    /// Its id.
    pub id: u64,
    /// The id of the mount it stands on.
    pub parent: u64,
    /// The number of the device, or of the file system where it has one of its own (btrfs, tmpfs).
    pub number: DeviceNumber,
    /// The folder within the file system that is its top.
    pub root: PathBuf,
    /// Where it is, as this process sees it.
    pub target: PathBuf,
    /// Options of this mount.
    pub options: Vec<String>,
    /// The kernel's name of the kind.
    pub kind: String,
    /// What was mounted: a device node for most file systems on devices.
    pub source: PathBuf,
    /// Options of the file system.
    pub super_options: Vec<String>,
}

impl MountEntry {
    /// Whether writes through this mount are refused.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let refuses = |options: &[String]| options.iter().any(|o| o == "ro");
        refuses(&self.options) || refuses(&self.super_options)
    }
}

/// Reads a mount table.
///
/// # Errors
/// [`ErrorKind::Corrupt`] naming the first line that is not one of a mount table.
pub fn parse_mountinfo(table: &[u8]) -> Result<Vec<MountEntry>> {
    table
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            parse_line(line).ok_or_else(|| {
                Error::new(
                    ErrorKind::Corrupt,
                    Op::Parse,
                    Subject::value(&String::from_utf8_lossy(line)),
                    "this is no line of a mount table",
                )
                .with_remedy("compare it with proc_pid_mountinfo(5) and report it")
            })
        })
        .collect()
}

/// The mount one sees at a target: of several, the one that stands on the others.
#[must_use]
pub fn mounted_at<'a>(table: &'a [MountEntry], target: &Path) -> Option<&'a MountEntry> {
    let there = || table.iter().filter(|m| m.target == target);
    there()
        .rfind(|m| !there().any(|other| other.parent == m.id && other.id != m.id))
        .or_else(|| there().next_back())
}

fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ').filter(|f| !f.is_empty());
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = number(fields.next()?)?;
    let root = unescape(fields.next()?);
    let target = unescape(fields.next()?);
    let options = list(fields.next()?);
    // Any number of optional fields, ended by a dash.
    fields.by_ref().find(|field| *field == b"-")?;
    let kind = String::from_utf8_lossy(fields.next()?).into_owned();
    let (source, super_options) = match (fields.next(), fields.next()) {
        (Some(source), Some(options)) => (unescape(source), list(options)),
        // An empty source leaves one field only.
        (Some(options), None) => (PathBuf::new(), list(options)),
        (None, _) => return None,
    };
    Some(MountEntry {
        id,
        parent,
        number: device,
        root,
        target,
        options,
        kind,
        source,
        super_options,
    })
}

fn number<T: FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn list(field: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(field).split(',').map(str::to_owned).collect()
}

/// Undoes the kernel's escapes, a backslash and three octal digits; leaves other backslashes.
pub(crate) fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, octal(after)) {
            (b'\\', Some((byte, after))) => {
                out.push(byte);
                after
            }
            _ => {
                out.push(*first);
                after
            }
        };
    }
    PathBuf::from(OsString::from_vec(out))
}

fn octal(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(3)?;
    let value = digits.iter().try_fold(0u16, |value, digit| {
        matches!(digit, b'0'..=b'7').then(|| value * 8 + u16::from(digit - b'0'))
    })?;
    Some((u8::try_from(value).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
30 22 7:3 / /mnt/with\\040space ro,noatime shared:5 master:1 - xfs /dev/loop3 rw,attr2
31 30 0:45 /sub /mnt/with\\040space rw - btrfs /dev/loop4 rw,space_cache=v2,subvol=/sub
32 22 0:50 / /empty rw -  tmpfs  rw
";

    #[test]
    fn a_table_is_read() {
        let table = parse_mountinfo(TABLE.as_bytes()).unwrap();
        assert_eq!(table.len(), 4);
        assert_eq!(table[0].number, DeviceNumber::new(254, 1));
        assert_eq!(table[1].target, Path::new("/mnt/with space"));
        assert!(table[1].is_read_only() && !table[2].is_read_only());
        assert_eq!(table[2].root, Path::new("/sub"));
        assert_eq!(table[2].source, Path::new("/dev/loop4"));
        assert_eq!(table[3].kind, "tmpfs");
    }

    #[test]
    fn the_topmost_of_stacked_mounts_is_seen() {
        let mut table = parse_mountinfo(TABLE.as_bytes()).unwrap();
        let target = Path::new("/mnt/with space");
        assert_eq!(mounted_at(&table, target).unwrap().id, 31);
        table.swap(1, 2);
        assert_eq!(mounted_at(&table, target).unwrap().id, 31);
        assert!(mounted_at(&table, Path::new("/mnt")).is_none());
    }

    #[test]
    fn a_mount_that_claims_to_stand_on_itself_is_still_found() {
        let line = b"5 5 7:0 / /a rw - ext4 /dev/loop0 rw\n6 7 7:0 / /b rw - ext4 d rw\n7 6 7:0 / /b rw - ext4 d rw";
        let table = parse_mountinfo(line).unwrap();
        assert_eq!(mounted_at(&table, Path::new("/a")).unwrap().id, 5);
        assert_eq!(mounted_at(&table, Path::new("/b")).unwrap().id, 7);
    }

    #[test]
    fn cut_lines_are_refused() {
        for bad in [
            "1",
            "1 2 7:0 / /a rw",
            "1 2 7:0 / /a rw -",
            "1 2 7:0 / /a rw - ext4",
            "x 2 7:0 / /a rw - e s o",
        ] {
            assert!(parse_mountinfo(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    fn escape(path: &str) -> String {
        let escaped = |c: char| match c {
            ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", u32::from(c)),
            c => c.to_string(),
        };
        path.chars().map(escaped).collect()
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_mountinfo(&bytes);
        }

        #[test]
        fn any_damage_to_a_table_gives_a_table_or_an_error(
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = TABLE.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(table) = parse_mountinfo(&bytes) {
                for entry in &table {
                    prop_assert!(mounted_at(&table, &entry.target).is_some());
                }
            }
        }

        #[test]
        fn paths_survive_the_kernels_escapes(path in "/[a-z \\t\\n\\\\0-9é]{0,20}") {
            let line = format!("1 2 7:0 / {} rw - ext4 {} rw", escape(&path), escape(&path));
            let table = parse_mountinfo(line.as_bytes()).unwrap();
            prop_assert_eq!(&table[0].target, Path::new(&path));
            prop_assert_eq!(&table[0].source, Path::new(&path));
        }
    }
}
