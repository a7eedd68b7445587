//! The peer: the original's algorithm, as its documentation tells it, written plainly.
//!
//! A node's state is a set of maps keyed by name with the volumes of the node in it. Filter copies
//! it for each kind of demand, sorts the groups by free room anew for each claim without a named
//! group, and walks devices and claims of a medium in ascending order. Score copies and assigns
//! again, with the strategy, and adds capacity and count.

use std::collections::HashMap;

use crate::cluster::{DISKS, GROUPS, VOLUMES, free, node_name, taken, volume_uid};
use open_local_core::plan::Media;

#[derive(Debug, Clone)]
pub(crate) struct Group {
    name: String,
    capacity: u64,
    requested: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    name: String,
    device: String,
    capacity: u64,
    media: String,
    allocated: bool,
}

/// What is needed of a volume object, and the rest of it if the peer keeps whole objects.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    name: String,
    node: String,
    class: String,
    attributes: HashMap<String, String>,
    size: u64,
    rest: Option<Rest>,
}

/// The rest of a volume object, as a provisioner writes it.
#[derive(Debug, Clone)]
struct Rest {
    identity: [String; 3],
    annotations: HashMap<String, String>,
    finalizers: Vec<String>,
    capacity: HashMap<String, String>,
    modes: Vec<String>,
    source: [String; 3],
    claim: [String; 6],
    affinity: Vec<(String, String, Vec<String>)>,
    policy: [String; 3],
}

impl Rest {
    fn new(number: usize, index: usize) -> Self {
        let uid = volume_uid(number, index);
        let own = |texts: [&str; 3]| texts.map(str::to_owned);
        let one = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
        Self {
            identity: own([&uid, "48151623", "2026-01-01T00:00:00Z"]),
            annotations: one("pv.kubernetes.io/provisioned-by", "local.csi.aliyun.com"),
            finalizers: vec!["kubernetes.io/pv-protection".to_owned()],
            capacity: one("storage", "2Gi"),
            modes: vec!["ReadWriteOnce".to_owned()],
            source: own(["local.csi.aliyun.com", &uid, "ext4"]),
            claim: ["PersistentVolumeClaim", "v1", "default", "data-db-0", &uid, "48151620"]
                .map(str::to_owned),
            affinity: vec![(
                "kubernetes.io/hostname".to_owned(),
                "In".to_owned(),
                vec![node_name(number)],
            )],
            policy: own(["Delete", "Filesystem", "Bound"]),
        }
    }

