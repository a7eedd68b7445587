//! A host in memory: a tree of sysfs, the tables of procfs, and devices behind nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use open_local_core::host::{BlockIo, DeviceAccess, DeviceHandle, Devices, Host};
use open_local_core::inventory::{Inventory, Judged, Policy, Reason};
use open_local_core::sim::{SimFiles, sim_host};
use open_local_core::{Bytes, DeviceNumber};

#[derive(Debug, Default)]
struct Behind {
    /// By path: number, size and the content's beginning.
    nodes: BTreeMap<String, (DeviceNumber, u64, Vec<u8>)>,
    claimed: BTreeSet<DeviceNumber>,
    /// Error numbers that opening answers.
    failing: BTreeMap<String, i32>,
    hanging: BTreeSet<String>,
    opened: Vec<String>,
}

/// Devices in memory.
#[derive(Debug, Default, Clone)]
pub struct Nodes(Arc<(Mutex<Behind>, Condvar)>);

impl Nodes {
    fn with<T>(&self, act: impl FnOnce(&mut Behind) -> T) -> T {
        let answer = act(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        answer
    }

    pub fn claim(&self, number: DeviceNumber) {
        self.with(|behind| behind.claimed.insert(number));
    }

    pub fn fail(&self, node: &str, errno: i32) {
        self.with(|behind| behind.failing.insert(node.to_owned(), errno));
    }

    pub fn hang(&self, node: &str, on: bool) {
        self.with(|behind| match on {
            true => behind.hanging.insert(node.to_owned()),
            false => behind.hanging.remove(node),
        });
    }

    pub fn write(&self, node: &str, at: usize, bytes: &[u8]) {
        self.with(|behind| {
            let (_, _, content) = behind.nodes.get_mut(node).unwrap();
            content.resize(content.len().max(at + bytes.len()), 0);
            content[at..at + bytes.len()].copy_from_slice(bytes);
        });
    }

    pub fn put(&self, node: &str, number: DeviceNumber, size: u64) {
        self.with(|behind| behind.nodes.insert(node.to_owned(), (number, size, Vec::new())));
    }

    pub fn remove(&self, node: &str) {
        self.with(|behind| behind.nodes.remove(node));
    }

    /// The nodes opened so far.
    pub fn opened(&self) -> Vec<String> {
        self.with(|behind| behind.opened.clone())
    }
}

/// The first bytes of a device; the rest reads as zeroes.
#[derive(Debug)]
struct Open(DeviceNumber, u64, Vec<u8>);

impl BlockIo for Open {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        let start = usize::try_from(offset).unwrap();
        let content = self.2.get(start..).unwrap_or_default();
        let len = content.len().min(buf.len());
        buf[..len].copy_from_slice(&content[..len]);
        Ok(())
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        panic!("an inventory never writes")
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<Bytes> {
        Ok(Bytes::new(self.1))
    }
}

impl DeviceHandle for Open {
    fn number(&self) -> io::Result<DeviceNumber> {
        Ok(self.0)
    }

    fn block_size(&self) -> io::Result<Bytes> {
        Ok(Bytes::new(512))
    }

