//! Scripts on the simulated kernel.

use std::sync::Arc;

use open_local_core::host::{DeviceAccess, Devices};
use open_local_core::sim::{SimDisks, SimFiles};
use open_local_core::{Bytes, DeviceNumber};
use open_local_lvm::dm::sim::SimDm;

use super::{Player, Stage};

/// What a script tells on a simulated machine with one disk of 64 MiB.
///
/// # Panics
/// If the machine can't be made.
#[must_use]
#[expect(clippy::expect_used, reason = "a test that lacks its machine must fail")]
pub fn on_simulation(script: &str) -> Vec<String> {
    let files = Arc::new(SimFiles::new(1));
    let disks = SimDisks::new(&files).expect("an empty machine");
    let size = Bytes::from_mib(64).expect("a size");
    disks.add("vda", size, None).expect("a disk");
    let dm = SimDm::new(&files, Arc::new(disks.of_kernel())).expect("an empty machine");
    let disk = dm.open("/dev/vda".as_ref(), DeviceAccess::Look).expect("the disk");
    let disk: DeviceNumber = disk.number().expect("its number");
    let discard = |number, offset, len| dm.discard(number, offset, len);
    let stage =
        Stage { dm: &dm, devices: &dm, disk, discard: &discard, prefix: "script.".to_owned() };
    Player::new(stage).play(script)
}
