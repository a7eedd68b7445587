//! The other side: what people type or put into scripts, one program a step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use open_local_core::Bytes;
use open_local_tests::scratch::run;

use crate::side::{SIZE, Side};

/// Volumes as plain files, by `truncate`, `cp`, `losetup` and `rm`.
#[derive(Debug)]
pub struct Tools {
    folder: PathBuf,
    reflink: bool,
    flush: bool,
    devices: RefCell<BTreeMap<String, String>>,
}

impl Tools {
    /// Files in a new folder. `reflink` says whether its file system shares blocks; with `flush`
    /// a `sync` of the files and folders that were changed follows wherever our side flushes.
    ///
    /// # Panics
    /// If the folder can't be made.
    #[must_use]
    pub fn new(folder: &Path, reflink: bool, flush: bool) -> Self {
        fs::create_dir(folder).expect("make the folder of the tools");
        Self { folder: folder.to_path_buf(), reflink, flush, devices: RefCell::default() }
    }

    /// Starts a program that does nothing: what every step of the tools costs at least.
    pub fn nothing() {
        let _ = run("true", &[]);
    }

    /// Flushes files and folders, if this side flushes.
    fn sync(&self, paths: &[&Path]) {
        if self.flush {
            let paths: Vec<&OsStr> = paths.iter().map(|path| path.as_os_str()).collect();
            let _ = run("sync", &paths);
        }
    }

    fn copy(&self, from: &str, to: &str) {
        let how = if self.reflink { "--reflink=always" } else { "--sparse=always" };
        let (from, to) = (self.image(from), self.image(to));
        let _ = run("cp", &[how.as_ref(), from.as_os_str(), to.as_os_str()]);
        self.sync(&[&to, &self.folder]);
    }
}

fn truncate(file: &Path, size: Bytes) {
    let size = format!("--size={}", size.get());
    let _ = run("truncate", &[size.as_ref(), file.as_os_str()]);
}

impl Side for Tools {
    fn name(&self) -> &'static str {
        if self.flush { "tools with sync" } else { "tools" }
    }

    fn create(&self, volume: &str) {
        let image = self.image(volume);
        truncate(&image, SIZE);
        self.sync(&[&image, &self.folder]);
    }

    fn snapshot(&self, volume: &str, snapshot: &str) {
        self.copy(volume, snapshot);
    }

    fn clone_snapshot(&self, snapshot: &str, volume: &str) {
        self.copy(snapshot, volume);
    }

    fn publish(&self, volume: &str) {
        let image = self.image(volume);
        let options = ["--direct-io=on", "--find", "--show"].map(OsStr::new);
        let arguments: Vec<&OsStr> = options.into_iter().chain([image.as_os_str()]).collect();
        let device = run("losetup", &arguments).trim().to_owned();
        let _ = self.devices.borrow_mut().insert(volume.to_owned(), device);
    }

    fn grow(&self, volume: &str, size: Bytes) {
        let image = self.image(volume);
        truncate(&image, size);
        self.sync(&[&image]);
        let devices = self.devices.borrow();
        let device = devices.get(volume).expect("it is published");
        let _ = run("losetup", &["--set-capacity".as_ref(), device.as_ref()]);
    }

    fn unpublish(&self, volume: &str) {
        let device = self.devices.borrow_mut().remove(volume);
        let device = device.expect("it is published");
        let _ = run("losetup", &["--detach".as_ref(), device.as_ref()]);
    }

    fn remove(&self, volume: &str) {
        let image = self.image(volume);
        let _ = run("rm", &[image.as_os_str()]);
        self.sync(&[&self.folder]);
    }

    fn remove_snapshot(&self, snapshot: &str) {
        self.remove(snapshot);
    }

    fn image(&self, volume: &str) -> PathBuf {
        self.folder.join(volume)
    }
}
