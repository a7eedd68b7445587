//! Direct assignment: the device goes to a virtual machine, and only a file says so.

use std::path::Path;

use open_local_core::Attachment;

use crate::errors::{Answer, Code, Status};
use crate::request::Publish;
use crate::service::Driver;

impl Driver {
    /// Writes what the virtual machine's runtime reads about a target.
    pub(super) fn publish_direct(&self, _request: &Publish, _device: &Attachment) -> Answer<()> {
        Err(Status::new(Code::FailedPrecondition, "direct assignment is not supported here"))
    }

    /// Removes it.
    pub(super) fn unpublish_direct(&self, _target: &Path) -> Answer<()> {
        Ok(())
    }

    /// Tells the runtime that the device has grown.
    pub(super) fn expand_direct(&self, _target: &Path) -> Answer<()> {
        Ok(())
    }
}
