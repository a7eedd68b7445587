//! LVM2 groups on devices.

use open_local_lvm::format::text::{Item, Section, Value as TextValue};
use open_local_lvm::report::{Report, SizeFormat};
use open_local_lvm::scan::{Finding, Scan, ScannedDevice, ScannedGroup};
use serde_json::{Map, Value, json};

use super::Grid;

/// `{"severity", "kind", "object", "message"}`.
fn finding_json(finding: &Finding) -> Value {
    json!({
        "severity": finding.severity().as_str(),
        "kind": finding.kind.as_str(),
        "object": finding.object.to_string(),
        "message": finding.message,
    })
}

/// `{"findings": [...]}`.
#[must_use]
pub fn findings_json(scan: &Scan) -> Value {
    json!({ "findings": scan.findings().map(finding_json).collect::<Vec<_>>() })
}

/// The same for people.
#[must_use]
pub fn findings_text(scan: &Scan) -> String {
    let mut grid = Grid::new(&["SEVERITY", "KIND", "OBJECT", "MESSAGE"], "no findings");
    for finding in scan.findings() {
        grid.row([
            finding.severity().to_string(),
            finding.kind.to_string(),
            finding.object.to_string(),
            finding.message.clone(),
        ]);
    }
    grid.render()
}

fn group_of(scan: &Scan, index: usize) -> Option<&ScannedGroup> {
    scan.groups.iter().find(|group| group.members.contains(&Some(index)))
}

fn device_json(scan: &Scan, index: usize, device: &ScannedDevice) -> Value {
    let areas = device.areas.iter().map(|area| {
        json!({
            "start": area.place.offset,
            "size": area.place.size,
            "ignored": area.is_ignored(),
            "seqno": area.text.as_ref().map(|text| text.metadata.group.seqno),
            "free": area.free(),
        })
    });
    json!({
        "path": device.name(),
        "size": device.size.get(),
        "uuid": device.id().map(|id| id.to_string()),
        "group": group_of(scan, index).map(|group| group.group().name.clone()),
        "areas": areas.collect::<Vec<_>>(),
    })
}

fn group_json(group: &ScannedGroup) -> Value {
    let view = group.group();
    json!({
        "name": view.name,
        "uuid": view.id.to_string(),
        "seqno": view.seqno,
        "physical_volumes": view.physical_volumes.len(),
        "volumes": view.logical_volumes.len(),
        "partial": group.is_partial(),
        "changeable": group.refusals().next().is_none(),
    })
}

/// `{"devices": [...], "groups": [...], "findings": [...]}`.
#[must_use]
pub fn scan_json(scan: &Scan) -> Value {
    let devices = scan.devices.iter().enumerate();
    let devices = devices.map(|(index, device)| device_json(scan, index, device));
    json!({
        "devices": devices.collect::<Vec<_>>(),
        "groups": scan.groups.iter().map(group_json).collect::<Vec<_>>(),
        "findings": scan.findings().map(finding_json).collect::<Vec<_>>(),
    })
}

/// The same for people.
#[must_use]
pub fn scan_text(scan: &Scan) -> String {
    let mut devices = Grid::new(&["DEVICE", "PV UUID", "GROUP", "AREAS>"], "no devices");
    for (index, device) in scan.devices.iter().enumerate() {
        let group = group_of(scan, index).map(|group| group.group().name.clone());
        let uuid = device.id().map(|id| id.to_string());
        devices.row([
            device.name(),
            uuid.unwrap_or_else(|| "no physical volume".to_owned()),
            group.unwrap_or_default(),
            device.areas.len().to_string(),
        ]);
    }
    let mut groups = Grid::new(&["GROUP", "UUID", "SEQNO>", "PVS>", "VOLUMES>"], "no groups");
    for group in &scan.groups {
        let view = group.group();
        groups.row([
            view.name.clone(),
            view.id.to_string(),
            view.seqno.to_string(),
            view.physical_volumes.len().to_string(),
            view.logical_volumes.len().to_string(),
        ]);
    }
    let mut parts = vec![devices.render(), groups.render()];
    if scan.findings().next().is_some() {
        parts.push(findings_text(scan));
    }
    parts.join("\n\n")
}

/// The shape of the tools' own JSON: `{"report": [{"pv": [{column: text}]}]}`.
#[must_use]
pub fn report_json(report: &Report, columns: &[String], format: SizeFormat) -> Value {
    let rows = report.rows.iter().map(|row| {
        let cells = columns.iter().map(|column| {
            let text = row.text(column, format).unwrap_or_default();
            (column.clone(), Value::String(text))
        });
        Value::Object(cells.collect::<Map<_, _>>())
    });
    json!({ "report": [{ report.name: rows.collect::<Vec<_>>() }] })
}

/// The same for people.
#[must_use]
pub fn report_text(report: &Report, columns: &[String], format: SizeFormat) -> String {
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut grid = Grid::new(&names, "nothing to report");
    for row in &report.rows {
        let cells = columns.iter().map(|column| row.text(column, format).unwrap_or_default());
        grid.cells(cells.collect());
    }
    grid.render()
}

fn value_json(value: &TextValue) -> Value {
    match value {
        TextValue::Integer(number) => json!(number),
        TextValue::Number(number) => json!(number.as_str()),
        TextValue::Text(text) => json!(text),
        TextValue::Bytes(bytes) => json!(String::from_utf8_lossy(bytes.as_bytes())),
        TextValue::List(items) => Value::Array(items.iter().map(value_json).collect()),
    }
}

/// A tree as nested objects; of a key that stands twice the last.
#[must_use]
pub fn tree_json(tree: &Section) -> Value {
    let entries = tree.entries().iter().map(|entry| {
        let value = match &entry.item {
            Item::Value(value) => value_json(value),
            Item::Section(section) => tree_json(section),
        };
        (entry.key.to_string(), value)
    });
    Value::Object(entries.collect())
}
