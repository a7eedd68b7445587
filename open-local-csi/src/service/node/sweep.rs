//! Inline volumes of pods that are gone.

use std::path::{Path, PathBuf};

use super::inline_record::InlineRecord;
use super::pod_cgroup::is_uid;
use crate::errors::{Answer, Status};
use crate::rpc::Rpc;
use crate::service::Driver;

const UNPUBLISH: Rpc = Rpc::NodeUnpublishVolume;

/// What was done at start about inline volumes of an earlier life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovered {
    /// Volumes that were removed, since their pod is gone.
    pub removed: Vec<String>,
    /// Volumes that could not be removed, and why.
    pub failed: Vec<(String, Status)>,
}

impl Driver {
    /// Removes inline volumes whose pods went while nobody looked, or whose publish failed for
    /// good, after which nobody asks for an unpublish: the kubelet has removed the folder of the
    /// pod, which it does when all of a pod's volumes are gone. To be called at start, and every
    /// few minutes.
    ///
    /// # Errors
    /// If the folder of the records can't be read.
    pub fn recover_inline(&self) -> Answer<Recovered> {
        let mut done = Recovered::default();
        let all = self.records.readable_inline();
        let (records, unread) = all.map_err(|e| Status::of(UNPUBLISH, &e))?;
        let unread = unread.iter().map(|e| (e.subject().to_string(), Status::of(UNPUBLISH, e)));
        done.failed.extend(unread);
        for record in records {
            let record = match InlineRecord::read(&record) {
                Ok(record) => record,
                Err(error) => {
                    let volume = record.get("volume").unwrap_or("unknown").to_owned();
                    done.failed.push((volume, Status::of(UNPUBLISH, &error)));
                    continue;
                }
            };
            if !self.is_pod_gone(&record.target) {
                continue;
            }
            let request = crate::proto::NodeUnpublishVolumeRequest {
                volume_id: record.volume.clone(),
                target_path: record.target.to_string_lossy().into_owned(),
            };
            match self.node_unpublish_volume(&request) {
                Ok(_) => done.removed.push(record.volume),
                Err(status) => done.failed.push((record.volume, status)),
            }
        }
        Ok(done)
    }

    /// That a folder is missing says something only while the one above it can be read and has
    /// something in it: a kubelet's disk may not be mounted yet.
    fn is_pod_gone(&self, target: &Path) -> bool {
        let Some(folder) = pod_folder(&self.config.kubelet, target) else {
            return false;
        };
        let files = &self.host.files;
        let missing =
            |path: &Path| files.stat(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        let others = folder.parent().and_then(|pods| files.list(pods).ok());
        others.is_some_and(|others| !others.is_empty()) && missing(&folder)
    }
}

/// The kubelet's folder of the pod a target is in; none for what is not in the kubelet's folder,
/// of which nothing is known. A volume may itself be named `pods`.
fn pod_folder(kubelet: &Path, target: &Path) -> Option<PathBuf> {
    let mut below = target.strip_prefix(kubelet).ok()?.components();
    let pods = below.next().filter(|part| part.as_os_str() == "pods")?;
    let uid = below.next().filter(|part| part.as_os_str().to_str().is_some_and(is_uid))?;
    Some(kubelet.join(pods).join(uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_pod_is_right_below_the_kubelets() {
        let uid = "0f5c1a2e-9d3b-4f6a-8a51-0c2f6a7b8c9d";
        let kubelet = Path::new("/data/pods/kubelet");
        let pod = kubelet.join("pods").join(uid);
        for volume in ["v", "pods"] {
            let target = pod.join("volumes/kubernetes.io~csi").join(volume).join("mount");
            assert_eq!(pod_folder(kubelet, &target), Some(pod.clone()));
            assert_eq!(pod_folder(Path::new("/var/lib/kubelet"), &target), None);
        }
        assert_eq!(pod_folder(kubelet, &kubelet.join("pods/no-uid/volumes/v")), None);
    }
}
