//! Places that a volume may be shown at, and what is removed of them.

use std::path::Path;

use open_local_core::host::FileKind;

use crate::errors::{Answer, Code, Status};
use crate::rpc::Rpc;
use crate::service::Driver;

/// Folders of the system: nothing is mounted on them.
const SYSTEM: [&str; 22] = [
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/media",
    "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var",
    "/var/lib",
];
/// Those of them that nothing is mounted in either.
const CLOSED: [&str; 10] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr"];
/// How deep below the kubelet's folder targets are, the shallowest of them.
const TARGET_DEPTH: usize = 4;

impl Driver {
    /// Refuses folders of the system, and paths that a link below the kubelet's folder leads
    /// elsewhere: pods write there.
    pub(super) fn refuse_system(&self, path: &Path) -> Answer<()> {
        let system = SYSTEM.iter().any(|folder| path == Path::new(folder));
        let closed = CLOSED.iter().any(|folder| path.starts_with(folder));
        if system || closed || path == self.config.kubelet {
            let message = format!("{} is of the system; nothing is mounted there", path.display());
            return Err(Status::new(Code::FailedPrecondition, message));
        }
        match self.link_in(path) {
            Some(link) => {
                let message = format!(
                    "{} is a symbolic link, in the way to {}",
                    link.display(),
                    path.display()
                );
                Err(Status::new(Code::FailedPrecondition, message))
            }
            None => Ok(()),
        }
    }

    /// A symbolic link on the way from the kubelet's folder to a path in it. It may be put there
    /// right after the look, so this is no guard against who may write above a target.
    fn link_in<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let below = path.ancestors().take_while(|part| *part != self.config.kubelet);
        let is_link = |part: &Path| {
            self.host.files.stat(part).is_ok_and(|stat| stat.kind == FileKind::Symlink)
        };
        let inside = path.starts_with(&self.config.kubelet);
        below.filter(|_| inside).find(|part| is_link(part))
    }

    /// Refuses a place that something is in, unless a volume is mounted over it already.
    pub(super) fn require_free_folder(&self, rpc: Rpc, path: &Path) -> Answer<()> {
        self.refuse_system(path)?;
        if self.mounted_at(rpc, path)?.is_some() {
            return Ok(());
        }
        let full = self.host.files.list(path).is_ok_and(|names| !names.is_empty());
        self.refuse_full(path, full)
    }

    /// The same for a file that a device is bound over.
    pub(super) fn require_free_file(&self, rpc: Rpc, path: &Path) -> Answer<()> {
        self.refuse_system(path)?;
        if self.mounted_at(rpc, path)?.is_some() {
            return Ok(());
        }
        let stat = self.host.files.stat(path).ok();
        let full = stat.is_some_and(|stat| stat.kind == FileKind::File && !stat.size.is_zero());
        self.refuse_full(path, full)
    }

    fn refuse_full(&self, path: &Path, full: bool) -> Answer<()> {
        if !full {
            return Ok(());
        }
        let message =
            format!("{} is not empty, and a mount would hide what is in it", path.display());
        Err(Status::new(Code::FailedPrecondition, message))
    }

    /// Whether a path is one that the kubelet gives as a target.
    pub(super) fn is_kubelets_target(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.config.kubelet).ok();
        below.is_some_and(|below| below.components().count() >= TARGET_DEPTH)
    }

    /// Removes the empty folder or file that was mounted over. What is in it stays, and so does a
    /// link.
    pub(super) fn remove_target(&self, rpc: Rpc, target: &Path) -> Answer<()> {
        let files = &self.host.files;
        let shown = target.display();
        let Ok(stat) = files.stat(target) else {
            return Ok(());
        };
        if let Some(link) = self.link_in(target) {
            tracing::warn!(target = %shown, link = %link.display(), "a link leads there; it stays");
            return Ok(());
        }
        let folder = stat.kind == FileKind::Directory;
        let empty = folder || stat.kind == FileKind::File && stat.size.is_zero();
        if !empty {
            tracing::warn!(target = %shown, "neither an empty folder nor an empty file; it stays");
            return Ok(());
        }
        self.step(rpc, target, "remove the target")?;
        let removed = if folder { files.remove_dir(target) } else { files.remove_file(target) };
        match removed {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                tracing::warn!(target = %shown, "something is in it; it stays");
                Ok(())
            }
            Err(e) => Err(Status::new(Code::Internal, format!("can't remove {shown}: {e}"))),
            Ok(()) => Ok(()),
        }
    }
}
