//! The trait every device-mapper implements, and what its calls take and answer.

use std::fmt::{self, Debug};

use open_local_core::host::{Clock, Deadline};
use open_local_core::{DeviceNumber, Error, Result, Sectors};

use super::cookie::{Cookie, Udev, UdevAnswer};
use super::id::DmId;
use super::status::StatusLine;
use super::table::Table;

/// A version: of the ioctl interface or of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DmVersion {
    /// Changes where callers must.
    pub major: u32,
    /// Changes where something was added.
    pub minor: u32,
    /// Changes with each repair.
    pub patch: u32,
}

impl fmt::Display for DmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A target the kernel has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetVersion {
    /// Its name, such as `thin-pool`.
    pub name: String,
    /// Its version.
    pub version: DmVersion,
}

impl TargetVersion {
    /// A target of this version.
    #[must_use]
    pub fn new(name: impl Into<String>, version: DmVersion) -> Self {
        Self { name: name.into(), version }
    }
}

/// A device in the kernel's list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DmListed {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: DeviceNumber,
    /// Its UUID: an empty one if it has none, `None` if the kernel's list does not show UUIDs
    /// (before Linux 5.13).
    pub uuid: Option<String>,
}

impl DmListed {
    /// A device of the list.
    #[must_use]
    pub fn new(name: impl Into<String>, number: DeviceNumber, uuid: Option<String>) -> Self {
        Self { name: name.into(), number, uuid }
    }
}

/// What the kernel says of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmInfo {
    /// Its name.
    pub name: String,
    /// Its UUID; empty if it has none.
    pub uuid: String,
    /// Its number.
    pub number: DeviceNumber,
    /// Whether I/O is held back.
    pub suspended: bool,
    /// Whether it has a table that is in force.
    pub live_table: bool,
    /// Whether it has one that a resume will put in force.
    pub inactive_table: bool,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// How often it is open: programs, mounts, and devices on top of it.
    pub open_count: u32,
    /// Events of its targets so far.
    pub event_nr: u32,
    /// Lines of the table in force.
    pub target_count: u32,
}

/// How a suspend, also the one inside a resume, treats what is above the device.
///
/// The default is the careful one: what is in flight is waited for, and a file system is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SuspendFlags {
    /// Whether I/O that was sent is waited for; without, it is queued too. A device that can't do
    /// its I/O must not be flushed: it would never end.
    pub flush: bool,
    /// Whether a file system on it is frozen, so that what it holds is complete.
    pub lockfs: bool,
}

impl SuspendFlags {
    /// Waits for I/O and freezes the file system.
    pub const FREEZE: Self = Self { flush: true, lockfs: true };
    /// Waits for I/O.
    pub const FLUSH: Self = Self { flush: true, lockfs: false };
    /// As short as it can be: nothing is waited for.
    pub const QUICK: Self = Self { flush: false, lockfs: false };
}

impl Default for SuspendFlags {
    fn default() -> Self {
        Self::FREEZE
    }
}

/// Whether asking for the status of a thin pool commits its metadata first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StatusMode {
    /// What the kernel knows now (`DM_NOFLUSH_FLAG`): for reports.
    #[default]
    Now,
    /// After a commit, which writes to the pool.
    Committed,
}

/// Why a target did not take a message; the first two are states a thin pool is in, which the
/// protocol of transaction ids meets when it sends a message again.
#[derive(Debug)]
#[non_exhaustive]
pub enum MessageError {
    /// What should be made exists (`EEXIST`).
    Exists(Error),
    /// What is meant does not exist in the pool (`ENODATA`): the volume to be deleted, the origin
    /// of a snapshot.
    NoData(Error),
    /// Anything else.
    Other(Error),
}

impl MessageError {
    /// The error, whichever it is.
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            Self::Exists(error) | Self::NoData(error) | Self::Other(error) => error,
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(error) | Self::NoData(error) | Self::Other(error) => {
                fmt::Display::fmt(error, f)
            }
        }
    }
}

impl std::error::Error for MessageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Exists(error) | Self::NoData(error) | Self::Other(error) => error.source(),
        }
    }
}

impl From<Error> for MessageError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<MessageError> for Error {
    fn from(error: MessageError) -> Self {
        error.into_error()
    }
}

/// Control of device-mapper: one kernel's devices.
///
/// Every call is one ioctl and leaves all decisions to its caller. None is repeated by itself and
/// none waits for udev but [`Self::wait`].
///
/// # Errors
/// Every call: `PermissionDenied` without the privilege (`CAP_SYS_ADMIN`), `Unsupported` where the
/// kernel has no device-mapper or speaks another major version, `InvalidArgument` for a name,
/// UUID, table or message the kernel does not take, `Io` for what it answers otherwise. With a
/// [`DmId`], `NotFound` for a device that does not exist.
pub trait DeviceMapper: Debug + Send + Sync {
    /// The version of the kernel's interface.
    ///
    /// # Errors
    /// As the trait says.
    fn version(&self) -> Result<DmVersion>;

