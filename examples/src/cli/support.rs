//! `open-local support`.

mod collect;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use open_local_core::host::{Clock, SystemClock};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use serde_json::json;

use crate::answer::Answer;
use crate::context::{Context, absolute};
use crate::view::{size, time};

/// The folder inside the archive.
const FOLDER: &str = "open-local-support";

/// Arguments of `support`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The archive to write; must not exist yet
    #[arg(long, value_name = "FILE.tar.gz")]
    pub out: PathBuf,
}

/// One file of the archive.
pub(crate) struct Item {
    name: String,
    content: Vec<u8>,
}

/// Writes one archive with what a bug report needs: versions, pools, records, mounts, devices and
/// recent operations. No content of volumes, no environment, no secrets.
///
/// # Errors
/// `Conflict` if the file exists, `NotFound`, `PermissionDenied`, `OutOfSpace` or `Io` if it can't
/// be written. What can't be collected is listed in the archive and is no error.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Answer> {
    let path = absolute(&arguments.out)?;
    let steps = [format!("write {}", path.display())];
    if let Some(answer) = context.planned_steps(Subject::path(&path), &steps) {
        return Ok(answer);
    }
    let items = collect::all(context);
    let modified = time::unix(SystemClock.now());
    write(&path, &items, modified)?;
    let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
    let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
    let (shown, length) = (path.display(), size::human(open_local_core::Bytes::new(bytes)));
    Ok(Answer::new(
        json!({ "archive": path.to_string_lossy(), "bytes": bytes, "files": names }),
        format!(
            "{shown}: {} files, {length}\nIt holds names, sizes, tags and paths; look through it before you send it on.",
            names.len()
        ),
    ))
}

fn write(path: &Path, items: &[Item], modified: u64) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let file = options.open(path).map_err(|e| {
        let exists = e.kind() == io::ErrorKind::AlreadyExists;
        let error =
            Error::from_io(Op::WriteState, Subject::path(path), "can't make the archive", e);
        if exists {
            error.with_kind(ErrorKind::Conflict).with_remedy("name a file that does not exist yet")
        } else {
            error.with_remedy("name a file in a folder that exists and may be written")
        }
    })?;
    let written = pack(file, items, modified);
    if written.is_err() {
        // Half an archive helps nobody; the first error is the one to report.
        let _ = fs::remove_file(path);
    }
    written.map_err(|e| {
        Error::from_io(Op::WriteState, Subject::path(path), "can't write the archive", e)
    })
}

fn pack(file: fs::File, items: &[Item], modified: u64) -> io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(item.content.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_mtime(modified);
        let name = format!("{FOLDER}/{}", item.name);
        archive.append_data(&mut header, name, item.content.as_slice())?;
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    file.sync_all()
}
