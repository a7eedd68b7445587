//! Which hierarchy can limit I/O: decided per controller, from what is mounted.
//!
//! A host may mount the v1 `blkio` controller and a v2 hierarchy side by side; a controller
//! belongs to one hierarchy at a time, so a v2 mount says nothing until its root lists `io`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::device::DeviceNumber;

/// A mounted cgroup hierarchy, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CgroupMount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Which cgroup of the hierarchy is mounted there; `/` for all of it.
    pub root: PathBuf,
}

impl CgroupMount {
    /// The folder of a cgroup, given by its path below the hierarchy's root; `None` if this mount
    /// does not show it.
    #[must_use]
    pub fn folder(&self, cgroup: &Path) -> Option<PathBuf> {
        let absolute = Path::new("/").join(cgroup);
        let below = absolute.strip_prefix(&self.root).ok()?;
        Some(super::walk::under(&self.point, below))
    }
}

/// The hierarchies through which I/O may be limited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Controllers {
    /// The v1 hierarchy of the `blkio` controller.
    pub v1_blkio: Option<CgroupMount>,
    /// The v2 hierarchy; whether it has the `io` controller is for its root's
    /// `cgroup.controllers` to say.
    pub v2: Option<CgroupMount>,
}

/// A line of mount information, as far as needed here (proc(5), `/proc/pid/mountinfo`).
struct MountLine<'a> {
    id: u64,
    parent: u64,
    device: &'a [u8],
    root: PathBuf,
    point: PathBuf,
    kind: &'a [u8],
    options: &'a [u8],
}

/// Finds the mounted hierarchies in the text of `/proc/self/mountinfo`.
///
/// Lines that are no mount lines are passed over. A mount of the whole hierarchy is preferred to
/// one of a part, and one that is covered by another mount at the same place is not seen.
#[must_use]
pub fn find_controllers(mountinfo: &[u8]) -> Controllers {
    let lines = mount_lines(mountinfo);
    let pick = |wanted: &dyn Fn(&MountLine<'_>) -> bool| {
        let mut found: Option<CgroupMount> = None;
        for line in lines.iter().filter(|line| wanted(line)) {
            let covered =
                lines.iter().any(|other| other.parent == line.id && other.point == line.point);
            let whole = line.root == Path::new("/");
            if !covered && (found.is_none() || whole) {
                found = Some(CgroupMount { point: line.point.clone(), root: line.root.clone() });
            }
            if !covered && whole {
                break;
            }
        }
        found
    };
    Controllers {
        v1_blkio: pick(&|line| {
            line.kind == b"cgroup" && line.options.split(|b| *b == b',').any(|o| o == b"blkio")
        }),
        v2: pick(&|line| line.kind == b"cgroup2"),
    }
}

/// The kind of the file system that is mounted from a device, if one is.
///
/// Not found for file systems with a number of their own, such as btrfs.
pub(super) fn filesystem_on(mountinfo: &[u8], device: DeviceNumber) -> Option<String> {
    let number = device.to_string();
    mount_lines(mountinfo)
        .iter()
        .find(|line| line.device == number.as_bytes())
        .map(|line| String::from_utf8_lossy(line.kind).into_owned())
}

/// Whether a list of controllers (`cgroup.controllers`, `cgroup.subtree_control`) has this one.
pub(super) fn lists_controller(list: &[u8], name: &str) -> bool {
    list.split(u8::is_ascii_whitespace).any(|word| word == name.as_bytes())
}

fn mount_lines(mountinfo: &[u8]) -> Vec<MountLine<'_>> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(mount_line).collect()
}

