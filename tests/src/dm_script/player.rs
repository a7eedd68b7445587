//! Runs a script and tells what happened.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use open_local_core::host::{DeviceAccess, DeviceHandle, Devices, OpenMode};
use open_local_core::{DeviceNumber, Error, Sectors};
use open_local_lvm::dm::status::{PoolStatus, TargetStatus};
use open_local_lvm::dm::table::Table;
use open_local_lvm::dm::{DeviceMapper, DmId, DmInfo, StatusMode, SuspendFlags, Udev};

/// Where a script runs.
pub struct Stage<'s> {
    /// The device-mapper.
    pub dm: &'s dyn DeviceMapper,
    /// Opens what it makes.
    pub devices: &'s dyn Devices,
    /// The disk the script calls `disk`.
    pub disk: DeviceNumber,
    /// Discards bytes of a device.
    pub discard: &'s dyn Fn(DeviceNumber, u64, u64) -> io::Result<()>,
    /// What names of devices begin with here.
    pub prefix: String,
}

/// Plays one script.
pub struct Player<'s> {
    stage: Stage<'s>,
    numbers: BTreeMap<String, DeviceNumber>,
    held: BTreeMap<String, Box<dyn DeviceHandle>>,
}

impl fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stage({}, {})", self.disk, self.prefix)
    }
}

impl fmt::Debug for Player<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Player({:?}, {:?})", self.stage, self.numbers)
    }
}

type Told = Result<String, String>;

fn kind(error: &Error) -> String {
    format!("error {}", error.kind())
}

fn errno(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("errno {number}"),
        None => format!("error {}", error.kind()),
    }
}

fn number(word: Option<&&str>) -> Result<u64, String> {
    word.and_then(|word| word.parse().ok()).ok_or_else(|| "a number is missing".to_owned())
}

fn kib(word: Option<&&str>) -> Result<u64, String> {
    number(word)?.checked_mul(1024).ok_or_else(|| "too large".to_owned())
}

fn flags_of(info: &DmInfo) -> String {
    let flags = [
        (info.suspended, "suspended"),
        (info.live_table, "live"),
        (info.inactive_table, "inactive"),
        (info.read_only, "read-only"),
    ];
    let on: Vec<&str> = flags.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
    let (open, event, count) = (info.open_count, info.event_nr, info.target_count);
    format!("[{}] open {open} event {event} targets {count}", on.join(" "))
}

impl<'s> Player<'s> {
    /// For one run of one script.
    #[must_use]
    pub fn new(stage: Stage<'s>) -> Self {
        Self { stage, numbers: BTreeMap::new(), held: BTreeMap::new() }
    }

