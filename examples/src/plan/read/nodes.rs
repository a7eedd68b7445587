//! Nodes: pools, devices and mount points.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use open_local_core::plan::{Exclusive, Name, Node, NodePool, Serves};
use open_local_core::{Bytes, Ratio};

use super::fields::{Fields, Path, Reader, shown};
use crate::plan::limits;
use crate::plan::mistakes::Position;
use crate::plan::model::numbered;
use crate::plan::nearest::nearest;
use crate::plan::source::Value;

/// The nodes that were read, for looking up what pods name.
#[derive(Debug, Default)]
pub(super) struct Known {
    nodes: BTreeMap<Name, Node>,
    pools: BTreeSet<Name>,
    parts: usize,
    /// Whether the name or the number of some nodes could not be read, so that what is not known
    /// may be there.
    unsure: bool,
}

impl Known {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes.into_values().collect()
    }

    pub(super) fn node(&self, name: &Name) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Complains about a node nobody described.
    pub(super) fn check_node(&self, reader: &mut Reader, fields: &Fields<'_>, name: &Name) -> bool {
        let known = self.nodes.contains_key(name.as_str());
        if !known && !self.unsure {
            let names = self.nodes.keys().map(Name::as_str);
            let at = fields.get("node").map_or(fields.at, |value| value.at);
            let message = format!("there is no node {}", shown(name.as_str()));
            let remedy = suggestion(name, names, "describe it under nodes");
            reader.complain(at, &fields.path.field("node"), message, remedy);
        }
        known
    }

    /// Complains about a pool no node has.
    pub(super) fn check_pool(&self, reader: &mut Reader, fields: &Fields<'_>, name: &Name) {
        if !self.pools.contains(name.as_str()) && !self.unsure {
            let at = fields.get("pool").map_or(fields.at, |value| value.at);
            let message = format!("no node has a pool {}", shown(name.as_str()));
            let names = self.pools.iter().map(Name::as_str);
            let remedy = suggestion(name, names, "describe it under a node's pools");
            reader.complain(at, &fields.path.field("pool"), message, remedy);
        }
    }
}

fn suggestion<'n>(
    name: &Name,
    known: impl Iterator<Item = &'n str> + Clone,
    other: &str,
) -> String {
    if let Some(meant) = nearest(name.as_str(), known.clone()) {
        return format!("did you mean {meant}?");
    }
    let few: Vec<&str> = known.clone().take(6).collect();
    match few.len() {
        1..6 => format!("there is {}", few.join(", ")),
        _ => other.to_owned(),
    }
}

/// Reads one entry of `nodes`, which may stand for several.
pub(super) fn read(reader: &mut Reader, value: &Value, path: &Path<'_>, known: &mut Known) {
    let names = ["name", "count", "pools", "devices", "mount-points"];
    let Some(fields) = reader.fields(value, path, &names) else {
        known.unsure = true;
        return;
    };
    let name = reader.own_name(&fields, false);
    let count = count(reader, &fields, known);
    let pools = pools(reader, &fields);
    let devices = exclusives(reader, &fields, "devices");
    let mounts = exclusives(reader, &fields, "mount-points");
    let each = pools.len().saturating_add(devices.len()).saturating_add(mounts.len());
    let (Some(name), Some(count)) = (name, count) else {
        known.unsure = true;
        return;
    };
    known.parts = known.parts.saturating_add(each.saturating_mul(count.unwrap_or(1)));
    if known.parts > limits::PARTS {
        let message = format!(
            "more than {} pools, devices and mount points in all, the most that are read",
            limits::PARTS
        );
        reader.complain(value.at, path, message, "describe a part of the cluster");
        known.unsure = true;
        return;
    }
    known.pools.extend(pools.iter().map(|pool| pool.name().clone()));
    for index in 0..count.unwrap_or(1) {
        let own = numbered(name.as_str(), count, index);
        insert(reader, value.at, path, &own, (&pools, &devices, &mounts), &mut known.nodes);
    }
}

