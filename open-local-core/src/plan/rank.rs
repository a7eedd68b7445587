//! The whole cluster at once.

use super::claim::Pod;
use super::fit::{Desk, judge};
use super::media::Media;
use super::node::Node;
use super::policy::Policy;
use super::reason::Unfit;
use super::score::{Score, of_desk};

/// Most answers for which room is made before they are there.
const MAX_GUESS: usize = 1 << 16;

/// Nodes whose memory is fetched together.
const BLOCK: usize = 32;

/// What was found about one node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict<'n> {
    /// The node.
    pub node: &'n Node,
    /// Its score, or why the pod does not fit.
    pub outcome: Result<Score, Unfit>,
}

/// Judges every node: whether the pod fits, and how much the node is preferred.
///
/// The answers come in the order of the nodes. Nothing is copied: not a node, not a pool. For the
/// node that is chosen, [`super::fit`] says where each claim goes.
pub fn filter_and_score<'n>(
    pod: &Pod,
    nodes: impl IntoIterator<Item = &'n Node>,
    policy: &Policy,
) -> Vec<Verdict<'n>> {
    let mut desk = Desk::default();
    let nodes = nodes.into_iter();
    let (least, most) = nodes.size_hint();
    let mut verdicts = Vec::with_capacity(most.unwrap_or(least).min(MAX_GUESS));
    let mut nodes = nodes.fuse();
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.extend(nodes.by_ref().take(BLOCK));
        if block.is_empty() {
            return verdicts;
        }
        touch(&block);
        for node in block.drain(..) {
            let judged = judge(pod, node, policy, &mut desk);
            let outcome = judged.map(|()| of_desk(&desk, node, policy));
            verdicts.push(Verdict { node, outcome });
        }
    }
}

/// Reads a little of each node, so that the memory of a block is on its way at the same time. A
/// judgement alone waits for its node's lists one after the other, which takes most of the time
/// where the cluster is larger than the processor's cache.
fn touch(block: &[&Node]) {
    let mut sum = 0u64;
    for node in block {
        for pool in &*node.pools {
            // A field at either end of a pool: it spans more than one line of the cache.
            sum = sum.wrapping_add(u64::from(pool.held.is_nothing()));
            sum = sum.wrapping_add(u64::from(pool.media == Media::Hdd));
        }
        for one in node.devices.iter().chain(&*node.mount_points).step_by(2) {
            sum = sum.wrapping_add(one.size.get());
        }
    }
    let _ = std::hint::black_box(sum);
}

/// The node with the highest score; of several the one whose name comes first.
#[must_use]
pub fn best<'v, 'n>(verdicts: &'v [Verdict<'n>]) -> Option<&'v Verdict<'n>> {
    let fitting = verdicts.iter().filter_map(|verdict| {
        let score = verdict.outcome.as_ref().ok()?;
        Some((*score, verdict))
    });
    let best =
        fitting.max_by(|(a, x), (b, y)| a.cmp(b).then_with(|| y.node.name.cmp(&x.node.name)));
    best.map(|(_, verdict)| verdict)
}
