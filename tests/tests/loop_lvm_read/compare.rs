//! Our reading beside that of the tools.

use std::fs;

use open_local_core::Bytes;
use open_local_core::host::SystemDevices;
use open_local_lvm::format::group::Metadata;
use open_local_lvm::format::text::{Style, parse, print};
use open_local_lvm::report::{
    Report, SizeFormat, SizeUnit, logical_volumes, physical_volumes, segments, volume_groups,
};
use open_local_lvm::scan::{Options, Scan, open_and_scan};
use open_local_tests::LvmTools;

pub(crate) const MIB: u64 = 1 << 20;

/// Sizes of devices in MiB, with blocks of 512 bytes.
pub(crate) fn mib(sizes: &[u64]) -> Vec<(Bytes, Bytes)> {
    sizes.iter().map(|size| (Bytes::new(size * MIB), Bytes::new(512))).collect()
}

pub(crate) fn scan(tools: &LvmTools) -> Scan {
    open_and_scan(&SystemDevices, tools.devices(), &Options::default())
}

/// Each value of each column of ours is what the tools print, in bytes and readable.
pub(crate) fn reports_agree(tools: &LvmTools) -> usize {
    let scan = scan(tools);
    let mut compared = 0;
    let reports: [(&str, &[&str], Report); 4] = [
        ("pvs", &[], physical_volumes(&scan)),
        ("vgs", &[], volume_groups(&scan)),
        ("lvs", &["-a"], logical_volumes(&scan)),
        ("lvs", &["-a", "--segments"], segments(&scan)),
    ];
    let bytes = SizeFormat { unit: SizeUnit::Bytes, suffix: true };
    for (format, units) in [(bytes, "b"), (SizeFormat::READABLE, "r")] {
        for (command, more, report) in &reports {
            let Some(first) = report.rows.first() else {
                continue;
            };
            let columns: Vec<&str> = first.cells().map(|(column, _)| column).collect();
            let theirs = tools.report(
                command,
                &columns,
                &[*more, &["--units", units, "--foreign"]].concat(),
            );
            assert_eq!(report.rows.len(), theirs.len(), "rows of {command} {more:?}: {theirs:#?}");
            for (own, theirs) in report.rows.iter().zip(theirs) {
                for (column, cell) in own.cells() {
                    let wanted = theirs[column].as_str().unwrap();
                    let name = own.cells().next().unwrap().1;
                    assert_eq!(cell.text(format), wanted, "{command}: {column} of {name:?}");
                    compared += 1;
                }
            }
        }
    }
    compared
}

/// The text on the devices reads and prints to the same tree, key by key, and so does the backup
/// file of the tools.
pub(crate) fn texts_agree(tools: &LvmTools) {
    for scanned in &scan(tools).groups {
        let name = &scanned.group().name;
        let tree = parse(&scanned.text.raw).unwrap();
        let typed = scanned.metadata().to_tree();
        assert_eq!(typed.section(name), tree.section(name), "order or content of {name} differs");
        let printed = print(&typed, Style::Raw).unwrap();
        assert_eq!(&Metadata::parse(&printed).unwrap(), scanned.metadata());
        let file = tools.join("compare.vg");
        tools.run("vgcfgbackup", &["-qq", "-f", &file.display().to_string(), name]);
        let backup = Metadata::parse(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(&backup.group, scanned.group());
    }
}

/// The tools take what we print and show the same as before.
pub(crate) fn our_text_is_accepted(tools: &LvmTools) {
    let before = scan(tools);
    for scanned in &before.groups {
        let name = &scanned.group().name;
        let file = tools.join("ours.vg");
        let text = print(&scanned.metadata().to_backup_tree(), Style::Indented).unwrap();
        fs::write(&file, text).unwrap();
        tools.run("vgcfgrestore", &["-qq", "--force", "-f", &file.display().to_string(), name]);
        tools.run("vgck", &[name]);
    }
    for (before, after) in before.groups.iter().zip(scan(tools).groups) {
        let mut expected = before.group().clone();
        expected.seqno = after.group().seqno;
        assert_eq!(&expected, after.group());
        assert!(after.group().seqno > before.group().seqno);
    }
}

/// All of the above; a healthy group has no findings but those named.
pub(crate) fn all_agrees(tools: &LvmTools, findings: &[&str]) {
    let found: Vec<_> = scan(tools).findings().map(|f| f.kind.as_str()).collect();
    assert_eq!(found, findings, "{:#?}", scan(tools).findings().collect::<Vec<_>>());
    let compared = reports_agree(tools);
    assert!(compared > 50, "{compared}");
    texts_agree(tools);
    our_text_is_accepted(tools);
    reports_agree(tools);
}
