//! A disk of the run's own, for pools that lie on devices: a loop device over a sparse file in the
//! run's folder, known by a tag with the run's name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use open_local_core::host::{LoopDevice, LoopSpec, Loops, Roots, SystemLoops};
use open_local_core::{Bytes, Error, Op, Result, Subject};

/// The file in the run's folder.
const FILE: &str = "disk";
/// Room for what the demo writes and for the metadata around it; only what is written is taken.
const SIZE: Bytes = Bytes::new(2 << 30);

/// The tag of a run's device, of which no other has the same.
pub(super) fn tag(run: &str) -> String {
    format!("open-local-demo-{run}")
}

/// The device of a run, if it is attached.
///
/// # Errors
/// As the operating system gives them.
pub(super) fn attached(run: &str) -> Result<Option<LoopDevice>> {
    let all = SystemLoops::default().list();
    let all = all.map_err(failed(&Roots::system().dev, "can't list loop devices"))?;
    let tag = tag(run);
    Ok(all.into_iter().find(|device| device.tag == tag))
}

/// Makes and attaches the device of a run.
///
/// # Errors
/// As the operating system gives them, naming the file.
pub(super) fn make(run: &str, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(FILE);
    let made = fs::File::create_new(&path).and_then(|file| file.set_len(SIZE.get()));
    made.map_err(failed(&path, "can't make the file"))?;
    let spec = LoopSpec {
        file: &path,
        tag: &tag(run),
        read_only: false,
        direct_io: false,
        block_size: Bytes::new(512),
    };
    let device = SystemLoops::default().attach(&spec);
    Ok(device.map_err(failed(&path, "can't attach a loop device to it"))?.path)
}

/// Detaches the device of a run, if it is attached.
///
/// # Errors
/// As the operating system gives them.
pub(super) fn detach(run: &str) -> Result<()> {
    let Some(device) = attached(run)? else {
        return Ok(());
    };
    SystemLoops::default().detach(&device).map_err(failed(&device.path, "can't detach it"))
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Error {
    let about = Subject::path(path);
    move |e| Error::from_io(Op::EnsurePool, about, what, e)
}
