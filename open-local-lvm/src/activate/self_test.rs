//! Whether udev answers: one event of a device of our own, before anything depends on it.

use std::time::Duration;

use open_local_core::host::{Deadline, Host};
use open_local_core::{ErrorKind, Op, Result, Subject};

use crate::dm::{DeviceMapper, DmId, SuspendFlags, Udev, UdevAnswer, UdevFlags};

/// The name of the device, which is no volume's: one sector of errors.
const NAME: &str = "open-local-udev-test";
const UUID: &str = "OPENLOCAL-udev-test";
/// No rules but the one that answers.
const QUIET: UdevFlags = UdevFlags::from_bits(0x2f);
/// Another process may do the same at the same moment.
const TRIES: usize = 3;

/// Makes a device, waits for udev's answer to its first event, and removes it.
///
/// # Errors
/// Those of [`DeviceMapper`].
pub(super) fn udev_answers(
    host: &Host,
    dm: &dyn DeviceMapper,
    wait: Duration,
) -> Result<UdevAnswer> {
    let mut tried = once(host, dm, wait);
    for _ in 1..TRIES {
        match &tried {
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                tried = once(host, dm, wait);
            }
            _ => break,
        }
    }
    tried
}

fn once(host: &Host, dm: &dyn DeviceMapper, wait: Duration) -> Result<UdevAnswer> {
    let id = DmId::uuid(UUID);
    let before = |step| host.checkpoints.before(Op::Probe, &Subject::value(NAME), step);
    let remove = || {
        before("remove the test device")?;
        match dm.remove(&id, Udev::new(None, QUIET)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    };
    if dm.info(&id)?.is_some() {
        // A killed process left it.
        remove()?;
    }
    before("make a test device")?;
    dm.create(NAME, UUID)?;
    let table = crate::dm::table::Table::single(
        open_local_core::Sectors::new(1),
        crate::dm::table::Target::Error,
    );
    let loaded = dm.load(&id, &table, false);
    let answer = loaded.and_then(|_| {
        before("resume it with a cookie")?;
        let cookie = dm.cookie()?;
        let resumed = dm.resume(&id, SuspendFlags::QUICK, Udev::new(Some(&cookie), QUIET));
        let clock = host.clock.as_ref();
        let answer = dm.wait(cookie, clock, Deadline::after(clock, wait));
        resumed?;
        answer
    });
    let removed = remove();
    let answer = answer?;
    removed?;
    Ok(answer)
}
