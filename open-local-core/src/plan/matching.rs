//! Whole devices and mount points: a maximum matching.
//!
//! Devices are offered in ascending order, and each is kept if the kept ones can still all be
//! given to different claims, found by an augmenting path. The sets that can form a matroid, so
//! this greedy choice ends with as many claims served as possible, and with the smallest devices
//! that can do it. At most `claims²` steps a device.

use super::claim::Claim;
use super::exclusive::Exclusive;
use super::reason::{Reason, Whole};

fn suits(claim: &Claim, one: &Exclusive) -> bool {
    one.size >= claim.size
        && claim.limit.is_none_or(|limit| one.size <= limit)
        && claim.media.accepts(one.media)
}

/// Who has which device, while claims are being served.
struct Matching<'a> {
    claims: &'a [Claim],
    all: &'a [Exclusive],
    owned: &'a mut Vec<Option<usize>>,
    /// Claims that were asked in this attempt; [`super::MAX_CLAIMS`] is 64.
    asked: u64,
}

impl Matching<'_> {
    /// Gives the device to a claim, if needed by giving that claim's device to another one.
    fn give(&mut self, device: usize) -> bool {
        let Some(one) = self.all.get(device) else {
            return false;
        };
        for (index, claim) in self.claims.iter().enumerate() {
            let bit = 1u64.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
            if self.asked & bit != 0 || !suits(claim, one) {
                continue;
            }
            self.asked |= bit;
            let held = self.owned.get(index).copied().flatten();
            if held.is_none_or(|held| self.give(held)) {
                if let Some(slot) = self.owned.get_mut(index) {
                    *slot = Some(device);
                }
                return true;
            }
        }
        false
    }
}

/// Serves as many claims as possible; `owned` then holds the device of each. Answers how many.
pub(super) fn serve(claims: &[Claim], all: &[Exclusive], owned: &mut Vec<Option<usize>>) -> usize {
    owned.clear();
    owned.resize(claims.len(), None);
    let mut matching = Matching { claims, all, owned, asked: 0 };
    let mut served = 0usize;
    for (device, one) in all.iter().enumerate() {
        if served == claims.len() {
            break;
        }
        if !one.is_free() {
            continue;
        }
        matching.asked = 0;
        if matching.give(device) {
            served = served.saturating_add(1);
        }
    }
    served
}

/// Why not all claims are served.
pub(super) fn explain(whole: Whole, claims: &[Claim], all: &[Exclusive], matched: usize) -> Reason {
    for claim in claims {
        let of_media = |one: &&Exclusive| claim.media.accepts(one.media);
        let free = || all.iter().filter(of_media).filter(|one| one.is_free());
        let wanted = claims.iter().filter(|c| c.media == claim.media).count();
        if free().count() < wanted {
            return Reason::NoDeviceOfMedia {
                whole,
                media: claim.media,
                wanted,
                free: free().count(),
                total: all.iter().filter(of_media).count(),
            };
        }
        if !free().any(|one| suits(claim, one)) {
            return Reason::DevicesTooSmall {
                whole,
                media: claim.media,
                wanted: claim.size,
                largest: free().map(|one| one.size).max().unwrap_or_default(),
            };
        }
    }
    Reason::NotEnoughDevices { whole, wanted: claims.len(), matched }
}
