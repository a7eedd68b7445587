//! Arguments that are no type of core.

use std::path::Path;

use open_local_core::throttle::CgroupTarget;
use open_local_core::{Error, ErrorKind, Op, SnapshotId, Subject, VolumeId};

/// `KEY=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), Error> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| {
            let about = Subject::value(text);
            Error::new(ErrorKind::InvalidArgument, Op::Parse, about, "this is not KEY=VALUE")
                .with_remedy("write it like team=storage")
        })
}

/// `SNAPSHOT=VOLUME`.
pub(super) fn member(text: &str) -> Result<(SnapshotId, VolumeId), Error> {
    let (snapshot, volume) = text.split_once('=').ok_or_else(|| {
        let about = Subject::value(text);
        Error::new(ErrorKind::InvalidArgument, Op::Parse, about, "this is not SNAPSHOT=VOLUME")
            .with_remedy("write it like data-monday=data")
    })?;
    Ok((SnapshotId::new(snapshot)?, VolumeId::new(volume)?))
}

/// The path of a cgroup below the hierarchy's root.
pub(super) fn cgroup(text: &str) -> Result<CgroupTarget, Error> {
    CgroupTarget::new(Path::new(text))
}
