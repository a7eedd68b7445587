//! Where lvm2 keeps its locks, hints, archives and backups on this host, and which of them it
//! keeps.

mod lvm_conf;

use std::path::{Path, PathBuf};
use std::time::Duration;

use open_local_core::host::{Files, Host, read_small};
use open_local_core::{Error, Op, Result, Subject};

pub use lvm_conf::LvmConf;

/// Configuration files larger than this are not read; the one of 2.03.16 with all its comments
/// has 110 KiB.
const MAX_CONF: usize = 1 << 20;

/// How to live beside lvm2 on one host. The defaults are those of lvm2 as Debian 12 builds it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where locks are (`global/locking_dir`).
    pub lock_folder: PathBuf,
    /// The caller vouches that [`Self::lock_folder`] is the host's, although this process can't
    /// see it: a container with the host's folder mounted under another name.
    pub lock_folder_is_hosts: bool,
    /// How long a lock is waited for.
    pub lock_wait: Duration,
    /// Where hints are; fixed when lvm2 is built.
    pub hints_folder: PathBuf,
    /// Whether lvm2 uses them here (`devices/hints`).
    pub hints: bool,
    /// Where texts are archived before a change (`backup/archive_dir`), or `None` for not at all
    /// (`backup/archive = 0`).
    pub archive: Option<Archive>,
    /// Where the text is kept after a change (`backup/backup_dir`), or `None` for not at all
    /// (`backup/backup = 0`).
    pub backup_folder: Option<PathBuf>,
    /// Whether files of archive and backup are flushed, so that they survive a power cut too;
    /// `false` unless set. Then a change waits for two flushes more, of the host's own disk. What
    /// counts is on the devices and always flushed, and older texts lie in the ring beside it.
    pub flush_copies: bool,
    /// The devices file, if lvm2 uses one here.
    pub devices_file: Option<PathBuf>,
    /// The name by which groups belong to this host (`global/system_id_source`).
    pub system_id: Option<String>,
    /// The name of this host, written into texts.
    pub host_name: String,
}

/// Where old texts are kept, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The folder.
    pub folder: PathBuf,
    /// So many are kept whatever their age (`backup/retain_min`).
    pub keep_at_least: usize,
    /// The rest is kept so long (`backup/retain_days`).
    pub keep_for: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Settings {
    fn default() -> Self {
        Self {
            lock_folder: "/run/lock/lvm".into(),
            lock_folder_is_hosts: false,
            lock_wait: Duration::from_secs(30),
            hints_folder: "/run/lvm".into(),
            hints: true,
            archive: Some(Archive {
                folder: "/etc/lvm/archive".into(),
                keep_at_least: 10,
                keep_for: DAY.saturating_mul(30),
            }),
            backup_folder: Some("/etc/lvm/backup".into()),
            flush_copies: false,
            devices_file: None,
            system_id: None,
            host_name: String::new(),
        }
    }
}

impl Settings {
    /// What lvm2's configuration on this host says.
    ///
    /// # Errors
    /// `PermissionDenied` or `Io` if a configuration file is there and can't be read: guessing
    /// another lock folder than the tools use would leave both without locks.
    pub fn of_host(host: &Host) -> Result<Self> {
        Self::from_folder(host, Path::new("/etc/lvm"))
    }

    /// The same with the configuration in another folder, as `LVM_SYSTEM_DIR` does it.
    ///
    /// # Errors
    /// As [`Self::of_host`].
    pub fn from_folder(host: &Host, folder: &Path) -> Result<Self> {
        let files = host.files.as_ref();
        let conf = LvmConf::parse(&conf_file(files, &folder.join("lvm.conf"))?);
        let local = LvmConf::parse(&conf_file(files, &folder.join("lvmlocal.conf"))?);
        let host_name = host.roots.proc.join("sys/kernel/hostname");
        let host_name = read_small(files, &host_name, 4096).unwrap_or_default();
        let host_name = String::from_utf8_lossy(&host_name).trim().to_owned();
        let devices_file = folder
            .join("devices")
            .join(conf.text("devices/devicesfile").unwrap_or("system.devices"));
        let default = Self::default();
        Ok(Self {
            lock_folder: conf.text("global/locking_dir").map_or(default.lock_folder, PathBuf::from),
            hints: conf.text("devices/hints") != Some("none"),
            archive: archive(&conf, folder),
            backup_folder: conf.flag("backup/backup").unwrap_or(true).then(|| {
                conf.text("backup/backup_dir").map_or_else(|| folder.join("backup"), PathBuf::from)
            }),
            // Whether the tools use one by default was decided when they were built, so only a
            // missing file or a plain "no" says that they do not.
            devices_file: (conf.flag("devices/use_devicesfile") != Some(false)
                && files.stat(&devices_file).is_ok())
            .then_some(devices_file),
            system_id: system_id(&conf, &local, &host_name),
            host_name,
            ..default
        })
    }
}

