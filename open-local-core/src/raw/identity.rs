//! Who a block device is, so that it is known again after a reboot has given it another name.
//!
//! Names and places of attributes are those of sysfs in Linux 6.18.

use std::io;
use std::path::{Path, PathBuf};

use crate::device::DeviceNumber;
use crate::error::{Error, Op, Result, Subject};
use crate::host::{Host, read_small};
use crate::units::{Bytes, Sectors};

/// An attribute of sysfs larger than this is not read.
const MAX_ATTRIBUTE: usize = 64 << 10;
/// What an identity begins with that is no more than a name.
const BY_NAME: &str = "node:";
/// What stands between the identity of a disk and the number of its partition.
const PARTITION: &str = "/partition:";

/// What says who a device is, as far as it says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Facts {
    wwn: Option<String>,
    serial: Option<String>,
    dm_uuid: Option<String>,
    md_uuid: Option<String>,
    backing_file: Option<Window>,
    /// Number, start in sectors, and UUID of a partition.
    partition: Option<(u32, u64, Option<String>)>,
}

/// The part of a file that a loop device shows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    path: PathBuf,
    /// The device of the file's file system, and its inode: two names are one file.
    device: DeviceNumber,
    inode: u64,
    /// Where the part begins, in bytes.
    offset: u64,
}

impl Window {
    fn identity(&self) -> String {
        let Self { path, device, inode, offset } = self;
        let start = if *offset == 0 { String::new() } else { format!("+{offset}") };
        format!("loop:{device}:{inode}{start}:{}", path.display())
    }
}

/// Whether a serial number or world-wide name is one: firmware that has none tells zeroes or
/// blanks, the same for every disk.
fn says_something(text: &str) -> bool {
    let id = text.split_once('.').map_or(text, |(_, id)| id);
    id.bytes().any(|byte| byte.is_ascii_alphanumeric() && byte != b'0')
}

/// The identity these facts make; `None` if nothing in them outlasts a reboot.
///
/// One line of printable text: it is stored, compared and shown.
fn identity(facts: &Facts) -> Option<String> {
    let plain = |text: &String| text.split_whitespace().collect::<Vec<_>>().join("_");
    let file = facts.backing_file.as_ref().map(Window::identity);
    let dm = facts.dm_uuid.as_ref().map(|uuid| format!("dm:{}", plain(uuid)));
    let md = facts.md_uuid.as_ref().map(|uuid| format!("md:{}", plain(uuid)));
    let wwn = facts.wwn.as_ref().filter(|wwn| says_something(wwn));
    let wwn = wwn.map(|wwn| format!("wwn:{}", plain(wwn)));
    let serial = facts.serial.as_ref().filter(|serial| says_something(serial));
    let serial = serial.map(|serial| format!("serial:{}", plain(serial)));
    let whole = dm.or(md).or(file).or(wwn).or(serial)?;
    Some(match &facts.partition {
        None => whole,
        Some((number, start, uuid)) => {
            let uuid = uuid.as_ref().map_or(String::new(), |uuid| format!(":{}", plain(uuid)));
            format!("{whole}{PARTITION}{number}:{start}{uuid}")
        }
    })
}

/// Whether an identity is that of a partition of another one's disk.
pub(super) fn is_partition(one: &str, of: &str) -> bool {
    if let Some((name, disk)) = one.strip_prefix(BY_NAME).zip(of.strip_prefix(BY_NAME)) {
        // `disk_name` of the kernel: a `p` where the disk's name ends in a digit.
        let between = if disk.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
        let number = name.strip_prefix(disk).and_then(|rest| rest.strip_prefix(between));
        return number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    }
    one.strip_prefix(of).is_some_and(|rest| rest.starts_with(PARTITION))
}

/// A block device as sysfs describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) number: DeviceNumber,
    /// The kernel's name.
    pub(super) name: String,
    pub(super) identity: Option<String>,
    pub(super) size: Bytes,
    pub(super) block_size: Bytes,
    pub(super) read_only: bool,
    pub(super) sequence: Option<u64>,
    pub(super) rotational: Option<bool>,
    window: Option<Window>,
}

impl Disk {
    /// Whether it is the one that is meant.
    pub(super) fn answers_to(&self, identity: &str) -> bool {
        match identity.strip_prefix(BY_NAME) {
            Some(name) => self.identity.is_none() && self.name == name,
            None => self.identity.as_deref() == Some(identity),
        }
    }

