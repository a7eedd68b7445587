use std::path::Path;

use open_local_core::host::{BlockIo, MemoryBlock};
use proptest::prelude::*;

use super::*;
use crate::format::crc::crc;
use crate::format::group::tests::GROUP;
use crate::format::label::{DiskArea, Extension, Label, PvHeader};
use crate::format::mda::{FLAG_IGNORED, MdaHeader, RawLocation};
use crate::format::ring::placement;

const START: u64 = 4096;
const AREA: u64 = 1_044_480;
const IDS: [&str; 2] =
    ["GWyL43-I45Q-DR02-02x0-TLJM-gyuP-z3p7I4", "GWyL43-I45Q-DR02-02x0-TLJM-gyuP-z3p7I5"];

/// A physical volume with a metadata area that holds `text` at `offset`.
fn device(id: &str, text: Option<(&str, u64)>) -> MemoryBlock {
    let device = MemoryBlock::new(vec![0; 2 << 20]);
    let extension = Extension { version: 2, flags: 1, bootloader_areas: Vec::new() };
    let header = PvHeader {
        id: id.parse().unwrap(),
        device_size: 2 << 20,
        data_areas: vec![DiskArea { offset: 1 << 20, size: 0 }],
        metadata_areas: vec![DiskArea { offset: START, size: AREA }],
        extension: Some(extension),
    };
    device.write_at(512, &Label { sector: 1, header }.encode().unwrap()).unwrap();
    let mut header = MdaHeader::empty(START, AREA);
    if let Some((text, offset)) = text {
        header.committed = put(&device, text, offset);
    }
    device.write_at(START, &header.encode()).unwrap();
    device
}

fn put(device: &MemoryBlock, text: &str, offset: u64) -> RawLocation {
    let bytes = [text.as_bytes(), &[0]].concat();
    let size = u64::try_from(bytes.len()).unwrap();
    let place = placement(AREA, offset, size).unwrap();
    let mut rest = bytes.as_slice();
    for part in place.parts() {
        let (now, later) = rest.split_at(usize::try_from(part.end - part.start).unwrap());
        device.write_at(START + part.start, now).unwrap();
        rest = later;
    }
    RawLocation { offset, size, checksum: crc(&bytes), flags: 0 }
}

fn change(device: &MemoryBlock, change: impl FnOnce(&mut MdaHeader)) {
    let content = device.content();
    let sector: [u8; 512] = content[4096..4608].try_into().unwrap();
    let mut header = MdaHeader::parse(&sector, START).unwrap();
    change(&mut header);
    device.write_at(START, &header.encode()).unwrap();
}

fn scanned(devices: &[&MemoryBlock]) -> Scan {
    let paths = ["/dev/a", "/dev/b", "/dev/c"].map(Path::new);
    let devices = devices.iter().map(|device| *device as &dyn BlockIo);
    scan(paths.into_iter().zip(devices), &Options::default())
}

fn kinds(scan: &Scan) -> Vec<&'static str> {
    scan.findings().map(|finding| finding.kind.as_str()).collect()
}

fn newer(seqno: u32) -> String {
    GROUP.replacen("seqno = 9", &format!("seqno = {seqno}"), 1)
}

#[test]
fn a_whole_group_is_put_together() {
    let (a, b) = (device(IDS[0], Some((GROUP, 512))), device(IDS[1], Some((GROUP, 4096))));
    let scan = scanned(&[&a, &b]);
    assert_eq!(scan.findings().collect::<Vec<_>>(), Vec::<&Finding>::new());
    let group = scan.group("vg").unwrap();
    assert_eq!(group.members, [Some(0), Some(1)]);
    assert!(!group.is_partial());
    assert_eq!(group.text.raw, GROUP.as_bytes());
    assert!(scan.free_devices().next().is_none());
    let used = u64::try_from(GROUP.len() + 1).unwrap();
    let free = scan.devices[0].areas[0].free().unwrap();
    assert_eq!(free, (521_472 - used) / 512 * 512);
}

