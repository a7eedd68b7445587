//! Inline ephemeral volumes: made at publish, removed at unpublish and after a crash.

use crate::errors::{Answer, Code, Status};
use crate::names::WantedVolume;
use crate::parameters::VolumeClass;
use crate::request::{Publish, Unpublish};
use crate::service::{Driver, Published};

/// What was done at start about inline volumes of an earlier life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovered {
    /// Volumes that were removed, since their target is not mounted any more.
    pub removed: Vec<String>,
    /// Volumes that could not be removed, and why.
    pub failed: Vec<(String, Status)>,
}

impl Driver {
    /// Makes, formats and mounts the volume of one pod.
    pub(super) fn publish_inline(
        &self,
        _request: &Publish,
        _wanted: &WantedVolume,
        _class: &VolumeClass,
    ) -> Answer<()> {
        Err(Status::new(Code::FailedPrecondition, "inline volumes are not allowed here"))
    }

    /// Unmounts and removes the volume of one pod; false if it is none.
    pub(super) fn unpublish_inline(
        &self,
        _request: &Unpublish,
        _published: Option<&Published>,
    ) -> Answer<bool> {
        Ok(false)
    }

    /// Removes inline volumes whose pods went while nobody looked. To be called once at start.
    ///
    /// # Errors
    /// If the records can't be read.
    pub fn recover_inline(&self) -> Answer<Recovered> {
        Ok(Recovered::default())
    }
}
