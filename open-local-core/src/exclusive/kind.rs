//! What differs between one kind of place and another.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use super::erasure::Erasure;
use super::record::PlaceRecord;
use crate::capability::Capabilities;
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::info::AttachmentKind;
use crate::spec::PoolSpec;
use crate::token::Uuid;
use crate::units::Bytes;

/// A place as it is seen now, without having been opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) path: PathBuf,
    pub(crate) number: DeviceNumber,
    pub(crate) size: Bytes,
    pub(crate) block_size: Bytes,
    /// Whether writes are refused.
    pub(crate) read_only: bool,
    pub(crate) sequence: Option<u64>,
    /// What people choose by, such as `ssd`.
    pub(crate) media: &'static str,
}

/// Why a place can't be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Away {
    pub(crate) kind: ErrorKind,
    pub(crate) why: String,
    pub(crate) remedy: String,
}

impl Away {
    pub(crate) fn missing(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind: ErrorKind::NotFound, why: why.into(), remedy: remedy.into() }
    }

    pub(crate) fn ambiguous(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Refused, why: why.into(), remedy: remedy.into() }
    }

    pub(crate) fn error(&self, op: Op, subject: impl Into<Subject>) -> Error {
        Error::new(self.kind, op, subject, self.why.clone()).with_remedy(self.remedy.clone())
    }
}

/// What is seen of a place now.
pub(crate) type Seen = std::result::Result<Sighting, Away>;

/// A place somebody named, which may become one of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// As it was named.
    pub(crate) named: PathBuf,
    pub(crate) identity: String,
    pub(crate) sighting: Sighting,
}

/// What a place may hold when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Only what is known to be on it.
    Left(String),
    /// Only what is named.
    Named(Vec<String>),
}

/// One piece of an erasure.
pub(crate) struct Job<'a> {
    pub(crate) op: Op,
    pub(crate) place: &'a PlaceRecord,
    pub(crate) at: &'a Sighting,
    pub(crate) erasure: Erasure,
    /// How far earlier pieces came.
    pub(crate) from: Bytes,
    /// About how much to do.
    pub(crate) budget: Bytes,
    /// After so much, what is done is verified and made durable.
    pub(crate) mark_every: Bytes,
    /// Called before each step.
    pub(crate) before: &'a dyn Fn(&str) -> Result<()>,
    /// Told how far it is.
    pub(crate) progress: &'a dyn Fn(Bytes),
    /// Makes durable that so much of it is erased and verified.
    pub(crate) mark: &'a dyn Fn(Bytes) -> Result<()>,
}

/// How a piece of an erasure ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// How far it came.
    pub(crate) done: Bytes,
    /// What the place holds now, if all of it is done and verified.
    pub(crate) finished: Option<String>,
}

/// A kind of place. Decides nothing: it looks, proves and does.
pub(crate) trait Kind: Debug + Send + Sync {
    /// The name of the backend.
    fn name(&self) -> &'static str;

    /// The word for a place, such as `device`.
    fn noun(&self) -> &'static str;

    fn capabilities(&self) -> Capabilities;

    /// What publishing hands out.
    fn attachment(&self) -> AttachmentKind;

    /// How its places may be erased; the first is the default.
    fn erasures(&self) -> &'static [Erasure];

    /// The parameter that names places, beside those all kinds have.
    fn naming(&self) -> &'static str;

    /// Parameters of its own that are orders of one call.
    fn orders(&self) -> &'static [&'static str];

    /// A place as the subject of errors.
    fn subject(&self, path: &Path) -> Subject;

    /// The places that are at a location now.
    ///
    /// # Errors
    /// `NotFound` if there is no such location, `Refused` if it is none for this kind.
    fn at_location(&self, op: Op, location: &Path) -> Result<Vec<PathBuf>>;

    /// Who the place at a path is.
    ///
    /// # Errors
    /// `NotFound`, `InvalidArgument` if it is no such place, `Refused` if it can't be told from
    /// others.
    fn identify(&self, op: Op, spec: &PoolSpec, path: &Path) -> Result<Found>;

    /// Whether one of two differing identities stands for a part of what the other stands for.
    fn is_part(&self, _one: &str, _other: &str) -> bool {
        false
    }

    /// What is to be seen of these places: one answer each, in their order. Opens none.
    ///
    /// # Errors
    /// `Io` or `Corrupt` if the machine can't be looked at.
    fn see(&self, op: Op, places: &[&PlaceRecord]) -> Result<Vec<Seen>>;

    /// Proves that a place is the one that is meant, of the size it should have, used by nobody,
    /// and holds nothing but what is allowed.
    ///
    /// # Errors
    /// `Refused` or `Busy` saying what speaks against it, `NotFound`, `Io`.
    fn prove(&self, place: &PlaceRecord, at: &Sighting, allowed: &Allowed) -> Result<()>;

    /// Proves that it is the one that is meant, whoever uses it.
    ///
    /// # Errors
    /// `Refused`, `NotFound`, `Io`.
    fn confirm(&self, place: &PlaceRecord, at: &Sighting) -> Result<()>;

    /// Proves that nobody uses it.
    ///
    /// # Errors
    /// `Busy` saying who, and as [`Self::confirm`].
    fn idle(&self, place: &PlaceRecord, at: &Sighting) -> Result<()>;

    /// Leaves our mark, where this kind has one.
    ///
    /// # Errors
    /// `OutOfSpace`, `PermissionDenied`, `Io`.
    fn mark(&self, _pool: &Uuid, _place: &PlaceRecord, _at: &Sighting) -> Result<()> {
        Ok(())
    }

    /// Takes our mark away again, where this kind has one.
    ///
    /// # Errors
    /// `PermissionDenied`, `Io`.
    fn unmark(&self, _place: &PlaceRecord, _at: &Sighting) -> Result<()> {
        Ok(())
    }

    /// Lets writes be refused, or not.
    ///
    /// # Errors
    /// `Io`, `PermissionDenied`.
    fn set_read_only(&self, place: &PlaceRecord, at: &Sighting, on: bool) -> Result<()>;

    /// Makes sure that what lies behind the recorded size reads as zeroes up to `to`.
    ///
    /// # Errors
    /// `Busy` if it does not and the place is in use, `Io`.
    fn blank(&self, place: &PlaceRecord, at: &Sighting, to: Bytes) -> Result<()>;

    /// Does a piece of an erasure and verifies it.
    ///
    /// # Errors
    /// As [`Self::prove`]; what was marked stays done.
    fn erase(&self, job: &Job<'_>) -> Result<Piece>;
}
