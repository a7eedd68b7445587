//! The trait [`ThinProvisioning`] by the tools.

use open_local_core::{
    Bytes, Error, ErrorKind, FullPolicy, Op, Ratio, Result, ThinPolicy, ThinProvisioning, ThinUsage,
};

use super::CliPool;
use super::execute::{Step, Work};
use super::room::{is_policy, policy, policy_tags, thin_pool, usage};
use crate::cli::Order;
use crate::plan::{Growth, Size, TagChange};
use crate::pool::agreement::Growth as Room;

impl ThinProvisioning for CliPool {
    fn thin_usage(&self) -> Result<ThinUsage> {
        let seen = self.look(Op::ThinUsage)?;
        Ok(usage(thin_pool(self, &seen.group)?, &seen.objects))
    }

    fn thin_policy(&self) -> Result<ThinPolicy> {
        let seen = self.look(Op::ThinUsage)?;
        Ok(policy(self, thin_pool(self, &seen.group)?))
    }

    fn set_thin_policy(&self, wanted: &ThinPolicy) -> Result<()> {
        let op = Op::SetThinPolicy;
        let refuse = |why: &str, remedy: &str| {
            Err(Error::new(ErrorKind::InvalidArgument, op, self.id(), why).with_remedy(remedy))
        };
        if wanted.overcommit < Ratio::ONE {
            return refuse("the overcommit ratio is below 1", "use 1 or more");
        }
        if wanted.stop_at > Ratio::ONE || wanted.stop_at == Ratio::from_percent(0) {
            return refuse("the stop mark is 0 or above 1", "use a part of the whole");
        }
        self.run(op, |seen| {
            let pool = thin_pool(self, &seen.group)?;
            let (now, group) = (policy(self, pool), &seen.group.name);
            let mut steps = Vec::new();
            if now.when_full != wanted.when_full {
                let error = wanted.when_full == FullPolicy::Error;
                steps.push(Step::Run(Order::set_error_when_full(group, &pool.name, error)?));
            }
            let tags = policy_tags(wanted);
            let add: Vec<String> =
                tags.iter().filter(|t| !pool.tags.contains(t)).cloned().collect();
            let old = pool.tags.iter().filter(|tag| is_policy(tag) && !tags.contains(tag));
            let remove: Vec<String> = old.cloned().collect();
            if !add.is_empty() || !remove.is_empty() {
                let change = TagChange { add, remove };
                steps.push(Step::Run(Order::tag_volume(group, &pool.name, &change)?));
            }
            Ok((!steps.is_empty()).then(|| Work::new(op, self.id(), steps)))
        })
        .map(drop)
    }
}

impl CliPool {
    /// Gives a thin pool room for data, for metadata, or both: at least so much.
    ///
    /// # Errors
    /// `NotFound` where it is not in the group; those of the tools.
    pub(in crate::cli) fn extend_thin_pool(&self, to: Room) -> Result<()> {
        let op = Op::EnsurePool;
        self.run(op, |seen| {
            let (pool, group) = (thin_pool(self, &seen.group)?, &seen.group.name);
            let mut steps = Vec::new();
            // First: more data may need it.
            let has = pool.metadata_size.unwrap_or(Bytes::ZERO);
            if let Some(to) = to.metadata.filter(|to| *to > has) {
                steps.push(Step::Run(Order::extend_pool_metadata(group, &pool.name, to)?));
            }
            if let Some(to) = to.data.filter(|to| *to > pool.size) {
                let growth = Growth::new(&pool.name, Size::AtLeast(to));
                steps.push(Step::Run(Order::extend_volume(group, &growth, &[])?));
            }
            Ok((!steps.is_empty()).then(|| Work::new(op, self.id(), steps)))
        })
        .map(drop)
    }
}
