//! Answers as tables and JSON.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use open_local_core::Bytes;
use open_local_csi::proto;
use open_local_csi::proto::volume_content_source::Type as Source;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::view::{Facts, Grid, size, time};

/// A size as people read it; 0 is unknown to the interface.
fn bytes(size: i64) -> String {
    match u64::try_from(size) {
        Ok(0) => "unknown".to_owned(),
        Ok(size) => size::human(Bytes::new(size)),
        Err(_) => format!("{size} bytes"),
    }
}

/// A figure of room, of which 0 is a figure.
fn room(size: i64) -> String {
    u64::try_from(size).map_or(format!("{size} bytes"), |size| size::human(Bytes::new(size)))
}

fn words(pairs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(" ")
}

fn source(volume: &proto::Volume) -> (Value, String) {
    match volume.content_source.as_ref().and_then(|source| source.r#type.as_ref()) {
        None => (Value::Null, String::new()),
        Some(Source::Snapshot(s)) => {
            (json!({ "snapshot": s.snapshot_id }), format!("snapshot {}", s.snapshot_id))
        }
        Some(Source::Volume(v)) => {
            (json!({ "volume": v.volume_id }), format!("volume {}", v.volume_id))
        }
    }
}

fn volume_json(volume: &proto::Volume) -> Value {
    let places: Vec<&BTreeMap<String, String>> =
        volume.accessible_topology.iter().map(|place| &place.segments).collect();
    json!({
        "id": volume.volume_id,
        "size": volume.capacity_bytes,
        "context": volume.volume_context,
        "source": source(volume).0,
        "topology": places,
    })
}

fn condition_json(condition: Option<&proto::VolumeCondition>) -> Value {
    condition.map_or(Value::Null, |c| json!({ "abnormal": c.abnormal, "message": c.message }))
}

fn condition_words(condition: Option<&proto::VolumeCondition>) -> String {
    match condition {
        None => String::new(),
        Some(c) if c.abnormal => format!("abnormal: {}", c.message),
        Some(c) if c.message.is_empty() => "normal".to_owned(),
        Some(c) => format!("normal: {}", c.message),
    }
}

/// One volume.
pub(super) fn volume(volume: &proto::Volume, condition: Option<&proto::VolumeCondition>) -> Answer {
    let places: Vec<String> =
        volume.accessible_topology.iter().map(|place| words(&place.segments)).collect();
    let told = Some(source(volume).1).filter(|text| !text.is_empty());
    let state = Some(condition_words(condition)).filter(|text| !text.is_empty());
    let facts = Facts::new()
        .with("volume", &volume.volume_id)
        .with("size", bytes(volume.capacity_bytes))
        .with_some("source", told)
        .with("topology", places.join("; "))
        .with_some("condition", state);
    let facts = volume
        .volume_context
        .iter()
        .fold(facts, |facts, (key, value)| facts.with("context", format!("{key}={value}")));
    let mut object = json!({ "volume": volume_json(volume) });
    if let (Some(object), Some(_)) = (object.as_object_mut(), condition) {
        object.insert("condition".into(), condition_json(condition));
    }
    Answer::new(object, facts.render())
}

/// A list of volumes.
pub(super) fn volumes(list: &proto::ListVolumesResponse) -> Answer {
    let mut grid = Grid::new(&["VOLUME", "SIZE>", "SOURCE", "CONDITION"], "there is no volume");
    let mut objects = Vec::new();
    for entry in &list.entries {
        let Some(volume) = &entry.volume else { continue };
        let condition = entry.status.as_ref().and_then(|s| s.volume_condition.as_ref());
        grid.row([
            volume.volume_id.clone(),
            bytes(volume.capacity_bytes),
            source(volume).1,
            condition_words(condition),
        ]);
        let mut object = volume_json(volume);
        if let Some(object) = object.as_object_mut() {
            object.insert("condition".into(), condition_json(condition));
        }
        objects.push(object);
    }
    let text = more(grid.render(), &list.next_token);
    Answer::new(json!({ "volumes": objects, "next_token": list.next_token }), text)
}

fn more(text: String, token: &str) -> String {
    if token.is_empty() { text } else { format!("{text}\nthere are more: --token {token}") }
}

fn moment(stamp: Option<&prost_types::Timestamp>) -> Option<String> {
    let seconds = u64::try_from(stamp?.seconds).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).map(time::rfc3339)
}

fn snapshot_json(snapshot: &proto::Snapshot) -> Value {
    json!({
        "id": snapshot.snapshot_id,
        "volume": snapshot.source_volume_id,
        "size": snapshot.size_bytes,
        "created": moment(snapshot.creation_time.as_ref()),
        "ready": snapshot.ready_to_use,
        "group": Some(&snapshot.group_snapshot_id).filter(|id| !id.is_empty()),
    })
}

const SNAPSHOTS: [&str; 6] = ["SNAPSHOT", "VOLUME", "SIZE>", "CREATED", "READY", "GROUP"];

fn snapshot_row(snapshot: &proto::Snapshot) -> [String; 6] {
    [
        snapshot.snapshot_id.clone(),
        snapshot.source_volume_id.clone(),
        bytes(snapshot.size_bytes),
        moment(snapshot.creation_time.as_ref()).unwrap_or_default(),
        if snapshot.ready_to_use { "yes" } else { "no" }.to_owned(),
        snapshot.group_snapshot_id.clone(),
    ]
}

