//! The implementation for the machine: observe, plan, execute, observe.

mod apply;
mod clear;
mod reconcile;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{self, Identity, Standing};
use super::kernel::{KernelFiles, SystemKernelFiles};
use super::limits::{CgroupTarget, IoLimits, LimitState, Reconciled, Support};
use super::plan::{self, Hierarchy, Observed, Version, Write};
use super::wish::{Wish, Wishes};
use super::{IoThrottle, judge, order, v1, v2, walk};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::Host;
use crate::outcome::{Ensured, Removed};

/// How often one call looks for cgroups that appeared while it was writing.
const MAX_ROUNDS: usize = 4;

/// I/O limits on the machine this process runs on.
///
/// What was asked for is recorded under `throttle/` in the state folder of the host's roots;
/// several processes may use it at once. No thread is started: call
/// [`reconcile`](IoThrottle::reconcile) when something starts in a limited cgroup, or spend a
/// thread of your own in [`watch`](Self::watch).
#[derive(Debug, Clone)]
pub struct HostThrottle {
    host: Host,
    kernel: Arc<dyn KernelFiles>,
}

/// What one call works on.
struct Job<'a> {
    op: Op,
    hierarchy: &'a Hierarchy,
    target: &'a CgroupTarget,
    device: DeviceNumber,
}

impl HostThrottle {
    /// Limits on this host.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self { host, kernel: Arc::new(SystemKernelFiles) }
    }

    /// The same with another door to the kernel's files.
    #[must_use]
    pub fn with_kernel_files(mut self, kernel: Arc<dyn KernelFiles>) -> Self {
        self.kernel = kernel;
        self
    }

    fn mountinfo(&self) -> Result<Vec<u8>> {
        let path = self.host.roots.proc.join("self/mountinfo");
        self.kernel
            .read(&path)
            .map_err(|e| Error::from_io(Op::ThrottleSupport, Subject::path(path), "can't read", e))
    }

    /// The identity of a disk; an error for a missing device and for a partition.
    fn disk(&self, op: Op, device: DeviceNumber) -> Result<Identity> {
        let (files, roots) = (&*self.kernel, &self.host.roots);
        let identity = disk::identify(files, roots, device)?.ok_or_else(|| missing(op, device))?;
        match disk::disk_of_partition(files, roots, device)? {
            None => Ok(identity),
            Some(disk) => Err(Error::new(
                ErrorKind::InvalidArgument,
                op,
                Subject::Value(device.to_string()),
                "this is a partition; the kernel limits whole disks only",
            )
            .with_remedy(format!("limit the disk {disk}"))),
        }
    }

    fn hierarchy_for(&self, op: Op, target: &CgroupTarget) -> Result<Hierarchy> {
        let found = judge::hierarchy(&*self.kernel, &self.mountinfo()?)?;
        let unsupported = |why: String| {
            Error::new(ErrorKind::Unsupported, op, Subject::from(target), why).with_remedy(
                "mount a cgroup v2 hierarchy with the io controller, or the v1 controller blkio",
            )
        };
        let hierarchy = found.map_err(unsupported)?;
        match hierarchy.mount.folder(target.as_path()) {
            Some(_) => Ok(hierarchy),
            None => Err(unsupported(judge::not_shown(&hierarchy, target))),
        }
    }

    fn folder(job: &Job<'_>) -> Result<PathBuf> {
        let folder = job.hierarchy.mount.folder(job.target.as_path());
        folder.ok_or_else(|| {
            let why = judge::not_shown(job.hierarchy, job.target);
            Error::new(ErrorKind::Unsupported, job.op, Subject::from(job.target), why)
        })
    }

    /// The cgroups that a limit of this target is written to, with what they carry now.
    fn observe(&self, job: &Job<'_>) -> Result<Vec<Observed>> {
        let (files, top) = (&*self.kernel, Self::folder(job)?);
        let below = match job.hierarchy.version {
            Version::V1 => walk::subtree(files, &top)?,
            Version::V2 => vec![PathBuf::new()],
        };
        let mut observed = Vec::with_capacity(below.len());
        for part in below {
            let cgroup = walk::under(job.target.as_path(), &part);
            let folder = walk::under(&top, &part);
            let limits = match job.hierarchy.version {
                Version::V1 => v1::read(files, &folder, job.device)?,
                Version::V2 => v2::read(files, &folder, job.device)?,
            };
            observed.extend(limits.map(|limits| Observed { cgroup, folder, limits }));
        }
        Ok(observed)
    }

    /// The orders that make the cgroups above pass the v2 controller on, where a limit is due.
    fn opening(&self, job: &Job<'_>, wishes: &[Wish]) -> Result<Vec<Write>> {
        let version = job.hierarchy.version;
        let due = plan::due(version, wishes, job.target.as_path());
        let folder = Self::folder(job)?;
        let there = self
            .kernel
            .exists(&folder)
            .map_err(|e| Error::from_io(job.op, Subject::path(&folder), "can't look at it", e))?;
        if version == Version::V1 || due.is_none() || !there {
            return Ok(Vec::new());
        }
        let point = &job.hierarchy.mount.point;
        let gaps = v2::not_passing_on(&*self.kernel, point, &folder)?;
        Ok(gaps.iter().map(|gap| v2::pass_on(gap)).collect())
    }

    /// Brings the target, and on v1 what is below it, to what is due; adds the folders of the
    /// cgroups written to `touched`, and answers what is there in the end.
    fn settle(
        &self,
        job: &Job<'_>,
        wishes: &[Wish],
        touched: &mut BTreeSet<PathBuf>,
    ) -> Result<Vec<Observed>> {
        let (files, roots) = (&*self.kernel, &self.host.roots);
        for order in self.opening(job, wishes)? {
            let (subject, step) = (Subject::path(&order.file), order.to_string());
            self.host.checkpoints.before(job.op, &subject, &step)?;
            order::pass_on(files, job.op, &order)?;
        }
        let mut observed = self.observe(job)?;
        for _ in 0..MAX_ROUNDS {
            let orders = plan::orders(job.hierarchy.version, &observed, wishes, job.device);
            if orders.is_empty() {
                break;
            }
            for order in orders {
                let (subject, step) = (Subject::path(&order.file), order.to_string());
                self.host.checkpoints.before(job.op, &subject, &step)?;
                if order::give(files, roots, job.op, job.device, &order)? {
                    touched.insert(order.cgroup);
                }
            }
            observed = self.observe(job)?;
        }
        Ok(observed)
    }

    /// The wishes for a wish's device that hold now, with `wish` in place of the recorded one.
    fn others(&self, store: &Wishes<'_>, wish: &Wish) -> Result<Vec<Wish>> {
        let (all, errors) = store.all()?;
        for error in errors {
            tracing::warn!(error = %error.report(), "an I/O limit can't be read and is left out");
        }
        let mut live = live(all, wish.device, &wish.identity);
        live.retain(|other| other.target != wish.target);
        live.push(wish.clone());
        Ok(live)
    }

    fn judged(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Support> {
        judge::support(&*self.kernel, &self.mountinfo()?, target, device)
    }

    /// The state that was observed.
    fn state(
        &self,
        job: &Job<'_>,
        wanted: IoLimits,
        observed: &[Observed],
        wishes: &[Wish],
    ) -> Result<LimitState> {
        let support = self.judged(job.target, job.device)?;
        let state = LimitState::wished(wanted, support);
        let own = observed.iter().find(|seen| seen.cgroup == job.target.as_path());
        Ok(match own {
            Some(own) => {
                let carrying = plan::carrying(job.hierarchy.version, observed, wishes);
                state.carried(own.limits, carrying)
            }
            None => state,
        })
    }

    /// Lifts what a wish left and forgets it. The caller holds the lock.
    fn finish_lifting(&self, job: &Job<'_>, store: &Wishes<'_>, wishes: &[Wish]) -> Result<u64> {
        let mut touched = BTreeSet::new();
        self.settle(job, wishes, &mut touched)?;
        self.forget(store, job.op, job.target, job.device)?;
        Ok(u64::try_from(touched.len()).unwrap_or(u64::MAX))
    }

    fn forget(
        &self,
        store: &Wishes<'_>,
        op: Op,
        target: &CgroupTarget,
        device: DeviceNumber,
    ) -> Result<()> {
        let step = "forget what was asked for";
        self.host.checkpoints.before(op, &Subject::from(target), step)?;
        store.forget(target, device)
    }
}

