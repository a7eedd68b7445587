//! One driver at a time in the folders of the records.

use std::path::{Path, PathBuf};

use open_local_core::host::{FileLock, Host};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::records::Records;

/// The file that is locked.
const NAME: &str = "csi.lock";

/// The folders of the records, held against other drivers until this is dropped or the process
/// ends, however it does.
#[derive(Debug)]
#[must_use = "another driver may start as soon as this is dropped"]
pub struct Held {
    _locks: Vec<Box<dyn FileLock>>,
}

impl Held {
    /// Takes the folders of this host's records, both that of this boot and the lasting one.
    ///
    /// Two drivers on the same records would each work on what the other one works on: their turns
    /// are kept in memory.
    ///
    /// # Errors
    /// `Busy` naming the file that another driver has locked, `Io`, `PermissionDenied`.
    pub fn take(host: &Host) -> Result<Self> {
        let records = Records::new(host.clone());
        let folders = [&host.roots.run, &host.roots.state];
        let mut locks = Vec::new();
        let mut known: Vec<&Path> = Vec::new();
        for folder in folders {
            if !known.contains(&folder.as_path()) {
                records.make(folder)?;
                locks.push(lock(host, folder.join(NAME))?);
                known.push(folder);
            }
        }
        Ok(Self { _locks: locks })
    }
}

fn lock(host: &Host, path: PathBuf) -> Result<Box<dyn FileLock>> {
    let failed = |e| Error::from_io(Op::WriteState, Subject::path(&path), "can't lock it", e);
    host.files.try_lock(&path).map_err(failed)?.ok_or_else(|| {
        let message = "another driver has locked it";
        Error::new(ErrorKind::Busy, Op::WriteState, Subject::path(&path), message)
            .with_remedy("end that one first, or give this one folders of its own")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_local_core::sim::Machine;

    #[test]
    fn the_records_are_of_one_driver() {
        let machine = Machine::new(1);
        let mut host = machine.host();
        let held = Held::take(&host).unwrap();
        for name in ["run", "state"] {
            // One folder in common is enough.
            let mut other = machine.host();
            match name {
                "run" => other.roots.state = "/var/lib/other".into(),
                _ => other.roots.run = "/run/other".into(),
            }
            let error = Held::take(&other).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy);
            assert!(error.report().to_string().contains("csi.lock"), "{}", error.report());
        }
        drop(held);
        drop(Held::take(&host).unwrap());
        host.roots.run = host.roots.state.clone();
        drop(Held::take(&host).unwrap());
    }
}
