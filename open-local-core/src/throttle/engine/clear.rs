//! Reading limits back, and lifting them.

use super::apply::replaceable;
use super::{HostThrottle, Job, live};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::outcome::Removed;
use crate::throttle::disk::{self, Standing};
use crate::throttle::limits::{CgroupTarget, IoLimits, LimitState, Support};
use crate::throttle::wish::{Wish, Wishes};

impl HostThrottle {
    pub(super) fn read_limits(
        &self,
        target: &CgroupTarget,
        device: DeviceNumber,
    ) -> Result<Option<LimitState>> {
        let op = Op::ReadLimits;
        let store = Wishes::of(&self.host);
        let recorded = store.get(target, device)?;
        let now = disk::identify(&*self.kernel, &self.host.roots, device)?;
        let wish = recorded
            .filter(|wish| !wish.lifting && wish.identity.standing(now.as_ref()) == Standing::Same);
        let wanted = wish.as_ref().map_or(IoLimits::none(), |wish| wish.limits);
        let hierarchy = match self.hierarchy_for(op, target) {
            Ok(hierarchy) => hierarchy,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let support = Support::None(error.message().to_owned());
                return Ok(wish.map(|_| LimitState::wished(wanted, support)));
            }
            Err(error) => return Err(error),
        };
        let job = Job { op, hierarchy: &hierarchy, target, device };
        let observed = self.observe(&job)?;
        let (all, _) = store.all()?;
        let wishes = live(all, device, &now.unwrap_or_default());
        let state = self.state(&job, wanted, &observed, &wishes)?;
        let limited = state.in_force.is_some_and(|limits| !limits.is_none());
        Ok((wish.is_some() || limited).then_some(state))
    }

    pub(super) fn clear_limits(
        &self,
        target: &CgroupTarget,
        device: DeviceNumber,
    ) -> Result<Removed<LimitState>> {
        let op = Op::ClearLimits;
        let store = Wishes::of(&self.host);
        let hierarchy = match self.hierarchy_for(op, target) {
            Ok(hierarchy) => Some(hierarchy),
            Err(error) if error.kind() == ErrorKind::Unsupported => None,
            Err(error) => return Err(error),
        };
        // Nothing asked for and nothing in force needs no state folder, nor the right to make one.
        let recorded = store.any()?;
        let lifted = |error: Error| match error.kind() {
            ErrorKind::Corrupt => Ok(None),
            _ => Err(error),
        };
        let before = self.read_limits(target, device).or_else(lifted)?;
        if !recorded && before.is_none() {
            return Ok(Removed::WasAbsent);
        }
        let _lock = store.lock(op)?;
        let old = store.get(target, device);
        let damaged = old.as_ref().is_err_and(|e| e.kind() == ErrorKind::Corrupt);
        let old = replaceable(old)?;
        let before = self.read_limits(target, device).or_else(lifted)?;
        if old.is_none() && !damaged && before.is_none() {
            return Ok(Removed::WasAbsent);
        }
        let identity = disk::identify(&*self.kernel, &self.host.roots, device)?;
        let wanted = old.as_ref().map(|old| old.limits);
        let wish = Wish {
            target: target.clone(),
            device,
            limits: wanted.unwrap_or_default(),
            identity: identity.clone().unwrap_or_default(),
            lifting: true,
        };
        if let Some((hierarchy, _)) = hierarchy.as_ref().zip(identity) {
            if old.as_ref() != Some(&wish) {
                let step = format!("record for device {device}: to be lifted");
                self.host.checkpoints.before(op, &Subject::from(target), &step)?;
                store.put(&wish)?;
            }
            let job = Job { op, hierarchy, target, device };
            let wishes = self.others(&store, &wish)?;
            self.finish_lifting(&job, &store, &wishes)?;
        } else {
            self.forget(&store, op, target, device)?;
        }
        let unknown = || Support::None("nothing is known of it any more".to_owned());
        Ok(Removed::Removed(before.unwrap_or_else(|| LimitState::wished(wish.limits, unknown()))))
    }
}