    /// Runs every line; each with its answer.
    pub fn play(&mut self, script: &str) -> Vec<String> {
        let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
        let told = lines.map(|line| {
            let answer = self.line(line).unwrap_or_else(|error| error);
            format!("{line} -> {answer}")
        });
        told.collect()
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.stage.prefix)
    }

    fn id(&self, name: &str) -> DmId {
        DmId::name(self.name(name))
    }

    /// A device's number by the script's name of it.
    fn device(&self, name: &str) -> Result<DeviceNumber, String> {
        if name == "disk" {
            return Ok(self.stage.disk);
        }
        let number = self.numbers.get(name).copied();
        number.ok_or_else(|| format!("the script has no device {name}"))
    }

    /// Numbers in place of names, word by word.
    fn with_numbers(&self, text: &str) -> String {
        let word = |word: &str| match self.device(word) {
            Ok(number) => number.to_string(),
            Err(_) => word.to_owned(),
        };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    /// And back.
    fn with_names(&self, text: &str) -> String {
        let word = |word: &str| {
            let named = self.numbers.iter().find(|(_, number)| number.to_string() == word);
            match named {
                Some((name, _)) => name.clone(),
                None if self.stage.disk.to_string() == word => "disk".to_owned(),
                None => word.to_owned(),
            }
        };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    fn info(&self, name: &str) -> Told {
        match self.stage.dm.info(&self.id(name)).map_err(|e| kind(&e))? {
            None => Ok("none".to_owned()),
            Some(info) => Ok(flags_of(&info)),
        }
    }

    fn open(&self, name: &str, access: DeviceAccess) -> Result<Box<dyn DeviceHandle>, String> {
        let number = self.device(name)?;
        let path = PathBuf::from(format!("/dev/dm-{}", number.minor()));
        self.stage.devices.open(&path, access).map_err(|e| errno(&e))
    }

    fn load(&self, name: &str, text: &str, read_only: bool) -> Told {
        let text = self.with_numbers(text).replace(" / ", "\n");
        let table: Table = text.parse().map_err(|e| kind(&e))?;
        let loaded = self.stage.dm.load(&self.id(name), &table, read_only);
        loaded.map(|info| flags_of(&info)).map_err(|e| kind(&e))
    }

    fn create(&mut self, name: &str, uuid: &str) -> Told {
        let uuid = if uuid.is_empty() { String::new() } else { self.name(uuid) };
        let info = self.stage.dm.create(&self.name(name), &uuid).map_err(|e| kind(&e))?;
        self.numbers.insert(name.to_owned(), info.number);
        Ok(flags_of(&info))
    }

    fn resume(&self, name: &str) -> Told {
        let resumed = self.stage.dm.resume(&self.id(name), SuspendFlags::default(), Udev::NO_UDEV);
        // Twice: what the kernel answers counts, and what it says a moment later.
        resumed.map_err(|e| kind(&e)).and_then(|_| self.info(name))
    }

    fn rename(&mut self, name: &str, new: &str) -> Told {
        let renamed = self.stage.dm.rename(&self.id(name), &self.name(new), Udev::NO_UDEV);
        let info = renamed.map_err(|e| kind(&e))?;
        self.numbers.remove(name);
        self.numbers.insert(new.to_owned(), info.number);
        Ok(flags_of(&info))
    }

    fn status(&self, name: &str) -> Told {
        let lines = self.stage.dm.status(&self.id(name), StatusMode::Committed);
        let told = lines.map_err(|e| kind(&e))?.into_iter().map(|mut line| {
            if let TargetStatus::ThinPool(PoolStatus::Ready(report)) = &mut line.status {
                report.used_metadata = 0;
            }
            self.with_names(&line.to_string())
        });
        Ok(told.collect::<Vec<_>>().join(" / "))
    }

    fn write(&self, name: &str, words: &[&str]) -> Told {
        let (offset, len) = (kib(words.first())?, kib(words.get(1))?);
        let byte = u8::try_from(number(words.get(2))?).map_err(|e| e.to_string())?;
        let data = vec![byte; usize::try_from(len).map_err(|e| e.to_string())?];
        let device = self.open(name, DeviceAccess::Direct(OpenMode::ReadWrite))?;
        device.write_at(offset, &data).map(|()| "written".to_owned()).map_err(|e| errno(&e))
    }

    fn read(&self, name: &str, words: &[&str]) -> Told {
        let (offset, len) = (kib(words.first())?, kib(words.get(1))?);
        let mut data = vec![0xee; usize::try_from(len).map_err(|e| e.to_string())?];
        let device = self.open(name, DeviceAccess::Direct(OpenMode::Read))?;
        device.read_at(offset, &mut data).map_err(|e| errno(&e))?;
        data.dedup();
        Ok(format!("{data:?}"))
    }

    fn line(&mut self, line: &str) -> Told {
        let (command, rest) = line.split_once(' ').ok_or("a command has a device")?;
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let words: Vec<&str> = rest.split(' ').collect();
        let id = self.id(name);
        let dm = self.stage.dm;
        match command {
            "create" => self.create(name, rest),
            "load" => self.load(name, rest, false),
            "loadro" => self.load(name, rest, true),
            "make" => {
                self.create(name, "")?;
                self.load(name, rest, false)?;
                self.resume(name)
            }
            "clear" => dm.clear(&id).map(|info| flags_of(&info)).map_err(|e| kind(&e)),
            "suspend" | "quick" => {
                let quick = command == "quick";
                let flags = if quick { SuspendFlags::QUICK } else { SuspendFlags::FREEZE };
                dm.suspend(&id, flags).map(|info| flags_of(&info)).map_err(|e| kind(&e))
            }
            "resume" => self.resume(name),
            "remove" => {
                dm.remove(&id, Udev::NO_UDEV).map_err(|e| kind(&e))?;
                self.numbers.remove(name);
                Ok("removed".to_owned())
            }
            "rename" => self.rename(name, rest),
            "info" => self.info(name),
            "table" => {
                let table = dm.table(&id).map_err(|e| kind(&e))?.to_string();
                Ok(self.with_names(table.trim_end()).replace('\n', " / "))
            }
            "status" => self.status(name),
            "deps" => {
                let deps = dm.deps(&id).map_err(|e| kind(&e))?;
                let mut names: Vec<_> =
                    deps.iter().map(|number| self.with_names(&number.to_string())).collect();
                names.sort();
                Ok(names.join(" "))
            }
            "message" => match dm.message(&id, Sectors::new(0), rest) {
                Ok(answer) => Ok(format!("{answer:?}")),
                Err(error) => Err(kind(&error.into_error())),
            },
            "write" => self.write(name, &words),
            "read" => self.read(name, &words),
            "flush" => {
                let device = self.open(name, DeviceAccess::Direct(OpenMode::ReadWrite))?;
                device.flush().map(|()| "flushed".to_owned()).map_err(|e| errno(&e))
            }
            "discard" => {
                let range = (kib(words.first())?, kib(words.get(1))?);
                let done = (self.stage.discard)(self.device(name)?, range.0, range.1);
                done.map(|()| "discarded".to_owned()).map_err(|e| errno(&e))
            }
            "hold" => {
                let device = self.open(name, DeviceAccess::Claim)?;
                self.held.insert(name.to_owned(), device);
                Ok("held".to_owned())
            }
            "release" => Ok(format!("{}", self.held.remove(name).is_some())),
            other => Err(format!("no command {other}")),
        }
    }
}
