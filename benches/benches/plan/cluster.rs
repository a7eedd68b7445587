//! The cluster and the pod both sides are asked about.

use open_local_core::plan::ledger::Booking;
use open_local_core::plan::{
    Claim, ClaimUid, Exclusive, Ledger, Media, Name, Node, NodePool, Place, Pod,
};
use open_local_core::{Bytes, ExtentSize};

use crate::peer;

/// The volume groups of every node.
pub(crate) const GROUPS: [(&str, u64); 2] =
    [("open-local-pool-0", 1000), ("open-local-pool-1", 500)];
/// The disks of every node.
pub(crate) const DISKS: [(&str, u64, Media); 4] = [
    ("/dev/vdb", 100, Media::Ssd),
    ("/dev/vdc", 200, Media::Ssd),
    ("/dev/vdd", 4000, Media::Hdd),
    ("/dev/vde", 4000, Media::Hdd),
];
/// Volumes that are there on every node.
pub(crate) const VOLUMES: usize = 2;

pub(crate) fn name(text: impl AsRef<str>) -> Name {
    Name::new(text).expect("a valid name")
}

pub(crate) fn uid(text: impl AsRef<str>) -> ClaimUid {
    ClaimUid::new(text).expect("a valid identity")
}

pub(crate) fn gib(count: u64) -> Bytes {
    Bytes::from_gib(count).expect("a size that exists")
}

pub(crate) fn node_name(number: usize) -> String {
    format!("cn-hangzhou.10.0.{}.{}", number / 256, number % 256)
}

/// How full the groups of a node are: different from node to node, and full on every tenth.
pub(crate) fn taken(number: usize, group: usize) -> u64 {
    let spread = u64::try_from((number * 37 + group * 11) % 300).expect("small");
    let (_, size) = GROUPS[group];
    if number % 10 == 9 { size - 5 } else { spread }
}

/// Whether a disk of a node is free: on every seventh node no SSD is.
pub(crate) fn free(number: usize, disk: usize) -> bool {
    number % 7 != 6 || disk > 1
}

pub(crate) fn volume_uid(number: usize, volume: usize) -> String {
    format!("3f0c1a2e-2a3b-4c5d-8e9f-{number:08}{volume:04}")
}

/// Five claims would be a rich pod; this one has four: two with a group, one without, one disk.
pub(crate) fn pod() -> Pod {
    Pod::new([
        Claim::thick(uid("data"), gib(40)).in_pool(name(GROUPS[0].0)),
        Claim::thick(uid("log"), gib(20)),
        Claim::thick(uid("scratch"), gib(60)),
        Claim::device(uid("wal"), gib(80)).on_media(Media::Ssd),
    ])
    .expect("a valid pod")
}

/// The same for the peer.
pub(crate) fn peer_pod() -> peer::Pod {
    let gib = |count: u64| count << 30;
    peer::Pod {
        named: vec![(GROUPS[0].0.to_owned(), gib(40))],
        unnamed: vec![gib(20), gib(60)],
        ssd: vec![gib(80)],
        hdd: vec![],
    }
}

fn node(number: usize) -> Node {
    let extent = ExtentSize::new(Bytes::new(4 << 20)).expect("not zero");
    let start = Node::builder(name(node_name(number)));
    let with_pools = GROUPS.iter().enumerate().fold(start, |node, (group, (text, size))| {
        // Two of the volumes are in the ledger, the others were made by somebody else.
        let foreign = gib(taken(number, group).saturating_sub(2));
        node.pool(
            NodePool::new(name(text), gib(*size))
                .with_media(Media::Ssd)
                .with_granularity(extent.bytes())
                .with_thick(foreign),
        )
    });
    let disks = DISKS.iter().enumerate();
    let all = disks.fold(with_pools, |node, (disk, (text, size, media))| {
        let one = Exclusive::new(name(text), gib(*size)).with_media(*media);
        node.device(if free(number, disk) { one } else { one.taken() })
    });
    all.build().expect("a valid node")
}

/// A ledger of so many nodes, each with [`VOLUMES`] bound volumes.
pub(crate) fn ledger(nodes: usize) -> Ledger {
    let mut ledger = Ledger::default();
    for number in 0..nodes {
        ledger.observe(node(number), []);
        for (volume, (group, _)) in GROUPS.iter().enumerate().take(VOLUMES) {
            let fact = Booking::new(
                uid(volume_uid(number, volume)),
                name(node_name(number)),
                Place::Pool(name(group)),
                gib(2),
            );
            let _ = ledger.confirm(&fact).expect("a new claim");
        }
    }
    ledger
}
