//! One device-mapper device, by name, through `dmsetup`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use open_local_core::DeviceNumber;
use open_local_core::host::{Invocation, ProgramRunner, SystemRunner};

use super::table::Table;
use crate::scratch::PREFIX;

const DMSETUP: &str = "/usr/sbin/dmsetup";
/// A device whose I/O does not end would make it wait for ever.
const DEADLINE: Duration = Duration::from_secs(30);
/// `DM_NAME_LEN` of the kernel less the final zero.
const LONGEST_NAME: usize = 127;

/// Between the run id and the name within the run; it is in no run id.
const SEPARATOR: char = '.';

/// Runs `dmsetup`; what it printed, or what went wrong.
fn dmsetup(arguments: &[&str]) -> Result<String, String> {
    let call = Invocation::new(DMSETUP).args(arguments).with_deadline(DEADLINE);
    let output = SystemRunner.run(&call).map_err(|error| error.report().to_string())?;
    if output.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("dmsetup {}: {said}", arguments.join(" ")))
}

/// A device of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmDevice {
    name: String,
    number: DeviceNumber,
}

impl DmDevice {
    /// Makes a device named after a run and loads a table into it. The run's
    /// [`Scratch`](crate::Scratch) removes it.
    ///
    /// # Panics
    /// If it can't be made: a test that lacks its device must fail.
    #[must_use]
    #[expect(clippy::panic, reason = "a test that lacks its device must fail")]
    pub fn create(run: &str, name: &str, table: &Table) -> Self {
        let name: String = format!("{run}{SEPARATOR}{name}").chars().take(LONGEST_NAME).collect();
        // Whether a udev daemon runs makes no difference.
        let table = table.to_string();
        let arguments = ["create", &name, "--noudevsync", "--noudevrules", "--table", &table];
        let made = dmsetup(&arguments).and_then(|_| Self::find(&name));
        made.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The device of this name.
    fn find(name: &str) -> Result<Self, String> {
        let columns = ["-c", "--noheadings", "--separator", ":", "-o", "major,minor"];
        let said = dmsetup(&[&["info", name][..], &columns].concat())?;
        let number = said.trim().parse().map_err(|e| format!("{name} has number {said:?}: {e}"))?;
        Ok(Self { name: name.to_owned(), number })
    }

    /// All devices of a run, the latest first.
    #[must_use]
    pub fn of_run(run: &str) -> Vec<Self> {
        let mut found = Self::all();
        found.retain(|device| device.run() == Some(run));
        found
    }

    /// The run id its name begins with, if it is one of ours at all.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        let (run, _) = self.name.split_once(SEPARATOR)?;
        run.starts_with(PREFIX).then_some(run)
    }

    /// All devices of the machine, the latest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok();
            let name = read("dm/name").map(|name| name.trim_end().to_owned());
            let number = read("dev").and_then(|text| text.trim_end().parse().ok());
            if let (Some(name), Some(number)) = (name, number) {
                found.push(Self { name, number });
            }
        }
        found.sort_by_key(|device| std::cmp::Reverse(device.number));
        found
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> DeviceNumber {
        self.number
    }

    /// Its node, which the kernel makes: those in `/dev/mapper` come from a udev daemon.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/dm-{}", self.number.minor()))
    }

    /// Its folder in `/sys/block`.
    #[must_use]
    pub fn sys(&self) -> PathBuf {
        Path::new("/sys/dev/block").join(self.number.to_string())
    }

    /// Exchanges its table while it is in use. I/O that is under way stays with the old table and
    /// is not waited for, so that a table that hangs or fails can be replaced too.
    ///
    /// # Errors
    /// What `dmsetup` said.
    pub fn reload(&self, table: &Table) -> Result<(), String> {
        dmsetup(&["load", &self.name, "--table", &table.to_string()])?;
        dmsetup(&["suspend", "--noflush", "--nolockfs", &self.name])?;
        self.resume()
    }

    /// Holds all I/O back until [`Self::resume`].
    ///
    /// # Errors
    /// What `dmsetup` said.
    pub fn suspend(&self) -> Result<(), String> {
        dmsetup(&["suspend", "--noflush", "--nolockfs", &self.name]).map(drop)
    }

    /// Lets I/O go on.
    ///
    /// # Errors
    /// What `dmsetup` said.
    pub fn resume(&self) -> Result<(), String> {
        dmsetup(&["resume", "--noudevsync", "--noudevrules", &self.name]).map(drop)
    }

    /// Sends a message to its target.
    ///
    /// # Errors
    /// What `dmsetup` said.
    pub fn message(&self, text: &str) -> Result<(), String> {
        dmsetup(&["message", &self.name, "0", text]).map(drop)
    }

    /// What its target says of itself.
    ///
    /// # Errors
    /// What `dmsetup` said.
    pub fn status(&self) -> Result<String, String> {
        dmsetup(&["status", "--noflush", &self.name])
    }

    /// Removes it.
    ///
    /// # Errors
    /// What `dmsetup` said, for example that it is open.
    pub fn remove(&self) -> Result<(), String> {
        dmsetup(&["remove", "--noudevsync", "--noudevrules", "--retry", &self.name]).map(drop)
    }

    /// Makes every I/O on it fail from now on, and removes it if nobody has it open.
    ///
    /// # Errors
    /// What `dmsetup` said, for example that it is open.
    pub fn remove_by_force(&self) -> Result<(), String> {
        let arguments = ["remove", "--force", "--noudevsync", "--noudevrules", &self.name];
        dmsetup(&arguments).map(drop)
    }
}
