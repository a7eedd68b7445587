//! The [`ThinProvisioning`] of this backend.

use super::pool::FilePool;
use super::record::PoolRecord;
use crate::error::{Error, ErrorKind, Op, Result};
use crate::thin::{FullPolicy, ThinPolicy, ThinProvisioning, ThinUsage};
use crate::units::Ratio;

impl ThinProvisioning for FilePool {
    fn thin_usage(&self) -> Result<ThinUsage> {
        let op = Op::ThinUsage;
        let room = self.room(op, &self.pool_record(op)?)?;
        let total = room.total.saturating_sub(room.thick);
        Ok(ThinUsage::new(total, room.thin_used, room.thin))
    }

    fn thin_policy(&self) -> Result<ThinPolicy> {
        let record = self.pool_record(Op::ThinUsage)?;
        Ok(ThinPolicy::default().with_overcommit(record.overcommit).with_stop_at(record.stop_at))
    }

    fn set_thin_policy(&self, policy: &ThinPolicy) -> Result<()> {
        let op = Op::SetThinPolicy;
        check(policy).map_err(|(kind, why, remedy)| {
            Error::new(kind, op, &self.id, why).with_remedy(remedy)
        })?;
        let _room = self.lock_room(op)?;
        let record = self.pool_record(op)?;
        let wanted =
            PoolRecord { overcommit: policy.overcommit, stop_at: policy.stop_at, ..record.clone() };
        if wanted == record {
            return Ok(());
        }
        self.host.checkpoints.before(op, &(&self.id).into(), "record the thin policy")?;
        wanted.to_record().store(self.host.files.as_ref(), &self.layout.pool_record())
    }
}

fn check(policy: &ThinPolicy) -> Result<(), (ErrorKind, String, &'static str)> {
    if policy.overcommit < Ratio::ONE {
        let why = format!("the overcommit ratio {} is below 1", policy.overcommit);
        return Err((ErrorKind::InvalidArgument, why, "use 1 or more"));
    }
    if policy.stop_at == Ratio::ZERO || policy.stop_at > Ratio::ONE {
        let why = format!("the stop mark {} is not above 0 and at most 1", policy.stop_at);
        return Err((ErrorKind::InvalidArgument, why, "use a part of the room such as 80%"));
    }
    if policy.when_full != FullPolicy::Error {
        // The host's file system answers ENOSPC at once; nothing can make it wait.
        let why = "writes to a full folder fail at once".to_owned();
        return Err((ErrorKind::Unsupported, why, "use the behaviour error"));
    }
    Ok(())
}