fn conf_file(files: &dyn Files, path: &Path) -> Result<Vec<u8>> {
    match read_small(files, path, MAX_CONF) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::from_io(Op::ReadState, Subject::path(path), "can't read it", e)
            .with_remedy("lvm2 reads it too: mend it, so that both agree on where the locks are")),
    }
}

fn archive(conf: &LvmConf, folder: &Path) -> Option<Archive> {
    conf.flag("backup/archive").unwrap_or(true).then(|| {
        let days = conf.number("backup/retain_days").unwrap_or(30);
        let least = conf.number("backup/retain_min").unwrap_or(10);
        Archive {
            folder: conf
                .text("backup/archive_dir")
                .map_or_else(|| folder.join("archive"), PathBuf::from),
            keep_at_least: usize::try_from(least).unwrap_or(usize::MAX),
            keep_for: DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX)),
        }
    })
}

/// The sources that need nothing but files; with any other, groups with a system id are foreign.
fn system_id(conf: &LvmConf, local: &LvmConf, host_name: &str) -> Option<String> {
    match conf.text("global/system_id_source")? {
        "lvmlocal" => local.text("local/system_id").map(str::to_owned),
        "uname" => (!host_name.is_empty()).then(|| host_name.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use open_local_core::sim::{SimFiles, sim_host};

    use super::*;

    fn settings(conf: &str) -> Settings {
        let files = Arc::new(SimFiles::new(1));
        files.add_folder("/etc/lvm/devices").unwrap();
        files.add_file("/etc/lvm/lvm.conf", conf.as_bytes()).unwrap();
        files.add_file("/etc/lvm/lvmlocal.conf", b"local {\n system_id = \"me\"\n}\n").unwrap();
        files.add_file("/etc/lvm/devices/system.devices", b"").unwrap();
        Settings::of_host(&sim_host(files, 1)).unwrap()
    }

    #[test]
    fn what_the_configuration_says_is_taken() {
        let conf = "
            global { locking_dir = \"/elsewhere\" # a comment
                     system_id_source = \"lvmlocal\" }
            backup { archive = 0
                     backup_dir = \"/b\" }
            devices { use_devicesfile = 0
                      hints = \"none\" }";
        let settings = settings(conf);
        assert!(!settings.hints);
        assert_eq!(settings.lock_folder, Path::new("/elsewhere"));
        assert_eq!(settings.archive, None);
        assert_eq!(settings.backup_folder.as_deref(), Some(Path::new("/b")));
        assert_eq!(settings.devices_file, None);
        assert_eq!(settings.system_id.as_deref(), Some("me"));
    }

    #[test]
    fn a_devices_file_counts_unless_it_is_turned_off() {
        let path = Path::new("/etc/lvm/devices/system.devices");
        assert_eq!(settings("").devices_file.as_deref(), Some(path));
        assert_eq!(settings("devices{use_devicesfile=1}").devices_file.as_deref(), Some(path));
        assert!(settings("devices { hints = \"all\" }").hints && settings("").hints);
    }

    #[test]
    fn without_configuration_the_defaults_hold() {
        let host = sim_host(Arc::new(SimFiles::new(1)), 1);
        assert_eq!(Settings::of_host(&host).unwrap(), Settings::default());
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_an_error() {
        let files = Arc::new(SimFiles::new(1));
        files.add_folder("/etc/lvm").unwrap();
        files.add_file("/etc/lvm/lvm.conf", b"").unwrap();
        files.set_unreadable("/etc/lvm/lvm.conf", Some(5));
        assert!(Settings::of_host(&sim_host(files, 1)).is_err());
    }
}
