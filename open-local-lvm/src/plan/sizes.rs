//! From sizes that are asked for to extents and stripes.

use open_local_core::{Bytes, Error, ErrorKind, Extents, Sectors};

use super::draft::about;
use super::operation::Size;
use crate::alloc::{MAX_STRIPES, Policy};
use crate::format::group::{AllocationPolicy, LogicalVolume, VolumeGroup};

/// Most extents of a volume: lvm2 counts them in 32 bits.
const MAX_EXTENTS: u64 = u32::MAX as u64;
/// Smallest stripe (lvm2 2.03.16, `STRIPE_SIZE_MIN`: a page).
const MIN_STRIPE: Bytes = Bytes::new(4096);
/// lvm2's default stripe.
const DEFAULT_STRIPE: Bytes = Bytes::new(64 << 10);

impl Size {
    /// Extents of a volume of this size, at least one.
    pub(super) fn extents(self, group: &VolumeGroup, volume: &str) -> Result<Extents, Error> {
        let extents = match self {
            Self::Extents(extents) => extents,
            Self::AtLeast(bytes) => {
                let size = group.extent_bytes();
                let size = size.ok_or_else(|| {
                    about(ErrorKind::Corrupt, &group.name, "the group has no extent size")
                })?;
                size.extents_ceil(bytes)
            }
        };
        if extents.is_zero() {
            let message = "a volume needs at least one extent";
            return Err(about(ErrorKind::InvalidArgument, volume, message));
        }
        bounded(extents.get(), volume)
    }
}

/// Extents of a volume, unless they are too many.
pub(super) fn bounded(extents: u64, volume: &str) -> Result<Extents, Error> {
    if extents > MAX_EXTENTS {
        let message = format!("{extents} extents are more than a volume can have, {MAX_EXTENTS}");
        return Err(about(ErrorKind::InvalidArgument, volume, message)
            .with_remedy("use a group with larger extents"));
    }
    Ok(Extents::new(extents))
}

/// The next multiple of the stripes.
pub(super) fn rounded(extents: Extents, stripes: u32, volume: &str) -> Result<Extents, Error> {
    if stripes == 0 || stripes > MAX_STRIPES {
        let message = format!("{stripes} stripes asked; 1 to {MAX_STRIPES}");
        return Err(about(ErrorKind::InvalidArgument, volume, message));
    }
    bounded(extents.get().next_multiple_of(u64::from(stripes)), volume)
}

/// The size of a stripe: the one asked for, or the default; none for a linear segment.
pub(super) fn stripe_size(
    group: &VolumeGroup,
    stripes: u32,
    asked: Option<Bytes>,
    volume: &str,
) -> Result<Option<Sectors>, Error> {
    if stripes < 2 {
        return Ok(None);
    }
    let extent = group.extent_size.to_bytes().unwrap_or(Bytes::ZERO);
    let size = asked.unwrap_or_else(|| {
        // An extent of an odd number of KiB is divided by its largest power of two.
        let lowest = Bytes::new(extent.get() & extent.get().wrapping_neg());
        DEFAULT_STRIPE.min(lowest)
    });
    let good = size.get().is_power_of_two() && size >= MIN_STRIPE && extent.is_multiple_of(size);
    if !good {
        let message = format!(
            "a stripe of {size} is not possible: wanted a power of two of at least {MIN_STRIPE} \
             that divides the extent of {extent}"
        );
        return Err(about(ErrorKind::InvalidArgument, volume, message));
    }
    Ok(Some(Sectors::from_bytes_floor(size)))
}

/// The policy that counts: the one asked for, else the volume's, else the group's.
///
/// `anywhere` counts as `normal` and `cling_by_tags` as `cling`: stricter than what they allow.
pub(super) fn policy(
    group: &VolumeGroup,
    volume: Option<&LogicalVolume>,
    asked: Option<Policy>,
) -> Result<Policy, Error> {
    if let Some(policy) = asked {
        return Ok(policy);
    }
    let own = volume.and_then(|lv| lv.allocation_policy.as_ref());
    let own = own.filter(|policy| **policy != AllocationPolicy::Inherit);
    match own.or(group.allocation_policy.as_ref()) {
        Some(AllocationPolicy::Contiguous) => Ok(Policy::Contiguous),
        Some(AllocationPolicy::Cling | AllocationPolicy::ClingByTags) => Ok(Policy::Cling),
        None
        | Some(AllocationPolicy::Normal | AllocationPolicy::Anywhere | AllocationPolicy::Inherit) => {
            Ok(Policy::Normal)
        }
        Some(AllocationPolicy::Other(word)) => {
            let message = format!("the allocation policy {word} is not known here");
            let name = volume.map_or(&group.name, |lv| &lv.name);
            Err(about(ErrorKind::Unsupported, name, message).with_remedy("name a policy"))
        }
    }
}