fn missing(op: Op, device: DeviceNumber) -> Error {
    Error::new(
        ErrorKind::NotFound,
        op,
        Subject::Value(device.to_string()),
        "there is no block device of this number",
    )
    .with_remedy("see lsblk for the numbers of the devices there are")
}

/// The wishes for the device that now stands under a number.
fn live(mut wishes: Vec<Wish>, device: DeviceNumber, now: &Identity) -> Vec<Wish> {
    wishes.retain(|wish| {
        wish.device == device && wish.identity.standing(Some(now)) == Standing::Same
    });
    wishes
}

impl IoThrottle for HostThrottle {
    fn support(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Support> {
        let (files, roots) = (&*self.kernel, &self.host.roots);
        if disk::identify(files, roots, device)?.is_none() {
            return Err(missing(Op::ThrottleSupport, device));
        }
        if let Some(disk) = disk::disk_of_partition(files, roots, device)? {
            return Ok(Support::None(format!(
                "{device} is a partition, and the kernel limits whole disks only: limit {disk}"
            )));
        }
        self.judged(target, device)
    }

    fn apply(
        &self,
        target: &CgroupTarget,
        device: DeviceNumber,
        limits: &IoLimits,
    ) -> Result<Ensured<LimitState>> {
        self.apply_limits(target, device, limits)
    }

    fn current(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Option<LimitState>> {
        self.read_limits(target, device)
    }

    fn clear(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Removed<LimitState>> {
        self.clear_limits(target, device)
    }

    fn reconcile(&self) -> Result<Reconciled> {
        self.reconcile_all()
    }
}
