//! The trait [`FormatTokens`] by the tools: a tag of the volume, flushed.

use open_local_core::{Error, ErrorKind, FormatToken, FormatTokens, Op, Result, Source, VolumeId};

use super::CliPool;
use super::execute::Work;
use super::look::Object;
use super::plan::relabel;
use crate::pool::planner::busy;
use crate::pool::tags::Kind;

impl CliPool {
    fn store_token(
        &self,
        op: Op,
        volume: &VolumeId,
        wanted: FormatToken,
        allowed: impl FnOnce(&Object) -> Result<()>,
    ) -> Result<()> {
        let key = Source::Volume(volume.clone());
        self.run(op, |seen| {
            let object = seen.usable(op, &key)?;
            allowed(object)?;
            if object.token() == wanted {
                return Ok(None);
            }
            let mut label = object.label.clone();
            if let Kind::Volume { token, .. } = &mut label.kind {
                *token = Some(wanted);
            }
            let order = relabel(&seen.group.name, object, &label)?;
            Ok(order.map(|order| Work::run(op, &key, order)))
        })
        .map(drop)
    }
}

impl FormatTokens for CliPool {
    fn format_token(&self, volume: &VolumeId) -> Result<FormatToken> {
        let op = Op::FormatToken;
        let seen = self.look(op)?;
        let found = seen.see(op, &Source::Volume(volume.clone()))?.map(Object::token);
        found.ok_or_else(|| {
            let why = format!("there is no such volume in pool {}", self.id());
            Error::new(ErrorKind::NotFound, op, volume, why)
                .with_remedy("list what there is with: open-local volume list")
        })
    }

    fn set_format_token(&self, volume: &VolumeId, token: FormatToken) -> Result<()> {
        let op = Op::FormatToken;
        self.store_token(op, volume, token, |object| {
            let now = object.token();
            if now == token || !(now == FormatToken::Spent || token == FormatToken::Unused) {
                return Ok(());
            }
            let why = format!("its format token is {now:?} and can't become {token:?}");
            Err(Error::new(ErrorKind::Refused, op, volume, why)
                .with_remedy("if its content may be destroyed: open-local volume allow-format"))
        })
    }

    fn allow_format(&self, volume: &VolumeId) -> Result<()> {
        let op = Op::AllowFormat;
        self.store_token(op, volume, FormatToken::Unused, |object| {
            let Some(device) = &object.device else {
                return Ok(());
            };
            let why = format!("it is published as {}", device.node.display());
            let key = Source::Volume(volume.clone());
            Err(busy(op, &key, why, "unmount and unpublish it first"))
        })
    }
}