/// How many nodes the entry stands for, inside if it says so; nothing if that can't be.
#[expect(clippy::option_option, reason = "not written is another thing than not readable")]
fn count(reader: &mut Reader, fields: &Fields<'_>, known: &Known) -> Option<Option<usize>> {
    let most = limits::NODES.saturating_sub(known.nodes.len());
    if fields.get("count").is_some() {
        let limit = format!("what is left of the {} nodes that are read", limits::NODES);
        return reader.count(fields, "count", most, &limit).map(Some);
    }
    if most == 0 {
        let message = format!("more than {} nodes, the most that are read", limits::NODES);
        reader.complain(fields.at, fields.path, message, "describe a part of the cluster");
        return None;
    }
    Some(None)
}

type Parts<'p> = (&'p [NodePool], &'p [Exclusive], &'p [Exclusive]);

fn insert(
    reader: &mut Reader,
    at: Position,
    path: &Path<'_>,
    name: &str,
    (pools, devices, mounts): Parts<'_>,
    nodes: &mut BTreeMap<Name, Node>,
) {
    let built = Name::new(name).and_then(|name| {
        let node = Node::builder(name.clone());
        let node = pools.iter().cloned().fold(node, |node, pool| node.pool(pool));
        let node = devices.iter().cloned().fold(node, |node, one| node.device(one));
        let node = mounts.iter().cloned().fold(node, |node, one| node.mount_point(one));
        Ok((name, node.build()?))
    });
    match built {
        Err(error) => reader.complain(
            at,
            path,
            format!("{}: {}", error.subject(), error.message()),
            error.remedy().unwrap_or_default(),
        ),
        Ok((name, node)) => match nodes.entry(name) {
            Entry::Vacant(free) => {
                let _ = free.insert(node);
            }
            Entry::Occupied(taken) => {
                let message = format!("two nodes are called {}", shown(taken.key().as_str()));
                reader.complain(at, path, message, "leave one of them out or rename it");
            }
        },
    }
}

/// Complains about a list that is too long; answers whether it is not.
fn short_enough(
    reader: &mut Reader,
    fields: &Fields<'_>,
    name: &'static str,
    (count, most): (usize, usize),
) -> bool {
    if count > most {
        let at = fields.get(name).map_or(fields.at, |value| value.at);
        let message = format!("{count} entries, more than the {most} that are read of a node");
        reader.complain(at, &fields.path.field(name), message, "describe the node in parts");
    }
    count <= most
}

/// Notes a name; complains if it was there, and answers whether it was not.
fn once(
    reader: &mut Reader,
    fields: &Fields<'_>,
    what: &str,
    name: &Name,
    seen: &mut BTreeSet<Name>,
) -> bool {
    let new = seen.insert(name.clone());
    if !new {
        let at = fields.get("name").map_or(fields.at, |value| value.at);
        let message = format!("two {what} of this node are called {}", shown(name.as_str()));
        reader.complain(at, fields.path, message, "leave one of them out or rename it");
    }
    new
}

fn pools(reader: &mut Reader, fields: &Fields<'_>) -> Vec<NodePool> {
    let list = reader.list(fields, "pools");
    if !short_enough(reader, fields, "pools", (list.len(), limits::NODE_POOLS)) {
        return Vec::new();
    }
    let path = fields.path.field("pools");
    let mut seen = BTreeSet::new();
    let mut pools = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let path = path.index(index);
        let known = [
            "name",
            "size",
            "kind",
            "used",
            "promised",
            "written",
            "reserve",
            "overcommit",
            "stop-at",
            "metadata-used",
            "granularity",
            "media",
        ];
        let Some(fields) = reader.fields(value, &path, &known) else {
            continue;
        };
        let name = reader.own_name(&fields, true);
        let name = name.filter(|name| once(reader, &fields, "pools", name, &mut seen));
        if let Some(pool) = pool(reader, &fields, name) {
            pools.push(pool);
        }
    }
    pools
}

