//! Whole disks and partitions as places of a pool.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::erase::{self, Verified};
use super::identity::{self, Disk};
use super::members::{Disks, refused};
use super::report::open;
use super::{Signature, names};
use crate::capability::Capabilities;
use crate::device::LOOP_TAG;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::exclusive::{
    Allowed, Away, Erasure, Found, Job, Kind, Piece, PlaceRecord, Seen, Sighting,
};
use crate::host::{DeviceAccess, DeviceHandle, FileKind, poll_until};
use crate::info::AttachmentKind;
use crate::spec::PoolSpec;
use crate::units::Bytes;

/// How long another process may have a device open before it counts as a user: udev looks at every
/// device for a moment.
const PASSING: Duration = Duration::from_secs(2);

/// The parameter that names devices which may be known by their name alone.
const UNIDENTIFIED: &str = "allow-unidentified";

pub(super) const CAPABILITIES: Capabilities = Capabilities::MINIMAL
    .with_grow_offline(true)
    .with_grow_online(true)
    .with_format_tokens(true)
    .with_exclusive(true);

impl Disks {
    /// Erases chunk after chunk, each verified and recorded before the next.
    fn erase_chunks(&self, job: &Job<'_>, device: &dyn DeviceHandle) -> Result<Piece> {
        let path = &job.at.path;
        let failed = |what: String| {
            let subject = Subject::device(path);
            move |e| {
                Error::from_io(job.op, subject, what, e)
                    .with_remedy("see the kernel log for errors of the device")
            }
        };
        let (size, mut done) = (job.place.size, job.from);
        let end = job.from.saturating_add(job.budget).min(size);
        (job.progress)(done);
        while done < size && (done < end || done == job.from) {
            let to = done.saturating_add(job.mark_every).min(size);
            (job.before)(&format!("{} {} from {done} to {to}", job.erasure, path.display()))?;
            let verified = erase::erase(device, job.erasure, done.get(), to.get())
                .map_err(failed(format!("can't erase it from {done} to {to}")))?;
            if let Verified::DataAt(at) = verified {
                let why = format!("after it was erased, it does not read as zeroes at byte {at}");
                return Err(Error::new(ErrorKind::Io, job.op, Subject::device(path), why)
                    .with_remedy("the device does not keep what is written: replace it"));
            }
            done = to;
            (job.progress)(done);
            if done < size {
                (job.before)("record how far it is erased")?;
                (job.mark)(done)?;
            }
        }
        Ok(Piece { done, finished: (done == size).then(String::new) })
    }
}

fn is_allowed(allowed: &Allowed, signature: &Signature) -> bool {
    match allowed {
        Allowed::Named(list) => list.iter().any(|name| name == signature.name),
        Allowed::Left(left) => {
            let text = names(std::slice::from_ref(signature));
            listed(left).any(|known| known == text)
        }
    }
}

/// The names in a list that [`names`] made: a comma in a quoted label ends none.
fn listed(list: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let ends = move |c: char| {
        (quoted, escaped) = match c {
            _ if escaped => (quoted, false),
            '\\' if quoted => (quoted, true),
            '"' => (!quoted, false),
            _ => (quoted, false),
        };
        c == ',' && !quoted
    };
    list.split(ends).map(str::trim_start)
}

