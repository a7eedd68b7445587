//! What this process may do, where being root is not all of it.

use open_local_core::host::Roots;
use open_local_core::{Error, ErrorKind, FsKind, Op, Result, Subject};

/// The bit of `CAP_SYS_RESOURCE` (capabilities(7)); `ext4_resize_begin` of Linux 6.18 asks for it
/// before it grows a mounted file system.
const SYS_RESOURCE: u64 = 1 << 24;

/// The file system for the demo, and why it is not the usual one.
///
/// # Errors
/// `PermissionDenied` if ext4 was asked for and this process may not grow it while it is mounted.
pub(super) fn choose(roots: &Roots, wanted: Option<FsKind>) -> Result<(FsKind, Option<String>)> {
    // Where the file can't be read, the growth itself will tell.
    let status = std::fs::read_to_string(roots.proc.join("self/status")).unwrap_or_default();
    let able = effective(&status).is_none_or(|set| set & SYS_RESOURCE != 0);
    let reason = "this process lacks CAP_SYS_RESOURCE, without which a mounted ext4 can't grow";
    match wanted {
        Some(FsKind::Ext4) if !able => {
            Err(Error::new(ErrorKind::PermissionDenied, Op::GrowFilesystem, Subject::Host, reason)
                .with_remedy("run it with that capability, or choose --fs xfs"))
        }
        Some(kind) => Ok((kind, None)),
        None if able => Ok((FsKind::Ext4, None)),
        None => Ok((FsKind::Xfs, Some(format!("{reason}; the file system is XFS")))),
    }
}

/// The effective capabilities in `/proc/<pid>/status` (proc_pid_status(5)).
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_with(set: &str, wanted: Option<FsKind>) -> Result<(FsKind, Option<String>)> {
        let name = format!("open-local-caps-{}-{set}-{wanted:?}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("proc/self")).unwrap();
        let status = format!("Name:\tx\nCapEff:\t{set}\nCapBnd:\t0\n");
        std::fs::write(folder.join("proc/self/status"), status).unwrap();
        let chosen = choose(&Roots::all_under(&folder), wanted);
        std::fs::remove_dir_all(folder).unwrap();
        chosen
    }

    #[test]
    fn without_the_capability_the_usual_choice_is_xfs_and_ext4_is_refused() {
        let (all, but) = ("000001ffffffffff", "000001fffeffffff");
        assert_eq!(choose_with(all, None).unwrap(), (FsKind::Ext4, None));
        let (kind, note) = choose_with(but, None).unwrap();
        assert_eq!(kind, FsKind::Xfs);
        assert!(note.unwrap().contains("CAP_SYS_RESOURCE"));
        let refused = choose_with(but, Some(FsKind::Ext4)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        assert_eq!(choose_with(but, Some(FsKind::Btrfs)).unwrap(), (FsKind::Btrfs, None));
        assert_eq!(choose_with("nonsense", None).unwrap().0, FsKind::Ext4);
    }
}