fn mount_line(line: &[u8]) -> Option<MountLine<'_>> {
    let mut words = line.split(|byte| *byte == b' ').filter(|w| !w.is_empty());
    let (id, parent) = (number(words.next()?)?, number(words.next()?)?);
    let device = words.next()?;
    let (root, point) = (path(words.next()?)?, path(words.next()?)?);
    // Mount options, which may be any word, then optional fields up to a lone dash.
    words.next()?;
    words.find(|word| *word == b"-")?;
    let kind = words.next()?;
    let source = words.next()?;
    // An empty source leaves one word only.
    let options = words.next().unwrap_or(source);
    Some(MountLine { id, parent, device, root, point, kind, options })
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// An absolute path with space, tab, newline and backslash escaped as three octal digits.
fn path(word: &[u8]) -> Option<PathBuf> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            plain.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(3)?;
        let octal = std::str::from_utf8(digits).ok()?;
        // The conversion would take a sign.
        if octal.starts_with('+') {
            return None;
        }
        plain.push(u8::from_str_radix(octal, 8).ok()?);
        rest = after;
    }
    let path = PathBuf::from(OsString::from_vec(plain));
    (path.is_absolute() && !path.as_os_str().as_bytes().contains(&0)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HYBRID: &[u8] = b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime shared:9 - cgroup cgroup rw,blkio\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    fn point(mount: Option<&CgroupMount>) -> Option<&str> {
        mount.and_then(|m| m.point.to_str())
    }

    #[test]
    fn each_controller_is_found_on_its_own() {
        let found = find_controllers(HYBRID);
        assert_eq!(point(found.v1_blkio.as_ref()), Some("/sys/fs/cgroup/blkio"));
        assert_eq!(point(found.v2.as_ref()), Some("/sys/fs/cgroup/unified"));
        assert_eq!(find_controllers(b""), Controllers::default());
        let joined = b"38 31 0:35 / /cg rw - cgroup cgroup rw,cpu,blkio,memory\n";
        assert!(find_controllers(joined).v1_blkio.is_some());
        let other = b"38 31 0:35 / /cg rw - cgroup cgroup rw,blkio2,xblkio\n";
        assert!(find_controllers(other).v1_blkio.is_none());
    }

    #[test]
    fn the_whole_hierarchy_is_preferred_and_a_covered_mount_is_not_seen() {
        let part = b"1 0 0:1 /pod /a rw - cgroup2 cgroup2 rw\n\
            2 0 0:1 / /b\\040c rw - cgroup2 cgroup2 rw\n";
        let v2 = find_controllers(part).v2.unwrap();
        assert_eq!(v2.point, Path::new("/b c"));
        let covered = b"1 0 0:1 / /a rw - cgroup2 cgroup2 rw\n\
            2 1 0:9 / /a rw - tmpfs tmpfs rw\n\
            3 0 0:1 /pod /b rw - cgroup2 cgroup2 rw\n";
        let v2 = find_controllers(covered).v2.unwrap();
        assert_eq!(v2.point, Path::new("/b"));
        assert_eq!(v2.folder(Path::new("pod/x")), Some(PathBuf::from("/b/x")));
        assert_eq!(v2.folder(Path::new("other")), None);
    }

    #[test]
    fn odd_words_are_read_as_in_the_table_of_all_mounts() {
        let dash = b"1 0 0:1 / /a - - cgroup2 x rw\n2 0 0:1 / /b - cgroup2 x rw\n";
        assert_eq!(point(find_controllers(dash).v2.as_ref()), Some("/a"));
        let spaces = b"1 0 0:1 / /a  rw -  cgroup  rw,blkio\n";
        assert_eq!(point(find_controllers(spaces).v1_blkio.as_ref()), Some("/a"));
        let sign = b"1 0 0:1 / /a\\+40 rw - cgroup2 x rw\n";
        assert_eq!(find_controllers(sign), Controllers::default());
    }

    #[test]
    fn controllers_and_file_systems_are_matched_by_whole_words() {
        assert!(lists_controller(b"cpu io memory\n", "io"));
        assert!(!lists_controller(b"cpu bio iota\n", "io"));
        let root = filesystem_on(HYBRID, DeviceNumber::new(254, 0));
        assert_eq!(root.as_deref(), Some("ext4"));
        assert_eq!(filesystem_on(HYBRID, DeviceNumber::new(25, 0)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = find_controllers(&bytes);
        }

        #[test]
        fn any_words_give_an_answer(text in "([0-9]{1,2} |/[a\\\\0-9]{0,5} |- |cgroup2? |\n){0,60}") {
            let _ = find_controllers(text.as_bytes());
        }

        #[test]
        fn a_printed_mount_is_found(name in "[a-z \t\\\\]{1,12}", parent in 0u64..9) {
            let escaped: String = name
                .bytes()
                .map(|b| match b {
                    b' ' | b'\t' | b'\\' => format!("\\{b:03o}"),
                    b => char::from(b).to_string(),
                })
                .collect();
            let line = format!("77 {parent} 0:1 / /{escaped} rw master:1 - cgroup x rw,blkio\n");
            let found = find_controllers(line.as_bytes()).v1_blkio.unwrap();
            prop_assert_eq!(found.point, Path::new("/").join(name));
        }
    }
}
