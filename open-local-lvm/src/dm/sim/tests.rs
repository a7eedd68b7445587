mod crash;

use std::sync::Arc;

use open_local_core::host::{Deadline, DeviceAccess, DeviceHandle, Devices, Files, Host, OpenMode};
use open_local_core::sim::{SimDisks, SimFiles, sim_host};
use open_local_core::{Bytes, ErrorKind, Sectors};
use std::path::Path;
use std::time::Duration;

use super::super::*;
use super::*;

const BLOCK: usize = 64 << 10;

struct Lab {
    files: Arc<SimFiles>,
    disks: SimDisks,
    dm: SimDm,
    host: Host,
}

impl Lab {
    /// Two disks of 8 MiB: 8:0 and 8:16.
    fn new() -> Self {
        let files = Arc::new(SimFiles::new(1));
        let disks = SimDisks::new(&files).unwrap();
        for name in ["sda", "sdb"] {
            disks.add(name, Bytes::from_mib(8).unwrap(), None).unwrap();
        }
        let dm = SimDm::new(&files, Arc::new(disks.of_kernel())).unwrap();
        let host = sim_host(Arc::clone(&files), 1);
        Self { files, disks, dm, host }
    }

    fn make(&self, name: &str, table: &str) {
        self.dm.create(name, &format!("uuid-{name}")).unwrap();
        self.reload(name, table);
    }

    fn reload(&self, name: &str, table: &str) {
        let id = DmId::name(name);
        self.dm.load(&id, &table.parse().unwrap(), false).unwrap();
        self.dm.resume(&id, SuspendFlags::default(), Udev::NO_UDEV).unwrap();
    }

    fn remove(&self, name: &str) -> Result<(), open_local_core::Error> {
        self.dm.remove(&DmId::name(name), Udev::NO_UDEV)
    }

    /// A pool of 4 MiB of data, 64 blocks, and a volume of 2 MiB with id 1.
    fn with_pool() -> Self {
        let lab = Self::new();
        lab.make("meta", "0 4096 linear 8:0 0");
        lab.make("data", "0 8192 linear 8:16 2048");
        lab.activate();
        lab.say("create_thin 1").unwrap();
        lab.say("set_transaction_id 0 1").unwrap();
        lab.make("v1", "0 4096 thin 254:2 1");
        lab
    }

    fn activate(&self) {
        self.make("pool", "0 8192 thin-pool 254:0 254:1 128 0 0");
    }

    fn say(&self, text: &str) -> Result<Option<String>, MessageError> {
        self.dm.message(&DmId::name("pool"), Sectors::new(0), text)
    }

    fn open(&self, name: &str) -> Box<dyn DeviceHandle> {
        let number = self.dm.number(&DmId::name(name)).unwrap();
        self.dm.open_number(number, DeviceAccess::Direct(OpenMode::ReadWrite)).unwrap()
    }

    fn write(&self, name: &str, block: usize, byte: u8) -> io::Result<()> {
        self.open(name).write_at(u64::try_from(block * BLOCK).unwrap(), &[byte; BLOCK])
    }

