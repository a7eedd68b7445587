//! Copying an image: only what holds data, with progress, in bounded pieces.

use std::io;

use super::execute::remedy;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Clock, Deadline, FileIo, Progress};
use crate::units::Bytes;

/// Bytes read and written at once.
const PIECE: u64 = 1 << 20;

/// What a copy needs to know.
pub(super) struct Job<'a> {
    pub(super) op: Op,
    pub(super) subject: &'a Subject,
    pub(super) clock: &'a dyn Clock,
    pub(super) progress: &'a dyn Progress,
    /// The source is held still until then; past it the copy is given up.
    pub(super) until: Option<Deadline>,
    /// After every so many bytes the target is flushed and the mark told.
    pub(super) mark_every: Bytes,
}

/// Copies `from` between two places. The target reads as zeroes from the first on, or as `from`.
///
/// # Errors
/// `OutOfSpace` or `Io`; `Timeout` if the source can't be held still any longer; whatever `mark`
/// gives.
pub(super) fn copy(
    job: &Job<'_>,
    from: &dyn FileIo,
    to: &dyn FileIo,
    (start, end): (Bytes, Bytes),
    mut mark: impl FnMut(Bytes) -> Result<()>,
) -> Result<()> {
    let failed = |what: &'static str| {
        move |e: io::Error| {
            let remedy = remedy(&e);
            Error::from_io(job.op, job.subject.clone(), what, e).with_remedy(remedy)
        }
    };
    let total = from.size().map_err(failed("can't read the source's size"))?.min(end);
    let mut marked = start.get();
    let mut at = start.get();
    job.progress.advanced(job.op, job.subject, start, total);
    let mut buffer = vec![0u8; usize::try_from(PIECE).unwrap_or(1 << 16)];
    while let Some((data, end)) = from.next_data(at).map_err(failed("can't read the source"))? {
        at = data.max(at);
        let end = end.min(total.get());
        while at < end {
            if job.until.is_some_and(|deadline| deadline.has_passed(job.clock)) {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    job.op,
                    job.subject.clone(),
                    format!(
                        "only {} of {total} were copied in the time the source may be frozen",
                        Bytes::new(at)
                    ),
                )
                .with_remedy("unpublish the source first, or use a pool that shares blocks"));
            }
            let len = (end - at).min(PIECE);
            let piece = buffer.get_mut(..usize::try_from(len).unwrap_or(0)).unwrap_or_default();
            from.read_at(at, piece).map_err(failed("can't read the source"))?;
            to.write_at(at, piece).map_err(failed("can't write the copy"))?;
            at += len;
            job.progress.advanced(job.op, job.subject, Bytes::new(at), total);
            if at - marked >= job.mark_every.get() {
                to.flush().map_err(failed("can't flush the copy"))?;
                mark(Bytes::new(at))?;
                marked = at;
            }
        }
        if end >= total.get() {
            break;
        }
    }
    to.flush().map_err(failed("can't flush the copy"))?;
    job.progress.advanced(job.op, job.subject, total, total);
    Ok(())
}
