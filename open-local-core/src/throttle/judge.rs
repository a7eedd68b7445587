//! Whether a limit takes effect on this host, and why not.

use std::path::Path;

use super::detect::{self, filesystem_on, lists_controller};
use super::kernel::{KernelFiles, is_gone};
use super::limits::{CgroupTarget, Limit, Support};
use super::plan::{Hierarchy, Version};
use super::{v1, v2};
use crate::device::DeviceNumber;
use crate::error::{Error, Op, Result, Subject};

/// File systems whose write-back is charged to the cgroup that dirtied the pages
/// (Documentation/admin-guide/cgroup-v2.rst, "Writeback").
const CHARGES_WRITEBACK: [&str; 5] = ["ext2", "ext4", "btrfs", "f2fs", "xfs"];

const V1_EFFECT: &str = "cgroup v1: reads and direct or synchronous writes are limited; buffered \
    writes are not, since the kernel writes them back outside the cgroup; and each cgroup under \
    the target has the limits for itself, since v1 does not add them up";

const V2_WITHOUT_MEMORY: &str = "cgroup v2 without the memory controller: reads and direct or \
    synchronous writes are limited; buffered writes are not, since their write-back can't be \
    charged to the cgroup";

/// The hierarchy that can limit I/O, or why there is none.
pub(super) fn hierarchy(
    files: &dyn KernelFiles,
    mountinfo: &[u8],
) -> Result<std::result::Result<Hierarchy, String>> {
    let found = detect::find_controllers(mountinfo);
    if let Some(mount) = found.v1_blkio {
        let version = Version::V1;
        return Ok(Ok(Hierarchy { version, mount }));
    }
    let Some(mount) = found.v2 else {
        return Ok(Err(
            "neither the cgroup v1 controller blkio nor a cgroup v2 hierarchy is mounted".into(),
        ));
    };
    if !lists_controller(&controllers(files, &mount.point)?, "io") {
        return Ok(Err(format!(
            "the cgroup v2 hierarchy at {} has no io controller, and the v1 controller blkio is \
             not mounted",
            mount.point.display()
        )));
    }
    let version = Version::V2;
    Ok(Ok(Hierarchy { version, mount }))
}

fn controllers(files: &dyn KernelFiles, folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join("cgroup.controllers");
    match files.read(&path) {
        Err(error) if !is_gone(&error) => {
            Err(Error::from_io(Op::ThrottleSupport, Subject::path(path), "can't read", error))
        }
        text => Ok(text.unwrap_or_default()),
    }
}

/// Whether limits of a whole disk take effect for this cgroup.
pub(super) fn support(
    files: &dyn KernelFiles,
    mountinfo: &[u8],
    target: &CgroupTarget,
    device: DeviceNumber,
) -> Result<Support> {
    let hierarchy = match hierarchy(files, mountinfo)? {
        Ok(hierarchy) => hierarchy,
        Err(why) => return Ok(Support::None(why)),
    };
    let mount = &hierarchy.mount;
    let Some(folder) = mount.folder(target.as_path()) else {
        return Ok(Support::None(not_shown(&hierarchy, target)));
    };
    let exists = |path: &Path| {
        files.exists(path).map_err(|e| {
            Error::from_io(Op::ThrottleSupport, Subject::path(path), "can't look at it", e)
        })
    };
    if hierarchy.version == Version::V1 {
        let there = exists(&mount.point.join(v1::file(Limit::ReadBps)))?;
        return Ok(if there {
            Support::Partial(V1_EFFECT.to_owned())
        } else {
            Support::None("this kernel is built without I/O throttling".to_owned())
        });
    }
    let gaps = v2::not_passing_on(files, &mount.point, &folder)?;
    if let Some(why) = gaps.iter().find_map(|gap| v2::obstacle(files, gap)) {
        return Ok(Support::None(why));
    }
    if gaps.is_empty() && exists(&folder)? && !exists(&folder.join(v2::FILE))? {
        return Ok(Support::None(format!(
            "{} has no file {}: the kernel is built without I/O throttling, or the cgroup is \
             threaded",
            folder.display(),
            v2::FILE
        )));
    }
    if !lists_controller(&controllers(files, &mount.point)?, "memory") {
        return Ok(Support::Partial(V2_WITHOUT_MEMORY.to_owned()));
    }
    Ok(match filesystem_on(mountinfo, device) {
        Some(kind) if !CHARGES_WRITEBACK.contains(&kind.as_str()) => Support::Partial(format!(
            "buffered writes are not limited: {kind}, mounted from {device}, does not charge \
             write-back to cgroups"
        )),
        _ => Support::Full,
    })
}

/// Why a mount can't reach a cgroup.
pub(super) fn not_shown(hierarchy: &Hierarchy, target: &CgroupTarget) -> String {
    format!(
        "only {} and below is mounted of the hierarchy, which does not hold {target}",
        hierarchy.mount.root.display()
    )
}
