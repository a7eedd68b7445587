//! What cut calls left, finished or undone before anything else is changed.
//!
//! | Left | Known by | What is done |
//! |---|---|---|
//! | a commit that was announced and not made | the header of a metadata area | nothing: the next commit clears it |
//! | extents zeroed for a volume that is not in the group | nothing | nothing: they are free |
//! | messages the kernel's pool has not been sent, or some of them | its transaction id is one lower | sent again; what was half made is made anew |
//! | messages it has been sent | the ids are equal | nothing: the next commit drops them |
//! | a volume of ours that is held | suspended | it goes on; what others hold in the group is shown by the pool and left as it is |
//! | a device of ours without a table, or with one that was not put in force | the kernel | removed; cleared |
//! | a device smaller than its volume | its table | the new table is put in force |
//! | a pool that is not active | no device | activated: its transaction id must be known |
//! | a volume that is given up | its tag `erasing` | upkeep goes on erasing it |

use open_local_core::{Error, Op, Result};

use super::group::Turn;
use super::kernel::subject;
use super::objects::{objects, ours};
use super::orders::Mode;
use super::steps::{Step, Work};

impl Turn<'_> {
    /// Finishes or undoes what an interrupted call left of this pool. With nothing to recover no
    /// step is taken.
    ///
    /// # Errors
    /// Those of the steps it takes; `Refused` for a thin pool whose metadata and group disagree.
    pub(super) fn recover(&mut self, op: Op) -> Result<()> {
        if !self.live.controlled {
            return Ok(());
        }
        let ours = ours(self.group(), &self.pool.orders);
        if self.live.unfinished(&ours) {
            self.sweep(&ours)?;
        }
        let steps = self.left_over()?;
        if steps.is_empty() {
            return Ok(());
        }
        let work = Work::new(op, subject(self), steps);
        self.carry_out(&work)
    }

    fn left_over(&mut self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        if let Mode::Thin { pool, .. } = &self.pool.orders.mode
            && let Some(lv) = self.group().logical(pool)
        {
            let pool = pool.clone();
            match self.live.pools.contains_key(&lv.id) {
                // Whether it was told everything is known once it is active.
                false => {
                    steps.push(Step::ActivatePool { pool: pool.clone() });
                    steps.push(Step::Settle { pool, again: true });
                }
                true if self.live.pools.get(&lv.id).is_some_and(|s| s.report().is_some()) => {
                    if self.pending(&pool).map_err(|e| self.about(e))?.is_some() {
                        steps.push(Step::Settle { pool, again: true });
                    }
                }
                // One that failed shows in its health, and refuses each change by itself.
                true => {}
            }
        }
        for object in objects(self.group(), &self.pool.orders) {
            let device = self.live.devices.get(&object.uuid);
            if device.is_some_and(|device| device.size < object.size) {
                steps.push(Step::Reload { volume: object.name });
            }
        }
        Ok(steps)
    }

    fn about(&self, error: Error) -> Error {
        self.pool.about(Op::Recover, error)
    }
}