    /// The targets the kernel has loaded now; others may be loaded when a table names them.
    ///
    /// # Errors
    /// As the trait says.
    fn targets(&self) -> Result<Vec<TargetVersion>>;

    /// All devices, by name.
    ///
    /// # Errors
    /// As the trait says.
    fn list(&self) -> Result<Vec<DmListed>>;

    /// What the kernel says of a device; `None` if there is none.
    ///
    /// # Errors
    /// As the trait says, but not `NotFound`.
    fn info(&self, id: &DmId) -> Result<Option<DmInfo>>;

    /// Makes a device without a table; an empty `uuid` gives it none. It becomes visible to udev
    /// with its first resume.
    ///
    /// # Errors
    /// `Conflict` if a device has this name or UUID.
    fn create(&self, name: &str, uuid: &str) -> Result<DmInfo>;

    /// Gives a device a table that the next resume puts in force; one loaded before is replaced.
    /// The devices it names are opened, so they count as in use.
    ///
    /// # Errors
    /// `InvalidArgument` for a table the kernel refuses, with its reason in the kernel log; `Busy`
    /// if a device it names is claimed by another user, or belongs to another pool; `NotFound`
    /// also for a device it names, and for a thin volume its pool does not have; `Corrupt` for a
    /// metadata device that begins with something else than metadata.
    fn load(&self, id: &DmId, table: &Table, read_only: bool) -> Result<DmInfo>;

    /// Forgets the table that was loaded and not put in force.
    ///
    /// # Idempotency
    /// Without one nothing changes.
    ///
    /// # Errors
    /// As the trait says.
    fn clear(&self, id: &DmId) -> Result<DmInfo>;

    /// Holds I/O back until a resume. From here on nothing may be waited for, allocated on disk,
    /// or logged that the device could be under.
    ///
    /// # Idempotency
    /// A suspended device stays so.
    ///
    /// # Errors
    /// As the trait says.
    fn suspend(&self, id: &DmId, flags: SuspendFlags) -> Result<DmInfo>;

    /// Puts the loaded table in force, if there is one, and lets I/O go on. A device that is not
    /// suspended and has a new table is suspended for the moment, as `flags` say.
    ///
    /// # Idempotency
    /// A device that is not suspended and has no loaded table stays as it is.
    ///
    /// # Errors
    /// `InvalidArgument` for a suspended device that has no table, and for a loaded table that
    /// does not fit any more: below it, or less than a thin pool has. It is gone or in force then,
    /// and the device stays suspended (Linux 6.1).
    fn resume(&self, id: &DmId, flags: SuspendFlags, udev: Udev<'_>) -> Result<DmInfo>;

    /// Removes a device and its tables.
    ///
    /// # Errors
    /// `Busy` while it is open or used by another device's table.
    fn remove(&self, id: &DmId, udev: Udev<'_>) -> Result<()>;

    /// Gives a device another name; it needs no suspend.
    ///
    /// # Errors
    /// `Conflict` if another device has it (or this one has it already).
    fn rename(&self, id: &DmId, name: &str, udev: Udev<'_>) -> Result<DmInfo>;

    /// The table in force; empty if there is none.
    ///
    /// # Errors
    /// `Corrupt` for an answer that is no table.
    fn table(&self, id: &DmId) -> Result<Table>;

    /// What the targets of the table in force say of themselves.
    ///
    /// # Errors
    /// `Corrupt` for an answer that can't be understood.
    fn status(&self, id: &DmId, mode: StatusMode) -> Result<Vec<StatusLine>>;

    /// Sends a message to the target at a sector of the table in force; what it answers, if it
    /// answers with a text.
    ///
    /// # Errors
    /// [`MessageError`]; among the others `Unsupported` from a thin pool that is read-only or has
    /// failed, and `InvalidArgument` for a wrong transaction id, a device without such a target,
    /// and a message it does not know.
    fn message(
        &self,
        id: &DmId,
        sector: Sectors,
        text: &str,
    ) -> Result<Option<String>, MessageError>;

    /// The devices the table in force uses.
    ///
    /// # Errors
    /// As the trait says.
    fn deps(&self, id: &DmId) -> Result<Vec<DeviceNumber>>;

    /// A new cookie for a batch of changes.
    ///
    /// # Errors
    /// `OutOfSpace` if the kernel has no semaphore left.
    fn cookie(&self) -> Result<Cookie>;

    /// Waits until udev has dealt with every change of the batch, and ends the cookie in any case.
    /// Not to be called while any device is suspended, nor under a lock that udev's rules take.
    ///
    /// # Errors
    /// `Io` if somebody else has removed the semaphore.
    fn wait(&self, cookie: Cookie, clock: &dyn Clock, deadline: Deadline) -> Result<UdevAnswer>;
}
