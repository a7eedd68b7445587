//! What a power cut does to the writes in a cache: a pure function of the seed.

use std::ops::Range;

use open_local_core::sim::SimEntropy;

/// What becomes of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// All of it reaches the medium.
    Kept,
    /// Nothing of it does.
    Lost,
    /// Only these ranges of its granules do, in order and apart from each other.
    Torn(Vec<Range<u64>>),
}

/// What a cut does, write by write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fates {
    /// The fate of each write, in the order in which they were made.
    pub each: Vec<Fate>,
    /// The order in which those that are left reach the medium: every index once.
    pub order: Vec<usize>,
}

/// Boundaries in a torn write.
const TEARS: usize = 4;

/// How a cache behaves at this cut.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// It was never written back.
    LosesAll,
    /// It was written back, in any order.
    KeepsAll,
    /// It was written back in order up to some write.
    KeepsFirst,
    /// It was written back in part: this many of eight writes.
    KeepsSome(u64),
}

/// Decides the fate of writes of these lengths, in granules. The same for the same seed.
///
/// One seed in six loses all, one keeps all but perhaps in another order, one keeps the first
/// writes; the others keep one, four or seven of eight. Half of the seeds reorder. Where some
/// writes are lost, one in four of those kept is torn if it is longer than a granule.
#[must_use]
pub fn decide(seed: u64, lengths: &[u64]) -> Fates {
    let dice = SimEntropy::new(seed);
    let style = match below(&dice, 6) {
        0 => Style::LosesAll,
        1 => Style::KeepsAll,
        2 => Style::KeepsFirst,
        3 => Style::KeepsSome(1),
        4 => Style::KeepsSome(4),
        _ => Style::KeepsSome(7),
    };
    let reorders = below(&dice, 2) == 0 && !matches!(style, Style::KeepsFirst);
    let count = u64::try_from(lengths.len()).unwrap_or(u64::MAX);
    let first = below(&dice, count.saturating_add(1));
    let fate = |(index, length): (u64, &u64)| {
        let kept = match style {
            Style::LosesAll => false,
            Style::KeepsAll => return Fate::Kept,
            Style::KeepsFirst => index < first,
            Style::KeepsSome(eighths) => below(&dice, 8) < eighths,
        };
        let last = matches!(style, Style::KeepsFirst).then_some(index + 1 == first);
        let torn = last.unwrap_or_else(|| below(&dice, 4) == 0);
        match (kept, torn && *length > 1) {
            (false, _) => Fate::Lost,
            (true, false) => Fate::Kept,
            (true, true) => tear(&dice, *length),
        }
    };
    let each: Vec<Fate> = (0..).zip(lengths).map(fate).collect();
    let mut order: Vec<usize> = (0..each.len()).collect();
    if reorders {
        shuffle(&dice, &mut order);
    }
    Fates { each, order }
}

/// A number below `end`, which is zero only if there is none.
fn below(dice: &SimEntropy, end: u64) -> u64 {
    dice.next_u64().checked_rem(end).unwrap_or(0)
}

/// Every other piece of the write between a few boundaries.
fn tear(dice: &SimEntropy, length: u64) -> Fate {
    let mut edges: Vec<u64> = (0..TEARS).map(|_| below(dice, length + 1)).collect();
    edges.extend([0, length]);
    edges.sort_unstable();
    edges.dedup();
    let first = usize::from(below(dice, 2) == 1);
    let pieces = edges.iter().zip(edges.iter().skip(1));
    let kept = pieces.skip(first).step_by(2).map(|(start, end)| *start..*end);
    Fate::Torn(kept.collect())
}

fn shuffle(dice: &SimEntropy, order: &mut [usize]) {
    for last in (1..order.len()).rev() {
        let bound = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        order.swap(last, usize::try_from(below(dice, bound)).unwrap_or(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_fates() {
        for seed in 0..200 {
            assert_eq!(decide(seed, &[1, 8, 3]), decide(seed, &[1, 8, 3]));
        }
    }

    #[test]
    fn every_order_has_every_write_once_and_every_tear_lies_within() {
        for seed in 0..2000 {
            let lengths = [1, 2, 8, 0, 64, 1 << 40];
            let fates = decide(seed, &lengths);
            let mut order = fates.order.clone();
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4, 5]);
            for (fate, length) in fates.each.iter().zip(lengths) {
                let Fate::Torn(pieces) = fate else { continue };
                let ends = pieces.windows(2).all(|w| w[0].end < w[1].start);
                let within = pieces.iter().all(|p| p.start < p.end && p.end <= length);
                assert!(ends && within && length > 1, "{fates:?}");
            }
        }
    }

    #[test]
    fn among_a_few_seeds_each_harm_is_done() {
        let all: Vec<Fates> = (0..40).map(|seed| decide(seed, &[8; 6])).collect();
        let has = |what: fn(&Fates) -> bool| all.iter().filter(|f| what(f)).count() >= 3;
        assert!(has(|f| f.each.iter().all(|e| *e == Fate::Lost)), "loses all");
        assert!(has(|f| f.each.iter().all(|e| *e == Fate::Kept)), "keeps all");
        assert!(has(|f| f.each.iter().any(|e| matches!(e, Fate::Torn(_)))), "tears");
        assert!(has(|f| !f.order.is_sorted()), "reorders");
        let hole = |f: &Fates| f.each.first() == Some(&Fate::Lost) && f.each.contains(&Fate::Kept);
        assert!(has(hole), "loses an early write and keeps a later one");
    }
}
