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

use open_local_core::{Error, ErrorKind, Op, Result, Source};

use super::group::Turn;
use super::kernel::subject;
use super::live::Live;
use super::objects::{objects, ours};
use super::orders::Mode;
use super::planner::{pool_segment, unwritable};
use super::steps::{Step, Work};
use crate::format::id::LvmId;

impl Turn<'_> {
    /// Finishes or undoes what an interrupted call left of this pool. With nothing to recover no
    /// step is taken. A pool whose metadata and group disagree can be opened and read, and what is
    /// published of it taken away.
    ///
    /// # Errors
    /// Those of the steps it takes; `Refused` for a change of a thin pool whose metadata and group
    /// disagree.
    pub(super) fn recover(&mut self, op: Op) -> Result<()> {
        if !self.live.controlled {
            return Ok(());
        }
        let ours = ours(self.group(), &self.pool.orders);
        if self.live.unfinished(&ours) {
            self.sweep(&ours)?;
        }
        // What is published can be taken away whatever state its pool is in.
        if op == Op::Unpublish {
            return Ok(());
        }
        match self.finish(op) {
            // What is there can be read, and what works used: each change of the pool is refused
            // by itself, with the remedy.
            Err(error)
                if error.kind() == ErrorKind::Refused
                    && matches!(op, Op::OpenPool | Op::Publish) =>
            {
                let (pool, error) = (self.pool.id().to_string(), error.report().to_string());
                tracing::warn!(pool, error, "what a cut call left can't be finished");
                Ok(())
            }
            done => done,
        }
    }

    fn finish(&mut self, op: Op) -> Result<()> {
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
            && pool_segment(self.group(), pool).is_some()
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
                        self.writable(&pool)?;
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

    /// Whether what is not in the text of the group is not there at all: an older text, such as one
    /// that was restored, does not know what was made since.
    ///
    /// # Errors
    /// `Refused` if the thin pool is at another transaction or has failed, or a device stands for a
    /// volume that the text does not know.
    pub(super) fn knows_all(&self, op: Op, key: &Source) -> Result<()> {
        let group = self.group();
        if let Mode::Thin { pool, .. } = &self.pool.orders.mode
            && let Some(lv) = group.logical(pool)
            && self.live.pools.contains_key(&lv.id)
        {
            self.pending(pool).map_err(|e| self.pool.about(op, e))?;
        }
        let live = Live::of(&self.pool.host, self.pool.dm(), &group.id)?;
        let unknown = |id: &LvmId| group.logical_volumes.iter().all(|lv| lv.id != *id);
        let Some((_, device)) = live.devices.iter().find(|(id, _)| unknown(id)) else {
            return Ok(());
        };
        let why = format!(
            "the group does not know it, nor the volume that {} stands for: it may be that one",
            device.node.display()
        );
        Err(Error::new(ErrorKind::Refused, op, key, why)
            .with_remedy("restore the metadata of the group that belongs to its devices"))
    }

    /// Refuses to tell anything to a thin pool that takes nothing.
    pub(super) fn writable(&self, pool: &str) -> Result<()> {
        let group = self.group();
        let status = group.logical(pool).and_then(|lv| self.live.pools.get(&lv.id));
        let why = status.and_then(|status| unwritable(&group.name, pool, status));
        why.map_or(Ok(()), |(why, remedy)| {
            let pool = self.pool.id();
            Err(Error::new(ErrorKind::Refused, Op::Recover, pool, why).with_remedy(remedy))
        })
    }

    fn about(&self, error: Error) -> Error {
        self.pool.about(Op::Recover, error)
    }
}
