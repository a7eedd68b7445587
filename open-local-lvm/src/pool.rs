//! Pools in volume groups: the backend `lvm`.
//!
//! A pool is a group ([`mode=thick`](PARAMETERS): linear and striped volumes) or a thin pool in
//! one (`mode=thin`: thin volumes, snapshots, clones). Every volume carries what we know of it in
//! [`tags`], so that it comes with the disks; what has none of our tags is neither changed nor
//! removed. The host keeps only which pools there are and on which devices.
//!
//! ```
//! # #[cfg(feature = "sim")] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use open_local_core::sim::{SimDisks, SimFiles, sim_host};
//! use open_local_core::{Backend, Bytes, PoolExt, PoolSpec, PublishSpec, SnapshotSpec, VolumeSpec};
//! use open_local_lvm::activate::{ActivateOptions, UdevMode};
//! use open_local_lvm::dm::sim::SimDm;
//! use open_local_lvm::exec::Settings;
//! use open_local_lvm::pool::LvmBackend;
//!
//! // A machine in memory; a real one has Host::system(), SystemDevices and SystemDm.
//! let files = Arc::new(SimFiles::new(1));
//! let disks = SimDisks::new(&files)?;
//! disks.add("sdb", Bytes::GIB, Some("naa.5001"))?;
//! let dm = SimDm::new(&files, Arc::new(disks.of_kernel()))?;
//! # for folder in ["/run/lock/lvm", "/run/lvm", "/etc/lvm", "/proc/1", "/proc/2", "/var/lib"] {
//! #     files.add_folder(folder)?;
//! # }
//! # let table = b"1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:20 / /run rw - tmpfs tmpfs rw\n";
//! # files.add_file("/proc/self/mountinfo", table)?;
//! # files.add_file("/proc/1/mountinfo", table)?;
//! # files.add_file("/proc/2/comm", b"kthreadd\n")?;
//! let host = sim_host(files, 1);
//! let backend = LvmBackend::new(host, Arc::new(disks), Settings::default())
//!     .with_device_mapper(Arc::new(dm), ActivateOptions::new(UdevMode::Absent));
//!
//! let spec = PoolSpec::new("fast".parse()?)
//!     .with_parameter("devices", "/dev/sdb")
//!     .with_parameter("mode", "thin");
//! let _ = backend.ensure_pool(&spec)?;
//! let pool = backend.open_pool(&spec.id)?;
//!
//! let data = VolumeSpec::new("data".parse()?, Bytes::from_mib(100).unwrap());
//! let _ = pool.ensure_volume(&data)?;
//! let device = pool.publish(&PublishSpec::new(data.id.clone()))?.into_inner();
//! assert_eq!(device.device.to_str(), Some("/dev/dm-4"));
//! let snapshot = SnapshotSpec::new("monday".parse()?, data.id.clone());
//! let taken = pool.require_snapshots()?.ensure_snapshot(&snapshot)?;
//! assert_eq!(taken.get().size, Bytes::from_mib(100).unwrap());
//! # Ok(()) }
//! # #[cfg(not(feature = "sim"))] fn main() {}
//! ```
//!
//! # What a cut leaves, and what the next call does
//!
//! Every change is planned from what is there, and each step leaves a state that the same call,
//! made again by another process, finishes or undoes. The group's text comes first and the kernel
//! second; the text never goes back once a thin pool was told something.
//!
//! | Change | Cut | Found | The next call |
//! |---|---|---|---|
//! | any | while the text is written | the old text, perhaps an announced one | plans anew; the next commit clears the announcement |
//! | make a thick volume | before the commit | zeroes on free extents | makes it |
//! | remove a thick volume | after the commit | it is `erasing`, its name free | upkeep erases it from where its tag says |
//! | make, copy, snapshot or remove a thin volume | after the commit, before the message | the pool's transaction id is one lower | sends the message |
//! | the same | between message and transaction id | the same, the device there or gone | deletes what is there and makes it anew, since the pool had none of that number before the commit; what is gone is no error |
//! | the same | after the transaction id | the ids are equal | has nothing to do; the next commit drops the message |
//! | snapshot of a published volume | while its writes are held | a suspended device | lets it go on, then holds it again for the message |
//! | roll back | after the commit | as for a copy; the old device is deleted last | makes the new device, deletes the old one |
//! | grow a published volume | after the commit | a device smaller than its volume | puts the new table in force |
//! | publish, unpublish | between two devices of a stack | some of the devices | makes or removes the rest |
//! | make a pool | anywhere | a registration in stage `making` | goes on with the same group; a removal takes away what was made and our marks |
//!
//! The tests cut 29 changes (9 of both kinds of pools, 11 of thin ones) in each call that writes,
//! flushes or tells the kernel something, by a kill and by a power cut; in none of these states is
//! anything lost, leaked or left suspended once the same call was made again. Each run writes the
//! table of operation, cut, step and outcome, and says where it is
//! (`cargo test -p open-local-lvm --features sim --test pool crashes`: one call in five, 368 states;
//! every call where `OPEN_LOCAL_SOAK` is set).
//!
//! | A kill during | The next process, once it has opened the pool, finds it |
//! |---|---|
//! | a change of volumes, snapshots, tokens, policy, before the commit | undone |
//! | the same, after the commit | finished: by the messages, the table or the tags that are left |
//! | publishing, unpublishing | undone or finished |
//! | growing something that is published, at the new table | finished, or to be repeated |
//! | erasing, making a pool | to be repeated: the same call goes on from there |
//!
//! Without a device-mapper ([`LvmBackend::new`] alone) all of it works on volumes that are not
//! active but publishing and thin pools.
//!
//! # What a new volume reads as
//!
//! Thin pools zero every block they give out; one that was told not to (`lvcreate -Zn`) is not
//! adopted. Of a new thick volume the first and the last 512 KiB are zeroed (`zero=ends`, the
//! default), which is more than lvm2 does with `-Wy -Zy`: no signature of an earlier use is found
//! on it. The rest reads as zeroes where its room was erased on removal (`erase=zero`, the default)
//! or was never used, **and as what was there before** where volumes of others were removed from
//! the group, where a device was in other use before it joined, or where `erase=none` was set.
//! Where that must not be seen, `zero=all` zeroes every new volume whole, and what is added when
//! one grows, before it is in the group; the call takes as long as the device needs for it and
//! holds the group's lock meanwhile. One that is cut leaves nothing in the group, and the same call
//! zeroes from the start.
//!
//! # What is asked for and what is there
//!
//! A pool whose making fails leaves nothing: what was made goes, and so do marks that were not there
//! before. A thin pool that lvm2 made (`adopt=yes`) gets our tags and is otherwise never changed; its
//! `when-full`, `chunk` and the group's `extent-size` must be what is asked for, if that is said, and
//! its `data-size` and `metadata-size` at least as much, else the call is a `Conflict` that names
//! both and the command that mends it. With its pool's removal it loses our tags and stays.
//! The call that makes a thin pool makes it larger too: with a larger `data-size` or
//! `metadata-size`. A smaller one is a `Conflict`.
//!
//! # Modules
//!
//! - [`names`], [`tags`]: which volume of a group is which of ours, and what is kept with it;
//! - `orders`, `registration`: what a pool is asked to be, and which pools there are;
//! - `agreement`, `sharing`: whether what is asked for and what is there can be one pool;
//! - `making`, `unmaking`, `thin_pool`: pools come and go;
//! - `objects`, `live`, `group`, `room`: what the group has of a pool, what the kernel has, what
//!   may be promised;
//! - `planner`: from what is seen and wanted to `steps` (pure); `execute` takes them;
//! - `kernel`: devices; `telling`: what thin pools are told;
//! - `recover`: what cut calls left; `upkeep`: erasing what was given up;
//! - `volumes`, `snapshots`, `thin`, `tokens`: the traits over all that.

pub mod names;
pub mod tags;

pub(crate) mod agreement;
mod backend;
mod execute;
mod group;
mod kernel;
mod live;
pub(crate) mod making;
pub(crate) mod objects;
pub(crate) mod orders;
pub(crate) mod planner;
mod recover;
pub(crate) mod registration;
pub(crate) mod room;
pub(crate) mod sharing;
mod snapshots;
mod steps;
mod telling;
mod thin;
mod thin_pool;
mod tokens;
mod unmaking;
mod upkeep;
mod volumes;

pub use backend::LvmBackend;
pub use orders::PARAMETERS;

use open_local_core::Bytes;

/// The name of the backend.
pub const NAME: &str = "lvm";

/// Bounds of work between two marks.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LvmOptions {
    /// After so many bytes of an erasure the progress is made durable.
    pub erase_mark: Bytes,
}

impl Default for LvmOptions {
    fn default() -> Self {
        Self { erase_mark: Bytes::new(256 << 20) }
    }
}
