//! Whether udev answers: one event of a device of our own, before anything depends on it.
//!
//! Several processes may ask at the same moment: each has a device of its own, whose name says when
//! it was made, and takes away that one alone. What a killed process left goes once it is so old
//! that no test can still need it.

use std::time::{Duration, UNIX_EPOCH};

use open_local_core::host::{Deadline, Host};
use open_local_core::{ErrorKind, Op, Result, Subject};

use crate::dm::{DeviceMapper, DmId, SuspendFlags, Udev, UdevAnswer, UdevFlags};

/// What the names of the devices begin with, which are no volumes': one sector of errors. The
/// seconds since 1970 follow, and a number that was drawn.
const NAME: &str = "open-local-udev-test-";
/// The same of their UUIDs.
const UUID: &str = "OPENLOCAL-udev-test-";
/// No rules but the one that answers.
const QUIET: UdevFlags = UdevFlags::from_bits(0x2f);
/// A device that is older was left behind: a test waits for seconds.
const LEFT: Duration = Duration::from_secs(3600);

/// Makes a device, waits for udev's answer to its first event, and removes it.
///
/// # Errors
/// Those of [`DeviceMapper`].
pub(super) fn udev_answers(
    host: &Host,
    dm: &dyn DeviceMapper,
    wait: Duration,
) -> Result<UdevAnswer> {
    remove_left(host, dm)?;
    let mut drawn = [0; 8];
    host.entropy.fill(&mut drawn)?;
    let own = format!("{}-{:016x}", now(host).as_secs(), u64::from_le_bytes(drawn));
    let (name, uuid) = (format!("{NAME}{own}"), format!("{UUID}{own}"));
    let id = DmId::uuid(&uuid);
    let before = |step| host.checkpoints.before(Op::Probe, &Subject::value(&name), step);
    before("make a test device")?;
    dm.create(&name, &uuid)?;
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
    let removed = remove(host, dm, &name, &id);
    let answer = answer?;
    removed?;
    Ok(answer)
}

fn now(host: &Host) -> Duration {
    host.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn remove(host: &Host, dm: &dyn DeviceMapper, name: &str, id: &DmId) -> Result<()> {
    host.checkpoints.before(Op::Probe, &Subject::value(name), "remove the test device")?;
    match dm.remove(id, Udev::new(None, QUIET)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the devices of tests whose processes were killed long ago. One that can't be removed
/// is in nobody's way.
fn remove_left(host: &Host, dm: &dyn DeviceMapper) -> Result<()> {
    let now = now(host);
    for device in dm.list()? {
        let own = device.name.strip_prefix(NAME);
        let made = own.and_then(|own| own.split_once('-')?.0.parse().ok());
        let age = made.and_then(|made| now.checked_sub(Duration::from_secs(made)));
        let (Some(own), true) = (own, age.is_some_and(|age| age >= LEFT)) else {
            continue;
        };
        // By its UUID: a name is anybody's.
        let id = DmId::uuid(format!("{UUID}{own}"));
        match remove(host, dm, &device.name, &id) {
            Err(error) if error.kind() == ErrorKind::Indeterminate => return Err(error),
            Err(error) => {
                let error = error.report().to_string();
                tracing::warn!(device = device.name, error, "a test device was left");
            }
            Ok(()) => {}
        }
    }
    Ok(())
}
