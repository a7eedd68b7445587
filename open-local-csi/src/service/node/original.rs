//! The original's record of its inline volumes.

use std::path::Path;

use open_local_core::host::read_small;
use open_local_core::{PoolId, VolumeId};

use crate::service::Driver;

/// The original's record of its inline volumes, in the kubelet's folder.
const ORIGINAL: &str = "open-local-volumes.json";
/// Where the original keeps it whatever the kubelet's folder is.
const ORIGINAL_FOLDER: &str = "/var/lib/kubelet";
/// Most bytes of it that are read.
const MOST_BYTES: usize = 4 << 20;

impl Driver {
    /// Where the original's record says a volume is.
    pub(super) fn original_of(&self, id: &VolumeId) -> Option<(PoolId, VolumeId)> {
        let folders = [self.config.kubelet.as_path(), Path::new(ORIGINAL_FOLDER)];
        let files = self.host.files.as_ref();
        let mut texts = folders
            .iter()
            .filter_map(|folder| read_small(files, &folder.join(ORIGINAL), MOST_BYTES).ok());
        let device = texts.find_map(|text| original_device(&text, id.as_str()))?;
        let mut parts = device.strip_prefix("/dev/")?.split('/');
        let (group, volume) = (parts.next()?, parts.next()?);
        let place = (PoolId::new(group).ok()?, VolumeId::new(volume).ok()?);
        (parts.next().is_none() && place.1 == *id).then_some(place)
    }

    pub(super) fn is_originals(&self, id: &VolumeId, pool: &PoolId) -> bool {
        self.original_of(id).is_some_and(|(group, _)| group == *pool)
    }
}

/// The device of a volume in the original's record; none for anything that can't be understood.
fn original_device(text: &[u8], volume: &str) -> Option<String> {
    let read: serde_json::Value = serde_json::from_slice(text).ok()?;
    read.get(volume)?.as_str().map(str::to_owned)
}