/// One snapshot.
pub(super) fn snapshot(snapshot: &proto::Snapshot) -> Answer {
    let mut grid = Grid::new(&SNAPSHOTS, "");
    grid.row(snapshot_row(snapshot));
    Answer::new(json!({ "snapshot": snapshot_json(snapshot) }), grid.render())
}

/// A list of snapshots.
pub(super) fn snapshots(list: &proto::ListSnapshotsResponse) -> Answer {
    let mut grid = Grid::new(&SNAPSHOTS, "there is no snapshot");
    let all: Vec<&proto::Snapshot> =
        list.entries.iter().filter_map(|entry| entry.snapshot.as_ref()).collect();
    all.iter().for_each(|snapshot| grid.row(snapshot_row(snapshot)));
    let objects: Vec<Value> = all.into_iter().map(snapshot_json).collect();
    let text = more(grid.render(), &list.next_token);
    Answer::new(json!({ "snapshots": objects, "next_token": list.next_token }), text)
}

/// A group snapshot.
pub(super) fn group(group: &proto::VolumeGroupSnapshot) -> Answer {
    let mut grid = Grid::new(&SNAPSHOTS, "it has no members");
    group.snapshots.iter().for_each(|snapshot| grid.row(snapshot_row(snapshot)));
    let members: Vec<Value> = group.snapshots.iter().map(snapshot_json).collect();
    let object = json!({ "group_snapshot": {
        "id": group.group_snapshot_id,
        "created": moment(group.creation_time.as_ref()),
        "ready": group.ready_to_use,
        "snapshots": members,
    }});
    Answer::new(object, format!("group snapshot {}\n{}", group.group_snapshot_id, grid.render()))
}

/// Room.
pub(super) fn capacity(answer: &proto::GetCapacityResponse) -> Answer {
    let facts = Facts::new()
        .with("available", room(answer.available_capacity))
        .with_some("largest volume", answer.maximum_volume_size.map(room))
        .with_some("smallest volume", answer.minimum_volume_size.map(room));
    let object = json!({
        "available": answer.available_capacity,
        "maximum_volume_size": answer.maximum_volume_size,
        "minimum_volume_size": answer.minimum_volume_size,
    });
    Answer::new(object, facts.render())
}

/// Figures of a volume.
pub(super) fn stats(answer: &proto::NodeGetVolumeStatsResponse) -> Answer {
    use proto::volume_usage::Unit;
    let mut grid = Grid::new(&["UNIT", "TOTAL>", "USED>", "AVAILABLE>"], "there are no figures");
    let mut objects = Vec::new();
    for usage in &answer.usage {
        let unit = Unit::try_from(usage.unit).unwrap_or(Unit::Unknown);
        let shown = |n: i64| if unit == Unit::Bytes { room(n) } else { n.to_string() };
        let word = unit.as_str_name().to_lowercase();
        objects.push(json!({
            "unit": word,
            "total": usage.total,
            "used": usage.used,
            "available": usage.available,
        }));
        grid.row([word, shown(usage.total), shown(usage.used), shown(usage.available)]);
    }
    let condition = answer.volume_condition.as_ref();
    let mut text = grid.render();
    if condition.is_some() {
        text.push_str(&format!("\ncondition: {}", condition_words(condition)));
    }
    Answer::new(json!({ "usage": objects, "condition": condition_json(condition) }), text)
}

/// The node.
pub(super) fn node(answer: &proto::NodeGetInfoResponse) -> Answer {
    let segments = answer.accessible_topology.as_ref().map(|place| &place.segments);
    let most = answer.max_volumes_per_node;
    let facts = Facts::new()
        .with("node", &answer.node_id)
        .with_some("topology", segments.map(words))
        .with("max volumes", if most == 0 { "no limit".to_owned() } else { most.to_string() });
    let object = json!({
        "node": answer.node_id,
        "topology": segments,
        "max_volumes": answer.max_volumes_per_node,
    });
    Answer::new(object, facts.render())
}

/// The plugin.
pub(super) fn info(answer: &proto::GetPluginInfoResponse) -> Answer {
    let facts = Facts::new().with("driver", &answer.name).with("version", &answer.vendor_version);
    let object = json!({
        "name": answer.name,
        "version": answer.vendor_version,
        "manifest": answer.manifest,
    });
    Answer::new(object, facts.render())
}

/// What each service says it can do; `None` for one that is not served.
pub(super) fn capabilities(all: &[(&'static str, Option<Vec<&'static str>>)]) -> Answer {
    let mut grid = Grid::new(&["SERVICE", "CAPABILITY"], "");
    let mut object = serde_json::Map::new();
    for (service, words) in all {
        object.insert((*service).to_owned(), json!(words));
        match words {
            None => grid.row([(*service).to_owned(), "(not served)".to_owned()]),
            Some(words) => {
                for word in words {
                    grid.row([(*service).to_owned(), (*word).to_owned()]);
                }
            }
        }
    }
    Answer::new(json!({ "capabilities": object }), grid.render())
}