#[test]
fn a_text_that_goes_over_the_end_is_joined() {
    let (a, b) = (device(IDS[0], Some((GROUP, AREA - 512))), device(IDS[1], None));
    let scan = scanned(&[&a, &b]);
    assert!(scan.findings().next().is_none(), "{:?}", kinds(&scan));
    assert_eq!(scan.group("vg").unwrap().members, [Some(0), Some(1)]);
}

#[test]
fn the_highest_number_counts_and_the_others_are_reported() {
    let text = newer(10);
    let (a, b) = (device(IDS[0], Some((GROUP, 512))), device(IDS[1], Some((&text, 512))));
    let scan = scanned(&[&a, &b]);
    assert_eq!(scan.group("vg").unwrap().group().seqno, 10);
    assert_eq!(kinds(&scan), ["stale-area"]);
    assert!(scan.findings().next().unwrap().to_string().contains("byte 4096 of device /dev/a"));
}

#[test]
fn different_texts_with_one_number_forbid_changes() {
    let text = GROUP.replacen("owner=bar", "owner=baz", 1);
    let (a, b) = (device(IDS[0], Some((GROUP, 512))), device(IDS[1], Some((&text, 512))));
    let scan = scanned(&[&a, &b]);
    assert_eq!(kinds(&scan), ["inconsistent-areas"]);
    assert_eq!(scan.group("vg").unwrap().refusals().count(), 1);
    assert_eq!(scan.group("vg").unwrap().text.raw, GROUP.as_bytes());
}

#[test]
fn a_damaged_copy_never_hides_a_good_one() {
    for (at, kind) in [(4097, "damaged-header"), (4096 + 600, "damaged-text")] {
        let text = newer(10);
        let (a, b) = (device(IDS[0], Some((GROUP, 512))), device(IDS[1], Some((&text, 512))));
        b.write_at(at, &[0xff]).unwrap();
        let scan = scanned(&[&a, &b]);
        let group = scan.group("vg").unwrap();
        assert_eq!(group.group().seqno, 9);
        assert_eq!(group.members, [Some(0), Some(1)]);
        assert_eq!(kinds(&scan), [kind]);
    }
}

#[test]
fn what_was_not_committed_does_not_count() {
    let (a, b) = (device(IDS[0], Some((GROUP, 512))), device(IDS[1], Some((GROUP, 512))));
    let location = put(&a, &newer(10), 65_536);
    change(&a, |header| header.precommitted = location);
    let scan = scanned(&[&a, &b]);
    assert_eq!(scan.group("vg").unwrap().group().seqno, 9);
    assert_eq!(kinds(&scan), ["precommitted"]);
}

/// A device on which somebody commits twice between the reading of a header and of its text.
#[derive(Debug)]
struct Busy(MemoryBlock, std::sync::atomic::AtomicBool);

impl BlockIo for Busy {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, buf)?;
        let header = offset == START && buf.len() == 4096;
        if header && !self.1.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let location = put(&self.0, &newer(11), 512);
            change(&self.0, |header| header.committed = location);
        }
        Ok(())
    }

    fn write_at(&self, _: u64, _: &[u8]) -> std::io::Result<()> {
        panic!("a scan writes nothing")
    }

    fn flush(&self) -> std::io::Result<()> {
        panic!("a scan flushes nothing")
    }

    fn size(&self) -> std::io::Result<open_local_core::Bytes> {
        self.0.size()
    }
}

#[test]
fn a_text_that_others_overwrite_is_read_again() {
    let busy = Busy(device(IDS[0], Some((GROUP, 512))), false.into());
    let b = device(IDS[1], Some((GROUP, 512)));
    let devices = [("/dev/a", &busy as &dyn BlockIo), ("/dev/b", &b)];
    let devices = devices.map(|(path, device)| (Path::new(path), device));
    let scan = super::scan(devices, &Options::default());
    assert_eq!(scan.group("vg").unwrap().group().seqno, 11);
    assert_eq!(kinds(&scan), ["stale-area"]);
}