    fn is_read_only(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }
}

fn os(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl Devices for Nodes {
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
        assert_ne!(access, DeviceAccess::Claim, "an inventory never opens for writing");
        let path = path.to_str().unwrap();
        let (lock, changed) = &*self.0;
        let mut behind = lock.lock().unwrap();
        behind.opened.push(path.to_owned());
        // As long as the test lasts, at most.
        let late = Duration::from_secs(60);
        behind = changed.wait_timeout_while(behind, late, |b| b.hanging.contains(path)).unwrap().0;
        if let Some(errno) = behind.failing.get(path) {
            return Err(os(*errno));
        }
        let (number, size, content) = behind.nodes.get(path).cloned().ok_or_else(|| os(2))?;
        if access == DeviceAccess::Alone && behind.claimed.contains(&number) {
            return Err(os(16));
        }
        Ok(Box::new(Open(number, size, content)))
    }

    fn writers(&self, _: DeviceNumber) -> io::Result<Vec<String>> {
        Ok(vec!["writer (pid 7)".to_owned()])
    }

    fn number_of(&self, path: &Path) -> io::Result<DeviceNumber> {
        let path = path.to_str().unwrap();
        self.with(|behind| behind.nodes.get(path).map(|node| node.0)).ok_or_else(|| os(2))
    }
}

/// The host.
pub struct Tree {
    pub files: Arc<SimFiles>,
    pub nodes: Nodes,
    pub host: Host,
}

impl Tree {
    pub fn new() -> Self {
        let files = Arc::new(SimFiles::new(1));
        let host = sim_host(Arc::clone(&files), 1);
        let tree = Self { files, nodes: Nodes::default(), host };
        tree.files.add_folder("/sys/block").unwrap();
        tree.files.add_folder("/dev").unwrap();
        tree.put("/proc/self/mountinfo", "22 1 0:21 / /proc rw - proc proc rw\n");
        tree.put("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
        tree
    }

    /// A file with its folders.
    pub fn put(&self, path: &str, text: &str) {
        self.files.add_folder(Path::new(path).parent().unwrap()).unwrap();
        self.files.add_file(path, text.as_bytes()).unwrap();
    }

    /// Attributes of a disk, or of a partition as `disk/partition`.
    pub fn set(&self, device: &str, attributes: &[(&str, &str)]) {
        for (name, value) in attributes {
            self.put(&format!("/sys/block/{device}/{name}"), value);
        }
    }

    /// A disk of so many GiB with its node.
    pub fn disk(&self, name: &str, number: &str, gib: u64) {
        let size = gib << 30;
        self.set(
            name,
            &[
                ("dev", &format!("{number}\n")),
                ("size", &format!("{}\n", size >> 9)),
                ("ro", "0\n"),
                ("removable", "0\n"),
                ("diskseq", "7\n"),
                ("uevent", &format!("DEVNAME={}\nDEVTYPE=disk\n", name.replace('!', "/"))),
                ("queue/logical_block_size", "512\n"),
                ("queue/physical_block_size", "4096\n"),
                ("queue/rotational", "0\n"),
            ],
        );
        self.files.add_folder(format!("/sys/block/{name}/holders")).unwrap();
        self.files.add_folder(format!("/sys/block/{name}/slaves")).unwrap();
        let node = format!("/dev/{}", name.replace('!', "/"));
        self.nodes.put(&node, number.parse().unwrap(), size);
    }

    pub fn partition(&self, disk: &str, name: &str, number: &str, index: u32, gib: u64) {
        let size = gib << 30;
        self.set(
            &format!("{disk}/{name}"),
            &[
                ("dev", number),
                ("size", &(size >> 9).to_string()),
                ("start", "2048"),
                ("ro", "0"),
                ("partition", &index.to_string()),
                ("uevent", &format!("DEVNAME={name}\nDEVTYPE=partition\nPARTNAME=data\n")),
            ],
        );
        self.nodes.put(&format!("/dev/{name}"), number.parse().unwrap(), size);
    }

    /// A device of device mapper over others.
    pub fn mapped(&self, name: &str, number: &str, gib: u64, uuid: &str, over: &[&str]) {
        self.disk(name, number, gib);
        self.set(name, &[("dm/name", "mapped"), ("dm/uuid", uuid), ("dm/suspended", "0")]);
        for below in over {
            self.put(&format!("/sys/block/{name}/slaves/{below}"), "");
            self.put(&format!("/sys/block/{below}/holders/{name}"), "");
        }
    }

    pub fn mount(&self, number: &str, target: &str) {
        let line = format!("30 22 {number} / {target} rw - ext4 /dev/x rw\n");
        self.put("/proc/self/mountinfo", &line);
    }

    /// Takes a folder of sysfs and its node away.
    pub fn remove(&self, device: &str) {
        let top = Path::new("/sys/block").join(device);
        let mut inside: Vec<_> =
            self.files.paths().into_iter().filter(|path| path.starts_with(&top)).collect();
        inside.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        let files: &dyn open_local_core::host::Files = self.files.as_ref();
        for path in inside {
            files.remove_file(&path).or_else(|_| files.remove_dir(&path)).unwrap();
        }
        let name = top.file_name().unwrap().to_str().unwrap();
        self.nodes.remove(&format!("/dev/{name}"));
    }

    pub fn inventory(&self) -> Inventory {
        let inventory = Inventory::read(&self.host, Arc::new(self.nodes.clone())).unwrap();
        inventory.with_patience(Duration::from_millis(300))
    }

    /// The verdict on every device, all of them looked into.
    pub fn judged(&self) -> Vec<Judged> {
        let mut inventory = self.inventory();
        inventory.probe(|_| true);
        inventory.judge(&Policy::default())
    }

    /// Names and the codes of the reasons.
    pub fn codes(&self) -> Vec<(String, Vec<&'static str>)> {
        codes(&self.judged())
    }
}

pub fn codes(judged: &[Judged]) -> Vec<(String, Vec<&'static str>)> {
    let of = |one: &Judged| one.verdict.reasons().iter().map(Reason::code).collect();
    judged.iter().map(|one| (one.device.name.clone(), of(one))).collect()
}

/// A message of the kernel.
pub fn message(action: &str, path: &str, more: &str) -> Vec<u8> {
    let text = format!("{action}@/devices/{path}\0ACTION={action}\0SUBSYSTEM=block\0{more}");
    text.into_bytes()
}
