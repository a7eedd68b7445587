//! The conformance suite on volume groups over simulated disks and a simulated kernel.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "pool/lab.rs"]
mod lab;

use std::io;
use std::sync::{Arc, Mutex};

use lab::{Lab, id};
use open_local_core::conformance::{self, Fixture, PoolWish};
use open_local_core::host::{
    BlockIo, Checkpoints, DeviceAccess, DeviceHandle, Devices, OpenMode, Unchecked,
};
use open_local_core::{Attachment, Backend, Bytes, Pool, PoolSpec, Result};

/// Label and metadata area of a disk.
const AROUND: u64 = 17;
/// Metadata of a thin pool and its spare.
const METADATA: u64 = 8;

#[derive(Debug)]
struct Rack {
    name: &'static str,
    thin: bool,
    /// The machine of the last wish, with a new pool.
    ready: Mutex<Option<(PoolWish, Lab)>>,
    now: Mutex<Lab>,
}

impl Rack {
    fn new(name: &'static str, thin: bool) -> Self {
        Self { name, thin, ready: Mutex::new(None), now: Mutex::new(Lab::new(&[])) }
    }

    fn make(&self, wish: &PoolWish) -> Result<Lab> {
        let room = wish.capacity.get() >> 20;
        let size = room + AROUND + if self.thin { METADATA } else { 0 };
        let lab = Lab::new(&[size]);
        let mut spec = PoolSpec::new(id())
            .with_reserve(wish.reserve)
            .with_overcommit(wish.overcommit)
            .with_parameter("group", "vg")
            .with_parameter("devices", "/dev/sda");
        if self.thin {
            spec = spec
                .with_parameter("mode", "thin")
                .with_parameter("data-size", wish.capacity.to_string());
        }
        let _ = lab.live(Arc::new(Unchecked)).ensure_pool(&spec)?;
        Ok(lab)
    }
}

impl Fixture for Rack {
    fn name(&self) -> &str {
        self.name
    }

    fn fresh(&self, wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        let mut ready = self.ready.lock().unwrap();
        if ready.as_ref().is_none_or(|(made, _)| made != wish) {
            *ready = Some((*wish, self.make(wish)?));
        }
        let lab = ready.as_ref().unwrap().1.fork(7);
        *self.now.lock().unwrap() = lab.clone();
        lab.live(Arc::new(Unchecked)).open_pool(&id())
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        let lab = self.now.lock().unwrap().clone();
        lab.live(checkpoints).open_pool(&id())
    }

    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        let lab = self.now.lock().unwrap().clone();
        let mode = if device.read_only { OpenMode::Read } else { OpenMode::ReadWrite };
        let opened = lab.dm.open(&device.device, DeviceAccess::Direct(mode))?;
        assert_eq!(opened.number()?, device.number);
        Ok(Box::new(Opened(opened)))
    }

    fn leaks(&self) -> Result<Vec<String>> {
        Ok(self.now.lock().unwrap().leaks())
    }
}

#[derive(Debug)]
struct Opened(Box<dyn DeviceHandle>);

impl BlockIo for Opened {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }

    fn size(&self) -> io::Result<Bytes> {
        self.0.size()
    }
}

/// Cases that a machine in memory can't run: it has neither processes nor file systems. The guest
/// runs them on real devices.
const NOT_HERE: [&str; 2] = ["processes/*", "format_once/*"];

fn passes(rack: &Rack) {
    // One subject at a time while something is being looked for.
    let filter = std::env::var("OPEN_LOCAL_CASES").unwrap_or_default();
    let report = conformance::run(rack, &filter);
    println!("{report}");
    report.assert_passed_without(&NOT_HERE).unwrap();
}

#[test]
fn the_suite_passes_on_thick_volumes() {
    passes(&Rack::new("lvm thick (simulated)", false));
}

#[test]
fn the_suite_passes_on_thin_volumes() {
    passes(&Rack::new("lvm thin (simulated)", true));
}
