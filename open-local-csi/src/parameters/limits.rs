//! Limits of bytes and I/Os a second.

use open_local_core::throttle::{IoLimits, Limit};

use super::Map;
use super::keys::{self, Place};
use super::values::Values;
use crate::errors::{Answer, Status};

/// Limits as a class asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The four limits; unset is unlimited.
    pub io: IoLimits,
}

impl Limits {
    /// `bps` and `iops` limit reads and writes alike; the four keys apart go before them.
    pub(super) fn read(values: &Values<'_>) -> Answer<Self> {
        let both = [values.quantity("bps")?, values.quantity("iops")?];
        let [bps, iops] = both;
        let mut io = IoLimits::none();
        for (limit, key, general) in [
            (Limit::ReadBps, "csi.aliyun.com/read-bps", bps),
            (Limit::WriteBps, "csi.aliyun.com/write-bps", bps),
            (Limit::ReadIops, "csi.aliyun.com/read-iops", iops),
            (Limit::WriteIops, "csi.aliyun.com/write-iops", iops),
        ] {
            io = io.with(limit, values.quantity(key)?.or(general));
        }
        io.check()
            .map_err(|e| Status::invalid(values.field, format!("can't be: {}", e.report())))?;
        Ok(Self { io })
    }
}

/// What may be changed of a volume: its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MutableParameters {
    /// The limits from now on; what is not named is not limited.
    pub limits: Limits,
}

impl MutableParameters {
    /// Reads the parameters of a VolumeAttributesClass.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the key, also for any key that is not ours.
    pub fn read(field: &str, map: &Map) -> Answer<Self> {
        keys::check(field, map, Place::Mutable)?;
        Ok(Self { limits: Limits::read(&Values { field, map })? })
    }
}
