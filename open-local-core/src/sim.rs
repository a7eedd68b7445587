//! A deterministic machine in memory, and the `sim` backend on it.
//!
//! Feature `sim`.
//!
//! For tests, documentation and anybody who wants to try things without root: everything above
//! the seams behaves as on real devices, with a virtual clock, a seed for all randomness, a disk
//! as large as wished, and a fault or a kill before whichever step the test chooses.
//!
//! ```
//! use open_local_core::sim::{Machine, SimBackend};
//! use open_local_core::{
//!     Backend, Bytes, PoolId, PoolSpec, PublishSpec, SnapshotId, SnapshotSpec, VolumeId, VolumeSpec,
//! };
//!
//! let machine = Machine::new(42);
//! let backend = SimBackend::new(&machine);
//! let id = PoolId::new("fast")?;
//! let _ = backend.ensure_pool(&PoolSpec::new(id.clone()))?;
//! let pool = backend.open_pool(&id)?;
//!
//! let volume = VolumeId::new("data")?;
//! let _ = pool.ensure_volume(&VolumeSpec::new(volume.clone(), Bytes::GIB))?;
//! let publish = PublishSpec::new(volume.clone());
//! let attachment = pool.publish(&publish)?.into_inner();
//! let device = machine.open(&attachment)?;
//! device.write_at(0, b"before")?;
//!
//! let snapshots = pool.snapshots().expect("the simulator has snapshots");
//! let snapshot = SnapshotId::new("monday")?;
//! let _ = snapshots.ensure_snapshot(&SnapshotSpec::new(snapshot.clone(), volume.clone()))?;
//! device.write_at(0, b"after!")?;
//!
//! drop(device);
//! let _ = pool.unpublish(&publish.source)?;
//! snapshots.roll_back(&volume, &snapshot)?;
//!
//! let attachment = pool.publish(&publish)?.into_inner();
//! let mut read = [0; 6];
//! machine.open(&attachment)?.read_at(0, &mut read)?;
//! assert_eq!(&read, b"before");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A fault before a step, and the repeated call that finishes:
//!
//! ```
//! use std::sync::Arc;
//! use open_local_core::host::StopAt;
//! use open_local_core::sim::{Machine, SimBackend};
//! use open_local_core::{Backend, ErrorKind, PoolId, PoolSpec};
//!
//! let machine = Machine::new(1);
//! let backend = SimBackend::new(&machine);
//! let spec = PoolSpec::new(PoolId::new("p")?);
//! machine.arm(Arc::new(StopAt::new(2)));
//! assert_eq!(backend.ensure_pool(&spec).unwrap_err().kind(), ErrorKind::Indeterminate);
//! machine.crash();
//! assert!(backend.ensure_pool(&spec)?.changed());
//! # Ok::<(), open_local_core::Error>(())
//! ```

mod apply;
mod backend;
mod clock;
mod content;
mod device;
#[cfg(feature = "raw")]
mod disks;
mod faults;
mod files;
#[cfg(feature = "mountpoint")]
mod folders;
mod groups;
#[cfg(feature = "raw")]
mod logged_disks;
#[cfg(feature = "file")]
mod loops;
mod machine;
mod observe;
mod plan;
mod pool;
mod programs;
mod rng;
mod room;
mod state;
mod step;

#[cfg(feature = "fs")]
mod filesystems;
#[cfg(feature = "fs")]
mod format;
#[cfg(feature = "fs")]
mod mounts;
#[cfg(feature = "fs")]
mod quiesce;
#[cfg(feature = "fs")]
mod superblock;
#[cfg(feature = "throttle")]
mod throttle;

#[cfg(test)]
mod tests;

pub use backend::SimBackend;
pub use clock::SimClock;
#[cfg(feature = "raw")]
pub use disks::{SimDiscard, SimDisks};
pub use faults::FailAt;
pub use files::{SimFiles, sim_host};
#[cfg(feature = "mountpoint")]
pub use folders::SimFolders;
#[cfg(feature = "raw")]
pub use logged_disks::{Crash, DiskEvent, LoggedDisks};
#[cfg(feature = "file")]
pub use loops::SimLoops;
pub use machine::Machine;
pub use rng::SimEntropy;

#[cfg(feature = "fs")]
pub use filesystems::SimFilesystems;
#[cfg(feature = "throttle")]
pub use throttle::SimThrottle;
