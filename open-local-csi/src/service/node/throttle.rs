//! Limits of pods on their volumes.
//!
//! The limits a target was published with are in its record, so that they can be brought to a pod
//! whose cgroup appears later, and changed for one that runs. Why limits are not in force is kept
//! in memory and is found again by [`Driver::reconcile_limits`] after a start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use open_local_core::throttle::{CgroupTarget, IoLimits, IoThrottle, Support};
use open_local_core::{DeviceNumber, ErrorKind};

use super::pod_cgroup;
use crate::errors::{Answer, Code, Status};
use crate::request::Publish;
use crate::rpc::Rpc;
use crate::service::{Driver, Published, Unread};

const RPC: Rpc = Rpc::NodePublishVolume;

/// What became of the limits of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThrottleOutcome {
    /// There are none.
    NotAsked,
    /// They are in force.
    InForce,
    /// They are not, or not for all I/O, and why: a condition of the volume.
    Missing(String),
}

/// What is wrong with volumes that only this node knows.
#[derive(Debug, Clone, Default)]
pub(in crate::service) struct Conditions(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Why limits are not in force, by target.
    missing: BTreeMap<PathBuf, (String, String)>,
    /// Records of published targets that can't be read.
    unread: Vec<Unread>,
}

impl Conditions {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, record: &Published, outcome: &ThrottleOutcome) {
        let all = &mut self.lock().missing;
        match outcome {
            ThrottleOutcome::Missing(why) => {
                let _ = all.insert(record.target.clone(), (record.volume.clone(), why.clone()));
            }
            ThrottleOutcome::NotAsked | ThrottleOutcome::InForce => {
                let _ = all.remove(&record.target);
            }
        }
    }

    /// Keeps which records can't be read, and says so once of each.
    fn set_unread(&self, unread: Vec<Unread>) {
        let mut known = self.lock();
        let said = |new: &Unread| {
            known.unread.iter().any(|old| old.error.subject() == new.error.subject())
        };
        for one in unread.iter().filter(|one| !said(one)) {
            tracing::warn!(
                error = %one.error.report(),
                "the record of a published target can't be read; its volume and target wait for it"
            );
        }
        known.unread = unread;
    }

    fn of(&self, volume: &str) -> Option<String> {
        let known = self.lock();
        let unread = known.unread.iter().find(|one| one.may_be_of(volume));
        unread.map(|one| one.error.report().to_string()).or_else(|| {
            let missing = known.missing.values().find(|(named, _)| named == volume);
            missing.map(|(_, why)| why.clone())
        })
    }
}

impl Driver {
    /// Limits the pod of a publish; called after the mount and before the answer. An error only
    /// where the class requires limits. Fills `device`, `cgroup` and `limits` of the record and
    /// stores it before anything is limited.
    pub(super) fn throttle_published(
        &self,
        request: &Publish,
        device: DeviceNumber,
        record: &mut Published,
    ) -> Answer<ThrottleOutcome> {
        let class = &request.context.class;
        let changed = self.records.limits(&record.volume).map_err(|e| Status::of(RPC, &e))?;
        if record.device != Some(device) {
            self.lift_recorded(RPC, record)?;
        }
        record.device = Some(device);
        record.limits = changed.unwrap_or(class.limits.io);
        let pod = request.context.pod.uid.clone().filter(|uid| pod_cgroup::is_uid(uid));
        record.pod = pod.or_else(|| pod_cgroup::pod_of_target(&record.target));
        self.records.publish(record).map_err(|e| Status::of(RPC, &e))?;
        let outcome = self.limit(RPC, record)?;
        self.settle(record, &outcome);
        match outcome {
            ThrottleOutcome::Missing(why) if class.throttle_required => {
                let message =
                    format!("volume {}: {why}, and its class requires limits", record.volume);
                Err(Status::new(Code::Unavailable, message))
            }
            outcome => Ok(outcome),
        }
    }

    /// Brings the limits of a record to its pod. Which cgroup is limited is recorded before it is:
    /// what a kill leaves in force is found and lifted at unpublish.
    fn limit(&self, rpc: Rpc, record: &mut Published) -> Answer<ThrottleOutcome> {
        let (Some(device), false) = (record.device, record.limits.is_none()) else {
            return Ok(ThrottleOutcome::NotAsked);
        };
        let missing =
            |why: &str| Ok(ThrottleOutcome::Missing(format!("its limits are not in force: {why}")));
        let Some(throttle) = &self.throttle else {
            return missing("this node limits nothing");
        };
        let Some(pod) = &record.pod else {
            return missing("neither the request nor the target says which pod it is for");
        };
        let Some(target) = pod_cgroup::find(&self.host, pod) else {
            return missing(&format!("pod {pod} has no cgroup yet"));
        };
        let cgroup = Some(target.as_path().to_string_lossy().into_owned());
        if record.cgroup != cgroup {
            self.lift_recorded(rpc, record)?;
            record.cgroup = cgroup;
            self.records.publish(record).map_err(|e| Status::of(rpc, &e))?;
        }
        match throttle.apply(&target, device, &record.limits) {
            // Cut, not refused: the same call goes on.
            Err(error) if error.kind() == ErrorKind::Indeterminate => Err(Status::of(rpc, &error)),
            Err(error) => missing(&error.report().to_string()),
            Ok(state) => Ok(match state.into_inner().support {
                Support::Full => ThrottleOutcome::InForce,
                Support::Partial(why) => {
                    ThrottleOutcome::Missing(format!("its limits are in force in part: {why}"))
                }
                Support::None(why) => return missing(&why),
                _ => return missing("the kernel's answer is not understood"),
            }),
        }
    }

