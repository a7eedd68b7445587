//! Where a device can be seen: mounts of it, and nodes of it that are bound somewhere.
//!
//! A bound node keeps a device busy in nobody's eyes: it can be detached, and the next volume that
//! gets its number is then seen where the node is bound. So before a device is detached the mount
//! table itself is looked at, and not only the records, which go with their folder.

use std::path::{Path, PathBuf};

use open_local_core::fs::{MountEntry, parse_mountinfo};
use open_local_core::host::read_small;
use open_local_core::{Attachment, AttachmentKind, DeviceNumber};

use crate::errors::{Answer, Code, Status};
use crate::rpc::Rpc;
use crate::service::Driver;

/// Most bytes of mount information that are read.
const MOST_MOUNTS: usize = 16 << 20;

/// A place where a device can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) struct Shown {
    pub(in crate::service) target: PathBuf,
    /// Whether its node is there, and not the file system on it.
    pub(in crate::service) node: bool,
}

impl Driver {
    /// The mount table of this process.
    fn mount_table(&self, rpc: Rpc) -> Answer<Vec<MountEntry>> {
        let path = self.host.roots.proc.join("self/mountinfo");
        let table = match read_small(self.host.files.as_ref(), &path, MOST_MOUNTS) {
            Ok(table) => table,
            // Without a table nothing can be mounted by this process either.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => {
                let message = format!("can't read {}: {e}", path.display());
                return Err(Status::new(Code::Unavailable, message));
            }
        };
        parse_mountinfo(&table).map_err(|e| Status::of(rpc, &e).with_code(Code::Unavailable))
    }

    /// Everywhere a device can be seen.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the mount table can't be read.
    pub(in crate::service) fn exposures(
        &self,
        rpc: Rpc,
        attachment: &Attachment,
    ) -> Answer<Vec<Shown>> {
        // A folder is seen by all who see the file system it is in.
        if attachment.kind == AttachmentKind::Directory {
            return Ok(Vec::new());
        }
        let table = self.mount_table(rpc)?;
        let seen = table.iter().filter_map(|entry| {
            let node = self.is_node_of(entry, attachment.number);
            let mounted = entry.number == attachment.number || entry.source == attachment.device;
            (node || mounted).then(|| Shown { target: entry.target.clone(), node })
        });
        Ok(seen.collect())
    }

    /// Refuses to detach a device that somebody still sees.
    ///
    /// # Errors
    /// The code that is given, naming the places.
    pub(in crate::service) fn refuse_exposed(
        &self,
        rpc: Rpc,
        volume: &str,
        attachment: &Attachment,
        code: Code,
    ) -> Answer<()> {
        match self.exposures(rpc, attachment)?.first() {
            Some(shown) => {
                let what = if shown.node { "the node of its device is bound" } else { "mounted" };
                let message = format!(
                    "volume {volume} can still be seen: {what} at {}; unpublish it there first",
                    shown.target.display()
                );
                Err(Status::new(code, message))
            }
            None => Ok(()),
        }
    }

    /// What lies at a target over something else, and is not this device; none if all that an
    /// unmount would take away is.
    pub(super) fn foreign_layer(
        &self,
        rpc: Rpc,
        target: &Path,
        attachment: &Attachment,
    ) -> Answer<Option<PathBuf>> {
        let table = self.mount_table(rpc)?;
        let foreign = table.into_iter().filter(|entry| entry.target == target).find(|entry| {
            entry.number != attachment.number
                && entry.source != attachment.device
                && !self.is_node_of(entry, attachment.number)
        });
        Ok(foreign.map(|entry| entry.source))
    }

    /// How many mounts lie over each other at a target.
    pub(super) fn layers(&self, rpc: Rpc, target: &Path) -> Answer<usize> {
        let table = self.mount_table(rpc)?;
        Ok(table.iter().filter(|entry| entry.target == target).count())
    }

    /// Whether a mount shows the node of a device, from the file system that has the nodes.
    fn is_node_of(&self, entry: &MountEntry, number: DeviceNumber) -> bool {
        // What else is mounted may be on a network, where a look takes for ever.
        let local = matches!(entry.kind.as_str(), "devtmpfs" | "tmpfs" | "overlay");
        if !local || entry.root == Path::new("/") {
            return false;
        }
        let stands_for = |path: &Path| {
            let stat = self.host.files.stat(path).ok();
            stat.and_then(|stat| stat.stands_for)
        };
        let named = entry.root.strip_prefix("/").ok().filter(|_| entry.kind == "devtmpfs");
        named.and_then(|name| stands_for(&Path::new("/dev").join(name))) == Some(number)
            || stands_for(&entry.target) == Some(number)
    }
}
