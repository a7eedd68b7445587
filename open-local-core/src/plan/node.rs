//! A node: everything on it that can be handed out.

use std::sync::Arc;

use super::exclusive::Exclusive;
use super::media::Media;
use super::name::Name;
use super::room::NodePool;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::spec::Provisioning;
use crate::units::{Bytes, Ratio};

/// Most pools of a node.
pub const MAX_POOLS: usize = 1024;
/// Most devices of a node, and most mount points.
pub const MAX_EXCLUSIVES: usize = 4096;

/// A node and all that can be handed out on it. Made by [`Node::builder`].
///
/// A clone shares the lists with the original: it costs no more than counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub(super) name: Name,
    pub(super) pools: Arc<[NodePool]>,
    pub(super) devices: Arc<[Exclusive]>,
    pub(super) mount_points: Arc<[Exclusive]>,
}

impl Node {
    /// Starts a node without anything.
    #[must_use]
    pub const fn builder(name: Name) -> NodeBuilder {
        NodeBuilder { name, pools: Vec::new(), devices: Vec::new(), mount_points: Vec::new() }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Its pools, by name.
    #[must_use]
    pub fn pools(&self) -> &[NodePool] {
        &self.pools
    }

    /// Its exclusive devices, the smallest first.
    #[must_use]
    pub fn devices(&self) -> &[Exclusive] {
        &self.devices
    }

    /// Its exclusive mount points, the smallest first.
    #[must_use]
    pub fn mount_points(&self) -> &[Exclusive] {
        &self.mount_points
    }

    /// The pool of this name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&NodePool> {
        self.pools.iter().find(|pool| pool.name.as_str() == name)
    }

    /// Whether there is anything at all to hand out, taken or not.
    #[must_use]
    pub fn is_local(&self) -> bool {
        !(self.pools.is_empty() && self.devices.is_empty() && self.mount_points.is_empty())
    }

    pub(super) fn pool_index(&self, name: &Name) -> Option<usize> {
        self.pools.iter().position(|pool| pool.name == *name)
    }

    /// Room for volumes of this kind: all of it, and the largest single volume that would be
    /// granted. `pool` and `media` narrow it as the same words of a claim do.
    ///
    /// A claim for one byte more than `largest` is refused. What CSI calls capacity and maximum
    /// volume size.
    #[must_use]
    pub fn grantable(
        &self,
        provisioning: Provisioning,
        pool: Option<&str>,
        media: Media,
    ) -> Grantable {
        let pools = self.pools.iter().filter(|candidate| {
            media.accepts(candidate.media)
                && pool.is_none_or(|name| candidate.name.as_str() == name)
        });
        Grantable::of(pools.map(|pool| pool.available(provisioning)))
    }

    /// Exclusive devices that a claim for this medium could get.
    #[must_use]
    pub fn grantable_devices(&self, media: Media) -> Grantable {
        Grantable::whole(&self.devices, media)
    }

    /// Exclusive mount points that a claim for this medium could get.
    #[must_use]
    pub fn grantable_mount_points(&self, media: Media) -> Grantable {
        Grantable::whole(&self.mount_points, media)
    }
}

/// What would be granted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Grantable {
    /// All of it together.
    pub total: Bytes,
    /// The largest single volume.
    pub largest: Bytes,
}

impl Grantable {
    fn of(sizes: impl Iterator<Item = Bytes>) -> Self {
        let limit = Bytes::new(i64::MAX.unsigned_abs());
        sizes.fold(Self::default(), |sum, size| Self {
            total: sum.total.saturating_add(size),
            largest: sum.largest.max(size.min(limit)),
        })
    }

    fn whole(all: &[Exclusive], media: Media) -> Self {
        let free = all.iter().filter(|one| one.is_free() && media.accepts(one.media));
        Self::of(free.map(|one| one.size))
    }
}

/// Collects a [`Node`] and checks it.
#[derive(Debug, Clone)]
pub struct NodeBuilder {
    name: Name,
    pools: Vec<NodePool>,
    devices: Vec<Exclusive>,
    mount_points: Vec<Exclusive>,
}

impl NodeBuilder {
    /// Adds a pool.
    #[must_use]
    pub fn pool(mut self, pool: NodePool) -> Self {
        self.pools.push(pool);
        self
    }

    /// Adds an exclusive device.
    #[must_use]
    pub fn device(mut self, device: Exclusive) -> Self {
        self.devices.push(device);
        self
    }

    /// Adds an exclusive mount point.
    #[must_use]
    pub fn mount_point(mut self, mount_point: Exclusive) -> Self {
        self.mount_points.push(mount_point);
        self
    }

