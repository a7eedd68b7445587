//! The child process whose I/O is limited: this program itself, started again.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use open_local_core::host::{Clock, SystemClock};
use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject};
use serde_json::json;

use crate::answer::Answer;

/// Memory for direct I/O must start at a multiple of the device's logical block size; no device
/// of ours has more than this.
const ALIGNMENT: usize = 4096;

/// Arguments of the hidden command `demo-writer`.
#[derive(Debug, Args)]
pub struct WriterArguments {
    /// A file `cgroup.procs` to join first
    #[arg(long, value_name = "FILE")]
    join: Option<PathBuf>,
    /// The device to overwrite from its start
    #[arg(long, value_name = "DEVICE")]
    to: PathBuf,
    /// How much
    #[arg(long)]
    bytes: Bytes,
    /// How much at a time
    #[arg(long, default_value = "64KiB")]
    block: Bytes,
}

/// Joins the cgroup, writes with direct I/O, and answers `{"bytes", "nanos"}`.
///
/// # Errors
/// `InvalidArgument` for sizes that direct I/O can't write, otherwise as the system gives them.
pub fn write(arguments: &WriterArguments) -> Result<Answer> {
    let block = arguments
        .block
        .to_usize()
        .filter(|n| (ALIGNMENT..=1 << 24).contains(n) && n.is_multiple_of(ALIGNMENT))
        .filter(|_| arguments.bytes.is_multiple_of(arguments.block));
    let Some(block) = block else {
        let message = "the size is no multiple of the block, or the block none of 4096 bytes";
        let error = Error::new(ErrorKind::InvalidArgument, Op::WriteDevice, Subject::Host, message);
        return Err(error.with_remedy("use blocks of 4KiB to 16MiB"));
    };
    if let Some(join) = &arguments.join {
        let joined = fs::write(join, std::process::id().to_string());
        let failed = |e| Error::from_io(Op::WriteDevice, Subject::path(join), "can't join", e);
        joined.map_err(failed)?;
    }
    let clock = SystemClock;
    let start = clock.monotonic();
    fill(&arguments.to, arguments.bytes.get(), block).map_err(|e| {
        let about = Subject::device(&arguments.to);
        Error::from_io(Op::WriteDevice, about, "can't write", e)
    })?;
    let span = clock.monotonic().saturating_sub(start);
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let json = json!({ "bytes": arguments.bytes.get(), "nanos": nanos });
    Ok(Answer::raw(json.to_string()))
}

fn fill(path: &Path, bytes: u64, block: usize) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).custom_flags(libc::O_DIRECT | libc::O_NOFOLLOW);
    let mut file = options.open(path)?;
    let memory = vec![0x5au8; block.saturating_add(ALIGNMENT)];
    let offset = memory.as_ptr().align_offset(ALIGNMENT);
    let aligned =
        memory.get(offset..offset.saturating_add(block)).ok_or(io::ErrorKind::OutOfMemory)?;
    let step = u64::try_from(block).unwrap_or(u64::MAX);
    let mut done = 0;
    while done < bytes {
        file.write_all(aligned)?;
        done = done.saturating_add(step);
    }
    file.sync_data()
}