    fn read(&self, name: &str, block: usize) -> u8 {
        let mut bytes = vec![0; BLOCK];
        self.open(name).read_at(u64::try_from(block * BLOCK).unwrap(), &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a mixed block");
        bytes[0]
    }

    fn pool(&self) -> status::PoolReport {
        let lines = self.dm.status(&DmId::name("pool"), StatusMode::Now).unwrap();
        lines[0].status.pool_report().unwrap().clone()
    }

    fn power_cut(&self, seed: u64) {
        self.files.power_cut(seed);
        self.disks.reboot();
        self.dm.reboot();
        self.make("meta", "0 4096 linear 8:0 0");
        self.make("data", "0 8192 linear 8:16 2048");
    }
}

use std::io;

#[test]
fn data_lies_where_the_tables_say() {
    let lab = Lab::new();
    lab.make("a", "0 128 linear 8:0 256\n128 128 linear 8:16 0");
    lab.make("b", "0 256 striped 2 64 8:0 512 8:16 512");
    lab.open("a").write_at(500, &[1; 66_000]).unwrap();
    let below = |name: &str, at: u64| {
        let mut bytes = [0; 512];
        lab.disks.content(name, OpenMode::Read).unwrap().read_at(at, &mut bytes).unwrap();
        bytes
    };
    assert_eq!(below("sda", 256 * 512)[499..502], [0, 1, 1]);
    assert_eq!(below("sdb", 0), [1; 512]);
    lab.open("b").write_at(64 * 512, &[2; 512]).unwrap();
    assert_eq!(below("sdb", 512 * 512), [2; 512]);
    let error = lab.open("a").write_at(128 << 10, &[0; 512]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
}

#[test]
fn snapshots_share_until_one_side_writes() {
    let lab = Lab::with_pool();
    lab.write("v1", 0, 1).unwrap();
    lab.write("v1", 1, 2).unwrap();
    lab.dm.suspend(&DmId::name("v1"), SuspendFlags::default()).unwrap();
    lab.say("create_snap 2 1").unwrap();
    lab.dm.resume(&DmId::name("v1"), SuspendFlags::default(), Udev::NO_UDEV).unwrap();
    assert_eq!(lab.pool().used_data, 2);
    lab.make("v2", "0 4096 thin 254:2 2");
    lab.write("v1", 0, 9).unwrap();
    lab.open("v2").write_at(BLOCK as u64, &[2; 512]).unwrap();
    assert_eq!([lab.read("v1", 0), lab.read("v2", 0), lab.read("v2", 1)], [9, 1, 2]);
    assert_eq!(lab.pool().used_data, 4);
    let error = lab.say("delete 2").unwrap_err().into_error();
    assert_eq!(error.kind(), ErrorKind::Busy);
    lab.remove("v2").unwrap();
    lab.say("delete 2").unwrap();
    assert_eq!(lab.pool().used_data, 2);
    assert!(lab.dm.hazards().is_empty(), "{:?}", lab.dm.hazards());
}

#[test]
fn a_snapshot_of_a_running_volume_is_a_hazard() {
    let lab = Lab::with_pool();
    lab.say("create_snap 2 1").unwrap();
    assert_eq!(lab.dm.hazards().len(), 1);
}

#[test]
fn a_power_cut_loses_what_was_not_committed_and_nothing_else() {
    for seed in 0..20 {
        let lab = Lab::with_pool();
        lab.write("v1", 0, 1).unwrap();
        lab.open("v1").flush().unwrap();
        lab.write("v1", 1, 2).unwrap();
        let number = lab.dm.number(&DmId::name("v1")).unwrap();
        lab.dm.discard(number, 0, BLOCK as u64).unwrap();
        lab.power_cut(seed);
        lab.activate();
        assert_eq!((lab.pool().transaction_id, lab.pool().used_data), (1, 1), "{seed}");
        lab.make("v1", "0 4096 thin 254:2 1");
        assert_eq!([lab.read("v1", 0), lab.read("v1", 1)], [1, 0], "{seed}");
    }
}

#[test]
fn a_block_that_was_freed_is_not_reused_before_the_commit() {
    let lab = Lab::with_pool();
    lab.write("v1", 0, 1).unwrap();
    lab.open("v1").flush().unwrap();
    let number = lab.dm.number(&DmId::name("v1")).unwrap();
    lab.dm.discard(number, 0, BLOCK as u64).unwrap();
    lab.write("v1", 5, 7).unwrap();
    lab.power_cut(1);
    lab.activate();
    lab.make("v1", "0 4096 thin 254:2 1");
    assert_eq!(lab.read("v1", 0), 1);
}

#[test]
fn metadata_is_what_the_device_holds() {
    let lab = Lab::with_pool();
    lab.write("v1", 0, 1).unwrap();
    lab.remove("v1").unwrap();
    lab.remove("pool").unwrap();
    // A copy of the metadata device works as well as the metadata.
    lab.make("copy", "0 4096 linear 8:0 4096");
    let (old, new) = (lab.open("meta"), lab.open("copy"));
    let mut bytes = vec![0; 4096 * 512];
    old.read_at(0, &mut bytes).unwrap();
    new.write_at(0, &bytes).unwrap();
    drop((old, new));
    let copy = lab.dm.number(&DmId::name("copy")).unwrap();
    lab.make("pool", &format!("0 8192 thin-pool {copy} 254:1 128 0 0"));
    assert_eq!(lab.pool().transaction_id, 1);
    lab.remove("pool").unwrap();
    // One that begins with something else is refused, one with zeroes is fresh.
    lab.open("copy").write_at(0, &[7; 4096]).unwrap();
    lab.dm.create("pool", "").unwrap();
    let table = format!("0 8192 thin-pool {copy} 254:1 128 0 0").parse().unwrap();
    let error = lab.dm.load(&DmId::name("pool"), &table, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    lab.open("copy").write_at(0, &[0; 4096]).unwrap();
    lab.dm.load(&DmId::name("pool"), &table, false).unwrap();
    lab.dm.resume(&DmId::name("pool"), SuspendFlags::default(), Udev::NO_UDEV).unwrap();
    assert_eq!((lab.pool().transaction_id, lab.pool().used_data), (0, 0));
}

#[test]
fn a_full_pool_says_so_and_works_again_when_it_grows() {
    let lab = Lab::with_pool();
    lab.reload("v1", "0 16384 thin 254:2 1");
    for block in 0..64 {
        lab.write("v1", block, 1).unwrap();
    }
    let error = lab.write("v1", 64, 1).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    let report = lab.pool();
    assert_eq!((report.mode, report.used_data), (status::PoolMode::OutOfDataSpace, 64));
    lab.reload("data", "0 10240 linear 8:16 2048");
    lab.reload("pool", "0 10240 thin-pool 254:0 254:1 128 0 0");
    assert_eq!(lab.pool().mode, status::PoolMode::ReadWrite);
    lab.write("v1", 64, 1).unwrap();
}

#[test]
fn metadata_that_cannot_be_written_makes_the_pool_read_only_for_good() {
    let lab = Lab::with_pool();
    lab.write("v1", 0, 1).unwrap();
    lab.open("v1").flush().unwrap();
    lab.disks.set_read_only("sda", true).unwrap();
    lab.write("v1", 1, 1).unwrap();
    assert!(lab.open("v1").flush().is_err());
    let report = lab.pool();
    assert!(report.needs_check && report.mode == status::PoolMode::ReadOnly);
    let error = lab.say("create_thin 9").unwrap_err().into_error();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!([lab.read("v1", 0), lab.read("v1", 1)], [1, 0]);
    lab.disks.set_read_only("sda", false).unwrap();
    lab.dm.set_needs_check(&DmId::name("pool")).unwrap();
    lab.power_cut(0);
    lab.activate();
    assert!(lab.pool().needs_check, "the flag is on the device");
}

#[test]
fn what_is_used_is_not_removed_and_not_claimed() {
    let lab = Lab::with_pool();
    assert_eq!(lab.remove("pool").unwrap_err().kind(), ErrorKind::Busy);
    let path = Path::new("/dev/sda");
    let claim = lab.disks.open(path, DeviceAccess::Claim).unwrap_err();
    assert_eq!(claim.raw_os_error(), Some(libc::EBUSY));
    let open = lab.open("v1");
    assert_eq!(lab.remove("v1").unwrap_err().kind(), ErrorKind::Busy);
    drop(open);
    for name in ["v1", "pool", "data", "meta"] {
        lab.remove(name).unwrap();
    }
    lab.disks.open(path, DeviceAccess::Claim).unwrap();
    assert!(lab.dm.list().unwrap().is_empty());
    assert_eq!(lab.files.list(Path::new("/sys/block")).unwrap().len(), 0);
}

#[test]
fn a_suspended_device_keeps_io_waiting() {
    let lab = Lab::with_pool();
    lab.dm.suspend(&DmId::name("v1"), SuspendFlags::QUICK).unwrap();
    let error = lab.write("v1", 0, 1).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EDEADLK));
    assert_eq!(lab.dm.suspended(), ["v1"]);
    assert_eq!(lab.dm.hazards().len(), 1);
}

#[test]
fn udev_makes_links_and_answers_cookies() {
    let lab = Lab::new();
    let clock = lab.host.clock.as_ref();
    let deadline = || Deadline::after(clock, Duration::from_secs(5));
    lab.dm.set_udev(SimUdev::Answers);
    lab.dm.create("vg-lv", "LVM-abc").unwrap();
    let id = DmId::uuid("LVM-abc");
    lab.dm.load(&id, &"0 8 linear 8:0 0".parse().unwrap(), false).unwrap();
    let cookie = lab.dm.cookie().unwrap();
    let udev = Udev::new(Some(&cookie), UdevFlags::VOLUME);
    lab.dm.resume(&id, SuspendFlags::default(), udev).unwrap();
    assert!(lab.files.device_at("/dev/vg/lv").is_err(), "udev is not that fast");
    assert_eq!(lab.dm.wait(cookie, clock, deadline()).unwrap(), UdevAnswer::Done);
    let number = lab.dm.number(&id).unwrap();
    for link in ["/dev/vg/lv", "/dev/mapper/vg-lv"] {
        assert_eq!(lab.files.device_at(link).unwrap(), number);
    }
    lab.dm.set_udev(SimUdev::Dead);
    let cookie = lab.dm.cookie().unwrap();
    lab.dm.remove(&id, Udev::new(Some(&cookie), UdevFlags::VOLUME)).unwrap();
    assert_eq!(lab.dm.wait(cookie, clock, deadline()).unwrap(), UdevAnswer::TimedOut);
    assert_eq!((clock.monotonic(), lab.dm.cookies()), (Duration::from_secs(5), 0));
}

#[test]
fn a_killed_process_calls_nothing_and_the_kernel_goes_on() {
    let mut done = 0;
    for seed in 0..16 {
        let lab = Lab::with_pool();
        let files = Arc::new(lab.files.fork(seed));
        let disks = lab.disks.fork(&files);
        let dm = lab.dm.fork(&files, Arc::new(disks.of_kernel()));
        files.kill_at(1);
        let pool = DmId::name("pool");
        assert!(dm.message(&pool, Sectors::new(0), "create_thin 5").is_err());
        assert!(dm.list().is_err());
        files.revive();
        let made = dm.message(&pool, Sectors::new(0), "create_thin 5").is_err();
        done += usize::from(made);
        let lines = dm.status(&pool, StatusMode::Now).unwrap();
        assert!(!lines[0].status.pool_report().unwrap().needs_check);
    }
    assert!(done > 0 && done < 16, "{done}");
}

#[test]
fn a_planned_fault_hits_the_call_that_was_meant() {
    let lab = Lab::with_pool();
    lab.dm.fail_at(2, "message", libc::EIO);
    lab.say("create_thin 3").unwrap();
    let error = lab.say("create_thin 4").unwrap_err().into_error();
    assert_eq!(error.kind(), ErrorKind::Io);
    lab.say("create_thin 4").unwrap();
    assert!(lab.dm.log().last().unwrap().contains("create_thin 4"));
}
