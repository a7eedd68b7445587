//! What is asked of the allocator.

use open_local_core::Extents;

use crate::format::group::{Area, LogicalVolume, SegmentKind, VolumeGroup};
use crate::format::id::LvmId;

/// Where extents may lie relative to each other and to those the volume has.
///
/// In all of them the stripes of one segment lie on different physical volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Policy {
    /// One run a stripe; growth only right behind what there is.
    Contiguous,
    /// One physical volume a stripe; growth only on those the volume is on.
    Cling,
    /// Anywhere.
    #[default]
    Normal,
}

impl Policy {
    /// The word lvm2 has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contiguous => "contiguous",
            Self::Cling => "cling",
            Self::Normal => "normal",
        }
    }
}

/// From which physical volumes extents may be taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PvChoice {
    /// Only from these; from all if empty.
    pub only: Vec<LvmId>,
    /// Not from these.
    pub avoid: Vec<LvmId>,
}

/// What a volume has that is to grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tail {
    /// For each stripe of its last segment the physical volume and the extent behind its last.
    pub ends: Vec<(LvmId, Extents)>,
    /// All physical volumes it is on.
    pub pvs: Vec<LvmId>,
}

impl Tail {
    /// The tail of a volume whose last segment is linear or striped on physical volumes.
    #[must_use]
    pub fn of(group: &VolumeGroup, volume: &LogicalVolume) -> Option<Self> {
        let last = volume.segments.last()?;
        let SegmentKind::Striped(striped) = &last.kind else {
            return None;
        };
        let stripes = u64::try_from(striped.areas.len()).ok()?;
        let each = last.extent_count.get().checked_div(stripes)?;
        let ends = striped.areas.iter().map(|area| match area {
            Area::Physical { pv, start } => {
                Some((group.physical(pv)?.id, start.checked_add(Extents::new(each))?))
            }
            Area::Logical { .. } => None,
        });
        let areas = volume.segments.iter().flat_map(crate::format::group::Segment::areas);
        let mut pvs: Vec<LvmId> = areas
            .filter_map(|area| match area {
                Area::Physical { pv, .. } => group.physical(pv).map(|pv| pv.id),
                Area::Logical { .. } => None,
            })
            .collect();
        pvs.sort_unstable();
        pvs.dedup();
        Some(Self { ends: ends.collect::<Option<_>>()?, pvs })
    }
}

/// Extents that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How many, all stripes together; a multiple of the stripes.
    pub extents: Extents,
    /// How many stripes; 1 is linear.
    pub stripes: u32,
    /// How they may lie.
    pub policy: Policy,
    /// From where.
    pub choice: PvChoice,
    /// What the volume has already; `None` for a new one.
    pub tail: Option<Tail>,
}

impl Request {
    /// Extents for a new linear volume, anywhere.
    #[must_use]
    pub fn linear(extents: Extents) -> Self {
        Self {
            extents,
            stripes: 1,
            policy: Policy::Normal,
            choice: PvChoice::default(),
            tail: None,
        }
    }
}
