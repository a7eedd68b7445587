//! Direct assignment: the device goes to a virtual machine, and only a file says so.
//!
//! Kata Containers looks for `mountInfo.json` in a folder named after the target, in base64 with
//! the alphabet for URLs (its direct-assigned volumes, read in its documentation, not seen here).

use std::path::{Path, PathBuf};

use open_local_core::host::{Invocation, find_program};
use open_local_core::{Attachment, Bytes};
use serde_json::json;

use super::volume::Subject;
use crate::errors::{Answer, Code, Status};
use crate::request::{Access, Publish, Stage};
use crate::rpc::Rpc;
use crate::service::Driver;

const RPC: Rpc = Rpc::NodePublishVolume;

/// The file the runtime reads.
const FILE: &str = "mountInfo.json";
/// Longest name of a file in the kernel's file systems.
const MAX_FILE_NAME: usize = 255;

impl Driver {
    /// Writes what the virtual machine's runtime reads about a target, after the device has a file
    /// system: nobody makes one in the machine.
    pub(super) fn publish_direct(
        &self,
        request: &Publish,
        subject: &Subject,
        device: &Attachment,
    ) -> Answer<()> {
        let folder = self.direct_folder(&request.target)?;
        let Access::Mount { fs, flags } = &request.capability.access else {
            return Err(Status::invalid(
                "volume_capability",
                "asks for a block device, not for a file system",
            ));
        };
        let stage = Stage {
            volume: request.volume.clone(),
            staging: request.target.clone(),
            capability: request.capability.clone(),
            context: request.context.clone(),
        };
        let kind = self.format(subject, device, *fs, &stage)?;
        let mut options: Vec<&str> = flags.iter().map(String::as_str).collect();
        if request.read_only {
            options.push("ro");
        }
        let text = json!({
            "volume-type": "block",
            "device": device.device,
            "fstype": kind.as_str(),
            "metadata": {},
            "options": options,
        });
        self.step(RPC, &folder, "hand the device to a virtual machine")?;
        self.write_text(&folder, FILE, text.to_string().as_bytes())
    }

    /// The place where a test cuts what is changed here without the library.
    pub(super) fn step(&self, rpc: Rpc, path: &Path, what: &str) -> Answer<()> {
        let subject = open_local_core::Subject::path(path);
        let passed = self.host.checkpoints.before(open_local_core::Op::WriteState, &subject, what);
        passed.map_err(|e| Status::of(rpc, &e))
    }

    /// Whether a device is handed over at a target: only the file says so.
    pub(super) fn is_direct_at(&self, target: &Path) -> Answer<bool> {
        let Ok(folder) = self.direct_folder(target) else {
            return Ok(false);
        };
        let path = folder.join(FILE);
        match self.host.files.stat(&path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => {
                let message = format!("can't look at {}: {e}", path.display());
                Err(Status::new(Code::Unavailable, message))
            }
        }
    }

    /// Removes it. What else is in its folder is the runtime's.
    pub(super) fn unpublish_direct(&self, target: &Path) -> Answer<()> {
        // Nothing was ever written for a target whose name is too long.
        let Ok(folder) = self.direct_folder(target) else {
            return Ok(());
        };
        let files = &self.host.files;
        self.step(Rpc::NodeUnpublishVolume, &folder, "take the device from the virtual machine")?;
        let failed = |path: &Path, e: std::io::Error| {
            let message = format!("can't remove {}: {e}", path.display());
            Err(Status::new(Code::Internal, message))
        };
        let path = folder.join(FILE);
        match files.remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return failed(&path, e),
            _ => {}
        }
        match files.remove_dir(&folder) {
            Ok(()) => Ok(()),
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                Ok(())
            }
            Err(e) => failed(&folder, e),
        }
    }

    /// Tells the runtime that the device has grown. Without the runtime's program the machine sees
    /// it when it starts the next time.
    pub(super) fn expand_direct(&self, target: &Path, size: Bytes) -> Answer<()> {
        let rpc = Rpc::NodeExpandVolume;
        let Ok(program) = find_program(self.host.files.as_ref(), "kata-runtime", "kata-runtime")
        else {
            tracing::warn!(target = %target.display(), "kata-runtime is not installed: a running machine does not learn of the new size");
            return Ok(());
        };
        let run = Invocation::new(&program)
            .args(["direct-volume", "resize", "--volume-path"])
            .arg(target.as_os_str())
            .arg("--size")
            .arg(size.get().to_string());
        let output = self.host.programs.run(&run).map_err(|e| Status::of(rpc, &e))?;
        if output.success() {
            return Ok(());
        }
        let subject = open_local_core::Subject::path(target);
        let error = output.failure(open_local_core::Op::RunProgram, subject, &program);
        Err(Status::of(rpc, &error))
    }

    /// The folder that is named after a target.
    pub(super) fn direct_folder(&self, target: &Path) -> Answer<PathBuf> {
        let name = base64(target.as_os_str().as_encoded_bytes());
        if name.len() > MAX_FILE_NAME {
            let what = format!(
                "has {} bytes, too many for a device that is handed over",
                target.as_os_str().len()
            );
            return Err(Status::invalid("target_path", what));
        }
        Ok(self.config.direct_volumes.join(name))
    }

    /// A small file, whole or not at all.
    fn write_text(&self, folder: &Path, name: &str, text: &[u8]) -> Answer<()> {
        let files = &self.host.files;
        let write = || -> std::io::Result<()> {
            let above: Vec<&Path> = folder.ancestors().collect();
            for part in above.into_iter().rev().filter(|part| files.stat(part).is_err()) {
                files.create_dir(part)?;
            }
            let new = folder.join(".new");
            match files.remove_file(&new) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let file = files.create_new(&new)?;
            file.set_len(Bytes::new(u64::try_from(text.len()).unwrap_or(u64::MAX)))?;
            file.write_at(0, text)?;
            file.flush()?;
            files.rename(&new, &folder.join(name))?;
            files.sync_dir(folder)
        };
        write().map_err(|e| {
            let message = format!("can't write {}: {e}", folder.join(name).display());
            Status::new(Code::Internal, message)
        })
    }
}

/// Base64 with the alphabet for URLs and with padding (RFC 4648, section 5).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let part = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = part(0) << 16 | part(1) << 8 | part(2);
        for digit in 0..4_usize {
            let index = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap_or_default();
            let sign = ALPHABET.get(index).copied().unwrap_or(b'=');
            text.push(if digit > chunk.len() { '=' } else { char::from(sign) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "-_8=");
    }
}
