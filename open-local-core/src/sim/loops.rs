//! Loop devices over simulated files.

mod open;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Weak;

use super::files::{Key, Shared, SimFiles, SimMachine, errno};
use crate::device::DeviceNumber;
use crate::host::{BlockIo, FileStat, LoopDevice, LoopSpec, Loops};
use crate::units::{Bytes, SECTOR_SIZE};

pub(super) use open::open_node;

/// The kernel's major number of loop devices (Linux 6.18, `linux/major.h`).
const LOOP_MAJOR: u32 = 7;
/// Bytes of the kernel's file-name field without its last, which is NUL.
const MAX_TAG: usize = 63;
/// Devices unless it is set.
const DEVICES: u32 = 8;

#[derive(Debug)]
struct Attached {
    key: Key,
    device: LoopDevice,
    /// What tests hold in the name of mounts.
    holds: u32,
    /// Open descriptors, with the process that has them.
    openers: Vec<(u64, Weak<()>)>,
}

/// The loop devices of a machine.
#[derive(Debug)]
pub(super) struct LoopTable {
    attached: BTreeMap<u32, Attached>,
    devices: u32,
    direct_io: bool,
    nodes: BTreeSet<u32>,
    /// Devices attached so far.
    sequence: u64,
}

impl LoopTable {
    pub(super) const fn new() -> Self {
        Self {
            attached: BTreeMap::new(),
            devices: DEVICES,
            direct_io: true,
            nodes: BTreeSet::new(),
            sequence: 0,
        }
    }

    /// The same table for a machine that was copied, where nothing is open.
    pub(super) fn copied(&self) -> Self {
        let copy = |(index, from): (&u32, &Attached)| {
            let device = from.device.clone();
            let attached =
                Attached { key: from.key, device, holds: from.holds, openers: Vec::new() };
            (*index, attached)
        };
        Self {
            attached: self.attached.iter().map(copy).collect(),
            nodes: self.nodes.clone(),
            ..*self
        }
    }

    /// As a reboot does.
    pub(super) fn clear(&mut self) {
        self.attached.clear();
    }

    fn get(&self, index: u32) -> io::Result<&Attached> {
        self.attached.get(&index).ok_or_else(|| errno(libc::ENXIO))
    }

    fn get_mut(&mut self, index: u32) -> io::Result<&mut Attached> {
        let attached = self.attached.get_mut(&index);
        attached.ok_or_else(|| errno(libc::ENXIO))
    }

    /// The device if it still is the one described.
    fn same(&self, device: &LoopDevice) -> io::Result<&Attached> {
        let now = self.get(device.index)?;
        let id = |d: &LoopDevice| (d.number, d.tag.clone(), d.file_device, d.file_inode);
        if id(&now.device) == id(device) { Ok(now) } else { Err(errno(libc::ENXIO)) }
    }
}

impl Attached {
    fn is_busy(&self, process: u64) -> bool {
        let alive = |(p, opener): &(u64, Weak<()>)| *p == process && opener.strong_count() > 0;
        self.holds > 0 || self.openers.iter().any(alive)
    }
}

/// The loop devices of the machine whose files are given.
///
/// A device keeps the size its file had when it was attached until it is resized, and keeps the
/// file itself when its name is gone. A killed process leaves its devices attached; a power cut or
/// a reboot leaves none. Each device has a node `/dev/loopn`, which [`SimFiles`] opens.
#[derive(Debug, Clone)]
pub struct SimLoops {
    shared: Shared,
}

fn size_of(stat: &FileStat) -> Bytes {
    stat.size.round_down_to(SECTOR_SIZE).unwrap_or(Bytes::ZERO)
}

/// Binds a file to a device of this index in place of whatever it was bound to.
fn bind(machine: &mut SimMachine, index: u32, spec: &LoopSpec<'_>) -> io::Result<LoopDevice> {
    let key = machine.find_file(spec.file)?;
    let stat = machine.file(key)?;
    if machine.is_read_only() && !spec.read_only {
        return Err(errno(libc::EROFS));
    }
    let device = LoopDevice {
        index,
        path: node(index),
        number: DeviceNumber::new(LOOP_MAJOR, index),
        tag: spec.tag.to_owned(),
        file_device: stat.device,
        file_inode: stat.inode,
        read_only: spec.read_only,
        direct_io: spec.direct_io && machine.loops.direct_io,
        size: size_of(&stat),
        block_size: spec.block_size,
        sequence: Some(machine.loops.sequence),
    };
    machine.loops.sequence += 1;
    machine.pin(key)?;
    let attached = Attached { key, device: device.clone(), holds: 0, openers: Vec::new() };
    if let Some(old) = machine.loops.attached.insert(index, attached) {
        machine.unpin(old.key);
    }
    add_node(machine, index)?;
    Ok(device)
}

fn node(index: u32) -> PathBuf {
    PathBuf::from(format!("/dev/loop{index}"))
}

fn add_node(machine: &mut SimMachine, index: u32) -> io::Result<()> {
    if machine.loops.nodes.insert(index) {
        machine.add_node(&node(index), DeviceNumber::new(LOOP_MAJOR, index))?;
    }
    Ok(())
}

