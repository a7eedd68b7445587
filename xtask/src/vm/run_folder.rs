//! The folder of one run: its logs, its share with the guest, its fresh disks.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::disk::{Backing, Disk};
use super::qemu::SHARE_FOLDER;
use crate::Result;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// `PID-NUMBER` below the folder of all runs. The logs stay to be read until a later run; the
/// disks go with the value.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    disks: Vec<PathBuf>,
}

impl RunFolder {
    /// A new one; those of runs that have ended are removed.
    pub(super) fn new(all: &Path) -> Result<Self> {
        sweep(all);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let path = all.join(format!("{}-{number}", std::process::id()));
        let about = |e| format!("{}: {e}", path.display());
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join(SHARE_FOLDER)).map_err(about)?;
        Ok(Self { path, disks: Vec::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn share(&self) -> PathBuf {
        self.path.join(SHARE_FOLDER)
    }

    /// The text of a file of it; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> String {
        let bytes = fs::read(self.path.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Makes the files behind disks, sparse. One that is kept and is there stays as it is.
    pub(super) fn make_disks(&mut self, disks: &[Disk]) -> Result<()> {
        for disk in disks {
            let Some(path) = disk.file(&self.path) else {
                continue;
            };
            let about = |e| format!("{}: {e}", path.display());
            if disk.backing != Backing::Fresh && path.exists() {
                continue;
            }
            let file = File::create_new(&path).map_err(about)?;
            if disk.backing == Backing::Fresh {
                self.disks.push(path.clone());
            }
            file.set_len(disk.size).map_err(about)?;
        }
        Ok(())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        for disk in &self.disks {
            let _ = fs::remove_file(disk);
        }
    }
}

/// Removes the folders of runs whose process is gone. A folder that can't be removed is in
/// nobody's way.
fn sweep(all: &Path) {
    let entries = fs::read_dir(all).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split_once('-'));
        let owner = owner.and_then(|(pid, _)| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_stay_for_a_while_and_disks_do_not() {
        let all = std::env::temp_dir().join(format!("xtask-runs-{}", std::process::id()));
        // No process has this number: it is above the highest there can be (proc_sys_kernel(5)).
        let old = all.join("4194305-0");
        fs::create_dir_all(&old).unwrap();
        fs::create_dir_all(all.join("other")).unwrap();
        let kept = all.join("kept");
        let mut run = RunFolder::new(&all).unwrap();
        let of = |text: &str| text.parse::<Disk>().unwrap();
        let kept_disk = of(&format!("nvme:size=1M,file={}", kept.display()));
        let mut fresh = of("nvme:size=2M");
        fresh.name = "disk0".to_owned();
        run.make_disks(&[kept_disk.clone(), fresh]).unwrap();
        fs::write(&kept, "mine").unwrap();
        run.make_disks(&[kept_disk]).unwrap();
        let path = run.path().to_path_buf();
        let size = fs::metadata(path.join("disk0.disk")).unwrap().len();
        drop(run);
        let left = (path.join("share").exists(), path.join("disk0.disk").exists(), old.exists());
        let other = (all.join("other").exists(), fs::read_to_string(&kept).unwrap());
        fs::remove_dir_all(&all).unwrap();
        assert_eq!(size, 2 << 20);
        assert_eq!(left, (true, false, false));
        assert_eq!(other, (true, "mine".to_owned()));
    }
}
