//! The bounded file of recent operations.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file is rotated when it would grow beyond this many bytes; one older file is kept.
pub const RING_LIMIT: u64 = 1 << 20;

/// A file of lines and its predecessor.
#[derive(Debug, Clone)]
pub struct Ring {
    path: PathBuf,
    limit: u64,
}

impl Ring {
    /// `operations.log` in this folder, which is made with the first line.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("operations.log"), limit: RING_LIMIT }
    }

    /// The same with another limit in bytes.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// The older and the newer file.
    #[must_use]
    pub fn files(&self) -> [PathBuf; 2] {
        [self.path.with_extension("log.1"), self.path.clone()]
    }

    /// Appends a line. Lines of several processes don't mix: each is one write at the end.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn append(&self, line: &str) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let bytes = format!("{}\n", line.replace(['\n', '\r'], " "));
        let length = fs::symlink_metadata(&self.path).map_or(0, |meta| meta.len());
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > 0 && length.saturating_add(added) > self.limit {
            let [older, newer] = self.files();
            fs::rename(newer, older)?;
        }
        let mut options = fs::OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        options.open(&self.path)?.write_all(bytes.as_bytes())
    }

    /// All lines kept, oldest first; none where nothing can be read.
    #[must_use]
    pub fn recent(&self) -> Vec<String> {
        self.files()
            .iter()
            .filter_map(|path| fs::read(path).ok())
            .flat_map(|bytes| {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                text.lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_stays_within_twice_its_limit_and_keeps_the_newest() {
        let folder = std::env::temp_dir().join(format!("open-local-ring-{}", std::process::id()));
        let ring = Ring::in_folder(&folder).with_limit(200);
        for n in 0..100 {
            ring.append(&format!("line {n}\nstill line {n}")).unwrap();
        }
        let kept = ring.recent();
        assert_eq!(kept.last().unwrap(), "line 99 still line 99");
        let bytes: u64 = ring.files().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert!(bytes <= 400, "{bytes}");
        fs::remove_dir_all(folder).unwrap();
    }
}
