//! How the tools are run: which devices they may see, and the configuration they get.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use open_local_core::host::Host;
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use crate::exec::Settings;

/// Whether the kernel has device-mapper, which the tools have to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mapper {
    /// Look into `/sys`.
    #[default]
    Look,
    /// It has.
    Present,
    /// It has not, or it is not to be used: metadata changes and nothing becomes active.
    Absent,
}

/// How the tools are run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CliConfig {
    /// The devices the tools may see. Where lvm2 uses a devices file, that file says it in place
    /// of this list; a group that does not lie on these devices is refused then. None named there:
    /// all that the file names.
    pub devices: Vec<PathBuf>,
    /// Where lvm2 of this host keeps locks, archives and backups, and whose groups are its own.
    pub settings: Settings,
    /// The folder with lvm2's own configuration (`LVM_SYSTEM_DIR`).
    pub system_folder: PathBuf,
    /// Whether the kernel has device-mapper.
    pub mapper: Mapper,
    /// How long a run that only reads may take.
    pub read_deadline: Duration,
    /// How long a run that changes something may take: waiting for locks, zeroing of a thin
    /// pool's metadata and udev are in it.
    pub change_deadline: Duration,
}

/// There while udev runs (systemd 252).
const UDEV: &str = "/run/udev/control";
/// Most devices that can be named.
const MAX_DEVICES: usize = 1024;

impl CliConfig {
    /// The tools on these devices, as the host's own configuration has it.
    ///
    /// # Errors
    /// As [`Settings::of_host`].
    pub fn of_host(host: &Host, devices: &[PathBuf]) -> Result<Self> {
        Self::from_folder(host, Path::new("/etc/lvm"), devices)
    }

    /// The same with lvm2's configuration in another folder.
    ///
    /// # Errors
    /// As [`Settings::from_folder`].
    pub fn from_folder(host: &Host, folder: &Path, devices: &[PathBuf]) -> Result<Self> {
        let mut config = Self::new(Settings::from_folder(host, folder)?, devices);
        config.system_folder = folder.to_path_buf();
        Ok(config)
    }

    /// The tools on these devices with these settings.
    #[must_use]
    pub fn new(settings: Settings, devices: &[PathBuf]) -> Self {
        Self {
            devices: devices.to_vec(),
            settings,
            system_folder: "/etc/lvm".into(),
            mapper: Mapper::Look,
            read_deadline: Duration::from_secs(60),
            change_deadline: Duration::from_secs(120),
        }
    }

    /// Says whether the kernel has device-mapper.
    #[must_use]
    pub const fn with_mapper(mut self, mapper: Mapper) -> Self {
        self.mapper = mapper;
        self
    }

    /// Sets how long runs may take: those that read, and those that change something.
    #[must_use]
    pub const fn with_deadlines(mut self, read: Duration, change: Duration) -> Self {
        self.read_deadline = read;
        self.change_deadline = change;
        self
    }

    /// Whether the tools may use device-mapper.
    #[must_use]
    pub fn has_mapper(&self, host: &Host) -> bool {
        match self.mapper {
            Mapper::Present => true,
            Mapper::Absent => false,
            Mapper::Look => {
                host.files.stat(&host.roots.sys.join("class/misc/device-mapper")).is_ok()
            }
        }
    }

    /// The text of `lvm.conf` for the tools.
    ///
    /// `use_aio` is heeded in the file only, not on the command line (lvm2 2.03.16). Hints stay
    /// on, as the tools tell each other of changed devices through them; each run is told not to
    /// rely on them.
    ///
    /// # Errors
    /// `InvalidArgument` for a path that can't be written into the file, and for no or too many
    /// devices.
    pub(super) fn lvm_conf(&self, host: &Host) -> Result<String> {
        if self.devices.is_empty() || self.devices.len() > MAX_DEVICES {
            let message = format!("{} devices are named", self.devices.len());
            return Err(refuse(Subject::Host, message)
                .with_remedy(format!("name 1 to {MAX_DEVICES} devices")));
        }
        let accept: Result<Vec<String>> =
            self.devices.iter().map(|path| Ok(format!("\"a|^{}$|\"", pattern(path)?))).collect();
        let filter = format!("[ {}, \"r|.*|\" ]", accept?.join(", "));
        let mut text = String::new();
        let mut section = |name: &str, lines: &[String]| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} {{\n\t{}\n}}", lines.join("\n\t"));
        };
        section(
            "devices",
            &[
                format!("scan = [ {} ]", quoted(&host.roots.dev)?),
                format!("filter = {filter}"),
                format!("global_filter = {filter}"),
                "use_devicesfile = 0".into(),
                "obtain_device_list_from_udev = 0".into(),
                "external_device_info_source = \"none\"".into(),
            ],
        );
        let mut global = vec![
            "use_aio = 0".into(),
            format!("locking_dir = {}", quoted(&self.settings.lock_folder)?),
            "use_lvmlockd = 0".into(),
            "use_lvmpolld = 0".into(),
            "notify_dbus = 0".into(),
        ];
        if !is_there(host, "thin_check") {
            // The tools fail to activate a pool where the program that checks it is missing.
            global.push("thin_check_executable = \"\"".into());
        }
        if self.settings.system_id.is_some() {
            global.push("system_id_source = \"lvmlocal\"".into());
        }
        section("global", &global);
        let mut activation = vec!["monitoring = 0".to_owned()];
        if host.files.stat(Path::new(UDEV)).is_err() {
            // Else nodes and links are left to a udev that is not there.
            activation.extend(["udev_sync = 0", "udev_rules = 0"].map(str::to_owned));
        }
        section("activation", &activation);
        section("backup", &self.backup()?);
        let profiles = self.system_folder.join("profile");
        section("config", &[format!("profile_dir = {}", quoted(&profiles)?)]);
        Ok(text)
    }

    fn backup(&self) -> Result<Vec<String>> {
        let mut lines =
            vec![format!("backup = {}", u8::from(self.settings.backup_folder.is_some()))];
        if let Some(folder) = &self.settings.backup_folder {
            lines.push(format!("backup_dir = {}", quoted(folder)?));
        }
        lines.push(format!("archive = {}", u8::from(self.settings.archive.is_some())));
        if let Some(archive) = &self.settings.archive {
            const DAY: u64 = 24 * 60 * 60;
            lines.push(format!("archive_dir = {}", quoted(&archive.folder)?));
            lines.push(format!("retain_min = {}", archive.keep_at_least));
            let days = archive.keep_for.as_secs().checked_div(DAY).unwrap_or_default();
            lines.push(format!("retain_days = {days}"));
        }
        Ok(lines)
    }

    /// The text of `lvmlocal.conf`, if the host has a system id.
    ///
    /// # Errors
    /// `InvalidArgument` for an id that can't be written into the file.
    pub(super) fn local_conf(&self) -> Result<Option<String>> {
        let Some(id) = &self.settings.system_id else {
            return Ok(None);
        };
        Ok(Some(format!("local {{\n\tsystem_id = {}\n}}\n", quoted(Path::new(id))?)))
    }
}

