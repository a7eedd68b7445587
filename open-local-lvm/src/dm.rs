//! Device-mapper: the kernel half of a volume group.
//!
//! Everything goes through the trait [`DeviceMapper`]: the real kernel and a simulated one answer
//! alike, and the same scripted sequences hold them to it.
//!
//! - [`DmId`], [`DmInfo`]: how a device is addressed, and what the kernel says of it;
//! - [`table`]: what a device is made of; [`status`]: what its targets say of themselves;
//! - [`Cookie`], [`Udev`]: telling udev of changes, one shared cookie for a batch of them.

pub mod fuzz;
#[cfg(feature = "sim")]
pub mod sim;
pub mod status;
pub mod table;

mod control;
mod cookie;
#[cfg(feature = "devicemapper")]
mod devicemapper;
mod failure;
mod id;
mod ioctl;
mod system;
mod wire;

pub use control::{
    DeviceMapper, DmInfo, DmListed, DmVersion, MessageError, StatusMode, SuspendFlags,
    TargetVersion,
};
pub use cookie::{Cookie, Udev, UdevAnswer, UdevFlags};
#[cfg(feature = "devicemapper")]
pub use devicemapper::CrateDm;
pub use id::{DmId, MAX_NAME, MAX_UUID, check_name, check_uuid};
pub use system::SystemDm;
