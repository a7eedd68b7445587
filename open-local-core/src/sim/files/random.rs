//! Choices that follow from a seed alone.

/// A stream of numbers (SplitMix64): small, fast, and the same on every machine.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero if `bound` is.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        match self.next().checked_rem(bound) {
            Some(number) => number,
            None => 0,
        }
    }
}

/// What a power cut does to what had not been made durable.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// All of it is lost.
    Lose,
    /// All of it had just reached the disk.
    Keep,
    /// Each part on its own, by a seed; `odds` of 4 that a change of a folder is kept.
    Mixed { random: Random, odds: u64 },
}

/// What becomes of one file's content that was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Old,
    New,
    Torn,
}

impl Fate {
    /// Seed 0 loses everything, seed 1 keeps everything, any other mixes.
    pub(super) fn from_seed(seed: u64) -> Self {
        match seed {
            0 => Self::Lose,
            1 => Self::Keep,
            seed => {
                let mut random = Random::new(seed);
                let odds = 1 + random.below(3);
                Self::Mixed { random, odds }
            }
        }
    }

    /// Whether a change of a folder had reached the disk.
    pub(super) fn keeps_change(&mut self) -> bool {
        match self {
            Self::Lose => false,
            Self::Keep => true,
            Self::Mixed { random, odds } => random.below(4) < *odds,
        }
    }

    /// Whether one sector had reached the disk.
    pub(super) fn keeps_sector(&mut self) -> bool {
        match self {
            Self::Lose => false,
            Self::Keep => true,
            Self::Mixed { random, .. } => random.below(2) == 0,
        }
    }

    /// How one file fares.
    pub(super) fn style(&mut self) -> Style {
        match self {
            Self::Lose => Style::Old,
            Self::Keep => Style::New,
            Self::Mixed { random, .. } => match random.below(4) {
                0 => Style::Old,
                1 => Style::New,
                _ => Style::Torn,
            },
        }
    }

    /// A length between two, which are possible as well.
    pub(super) fn length_between(&mut self, old: u64, new: u64) -> u64 {
        match self {
            Self::Lose => old,
            Self::Keep => new,
            Self::Mixed { random, .. } => match random.below(3) {
                0 => old,
                1 => new,
                _ => {
                    let (low, high) = (old.min(new), old.max(new));
                    let step = random.below((high - low) / 512 + 1);
                    (low + step * 512).min(high)
                }
            },
        }
    }
}
