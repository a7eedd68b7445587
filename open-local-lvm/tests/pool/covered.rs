//! A thin pool under its own name: `vgchange -ay` of lvm2 puts a device of that name on the layer
//! its volumes use (seen with lvm2 2.03.16).

use std::sync::Arc;

use open_local_core::host::Unchecked;
use open_local_core::{Backend, ErrorKind};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, Udev};

use crate::lab::{Lab, id};

/// Makes a device with one table; what it is known by.
fn device(lab: &Lab, name: &str, uuid: &str, table: &str) -> DmId {
    lab.dm.create(name, uuid).unwrap();
    let device = DmId::uuid(uuid);
    lab.dm.load(&device, &table.parse().unwrap(), false).unwrap();
    lab.dm.resume(&device, SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
    device
}

/// A pool that is active under its own name, and the cover that makes it so.
fn covered() -> (Lab, DmId) {
    let lab = Lab::new(&[64]);
    let spec = Lab::spec(&["sda"]).with_parameter("mode", "thin");
    let _ = lab.live(Arc::new(Unchecked)).ensure_pool(&spec).unwrap();
    let group = lab.group();
    let pool = group.logical("pool").unwrap().id;
    let uuid = |layer| format!("LVM-{}{}-{layer}", group.id.to_plain(), pool.to_plain());
    let layer = DmId::uuid(uuid("tpool"));
    lab.dm.rename(&layer, "vg-pool-tpool", Udev::NO_UDEV).unwrap();
    let layer = lab.dm.info(&layer).unwrap().unwrap().number;
    let cover = device(&lab, "vg-pool", &uuid("pool"), &format!("0 2048 linear {layer} 0"));
    (lab, cover)
}

#[test]
fn a_pool_that_is_active_under_its_own_name_is_removed() {
    let (lab, _) = covered();
    assert!(lab.live(Arc::new(Unchecked)).remove_pool(&id()).unwrap().changed());
    assert!(lab.groups().is_empty());
    assert_eq!(lab.dm.list().unwrap().len(), 0);
}

#[test]
fn a_pool_whose_own_name_is_in_use_stays() {
    let (lab, cover) = covered();
    let number = lab.dm.info(&cover).unwrap().unwrap().number;
    let theirs = device(&lab, "theirs", "THEIRS", &format!("0 2048 linear {number} 0"));
    let before = lab.dm.list().unwrap().len();
    let refused = lab.live(Arc::new(Unchecked)).remove_pool(&id()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{}", refused.report());
    assert_eq!(lab.dm.list().unwrap().len(), before);
    assert!(lab.group().logical("pool").is_some());
    lab.dm.remove(&theirs, Udev::NO_UDEV).unwrap();
    assert!(lab.live(Arc::new(Unchecked)).remove_pool(&id()).unwrap().changed());
}

#[test]
fn a_pool_of_which_somebody_uses_the_layer_stays() {
    let (lab, _) = covered();
    let group = lab.group();
    let pool = group.logical("pool").unwrap().id.to_plain();
    let layer = DmId::uuid(format!("LVM-{}{pool}-tpool", group.id.to_plain()));
    let number = lab.dm.info(&layer).unwrap().unwrap().number;
    let _ = device(&lab, "theirs", "THEIRS", &format!("0 2048 linear {number} 0"));
    let refused = lab.live(Arc::new(Unchecked)).remove_pool(&id()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{}", refused.report());
    assert!(lab.group().logical("pool").is_some());
}
