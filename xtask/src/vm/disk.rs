//! Disks of the guest: what is asked for, and what qemu is told.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};

use crate::Result;

const SECTOR: u64 = 512;
/// Serial numbers of virtio and NVMe disks hold no more.
const LONGEST_NAME: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bus {
    Nvme,
    Virtio,
    Scsi,
}

/// What is behind a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backing {
    /// A new sparse file of this run, gone after it.
    Fresh,
    /// This file, made sparse if it is not there, and kept.
    File(PathBuf),
    /// A server on a unix socket; every write and flush is passed on as it comes.
    Nbd(PathBuf),
}

/// One disk, as `KIND[:KEY=VALUE,…]` asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) bus: Bus,
    /// The disk's serial number; empty until [`name_all`] has given it one.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    /// Bytes of a logical block.
    pub(crate) logical: u64,
    pub(crate) discard: bool,
    /// Whether the guest sees a volatile write cache and so sends flushes.
    pub(crate) write_back: bool,
    pub(crate) read_only: bool,
    pub(crate) backing: Backing,
}

impl Bus {
    /// The kernel modules that make such disks appear.
    pub(super) const fn modules(self) -> &'static [&'static str] {
        match self {
            Self::Nvme => &["nvme"],
            Self::Virtio => &["virtio_blk"],
            Self::Scsi => &["virtio_scsi", "sd_mod"],
        }
    }
}

impl FromStr for Disk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, settings) = text.split_once(':').unwrap_or((text, ""));
        let bus = match kind {
            "nvme" => Bus::Nvme,
            "virtio" => Bus::Virtio,
            "scsi" => Bus::Scsi,
            _ => return Err(format!("{kind:?} is no kind of disk: nvme, virtio or scsi")),
        };
        let mut disk = Self {
            bus,
            name: String::new(),
            size: 1 << 30,
            logical: SECTOR,
            discard: true,
            write_back: true,
            read_only: false,
            backing: Backing::Fresh,
        };
        for setting in settings.split(',').filter(|s| !s.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap_or((setting, "on"));
            disk.set(key, value)?;
        }
        if !disk.size.is_multiple_of(disk.logical) {
            return Err(format!("{text:?}: the size is no multiple of the logical block"));
        }
        Ok(disk)
    }
}

impl Disk {
    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let refused = |expected: &str| format!("{key}={value}: {expected} expected");
        match key {
            "name" => {
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                if value.is_empty() || value.len() > LONGEST_NAME || !value.chars().all(plain) {
                    return Err(refused("1 to 20 lower case letters, digits and -"));
                }
                self.name = value.to_owned();
            }
            "size" => self.size = parse_size(value).ok_or_else(|| refused("a size such as 2G"))?,
            "logical" => {
                self.logical = match value {
                    "512" => 512,
                    "4096" => 4096,
                    _ => return Err(refused("512 or 4096")),
                };
            }
            "discard" => self.discard = on_off(value).ok_or_else(|| refused("on or off"))?,
            "readonly" => self.read_only = on_off(value).ok_or_else(|| refused("on or off"))?,
            "cache" => {
                self.write_back = match value {
                    "writeback" => true,
                    "writethrough" => false,
                    _ => return Err(refused("writeback or writethrough")),
                };
            }
            "file" => {
                self.backing =
                    Backing::File(absolute(value).ok_or_else(|| refused("an absolute path"))?)
            }
            "nbd" => {
                self.backing =
                    Backing::Nbd(absolute(value).ok_or_else(|| refused("an absolute path"))?)
            }
            _ => {
                return Err(format!(
                    "{key:?} is no setting of a disk: name, size, logical, discard, cache, \
                     readonly, file, nbd"
                ));
            }
        }
        Ok(())
    }

    /// The file behind it, if one is.
    pub(super) fn file(&self, folder: &Path) -> Option<PathBuf> {
        match &self.backing {
            Backing::Fresh => Some(folder.join(format!("{}.disk", self.name))),
            Backing::File(path) => Some(path.clone()),
            Backing::Nbd(_) => None,
        }
    }

    /// The arguments for qemu. Flushes of the guest are passed on to a server and not to the
    /// host's disk: a killed emulator loses nothing that it has completed, and a host that loses
    /// power loses the run.
    pub(super) fn args(&self, folder: &Path) -> Vec<String> {
        let node = format!("node-{}", self.name);
        let discard = if self.discard { "unmap" } else { "ignore" };
        let below = match (self.file(folder), &self.backing) {
            (Some(path), _) => {
                json!({"driver": "file", "filename": path.to_string_lossy(), "discard": discard})
            }
            (None, Backing::Nbd(path)) => json!({
                "driver": "nbd",
                "server": {"type": "unix", "path": path.to_string_lossy()},
            }),
            (None, _) => Value::Null,
        };
        let server = matches!(self.backing, Backing::Nbd(_));
        let drive = json!({
            "driver": "raw", "node-name": node, "file": below, "discard": discard,
            "read-only": self.read_only, "cache": {"no-flush": !server},
        });
        let mut args = vec!["-blockdev".to_owned(), drive.to_string()];
        if self.bus == Bus::Scsi {
            args.extend(["-device".to_owned(), format!("virtio-scsi-pci,id=bus-{}", self.name)]);
        }
        args.extend(["-device".to_owned(), self.device(&node)]);
        args
    }

    fn device(&self, node: &str) -> String {
        let Self { name, logical, .. } = self;
        let cache = if self.write_back { "on" } else { "off" };
        let shared = format!(
            "drive={node},serial={name},logical_block_size={logical},\
             physical_block_size={logical},write-cache={cache}"
        );
        match self.bus {
            // An emulated NVMe disk always says that it discards.
            Bus::Nvme => format!("nvme,{shared}"),
            Bus::Virtio => {
                let discard = if self.discard { "on" } else { "off" };
                format!("virtio-blk-pci,{shared},discard={discard},write-zeroes={discard}")
            }
            Bus::Scsi => {
                let granularity = if self.discard { self.logical } else { 0 };
                format!("scsi-hd,bus=bus-{name}.0,{shared},discard_granularity={granularity}")
            }
        }
    }
}

