//! The [`FormatTokens`] of these pools: a field of the record of the volume's place.

use super::planner::Member;
use super::pool::ExclusivePool;
use super::record::{Claim, Stage};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::VolumeId;
use crate::token::{FormatToken, FormatTokens};

impl ExclusivePool {
    fn store_token(&self, op: Op, member: &Member, token: FormatToken) -> Result<()> {
        let mut place = member.record.clone();
        let Stage::Claimed(claim) = &mut place.stage else {
            return Ok(());
        };
        if claim.token == token {
            return Ok(());
        }
        claim.token = token;
        let subject = (&claim.volume).into();
        self.host.checkpoints.before(op, &subject, "record the format token")?;
        self.store.store_place(&self.id, &place)
    }

    /// Runs `work` on a volume's claim with the pool locked.
    fn with_claim<T>(
        &self,
        op: Op,
        volume: &VolumeId,
        work: impl FnOnce(&Member, &Claim) -> Result<T>,
    ) -> Result<T> {
        self.locked(op, |_| {
            let members = self.members(op)?;
            let (member, claim) = members.volume(op, volume)?;
            // The token lives with the volume: of one that is away nothing is decided.
            member.seen.as_ref().map_err(|away| away.error(op, volume))?;
            work(member, claim)
        })
    }
}

impl FormatTokens for ExclusivePool {
    fn format_token(&self, volume: &VolumeId) -> Result<FormatToken> {
        self.with_claim(Op::FormatToken, volume, |_, claim| Ok(claim.token))
    }

    fn set_format_token(&self, volume: &VolumeId, token: FormatToken) -> Result<()> {
        let op = Op::FormatToken;
        self.with_claim(op, volume, |member, claim| {
            let allowed = match (claim.token, token) {
                (now, wanted) if now == wanted => true,
                (FormatToken::Spent, _) | (_, FormatToken::Unused) => false,
                _ => true,
            };
            if !allowed {
                let why =
                    format!("its format token is {:?} and can't become {token:?}", claim.token);
                return Err(Error::new(ErrorKind::Refused, op, volume, why).with_remedy(
                    "if its content may be destroyed: open-local volume allow-format",
                ));
            }
            self.store_token(op, member, token)
        })
    }

    fn allow_format(&self, volume: &VolumeId) -> Result<()> {
        let op = Op::AllowFormat;
        self.with_claim(op, volume, |member, claim| {
            if claim.published.is_some() {
                let why = format!("it is published as {}", member.path().display());
                return Err(Error::new(ErrorKind::Busy, op, volume, why)
                    .with_remedy("unmount and unpublish it first"));
            }
            self.store_token(op, member, FormatToken::Unused)
        })
    }
}
