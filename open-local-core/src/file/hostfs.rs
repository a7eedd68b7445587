//! Which host file systems a pool may live on, and what they can do. Pure.

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::FsSpace;

/// What is known of a kind of host file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostFs {
    pub(super) name: &'static str,
    /// Fit without being named: local, durable, with working locks and loop devices.
    pub(super) fit: bool,
    /// Rewrites go to new blocks, so that room taken in advance is no guarantee.
    pub(super) copy_on_write: bool,
}

const fn fit(name: &'static str, copy_on_write: bool) -> HostFs {
    HostFs { name, fit: true, copy_on_write }
}

const fn unfit(name: &'static str) -> HostFs {
    HostFs { name, fit: false, copy_on_write: false }
}

/// Kinds by the magic number `statfs` gives (`linux/magic.h` and the file systems' own headers,
/// Linux 6.18).
const KNOWN: [(u64, HostFs); 19] = [
    (0xEF53, fit("ext4", false)),
    (0x5846_5342, fit("xfs", false)),
    (0x9123_683E, fit("btrfs", true)),
    (0xF2F5_2010, fit("f2fs", false)),
    (0x2FC1_2FC1, fit("zfs", true)),
    (0xCA45_1A4E, fit("bcachefs", true)),
    (0x0102_1994, unfit("tmpfs")),
    (0x8584_58F6, unfit("ramfs")),
    (0x794C_7630, unfit("overlay")),
    (0x6573_5546, unfit("fuse")),
    (0x6969, unfit("nfs")),
    (0xFF53_4D42, unfit("cifs")),
    (0xFE53_4D42, unfit("smb")),
    (0x00C3_6400, unfit("ceph")),
    (0x0102_1997, unfit("9p")),
    (0x0116_1970, unfit("gfs2")),
    (0x7461_636F, unfit("ocfs2")),
    (0x4D44, unfit("vfat")),
    (0x2011_BAB0, unfit("exfat")),
];

/// What is known of the file system with this magic number.
pub(super) fn kind(magic: u64) -> HostFs {
    let known = KNOWN.iter().find(|(number, _)| *number == magic);
    known.map_or(unfit("unknown"), |(_, kind)| *kind)
}

/// Judges the file system of a pool's folder.
///
/// # Errors
/// [`ErrorKind::Refused`] for a read-only one, and for one that is not fit unless `allowed` is
/// its name.
pub(super) fn judge(space: &FsSpace, allowed: Option<&str>, subject: &Subject) -> Result<HostFs> {
    let kind = kind(space.magic);
    let refuse = |message: String, remedy: String| {
        let error = Error::new(ErrorKind::Refused, Op::EnsurePool, subject.clone(), message);
        Err(error.with_remedy(remedy))
    };
    if space.read_only {
        return refuse(
            format!("the {} file system is mounted read-only", kind.name),
            "mount it read-write or choose another folder".into(),
        );
    }
    if !kind.fit && allowed != Some(kind.name) {
        return refuse(
            format!(
                "a {} file system (magic {:#x}) does not keep volumes safe",
                kind.name, space.magic
            ),
            format!(
                "choose a folder on ext4, xfs or btrfs, or allow it with the parameter \
                 allow-filesystem={}",
                kind.name
            ),
        );
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    #[test]
    fn only_fit_or_named_file_systems_pass() {
        let space = |magic, read_only| FsSpace {
            total: Bytes::GIB,
            available: Bytes::GIB,
            magic,
            read_only,
        };
        let judge = |space, allowed| judge(&space, allowed, &Subject::Host);
        assert_eq!(judge(space(0xEF53, false), None).unwrap().name, "ext4");
        let error = judge(space(0x0102_1994, false), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.remedy().unwrap().contains("allow-filesystem=tmpfs"));
        assert!(judge(space(0x0102_1994, false), Some("tmpfs")).is_ok());
        assert!(judge(space(0x6969, false), Some("tmpfs")).is_err());
        assert!(judge(space(0x1234, false), None).is_err());
        assert!(judge(space(0xEF53, true), None).is_err());
    }
}