#[test]
fn an_area_set_aside_counts_only_where_there_is_no_other() {
    let text = newer(10);
    let (a, b) = (device(IDS[0], Some((&text, 512))), device(IDS[1], Some((GROUP, 512))));
    change(&a, |header| header.committed.flags = FLAG_IGNORED);
    let scan = scanned(&[&a, &b]);
    assert_eq!(scan.group("vg").unwrap().group().seqno, 9);
    change(&b, |header| header.committed.flags = FLAG_IGNORED);
    let scan = scanned(&[&a, &b]);
    assert_eq!(scan.group("vg").unwrap().group().seqno, 10);
}

#[test]
fn missing_doubled_and_stray_devices_are_reported() {
    let (a, b) = (device(IDS[0], Some((GROUP, 512))), device(IDS[1], Some((GROUP, 512))));
    let partial = scanned(&[&a]);
    assert!(partial.group("vg").unwrap().is_partial());
    assert_eq!(kinds(&partial), ["absent-physical"]);
    let doubled = scanned(&[&a, &b, &b]);
    assert_eq!(kinds(&doubled), ["duplicate-physical"; 3]);
    assert_eq!(doubled.group("vg").unwrap().refusals().count(), 1);
    let stray = device("aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa", Some((GROUP, 512)));
    let scan = scanned(&[&a, &b, &stray]);
    assert_eq!(kinds(&scan), ["not-in-group"]);
    assert_eq!(scan.free_devices().count(), 1);
    let unclaimed = scanned(&[&device(IDS[0], None)]);
    assert_eq!(kinds(&unclaimed), ["not-in-group"]);
}

#[test]
fn groups_of_other_hosts_and_of_one_name_are_told() {
    let foreign = GROUP.replacen("seqno = 9", "seqno = 9 system_id = \"elsewhere\"", 1);
    let a = device(IDS[0], Some((&foreign, 512)));
    let b = device(IDS[1], None);
    let scan = scanned(&[&a, &b]);
    assert!(scan.group("vg").unwrap().is_foreign());
    let here = Options::default().with_system_id("elsewhere");
    let paths = ["/dev/a", "/dev/b"].map(Path::new);
    let devices = [&a, &b].map(|device| device as &dyn BlockIo);
    let scan = super::scan(paths.into_iter().zip(devices), &here);
    assert!(!scan.group("vg").unwrap().is_foreign());
    let other = GROUP.replacen("id = \"rx5", "id = \"rx6", 1);
    let a = device(IDS[0], Some((GROUP, 512)));
    let c = device("aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa", Some((&other, 512)));
    let found = kinds(&scanned(&[&a, &b, &c]));
    assert_eq!(found.iter().filter(|kind| **kind == "duplicate-group").count(), 2);
}

#[test]
fn tiny_and_empty_devices_are_no_physical_volumes() {
    for size in [0, 1, 511, 512, 2047, 4095] {
        let scan = scanned(&[&MemoryBlock::new(vec![0; size])]);
        assert!(scan.findings().next().is_none());
        assert!(scan.devices[0].label.is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bytes changed anywhere in the first blocks, or the end cut off: an answer, and never a
    /// text that was not written.
    #[test]
    fn any_damage_gives_an_answer(
        at in proptest::collection::vec(0usize..12_288, 0..8), byte: u8, cut in 0usize..2 << 20,
    ) {
        let mut content = device(IDS[0], Some((GROUP, 512))).content();
        for at in at {
            content[at] = byte;
        }
        content.truncate(cut);
        let scan = scanned(&[&MemoryBlock::new(content)]);
        for group in &scan.groups {
            prop_assert_eq!(&group.text.raw, GROUP.as_bytes());
        }
    }
}