    fn weight(&self) -> usize {
        let fixed = self.identity.len() + self.source.len() + self.claim.len() + self.policy.len();
        let lists = self.annotations.len() + self.finalizers.len() + self.capacity.len();
        fixed + lists + self.modes.len() + self.affinity.len()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct NodeCache {
    name: String,
    groups: HashMap<String, Group>,
    devices: HashMap<String, Disk>,
    mount_points: HashMap<String, Disk>,
    volumes: HashMap<String, Volume>,
}

#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) named: Vec<(String, u64)>,
    pub(crate) unnamed: Vec<u64>,
    pub(crate) ssd: Vec<u64>,
    pub(crate) hdd: Vec<u64>,
}

fn gib(count: u64) -> u64 {
    count << 30
}

fn volume(number: usize, index: usize, whole: bool) -> (String, Volume) {
    let name = format!("local-{}", volume_uid(number, index));
    let attributes = [("vgName", GROUPS[index].0), ("volumeType", "LVM")];
    let volume = Volume {
        name: name.clone(),
        node: node_name(number),
        class: "open-local-lvm".to_owned(),
        attributes: attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        size: gib(2),
        rest: whole.then(|| Rest::new(number, index)),
    };
    (name, volume)
}

/// The same cluster as [`crate::cluster::ledger`], with whole volume objects or with what is needed
/// of them.
pub(crate) fn cluster(nodes: usize, whole: bool) -> Vec<NodeCache> {
    let group = |number: usize, (index, (name, size)): (usize, &(&str, u64))| {
        let group = Group {
            name: (*name).to_owned(),
            capacity: gib(*size),
            requested: gib(taken(number, index).max(2)),
        };
        ((*name).to_owned(), group)
    };
    let disk = |number: usize, (index, (name, size, media)): (usize, &(&str, u64, Media))| {
        let disk = Disk {
            name: (*name).to_owned(),
            device: (*name).to_owned(),
            capacity: gib(*size),
            media: media.to_string(),
            allocated: !free(number, index),
        };
        ((*name).to_owned(), disk)
    };
    (0..nodes)
        .map(|number| NodeCache {
            name: node_name(number),
            groups: GROUPS.iter().enumerate().map(|g| group(number, g)).collect(),
            devices: DISKS.iter().enumerate().map(|d| disk(number, d)).collect(),
            mount_points: HashMap::new(),
            volumes: (0..VOLUMES).map(|v| volume(number, v, whole)).collect(),
        })
        .collect()
}

/// What one claim got: where, how much of how much.
type Unit = (String, u64, u64);

fn assign_groups(pod: &Pod, node: &NodeCache) -> Result<Vec<Unit>, String> {
    let mut copy = node.clone();
    let mut units = Vec::new();
    for (name, size) in &pod.named {
        let Some(group) = copy.groups.get_mut(name) else {
            return Err(format!("no vg(LVM) named {name} in node {}", node.name));
        };
        if group.capacity - group.requested < *size {
            return Err(format!(
                "Insufficient LVM storage on node {}, vg is {name}, pvc requested {size}, vg used {}, vg capacity {}",
                node.name, group.requested, group.capacity
            ));
        }
        group.requested += size;
        units.push((name.clone(), *size, group.capacity));
    }
    for size in &pod.unnamed {
        let mut groups: Vec<Group> = copy.groups.values().cloned().collect();
        groups.sort_by_key(|group| group.capacity - group.requested);
        let found = groups.iter().find(|group| group.capacity - group.requested >= *size);
        let Some(found) = found else {
            return Err(format!(
                "Insufficient LVM storage on node {}, pvc requested {size}",
                node.name
            ));
        };
        units.push((found.name.clone(), *size, found.capacity));
        if let Some(group) = copy.groups.get_mut(&found.name) {
            group.requested += size;
        }
    }
    Ok(units)
}

fn assign_devices(pod: &Pod, node: &NodeCache) -> Result<Vec<Unit>, String> {
    let mut copy = node.clone();
    let mut units = Vec::new();
    for (media, claims) in [("ssd", &pod.ssd), ("hdd", &pod.hdd)] {
        let of_media = copy.devices.values().filter(|d| d.media == media && !d.allocated);
        let mut disks: Vec<Disk> = of_media.cloned().collect();
        disks.sort_by_key(|disk| disk.capacity);
        let mut claims = claims.clone();
        claims.sort_unstable();
        if disks.len() < claims.len() {
            return Err(format!(
                "Insufficient Device({media}) storage on node {}, pod requested pvc count is {}, node available device count is {}, node device total is {}",
                node.name,
                claims.len(),
                disks.len(),
                copy.devices.len()
            ));
        }
        let mut next = disks.into_iter();
        for claim in claims {
            let Some(disk) = next.find(|disk| disk.capacity >= claim) else {
                return Err(format!("Insufficient Device storage, pvc requested size is {claim}"));
            };
            if let Some(slot) = copy.devices.get_mut(&disk.name) {
                slot.allocated = true;
            }
            units.push((disk.device.clone(), claim, disk.capacity));
        }
    }
    Ok(units)
}

fn score(pod: &Pod, node: &NodeCache) -> u64 {
    let groups = assign_groups(pod, node).unwrap_or_default();
    let devices = assign_devices(pod, node).unwrap_or_default();
    let mut per_group: HashMap<&str, (u64, u64)> = HashMap::new();
    for (name, size, capacity) in &groups {
        let entry = per_group.entry(name).or_insert((0, *capacity));
        entry.0 += size;
    }
    let tenth = |parts: Vec<f64>| {
        let count = f64::from(u32::try_from(parts.len().max(1)).unwrap_or(1));
        let mean = parts.iter().sum::<f64>() / count;
        let levels = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
        levels.iter().fold(0u64, |sum, level| sum + u64::from(mean >= *level))
    };
    let part = |size: u64, all: u64| {
        f64::from(u32::try_from(size >> 20).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(all >> 20).unwrap_or(u32::MAX))
    };
    let room = tenth(per_group.values().map(|(size, all)| part(*size, *all)).collect());
    let whole = tenth(devices.iter().map(|(_, size, all)| part(*size, *all)).collect());
    let free = node.devices.values().filter(|disk| !disk.allocated).count();
    let count = (10 * devices.len()).checked_div(free).unwrap_or(0) / 2;
    room + whole + u64::try_from(count).unwrap_or(0)
}

/// Filter all nodes, then score those that are left.
pub(crate) fn filter_and_score(
    pod: &Pod,
    nodes: &[NodeCache],
) -> Vec<(String, Result<u64, String>)> {
    nodes
        .iter()
        .map(|node| {
            let fits = assign_groups(pod, node).and_then(|_| assign_devices(pod, node));
            (node.name.clone(), fits.map(|_| score(pod, node)))
        })
        .collect()
}

impl NodeCache {
    /// Text of the volumes in it, so that nobody optimises them away.
    pub(crate) fn weight(&self) -> usize {
        let rest = |v: &Volume| v.rest.as_ref().map_or(0, Rest::weight);
        let text =
            |v: &Volume| rest(v) + v.name.len() + v.node.len() + v.class.len() + v.attributes.len();
        let mounts = self.mount_points.len();
        self.volumes.values().map(|v| text(v) + usize::from(v.size > 0)).sum::<usize>() + mounts
    }
}
