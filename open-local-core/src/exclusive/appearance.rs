//! How a pool and its volumes show.

use std::collections::BTreeMap;

use super::kind::Sighting;
use super::planner::{Member, Members};
use super::pool::ExclusivePool;
use super::record::{Claim, PoolRecord, Stage};
use crate::device::DeviceNumber;
use crate::ids::VolumeId;
use crate::info::{Attachment, Health, Phase, VolumeInfo};
use crate::spec::{Provisioning, Source};
use crate::units::{Ratio, SECTOR_SIZE};

impl ExclusivePool {
    fn attachment(&self, claim: &Claim, read_only: bool, at: &Sighting) -> Attachment {
        let source = Source::Volume(claim.volume.clone());
        Attachment::new(source, &at.path, at.number, at.block_size)
            .with_kind(self.kind.attachment())
            .with_read_only(read_only)
            .with_sequence(at.sequence)
    }

    /// What a published volume is attached as, if its place is to be seen.
    pub(super) fn attached(&self, member: &Member) -> Option<Attachment> {
        let claim = member.record.claim()?;
        let at = member.seen.as_ref().ok()?;
        claim.published.map(|read_only| self.attachment(claim, read_only, at))
    }

    /// A place as a volume; `None` if it is free.
    pub(super) fn volume_info(&self, member: &Member) -> Option<VolumeInfo> {
        let place = &member.record;
        let (id, phase) = match &place.stage {
            Stage::Free { .. } => return None,
            Stage::Claimed(claim) => (claim.volume.clone(), Phase::Ready),
            Stage::Erasing { done, .. } => {
                (VolumeId::erasing(place.uuid), Phase::Erasing(Ratio::of(*done, place.size)))
            }
        };
        let mut info = VolumeInfo::new(id, place.size, Provisioning::Thick);
        info.allocated = Some(place.size);
        info.phase = phase;
        if let Some(claim) = place.claim() {
            info.requested = claim.requested;
            info.tags = claim.tags.clone();
        }
        info.attachment = self.attached(member);
        info.health = self.volume_health(member);
        Some(info)
    }

    fn volume_health(&self, member: &Member) -> Health {
        let forgotten = member.record.claim().and_then(|claim| claim.published) == Some(true);
        match (&member.seen, member.unfit()) {
            (Err(away), _) => Health::Failed(format!("{}: {}", away.why, away.remedy)),
            (Ok(_), Some(why)) => Health::Degraded(why),
            (Ok(at), None) if forgotten && !at.read_only => Health::Degraded(
                "it is published read-only but takes writes: publish it again".to_owned(),
            ),
            (Ok(_), None) => Health::Healthy,
        }
    }

    pub(super) fn health(&self, members: &Members) -> Health {
        if let Some(error) = members.damaged.first() {
            return Health::Degraded(format!("damaged records: {}", error.report()));
        }
        let bad = members.list.iter().filter_map(|m| Some((m, m.unfit()?)));
        let bad: Vec<String> =
            bad.map(|(m, why)| format!("{}: {why}", m.record.path.display())).collect();
        match bad.is_empty() {
            true => Health::Healthy,
            false => Health::Degraded(bad.join("; ")),
        }
    }

    pub(super) fn details(
        &self,
        record: &PoolRecord,
        members: &Members,
    ) -> BTreeMap<String, String> {
        let count = |wanted: &str| {
            members.list.iter().filter(|m| m.record.stage.as_str() == wanted).count().to_string()
        };
        let mut details: BTreeMap<String, String> = ["free", "claimed", "erasing"]
            .map(|stage| (format!("places-{stage}"), count(stage)))
            .into();
        details.insert("uuid".to_owned(), record.uuid.to_string());
        details.insert("erase".to_owned(), record.erasure.to_string());
        for member in &members.list {
            let place = &member.record;
            let owner = place.claim().map_or(String::new(), |c| format!(" by {}", c.volume));
            let media = member.seen.as_ref().map_or("away", |at| at.media);
            let text = format!(
                "{} {media} {} {}{owner} ({})",
                member.path().display(),
                place.size,
                place.stage.as_str(),
                place.identity,
            );
            details.insert(format!("place {}", place.uuid), text);
        }
        details
    }

    /// What a volume was attached as, also if its place is away by now.
    pub(super) fn last_attached(&self, member: &Member) -> Option<Attachment> {
        let claim = member.record.claim()?;
        let read_only = claim.published?;
        self.attached(member).or_else(|| {
            let (source, path) = (Source::Volume(claim.volume.clone()), &member.record.path);
            let nothing = DeviceNumber::new(0, 0);
            let was = Attachment::new(source, path, nothing, SECTOR_SIZE);
            Some(was.with_kind(self.kind.attachment()).with_read_only(read_only))
        })
    }
}