/// Whether a program of the system is installed.
fn is_there(host: &Host, name: &str) -> bool {
    open_local_core::host::find_program(host.files.as_ref(), name, "thin-provisioning-tools")
        .is_ok()
}

fn refuse(subject: Subject, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, Op::RunProgram, subject, message)
}

/// A path between quotes; one with a character that would need an escape is refused.
fn quoted(path: &Path) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.:+,=@- ".contains(c);
    match path.to_str() {
        Some(text) if text.chars().all(plain) => Ok(format!("\"{text}\"")),
        _ => Err(refuse(Subject::path(path), "this can't be written into lvm.conf")
            .with_remedy("use letters, digits and / _ . : + , = @ -")),
    }
}

/// The regular expression for one path of a device.
fn pattern(path: &Path) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.:+,=@-".contains(c);
    let text = path.to_str().filter(|text| text.starts_with('/') && text.chars().all(plain));
    let Some(text) = text else {
        return Err(refuse(Subject::device(path), "the tools can't be told of this path")
            .with_remedy("name the device by the kernel's name, such as /dev/sdb"));
    };
    Ok(text.replace('.', "[.]").replace('+', "[+]"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use open_local_core::sim::{SimFiles, sim_host};

    use super::*;
    use crate::exec::LvmConf;

    fn host() -> Host {
        sim_host(Arc::new(SimFiles::new(1)), 1)
    }

    #[test]
    fn the_file_says_what_both_sides_must_agree_on() {
        let mut config = CliConfig::new(Settings::default(), &["/dev/sda".into()]);
        config.settings.system_id = Some("me".into());
        let text = config.lvm_conf(&host()).unwrap();
        let conf = LvmConf::parse(text.as_bytes());
        assert_eq!(conf.flag("global/use_aio"), Some(false));
        assert_eq!(conf.text("global/locking_dir"), Some("/run/lock/lvm"));
        assert_eq!(conf.text("backup/archive_dir"), Some("/etc/lvm/archive"));
        assert_eq!(conf.number("backup/retain_days"), Some(30));
        assert_eq!(conf.flag("backup/backup"), Some(true));
        assert_eq!(conf.text("global/system_id_source"), Some("lvmlocal"));
        assert!(text.contains("filter = [ \"a|^/dev/sda$|\", \"r|.*|\" ]"), "{text}");
        let local = config.local_conf().unwrap().unwrap();
        assert_eq!(LvmConf::parse(local.as_bytes()).text("local/system_id"), Some("me"));
    }

    #[test]
    fn what_the_host_does_not_keep_is_not_kept() {
        let settings = Settings { archive: None, backup_folder: None, ..Settings::default() };
        let config = CliConfig::new(settings, &["/dev/sda".into()]);
        let conf = LvmConf::parse(config.lvm_conf(&host()).unwrap().as_bytes());
        assert_eq!(conf.flag("backup/archive"), Some(false));
        assert_eq!(conf.flag("backup/backup"), Some(false));
        assert_eq!(config.local_conf().unwrap(), None);
    }

    #[test]
    fn paths_can_neither_end_the_string_nor_widen_the_filter() {
        for bad in
            ["/dev/a\"b", "/dev/a|b", "/dev/a*", "/dev/a b", "sda", "/dev/a\\x20", "/dev/a\n"]
        {
            let config = CliConfig::new(Settings::default(), &[bad.into()]);
            let error = config.lvm_conf(&host()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad}");
        }
        let config = CliConfig::new(Settings::default(), &["/dev/disk/by-id/a.b+c".into()]);
        assert!(config.lvm_conf(&host()).unwrap().contains("a[.]b[+]c$"));
        for count in [0, MAX_DEVICES + 1] {
            let devices = vec![PathBuf::from("/dev/sda"); count];
            assert!(CliConfig::new(Settings::default(), &devices).lvm_conf(&host()).is_err());
        }
    }
}
