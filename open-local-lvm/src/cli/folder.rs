//! The folder that the tools take for `/etc/lvm`.

use std::path::{Path, PathBuf};

use open_local_core::host::{Host, read_small};
use open_local_core::{Error, ErrorKind, Op, Result, Subject, Uuid};

use super::config::CliConfig;
use crate::format::crc::crc;

/// Our folder below that for what a reboot forgets.
const FOLDER: &str = "lvm-cli";
/// Two texts with one checksum get folders of their own; more than so many are not tried.
const TRIES: u32 = 8;
/// Files larger than this are not ours.
const MAX_FILE: usize = 1 << 20;

/// Makes sure there is a folder with this configuration, and answers it.
///
/// Its name comes from its content, so that what one process runs with is never changed by
/// another. It lies where a reboot forgets it.
///
/// # Errors
/// As [`CliConfig::lvm_conf`]; `PermissionDenied`, `OutOfSpace` or `Io` if it can't be written.
pub(super) fn ensure(host: &Host, config: &CliConfig) -> Result<PathBuf> {
    let (text, local) = (config.lvm_conf(host)?, config.local_conf()?);
    let all = format!("{text}{}", local.as_deref().unwrap_or_default());
    let above = host.roots.run.join(FOLDER);
    for number in 0..TRIES {
        let folder = above.join(format!("{:08x}-{number}", crc(all.as_bytes())));
        // lvmlocal.conf first: a folder with an lvm.conf is a whole one.
        let local_fits = match &local {
            Some(local) => has_or_gets(host, &folder, "lvmlocal.conf", local)?,
            None => true,
        };
        if local_fits && has_or_gets(host, &folder, "lvm.conf", &text)? {
            return Ok(folder);
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        Op::WriteState,
        Subject::path(&above),
        "every folder for this configuration holds another",
    )
    .with_remedy("remove what is in it; it is made anew when it is needed"))
}

/// The file whose lock keeps processes of ours from changing one group between two runs of the
/// tools, whatever devices each of them names. Its folder is made.
///
/// # Errors
/// `PermissionDenied`, `OutOfSpace` or `Io`.
pub(super) fn lock_file(host: &Host, group: &str) -> Result<PathBuf> {
    let folder = host.roots.run.join(FOLDER).join("locks");
    make_folders(host, &folder)?;
    Ok(folder.join(group))
}

/// Whether the file has this content, or gets it because there is none.
fn has_or_gets(host: &Host, folder: &Path, name: &str, content: &str) -> Result<bool> {
    let path = folder.join(name);
    let failed = |what: &str, error| {
        Error::from_io(Op::WriteState, Subject::path(&path), what, error)
            .with_remedy("run as root, or choose a run folder that can be written")
    };
    match read_small(host.files.as_ref(), &path, MAX_FILE) {
        Ok(there) => return Ok(there == content.as_bytes()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed("can't read it", e)),
    }
    make_folders(host, folder)?;
    let new = folder.join(format!(".new-{}", Uuid::random(host.entropy.as_ref())?));
    let file = host.files.create_new(&new).map_err(|e| failed("can't make it", e))?;
    file.write_at(0, content.as_bytes()).map_err(|e| failed("can't write it", e))?;
    drop(file);
    host.files.rename(&new, &path).map_err(|e| failed("can't rename it", e))?;
    Ok(true)
}

fn make_folders(host: &Host, folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|part| host.files.stat(part).is_err() && part.parent().is_some())
        .collect();
    for part in missing.into_iter().rev() {
        match host.files.create_dir(part) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::from_io(
                    Op::WriteState,
                    Subject::path(part),
                    "can't make the folder",
                    e,
                )
                .with_remedy("run as root, or choose a run folder that can be written"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use open_local_core::sim::{SimFiles, sim_host};

    use super::*;
    use crate::exec::Settings;

    #[test]
    fn one_configuration_has_one_folder_and_another_has_another() {
        let files = Arc::new(SimFiles::new(1));
        let host = sim_host(Arc::clone(&files), 1);
        let config = |device: &str| CliConfig::new(Settings::default(), &[device.into()]);
        let first = ensure(&host, &config("/dev/sda")).unwrap();
        assert_eq!(ensure(&host, &config("/dev/sda")).unwrap(), first);
        assert_ne!(ensure(&host, &config("/dev/sdb")).unwrap(), first);
        let text = read_small(host.files.as_ref(), &first.join("lvm.conf"), MAX_FILE).unwrap();
        assert_eq!(text, config("/dev/sda").lvm_conf(&host).unwrap().into_bytes());
        assert_eq!(host.files.list(&first).unwrap(), ["lvm.conf"]);
    }

    #[test]
    fn what_lies_there_is_not_written_over() {
        let files = Arc::new(SimFiles::new(1));
        let host = sim_host(Arc::clone(&files), 1);
        let config = CliConfig::new(Settings::default(), &["/dev/sda".into()]);
        let first = ensure(&host, &config).unwrap();
        host.files.remove_file(&first.join("lvm.conf")).unwrap();
        files.add_file(first.join("lvm.conf"), b"other").unwrap();
        let second = ensure(&host, &config).unwrap();
        assert_ne!(second, first);
        assert_eq!(read_small(host.files.as_ref(), &first.join("lvm.conf"), 9).unwrap(), b"other");
    }
}
