//! What changes or goes wrong around an open session: devices that grow and shrink, texts with a
//! key twice, areas that can't be read, names that were another group's.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use open_local_core::host::{BlockIo, DeviceAccess, DeviceHandle, Devices, Files};
use open_local_core::sim::LoggedDisks;
use open_local_core::{Bytes, DeviceNumber, ErrorKind, Extents, Sectors};
use open_local_lvm::exec::{Choice, Committed, PvOptions, Session};
use open_local_lvm::format::check::FindingKind;
use open_local_lvm::format::crc::crc;
use open_local_lvm::format::group::VolumeGroup;
use open_local_lvm::format::mda::MdaHeader;
use open_local_lvm::plan::{Geometry, LayoutOptions, PvLayout};

use crate::lab::{Lab, NAME, group, path, pv_options, tagged};

const AREA: u64 = 4096;

fn mib(count: u64) -> Bytes {
    Bytes::new(count << 20)
}

/// What is odd about a disk.
#[derive(Debug, Default)]
struct Oddity {
    /// What can't be read.
    bad: Range<u64>,
    /// Its size, if it is not the whole disk's.
    size: Option<Bytes>,
}

/// Disks that lose sectors, grow and shrink while they are open.
#[derive(Debug, Clone, Default)]
struct OddDisks {
    disks: LoggedDisks,
    odd: Arc<Mutex<BTreeMap<PathBuf, Oddity>>>,
}

impl OddDisks {
    fn session(&self, lab: &Lab) -> Session {
        let devices = Arc::new(self.clone());
        Session::open(&lab.host, devices, lab.settings.clone(), &lab.disks.paths()).unwrap()
    }

    fn resize(&self, disk: usize, size: Bytes) {
        self.odd.lock().unwrap().entry(path(disk)).or_default().size = Some(size);
    }

    fn spoil(&self, disk: usize, bad: Range<u64>) {
        self.odd.lock().unwrap().entry(path(disk)).or_default().bad = bad;
    }
}

#[derive(Debug)]
struct Handle {
    path: PathBuf,
    inner: Box<dyn DeviceHandle>,
    odd: Arc<Mutex<BTreeMap<PathBuf, Oddity>>>,
}

impl Devices for OddDisks {
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
        let inner = self.disks.open(path, access)?;
        Ok(Box::new(Handle { path: path.to_path_buf(), inner, odd: Arc::clone(&self.odd) }))
    }
}

impl BlockIo for Handle {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset + u64::try_from(buf.len()).unwrap();
        let odd = self.odd.lock().unwrap();
        let is_bad = |odd: &Oddity| odd.bad.start < end && offset < odd.bad.end;
        if odd.get(&self.path).is_some_and(is_bad) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.inner.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.inner.flush()
    }

    fn size(&self) -> io::Result<Bytes> {
        let odd = self.odd.lock().unwrap();
        odd.get(&self.path).and_then(|odd| odd.size).map_or_else(|| self.inner.size(), Ok)
    }
}

impl DeviceHandle for Handle {
    fn number(&self) -> io::Result<DeviceNumber> {
        self.inner.number()
    }

    fn block_size(&self) -> io::Result<Bytes> {
        self.inner.block_size()
    }

    fn is_read_only(&self) -> io::Result<bool> {
        self.inner.is_read_only()
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.inner.drop_cache()
    }
}

fn tag(session: &Session, tag: &str) -> open_local_core::Result<Committed> {
    session.change(NAME, "tag", |old| Ok(tagged(old, tag)))
}

