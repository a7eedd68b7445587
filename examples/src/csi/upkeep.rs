//! What is done beside calls: pools and volumes looked at, removed ones erased, limits brought to
//! pods, inline volumes removed whose pods went while nobody looked.
//!
//! Each thread does one thing and may hang with it; none is waited for at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use open_local_core::{Bytes, Error, Op, Pool, PoolId, Result, Subject};
use open_local_csi::service::{Driver, Mode, Records};

use super::measure::Traffic;
use super::pause::Pause;
use super::sample::{Samples, VolumeSample};

/// Bytes that are erased before the stop is looked at again.
const PIECE: Bytes = Bytes::new(64 << 20);
/// Inline volumes are looked for once in so many intervals.
const SELDOM: u32 = 6;

/// Starts all threads.
///
/// # Errors
/// `Io` if the operating system gives no thread.
pub(super) fn start(
    driver: &Driver,
    pools: &[(PoolId, Arc<dyn Pool>)],
    samples: &Samples,
    interval: Duration,
    pause: &Pause,
) -> Result<()> {
    for (id, pool) in pools {
        let (id, pool) = (id.clone(), Arc::clone(pool));
        let (watched, named) = (Arc::clone(&pool), id.clone());
        let (samples, waiting) = (samples.clone(), pause.clone());
        spawn("pool", move || {
            loop {
                samples.pool_answered(&named, watched.info());
                if !waiting.wait(interval) {
                    return;
                }
            }
        })?;
        let pause = pause.clone();
        spawn("maintain", move || maintain(&id, pool.as_ref(), interval, &pause))?;
    }
    if driver.config().mode == Mode::Central {
        return Ok(());
    }
    let (records, samples) = (Records::new(driver.host().clone()), samples.clone());
    let (watcher, waiting) = (driver.clone(), pause.clone());
    spawn("volumes", move || {
        loop {
            samples.volumes_seen(volumes(&watcher, &records));
            if !waiting.wait(interval) {
                return;
            }
        }
    })?;
    let (driver, pause) = (driver.clone(), pause.clone());
    spawn("limits", move || {
        let mut turn = 0u32;
        loop {
            if turn.is_multiple_of(SELDOM) {
                recover(&driver);
            }
            turn = turn.wrapping_add(1);
            if let Err(status) = driver.reconcile_limits() {
                tracing::warn!(error = status.message(), "limits can't be brought to all pods");
            }
            if !pause.wait(interval) {
                return;
            }
        }
    })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = thread::Builder::new().name(name.to_owned()).stack_size(512 << 10).spawn(run);
    started
        .map(drop)
        .map_err(|e| Error::from_io(Op::RunProgram, Subject::Host, "a thread can't be started", e))
}

/// Does what a pool left for later, such as erasing.
fn maintain(id: &PoolId, pool: &dyn Pool, interval: Duration, pause: &Pause) {
    loop {
        while !pause.is_over() {
            match pool.maintain(PIECE) {
                Ok(upkeep) if upkeep.left.is_zero() || upkeep.done.is_zero() => break,
                Ok(_) => {}
                Err(error) => {
                    let error = error.report().to_string();
                    tracing::warn!(pool = %id, error, "what was left for later can't be done");
                    break;
                }
            }
        }
        if !pause.wait(interval) {
            return;
        }
    }
}

fn recover(driver: &Driver) {
    match driver.recover_inline() {
        Ok(done) => {
            for (volume, status) in &done.failed {
                let error = status.message();
                tracing::warn!(volume, error, "an inline volume of a gone pod can't be removed");
            }
        }
        Err(status) => {
            let error = status.message();
            tracing::warn!(error, "inline volumes can't be looked for");
        }
    }
}

/// The traffic of each published volume, once each.
fn volumes(driver: &Driver, records: &Records) -> Vec<VolumeSample> {
    // A record that can't be read is told of by who brings limits to pods.
    let published = match records.readable_published() {
        Ok((published, _)) => published,
        Err(error) => {
            let error = error.report().to_string();
            tracing::warn!(error, "published volumes can't be listed");
            return Vec::new();
        }
    };
    let devices: BTreeMap<String, _> = published
        .into_iter()
        .filter_map(|record| record.device.map(|device| (record.volume, device)))
        .collect();
    let sample = |(volume, device): (String, open_local_core::DeviceNumber)| {
        let traffic = Traffic::of(driver.host(), device)?;
        Some(VolumeSample { volume, device: device.to_string(), traffic })
    };
    devices.into_iter().filter_map(sample).collect()
}
