//! Reading the cluster file.

use std::io::Read;
use std::path::Path;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use crate::plan::limits;

/// The bytes of the file, and what messages call it.
///
/// # Errors
/// `InvalidArgument` beyond [`limits::FILE_BYTES`], `NotFound`, `PermissionDenied` or `Io` if it
/// can't be read.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, Subject)> {
    let subject = match path.to_str() {
        Some("-") => Subject::value("standard input"),
        _ => Subject::path(path),
    };
    let refuse = |e: std::io::Error| {
        Error::from_io(Op::Parse, subject.clone(), "can't read the cluster", e)
            .with_remedy("name a file, or - for standard input; `open-local plan init` prints one")
    };
    let most = u64::try_from(limits::FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let taken = if path.to_str() == Some("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    let _ = taken.map_err(refuse)?;
    if bytes.len() > limits::FILE_BYTES {
        let message = format!("more than {} MiB, the most that is read", limits::FILE_BYTES >> 20);
        return Err(Error::new(ErrorKind::InvalidArgument, Op::Parse, subject, message)
            .with_remedy("describe equal nodes once with count, equal pods once with replicas"));
    }
    Ok((bytes, subject))
}
