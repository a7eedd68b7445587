//! Activating and deactivating volumes of a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use open_local_core::host::Host;
use open_local_core::{DeviceNumber, Error, ErrorKind, Op, Result, Subject};

use super::answers::{Activated, ActivationPlan, ActiveDevice, Deactivated, PhysicalDevices};
use super::execute::Executor;
use super::names::{Layer, VolumeUuid};
use super::observe::{self, Observed};
use super::plan::{self, Around};
use super::removal::{self, Which};
use super::settings::{ActivateOptions, PoolCheck, UdevMode};
use super::steps::Step;
use super::tree::{Goal, WantedDevice, device_tree, layers_of, subject};
use super::{openers, self_test, sweep};
use crate::dm::{DeviceMapper, UdevAnswer};
use crate::format::group::VolumeGroup;
use crate::format::id::LvmId;

/// Makes the kernel's devices what the metadata of a group says.
///
/// Every call is made under the group's lock, which the caller holds, with metadata that was
/// committed before: then nothing waits for a lock or writes to a disk while a device is suspended,
/// and after a kill the same call goes on where the other was.
///
/// A volume that grew is activated again: its device gets the larger table, and no other device
/// of its pool is disturbed.
#[derive(Debug, Clone)]
pub struct Activator {
    host: Host,
    dm: Arc<dyn DeviceMapper>,
    options: ActivateOptions,
}

impl Activator {
    /// Over a machine and its device-mapper.
    #[must_use]
    pub fn new(host: Host, dm: Arc<dyn DeviceMapper>, options: ActivateOptions) -> Self {
        Self { host, dm, options }
    }

    /// Finds out whether udev answers, with a device of its own that comes and goes, and does
    /// without it from then on if it does not: then the answer says so, for people.
    ///
    /// For the start of a program: one that waits in vain for each of its volumes is of no use.
    ///
    /// # Errors
    /// Those of [`DeviceMapper`].
    pub fn test_udev(&mut self, wait: Duration) -> Result<Option<String>> {
        if !matches!(self.options.udev, UdevMode::Wait(_)) {
            return Ok(None);
        }
        match self_test::udev_answers(&self.host, self.dm.as_ref(), wait)? {
            UdevAnswer::Done => Ok(None),
            UdevAnswer::TimedOut => {
                self.options.udev = UdevMode::Absent;
                Ok(Some(format!(
                    "udev is there but has not answered within {} s: nodes and links are made \
                     without it",
                    wait.as_secs()
                )))
            }
        }
    }

    /// The options.
    #[must_use]
    pub const fn options(&self) -> &ActivateOptions {
        &self.options
    }

    /// The kernel's device-mapper.
    #[must_use]
    pub fn device_mapper(&self) -> &Arc<dyn DeviceMapper> {
        &self.dm
    }