    /// Whether another one stands for bytes of the same file: by another of its names, or another
    /// part of it that overlaps.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (&self.window, &other.window) else {
            return false;
        };
        let range = |window: &Window, disk: &Self| {
            window.offset..window.offset.saturating_add(disk.size.get())
        };
        let (a, b) = (range(one, self), range(two, other));
        self.number != other.number
            && (one.device, one.inode) == (two.device, two.inode)
            && a.start < b.end
            && b.start < a.end
    }

    /// The identity of a device that has none: its name, which another one may have tomorrow.
    pub(super) fn by_name(&self) -> String {
        format!("{BY_NAME}{}", self.name)
    }

    /// What people choose by.
    pub(super) fn media(&self) -> &'static str {
        match self.rotational {
            Some(true) => "hdd",
            Some(false) => "ssd",
            None => "unknown",
        }
    }
}

/// A device's folder in sysfs.
struct Attributes<'a> {
    host: &'a Host,
    folder: PathBuf,
}

/// Whether an attribute is missing, or says that the device has no such thing or is gone. Anything
/// else, such as too many open files, must not make the device look like one without it.
fn says_nothing(error: &io::Error) -> bool {
    let gone = [libc::ENODEV, libc::ENXIO, libc::ENODATA, libc::EINVAL, libc::EOPNOTSUPP];
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error().is_some_and(|number| gone.contains(&number))
}

impl Attributes<'_> {
    /// An attribute's text; `None` if there is none such, or nothing in it.
    fn text(&self, name: &str) -> io::Result<Option<String>> {
        let path = self.folder.join(name);
        let text = match read_small(self.host.files.as_ref(), &path, MAX_ATTRIBUTE) {
            Err(e) if says_nothing(&e) => return Ok(None),
            answer => answer?,
        };
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Ok((!text.is_empty()).then_some(text))
    }

    fn first(&self, names: &[&str]) -> io::Result<Option<String>> {
        for name in names {
            if let Some(text) = self.text(name)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> io::Result<Option<T>> {
        Ok(self.text(name)?.and_then(|text| text.parse().ok()))
    }

    fn partition(&self, uevent: &str) -> io::Result<Option<(u32, u64, Option<String>)>> {
        let Some(number) = self.number::<u32>("partition")? else {
            return Ok(None);
        };
        let uuid = field(uevent, "PARTUUID").map(str::to_owned);
        Ok(Some((number, self.number("start")?.unwrap_or(0), uuid)))
    }

    fn facts(&self, uevent: &str) -> io::Result<Facts> {
        let partition = self.partition(uevent)?;
        // What says who a partition's disk is stands in the folder above its own.
        let above = if partition.is_some() { "../" } else { "" };
        let first = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| format!("{above}{name}")).collect();
            self.first(&names.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let offset = first(&["loop/offset"])?.and_then(|text| text.parse().ok()).unwrap_or(0);
        let backing_file = match first(&["loop/backing_file"])? {
            Some(path) => self.window(PathBuf::from(path), offset)?,
            None => None,
        };
        Ok(Facts {
            wwn: first(&["wwid", "device/wwid"])?,
            serial: first(&["device/serial", "serial"])?,
            dm_uuid: first(&["dm/uuid"])?,
            md_uuid: first(&["md/uuid"])?,
            backing_file,
            partition,
        })
    }

    /// The part of a file that begins at `offset`; `None` for a file whose name is gone, which
    /// nobody finds again after a reboot, or whose file system does not answer: that may be
    /// somebody else's, and says nothing about other devices.
    fn window(&self, path: PathBuf, offset: u64) -> io::Result<Option<Window>> {
        let short = [libc::EMFILE, libc::ENFILE, libc::ENOMEM];
        match self.host.files.stat(&path) {
            Ok(stat) => Ok(Some(Window { path, device: stat.device, inode: stat.inode, offset })),
            Err(e) if e.raw_os_error().is_some_and(|number| short.contains(&number)) => Err(e),
            Err(_) => Ok(None),
        }
    }
}

/// A field of a uevent file.
fn field<'a>(uevent: &'a str, key: &str) -> Option<&'a str> {
    uevent.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// The device of this number; `None` if there is none.
