//! How full a volume is.

use open_local_core::{Bytes, VolumeInfo};

use crate::errors::{Answer, Status};
use crate::proto::volume_usage::Unit;
use crate::proto::{NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, VolumeUsage};
use crate::request::Stats;
use crate::rpc::Rpc;
use crate::service::Driver;

const RPC: Rpc = Rpc::NodeGetVolumeStats;

impl Driver {
    /// Bytes and inodes of a mounted volume; size and real use of a block device; what is wrong
    /// with it.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such volume, or it is not at the path.
    pub fn node_get_volume_stats(
        &self,
        request: &NodeGetVolumeStatsRequest,
    ) -> Answer<NodeGetVolumeStatsResponse> {
        self.on_node(RPC)?;
        let request = Stats::read(request)?;
        let subject = match self.subject_at(RPC, &request.volume, request.path.as_deref()) {
            Ok(subject) => subject,
            Err(status) => return self.stats_of_stand_in(&request).unwrap_or(Err(status)),
        };
        let elsewhere = || {
            let text = &request.volume.text;
            Status::not_found(format!("volume {text} is not at that path"))
        };
        let path = request.path.as_ref().ok_or_else(elsewhere)?;
        let mounted = self.mounted_at(RPC, path)?.ok_or_else(elsewhere)?;
        let attachment = subject.attachment.as_ref().ok_or_else(elsewhere)?;
        if !self.shows(&mounted, attachment) {
            return Err(elsewhere());
        }
        let usage = match &subject.volume {
            Some(volume) if self.is_device(&mounted) => vec![of_device(volume)],
            _ => self.of_filesystem(path)?,
        };
        let condition = subject.volume.as_ref().map(|volume| self.volume_condition(volume));
        Ok(NodeGetVolumeStatsResponse { usage, volume_condition: condition })
    }

    /// A volume that is a snapshot, as the original made them: the record of the target says so.
    fn stats_of_stand_in(&self, request: &Stats) -> Option<Answer<NodeGetVolumeStatsResponse>> {
        let path = request.path.as_ref()?;
        let record = self.records.published(path).ok()??;
        let here = record.volume == request.volume.text;
        here.then(|| {
            let usage = self.of_filesystem(path)?;
            Ok(NodeGetVolumeStatsResponse { usage, volume_condition: None })
        })
    }

    fn of_filesystem(&self, path: &std::path::Path) -> Answer<Vec<VolumeUsage>> {
        let usage = self.filesystems.usage(path).map_err(|e| Status::of(RPC, &e))?;
        let bytes = VolumeUsage {
            available: number(usage.available.get()),
            total: number(usage.total.get()),
            used: number(usage.used.get()),
            unit: Unit::Bytes.into(),
        };
        let inodes = VolumeUsage {
            available: number(usage.inodes.saturating_sub(usage.inodes_used)),
            total: number(usage.inodes),
            used: number(usage.inodes_used),
            unit: Unit::Inodes.into(),
        };
        // Zero of zero inodes would read as none left.
        let counted = usage.inodes != 0;
        Ok(if counted { vec![bytes, inodes] } else { vec![bytes] })
    }
}

/// What a block device really takes, where the pool knows; else all of it.
fn of_device(volume: &VolumeInfo) -> VolumeUsage {
    let used = volume.allocated.unwrap_or(volume.size).min(volume.size);
    let bytes = |size: Bytes| number(size.get());
    VolumeUsage {
        available: bytes(volume.size.saturating_sub(used)),
        total: bytes(volume.size),
        used: bytes(used),
        unit: Unit::Bytes.into(),
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
