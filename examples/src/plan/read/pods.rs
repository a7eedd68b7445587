//! Pods and their claims.

use std::collections::BTreeSet;

use open_local_core::Provisioning;
use open_local_core::plan::{Kind, MAX_CLAIMS, Media, Name};

use super::facts::{self, Taken};
use super::fields::{Fields, Path, Reader, shown};
use super::nodes::Known;
use crate::plan::limits;
use crate::plan::model::{Asked, Template};
use crate::plan::source::Value;

/// What was read of all pods so far.
#[derive(Debug, Default)]
struct Sum {
    pods: usize,
    claims: usize,
    /// Names of pods; of numbered ones also the stem.
    names: BTreeSet<String>,
}

/// Reads the list `pods`.
pub(super) fn read_all(
    reader: &mut Reader,
    fields: &Fields<'_>,
    root: &Path<'_>,
    known: &Known,
) -> Vec<Template> {
    let list = root.field("pods");
    let mut sum = Sum::default();
    let mut taken = Taken::default();
    let mut pods = Vec::new();
    for (index, value) in reader.list(fields, "pods").iter().enumerate() {
        let path = list.index(index);
        let names = ["name", "replicas", "apart", "node", "claims"];
        let Some(fields) = reader.fields(value, &path, &names) else {
            continue;
        };
        let Some(mut pod) = pod(reader, &fields, known) else {
            continue;
        };
        facts::check(reader, &fields, &mut pod, known, &mut taken);
        if !limited(reader, &fields, &pod, &mut sum) {
            // What follows would only repeat the complaint.
            break;
        }
        names_once(reader, &fields, &pod, &mut sum);
        pods.push(pod);
    }
    pods
}

fn pod(reader: &mut Reader, fields: &Fields<'_>, known: &Known) -> Option<Template> {
    let name = reader.own_name(fields, false);
    let numbered = fields.get("replicas").is_some();
    let limit = "the most pods that are read";
    let replicas = reader.count(fields, "replicas", limits::PODS, limit).unwrap_or(1);
    let apart = reader.flag(fields, "apart");
    let node = reader.name(fields, "node");
    let node = node.filter(|name| known.check_node(reader, fields, name));
    let placed = fields.get("node").is_some();
    let list = reader.list(fields, "claims");
    let path = fields.path.field("claims");
    if list.len() > MAX_CLAIMS {
        let at = fields.get("claims").map_or(fields.at, |value| value.at);
        let message = format!("{} claims, more than the {MAX_CLAIMS} a pod may have", list.len());
        reader.complain(at, &path, message, "use several pods");
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut claims = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        if let Some(claim) = claim(reader, value, &path.index(index), known, placed, &mut seen) {
            claims.push(claim);
        }
    }
    let name = name?.as_str().to_owned();
    Some(Template { name, replicas, numbered, apart, node, claims })
}

fn limited(reader: &mut Reader, fields: &Fields<'_>, pod: &Template, sum: &mut Sum) -> bool {
    sum.pods = sum.pods.saturating_add(pod.replicas);
    sum.claims = sum.claims.saturating_add(pod.replicas.saturating_mul(pod.claims.len()));
    for (count, most, what) in
        [(sum.pods, limits::PODS, "pods"), (sum.claims, limits::CLAIMS, "claims")]
    {
        if count > most {
            let at = fields.get("replicas").map_or(fields.at, |value| value.at);
            let message = format!("{count} {what} up to here, more than the {most} that are read");
            let remedy = "ask for fewer replicas, or describe a part of the cluster";
            reader.complain(at, fields.path, message, remedy);
            return false;
        }
    }
    true
}

fn names_once(reader: &mut Reader, fields: &Fields<'_>, pod: &Template, sum: &mut Sum) {
    let numbered = (0..if pod.numbered { pod.replicas } else { 0 }).map(|n| pod.pod_name(n));
    for name in std::iter::once(pod.name.clone()).chain(numbered) {
        if let Some(name) = sum.names.replace(name) {
            let at = fields.get("name").map_or(fields.at, |value| value.at);
            let message = format!("two pods are called {}", shown(&name));
            let remedy = "leave one of them out, rename it, or use replicas";
            reader.complain(at, &fields.path.field("name"), message, remedy);
            return;
        }
    }
}

