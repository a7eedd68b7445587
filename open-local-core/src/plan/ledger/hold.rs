//! What is held for one claim.

use std::time::Duration;

use crate::plan::claim::Kind;
use crate::plan::name::{ClaimUid, Name};
use crate::plan::placement::{Assigned, Place};
use crate::spec::Provisioning;
use crate::units::Bytes;

/// A claim at a place of a node, as asked for or as it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Booking {
    /// The claim.
    pub uid: ClaimUid,
    /// The node.
    pub node: Name,
    /// The place.
    pub place: Place,
    /// How its room is promised; of no meaning outside a pool.
    pub provisioning: Provisioning,
    /// Its size; of an expansion the new size.
    pub size: Bytes,
}

impl Booking {
    /// A thick volume, a device or a mount point.
    #[must_use]
    pub const fn new(uid: ClaimUid, node: Name, place: Place, size: Bytes) -> Self {
        Self { uid, node, place, provisioning: Provisioning::Thick, size }
    }

    /// The same, thin.
    #[must_use]
    pub const fn thin(mut self) -> Self {
        self.provisioning = Provisioning::Thin;
        self
    }

    pub(super) fn of(node: Name, one: &Assigned) -> Self {
        let booking = Self::new(one.uid.clone(), node, one.place.clone(), one.size);
        match one.kind {
            Kind::Volume(Provisioning::Thin) => booking.thin(),
            _ => booking,
        }
    }
}

/// A volume of a claim that a node's figures already count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The claim.
    pub uid: ClaimUid,
    /// Where it is.
    pub place: Place,
    /// The size the figures count for it.
    pub size: Bytes,
}

/// A promise with an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) size: Bytes,
    pub(super) deadline: Duration,
}

/// What is held for a claim: bound, wished, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) node: Name,
    pub(super) place: Place,
    pub(super) provisioning: Provisioning,
    pub(super) bound: Option<Bytes>,
    pub(super) wish: Option<Wish>,
}

impl Hold {
    /// Neither bound nor wished yet, where the booking says.
    pub(super) fn at(booking: &Booking) -> Self {
        Self {
            node: booking.node.clone(),
            place: booking.place.clone(),
            provisioning: booking.provisioning,
            bound: None,
            wish: None,
        }
    }

    pub(super) fn is_at(&self, booking: &Booking) -> bool {
        self.node == booking.node
            && self.place == booking.place
            && self.provisioning == booking.provisioning
    }

    /// The size that counts.
    pub(super) fn charged(&self) -> Bytes {
        let wished = self.wish.map_or(Bytes::ZERO, |wish| wish.size);
        self.bound.unwrap_or_default().max(wished)
    }

    pub(super) fn booking(&self, uid: ClaimUid) -> Booking {
        Booking {
            uid,
            node: self.node.clone(),
            place: self.place.clone(),
            provisioning: self.provisioning,
            size: self.charged(),
        }
    }

    pub(super) fn without_wish(&self) -> Option<Self> {
        let left = Self { wish: None, ..self.clone() };
        left.bound.is_some().then_some(left)
    }

    pub(super) fn without_bound(&self) -> Option<Self> {
        let left = Self { bound: None, ..self.clone() };
        left.wish.is_some().then_some(left)
    }
}
