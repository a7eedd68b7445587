//! Randomness from a seed.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::host::Entropy;

/// Random bytes that are the same for the same seed.
///
/// SplitMix64: small, and every seed (zero too) gives a sequence of full length. Not for secrets.
#[derive(Debug)]
pub struct SimEntropy(Mutex<u64>);

impl SimEntropy {
    /// A sequence of its own for each seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// The next number of the sequence.
    pub fn next_u64(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, buf: &mut [u8]) -> Result<()> {
        for chunk in buf.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Uuid;

    #[test]
    fn the_same_seed_gives_the_same_uuids_and_another_seed_others() {
        let uuids = |seed| {
            let entropy = SimEntropy::new(seed);
            [0; 3].map(|_| Uuid::random(&entropy).unwrap())
        };
        assert_eq!(uuids(7), uuids(7));
        assert_ne!(uuids(7), uuids(8));
        let [a, b, c] = uuids(0);
        assert!(a != b && b != c);
    }
}