///
/// # Errors
/// Those of reading its attributes, but for the ones that say that it has no such thing.
pub(super) fn disk(host: &Host, number: DeviceNumber) -> io::Result<Option<Disk>> {
    let folder = host.roots.sys.join("dev/block").join(number.to_string());
    let attributes = Attributes { host, folder };
    let Some(uevent) = attributes.text("uevent")? else {
        return Ok(None);
    };
    let Some(name) = field(&uevent, "DEVNAME").map(str::to_owned) else {
        return Ok(None);
    };
    let sectors = attributes.number::<u64>("size")?.unwrap_or(0);
    let block_size = attributes
        .first(&["queue/logical_block_size", "../queue/logical_block_size"])?
        .and_then(|text| text.parse().ok());
    let rotational = attributes.first(&["queue/rotational", "../queue/rotational"])?;
    let facts = attributes.facts(&uevent)?;
    Ok(Some(Disk {
        number,
        identity: identity(&facts),
        size: Sectors::new(sectors).to_bytes().unwrap_or(Bytes::ZERO),
        block_size: Bytes::new(block_size.unwrap_or(512)),
        read_only: attributes.text("ro")?.as_deref() == Some("1"),
        sequence: attributes.number("diskseq")?,
        rotational: rotational.map(|text| text == "1"),
        window: facts.backing_file.filter(|_| facts.partition.is_none()),
        name,
    }))
}

/// All block devices there are. Opens none.
///
/// # Errors
/// `Io` if they can't be listed, or one of them can't be read.
pub(super) fn disks(host: &Host, op: Op) -> Result<Vec<Disk>> {
    let folder = host.roots.sys.join("dev/block");
    let failed = |what: String| {
        let subject = Subject::path(&folder);
        move |e| Error::from_io(op, subject, what, e).with_remedy("mount sysfs at /sys")
    };
    let names = host.files.list(&folder);
    let names = names.map_err(failed("can't list the block devices".to_owned()))?;
    let numbers = names.iter().filter_map(|name| name.to_str()?.parse::<DeviceNumber>().ok());
    let mut disks = Vec::new();
    for number in numbers {
        let found = disk(host, number);
        // One may go away between the listing and the look.
        disks.extend(found.map_err(failed(format!("can't tell who device {number} is")))?);
    }
    Ok(disks)
}

/// The node of a device.
pub(super) fn node(host: &Host, disk: &Disk) -> PathBuf {
    host.roots.dev.join(Path::new(&disk.name))
}

/// The node of the device of this number; `None` if there is no such device.
///
/// # Errors
/// Those of reading its attributes.
#[cfg(feature = "mountpoint")]
pub(crate) fn node_of(host: &Host, number: DeviceNumber) -> io::Result<Option<PathBuf>> {
    Ok(disk(host, number)?.map(|disk| node(host, &disk)))
}

