//! Numbers that a seed decides.

/// A number of the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// The same numbers for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds begin far apart.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A seed for a run that was not told one: from the system, but on CI, where what fails is to
    /// be the change and not the day, always the same. A soak looks further.
    pub(crate) fn new_seed() -> u64 {
        if std::env::var_os("CI").is_some() {
            return 1;
        }
        use open_local_core::host::{Entropy, SystemEntropy};
        let mut bytes = [0; 4];
        SystemEntropy.fill(&mut bytes).unwrap();
        u64::from(u32::from_le_bytes(bytes))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The low bits of this generator are the worse ones.
        (self.0 >> 16) % limit
    }

    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let index = self.below((of.len() as u64).max(1));
        of.get(usize::try_from(index).unwrap()).cloned()
    }
}
