//! What is held still while it is copied.

use super::pool::FilePool;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Deadline, Frozen};
use crate::info::Attachment;

/// Frozen file systems, all until one deadline.
#[derive(Debug, Default)]
pub(super) struct Held {
    frozen: Vec<Frozen>,
    until: Option<Deadline>,
}

impl Held {
    /// Until when something is held; nothing is where there is no deadline.
    pub(super) const fn until(&self) -> Option<Deadline> {
        self.until
    }

    /// Freezes the file systems on one more device, within what is left of the time.
    ///
    /// # Errors
    /// `Busy` where nothing can be frozen, and those of [`crate::host::Quiescer::freeze_device`].
    pub(super) fn hold(&mut self, pool: &FilePool, op: Op, at: &Attachment) -> Result<()> {
        let clock = pool.host.clock.as_ref();
        let wait = pool.options.freeze_wait;
        let until = *self.until.get_or_insert_with(|| Deadline::after(clock, wait));
        let quiescer = pool.quiescer.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Busy, op, &at.source, "it can't be frozen here")
                .with_remedy("unpublish it first")
        })?;
        self.frozen.push(quiescer.freeze_device(at, until.left(clock))?);
        Ok(())
    }

    /// Thaws all, the last first; what can't be thawed is kept in mind for another try.
    ///
    /// # Errors
    /// The first there was; `Busy` if somebody else thawed one of them before.
    pub(super) fn release(&mut self, pool: &FilePool, op: Op, subject: &Subject) -> Result<()> {
        let Some(quiescer) = &pool.quiescer else {
            return Ok(());
        };
        let (mut stayed, mut failed, mut stuck) = (true, None, Vec::new());
        while let Some(frozen) = self.frozen.pop() {
            match quiescer.thaw(&frozen) {
                Ok(held) => stayed &= held,
                // As after a kill: what is cut thaws nothing more.
                Err(error) if error.kind() == ErrorKind::Indeterminate => return Err(error),
                Err(error) => {
                    stuck.push(frozen);
                    failed = failed.or(Some(error));
                }
            }
        }
        self.frozen = stuck;
        if let Some(error) = failed {
            return Err(error);
        }
        self.until = None;
        if stayed {
            return Ok(());
        }
        let why = "somebody else thawed its source while it was copied";
        Err(Error::new(ErrorKind::Busy, op, subject.clone(), why).with_remedy("try again"))
    }
}
