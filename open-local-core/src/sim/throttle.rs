//! I/O limits of a simulated machine: kept and answered, as by a cgroup v2 `io` controller.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::Machine;
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::Host;
use crate::outcome::{Ensured, Removed};
use crate::throttle::{CgroupTarget, IoLimits, IoThrottle, LimitState, Reconciled, Support};

#[derive(Debug, Clone, Copy)]
struct Wish {
    limits: IoLimits,
    carried: bool,
}

/// What a wish lacks to take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    Limits,
    Cgroup,
    Device,
}

/// Cgroups there are, and limits asked for.
#[derive(Debug, Default)]
pub(super) struct Limits {
    cgroups: BTreeSet<CgroupTarget>,
    wishes: BTreeMap<(CgroupTarget, DeviceNumber), Wish>,
}

impl Limits {
    pub(super) fn forget_volatile(&mut self) {
        self.cgroups.clear();
        for wish in self.wishes.values_mut() {
            wish.carried = false;
        }
    }

    fn state(&self, key: &(CgroupTarget, DeviceNumber)) -> Option<LimitState> {
        let wish = self.wishes.get(key)?;
        let state = LimitState::wished(wish.limits, Support::Full);
        Some(if wish.carried {
            state.carried(wish.limits, 1)
        } else if self.cgroups.contains(&key.0) {
            state.carried(IoLimits::none(), 0)
        } else {
            state
        })
    }
}

/// Limits that a simulated machine keeps; nothing is slowed down by them.
#[derive(Debug, Clone)]
pub struct SimThrottle {
    machine: Machine,
    host: Host,
}

impl SimThrottle {
    /// The limits of a machine.
    #[must_use]
    pub fn new(machine: &Machine) -> Self {
        Self { machine: machine.clone(), host: machine.host() }
    }

    /// Makes a cgroup. It has no limits until [`IoThrottle::apply`] or [`IoThrottle::reconcile`].
    pub fn add_cgroup(&self, target: &CgroupTarget) {
        self.machine.world().limits.cgroups.insert(target.clone());
    }

    /// Removes a cgroup with its limits; wishes stay.
    pub fn remove_cgroup(&self, target: &CgroupTarget) {
        let mut world = self.machine.world();
        world.limits.cgroups.remove(target);
        for ((cgroup, _), wish) in &mut world.limits.wishes {
            wish.carried &= cgroup != target;
        }
    }

    /// What each wish lacks to take effect.
    fn missing(&self) -> Vec<((CgroupTarget, DeviceNumber), Missing)> {
        let world = self.machine.world();
        let devices: BTreeSet<_> =
            world.devices.values().map(|device| device.attachment.number).collect();
        let Limits { cgroups, wishes } = &world.limits;
        let judge = |(key, wish): (&(CgroupTarget, DeviceNumber), &Wish)| {
            let missing = if !devices.contains(&key.1) {
                Missing::Device
            } else if !cgroups.contains(&key.0) {
                Missing::Cgroup
            } else if wish.carried {
                Missing::Nothing
            } else {
                Missing::Limits
            };
            (key.clone(), missing)
        };
        wishes.iter().map(judge).collect()
    }

    fn require_device(&self, op: Op, device: DeviceNumber) -> Result<()> {
        let world = self.machine.world();
        let there = world.devices.values().any(|d| d.attachment.number == device);
        if there {
            return Ok(());
        }
        let subject = Subject::Value(device.to_string());
        Err(Error::new(ErrorKind::NotFound, op, subject, "there is no such device")
            .with_remedy("publish the volume first"))
    }
}

fn check(target: &CgroupTarget, limits: &IoLimits) -> Result<()> {
    let zero = [limits.read_bps, limits.write_bps].iter().flatten().any(|limit| limit.is_zero())
        || [limits.read_iops, limits.write_iops].iter().flatten().any(|limit| limit.is_zero());
    if !zero {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        Op::ApplyLimits,
        target,
        "a limit is 0, which would stop all I/O",
    )
    .with_remedy("leave a limit out to lift it"))
}

impl IoThrottle for SimThrottle {
    fn support(&self, _target: &CgroupTarget, device: DeviceNumber) -> Result<Support> {
        self.require_device(Op::ThrottleSupport, device)?;
        Ok(Support::Full)
    }

    fn apply(
        &self,
        target: &CgroupTarget,
        device: DeviceNumber,
        limits: &IoLimits,
    ) -> Result<Ensured<LimitState>> {
        let op = Op::ApplyLimits;
        check(target, limits)?;
        self.require_device(op, device)?;
        let _turn = self.machine.turn();
        let key = (target.clone(), device);
        let (recorded, to_carry) = {
            let world = self.machine.world();
            let wish = world.limits.wishes.get(&key);
            let recorded = wish.is_some_and(|wish| wish.limits == *limits);
            let carried = recorded && wish.is_some_and(|wish| wish.carried);
            let there = world.limits.cgroups.contains(target);
            (recorded, there && !carried)
        };
        let before = |step: &str| {
            let subject = Subject::from(target);
            self.host.checkpoints.before(op, &subject, step)
        };
        if !recorded {
            before(&format!("record the limits on {device}"))?;
            let wish = Wish { limits: *limits, carried: false };
            self.machine.world().limits.wishes.insert(key.clone(), wish);
        }
        if to_carry {
            before(&format!("write the limits on {device} to {target}"))?;
            if let Some(wish) = self.machine.world().limits.wishes.get_mut(&key) {
                wish.carried = true;
            }
        }
        let state = self.machine.world().limits.state(&key);
        let state = state.unwrap_or_else(|| LimitState::wished(*limits, Support::Full));
        Ok(if recorded && !to_carry { Ensured::Unchanged(state) } else { Ensured::Created(state) })
    }

    fn current(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Option<LimitState>> {
        Ok(self.machine.world().limits.state(&(target.clone(), device)))
    }

    fn clear(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Removed<LimitState>> {
        let _turn = self.machine.turn();
        let key = (target.clone(), device);
        let Some(state) = self.machine.world().limits.state(&key) else {
            return Ok(Removed::WasAbsent);
        };
        let step = format!("lift the limits on {device} and forget the wish");
        let subject = Subject::from(target);
        self.host.checkpoints.before(Op::ClearLimits, &subject, &step)?;
        self.machine.world().limits.wishes.remove(&key);
        Ok(Removed::Removed(state))
    }

    fn reconcile(&self) -> Result<Reconciled> {
        let _turn = self.machine.turn();
        let mut done = Reconciled::default();
        for (key, missing) in self.missing() {
            done.wishes = done.wishes.saturating_add(1);
            let (target, device) = &key;
            let (count, step) = match missing {
                Missing::Nothing => continue,
                Missing::Cgroup => {
                    done.waiting = done.waiting.saturating_add(1);
                    continue;
                }
                Missing::Device => (&mut done.forgotten, "forget the wish for"),
                Missing::Limits => (&mut done.written, "write the limits on"),
            };
            let subject = Subject::from(target);
            self.host.checkpoints.before(Op::ApplyLimits, &subject, &format!("{step} {device}"))?;
            let wishes = &mut self.machine.world().limits.wishes;
            if missing == Missing::Device {
                wishes.remove(&key);
            } else if let Some(wish) = wishes.get_mut(&key) {
                wish.carried = true;
            }
            *count = count.saturating_add(1);
        }
        Ok(done)
    }
}