    /// Lifts what a record says is limited, before it says something else.
    fn lift_recorded(&self, rpc: Rpc, record: &mut Published) -> Answer<()> {
        if let (Some(throttle), Some(device)) = (&self.throttle, record.device)
            && let Some(cgroup) = record.cgroup.take()
        {
            lift(throttle.as_ref(), rpc, &cgroup, device)?;
        }
        Ok(())
    }

    fn settle(&self, record: &Published, outcome: &ThrottleOutcome) {
        if let ThrottleOutcome::Missing(why) = outcome {
            tracing::warn!(volume = %record.volume, target = %record.target.display(), "{why}");
        }
        self.conditions.set(record, outcome);
    }

    /// Lifts what a publish set, unless the same pod sees the volume elsewhere too.
    pub(super) fn throttle_unpublished(&self, record: &Published) -> Answer<()> {
        let rpc = Rpc::NodeUnpublishVolume;
        self.conditions.set(record, &ThrottleOutcome::NotAsked);
        let (Some(throttle), Some(device), Some(cgroup)) =
            (&self.throttle, record.device, &record.cgroup)
        else {
            return Ok(());
        };
        let others = self.live_targets(rpc, &record.volume)?;
        let shared = others
            .iter()
            .any(|other| other.target != record.target && other.cgroup == record.cgroup);
        if shared {
            return Ok(());
        }
        lift(throttle.as_ref(), rpc, cgroup, device)
    }

    /// Brings changed limits of a volume to the pods it is published to.
    pub(in crate::service) fn throttle_modified(
        &self,
        volume: &str,
        limits: &IoLimits,
    ) -> Answer<()> {
        let rpc = Rpc::ControllerModifyVolume;
        let mut missing = None;
        for mut record in self.live_targets(rpc, volume)? {
            record.limits = *limits;
            // The record first: what is cut here is brought to the pod by the reconciliation.
            self.records.publish(&record).map_err(|e| Status::of(rpc, &e))?;
            let outcome = self.limit(rpc, &mut record)?;
            if limits.is_none() {
                self.lift_recorded(rpc, &mut record)?;
                self.records.publish(&record).map_err(|e| Status::of(rpc, &e))?;
            }
            self.settle(&record, &outcome);
            if let ThrottleOutcome::Missing(why) = outcome {
                missing = Some(why);
            }
        }
        // A pod without a cgroup gets them when it has one; that is a condition and no error.
        match missing.filter(|_| self.throttle.is_none()) {
            Some(why) => {
                let message = format!("volume {volume}: {why}");
                Err(Status::new(Code::FailedPrecondition, message))
            }
            None => Ok(()),
        }
    }

    /// Why a record of this volume can't be read, or its limits are not in force, if that is so.
    pub(in crate::service) fn node_condition(&self, volume: &str) -> Option<String> {
        self.conditions.of(volume)
    }

    /// Brings limits to cgroups that have appeared since, also to those that were made anew, and
    /// finds records that can't be read: each is logged once, and is a condition of its volume. To
    /// be called every few seconds.
    ///
    /// # Errors
    /// As the kernel gives them; the others are tried all the same.
    pub fn reconcile_limits(&self) -> Answer<()> {
        let (records, unread) =
            self.records.readable_published().map_err(|e| Status::of(RPC, &e))?;
        self.conditions.set_unread(unread);
        let Some(throttle) = &self.throttle else {
            return Ok(());
        };
        let wishes = throttle.reconcile().map(|_| ()).map_err(|e| Status::of(RPC, &e));
        let mut failed = Ok(());
        for mut record in records.into_iter().filter(|record| !record.limits.is_none()) {
            // Somebody changes this volume: its turn comes the next time.
            let Ok(_turn) = self.inflight.begin_volume(&record.volume) else {
                continue;
            };
            if self.records.published(&record.target).ok().flatten().as_ref() != Some(&record) {
                continue;
            }
            match self.limit(RPC, &mut record) {
                Ok(outcome) => self.conditions.set(&record, &outcome),
                Err(status) => failed = Err(status),
            }
        }
        wishes.and(failed)
    }
}

fn lift(throttle: &dyn IoThrottle, rpc: Rpc, cgroup: &str, device: DeviceNumber) -> Answer<()> {
    let Ok(target) = CgroupTarget::new(cgroup) else {
        return Ok(());
    };
    let _ = throttle.clear(&target, device).map_err(|e| Status::of(rpc, &e))?;
    Ok(())
}
