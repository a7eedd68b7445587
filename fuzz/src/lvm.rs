//! What LVM2 keeps on devices.

use std::sync::Arc;

use open_local_lvm::cli::json;
use open_local_lvm::cli::report::groups;
use open_local_lvm::exec::LvmConf;
use open_local_lvm::format::check::{MAX_FINDINGS, check};
use open_local_lvm::format::crc::crc;
use open_local_lvm::format::group::Metadata;
use open_local_lvm::format::label::{Label as DiskLabel, LabelScan, SECTOR};
use open_local_lvm::format::mda::MdaHeader;
use open_local_lvm::format::text::{Style, parse, print};
use open_local_lvm::pool::tags::{Label, escape, unescape};
use open_local_lvm::report::{
    SizeFormat, logical_volumes, physical_volumes, segments, volume_groups,
};
use open_local_lvm::scan::{AreaText, Scan, ScannedGroup};

/// The first sector of the input, as it is and with the checksum made good over `from..`, stored
/// at `at`: else no input of a fuzzer would come far.
fn sectors(data: &[u8], at: usize, from: usize) -> [[u8; SECTOR]; 2] {
    let mut sector = [0; SECTOR];
    let length = data.len().min(SECTOR);
    sector[..length].copy_from_slice(&data[..length]);
    let mut good = sector;
    let checksum = crc(&good[from..]).to_le_bytes();
    good[at..at + 4].copy_from_slice(&checksum);
    [sector, good]
}

/// Any configuration gives an answer, the same one each time.
pub(crate) fn conf(data: &[u8]) {
    let conf = LvmConf::parse(data);
    assert_eq!(conf, LvmConf::parse(data));
    let _ = (conf.text("global/locking_dir"), conf.number("backup/retain_min"));
    let _ = conf.flag("backup/archive");
}

/// Any output of the tools gives groups or an error, the same each time.
pub(crate) fn cli(data: &[u8]) {
    let Ok(sections) = json::parse(data) else {
        return;
    };
    assert_eq!(json::parse(data).unwrap(), sections);
    if let Ok(groups) = groups(&sections) {
        assert!(groups.len() <= sections.len());
    }
}

/// Any tags of a volume, one a line, give a label or none; a label reads what it writes.
pub(crate) fn tags(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let tags: Vec<&str> = text.lines().collect();
    if let Some(label) = Label::read(&tags) {
        assert_eq!(Label::read(&label.write()), Some(label));
    }
    let _ = unescape(&text);
    assert_eq!(unescape(&escape(&text)).as_deref(), Some(&*text));
}

pub(crate) fn label(data: &[u8]) {
    for sector in sectors(data, 16, 20) {
        for number in 0..4 {
            if let Ok(Some(label)) = DiskLabel::parse(&sector, number) {
                let again = label.encode().expect("a label that was read has a form");
                assert_eq!(DiskLabel::parse(&again, number).unwrap(), Some(label));
            }
        }
    }
    let scan = LabelScan::of(data);
    assert!(scan.damaged.len() + scan.ignored.len() <= 4);
}

pub(crate) fn mda(data: &[u8]) {
    for sector in sectors(data, 0, 4) {
        let start = u64::from_le_bytes(sector[24..32].try_into().unwrap());
        let Ok(header) = MdaHeader::parse(&sector, start) else {
            continue;
        };
        assert_eq!(MdaHeader::parse(&header.encode(), start).unwrap(), header);
        for (size, alignment) in [(1, 512), (4096, 4096), (header.size / 2, 4096)] {
            let Ok(place) = header.next_placement(size, alignment) else {
                continue;
            };
            assert_eq!(place.parts().map(|part| part.end - part.start).sum::<u64>(), size);
            assert!(place.parts().all(|part| part.start >= 512 && part.end <= header.size));
            if let Ok(current) = header.committed.placement(header.size) {
                for (a, b) in place.parts().flat_map(|a| current.parts().map(move |b| (a, b))) {
                    assert!(a.end <= b.start || b.end <= a.start, "{a:?} lies on {b:?}");
                }
            }
        }
    }
}

pub(crate) fn text(data: &[u8]) {
    let Ok(tree) = parse(data) else {
        return;
    };
    for style in [Style::Raw, Style::Indented] {
        let printed = print(&tree, style).expect("a tree that was read has a form");
        assert_eq!(parse(&printed).unwrap(), tree);
    }
    assert!(tree.duplicates().len() <= 100);
}

pub(crate) fn group(data: &[u8]) {
    let Ok(metadata) = Metadata::parse(data) else {
        return;
    };
    assert_eq!(Metadata::from_tree(metadata.to_tree()).unwrap(), metadata);
    assert_eq!(Metadata::from_tree(metadata.to_backup_tree()).unwrap(), metadata);
    let findings = check(&metadata.group);
    assert!(findings.len() <= MAX_FINDINGS);
    let members = vec![None; metadata.group.physical_volumes.len()];
    let text = AreaText { raw: Vec::new(), checksum: 0, metadata, duplicates: Vec::new() };
    let mut scan = Scan::default();
    scan.groups.push(ScannedGroup { text: Arc::new(text), members, findings });
    for report in
        [physical_volumes(&scan), volume_groups(&scan), logical_volumes(&scan), segments(&scan)]
    {
        let cells = report.rows.iter().flat_map(|row| row.cells());
        for (_, cell) in cells {
            let _ = cell.text(SizeFormat::READABLE);
        }
    }
}
