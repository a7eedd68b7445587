//! Tables as data, printed as `dmsetup` takes them.
//!
//! Arguments are those of the kernel's `Documentation/admin-guide/device-mapper` (Linux 6.1).

use std::fmt;

use open_local_core::DeviceNumber;

/// One target over the whole device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Sectors of a device from an offset on.
    Linear {
        /// The device below.
        below: DeviceNumber,
        /// Its first sector.
        start: u64,
    },
    /// Nothing but errors.
    Error,
    /// Zeroes; what is written is forgotten.
    Zero,
    /// A device that now and then fails.
    Flakey {
        /// The device below.
        below: DeviceNumber,
        /// Seconds in which it works; with none it never does.
        up: u32,
        /// Seconds in which it does not.
        down: u32,
        /// What it does then.
        failing: Failing,
    },
    /// A device that takes its time.
    Delay {
        /// The device below.
        below: DeviceNumber,
        /// Milliseconds for a read.
        read: u32,
        /// Milliseconds for a write.
        write: u32,
    },
    /// A device whose writes are written down.
    LogWrites {
        /// The device below.
        below: DeviceNumber,
        /// The device that takes the log.
        log: DeviceNumber,
    },
}

/// What a flakey device does while it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// Reads and writes fail.
    Everything,
    /// Writes fail, reads work.
    Writes,
    /// Writes are forgotten and answered as if done, reads work.
    Silently,
}

/// A table of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its length in sectors of 512 bytes.
    pub sectors: u64,
    /// The target.
    pub target: Target,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0 {} ", self.sectors)?;
        match &self.target {
            Target::Linear { below, start } => write!(f, "linear {below} {start}"),
            Target::Error => f.write_str("error"),
            Target::Zero => f.write_str("zero"),
            Target::Flakey { below, up, down, failing } => {
                let features = match failing {
                    Failing::Everything => "",
                    Failing::Writes => " 1 error_writes",
                    Failing::Silently => " 1 drop_writes",
                };
                write!(f, "flakey {below} 0 {up} {down}{features}")
            }
            Target::Delay { below, read, write } => {
                write!(f, "delay {below} 0 {read} {below} 0 {write}")
            }
            Target::LogWrites { below, log } => write!(f, "log-writes {below} {log}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_printed_as_the_kernel_takes_them() {
        let (below, log) = (DeviceNumber::new(7, 1), DeviceNumber::new(259, 300));
        let flakey = |failing| Target::Flakey { below, up: 0, down: 1, failing };
        for (target, wanted) in [
            (Target::Linear { below, start: 8 }, "0 16 linear 7:1 8"),
            (Target::Error, "0 16 error"),
            (Target::Zero, "0 16 zero"),
            (flakey(Failing::Everything), "0 16 flakey 7:1 0 0 1"),
            (flakey(Failing::Writes), "0 16 flakey 7:1 0 0 1 1 error_writes"),
            (flakey(Failing::Silently), "0 16 flakey 7:1 0 0 1 1 drop_writes"),
            (Target::Delay { below, read: 0, write: 50 }, "0 16 delay 7:1 0 0 7:1 0 50"),
            (Target::LogWrites { below, log }, "0 16 log-writes 7:1 259:300"),
        ] {
            assert_eq!(Table { sectors: 16, target }.to_string(), wanted);
        }
    }
}