fn check(spec: &LoopSpec<'_>) -> io::Result<()> {
    let block = spec.block_size.get();
    if spec.tag.len() > MAX_TAG || spec.tag.contains('\0') {
        return Err(errno(libc::EINVAL));
    }
    if !(512..=4096).contains(&block) || !block.is_power_of_two() {
        return Err(errno(libc::EINVAL));
    }
    Ok(())
}

impl SimLoops {
    /// The loop devices of this machine: eight, with direct I/O, none attached, until told
    /// otherwise.
    ///
    /// # Errors
    /// `ENOTDIR` or `EISDIR` if something is in the way of the nodes in `/dev`.
    pub fn new(files: &SimFiles) -> io::Result<Self> {
        let loops = Self { shared: files.shared.clone() };
        let devices = loops.shared.lock().loops.devices;
        loops.set_devices(devices)?;
        Ok(loops)
    }

    /// Sets how many devices there are; those attached stay, and so do nodes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn set_devices(&self, count: u32) -> io::Result<()> {
        let mut machine = self.shared.lock();
        machine.loops.devices = count;
        (0..count).try_for_each(|index| add_node(&mut machine, index))
    }

    /// Whether the file system allows direct I/O; without it the wish is silently not granted.
    pub fn set_direct_io(&self, on: bool) {
        self.shared.lock().loops.direct_io = on;
    }

    /// Uses a device, as a mount does; it can't be detached until [`Self::release`]. A kill of the
    /// process does not end it.
    ///
    /// # Errors
    /// `ENXIO` if it is not attached.
    pub fn hold(&self, index: u32) -> io::Result<()> {
        self.shared.lock().loops.get_mut(index)?.holds += 1;
        Ok(())
    }

    /// Ends one [`Self::hold`].
    ///
    /// # Errors
    /// `ENXIO` if it is not attached.
    pub fn release(&self, index: u32) -> io::Result<()> {
        let mut machine = self.shared.lock();
        let attached = machine.loops.get_mut(index)?;
        attached.holds = attached.holds.saturating_sub(1);
        Ok(())
    }

    /// Detaches all, as a reboot does; [`SimFiles::power_cut`] and [`SimFiles::reboot`] do it too.
    pub fn reboot(&self) {
        let mut machine = self.shared.lock();
        let attached = std::mem::take(&mut machine.loops.attached);
        for old in attached.into_values() {
            machine.unpin(old.key);
        }
    }

    /// Somebody else binds the index to a file of their own, whoever had it.
    ///
    /// # Errors
    /// As [`Loops::attach`].
    pub fn steal(&self, index: u32, file: impl AsRef<Path>, tag: &str) -> io::Result<LoopDevice> {
        let spec = LoopSpec {
            file: file.as_ref(),
            tag,
            read_only: false,
            direct_io: false,
            block_size: SECTOR_SIZE,
        };
        check(&spec)?;
        bind(&mut self.shared.lock(), index, &spec)
    }

    /// Somebody else detaches the device, whoever had it.
    ///
    /// # Errors
    /// `ENXIO` if it is not attached.
    pub fn snatch(&self, index: u32) -> io::Result<()> {
        let mut machine = self.shared.lock();
        let old = machine.loops.attached.remove(&index);
        machine.unpin(old.ok_or_else(|| errno(libc::ENXIO))?.key);
        Ok(())
    }

    /// Opens the content; while it is open the device can't be detached.
    ///
    /// # Errors
    /// `ENXIO` if it is not attached.
    pub fn open(&self, number: DeviceNumber) -> io::Result<Box<dyn BlockIo>> {
        let mut machine = self.shared.lock();
        machine.check_alive()?;
        Ok(Box::new(open::SimLoop::open(&self.shared, &mut machine, number, true)?))
    }
}

impl Loops for SimLoops {
    fn list(&self) -> io::Result<Vec<LoopDevice>> {
        self.shared.look(|machine| {
            let attached = machine.loops.attached.values();
            Ok(attached.map(|attached| attached.device.clone()).collect())
        })
    }

    fn attach(&self, spec: &LoopSpec<'_>) -> io::Result<LoopDevice> {
        self.shared.change(|machine, pass| {
            check(spec)?;
            machine.find_file(spec.file)?;
            let loops = &machine.loops;
            let mut free = (0..loops.devices).filter(|n| !loops.attached.contains_key(n));
            let index = free.next().ok_or_else(|| errno(libc::ENOSPC))?;
            if !pass.applies() {
                return Err(errno(libc::EINTR));
            }
            bind(machine, index, spec)
        })
    }

    fn detach(&self, device: &LoopDevice) -> io::Result<()> {
        self.shared.change(|machine, pass| {
            if machine.loops.same(device)?.is_busy(machine.process()) {
                return Err(errno(libc::EBUSY));
            }
            if pass.applies()
                && let Some(old) = machine.loops.attached.remove(&device.index)
            {
                machine.unpin(old.key);
            }
            Ok(())
        })
    }

    fn resize(&self, device: &LoopDevice) -> io::Result<Bytes> {
        self.shared.change(|machine, pass| {
            let key = machine.loops.same(device)?.key;
            let size = size_of(&machine.file(key)?);
            if pass.applies() {
                machine.loops.get_mut(device.index)?.device.size = size;
            }
            Ok(size)
        })
    }

    fn flush(&self, device: &LoopDevice) -> io::Result<()> {
        self.shared.change(|machine, pass| {
            let key = machine.loops.same(device)?.key;
            if pass.applies() {
                machine.flush(key)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
