//! What the kernel and the disk take for a step when no engine is around it.
//!
//! A commit is two flushed writes of a block. The devices lie on a disk of their own, so that the
//! group's is not touched; their thin pool holds nothing but the volumes of the step.

use std::cell::Cell;
use std::path::PathBuf;

use open_local_core::host::{DeviceAccess, DeviceHandle, Devices, Host, OpenMode, SystemDevices};
use open_local_core::{DeviceNumber, Sectors};
use open_local_lvm::dm::table::{Area, PoolFeatures, Table, Target};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, SystemDm, Udev};
use open_local_tests::dm::Disk;

/// Serial number of the disk.
const SERIAL: &str = "floor";
const MIB: u64 = 2048;
/// Where parts of the disk begin, in sectors: commits, the pool's metadata, its data, and what a
/// linear volume lies on.
const METADATA: u64 = 4 * MIB;
const DATA: u64 = 16 * MIB;
const LINEAR: u64 = 144 * MIB;
const DATA_SIZE: u64 = 128 * MIB;
/// Size of a thin volume and of a linear one, and how much more they get.
const THIN_SIZE: u64 = 16 * MIB;
const LINEAR_SIZE: u64 = 4 * MIB;
const MORE: u64 = 4 * MIB;
/// Sectors of a chunk: the smallest.
const CHUNK: u64 = 128;
/// What is zeroed at both ends of a new linear volume.
const WIPED: u64 = 512 << 10;
/// Ids in the thin pool: of the origin, and of what comes and goes.
const ORIGIN: u32 = 1;
const NEW: u32 = 2;

pub(crate) struct Floor {
    dm: SystemDm,
    disk: DeviceNumber,
    device: Box<dyn DeviceHandle>,
    pool: DeviceNumber,
    transaction: Cell<u64>,
}

fn named(name: &str) -> DmId {
    DmId::Name(format!("floor-{name}"))
}

impl Floor {
    /// A thin pool with one volume.
    pub(crate) fn new() -> Self {
        let disk = Disk::by_serial(SERIAL);
        let dm = SystemDm::open(&Host::system().roots).expect("device-mapper");
        let access = DeviceAccess::Direct(OpenMode::ReadWrite);
        let device = SystemDevices.open(&disk.path(), access).expect("open the disk");
        device.zero(METADATA * 512, 4096).expect("zero the pool's metadata");
        let number = disk.number;
        let mut floor = Self { dm, disk: number, device, pool: number, transaction: Cell::new(0) };
        let metadata = floor.activate("tmeta", floor.linear(METADATA, DATA - METADATA));
        let data = floor.activate("tdata", floor.linear(DATA, DATA_SIZE));
        let features = PoolFeatures { skip_block_zeroing: true, ..PoolFeatures::default() };
        let block = Sectors::new(CHUNK);
        let target = Target::ThinPool { metadata, data, block, low_water: 0, features };
        floor.pool = floor.activate("tpool", Table::single(Sectors::new(DATA_SIZE), target));
        floor.message(&format!("create_thin {ORIGIN}"));
        floor.next_transaction();
        let _ = floor.activate("origin", floor.thin(ORIGIN, THIN_SIZE));
        floor
    }

    fn linear(&self, start: u64, size: u64) -> Table {
        let area = Area { device: self.disk, offset: Sectors::new(start) };
        Table::single(Sectors::new(size), Target::Linear(area))
    }

    fn thin(&self, id: u32, size: u64) -> Table {
        let target = Target::Thin { pool: self.pool, id, external: None };
        Table::single(Sectors::new(size), target)
    }

    fn activate(&self, name: &str, table: Table) -> DeviceNumber {
        let made = self.dm.create(&format!("floor-{name}"), "").expect("create");
        self.reload(name, &table);
        made.number
    }

    fn reload(&self, name: &str, table: &Table) {
        let _ = self.dm.load(&named(name), table, false).expect("load");
        let resumed = self.dm.resume(&named(name), SuspendFlags::QUICK, Udev::NO_UDEV);
        let _ = resumed.expect("resume");
    }

    fn remove(&self, name: &str) {
        self.dm.remove(&named(name), Udev::NO_UDEV).expect("remove");
    }

    fn message(&self, text: &str) {
        let pool = DmId::Number(self.pool);
        let _ = self.dm.message(&pool, Sectors::new(0), text).expect("a message");
    }

    fn next_transaction(&self) {
        let old = self.transaction.get();
        let new = old + 1;
        self.message(&format!("set_transaction_id {old} {new}"));
        self.transaction.set(new);
    }

    fn commit(&self, commits: u64) {
        for _ in 0..commits * 2 {
            self.device.write_at(0, &[0; 4096]).expect("write");
            self.device.flush().expect("flush");
        }
    }

    pub(crate) fn create_linear(&self, commits: u64) {
        self.commit(commits);
        let number = self.activate("new", self.linear(LINEAR, LINEAR_SIZE));
        let node = PathBuf::from(format!("/dev/dm-{}", number.minor()));
        let device = SystemDevices.open(&node, DeviceAccess::Claim).expect("open the volume");
        device.zero(0, WIPED).expect("zero the start");
        device.zero(LINEAR_SIZE * 512 - WIPED, WIPED).expect("zero the end");
    }

    pub(crate) fn extend_linear(&self, commits: u64) {
        self.commit(commits);
        self.reload("new", &self.linear(LINEAR, LINEAR_SIZE + MORE));
    }

    pub(crate) fn remove_linear(&self, commits: u64) {
        self.remove("new");
        self.commit(commits);
    }

    pub(crate) fn create_thin(&self, commits: u64) {
        self.commit(commits);
        self.message(&format!("create_thin {NEW}"));
        self.next_transaction();
        let _ = self.activate("new", self.thin(NEW, THIN_SIZE));
    }

    pub(crate) fn extend_thin(&self, commits: u64) {
        self.commit(commits);
        self.reload("new", &self.thin(NEW, THIN_SIZE + MORE));
    }

    pub(crate) fn remove_thin(&self, commits: u64) {
        self.remove("new");
        self.remove_snapshot(commits);
    }

    pub(crate) fn snapshot(&self, commits: u64) {
        self.commit(commits);
        let _ = self.dm.suspend(&named("origin"), SuspendFlags::FREEZE).expect("suspend");
        self.message(&format!("create_snap {NEW} {ORIGIN}"));
        self.next_transaction();
        let resumed = self.dm.resume(&named("origin"), SuspendFlags::QUICK, Udev::NO_UDEV);
        let _ = resumed.expect("resume");
    }

    pub(crate) fn remove_snapshot(&self, commits: u64) {
        self.commit(commits);
        self.message(&format!("delete {NEW}"));
        self.next_transaction();
    }
}