    /// The node. The order in which things were added makes no difference.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for two pools, devices or mount points of one name, more
    /// than [`MAX_POOLS`] or [`MAX_EXCLUSIVES`] of them, an overcommit ratio below 1, a stop mark
    /// of 0 or above 1, and a granularity of 0 or above 1 TiB.
    pub fn build(self) -> Result<Node> {
        let Self { name, mut pools, mut devices, mut mount_points } = self;
        for (what, count, most) in [
            ("pools", pools.len(), MAX_POOLS),
            ("devices", devices.len(), MAX_EXCLUSIVES),
            ("mount points", mount_points.len(), MAX_EXCLUSIVES),
        ] {
            if count > most {
                let message = format!("there are {count} {what}, more than {most}");
                return Err(refuse(&name, message, "describe the node in parts"));
            }
        }
        for pool in &pools {
            check(pool)?;
        }
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        unique(&name, "pools", pools.iter().map(|pool| &pool.name))?;
        for (what, list) in [("devices", &mut devices), ("mount points", &mut mount_points)] {
            list.sort_by(|a, b| a.name.cmp(&b.name));
            unique(&name, what, list.iter().map(|one| &one.name))?;
            list.sort_by(|a, b| (a.size, a.media, &a.name).cmp(&(b.size, b.media, &b.name)));
        }
        Ok(Node {
            name,
            pools: shared(pools),
            devices: shared(devices),
            mount_points: shared(mount_points),
        })
    }
}

/// An empty list takes no memory of its own.
fn shared<T>(list: Vec<T>) -> Arc<[T]> {
    if list.is_empty() { Arc::default() } else { list.into() }
}

fn refuse(name: &Name, message: String, remedy: &str) -> Error {
    let subject = Subject::value(name.as_str());
    Error::new(ErrorKind::InvalidArgument, Op::PlanChange, subject, message).with_remedy(remedy)
}

fn check(pool: &NodePool) -> Result<()> {
    if pool.overcommit < Ratio::ONE {
        let message = format!("the overcommit ratio {} is below 1", pool.overcommit);
        return Err(refuse(&pool.name, message, "use 1 or more; to keep room free set a reserve"));
    }
    if pool.stop_at == Ratio::ZERO || pool.stop_at > Ratio::ONE {
        let message = format!("the stop mark {} is not above 0 and at most 1", pool.stop_at);
        return Err(refuse(&pool.name, message, "use a part of the whole, such as 0.8"));
    }
    let tib = Bytes::new(1 << 40);
    if pool.granularity.is_zero() || pool.granularity > tib {
        let message = format!("the granularity {} is not from 1B to {tib}", pool.granularity);
        return Err(refuse(&pool.name, message, "use the extent size, such as 4MiB"));
    }
    Ok(())
}

/// Refuses a name that comes twice in a sorted list.
fn unique<'a>(node: &Name, what: &str, mut names: impl Iterator<Item = &'a Name>) -> Result<()> {
    let mut last = names.next();
    for name in names {
        if last == Some(name) {
            let shown = Subject::value(name.as_str());
            let message = format!("two {what} are called {shown}");
            return Err(refuse(node, message, "leave one of them out or rename it"));
        }
        last = Some(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn pool(text: &str) -> NodePool {
        NodePool::new(name(text), Bytes::GIB)
    }

    #[test]
    fn what_can_not_be_is_refused_by_name() {
        let node = || Node::builder(name("n"));
        let device = || Exclusive::new(name("d"), Bytes::GIB);
        for (bad, word) in [
            (node().pool(pool("p")).pool(pool("q")).pool(pool("p")), "\"p\""),
            (node().device(device()).device(device().taken()), "\"d\""),
            (node().mount_point(device()).mount_point(device()), "\"d\""),
            (node().pool(pool("p").with_overcommit(Ratio::ZERO)), "overcommit"),
            (node().pool(pool("p").with_stop_at(Ratio::ZERO)), "stop mark"),
            (node().pool(pool("p").with_granularity(Bytes::ZERO)), "granularity"),
        ] {
            let error = bad.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.remedy().is_some());
            assert!(error.to_string().contains(word), "{error}");
        }
        let many = (0..=MAX_POOLS).fold(node(), |node, n| node.pool(pool(&format!("p{n}"))));
        assert!(many.build().is_err());
    }

    #[test]
    fn capacity_counts_what_would_be_granted() {
        let gib = |n| Bytes::from_gib(n).unwrap();
        let node = Node::builder(name("n"))
            .pool(NodePool::new(name("a"), gib(10)).with_media(Media::Hdd))
            .pool(NodePool::new(name("b"), gib(8)).with_media(Media::Nvme))
            .device(Exclusive::new(name("x"), gib(100)).taken())
            .device(Exclusive::new(name("y"), gib(50)).with_media(Media::Ssd))
            .build()
            .unwrap();
        let all = node.grantable(Provisioning::Thick, None, Media::Unspecified);
        assert_eq!((all.total, all.largest), (gib(18), gib(10)));
        let flash = node.grantable(Provisioning::Thick, None, Media::Ssd);
        assert_eq!((flash.total, flash.largest), (gib(8), gib(8)));
        let named = node.grantable(Provisioning::Thick, Some("a"), Media::Unspecified);
        assert_eq!(named.largest, gib(10));
        assert_eq!(node.grantable(Provisioning::Thin, None, Media::Unspecified).total, Bytes::ZERO);
        assert_eq!(node.grantable_devices(Media::Unspecified).largest, gib(50));
        assert_eq!(node.grantable_devices(Media::Hdd).largest, Bytes::ZERO);
    }
}
