//! Placement: which node, which pool, which device. Pure: no I/O, no clock, no randomness.
//!
//! Made to be the one brain of scheduler extender, CSI capacity, expansion checks and what-if
//! simulations. Of these there are the simulations, `open-local plan` in the folder `examples`, so
//! far. A caller describes nodes ([`Node`]) and what a pod asks for
//! ([`Pod`]); [`filter_and_score`] judges every node, [`fit`] says where each claim goes, and a
//! [`Ledger`] remembers what was promised until the cluster shows it.
//!
//! ```
//! use std::time::Duration;
//! use open_local_core::Bytes;
//! use open_local_core::plan::{
//!     Claim, ClaimUid, Exclusive, Ledger, Media, Name, Node, NodePool, Place, Pod, Policy, best,
//!     filter_and_score, fit,
//! };
//!
//! let gib = |n| Bytes::from_gib(n).unwrap();
//! let mut ledger = Ledger::default();
//! for (node, first, second) in [("a", 10, 5), ("b", 10, 8)] {
//!     let node = Node::builder(Name::new(node)?)
//!         .pool(NodePool::new(Name::new("vg0")?, gib(first)))
//!         .pool(NodePool::new(Name::new("vg1")?, gib(second)))
//!         .device(Exclusive::new(Name::new("/dev/vdb")?, gib(100)).with_media(Media::Ssd))
//!         .build()?;
//!     ledger.observe(node, []);
//! }
//! let pod = Pod::new([
//!     Claim::thick(ClaimUid::new("data")?, gib(8)),
//!     Claim::thick(ClaimUid::new("log")?, gib(10)),
//!     Claim::device(ClaimUid::new("wal")?, gib(50)).on_media(Media::Ssd),
//! ])?;
//!
//! let policy = Policy::default();
//! let verdicts = filter_and_score(&pod, ledger.views(), &policy);
//! let refused = verdicts[0].outcome.as_ref().unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "2 volumes of 18GiB together do not fit: the pools may promise 15GiB together and at most \
//!      10GiB each"
//! );
//! let chosen = best(&verdicts).unwrap().node;
//! let placement = fit(&pod, chosen, &policy)?;
//! assert_eq!(placement.place("data"), Some(&Place::Pool(Name::new("vg1")?)));
//!
//! // Held until a minute has passed; the next pod sees what is left.
//! let _ = ledger.reserve_placement(&placement, Duration::from_secs(60))?;
//! assert!(ledger.view("b").unwrap().devices().iter().all(|one| !one.is_free()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it decides
//!
//! All claims of a pod are judged **together**: two claims that fit one by one may not fit both,
//! and then the node is refused. A pod that fits is not refused because of the order of its claims
//! or the strategy.
//!
//! - **Volumes of a named pool**, inline volumes and expansions (which cost their difference) are
//!   added up per pool first.
//! - **Volumes without one** are assigned to pools exactly: the largest first, each to the fullest
//!   pool under [`Strategy::Binpack`] or the emptiest under [`Strategy::Spread`] *from which the
//!   rest still finds a place*. This is bin packing, so the search has a limit of attempts
//!   ([`Policy::search_limit`]). When it is reached the node is refused with
//!   [`Reason::SearchLimit`]; it never says "fits" of what does not. `pools ^ volumes` up to half
//!   the limit is always decided, by default 2 pools and 15 volumes or 8 and 5; ordinary pods need
//!   one attempt a volume. Time: `volumes × pools` where the first descent succeeds, `limit ×
//!   volumes × pools` at worst.
//! - **Whole devices and mount points** are matched by size, limit and [`Media`] with augmenting
//!   paths: exact, `devices × claims²` at worst, and the smallest devices that can do it are taken.
//! - **References** (a read-only snapshot) and restores are pinned to their node.
//!
//! The promise rule of a pool: thick sizes + thin promises ÷ overcommit ratio ≤ total − reserve, and
//! nothing thin once data or metadata is used to the stop mark. It must hold in **whatever order** the volumes
//! are then made. [`Node::grantable`] is the largest volume that would really be granted.
//!
//! Every refusal carries [`Reason`]s with numbers, those of volumes and of devices at once.
//!
//! # What it does not decide
//!
//! CPU, memory, taints and topology are the scheduler's. Whether a device is really blank, and
//! whether room is really there, is found out by the node when it makes the volume; this is the
//! best guess from what is known. It does not move or shrink what exists, and it does not know
//! where in a pool extents are free (a striped volume may need more than room).
//!
//! # Same input, same answer
//!
//! The order of claims, pools and devices in the input makes no difference. More room, one more
//! pool or device, or one claim less never turns a fit into a refusal, as far as the search is not
//! cut. All of this, and agreement with exhaustive search on thousands of small instances, is
//! tested.
//!
//! # Scores
//!
//! [`Score`] of the default definition is from 0 to 1000, 900 for the main part and 100 for
//! courtesy, all rounded down:
//!
//! - **Volumes**: how much of the room of the pools this pod uses will be promised, volumes that
//!   exist included. Binpack takes this part, spread what is left. (Counting only this pod's
//!   demand, as others do, sends pods to nodes that are nearly full under *spread*.)
//! - **Devices**, and likewise **mount points**: half for how much of the given size is asked for,
//!   since the rest is wasted for as long as the claim lives; half for how many of the node's
//!   devices will be taken (binpack) or left (spread).
//! - The **main part** is the mean of these, weighted by the number of claims of each; 1000 of a
//!   pod with nothing but references, which has no choice anyway.
//! - **Courtesy** keeps free devices for those who need them: 100 for a pod that takes one, else
//!   100 × the part of the node's devices and mount points that are taken already, 100 where there
//!   are none.
//! - A pod that asks for nothing gets 1000 on a node with nothing to hand out and 0 on the others.
//!
//! [`Scoring::Compatible`] is the scale of the original Go implementation for clusters whose
//! weights were chosen for it: capacity (for volumes, inline volumes, devices and mount points each
//! 0 to 10, from this pod's demand only) + count (0 to 10) + anti-affinity (the mean of the
//! [`AntiAffinity`] weights that apply). It can exceed 10, as it did there.

pub mod ledger;

mod claim;
mod compatible;
mod exclusive;
mod fit;
mod matching;
mod media;
mod name;
mod node;
mod packing;
mod placement;
mod policy;
mod rank;
mod reason;
mod room;
mod score;

#[cfg(test)]
mod tests;

pub use claim::{Claim, Kind, MAX_CLAIMS, Pod};
pub use exclusive::Exclusive;
pub use fit::fit;
pub use ledger::Ledger;
pub use media::Media;
pub use name::{ClaimUid, MAX_NAME, Name};
pub use node::{Grantable, MAX_EXCLUSIVES, MAX_POOLS, Node, NodeBuilder};
pub use placement::{Assigned, Place, Placement};
pub use policy::{AntiAffinity, DEFAULT_SEARCH_LIMIT, Policy, Scoring, Strategy};
pub use rank::{Verdict, best, filter_and_score};
pub use reason::{Reason, Unfit, Whole};
pub use room::{NodePool, Serves};
pub use score::{Score, score};
