//! The cgroup of a pod: its UID, and where the kubelet has put it.
//!
//! The kubelet (1.20 to 1.33, read in its documentation, not seen here) names the cgroup of a pod
//! `pod<UID>` with the driver `cgroupfs`, and `kubepods[-burstable|-besteffort]-pod<UID>.slice`
//! with hyphens as underscores with the driver `systemd`, below `kubepods` or `kubepods.slice`,
//! which may itself be below another folder of its own. So no path is guessed: folders whose names
//! begin with `kube`, and those of the classes, are looked through.

use std::path::{Component, Path, PathBuf};

use open_local_core::host::{Files, Host, read_small};
use open_local_core::throttle::{CgroupTarget, find_controllers};

/// Most folders that are listed for one pod.
const MOST_FOLDERS: usize = 64;
/// How deep pods may be below the root of the hierarchy.
const MOST_DEPTH: usize = 6;
/// Most bytes of mount information that are read.
const MOST_MOUNTS: usize = 4 << 20;

/// The UID of the pod a target belongs to, from its path; for kubelets that do not say.
///
/// A file system is shown at `…/pods/UID/volumes/…`, a device at
/// `…/volumeDevices/publish/VOLUME/UID`, whatever folder the kubelet has.
pub(super) fn pod_of_target(target: &Path) -> Option<String> {
    let parts: Vec<&str> = target
        .components()
        .filter_map(|part| match part {
            Component::Normal(text) => text.to_str(),
            _ => None,
        })
        .collect();
    // The first that a UID follows: a volume may itself be named like these.
    let after = |mark: &[&str], skip: usize| {
        let starts = parts.windows(mark.len()).enumerate().filter(|(_, window)| *window == mark);
        starts.into_iter().find_map(|(start, _)| {
            let at = start.saturating_add(mark.len()).saturating_add(skip);
            parts.get(at).copied().filter(|uid| is_uid(uid)).map(|uid| (start, uid))
        })
    };
    let file_system = after(&["pods"], 0);
    let device = after(&["volumeDevices", "publish"], 1);
    let first = [file_system, device].into_iter().flatten().min_by_key(|(start, _)| *start);
    first.map(|(_, uid)| uid.to_owned())
}

/// Whether a text can be the UID of a pod: what else is in a path or a request finds no cgroup.
pub(super) fn is_uid(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Whether a folder of this name is the cgroup of a pod.
fn is_of_pod(name: &str, uid: &str) -> bool {
    let slice = name.strip_suffix(".slice").and_then(|name| name.rsplit_once("-pod"));
    name.strip_prefix("pod") == Some(uid)
        || slice.is_some_and(|(_, written)| written == uid.replace('-', "_"))
}

/// The cgroup of a pod, relative to the root of the hierarchy that can limit I/O; none while there
/// is none.
pub(super) fn find(host: &Host, uid: &str) -> Option<CgroupTarget> {
    let path = host.roots.proc.join("self/mountinfo");
    let mounts = read_small(host.files.as_ref(), &path, MOST_MOUNTS).ok()?;
    let controllers = find_controllers(&mounts);
    let found = [controllers.v1_blkio, controllers.v2].into_iter().flatten().find_map(|mount| {
        let below = search(host.files.as_ref(), &mount.point, uid)?;
        Some(mount.root.join(below))
    })?;
    CgroupTarget::new(found).ok()
}

/// Looks through the kubelet's folders, the nearest first.
fn search(files: &dyn Files, root: &Path, uid: &str) -> Option<PathBuf> {
    let mut level = vec![PathBuf::new()];
    let mut listed = 0_usize;
    for _ in 0..MOST_DEPTH {
        let mut next = Vec::new();
        for below in level {
            listed = listed.saturating_add(1);
            if listed > MOST_FOLDERS {
                return None;
            }
            let names = files.list(&root.join(&below)).unwrap_or_default();
            for name in names.iter().filter_map(|name| name.to_str()) {
                if is_of_pod(name, uid) {
                    return Some(below.join(name));
                }
                // Of the other pods' folders none is looked into.
                let class = name == "burstable" || name == "besteffort";
                if class || name.starts_with("kube") && !name.contains("-pod") {
                    next.push(below.join(name));
                }
            }
        }
        level = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UID: &str = "0f5c1a2e-9d3b-4f6a-8a51-0c2f6a7b8c9d";

    #[test]
    fn the_pod_is_in_the_path_of_its_target_whatever_the_folder() {
        let mount = format!("/data/kubelet/pods/{UID}/volumes/kubernetes.io~csi/pv/mount");
        let device =
            format!("/var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices/publish/pvc-1/{UID}");
        let other = "11111111-2222-3333-4444-555555555555";
        let odd = format!("/k/pods/{UID}/volumes/kubernetes.io~csi/pods/{other}/mount");
        for target in [mount, device, odd] {
            assert_eq!(pod_of_target(Path::new(&target)).as_deref(), Some(UID), "{target}");
        }
        for other in ["/mnt/x", "/pods", "/pods/../x", "/pods/not-a-uid/volumes"] {
            assert_eq!(pod_of_target(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn each_layout_of_the_kubelet_is_known() {
        let slice = "0f5c1a2e_9d3b_4f6a_8a51_0c2f6a7b8c9d";
        for name in [
            format!("pod{UID}"),
            format!("kubepods-pod{slice}.slice"),
            format!("kubepods-burstable-pod{slice}.slice"),
            format!("kubelet-kubepods-besteffort-pod{slice}.slice"),
        ] {
            assert!(is_of_pod(&name, UID), "{name}");
        }
        for name in [format!("pod{UID}0"), format!("x{slice}.slice"), "pod".to_owned()] {
            assert!(!is_of_pod(&name, UID), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read(path in ".{0,80}") {
            if let Some(uid) = pod_of_target(Path::new(&path)) {
                prop_assert!(is_uid(&uid));
            }
        }
    }
}
