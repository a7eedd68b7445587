//! Looking into devices: what one holds, and whether somebody has claimed it.
//!
//! A device that does not answer must not keep the others waiting, and a read that hangs can't be
//! called back. So the reads run in threads of their own, a few at a time; whoever hears nothing
//! for a while stops waiting, and the thread ends whenever the kernel lets go of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::BlockDevice;
use crate::error::{Error, ErrorKind};
use crate::host::{DeviceAccess, Devices, Host};
use crate::raw::{Signature, attribute, open, signatures};

/// Devices looked into at once.
const LANES: usize = 4;
/// Devices that may fail to answer before the rest is given up.
const MAX_HUNG: usize = 32;

/// What was found in a device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// It was read.
    Content {
        /// What it holds.
        signatures: Vec<Signature>,
        /// Whether somebody has claimed it, and who has it open for writing. Only asked of a
        /// device that holds nothing, has no partitions and is in no other use: to ask is to
        /// claim it for a moment, in which a mount of it would fail.
        busy: Option<Vec<String>>,
    },
    /// It can't be read.
    Failed(String),
    /// It is gone, or is another device than the one that was listed.
    Changed(String),
    /// It did not answer in time.
    NotAnswering,
}

/// Looks into one device; may wait as long as the device does.
fn probe(host: &Host, devices: &dyn Devices, device: &BlockDevice) -> Probe {
    let handle = match open(devices, &device.node, DeviceAccess::Look) {
        Ok(handle) => handle,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Probe::Changed("it can't be opened any more".to_owned());
        }
        Err(e) => return Probe::Failed(said(&e)),
    };
    let seen = handle.number().and_then(|number| Ok((number, handle.size()?)));
    match seen {
        Ok((number, _)) if number != device.number => {
            return Probe::Changed(format!("its node stands for {number}, not {}", device.number));
        }
        Ok((_, size)) if size != device.size => {
            return Probe::Changed(format!("it has {size}, not {}", device.size));
        }
        Ok(_) => {}
        Err(e) => return Probe::Failed(e.to_string()),
    }
    let signatures = match signatures(handle.as_ref()) {
        Ok(signatures) => signatures,
        Err(e) => return Probe::Failed(e.to_string()),
    };
    let sequence = host.roots.sys.join("block").join(&device.name).join("diskseq");
    let sequence = attribute(host.files.as_ref(), &sequence).and_then(|text| text.parse().ok());
    if device.partition.is_none() && sequence != device.identity.sequence {
        return Probe::Changed("another medium or file is in it".to_owned());
    }
    let idle = signatures.is_empty() && device.partitions.is_empty() && !device.is_in_use();
    if !idle {
        return Probe::Content { signatures, busy: None };
    }
    drop(handle);
    let busy = match open(devices, &device.node, DeviceAccess::Alone) {
        Ok(_) => None,
        Err(e) if e.kind() == ErrorKind::Busy => {
            Some(devices.writers(device.number).unwrap_or_default())
        }
        Err(e) => return Probe::Failed(said(&e)),
    };
    Probe::Content { signatures, busy }
}

/// What is wrong and why; which device it is about is known.
fn said(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{}: {cause}", error.message()),
        None => error.message().to_owned(),
    }
}

/// A device being looked into, and whether that has come to an end.
#[derive(Debug)]
struct Job {
    device: BlockDevice,
    ended: Arc<AtomicBool>,
}

enum News {
    Started(String),
    Ended(String, Probe),
}

/// What was found in a device; of one that did not answer also the word that it has, later.
pub(super) type Found = BTreeMap<String, (Probe, Arc<AtomicBool>)>;

/// Looks into several devices. When nothing was heard of any for as long as `patience`, those
/// that are being looked into count as not answering.
pub(super) fn probe_all(
    host: &Host,
    devices: &Arc<dyn Devices>,
    targets: Vec<BlockDevice>,
    patience: Duration,
) -> Found {
    let mut found = Found::new();
    let mut flags: BTreeMap<String, Arc<AtomicBool>> = BTreeMap::new();
    let mut queue = VecDeque::new();
    for device in targets {
        let ended = Arc::new(AtomicBool::new(false));
        flags.insert(device.name.clone(), Arc::clone(&ended));
        queue.push_back(Job { device, ended });
    }
    let queue = Arc::new(Mutex::new(queue));
    let (tell, told) = channel();
    let start =
        |count: usize| (0..count).filter(|_| lane(host, devices, &queue, &tell).is_ok()).count();
    let mut lanes = start(LANES.min(flags.len()));
    let mut running: Vec<String> = Vec::new();
    let mut hung = 0usize;
    while found.len() < flags.len() && lanes > 0 {
        match told.recv_timeout(patience) {
            Ok(News::Started(name)) => running.push(name),
            Ok(News::Ended(name, probe)) => {
                running.retain(|other| *other != name);
                settle(&mut found, &flags, &name, probe);
            }
            Err(RecvTimeoutError::Timeout) if running.is_empty() => break,
            Err(RecvTimeoutError::Timeout) => {
                hung = hung.saturating_add(running.len());
                let stuck = running.len();
                for name in running.drain(..) {
                    settle(&mut found, &flags, &name, Probe::NotAnswering);
                }
                lanes = lanes.saturating_sub(stuck);
                if hung <= MAX_HUNG {
                    lanes = lanes.saturating_add(start(stuck));
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let rest: Vec<String> =
        flags.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
    for name in rest {
        let probe = match hung {
            0 => Probe::Failed("no thread could be started to read it".to_owned()),
            _ => Probe::NotAnswering,
        };
        if let Some(flag) = flags.get(&name) {
            // Nobody has begun.
            flag.store(true, Ordering::SeqCst);
        }
        settle(&mut found, &flags, &name, probe);
    }
    found
}

/// Keeps the first answer: a device that answers late has been given up.
fn settle(found: &mut Found, flags: &BTreeMap<String, Arc<AtomicBool>>, name: &str, probe: Probe) {
    if let Some(flag) = flags.get(name) {
        found.entry(name.to_owned()).or_insert_with(|| (probe, Arc::clone(flag)));
    }
}

/// Starts a thread that looks into one device after the other.
fn lane(
    host: &Host,
    devices: &Arc<dyn Devices>,
    queue: &Arc<Mutex<VecDeque<Job>>>,
    tell: &Sender<News>,
) -> std::io::Result<()> {
    let (host, devices) = (host.clone(), Arc::clone(devices));
    let (queue, tell) = (Arc::clone(queue), tell.clone());
    let work = move || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(Job { device, ended }) = next else {
                return;
            };
            // Nobody listens any more once all others were given up.
            let _ = tell.send(News::Started(device.name.clone()));
            let probe = probe(&host, devices.as_ref(), &device);
            ended.store(true, Ordering::SeqCst);
            let _ = tell.send(News::Ended(device.name, probe));
        }
    };
    std::thread::Builder::new().name("probe".into()).spawn(work)?;
    Ok(())
}
