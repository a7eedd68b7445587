//! Stripes as columns of extents, and the segments they make.

use open_local_core::Extents;

use super::space::Space;
use crate::format::id::LvmId;

/// Neighbouring extents of a physical volume, given to one stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Index of the physical volume in the [`Space`].
    pub(super) member: usize,
    pub(super) start: u64,
    pub(super) count: u64,
}

/// One column a stripe, from the first row down; all of the same height when they are done.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns(pub(super) Vec<Vec<Piece>>);

/// Where the extents of one stripe begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhysicalPlace {
    /// The physical volume.
    pub pv: LvmId,
    /// The first extent.
    pub start: Extents,
}

/// Extents for one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Extents of each stripe.
    pub count: Extents,
    /// Where they are, one place a stripe.
    pub places: Vec<PhysicalPlace>,
}

impl Columns {
    pub(super) fn new(stripes: usize) -> Self {
        Self(vec![Vec::new(); stripes])
    }

    /// Puts pieces below what a column has; neighbours become one.
    pub(super) fn extend(&mut self, column: usize, pieces: impl IntoIterator<Item = Piece>) {
        let Some(column) = self.0.get_mut(column) else {
            return;
        };
        for piece in pieces {
            match column.last_mut() {
                Some(last)
                    if last.member == piece.member
                        && last.start.saturating_add(last.count) == piece.start =>
                {
                    last.count = last.count.saturating_add(piece.count);
                }
                _ => column.push(piece),
            }
        }
    }

    /// Cuts the columns into rows of pieces of the same height.
    pub(super) fn placements(self, space: &Space) -> Vec<Placement> {
        let mut rests: Vec<std::vec::IntoIter<Piece>> =
            self.0.into_iter().map(Vec::into_iter).collect();
        let mut heads: Vec<Option<Piece>> = rests.iter_mut().map(Iterator::next).collect();
        let mut placements = Vec::new();
        loop {
            let row: Option<Vec<Piece>> = heads.iter().copied().collect();
            let Some(row) = row.filter(|row| !row.is_empty()) else {
                return placements;
            };
            let count = row.iter().map(|piece| piece.count).min().unwrap_or(0);
            let places = row.iter().filter_map(|piece| {
                let pv = space.members.get(piece.member)?.id;
                Some(PhysicalPlace { pv, start: Extents::new(piece.start) })
            });
            placements.push(Placement { count: Extents::new(count), places: places.collect() });
            for (head, rest) in heads.iter_mut().zip(&mut rests) {
                *head = match head.take() {
                    Some(piece) if piece.count > count => Some(Piece {
                        start: piece.start.saturating_add(count),
                        count: piece.count.saturating_sub(count),
                        ..piece
                    }),
                    _ => rest.next(),
                };
            }
        }
    }
}