impl Kind for Disks {
    fn name(&self) -> &'static str {
        super::NAME
    }

    fn noun(&self) -> &'static str {
        "device"
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn attachment(&self) -> AttachmentKind {
        AttachmentKind::Block
    }

    fn erasures(&self) -> &'static [Erasure] {
        &[Erasure::Zero, Erasure::Discard, Erasure::Signatures, Erasure::None]
    }

    fn naming(&self) -> &'static str {
        "devices"
    }

    fn orders(&self) -> &'static [&'static str] {
        &[UNIDENTIFIED]
    }

    fn subject(&self, path: &Path) -> Subject {
        Subject::device(path)
    }

    fn at_location(&self, op: Op, location: &Path) -> Result<Vec<PathBuf>> {
        let files = self.host.files.as_ref();
        let failed = |e| {
            Error::from_io(op, Subject::path(location), "can't look at the location", e)
                .with_remedy("name a device, or a folder of links to devices")
        };
        let stat = files.stat(location).map_err(failed)?;
        if stat.kind != FileKind::Directory {
            return Ok(vec![location.to_path_buf()]);
        }
        let names = files.list(location).map_err(failed)?;
        Ok(names.iter().map(|name| location.join(name)).collect())
    }

    fn identify(&self, op: Op, spec: &PoolSpec, path: &Path) -> Result<Found> {
        let device = open(self.devices.as_ref(), path, DeviceAccess::Look).map_err(|e| {
            let remedy = e.remedy().unwrap_or("name the node of a block device, or a link to it");
            let remedy = remedy.to_owned();
            e.with_remedy(remedy)
        })?;
        let number = device
            .number()
            .map_err(|e| Error::from_io(op, Subject::device(path), "can't read its number", e))?;
        let tag = device.tag().map_err(|e| {
            Error::from_io(op, Subject::device(path), "can't read whose loop device it is", e)
        })?;
        if tag.is_some_and(|tag| tag.starts_with(LOOP_TAG)) {
            let why = "it is a volume of a pool of the backend file".to_owned();
            return Err(refused(path, why, "name a device that is nobody's"));
        }
        let all = identity::disks(&self.host, op)?;
        let disk = all.iter().find(|disk| disk.number == number).ok_or_else(|| {
            let why = format!("sysfs does not know the device {number}");
            Error::new(ErrorKind::NotFound, op, Subject::device(path), why)
                .with_remedy("mount sysfs at /sys; in a container, that of the host")
        })?;
        let list = spec.parameters.get(UNIDENTIFIED).map_or("", String::as_str);
        let allowed = list.split(',').any(|word| Path::new(word.trim()) == path);
        let identity = match &disk.identity {
            Some(identity) => identity.clone(),
            None if allowed => disk.by_name(),
            None => {
                let why = "it has neither a world-wide name nor a serial number nor a UUID: \
                           after a reboot it could not be told from another one";
                let remedy = format!(
                    "give it a serial number, or take the risk: --set {UNIDENTIFIED}={}",
                    path.display()
                );
                return Err(refused(path, why.to_owned(), &remedy));
            }
        };
        let same = |d: &&Disk| d.number != number && d.answers_to(&identity) || d.overlaps(disk);
        if let Some(other) = all.iter().find(same) {
            let other = identity::node(&self.host, other);
            let why =
                format!("{} says that it is {identity} or a part of it, too", other.display());
            let remedy = "if both are paths to one disk, name the multipath device; else give \
                          each an identity of its own";
            return Err(refused(path, why, remedy));
        }
        Ok(Found { named: path.to_path_buf(), identity, sighting: self.sighting(disk) })
    }

    fn is_part(&self, one: &str, other: &str) -> bool {
        identity::is_partition(one, other) || identity::is_partition(other, one)
    }

    fn see(&self, op: Op, places: &[&PlaceRecord]) -> Result<Vec<Seen>> {
        let all = if places.is_empty() { Vec::new() } else { identity::disks(&self.host, op)? };
        let see = |place: &&PlaceRecord| {
            let mut found = all.iter().filter(|disk| disk.answers_to(&place.identity));
            let one = found.next();
            let other = || one.and_then(|one| all.iter().find(|disk| disk.overlaps(one)));
            match (one, found.next().or_else(other)) {
                (None, _) => Err(Away::missing(
                    format!("no device is {} (it was {})", place.identity, place.path.display()),
                    "plug it in again; if it is lost for ever, remove its volume and let it leave \
                     the pool",
                )),
                (Some(disk), None) => Ok(self.sighting(disk)),
                (Some(one), Some(two)) => {
                    let [one, two] = [one, two].map(|disk| identity::node(&self.host, disk));
                    Err(Away::ambiguous(
                        format!(
                            "{} and {} both say that they are {}",
                            one.display(),
                            two.display(),
                            place.identity
                        ),
                        "unplug the one that is a copy",
                    ))
                }
            }
        };
        Ok(places.iter().map(see).collect())
    }

    fn prove(&self, place: &PlaceRecord, at: &Sighting, allowed: &Allowed) -> Result<()> {
        self.proof(place, at, &|signature| is_allowed(allowed, signature)).map(drop)
    }

    fn confirm(&self, place: &PlaceRecord, at: &Sighting) -> Result<()> {
        self.opened(place, at).map(drop)
    }

    fn idle(&self, place: &PlaceRecord, at: &Sighting) -> Result<()> {
        let mut last = None;
        let idle = poll_until(self.host.clock.as_ref(), PASSING, || {
            last = self.use_of(place, at)?;
            Ok(last.is_none().then_some(()))
        })?;
        match (idle, last) {
            (None, Some(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn set_read_only(&self, place: &PlaceRecord, at: &Sighting, on: bool) -> Result<()> {
        let device = self.opened(place, at)?;
        device.set_read_only(on).map_err(|e| {
            let what = "can't change whether it refuses writes";
            Error::from_io(Op::Publish, Subject::device(&at.path), what, e)
                .with_remedy("run as root")
        })
    }

    fn blank(&self, place: &PlaceRecord, at: &Sighting, to: Bytes) -> Result<()> {
        let failed = |what: &'static str| {
            let subject = Subject::device(&at.path);
            move |e| Error::from_io(Op::GrowVolume, subject, what, e)
        };
        let (from, to) = (place.size.get(), to.get());
        let device = self.opened(place, at)?;
        let what = "can't read what was added to it";
        // An earlier attempt may have failed between a write and its flush: what is only cached is
        // not there.
        device.flush().and_then(|()| device.drop_cache()).map_err(failed(what))?;
        let Some(data) = erase::first_data(device.as_ref(), from, to).map_err(failed(what))? else {
            return Ok(());
        };
        let whole = PlaceRecord { size: at.size, ..place.clone() };
        let proof = self.proof(&whole, at, &|_| true).map_err(|e| {
            let why = format!("what was added to it holds something at byte {data}");
            Error::new(e.kind(), Op::GrowVolume, Subject::device(&at.path), why)
                .with_remedy("unmount and unpublish the volume, and grow it then")
                .with_source(e)
        })?;
        let claimed = proof.claim_device(self.devices.as_ref())?;
        let what = "can't erase what was added to it";
        match erase::erase(claimed.as_ref(), Erasure::Zero, from, to).map_err(failed(what))? {
            Verified::Yes => Ok(()),
            Verified::DataAt(data) => {
                let why = format!("erased, it still holds something at byte {data}");
                Err(Error::new(ErrorKind::Io, Op::GrowVolume, Subject::device(&at.path), why)
                    .with_remedy("the device does not keep what is written: replace it"))
            }
        }
    }

    fn erase(&self, job: &Job<'_>) -> Result<Piece> {
        let proof = self.proof(job.place, job.at, &|_| true)?;
        let (size, path) = (job.place.size, &job.at.path);
        // What was erased was read back: whatever stands there now was written by somebody since.
        let held = &proof.report().signatures;
        let erased = if job.erasure.blanks() { job.from } else { Bytes::ZERO };
        if let Some(new) = held.iter().find(|signature| signature.offset < erased.get()) {
            let new = names(std::slice::from_ref(new));
            let why = format!("it was erased up to {erased}, and holds {new} there now");
            let remedy = "somebody else uses it: let it leave the pool (--set leave=PATH), or \
                          wipe that signature and try again";
            return Err(refused(path, why, remedy));
        }
        match job.erasure {
            Erasure::None => {
                let left = names(&proof.report().signatures);
                Ok(Piece { done: size, finished: Some(left) })
            }
            Erasure::Signatures => {
                let device = proof.claim_device(self.devices.as_ref())?;
                (job.before)(&format!("erase the signatures of {}", path.display()))?;
                let subject = Subject::device(path);
                let left = erase::erase_signatures(device.as_ref(), size.get()).map_err(|e| {
                    Error::from_io(job.op, subject.clone(), "can't erase its signatures", e)
                })?;
                if left.is_empty() {
                    return Ok(Piece { done: size, finished: Some(left) });
                }
                let why = format!("after its signatures were erased it still holds {left}");
                Err(Error::new(ErrorKind::Io, job.op, subject, why)
                    .with_remedy("erase all of it: a pool with erase=zero"))
            }
            _ => {
                let device = proof.claim_device(self.devices.as_ref())?;
                self.erase_chunks(job, device.as_ref())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_known_again_whatever_its_label() {
        let named = |label: &str| Signature::new("ext4", 0).with_label(Some(label.to_owned()));
        for label in ["data", "a, b", "\", swap, \"", "x\\", ", ", "\""] {
            let all = [named(label), Signature::new("xfs", 0)];
            let left = Allowed::Left(names(&all));
            assert!(all.iter().all(|one| is_allowed(&left, one)), "{left:?}");
            for other in [named("other"), Signature::new("swap", 0), Signature::new("ext4", 0)] {
                assert!(!is_allowed(&left, &other), "{left:?}");
            }
        }
    }
}