/// What the device of this number is made of, for people to choose by.
#[cfg(feature = "mountpoint")]
pub(crate) fn media_of(host: &Host, number: DeviceNumber) -> &'static str {
    // For people only: one that can't be read is unknown, too.
    disk(host, number).ok().flatten().map_or("unknown", |disk| disk.media())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn an_attribute_that_is_missing_is_told_from_one_that_can_not_be_read() {
        let errors = [libc::EMFILE, libc::ENOMEM, libc::EIO, libc::EACCES, libc::ENFILE];
        for number in errors {
            assert!(!says_nothing(&io::Error::from_raw_os_error(number)), "{number}");
        }
        for number in [libc::ENOENT, libc::ENODEV, libc::ENXIO, libc::ENOTDIR, libc::EINVAL] {
            assert!(says_nothing(&io::Error::from_raw_os_error(number)), "{number}");
        }
    }

    #[test]
    fn the_strongest_name_a_device_has_is_its_identity() {
        let serial = Facts { serial: some("S 1"), ..Facts::default() };
        let wwn = Facts { wwn: some("eui.1"), ..serial.clone() };
        let dm = Facts { dm_uuid: some("LVM-x"), ..wwn.clone() };
        let part = Facts { partition: Some((2, 2048, some("ab-1"))), ..wwn.clone() };
        assert_eq!(identity(&serial), some("serial:S_1"));
        assert_eq!(identity(&wwn), some("wwn:eui.1"));
        assert_eq!(identity(&dm), some("dm:LVM-x"));
        assert_eq!(identity(&part), some("wwn:eui.1/partition:2:2048:ab-1"));
        let nothing = Facts { partition: Some((1, 0, None)), ..Facts::default() };
        assert_eq!(identity(&nothing), None);
        let number = DeviceNumber::new(254, 1);
        let window = Window { path: "/a b".into(), device: number, inode: 7, offset: 0 };
        let file = Facts { backing_file: Some(window.clone()), ..Facts::default() };
        assert_eq!(identity(&file), some("loop:254:1:7:/a b"));
        // Two parts of a file are not the same device.
        let part = Window { offset: 512, ..window };
        let part = Facts { backing_file: Some(part), ..Facts::default() };
        assert_eq!(identity(&part), some("loop:254:1:7+512:/a b"));
    }

    #[test]
    fn a_partition_is_known_to_be_one_of_its_disk() {
        let part =
            Facts { partition: Some((2, 2048, None)), wwn: some("eui.1"), ..Facts::default() };
        let whole = Facts { partition: None, ..part.clone() };
        let [part, whole] = [part, whole].map(|facts| identity(&facts).unwrap());
        assert!(is_partition(&part, &whole));
        assert!(!is_partition(&whole, &part) && !is_partition(&whole, &whole));
        for (one, of, is) in [
            ("node:vda1", "node:vda", true),
            ("node:loop1p1", "node:loop1", true),
            ("node:loop10", "node:loop1", false),
            ("node:vda", "node:vda", false),
            ("wwn:eui.12", "wwn:eui.1", false),
        ] {
            assert_eq!(is_partition(one, of), is, "{one} {of}");
        }
    }

    #[test]
    fn what_every_disk_of_a_maker_says_is_no_identity() {
        for blank in ["0000000000000000", "naa.0000000000000000", "eui.0", "-", "00 00", "naa."] {
            let facts = Facts { wwn: some(blank), serial: some(blank), ..Facts::default() };
            assert_eq!(identity(&facts), None, "{blank}");
            let facts = Facts { wwn: some(blank), serial: some("S1"), ..Facts::default() };
            assert_eq!(identity(&facts), some("serial:S1"), "{blank}");
        }
    }

    #[test]
    fn parts_of_one_file_that_overlap_are_told() {
        let disk = |minor, path: &str, inode, offset| {
            let device = DeviceNumber::new(254, 1);
            Disk {
                number: DeviceNumber::new(7, minor),
                name: format!("loop{minor}"),
                identity: None,
                size: Bytes::new(1024),
                block_size: Bytes::new(512),
                read_only: false,
                sequence: None,
                rotational: None,
                window: Some(Window { path: path.into(), device, inode, offset }),
            }
        };
        let one = disk(1, "/a", 7, 0);
        assert!(one.overlaps(&disk(2, "/link", 7, 0)) && one.overlaps(&disk(2, "/a", 7, 512)));
        assert!(!one.overlaps(&one) && !one.overlaps(&disk(2, "/a", 7, 1024)));
        assert!(!one.overlaps(&disk(2, "/b", 8, 0)));
    }

    #[test]
    fn a_device_without_an_identity_is_known_by_its_name_only_if_that_was_meant() {
        let disk = Disk {
            number: DeviceNumber::new(254, 16),
            name: "vdb".into(),
            identity: None,
            size: Bytes::GIB,
            block_size: Bytes::new(512),
            read_only: false,
            sequence: None,
            rotational: None,
            window: None,
        };
        assert!(disk.answers_to(&disk.by_name()));
        assert!(!disk.answers_to("serial:x"));
        let named = Disk { identity: some("serial:x"), ..disk.clone() };
        assert!(named.answers_to("serial:x"));
        // One that has become known is not the one that was known by its name.
        assert!(!named.answers_to(&disk.by_name()));
    }

    proptest! {
        #[test]
        fn any_uevent_gives_a_field_or_none(text in "(?s).{0,200}") {
            let _ = field(&text, "DEVNAME");
        }

        #[test]
        fn differing_facts_are_differing_identities(
            a in "[a-z0-9]{1,8}", b in "[a-z0-9]{1,8}", m in 1u32..9, n in 1u32..9,
        ) {
            let facts = |wwn: &str, n| Facts {
                wwn: some(wwn), partition: Some((n, 2048, None)), ..Facts::default()
            };
            let same = identity(&facts(&a, m)) == identity(&facts(&b, n));
            prop_assert_eq!(same, a == b && m == n);
        }
    }
}
