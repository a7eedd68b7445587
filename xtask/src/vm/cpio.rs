//! An archive in cpio's "newc" format, which the kernel unpacks as its first root (the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).

use crate::Result;

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive that grows entry by entry. A folder comes before what it holds.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    pub(super) fn folder(&mut self, name: &str) -> Result<()> {
        self.entry(name, FOLDER, &[], (0, 0))
    }

    /// A file that everybody may run.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name, FILE, content, (0, 0))
    }

    pub(super) fn device(&mut self, name: &str, major: u32, minor: u32) -> Result<()> {
        self.entry(name, CHARACTER_DEVICE, &[], (major, minor))
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.entry(TRAILER, 0, &[], (0, 0))?;
        Ok(self.bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8], device: (u32, u32)) -> Result<()> {
        let size = |length: usize| {
            u32::try_from(length).map_err(|_| format!("{name}: too large for the archive"))
        };
        self.entries = self.entries.saturating_add(1);
        let name_size = size(name.len().saturating_add(1))?;
        // inode, mode, uid, gid, links, mtime, size, device, device number, name size, checksum
        let (major, minor) = device;
        let length = size(content.len())?;
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, major, minor, name_size, 0];
        self.bytes.extend_from_slice(MAGIC.as_bytes());
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_padded_entries_and_a_trailer() {
        let mut archive = Archive::default();
        archive.folder("dev").unwrap();
        archive.device("dev/console", 5, 1).unwrap();
        archive.file("init", b"#!/x\n").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches(MAGIC).count(), 4);
        let console = "07070100000002000021800000000000000000000000010000000000000000\
                       000000000000000000000005000000010000000C00000000dev/console\0";
        assert!(text.contains(console), "{text}");
        // Size 5 and name size 5; header and name take 116 bytes with their padding.
        let init = "000000050000000000000000000000000000000000000005\
                    00000000init\0\0#!/x\n\0\0\0";
        assert!(text.contains(init), "{text}");
        assert!(text.trim_end_matches('\0').ends_with(TRAILER));
    }
}
