//! Finishing or undoing what an interrupted call left.

use super::{View, erase};
use crate::ids::VolumeId;
use crate::sim::room;
use crate::sim::state::{Stage, VolumeState, source_of};
use crate::sim::step::Step;
use crate::spec::Source;

/// The steps after which nothing in the pool is half done.
///
/// Copies are finished where their source and room for them are still there. A snapshot that was recorded but not
/// taken is forgotten: its moment has passed. Growth that was promised but not done is undone.
pub(in crate::sim) fn recover(view: View<'_>) -> Vec<Step> {
    let volumes = view.pool.volumes.iter();
    let mut steps: Vec<Step> = volumes.flat_map(|(id, v)| volume(view, id, v)).collect();
    for (id, group) in &view.pool.groups {
        steps.extend(super::groups::recover(view.pool, id, group));
    }
    for (id, snapshot) in view.pool.snapshots.iter().filter(|(_, s)| s.group.is_none()) {
        let this = Source::Snapshot(id.clone());
        match (snapshot.stage, &snapshot.content) {
            (Stage::Ready, _) => {}
            (Stage::Making, Some(_)) => steps.push(Step::Finish(this)),
            (Stage::Making, None) => steps.push(Step::Forget(this)),
            (Stage::Erasing, _) => steps.extend(erase(view.pool, &this, snapshot.stage)),
        }
    }
    steps
}

fn volume(view: View<'_>, id: &VolumeId, volume: &VolumeState) -> Vec<Step> {
    let this = Source::Volume(id.clone());
    match (volume.stage, &volume.content) {
        (Stage::Erasing, _) => return erase(view.pool, &this, volume.stage),
        (Stage::Making, Some(_)) => return vec![Step::Finish(this)],
        (Stage::Making, None) => {
            let source = volume.source.as_ref().map(source_of);
            let content = source.and_then(|source| view.pool.content(&source));
            let free = room::free(view.world, view.pool);
            return match content {
                Some(content) if content.cost_of_copy() <= free => {
                    vec![Step::Fill(this.clone()), Step::Finish(this)]
                }
                _ => vec![Step::Forget(this)],
            };
        }
        (Stage::Ready, _) => {}
    }
    let mut steps = Vec::new();
    if let Some(snapshot) = &volume.rolling_back {
        steps.push(Step::ReplaceBlocks(id.clone(), snapshot.clone()));
        steps.push(Step::FinishRollBack(id.clone()));
    }
    if volume.promised != volume.size {
        steps.push(Step::Promise { volume: id.clone(), to: volume.size });
    }
    if let Some(device) = view.device(&this).filter(|d| d.size != volume.size) {
        steps.push(Step::ShowSize { index: device.attachment.number.minor(), to: volume.size });
    }
    steps
}
