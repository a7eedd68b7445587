//! The folders that records live in.

use std::path::Path;

use crate::error::{Error, Op, Result, Subject};
use crate::host::Host;

/// Makes a folder and those above it.
///
/// # Errors
/// `PermissionDenied`, `OutOfSpace` or `Io`.
pub(crate) fn make_folders(host: &Host, op: Op, folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|part| host.files.stat(part).is_err() && part.parent().is_some())
        .collect();
    for part in missing.into_iter().rev() {
        match host.files.create_dir(part) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                let what = format!("can't make the folder {}", part.display());
                return Err(Error::from_io(op, Subject::path(part), what, e)
                    .with_remedy("run as root, or choose a state folder that can be written"));
            }
            _ => {}
        }
    }
    // Those that are there too: a call that was cut may have made them without flushing.
    folder.ancestors().skip(1).try_for_each(|above| flush_folder(host, op, above))
}

/// Flushes a folder; one that we may not read is not one we have made anything in.
pub(crate) fn flush_folder(host: &Host, op: Op, folder: &Path) -> Result<()> {
    match host.files.sync_dir(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::PermissionDenied => {
            let subject = Subject::path(folder);
            Err(Error::from_io(op, subject, "can't flush the folder", e))
        }
        _ => Ok(()),
    }
}
