//! The lvm2 tools as the oracle, kept to the loop devices of one test.
//!
//! Configuration, locks, backups and archives lie in the test's folder, and the filter lets the
//! tools see no device but the test's: nothing of the host is read or changed. They run with
//! `--driverloaded n`, so that no device-mapper is needed, unless a test asks for it.

use std::fs;
use std::path::{Path, PathBuf};

use open_local_core::Bytes;
use open_local_core::host::{LoopSpec, Loops, SystemLoops};

use crate::scratch::Scratch;
use crate::sweep;

/// The tools on the devices of one test.
#[derive(Debug)]
pub struct LvmTools {
    folder: PathBuf,
    devices: Vec<PathBuf>,
    /// Whether they may use device-mapper.
    kernel: bool,
}

/// A row of a report: columns and values.
pub type OracleRow = serde_json::Map<String, serde_json::Value>;

impl LvmTools {
    /// The tools, on new loop devices of these sizes and logical block sizes.
    ///
    /// # Panics
    /// If devices or configuration can't be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that can't have its devices must fail")]
    pub fn new(scratch: &Scratch, sizes: &[(Bytes, Bytes)]) -> Self {
        let folder = scratch.join("lvm");
        for part in ["", "lock", "backup", "archive", "cache", "profile"] {
            fs::create_dir_all(folder.join(part)).expect("make a folder of the tools");
        }
        let devices = sizes.iter().enumerate().map(|(number, (size, block))| {
            let file = scratch.backing_file(&format!("pv{number}"), *size);
            let spec = LoopSpec {
                file: &file,
                tag: &sweep::tag(scratch.run_id()),
                read_only: false,
                direct_io: false,
                block_size: *block,
            };
            SystemLoops::default().attach(&spec).expect("attach a loop device").path
        });
        let tools = Self { folder, devices: devices.collect(), kernel: false };
        fs::write(tools.folder.join("lvm.conf"), tools.configuration()).expect("write lvm.conf");
        tools
    }

    /// The same tools, with device-mapper: in a guest that has no udev.
    #[must_use]
    pub fn with_kernel(mut self) -> Self {
        self.kernel = true;
        self
    }

    /// The device nodes, in the order of the sizes.
    #[must_use]
    pub fn devices(&self) -> &[PathBuf] {
        &self.devices
    }

    /// The folder the tools take for `/run/lock/lvm`.
    #[must_use]
    pub fn lock_folder(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// A path in the folder of the tools.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The same tools, without one of the devices.
    ///
    /// # Panics
    /// If the configuration can't be written.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that can't have its tools must fail")]
    pub fn without_device(&self, number: usize) -> Self {
        let mut devices = self.devices.clone();
        devices.remove(number);
        let folder = self.folder.join(format!("without-{number}"));
        for part in ["lock", "backup", "archive", "profile"] {
            fs::create_dir_all(folder.join(part)).expect("make a folder of the tools");
        }
        let tools = Self { folder, devices, kernel: self.kernel };
        fs::write(tools.folder.join("lvm.conf"), tools.configuration()).expect("write lvm.conf");
        tools
    }

    fn configuration(&self) -> String {
        let accepted = self.devices.iter().map(|d| format!("\"a|^{}$|\", ", d.display()));
        let accepted: String = accepted.collect();
        let filter = format!("[ {accepted}\"r|.*|\" ]");
        let folder = self.folder.display();
        // The tools of 2.03.16 heed use_aio in this file only, not on the command line.
        format!(
            "devices {{\n use_devicesfile = 0\n scan = [ \"/dev\" ]\n filter = {filter}\n \
             global_filter = {filter}\n hints = \"none\"\n obtain_device_list_from_udev = 0\n \
             external_device_info_source = \"none\"\n}}\n\
             global {{\n use_aio = 0\n locking_dir = \"{folder}/lock\"\n \
             use_lvmlockd = 0\n use_lvmpolld = 0\n notify_dbus = 0\n event_activation = 0\n}}\n\
             activation {{\n udev_sync = 0\n udev_rules = 0\n monitoring = 0\n}}\n\
             backup {{\n backup_dir = \"{folder}/backup\"\n archive_dir = \"{folder}/archive\"\n}}\n\
             config {{\n profile_dir = \"{folder}/profile\"\n}}\n"
        )
    }

    /// Runs a command to its end and answers what it printed; the error is all it said.
    ///
    /// # Errors
    /// The output of a command that failed.
    #[expect(clippy::disallowed_methods, reason = "an oracle outside the SDK")]
    pub fn attempt<S: AsRef<str>>(&self, command: &str, arguments: &[S]) -> Result<String, String> {
        let output = std::process::Command::new("/sbin/lvm")
            .args([command, "--driverloaded", if self.kernel { "y" } else { "n" }])
            .args(arguments.iter().map(AsRef::as_ref))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("LVM_SYSTEM_DIR", &self.folder)
            .env("LVM_SUPPRESS_FD_WARNINGS", "1")
            .output();
        let output = output.map_err(|error| format!("can't run lvm: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(format!("lvm {command}: {}{}", text(&output.stdout), text(&output.stderr)))
    }

    /// The same; a failure fails the test.
    ///
    /// # Panics
    /// If the command fails.
    #[expect(clippy::panic, reason = "a test whose oracle fails must fail")]
    pub fn run<S: AsRef<str>>(&self, command: &str, arguments: &[S]) -> String {
        self.attempt(command, arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes a volume that is not active and not wiped, since there is no device-mapper.
    ///
    /// # Panics
    /// If the command fails.
    pub fn create_volume(&self, name: &str, arguments: &[&str]) {
        let fixed = ["-an", "-Zn", "-Wn", "-qq", "-y", "-n", name];
        self.run("lvcreate", &[&fixed, arguments].concat());
    }

    /// The rows of a report: `pvs`, `vgs` or `lvs`, with these columns.
    ///
    /// # Panics
    /// If the command fails or its output is no report.
    #[must_use]
    #[expect(clippy::expect_used, clippy::panic, reason = "a test whose oracle fails must fail")]
    pub fn report(&self, command: &str, columns: &[&str], more: &[&str]) -> Vec<OracleRow> {
        let columns = columns.join(",");
        let fixed = ["--reportformat", "json", "-o", &columns];
        let text = self.run(command, &[&fixed, more].concat());
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON of the tools");
        let lists = value.pointer("/report/0").and_then(|report| report.as_object());
        let list = lists.and_then(|lists| lists.values().next()).and_then(|list| list.as_array());
        let rows = list.unwrap_or_else(|| panic!("no report in {text}"));
        rows.iter().map(|row| row.as_object().cloned().expect("a row")).collect()
    }

    /// Labels devices with the UUIDs that a text names and gives them its group.
    ///
    /// # Panics
    /// If the tools refuse the text.
    pub fn restore(&self, group: &str, file: &Path, ids: &[String]) {
        let file = file.display().to_string();
        for (id, device) in ids.iter().zip(&self.devices) {
            let device = device.display().to_string();
            let arguments = ["-qq", "-ff", "-y", "--uuid", id, "--restorefile", &file, &device];
            self.run("pvcreate", &arguments);
        }
        self.run("vgcfgrestore", &["-qq", "--force", "-f", &file, group]);
    }
}
