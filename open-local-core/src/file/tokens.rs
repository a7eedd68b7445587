//! The [`FormatTokens`] of this backend: a field of the volume's record.

use super::planner::{refuse_other, usable};
use super::pool::FilePool;
use super::record::ObjectRecord;
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::VolumeId;
use crate::spec::Source;
use crate::token::{FormatToken, FormatTokens};

impl FilePool {
    fn store_token(&self, op: Op, record: &ObjectRecord, token: FormatToken) -> Result<()> {
        if record.token == token {
            return Ok(());
        }
        self.host.checkpoints.before(op, &(&record.key).into(), "record the format token")?;
        let path = self.layout.record(&record.key);
        record.with_token(token).to_record().store(self.host.files.as_ref(), &path)
    }
}

impl FormatTokens for FilePool {
    fn format_token(&self, volume: &VolumeId) -> Result<FormatToken> {
        let (op, key) = (Op::FormatToken, Source::Volume(volume.clone()));
        // Whether mkfs may run hangs on it: not on one that a failed write left in the cache only.
        self.settle(op, &[&key])?;
        let seen = self.see(op, &key)?;
        usable(op, &key, &seen).map(|record| record.token)
    }

    fn set_format_token(&self, volume: &VolumeId, token: FormatToken) -> Result<()> {
        let op = Op::FormatToken;
        let key = Source::Volume(volume.clone());
        self.with_objects(op, &[&key], || {
            let seen = self.see(op, &key)?;
            let record = usable(op, &key, &seen)?;
            let allowed = match (record.token, token) {
                (now, wanted) if now == wanted => true,
                (FormatToken::Spent, _) | (_, FormatToken::Unused) => false,
                _ => true,
            };
            if !allowed {
                return Err(Error::new(
                    ErrorKind::Refused,
                    op,
                    volume,
                    format!("its format token is {:?} and can't become {token:?}", record.token),
                )
                .with_remedy("if its content may be destroyed: open-local volume allow-format"));
            }
            self.store_token(op, record, token)
        })
    }

    fn allow_format(&self, volume: &VolumeId) -> Result<()> {
        let op = Op::AllowFormat;
        let key = Source::Volume(volume.clone());
        self.with_objects(op, &[&key], || {
            let seen = self.see(op, &key)?;
            let record = usable(op, &key, &seen)?;
            if let Some(device) = &seen.device {
                return Err(Error::new(
                    ErrorKind::Busy,
                    op,
                    volume,
                    format!("it is published as {}", device.path.display()),
                )
                .with_remedy("unmount and unpublish it first"));
            }
            refuse_other(op, &key, &seen)?;
            self.store_token(op, record, FormatToken::Unused)
        })
    }
}