/// Gives a name to those that have none, and refuses a name used twice.
pub(crate) fn name_all(mut disks: Vec<Disk>) -> Result<Vec<Disk>> {
    for (number, disk) in disks.iter_mut().enumerate() {
        if disk.name.is_empty() {
            disk.name = format!("disk{number}");
        }
    }
    let mut names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
    names.sort_unstable();
    match names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b) {
        Some((name, _)) => Err(format!("two disks have the name {name}")),
        None => Ok(disks),
    }
}

/// Bytes of `512`, `64M`, `2G`: K, M, G and T are powers of 1024.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text.get(digits.len()..)? {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|size| *size > 0)
}

fn absolute(value: &str) -> Option<PathBuf> {
    let path = PathBuf::from(value);
    path.is_absolute().then_some(path)
}

fn on_off(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> String {
        let disks = name_all(vec![text.parse().unwrap()]).unwrap();
        disks[0].args(Path::new("/run,1")).join(" ")
    }

    #[test]
    fn a_disk_becomes_a_node_and_a_device() {
        let nvme = args("nvme:size=2G,logical=4096,discard=off");
        assert!(nvme.contains(r#""filename":"/run,1/disk0.disk""#), "{nvme}");
        assert!(nvme.contains(r#""no-flush":true"#) && nvme.contains(r#""ignore""#), "{nvme}");
        assert!(nvme.contains("nvme,drive=node-disk0,serial=disk0,logical_block_size=4096"));
        let virtio = args("virtio:name=fast,cache=writethrough,discard=off");
        assert!(virtio.contains("serial=fast") && virtio.contains("write-cache=off"), "{virtio}");
        assert!(virtio.ends_with("discard=off,write-zeroes=off"), "{virtio}");
        let scsi = args("scsi:file=/d/x,readonly");
        assert!(scsi.contains("virtio-scsi-pci,id=bus-disk0"), "{scsi}");
        assert!(scsi.contains(r#""/d/x""#) && scsi.contains(r#""read-only":true"#), "{scsi}");
        assert!(scsi.ends_with("discard_granularity=512"), "{scsi}");
        assert!(args("scsi:discard=off").ends_with("discard_granularity=0"));
    }

    #[test]
    fn flushes_reach_a_server() {
        let nbd = args("nvme:nbd=/s");
        assert!(nbd.contains(r#""driver":"nbd""#) && nbd.contains(r#""path":"/s""#), "{nbd}");
        assert!(nbd.contains(r#""no-flush":false"#), "{nbd}");
    }

    #[test]
    fn odd_disks_are_refused_by_name() {
        for (odd, why) in [
            ("floppy", "floppy"),
            ("nvme:size=0", "size=0"),
            ("nvme:size=2X", "2X"),
            ("nvme:size=513", "multiple"),
            ("nvme:logical=1000", "logical=1000"),
            ("nvme:colour=red", "colour"),
            ("nvme:name=A", "name=A"),
            ("nvme:file=x", "absolute"),
            ("scsi:cache=maybe", "maybe"),
        ] {
            let error = odd.parse::<Disk>().unwrap_err();
            assert!(error.contains(why), "{odd}: {error}");
        }
        let twice: Vec<Disk> = ["nvme:name=disk1", "nvme"].map(|d| d.parse().unwrap()).into();
        assert!(name_all(twice).unwrap_err().contains("disk1"));
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("2G"), Some(2 << 30));
        for odd in ["", "G", "-1", "1.5G", "1g", "99999999999999T"] {
            assert_eq!(parse_size(odd), None, "{odd}");
        }
    }
}
