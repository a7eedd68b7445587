//! All columns of all reports beside those of the tools.

use open_local_core::host::SystemDevices;
use open_local_lvm::report::{
    Report, SizeFormat, SizeUnit, logical_volumes, physical_volumes, segments, volume_groups,
};
use open_local_lvm::scan::{Options, Scan, open_and_scan};
use open_local_tests::LvmTools;

/// The devices as somebody sees them who was not there before.
pub(crate) fn scan(tools: &LvmTools) -> Scan {
    open_and_scan(&SystemDevices, tools.devices(), &Options::default())
}

/// Compares the four reports, which the tools give in one; answers how many cells were equal.
pub(crate) fn reports_agree(tools: &LvmTools, group: &str, what: &str) -> usize {
    let scan = scan(tools);
    assert_eq!(scan.findings().count(), 0, "{what}: {:?}", scan.findings().collect::<Vec<_>>());
    let mut reports =
        [physical_volumes(&scan), volume_groups(&scan), logical_volumes(&scan), segments(&scan)];
    // The tools are asked about the group; physical volumes that left it are in none.
    let format = SizeFormat { unit: SizeUnit::Bytes, suffix: true };
    for report in &mut reports {
        report.rows.retain(|row| row.text("vg_name", format).as_deref() == Some(group));
    }
    let mut arguments: Vec<String> =
        ["-a", "--reportformat", "json", "--units", "b"].map(str::to_owned).to_vec();
    // A report without rows has no columns to ask for.
    let asked: Vec<&Report> = reports.iter().filter(|report| !report.rows.is_empty()).collect();
    for report in &asked {
        let columns: Vec<&str> = report.rows[0].cells().map(|(column, _)| column).collect();
        arguments.extend(["--configreport", report.name, "-o"].map(str::to_owned));
        arguments.push(columns.join(","));
        if report.name == "seg" {
            // As `lvs --segments` has them; this command goes by UUID.
            arguments.extend(["-O", "vg_name,lv_name,seg_start"].map(str::to_owned));
        }
    }
    arguments.push(group.to_owned());
    let text = tools.run("fullreport", &arguments);
    let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
    asked.iter().map(|report| rows_agree(report, &theirs, what)).sum()
}

fn rows_agree(report: &Report, theirs: &serde_json::Value, what: &str) -> usize {
    let name = report.name;
    let format = SizeFormat { unit: SizeUnit::Bytes, suffix: true };
    let theirs = theirs["report"][0][name].as_array().unwrap();
    assert_eq!(report.rows.len(), theirs.len(), "{what}: rows of {name}: {theirs:#?}");
    let mut compared = 0;
    for (own, theirs) in report.rows.iter().zip(theirs) {
        for (column, cell) in own.cells() {
            let wanted = theirs[column].as_str().unwrap();
            assert_eq!(cell.text(format), wanted, "{what}: {column} of {theirs:#?}");
            compared += 1;
        }
    }
    compared
}
