//! Several requests to one group with one commit.

use open_local_core::{Error, Result};

use super::locked::Committed;
use super::session::Session;
use crate::format::group::VolumeGroup;

/// A request: makes a new version of a group, or says why not.
pub type Request<'r> = Box<dyn FnOnce(&VolumeGroup) -> Result<VolumeGroup> + 'r>;

impl Session {
    /// Lets each request change the group, one after the other, and commits the last version once.
    ///
    /// A request that fails leaves the group as the one before it made it; the others go on. Each
    /// gets its own answer, in order. The commit is one: it is done for all that succeeded, or for
    /// none.
    ///
    /// # Errors
    /// Those of [`Self::lock`], before any request was asked. If the commit fails, every request
    /// that had succeeded answers with an error of the same kind.
    pub fn change_together(
        &self,
        name: &str,
        what: &str,
        requests: Vec<Request<'_>>,
    ) -> Result<Vec<Result<Committed>>> {
        let mut locked = self.lock(name)?;
        let mut now = locked.group().clone();
        let planned: Vec<Result<()>> = requests
            .into_iter()
            .map(|request| {
                now = request(&now)?;
                Ok(())
            })
            .collect();
        let done = locked.commit(&now, what);
        locked.release();
        let answers = planned.into_iter().map(|planned| {
            planned?;
            match &done {
                Ok(committed) => Ok(committed.clone()),
                Err(error) => Err(shared(error)),
            }
        });
        Ok(answers.collect())
    }
}

/// The same error for another request.
fn shared(error: &Error) -> Error {
    let message = format!("the commit it shared with others failed: {}", error.report());
    let remedy = error.remedy().unwrap_or("try again").to_owned();
    Error::new(error.kind(), error.op(), error.subject().clone(), message).with_remedy(remedy)
}
