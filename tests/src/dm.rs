//! Device-mapper fixtures: disks that fail, wait, or write down what is written to them.
//!
//! Everything goes through `dmsetup`, run by its absolute path. A device's name begins with the
//! run id of its test, and the test's [`Scratch`](crate::Scratch) removes what carries that id,
//! also after a panic; nothing else is touched.
//!
//! | Module | Holds |
//! |---|---|
//! | [`control`] | one device: made, loaded, suspended, removed |
//! | [`table`] | tables as data (pure) |
//! | [`mod@slice`] | a part of a disk that grows |
//! | [`faulty`] | a disk whose behaviour is switched while it is in use |
//! | [`log_format`] | what the target `log-writes` writes (pure, total) |
//! | [`write_log`] | a disk that is logged, and its replay |
//! | [`disks`] | the guest's disks, by serial number |
//! | [`nbd`] | a disk that loses power, behind the kernel's nbd driver |

pub mod control;
pub mod disks;
pub mod faulty;
pub mod log_format;
pub mod nbd;
pub mod slice;
pub mod table;
pub mod write_log;

pub use control::DmDevice;
pub use disks::Disk;
pub use faulty::{Fault, FaultyDevice};
pub use nbd::NbdDisk;
pub use slice::Slice;
pub use write_log::WriteLog;
