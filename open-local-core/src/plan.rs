//! Placement: which node, which pool, which device.
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
