//! The trait [`FormatTokens`]: a tag of the volume, changed by a flushed commit.

use open_local_core::{Error, ErrorKind, FormatToken, FormatTokens, Op, Result, Source, VolumeId};

use super::group::{GroupPool, Scope};
use super::objects::{self, Object};
use super::planner::{Draft, Seen};
use super::tags::Kind;

/// The token of an object; one we did not make has none, which is as good as spent.
pub(super) fn token_of(object: &Object) -> FormatToken {
    match &object.label.kind {
        Kind::Volume { token, .. } | Kind::Snapshot { token, .. } => {
            token.unwrap_or(FormatToken::Spent)
        }
    }
}

impl GroupPool {
    fn store_token(
        &self,
        op: Op,
        volume: &VolumeId,
        wanted: FormatToken,
        allowed: impl FnOnce(&Seen<'_>, &Object) -> Result<()>,
    ) -> Result<()> {
        let key = Source::Volume(volume.clone());
        self.run(op, Scope::Keys(vec![key.clone()]), |turn| {
            turn.plan(|seen, facts| {
                let object = seen.usable(op, &key)?;
                allowed(seen, &object)?;
                if token_of(&object) == wanted {
                    return Ok(None);
                }
                let mut label = object.label.clone();
                if let Kind::Volume { token, .. } = &mut label.kind {
                    *token = Some(wanted);
                }
                let mut draft = Draft::new(op, &key, facts, seen.metadata);
                draft.relabel(&object.name, &label)?;
                draft.commit("format token");
                Ok(Some(draft.finish()))
            })
        })
        .map(drop)
    }
}

impl FormatTokens for GroupPool {
    fn format_token(&self, volume: &VolumeId) -> Result<FormatToken> {
        let op = Op::FormatToken;
        let view = self.view(op)?;
        let object = objects::only(op, &view.objects, &Source::Volume(volume.clone()))?;
        object.map(token_of).ok_or_else(|| {
            let why = format!("there is no such volume in pool {}", self.id());
            Error::new(ErrorKind::NotFound, op, volume, why)
                .with_remedy("list what there is with: open-local volume list")
        })
    }

    fn set_format_token(&self, volume: &VolumeId, token: FormatToken) -> Result<()> {
        let op = Op::FormatToken;
        self.store_token(op, volume, token, |_, object| {
            let now = token_of(object);
            let allowed =
                now == token || !(now == FormatToken::Spent || token == FormatToken::Unused);
            if allowed {
                return Ok(());
            }
            let why = format!("its format token is {now:?} and can't become {token:?}");
            Err(Error::new(ErrorKind::Refused, op, volume, why)
                .with_remedy("if its content may be destroyed: open-local volume allow-format"))
        })
    }

    fn allow_format(&self, volume: &VolumeId) -> Result<()> {
        let op = Op::AllowFormat;
        self.store_token(op, volume, FormatToken::Unused, |seen, object| {
            let Some(device) = seen.device(object) else {
                return Ok(());
            };
            let why = format!("it is published as {}", device.node.display());
            Err(Error::new(ErrorKind::Busy, op, volume, why)
                .with_remedy("unmount and unpublish it first"))
        })
    }
}