fn pool(reader: &mut Reader, fields: &Fields<'_>, name: Option<Name>) -> Option<NodePool> {
    let kinds = [("thick", Serves::Thick), ("thin", Serves::Thin), ("both", Serves::Both)];
    let serves = reader.word(fields, "kind", &kinds).unwrap_or_default();
    let total = reader.needed_size(fields, "size");
    let media = reader.media(fields);
    let mut sizes = [Bytes::ZERO; 4];
    for (slot, field) in sizes.iter_mut().zip(["used", "promised", "written", "reserve"]) {
        *slot = reader.size(fields, field).unwrap_or_default();
    }
    let [used, promised, written, reserve] = sizes;
    for (field, size) in [("used", used), ("written", written), ("reserve", reserve)] {
        if size > total {
            let message = format!("{size} is more than the pool's size of {total}");
            let at = fields.get(field).map_or(fields.at, |value| value.at);
            reader.complain(at, &fields.path.field(field), message, "give at most the size");
        }
    }
    let thin_only = ["promised", "overcommit", "stop-at", "metadata-used"];
    let unfit: &[&'static str] = match serves {
        Serves::Thick => &["promised", "overcommit", "stop-at", "metadata-used", "written"],
        Serves::Thin => &["written"],
        _ => &[],
    };
    for field in unfit {
        if let Some(value) = fields.get(field) {
            let remedy = if thin_only.contains(field) {
                "make the pool's kind thin or both, or leave it out"
            } else {
                "only a pool of kind both has it; what is written of a thin pool is its used"
            };
            let path = fields.path.field(field);
            reader.complain(value.at, &path, "not a field of a pool of this kind", remedy);
        }
    }
    let mut pool =
        NodePool::new(name?, total).serving(serves).with_media(media).with_reserve(reserve);
    pool = match serves {
        Serves::Thin => {
            let promised = if fields.get("promised").is_some() { promised } else { used };
            pool.with_thin(promised, used)
        }
        _ => pool.with_thick(used).with_thin(promised, written),
    };
    Some(details(reader, fields, pool))
}

fn details(reader: &mut Reader, fields: &Fields<'_>, mut pool: NodePool) -> NodePool {
    if let Some(ratio) = reader.overcommit(fields, "overcommit") {
        pool = pool.with_overcommit(ratio);
    }
    if let Some(part) = reader.part(fields, "metadata-used") {
        pool = pool.with_metadata_used(part);
    }
    match reader.part(fields, "stop-at") {
        Some(Ratio::ZERO) => {
            let at = fields.get("stop-at").map_or(fields.at, |value| value.at);
            let path = fields.path.field("stop-at");
            reader.complain(at, &path, "the stop mark is 0", "write a part such as 80%");
        }
        Some(mark) => pool = pool.with_stop_at(mark),
        None => {}
    }
    match reader.size(fields, "granularity") {
        Some(unit) if unit.is_zero() || unit > Bytes::new(1 << 40) => {
            let at = fields.get("granularity").map_or(fields.at, |value| value.at);
            let path = fields.path.field("granularity");
            let message = format!("the granularity {unit} is not from 1B to 1TiB");
            reader.complain(at, &path, message, "write the extent size, such as 4MiB");
        }
        Some(unit) => pool = pool.with_granularity(unit),
        None => {}
    }
    pool
}

fn exclusives(reader: &mut Reader, fields: &Fields<'_>, what: &'static str) -> Vec<Exclusive> {
    let list = reader.list(fields, what);
    if !short_enough(reader, fields, what, (list.len(), limits::NODE_EXCLUSIVES)) {
        return Vec::new();
    }
    let path = fields.path.field(what);
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let path = path.index(index);
        let Some(fields) = reader.fields(value, &path, &["name", "size", "media", "taken"]) else {
            continue;
        };
        let name = reader.own_name(&fields, true);
        let name = name.filter(|name| once(reader, &fields, what, name, &mut seen));
        let size = reader.needed_size(&fields, "size");
        let media = reader.media(&fields);
        let taken = reader.flag(&fields, "taken");
        if let Some(name) = name {
            let one = Exclusive::new(name, size).with_media(media);
            all.push(if taken { one.taken() } else { one });
        }
    }
    all
}
