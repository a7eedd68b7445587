//! Pods that are on a node already: where exactly, and whether that can be.

use std::collections::BTreeSet;

use open_local_core::plan::{Exclusive, Kind, Name, Node, Place};
use open_local_core::{Bytes, Provisioning};

use super::fields::{Fields, Path, Reader, shown};
use super::nodes::Known;
use crate::plan::mistakes::Position;
use crate::plan::model::{Asked, Template};
use crate::plan::nearest::nearest;

/// Devices and mount points that pods have already.
pub(super) type Taken = BTreeSet<(Name, Place)>;

/// Notes which device or mount point the file gives a claim.
pub(super) fn at(name: Option<Name>, mut asked: Asked) -> Asked {
    asked.at = match asked.kind {
        Kind::Device => name.map(Place::Device),
        Kind::MountPoint => name.map(Place::MountPoint),
        _ => None,
    };
    asked
}

/// Completes and checks where the claims of a pod with a node are.
pub(super) fn check(
    reader: &mut Reader,
    fields: &Fields<'_>,
    pod: &mut Template,
    known: &Known,
    taken: &mut Taken,
) {
    let Some(node) = pod.node.as_ref().and_then(|name| known.node(name)) else {
        return;
    };
    let list = fields.path.field("claims");
    let values = reader.list(fields, "claims");
    for (index, claim) in pod.claims.iter_mut().enumerate() {
        let path = list.index(index);
        let at = values.get(index).map_or(fields.at, |value| value.at);
        let found = match (claim.kind, &claim.at) {
            (Kind::Volume(kind), _) => volume(reader, (at, &path), claim, node, kind),
            (Kind::Reference, _) => {
                claim.node.get_or_insert_with(|| node.name().clone());
                Some(Place::Present)
            }
            (_, None) => {
                let remedy = "add at: with the name of the device or mount point";
                let message = "the pod is on a node, and this claim does not say what it has there";
                reader.complain(at, &path, message, remedy);
                None
            }
            (_, Some(place)) => {
                whole(reader, (at, &path), claim, node, place).then(|| place.clone())
            }
        };
        if claim.node.as_ref().is_some_and(|pin| pin != node.name()) {
            let remedy = "leave the claim's node out, or give the pod that node";
            reader.complain(
                at,
                &path,
                "the claim is pinned to another node than its pod's",
                remedy,
            );
        }
        if let Some(place @ (Place::Device(_) | Place::MountPoint(_))) = &found {
            let twice = pod.replicas > 1 || !taken.insert((node.name().clone(), place.clone()));
            if twice && pod.replicas > 0 {
                let message = format!("two pods have {place} of node {}", node.name());
                reader.complain(at, &path, message, "give each its own");
            }
        }
        claim.at = found;
    }
}

/// The pool a volume is in: the one it names, or the only one that can be.
fn volume(
    reader: &mut Reader,
    (at, path): (Position, &Path<'_>),
    claim: &Asked,
    node: &Node,
    kind: Provisioning,
) -> Option<Place> {
    let serving = || node.pools().iter().filter(|pool| pool.serves().includes(kind));
    let (message, remedy) = match &claim.pool {
        Some(name) => match node.pool(name.as_str()) {
            Some(pool) if pool.serves().includes(kind) => return Some(Place::Pool(name.clone())),
            Some(_) => (
                format!("pool {name} of node {} has no {kind} volumes", node.name()),
                "name another pool, or give the claim the other kind".to_owned(),
            ),
            None => {
                let names = node.pools().iter().map(|pool| pool.name().as_str());
                let remedy = match nearest(name.as_str(), names) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "name a pool of that node".to_owned(),
                };
                let name = shown(name.as_str());
                (format!("node {} has no pool {name}", node.name()), remedy)
            }
        },
        None => {
            let mut serving = serving();
            match (serving.next(), serving.next()) {
                (Some(only), None) => return Some(Place::Pool(only.name().clone())),
                (None, _) => (
                    format!("node {} has no pool for {kind} volumes", node.name()),
                    "describe the pool, or give the claim the other kind".to_owned(),
                ),
                _ => (
                    format!("node {} has several pools this may be in", node.name()),
                    "add pool: with the name of the one it is in".to_owned(),
                ),
            }
        }
    };
    reader.complain(at, path, message, remedy);
    None
}

/// Whether the device or mount point is there, is nobody else's, and is large enough.
fn whole(
    reader: &mut Reader,
    (at, path): (Position, &Path<'_>),
    claim: &Asked,
    node: &Node,
    place: &Place,
) -> bool {
    let (list, name): (&[Exclusive], &Name) = match place {
        Place::Device(name) => (node.devices(), name),
        Place::MountPoint(name) => (node.mount_points(), name),
        _ => return false,
    };
    let Some(one) = list.iter().find(|one| one.name() == name) else {
        let names = list.iter().map(|one| one.name().as_str());
        let remedy = match nearest(name.as_str(), names) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "describe it under the node".to_owned(),
        };
        reader.complain(at, path, format!("node {} has no {place}", node.name()), remedy);
        return false;
    };
    let message = if !one.is_free() {
        format!("{place} of node {} is taken by others", node.name())
    } else if one.size() < claim.size.max(Bytes::new(1)) {
        format!("{place} has {}, less than the {} of the claim", one.size(), claim.size)
    } else {
        return true;
    };
    reader.complain(at, path, message, "correct one of the two");
    false
}
