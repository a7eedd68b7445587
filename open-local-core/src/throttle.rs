//! I/O limits of a process group on a device, through cgroup v1 and v2.
//!
//! Feature `throttle`.
//!
//! [`HostThrottle`] finds out by itself which hierarchy can limit I/O: the v1 controller `blkio`
//! where it is mounted, else a v2 hierarchy with the controller `io`.
//!
//! On v2 a limit on a cgroup holds for everything below it. On v1 it holds for the processes of
//! that very cgroup only (measured: a writer in a child of a limited cgroup is not limited), so
//! it is copied to every cgroup below the target, and to those that appear later by
//! [`IoThrottle::reconcile`]. Each of them may then use the limit for itself.
//!
//! Nothing here survives a reboot: device numbers mean nothing after it, so a recorded limit of
//! another boot is forgotten, and whoever wants it applies it again.
//!
//! ```no_run
//! use open_local_core::BytesPerSec;
//! use open_local_core::host::Host;
//! use open_local_core::throttle::{CgroupTarget, HostThrottle, IoLimits, IoThrottle, Support};
//! # fn limit(device: open_local_core::Attachment) -> open_local_core::Result<()> {
//! let throttle = HostThrottle::new(Host::system());
//! let service = CgroupTarget::new("my/service")?;
//! if let Support::Partial(why) | Support::None(why) = throttle.support(&service, device.number)? {
//!     eprintln!("not all of it will be limited: {why}");
//! }
//! let limits = IoLimits::none().with_write_bps(BytesPerSec::new(10 << 20));
//! let _ = throttle.apply(&service, device.number, &limits)?;
//! let _ = throttle.clear(&service, device.number)?;
//! # Ok(())
//! # }
//! ```

mod detect;
mod disk;
mod engine;
mod judge;
mod kernel;
mod limits;
mod order;
mod plan;
mod v1;
mod v2;
mod walk;
mod wish;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use crate::device::DeviceNumber;
use crate::error::Result;
use crate::outcome::{Ensured, Removed};

pub use detect::{CgroupMount, Controllers, find_controllers};
pub use engine::HostThrottle;
pub use kernel::{KernelFiles, SystemKernelFiles};
pub use limits::{CgroupTarget, IoLimits, Limit, LimitState, Reconciled, Support};
pub use v1::parse_v1_table;
pub use v2::parse_io_max;
pub use wish::parse_wish;

/// Limits of bytes and I/Os a second.
pub trait IoThrottle: Debug + Send + Sync {
    /// Whether a limit on this device would take effect for this cgroup, and if not fully, why.
    ///
    /// # Errors
    /// `NotFound` for a missing device, `Io`.
    fn support(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Support>;

    /// Sets the limits. An unset limit is lifted. On cgroup v1, which is not hierarchical, they
    /// are written to every cgroup under the target. A target that does not exist yet is a
    /// recorded wish.
    ///
    /// # Idempotency
    /// The limits in force again answer [`Ensured::Unchanged`].
    ///
    /// # Errors
    /// `InvalidArgument` for a limit of zero, `NotFound` for a missing device, `Unsupported` where
    /// no controller can limit, `PermissionDenied`, `Io`.
    fn apply(
        &self,
        target: &CgroupTarget,
        device: DeviceNumber,
        limits: &IoLimits,
    ) -> Result<Ensured<LimitState>>;

    /// What is in force as the kernel says it, and what is wished; `None` if neither.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    fn current(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Option<LimitState>>;

    /// Lifts all limits of this cgroup on this device and forgets the wish.
    ///
    /// # Idempotency
    /// No limit and no wish answers [`Removed::WasAbsent`].
    ///
    /// # Errors
    /// `Io`; a cgroup or device that is gone is no error.
    fn clear(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Removed<LimitState>>;

    /// Brings every recorded wish to cgroups that have appeared since. Call it when something
    /// starts in a cgroup and every few seconds while anything may.
    ///
    /// # Idempotency
    /// Nothing is written where everything is as wished.
    ///
    /// # Errors
    /// `Io`; the other wishes are tried all the same.
    fn reconcile(&self) -> Result<Reconciled>;
}
