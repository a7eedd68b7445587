//! What is there after a change, as text without what differs from run to run.

use std::sync::Arc;

use open_local_core::conformance::Fixture;
use open_local_core::host::Unchecked;
use open_local_core::{
    Attachment, Backend, ErrorKind, FormatToken, Pool, PoolExt, PublishSpec, Source,
};
use open_local_tests::Direct;

use crate::rack::Rack;

/// Most runs of equal bytes that are shown of a volume.
const MOST_RUNS: usize = 8;
const PIECE: usize = 1 << 20;
/// Tags whose values are drawn or read off a clock.
const DRAWN: [&str; 3] = ["open-local/made=", "open-local/token=", "open-local/of-uuid="];

/// Fills a published volume and flushes it.
pub(crate) fn fill(at: &Attachment, byte: u8) {
    let device = Direct::open(&at.device).unwrap();
    let size = usize::try_from(sectors(at) * 512).unwrap();
    for start in (0..size).step_by(PIECE) {
        device.fill(start as u64, PIECE.min(size - start), byte).unwrap();
    }
    device.flush().unwrap();
}

fn sectors(at: &Attachment) -> u64 {
    let text = std::fs::read_to_string(format!("/sys/dev/block/{}/size", at.number)).unwrap();
    text.trim().parse().unwrap()
}

/// The content of a published object as runs of equal bytes.
fn runs(at: &Attachment) -> String {
    let device = Direct::open(&at.device).unwrap();
    let size = usize::try_from(sectors(at) * 512).unwrap();
    let mut runs: Vec<(u8, usize)> = Vec::new();
    for start in (0..size).step_by(PIECE) {
        for run in
            device.read(start as u64, PIECE.min(size - start)).unwrap().chunk_by(|a, b| a == b)
        {
            match runs.last_mut() {
                Some((byte, length)) if *byte == run[0] => *length += run.len(),
                _ => runs.push((run[0], run.len())),
            }
        }
    }
    let shown = runs.iter().take(MOST_RUNS).map(|(byte, length)| format!("{length}x{byte}"));
    shown.collect::<Vec<_>>().join(" ")
}

/// The content of an object; of one that is not published, of its device for the moment.
fn content(pool: &dyn Pool, source: &Source, at: Option<&Attachment>) -> String {
    if let Some(at) = at {
        return runs(at);
    }
    let mut spec = PublishSpec::new(source.clone());
    if matches!(source, Source::Snapshot(_)) {
        spec = spec.read_only();
    }
    match pool.publish(&spec) {
        Ok(at) => {
            let text = runs(at.get());
            let _ = pool.unpublish(source).unwrap();
            text
        }
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn tags(all: &[String]) -> String {
    let plain = |tag: &String| match DRAWN.iter().find(|drawn| tag.starts_with(**drawn)) {
        Some(drawn) => (*drawn).to_owned(),
        None => tag.clone(),
    };
    let mut tags: Vec<String> = all.iter().map(plain).collect();
    tags.sort();
    tags.join(",")
}

/// Every object of the pool, every volume of the group with its tags, every device with its table.
pub(crate) fn state(rack: &Rack) -> String {
    let backend = rack.site.backend(Arc::new(Unchecked));
    let pool = match backend.open_pool(&rack.site.id()) {
        Ok(pool) => pool,
        Err(error) if error.kind() == ErrorKind::NotFound => return "no pool".to_owned(),
        Err(error) => panic!("{}", error.report()),
    };
    let mut lines: Vec<String> = rack.tables().iter().map(|table| without_ids(table)).collect();
    let group = rack.group();
    for lv in &group.logical_volumes {
        let flags = if lv.is_visible() { "visible" } else { "hidden" };
        let size = lv.extents();
        // Named after a UUID.
        let name = if lv.name.starts_with("ol.e.") { "ol.e" } else { &lv.name };
        lines.push(format!("lv {name} {size:?} {flags} {}", tags(&lv.tags)));
    }
    for info in pool.volumes().unwrap() {
        let token = pool.require_format_tokens().unwrap().format_token(&info.id);
        let spent = token.is_ok_and(|token| token == FormatToken::Spent);
        let (id, size, phase) = (&info.id, info.size, info.phase);
        let bytes = content(pool.as_ref(), &id.clone().into(), info.attachment.as_ref());
        let published = info.attachment.is_some();
        let health = &info.health;
        lines.push(format!("{id} {size} {phase} {health} {spent} {published}: {bytes}"));
    }
    for info in pool.snapshots().map(|s| s.list_snapshots(None).unwrap()).unwrap_or_default() {
        let (id, size, phase) = (&info.id, info.size, info.phase);
        let bytes = content(pool.as_ref(), &id.clone().into(), info.attachment.as_ref());
        lines.push(format!("{id} of {} {size} {phase} {}: {bytes}", info.volume, info.health));
    }
    let info = pool.info().unwrap();
    lines.push(format!("pool {} {:?}", info.health, info.capacity));
    if let Some(thin) = pool.thin() {
        lines.push(format!("{:?}", thin.thin_policy().unwrap()));
    }
    lines.join("\n")
}

/// A table without the ids of thin volumes: what was made twice has another.
fn without_ids(table: &str) -> String {
    let words: Vec<&str> = table.split(' ').collect();
    match words.iter().position(|word| *word == "thin") {
        Some(at) => words[..words.len().min(at + 2)].join(" "),
        None => table.to_owned(),
    }
}

/// Fails if the tools are not content with the group, or anything leaked or is suspended.
pub(crate) fn is_sound(rack: &Rack, context: &str) {
    if state(rack) == "no pool" {
        assert_eq!(rack.tables(), Vec::<String>::new(), "{context}");
        return;
    }
    rack.lvm("vgck", &["vg"]);
    assert_eq!(rack.leaks().unwrap(), Vec::<String>::new(), "{context}");
}