fn claim(
    reader: &mut Reader,
    value: &Value,
    path: &Path<'_>,
    known: &Known,
    placed: bool,
    seen: &mut BTreeSet<Name>,
) -> Option<Asked> {
    let names = ["name", "kind", "size", "from", "limit", "pool", "media", "node", "inline", "at"];
    let fields = reader.fields(value, path, &names)?;
    let name = reader.own_name(&fields, false);
    if let Some(name) = &name
        && !seen.insert(name.clone())
    {
        let message = format!("two claims of this pod are called {}", shown(name.as_str()));
        let remedy = "leave one of them out or rename it";
        reader.complain(fields.at, path, message, remedy);
    }
    let kinds = [
        ("thick", Kind::Volume(Provisioning::Thick)),
        ("thin", Kind::Volume(Provisioning::Thin)),
        ("device", Kind::Device),
        ("mount-point", Kind::MountPoint),
        ("snapshot", Kind::Reference),
    ];
    let kind = reader.word(&fields, "kind", &kinds);
    let kind = kind.unwrap_or(Kind::Volume(Provisioning::Thick));
    let size = match kind {
        Kind::Reference => open_local_core::Bytes::ZERO,
        _ => reader.needed_size(&fields, "size"),
    };
    let asked = Asked {
        name: name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        kind,
        size,
        from: reader.size(&fields, "from"),
        limit: reader.size(&fields, "limit"),
        pool: reader.name(&fields, "pool"),
        media: if kind == Kind::Reference { Media::Unspecified } else { reader.media(&fields) },
        node: reader.name(&fields, "node"),
        inline: reader.flag(&fields, "inline"),
        at: None,
    };
    consistent(reader, &fields, &asked, placed);
    if let Some(node) = &asked.node {
        let _ = known.check_node(reader, &fields, node);
    }
    if let Some(pool) = &asked.pool {
        known.check_pool(reader, &fields, pool);
    }
    // What `at` names is found out once the node of the pod is known.
    let at = reader.name(&fields, "at");
    Some(facts::at(at, asked))
}

/// Fields that do not go with the kind or with each other.
fn consistent(reader: &mut Reader, fields: &Fields<'_>, asked: &Asked, placed: bool) {
    let volume = matches!(asked.kind, Kind::Volume(_));
    let whole = matches!(asked.kind, Kind::Device | Kind::MountPoint);
    let reference = asked.kind == Kind::Reference;
    let rules: [(&'static str, bool, &str); 9] = [
        ("size", !reference, "a snapshot is there already and takes no room of its own"),
        ("media", !reference, "a snapshot is where it is"),
        ("pool", volume, "only a volume comes from a pool"),
        ("inline", volume, "only a volume can be inline"),
        ("from", volume, "only a volume grows"),
        ("limit", whole, "only a whole device or mount point has a limit"),
        ("at", whole, "only a device or mount point has it; write the pool of a volume as pool"),
        ("at", placed, "only a pod with a node has its claims somewhere already"),
        ("from", placed, "only a volume of a pod with a node grows; give the pod its node"),
    ];
    for (field, allowed, why) in rules {
        if !allowed && let Some(value) = fields.get(field) {
            let remedy = format!("leave {field} out");
            reader.complain(value.at, &fields.path.field(field), why, remedy);
        }
    }
    if reference && !placed && asked.node.is_none() {
        reader.missing(fields, "node", "name the node the snapshot is on");
    }
    if asked.from.is_some_and(|from| from >= asked.size) {
        let at = fields.get("from").map_or(fields.at, |value| value.at);
        let remedy = "give the present size as from and a larger one as size";
        reader.complain(at, &fields.path.field("from"), "a volume can only grow", remedy);
    }
    if whole && asked.limit.is_some_and(|limit| limit < asked.size) {
        let at = fields.get("limit").map_or(fields.at, |value| value.at);
        let remedy = "give at least the size, or leave it out";
        reader.complain(at, &fields.path.field("limit"), "the limit is below the size", remedy);
    }
}
