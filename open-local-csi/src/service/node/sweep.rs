//! Inline volumes of pods that are gone.

use std::path::{Path, PathBuf};

use super::inline_record::InlineRecord;
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
        let Some(folder) = pod_folder(target) else {
            return false;
        };
        let files = &self.host.files;
        let missing =
            |path: &Path| files.stat(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        let others = folder.parent().and_then(|pods| files.list(pods).ok());
        others.is_some_and(|others| !others.is_empty()) && missing(&folder)
    }
}

/// The kubelet's folder of the pod a target is in.
fn pod_folder(target: &Path) -> Option<PathBuf> {
    let folder = target
        .ancestors()
        .find(|part| part.parent().and_then(Path::file_name).is_some_and(|name| name == "pods"))?;
    Some(folder.to_owned())
}
