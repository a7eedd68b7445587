//! Randomness.

use std::fmt::Debug;
use std::io::Read;

use crate::error::{Error, Op, Result, Subject};

/// A source of random bytes.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `buf`.
    ///
    /// # Errors
    /// `Io` if the source fails.
    fn fill(&self, buf: &mut [u8]) -> Result<()>;
}

/// The kernel's random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buf: &mut [u8]) -> Result<()> {
        let path = "/dev/urandom";
        std::fs::File::open(path)
            .and_then(|mut source| source.read_exact(buf))
            .map_err(|e| Error::from_io(Op::ReadDevice, Subject::path(path), "can't read", e))
    }
}