fn findings(session: &Session) -> Vec<FindingKind> {
    session.group(NAME).unwrap().findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_device_that_grew_or_shrank_under_an_open_session_is_noticed() {
    let lab = Lab::blank(1);
    lab.make_pvs();
    let devices = OddDisks { disks: lab.disks.clone(), ..OddDisks::default() };
    devices.resize(0, mib(3));
    let session = devices.session(&lab);
    assert_eq!(session.physical_volumes().unwrap()[0].device_size, mib(3));
    for size in [mib(4), mib(2)] {
        devices.resize(0, size);
        assert_eq!(session.physical_volumes().unwrap()[0].device_size, size);
        assert_eq!(session.resize_pv(&path(0)).unwrap(), size);
    }
    devices.resize(0, Bytes::new(1 << 19));
    assert_eq!(session.resize_pv(&path(0)).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn a_group_follows_the_size_of_a_device_and_never_one_it_has_no_more() {
    let lab = Lab::with_group(1, 1);
    let devices = OddDisks { disks: lab.disks.clone(), ..OddDisks::default() };
    devices.resize(0, mib(3));
    let session = devices.session(&lab);
    assert_eq!(findings(&session), [FindingKind::LabelMismatch]);
    let sized = |size: Bytes| {
        move |old: &VolumeGroup| {
            let mut new = old.clone();
            let extents = (size.get() - (1 << 20)) / 65536;
            new.physical_volumes[0].dev_size = Some(Sectors::new(size.get() / 512));
            new.physical_volumes[0].pe_count = Extents::new(extents);
            Ok(new)
        }
    };
    session.change_members(NAME, "resize", sized(mib(3))).unwrap();
    assert_eq!(findings(&session), []);
    devices.resize(0, mib(4));
    session.change_members(NAME, "resize", sized(mib(4))).unwrap();
    assert_eq!(findings(&session), []);
    // The device shrinks after it was planned with.
    devices.resize(0, mib(2));
    let error = session.change_members(NAME, "resize", sized(mib(3))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("2MiB now"), "{error}");
    assert_eq!(findings(&session), [FindingKind::LabelMismatch]);
    session.change_members(NAME, "resize", sized(mib(2))).unwrap();
    assert_eq!(findings(&session), []);
}

/// Puts another text into the metadata area of a disk, as good as any.
fn rewrite(lab: &Lab, disk: usize, change: impl FnOnce(String) -> String) {
    let content = lab.disks.content(path(disk));
    let at = usize::try_from(AREA).unwrap();
    let mut header = MdaHeader::parse(content[at..at + 512].try_into().unwrap(), AREA).unwrap();
    let place = header.committed;
    let start = at + usize::try_from(place.offset).unwrap();
    let text = &content[start..start + usize::try_from(place.size).unwrap() - 1];
    let mut text = change(String::from_utf8(text.to_vec()).unwrap()).into_bytes();
    text.push(0);
    header.committed.size = u64::try_from(text.len()).unwrap();
    header.committed.checksum = crc(&text);
    lab.disks.overwrite(path(disk), AREA + place.offset, &text);
    lab.disks.overwrite(path(disk), AREA, &header.encode());
}

#[test]
fn a_key_that_stands_twice_makes_a_group_read_only() {
    let cases = [
        ("creation_time = 17", "creation_time = 1\ncreation_time = 17", "vg/logical_volumes/lv"),
        ("extent_size", "extent_size = 8192\nextent_size", "vg has the key extent_size"),
        ("pe_start", "pe_start = 1\npe_start", "vg/physical_volumes/pv0 has the key pe_start"),
        ("logical_volumes {", "unknown {\n}\nunknown {\n}\nlogical_volumes {", "key unknown"),
    ];
    for (from, to, said) in cases {
        let lab = Lab::with_group(2, 2);
        let session = lab.session();
        tag(&session, "before").unwrap();
        (0..2).for_each(|disk| rewrite(&lab, disk, |text| text.replacen(from, to, 1)));
        let before: Vec<_> = (0..2).map(|disk| lab.disks.content(path(disk))).collect();
        // A session that knows the group, and one that does not; each more than once.
        for session in [&session, &lab.session()] {
            for _ in 0..2 {
                let view = session.group(NAME).unwrap();
                assert_eq!(view.findings[0].kind, FindingKind::DuplicateKey, "{from}");
                assert_eq!(view.findings.len(), 1, "{from}");
                let error = tag(session, "x").unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                assert!(error.message().contains(said), "{error}");
                assert!(error.remedy().is_some());
                assert!(!session.repair(NAME, Choice::Refuse).unwrap().changed);
                assert!(session.rename_group(NAME, "gv", "rename").is_err());
            }
        }
        let after: Vec<_> = (0..2).map(|disk| lab.disks.content(path(disk))).collect();
        assert!(after == before, "nothing is written");
    }
}

#[test]
fn an_area_that_cannot_be_read_is_told_by_every_commit() {
    let lab = Lab::laid_out(2, 512, 2, 2);
    let devices = OddDisks { disks: lab.disks.clone(), ..OddDisks::default() };
    let open = || devices.session(&lab);
    // The second area of the second device, at its end.
    let view = open().physical_volumes().unwrap()[1].clone();
    let area = view.area_places[1];
    devices.spoil(1, area.offset..area.offset + 512);
    let session = open();
    assert_eq!(findings(&session), [FindingKind::Unreadable]);
    let is_told = |done: &Committed| {
        assert_eq!(done.degraded.len(), 1, "{done:?}");
        assert_eq!(
            (done.degraded[0].device.clone(), done.degraded[0].area),
            (path(1), area.offset)
        );
        assert!(!done.degraded[0].why.is_empty());
    };
    let done = tag(&session, "a").unwrap();
    assert!(done.changed);
    is_told(&done);
    // Also by the next one, and by one that has nothing to do.
    is_told(&tag(&session, "b").unwrap());
    let same = session.change(NAME, "same", |old| Ok(old.clone())).unwrap();
    assert!(!same.changed);
    is_told(&same);
    assert_eq!(findings(&session), [FindingKind::Unreadable]);
    // Once it can be read it is found to be left behind, and the next commit repairs it.
    devices.spoil(1, 0..0);
    assert!(findings(&session).contains(&FindingKind::StaleArea));
    assert_eq!(tag(&session, "c").unwrap().degraded, []);
    assert_eq!((findings(&session), findings(&open())), (Vec::new(), Vec::new()));
}

#[test]
fn a_session_for_reading_renames_nothing() {
    let lab = Lab::with_group(1, 1);
    let disks = Arc::new(lab.disks.clone());
    let settings = lab.settings.clone();
    let session = Session::open_read_only(&lab.host, disks, settings, &lab.disks.paths()).unwrap();
    for to in ["gv", NAME] {
        let error = session.rename_group(NAME, to, "rename").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains("for reading"), "{error}");
    }
}

/// Numbers of the archives of a name, sorted.
fn archived(lab: &Lab, name: &str) -> Vec<String> {
    let names = lab.files.list("/etc/lvm/archive".as_ref()).unwrap();
    let names = names.iter().map(|name| name.to_str().unwrap().to_owned());
    let start = format!("{name}_");
    let mut numbers: Vec<String> = names
        .filter_map(|file| Some(file.strip_prefix(&start)?.split('-').next()?.to_owned()))
        .collect();
    numbers.sort();
    numbers
}

#[test]
fn archives_of_a_name_are_counted_on_whoever_had_it_before() {
    let lab = Lab::with_group(1, 1);
    let session = lab.session();
    // Of a group of this name that is gone.
    for number in [7, 12] {
        let file = format!("/etc/lvm/archive/gv_{number:05}-1.vg");
        if lab.files.list("/etc/lvm/archive".as_ref()).is_err() {
            lab.files.add_folder("/etc/lvm/archive").unwrap();
        }
        lab.files.add_file(&file, b"creation_time = 1800000000\n").unwrap();
    }
    session.rename_group(NAME, "gv", "rename").unwrap();
    session.change("gv", "tag", |old| Ok(tagged(old, "a"))).unwrap();
    session.change("gv", "tag", |old| Ok(tagged(old, "b"))).unwrap();
    assert_eq!(archived(&lab, "gv"), ["00007", "00012", "00013", "00014"]);
    // The old name goes on where it was, also for another group.
    session.rename_group("gv", NAME, "rename").unwrap();
    let before = archived(&lab, NAME).len();
    tag(&session, "c").unwrap();
    let after = archived(&lab, NAME);
    assert_eq!(after.len(), before + 1);
    let last: usize = after.last().unwrap().parse().unwrap();
    assert_eq!(last, before, "{after:?}");
}

#[test]
fn a_new_group_counts_on_from_the_archives_of_one_that_is_gone() {
    let lab = Lab::with_group(1, 0);
    let session = lab.session();
    tag(&session, "a").unwrap();
    session.remove_group(NAME, "remove").unwrap();
    let gone = archived(&lab, NAME);
    assert_eq!(gone, ["00000", "00001"]);
    let pvs = session.physical_volumes().unwrap();
    session.create_group(&group(&pvs, 0), "create").unwrap();
    tag(&session, "b").unwrap();
    assert_eq!(archived(&lab, NAME), ["00000", "00001", "00002"]);
}

#[test]
fn a_physical_volume_with_other_room_for_metadata_is_a_conflict() {
    let lab = Lab::blank(1);
    let session = lab.session();
    let small = session.create_pv(&path(0), &pv_options(0)).unwrap();
    // The same again, and whatever is there.
    assert_eq!(session.create_pv(&path(0), &pv_options(0)).unwrap(), small);
    assert_eq!(session.create_pv(&path(0), &PvOptions::default()).unwrap(), small);
    let asked = PvOptions::default().with_metadata_size(mib(2));
    let geometry = Geometry::plain(mib(4));
    let layout = LayoutOptions { metadata_areas: 0, ..LayoutOptions::default() };
    let none = PvOptions::default().with_layout(PvLayout::new("a", &geometry, &layout).unwrap());
    for (options, said) in [(asked, "3068KiB"), (none, "no metadata area")] {
        let error = session.create_pv(&path(0), &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let message = error.message();
        assert!(message.contains("1020KiB") && message.contains(said), "{message}");
    }
    assert_eq!(session.physical_volumes().unwrap()[0].areas, [Bytes::new(1_044_480)]);
}
