//! What cut calls left, finished or undone before anything else is changed.

use open_local_core::{Op, Result};

use super::group::Turn;

impl Turn<'_> {
    /// Finishes or undoes what an interrupted call left of this pool. With nothing to recover no
    /// step is taken.
    ///
    /// # Errors
    /// Those of the steps it takes.
    pub(super) fn recover(&mut self, op: Op) -> Result<()> {
        if self.live.controlled {
            self.recover_devices(op)?;
        }
        Ok(())
    }
}
