//! Errors a person can act on.

use crate::conformance::case::{Case, Checked, check};
use crate::conformance::lab::{Context, refused, vol, volume_source};
use crate::error::{Error, ErrorKind, Subject};
use crate::spec::{PublishSpec, VolumeSpec};
use crate::units::Bytes;

pub(super) const CASES: &[Case] = &[Case::new(
    "errors/name_the_thing_and_the_remedy",
    "Every refusal names its subject, says what is wrong with it, and what to do.",
    name_the_thing_and_the_remedy,
)
.rests_on(&[
    "sizes/malformed_are_refused",
    "sizes/larger_than_the_pool_is_refused",
    "identity/other_size_is_a_conflict",
    "volumes/unknown_is_not_found",
    "publishing/other_mode_is_a_conflict",
    "publishing/published_is_not_removed",
])];

fn judge(what: &str, error: &Error, name: &str) -> Checked {
    let report = error.report();
    check!(error.message().trim().len() > 4, "{what}: the message is {:?}", error.message());
    check!(*error.subject() != Subject::Host, "{what}: no subject in {report}");
    check!(report.to_string().contains(name), "{what}: {name} is not named in {report}");
    check!(
        error.remedy().is_some_and(|remedy| remedy.trim().len() > 4),
        "{what}: no remedy in {report}"
    );
    let source = std::error::Error::source(error).map(ToString::to_string);
    check!(
        source.is_none_or(|source| !error.to_string().contains(&source)),
        "{what}: {error} repeats its source"
    );
    Ok(())
}

fn name_the_thing_and_the_remedy(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let pool = lab.pool();
    let size = context.mib(4)?;
    lab.create("taken", size)?;
    let on = PublishSpec::new(volume_source("taken")?);
    let _ = pool.publish(&on)?;
    let ensure = |name: &str, size: Bytes| -> Checked<Result<(), Error>> {
        Ok(pool.ensure_volume(&VolumeSpec::new(vol(name)?, size)).map(drop))
    };
    let unknown = PublishSpec::new(volume_source("unknown")?);
    let taken = vol("taken")?;
    let provoked = [
        ("size 0", ensure("zero", Bytes::ZERO)?, "zero"),
        ("size 513", ensure("odd", Bytes::new(513))?, "odd"),
        ("1 PiB", ensure("huge", Bytes::new(1 << 50))?, "huge"),
        ("other size", ensure("taken", context.mib(8)?)?, "taken"),
        ("unknown", pool.publish(&unknown).map(drop), "unknown"),
        ("other mode", pool.publish(&on.clone().read_only()).map(drop), "taken"),
        ("published", pool.remove_volume(&taken).map(drop), "taken"),
    ];
    let kinds = [
        ErrorKind::InvalidArgument,
        ErrorKind::InvalidArgument,
        ErrorKind::OutOfSpace,
        ErrorKind::Conflict,
        ErrorKind::NotFound,
        if context.can.read_only { ErrorKind::Conflict } else { ErrorKind::Unsupported },
        ErrorKind::Busy,
    ];
    for ((what, answer, name), kind) in provoked.into_iter().zip(kinds) {
        judge(what, &refused(what, answer, kind)?, name)?;
    }
    let _ = pool.unpublish(&on.source)?;
    Ok(())
}