    /// The steps that activate volumes; nothing is changed.
    ///
    /// # Errors
    /// As [`Self::activate`], but for what only shows on the way.
    pub fn plan(
        &self,
        group: &VolumeGroup,
        devices: &PhysicalDevices,
        goals: &[Goal<'_>],
    ) -> Result<ActivationPlan> {
        let (tree, observed) = self.look(group, devices, goals)?;
        let steps = plan::activation(&tree, &observed, self.around())?;
        Ok(ActivationPlan { steps })
    }

    /// Activates volumes, with all they need and nothing else.
    ///
    /// # Errors
    /// As [`device_tree`]; `Refused` for an exported, shared or foreign group; `Conflict` if a name is taken by another device, or an active device
    /// maps its sectors elsewhere than the metadata says; `Refused` for a thin pool that failed,
    /// needs a check, is read-only or is at another transaction than the metadata; those of
    /// [`DeviceMapper`]. What a failed call made is removed again.
    ///
    /// # Idempotency
    /// What is active with the right table stays as it is; what a cut call left is finished.
    pub fn activate(
        &self,
        group: &VolumeGroup,
        devices: &PhysicalDevices,
        goals: &[Goal<'_>],
    ) -> Result<Activated> {
        let (tree, observed) = self.look(group, devices, goals)?;
        let steps = plan::activation(&tree, &observed, self.around())?;
        let changed = steps.iter().any(Step::changes_device);
        let mut run = self.executor(&group.name, Op::Publish, &observed);
        run.run(&steps)?;
        let active = tree.iter().filter(|device| is_asked_for(device));
        let active = active.filter_map(|device| self.active(group, device, &run.numbers));
        Ok(Activated { devices: active.collect(), changed, warnings: run.warnings })
    }

    /// The steps that deactivate volumes; nothing is changed.
    ///
    /// # Errors
    /// As [`Self::deactivate`].
    pub fn plan_deactivation(
        &self,
        group: &VolumeGroup,
        volumes: &[&str],
    ) -> Result<ActivationPlan> {
        Ok(ActivationPlan { steps: self.look_for_removal(group, volumes)?.1 })
    }

    /// Deactivates volumes. Layers that no active volume needs any more go with them: a thin pool
    /// stays only if it was activated itself or another of its volumes is active.
    ///
    /// # Errors
    /// `NotFound` for a volume that is not in the group; `Busy` naming who uses a device; then
    /// nothing was removed. `Unsupported` for devices of types that are not handled here.
    ///
    /// # Idempotency
    /// What is not active stays so.
    pub fn deactivate(&self, group: &VolumeGroup, volumes: &[&str]) -> Result<Deactivated> {
        let (observed, steps) = self.look_for_removal(group, volumes)?;
        self.remove(&group.name, &observed, &steps)
    }

    /// The steps that deactivate all of a group; nothing is changed.
    ///
    /// # Errors
    /// As [`Self::deactivate_all`].
    pub fn plan_deactivation_of_all(&self, group: &VolumeGroup) -> Result<ActivationPlan> {
        Ok(ActivationPlan { steps: self.look_for_removal_of_all(group)?.1 })
    }

    /// Deactivates every volume of a group, also one the metadata no longer knows.
    ///
    /// # Errors
    /// As [`Self::deactivate`].
    ///
    /// # Idempotency
    /// As [`Self::deactivate`].
    pub fn deactivate_all(&self, group: &VolumeGroup) -> Result<Deactivated> {
        let (observed, steps) = self.look_for_removal_of_all(group)?;
        self.remove(&group.name, &observed, &steps)
    }

    /// The steps of a sweep; nothing is changed.
    ///
    /// # Errors
    /// As [`Self::sweep`].
    pub fn plan_sweep(
        &self,
        group: &VolumeGroup,
        devices: &PhysicalDevices,
    ) -> Result<ActivationPlan> {
        let observed = observe::of_group(self.dm.as_ref(), &group.id)?;
        let steps = sweep::plan(group, devices, &self.options.tree, &observed, &|_| true).steps;
        Ok(ActivationPlan { steps })
    }

    /// Lets go on what a kill left suspended, and forgets tables that were loaded and never put in
    /// force, in all of one group, whoever's it is: on the order of a person. Under the group's
    /// lock: nobody who works on the group holds anything suspended then but on purpose.
    ///
    /// # Errors
    /// Those of [`DeviceMapper`].
    ///
    /// # Idempotency
    /// Where nothing is suspended, nothing is done.
    pub fn sweep(&self, group: &VolumeGroup, devices: &PhysicalDevices) -> Result<sweep::Swept> {
        self.sweep_of(group, devices, &|_| true)
    }

    /// The same of some volumes, by their UUIDs, and of the layers of these; what else is
    /// suspended is reported and left as it is. For the start of a program, which knows its own.
    ///
    /// # Errors
    /// As [`Self::sweep`].
    ///
    /// # Idempotency
    /// As [`Self::sweep`].
    pub fn sweep_of(
        &self,
        group: &VolumeGroup,
        devices: &PhysicalDevices,
        ours: &dyn Fn(&LvmId) -> bool,
    ) -> Result<sweep::Swept> {
        let observed = observe::of_group(self.dm.as_ref(), &group.id)?;
        let found = sweep::plan(group, devices, &self.options.tree, &observed, ours);
        let mut run = self.executor(&group.name, Op::Recover, &observed);
        run.run(&found.steps)?;
        Ok(sweep::Swept { report: found.report, warnings: run.warnings })
    }

    /// Volumes of a group that another host may use at the same time are not activated.
    fn refuse_group(&self, group: &VolumeGroup) -> Result<()> {
        let foreign = group.system_id.as_ref().filter(|id| !id.is_empty());
        let foreign = foreign.filter(|id| self.options.system_id.as_ref() != Some(*id));
        let (message, remedy) = if group.is_exported() {
            ("the group is exported".to_owned(), "import it with vgimport")
        } else if group.is_shared() {
            let remedy = "activate its volumes with the tools, which ask the lock manager";
            ("the group is shared between hosts".to_owned(), remedy)
        } else if let Some(id) = foreign {
            (format!("the group belongs to the host {id}"), "give it to this host with vgchange")
        } else {
            return Ok(());
        };
        let about = Subject::value(&group.name);
        Err(Error::new(ErrorKind::Refused, Op::Publish, about, message).with_remedy(remedy))
    }

    fn around(&self) -> Around {
        Around {
            // Where udev is waited for and does not answer, they are made after all.
            links: self.options.udev != UdevMode::Later,
            check_pools: self.options.pool_check != PoolCheck::Skip,
        }
    }

    fn executor<'a>(&'a self, group: &'a str, op: Op, observed: &Observed) -> Executor<'a> {
        let (udev, check) = (self.options.udev, &self.options.pool_check);
        let mut run = Executor::new(&self.host, self.dm.as_ref(), group, op, udev, check);
        let numbers = observed.devices.iter().map(|(uuid, seen)| (uuid.clone(), seen.info.number));
        run.numbers = numbers.collect();
        run
    }

    fn look(
        &self,
        group: &VolumeGroup,
        devices: &PhysicalDevices,
        goals: &[Goal<'_>],
    ) -> Result<(Vec<WantedDevice>, Observed)> {
        self.refuse_group(group)?;
        let options = &self.options.tree;
        let tree = device_tree(group, devices, goals, options)?;
        let observed = observe::of_tree(self.dm.as_ref(), &tree)?;
        let covers = observe::covers(self.dm.as_ref(), &tree)?;
        let shown = plan::shown_pools(&tree, &observed, &covers);
        if shown.is_empty() {
            return Ok((tree, observed));
        }
        // They are to see them on, in the size they have now.
        let names = group.logical_volumes.iter().filter(|lv| shown.contains(&lv.id));
        let mut goals = goals.to_vec();
        goals.extend(names.map(|lv| Goal::Volume(&lv.name)));
        let tree = device_tree(group, devices, &goals, options)?;
        let observed = observe::of_tree(self.dm.as_ref(), &tree)?;
        Ok((tree, observed))
    }

    fn active(
        &self,
        group: &VolumeGroup,
        device: &WantedDevice,
        numbers: &BTreeMap<VolumeUuid, DeviceNumber>,
    ) -> Option<ActiveDevice> {
        let number = *numbers.get(&device.uuid)?;
        let lv = group.logical_volumes.iter().find(|lv| lv.id == device.uuid.volume)?;
        let dev = &self.host.roots.dev;
        Some(ActiveDevice {
            volume: lv.name.clone(),
            name: device.name.clone(),
            uuid: device.uuid.clone(),
            number,
            node: dev.join(format!("dm-{}", number.minor())),
            link: device.link.as_ref().map(|link| dev.join(&group.name).join(link)),
            read_only: device.read_only,
        })
    }

    fn look_for_removal(
        &self,
        group: &VolumeGroup,
        volumes: &[&str],
    ) -> Result<(Observed, Vec<Step>)> {
        let mut uuids = Vec::new();
        for name in volumes {
            let lv = group.logical(name).ok_or_else(|| {
                let message = "there is no such volume in the group";
                Error::new(ErrorKind::NotFound, Op::Unpublish, subject(group, name), message)
                    .with_remedy("see open-local lvm report lvs with the same devices")
            })?;
            uuids.push(VolumeUuid::new(group.id, lv.id, Layer::Public));
        }
        // What a cut activation left below a volume that never came is not below anything.
        let (layers, names) = layers(group, volumes.iter().copied());
        let which = Which::Volumes { volumes: &uuids, layers: &layers };
        let mut observed = observe::of_volumes(self.dm.as_ref(), &uuids, &layers)?;
        let steps = match self.removal(which, &names, &observed) {
            Err(error) if error.kind() == ErrorKind::Busy => {
                // Once more with all of the group in sight, so that the error can name them.
                observed = observe::of_group(self.dm.as_ref(), &group.id)?;
                self.removal(which, &names, &observed)?
            }
            other => other?,
        };
        Ok((observed, steps))
    }

    fn look_for_removal_of_all(&self, group: &VolumeGroup) -> Result<(Observed, Vec<Step>)> {
        let observed = observe::of_group(self.dm.as_ref(), &group.id)?;
        let volumes = group.logical_volumes.iter().map(|lv| lv.name.as_str());
        let (_, names) = layers(group, volumes);
        let steps = self.removal(Which::All, &names, &observed)?;
        Ok((observed, steps))
    }

    fn removal(
        &self,
        which: Which<'_>,
        names: &[String],
        observed: &Observed,
    ) -> Result<Vec<Step>> {
        let openers = |number| openers::of(&self.host, number);
        let links = self.around().links;
        let mut steps = removal::deactivation(which, observed, &openers, links)?;
        if links {
            // A call that was cut between a device and its node left a node.
            steps.extend(removal::traces(names, observed));
        }
        Ok(steps)
    }

    fn remove(&self, group: &str, observed: &Observed, steps: &[Step]) -> Result<Deactivated> {
        let mut run = self.executor(group, Op::Unpublish, observed);
        run.run(steps)?;
        let removed = steps.iter().filter_map(|step| match step {
            Step::Remove { name, .. } => Some(name.clone()),
            _ => None,
        });
        Ok(Deactivated { removed: removed.collect(), warnings: run.warnings })
    }
}

/// Whether a device is what users see of a volume.
fn is_asked_for(device: &WantedDevice) -> bool {
    matches!(device.uuid.layer, Layer::Public | Layer::PoolCover) || device.other_name.is_some()
}

/// UUIDs and names of all devices that volumes may have.
fn layers<'v>(
    group: &VolumeGroup,
    volumes: impl Iterator<Item = &'v str>,
) -> (Vec<VolumeUuid>, Vec<String>) {
    let all = volumes.flat_map(|name| {
        let plain = layers_of(group, Goal::Plain(name));
        layers_of(group, Goal::Volume(name)).into_iter().chain(plain)
    });
    all.unzip()
}
