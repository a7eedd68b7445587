//! Wishes: the limits that were asked for, on disk.
//!
//! A wish is written before the kernel is told and removed after the limit is lifted, so what a
//! kill leaves half done is finished by the same call again or by a reconciliation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::Identity;
use super::limits::{CgroupTarget, IoLimits, Limit};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileLock, Host, poll_until};
use crate::state::Record;

const KIND: &str = "limit";
const FORMAT: u32 = 1;
const ENDING: &str = ".limit";

/// More wishes than this are not kept.
const MAX_WISHES: usize = 100_000;

/// How long another process may hold the wishes before a call gives up.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Limits asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) target: CgroupTarget,
    pub(super) device: DeviceNumber,
    pub(super) limits: IoLimits,
    /// The device the number stood for when they were asked for.
    pub(super) identity: Identity,
    /// Whether they are being lifted: the wish is to be forgotten once they are.
    pub(super) lifting: bool,
}

impl Wish {
    fn to_record(&self) -> Record {
        let record = Record::new(KIND, FORMAT)
            .with("target", self.target.as_path().display())
            .with("device", self.device)
            .with_optional("boot", self.identity.boot.as_ref())
            .with_optional("diskseq", self.identity.sequence)
            .with("lifting", self.lifting);
        Limit::ALL.into_iter().fold(record, |record, limit| {
            record.with_optional(limit.name(), self.limits.get(limit))
        })
    }

    fn from_record(record: &Record) -> Result<Self> {
        let mut limits = IoLimits::none();
        for limit in Limit::ALL {
            limits = limits.with(limit, record.parsed_optional(limit.name())?);
        }
        let target: String = record.parsed("target")?;
        Ok(Self {
            target: CgroupTarget::new(target).map_err(|e| e.with_kind(ErrorKind::Corrupt))?,
            device: record.parsed("device")?,
            limits,
            identity: Identity {
                boot: record.parsed_optional("boot")?,
                sequence: record.parsed_optional("diskseq")?,
            },
            lifting: record.parsed("lifting")?,
        })
    }
}

/// Parses the record of a wish and answers it as it would be stored again.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for anything that was not stored as one, [`ErrorKind::Unsupported`] for
/// a newer format.
pub fn parse_wish(bytes: &[u8]) -> Result<Vec<u8>> {
    let record = Record::parse(bytes, KIND, FORMAT)?;
    Wish::from_record(&record).map(|wish| wish.to_record().to_bytes())
}

/// FNV-1a with 128 bits: a path may be longer than a file name.
fn hash(text: &[u8]) -> u128 {
    text.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

/// The wishes of a host, under `throttle/` in its state folder.
#[derive(Debug)]
pub(super) struct Wishes<'a> {
    host: &'a Host,
    folder: PathBuf,
}

impl<'a> Wishes<'a> {
    pub(super) fn of(host: &'a Host) -> Self {
        let folder = host.roots.state.join("throttle");
        Self { host, folder }
    }

    fn path(&self, target: &CgroupTarget, device: DeviceNumber) -> PathBuf {
        let hash = hash(target.as_path().as_os_str().as_encoded_bytes());
        let name = format!("{}-{}-{hash:032x}", device.major(), device.minor());
        self.folder.join(name + ENDING)
    }

