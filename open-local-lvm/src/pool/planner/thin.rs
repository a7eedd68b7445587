//! Plans for thin volumes. Pure.

use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Source, VolumeSpec};

use super::super::objects::Object;
use super::super::steps::Work;
use super::Seen;
use super::draft::Facts;
use crate::plan::{Growth, Operation, Size};

pub(super) fn make(
    _seen: &Seen<'_>,
    _facts: &Facts,
    spec: &VolumeSpec,
    _size: Bytes,
) -> Result<Work> {
    Err(Error::new(ErrorKind::Unsupported, Op::EnsureVolume, &spec.id, "not yet"))
}

pub(super) fn growth(name: &str, size: Bytes) -> Operation {
    Operation::Extend(Growth::new(name, Size::AtLeast(size)))
}

pub(super) fn remove(
    _seen: &Seen<'_>,
    _facts: &Facts,
    op: Op,
    key: &Source,
    _object: &Object,
) -> Result<Work> {
    Err(Error::new(ErrorKind::Unsupported, op, key, "not yet"))
}
