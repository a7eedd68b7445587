//! A disk that loses power, behind the kernel's own nbd driver.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use open_local_core::host::{Invocation, ProgramRunner, SystemClock, SystemRunner, poll_until};

use crate::Scratch;
use crate::guest::require_modules;
use crate::powercut::{Aftermath, FileBacking, PowerDisk, Server, Status};

const CLIENT: &str = "/usr/sbin/nbd-client";
const DEADLINE: Duration = Duration::from_secs(20);
/// Devices that are tried.
const DEVICES: usize = 16;

/// A disk of a test that is cut off and comes back, each time as another device perhaps.
///
/// Its server runs in the test's own process. Whatever is mounted on it has to be unmounted before
/// the device is given back.
#[derive(Debug)]
pub struct NbdDisk {
    server: Server,
    device: Option<PathBuf>,
    block: u32,
}

impl NbdDisk {
    /// Serves the file `NAME.power` of the test's folder, made sparse if it is not there, with
    /// blocks of this size, which a tear does not divide, and attaches it.
    ///
    /// # Errors
    /// As the operating system gives them, and what the client said.
    ///
    /// # Panics
    /// If there is no driver or no client.
    pub fn attach(scratch: &Scratch, name: &str, size: u64, block: u32) -> io::Result<Self> {
        require();
        let backing = FileBacking::open(&scratch.join(&format!("{name}.power")), size)?;
        let disk = PowerDisk::new(backing).with_granule(u64::from(block));
        let server = Server::start(&scratch.join(&format!("{name}.socket")), disk)?;
        let mut attached = Self { server, device: None, block };
        attached.connect()?;
        Ok(attached)
    }

    /// Its node.
    ///
    /// # Panics
    /// If the power is off.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that uses a disk without power must fail")]
    pub fn path(&self) -> &Path {
        self.device.as_deref().expect("the power is on")
    }

    /// What it says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        self.server.status()
    }

    /// Cuts the power. The device stays, and fails, until [`Self::detach`].
    ///
    /// # Errors
    /// As [`Server::cut`].
    pub fn cut(&self, seed: u64) -> io::Result<Aftermath> {
        self.server.cut(seed)
    }

    /// Makes the power go at a certain write, as [`Server::cut_after`].
    pub fn cut_after(&self, writes: u64, seed: u64) {
        self.server.cut_after(writes, seed);
    }

    /// What the last cut did.
    #[must_use]
    pub fn last_cut(&self) -> Option<Aftermath> {
        self.server.last_cut()
    }

    /// Gives the device back, which must not be in use.
    ///
    /// # Errors
    /// What the client said, and `TimedOut` if the kernel keeps it.
    pub fn detach(&mut self) -> io::Result<()> {
        let Some(device) = self.device.take() else {
            return Ok(());
        };
        // After a cut the connection is gone, and the client has nothing to do.
        let _ = client(&["-d".as_ref(), device.as_os_str()]);
        let sys = Path::new("/sys/block").join(device.file_name().unwrap_or_default());
        let gone = || Ok((!is_taken(&sys)).then_some(()));
        match poll_until(&SystemClock, DEADLINE, gone) {
            Ok(Some(())) => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::TimedOut, device.display().to_string())),
        }
    }

    /// Turns the power on and attaches what is left, after [`Self::detach`].
    ///
    /// # Errors
    /// As [`Self::attach`].
    pub fn power_on(&mut self) -> io::Result<()> {
        self.server.power_on();
        self.connect()
    }

    fn connect(&mut self) -> io::Result<()> {
        let mut said = io::Error::from(io::ErrorKind::NotFound);
        for number in 0..DEVICES {
            let sys = PathBuf::from(format!("/sys/block/nbd{number}"));
            if !sys.exists() || is_taken(&sys) {
                continue;
            }
            let device = PathBuf::from(format!("/dev/nbd{number}"));
            let block = self.block.to_string();
            let socket = self.server.socket().as_os_str();
            let words =
                ["-unix".as_ref(), socket, device.as_os_str(), "-b".as_ref(), block.as_ref()];
            match client(&words) {
                Ok(()) => {
                    self.device = Some(device);
                    return Ok(());
                }
                Err(error) => said = error,
            }
        }
        Err(said)
    }
}

impl Drop for NbdDisk {
    fn drop(&mut self) {
        let _ = self.detach();
    }
}

/// Whether the kernel has bound an nbd device to a connection.
fn is_taken(sys: &Path) -> bool {
    sys.join("pid").exists()
}

fn client(arguments: &[&std::ffi::OsStr]) -> io::Result<()> {
    let call = Invocation::new(CLIENT).args(arguments).with_deadline(DEADLINE);
    let output = SystemRunner.run(&call).map_err(io::Error::other)?;
    if output.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("nbd-client: {said}")))
}

/// Loads the driver, and fails with what is missing if there is none, or no client for it.
///
/// # Panics
/// If so.
#[expect(clippy::panic, reason = "a tier that lacks something must fail")]
fn require() {
    if !fs::exists(CLIENT).unwrap_or(false) {
        panic!("this test needs {CLIENT} (package nbd-client)");
    }
    require_modules(&["nbd"]);
}