    /// Whether there ever was a wish.
    pub(super) fn any(&self) -> Result<bool> {
        match self.host.files.stat(&self.folder) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.failed(&self.folder, Op::ReadState, "can't look at it", e)),
        }
    }

    fn failed(&self, path: &Path, op: Op, what: &str, error: std::io::Error) -> Error {
        let error = Error::from_io(op, Subject::path(path), what, error);
        if error.kind() != ErrorKind::PermissionDenied {
            return error;
        }
        error.with_remedy(format!(
            "run as root, or as a user who may write in {}",
            self.host.roots.state.display()
        ))
    }

    /// Makes the folder if there is none.
    fn prepare(&self, op: Op) -> Result<()> {
        let missing: Vec<&Path> = self
            .folder
            .ancestors()
            .take_while(|path| {
                let stat = self.host.files.stat(path);
                stat.is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
            })
            .collect();
        for path in missing.into_iter().rev() {
            let subject = Subject::path(path);
            self.host.checkpoints.before(op, &subject, "make the folder")?;
            match self.host.files.create_dir(path) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(self.failed(path, Op::WriteState, "can't make the folder", e));
                }
                _ => {}
            }
            if let Some(parent) = path.parent() {
                let flushed = self.host.files.sync_dir(parent);
                flushed.map_err(|e| self.failed(parent, Op::WriteState, "can't flush it", e))?;
            }
        }
        Ok(())
    }

    /// Keeps other processes from changing limits until the answer is dropped.
    ///
    /// # Errors
    /// `Timeout` after 10 seconds, `PermissionDenied`, `Io`.
    pub(super) fn lock(&self, op: Op) -> Result<Box<dyn FileLock>> {
        self.prepare(op)?;
        let path = self.folder.join("lock");
        let held = poll_until(&*self.host.clock, LOCK_WAIT, || {
            let tried = self.host.files.try_lock(&path);
            tried.map_err(|e| self.failed(&path, Op::Lock, "can't lock it", e))
        })?;
        held.ok_or_else(|| {
            Error::new(
                ErrorKind::Timeout,
                Op::Lock,
                Subject::path(&path),
                format!("another process held it for {} s", LOCK_WAIT.as_secs()),
            )
            .with_remedy("see which process changes I/O limits, and try again")
        })
    }

    fn load(&self, path: &Path) -> Result<Option<Wish>> {
        let record = match Record::load(&*self.host.files, path, KIND, FORMAT) {
            Ok(record) => record,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let about = |error: Error| {
            Error::new(ErrorKind::Corrupt, Op::ReadState, Subject::path(path), error.message())
        };
        let wish = Wish::from_record(&record).map_err(about)?;
        if self.path(&wish.target, wish.device) != path {
            let what = format!("it is the wish of another name: {}", wish.target);
            return Err(about(Error::new(ErrorKind::Corrupt, Op::ReadState, Subject::Host, what)));
        }
        Ok(Some(wish))
    }

    /// The wish for this cgroup and device.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` for a newer format, `Io`.
    pub(super) fn get(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Option<Wish>> {
        let remedy = "apply or clear the limits again; both replace the record";
        self.load(&self.path(target, device)).map_err(|e| match e.kind() {
            ErrorKind::Corrupt => e.with_remedy(remedy),
            _ => e,
        })
    }

    /// Every wish, and the errors of those that can't be read.
    ///
    /// # Errors
    /// `Io` if the folder can't be listed, `Unsupported` for too many.
    pub(super) fn all(&self) -> Result<(Vec<Wish>, Vec<Error>)> {
        let names = match self.host.files.list(&self.folder) {
            Ok(names) => names,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(self.failed(&self.folder, Op::ReadState, "can't list it", e)),
        };
        let (mut wishes, mut errors) = (Vec::new(), Vec::new());
        let ours = |name: &str| name.ends_with(ENDING) && !name.starts_with('.');
        for name in names.iter().filter(|n| n.to_str().is_some_and(ours)) {
            match self.load(&self.folder.join(name)) {
                Ok(wish) => wishes.extend(wish),
                Err(error) => errors.push(error),
            }
            if wishes.len().saturating_add(errors.len()) > MAX_WISHES {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    Op::ReadState,
                    Subject::path(&self.folder),
                    format!("there are more than {MAX_WISHES} limits"),
                )
                .with_remedy("clear limits of cgroups that are gone"));
            }
        }
        Ok((wishes, errors))
    }

    /// Stores a wish in place of the older one. The caller holds the lock.
    pub(super) fn put(&self, wish: &Wish) -> Result<()> {
        let path = self.path(&wish.target, wish.device);
        wish.to_record().store(&*self.host.files, &path)
    }

    /// Forgets a wish. The caller holds the lock.
    pub(super) fn forget(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<()> {
        let path = self.path(target, device);
        match self.host.files.remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(self.failed(&path, Op::WriteState, "can't remove it", e))
            }
            _ => {
                let flushed = self.host.files.sync_dir(&self.folder);
                flushed.map_err(|e| self.failed(&self.folder, Op::WriteState, "can't flush it", e))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stored_wish_is_read_back(
            target in "[a-z.]{1,9}x(/[a-zé -]{1,9}y){0,3}",
            (major, minor) in (any::<u32>(), any::<u32>()),
            values in prop::array::uniform4(prop::option::of(any::<u64>())),
            (boot, sequence) in (prop::option::of("[0-9a-f-]{1,36}"), prop::option::of(any::<u64>())),
            lifting in any::<bool>(),
        ) {
            let wish = Wish {
                target: CgroupTarget::new(target).unwrap(),
                device: DeviceNumber::new(major, minor),
                limits: Limit::ALL.into_iter().zip(values)
                    .fold(IoLimits::none(), |all, (limit, value)| all.with(limit, value)),
                identity: Identity { boot, sequence },
                lifting,
            };
            let bytes = wish.to_record().to_bytes();
            let record = Record::parse(&bytes, KIND, FORMAT).unwrap();
            prop_assert_eq!(Wish::from_record(&record).unwrap(), wish);
        }
    }

    #[test]
    fn names_are_short_and_differ_by_target_and_device() {
        // The published test values of FNV-1a.
        assert_eq!(hash(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(hash(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        let host = Host::system();
        let wishes = Wishes::of(&host);
        let name = |target: &str, minor| {
            let target = CgroupTarget::new(target).unwrap();
            wishes.path(&target, DeviceNumber::new(7, minor))
        };
        assert_ne!(name("a/b", 1), name("a/c", 1));
        assert_ne!(name("a/b", 1), name("a/b", 300));
        let long = name(&"x".repeat(4000), 1);
        assert!(long.file_name().unwrap().len() < 100);
    }
}
