//! Why the ledger does not book.

use std::fmt;

use crate::error::{Error, ErrorKind, Op, Subject};
use crate::plan::name::{ClaimUid, Name};
use crate::plan::placement::Place;
use crate::plan::reason::Reason;

/// Why the ledger does not book; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The node has not reported.
    UnknownNode {
        /// The node.
        node: Name,
    },
    /// Nothing is held for the claim.
    UnknownClaim {
        /// What was asked for.
        claim: String,
    },
    /// The claim is gone; this came late.
    Released {
        /// The claim.
        claim: ClaimUid,
    },
    /// The claim has its volume already, in another place.
    BoundElsewhere {
        /// The claim.
        claim: ClaimUid,
        /// Its node.
        node: Name,
        /// Its place there.
        place: Place,
    },
    /// The room is not there any more.
    Unfit {
        /// The node.
        node: Name,
        /// What is missing.
        reason: Reason,
    },
    /// The ledger holds as many claims as it may.
    Full {
        /// How many.
        holds: usize,
    },
}

impl Refusal {
    /// The kind of error it is at the edges.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownNode { .. } | Self::UnknownClaim { .. } => ErrorKind::NotFound,
            Self::Released { .. } | Self::BoundElsewhere { .. } => ErrorKind::Conflict,
            Self::Unfit { .. } | Self::Full { .. } => ErrorKind::OutOfSpace,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownNode { node } => write!(f, "node {node} has not reported"),
            Self::UnknownClaim { claim } => write!(f, "nothing is held for claim {claim}"),
            Self::Released { claim } => write!(f, "claim {claim} is gone"),
            Self::BoundElsewhere { claim, node, place } => {
                write!(f, "claim {claim} has its volume in {place} of node {node}")
            }
            Self::Unfit { node, reason } => write!(f, "node {node}: {reason}"),
            Self::Full { holds } => write!(f, "the ledger holds {holds} claims, its limit"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let subject = match &refusal {
            Refusal::UnknownNode { node } | Refusal::Unfit { node, .. } => {
                Subject::value(node.as_str())
            }
            Refusal::Released { claim } | Refusal::BoundElsewhere { claim, .. } => {
                Subject::value(claim.as_str())
            }
            Refusal::UnknownClaim { claim } => Subject::value(claim),
            Refusal::Full { .. } => Subject::Host,
        };
        Self::new(refusal.kind(), Op::PlanChange, subject, refusal.to_string())
    }
}
