//! The right to write a device: a proof made by looking at it in the same call.

use std::path::Path;
use std::time::Duration;

use super::report::{look, open, sharers};
use super::{DeviceReport, Signature, names};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{BlockIo, DeviceAccess, DeviceHandle, Devices, Host, MountEntry, poll_until};

/// A device that was found fit to be written, kept open: while this lives, the descriptor stands
/// for the same device, whatever happens to the node it was opened by.
///
/// The claim on the device is checked and given back at once, since the program that writes it
/// has to claim it itself.
#[derive(Debug)]
pub struct DeviceProof {
    report: DeviceReport,
    #[expect(dead_code, reason = "kept open, so that the number is not given to another device")]
    device: Box<dyn DeviceHandle>,
}

impl DeviceProof {
    /// What was found.
    #[must_use]
    pub const fn report(&self) -> &DeviceReport {
        &self.report
    }

    /// The path to hand to a program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.report.path
    }

    /// Claims the device for writing as long as the answer lives.
    ///
    /// # Errors
    /// `Busy` if somebody else has claimed it since, `Refused` if the node stands for another
    /// device now.
    pub fn claim(&self, devices: &dyn Devices) -> Result<Box<dyn BlockIo>> {
        let device = self.claim_device(devices)?;
        Ok(device)
    }

    /// [`Self::claim`], with what can be asked of and done to a device beside reading and writing.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub fn claim_device(&self, devices: &dyn Devices) -> Result<Box<dyn DeviceHandle>> {
        claim(devices, &self.report)
    }
}

/// Proves that a device is the one that is meant and may be written.
///
/// `number` is the one the device had when it was handed out; `allowed` judges the signatures
/// that may be destroyed.
///
/// # Errors
/// `Refused` if the node stands for another device now, the device refuses writes, or holds a
/// signature that is not allowed; `Busy` if it is mounted, part of another device, used as swap,
/// claimed, or open for writing in another process; `NotFound` if it is gone or has no size; `InvalidArgument`, `Io`.
pub fn prove_writable(
    host: &Host,
    devices: &dyn Devices,
    mounts: &[MountEntry],
    path: &Path,
    number: DeviceNumber,
    allowed: &dyn Fn(&Signature) -> bool,
) -> Result<DeviceProof> {
    let mut busy = None;
    let proof = poll_until(host.clock.as_ref(), PASSING, || {
        // Looked at anew each time: who had it open may have written it.
        let (device, report) = look(host, devices, mounts, path)?;
        judge(&report, number, allowed)?;
        claim(devices, &report)?;
        busy = writers(host, devices, &report)?;
        Ok(busy.is_none().then_some(DeviceProof { report, device }))
    })?;
    proof.ok_or_else(|| busy.unwrap_or_else(|| written(path, "another process")))
}

/// How long another process may have the device open before it counts as a writer: losetup and
/// udev open every loop device for a moment, some of them for writing.
const PASSING: Duration = Duration::from_secs(2);

/// The error that names those who have the device open for writing, if there are any.
fn writers(host: &Host, devices: &dyn Devices, report: &DeviceReport) -> Result<Option<Error>> {
    let path = &report.path;
    let failed = |e| {
        let message = "can't tell whether another process writes to it";
        Error::from_io(Op::Prove, Subject::device(path), message, e)
    };
    let mut found = Vec::new();
    // A partition that is open for writing is no claim on its disk, nor the other way round.
    for number in sharers(host, report.number).map_err(failed)? {
        found.extend(devices.writers(number).map_err(failed)?);
    }
    Ok((!found.is_empty()).then(|| written(path, &found.join(", "))))
}

fn written(path: &Path, by: &str) -> Error {
    let message = format!("it is open for writing in {by}");
    Error::new(ErrorKind::Busy, Op::Prove, Subject::device(path), message)
        .with_remedy("wait until it has ended, and repeat the call")
}

fn judge(
    report: &DeviceReport,
    number: DeviceNumber,
    allowed: &dyn Fn(&Signature) -> bool,
) -> Result<()> {
    let subject = || Subject::device(&report.path);
    same_device(report, number)?;
    if report.size.get() == 0 {
        return Err(Error::new(
            ErrorKind::NotFound,
            Op::Prove,
            subject(),
            "the device has no size: it is detached or has no medium",
        )
        .with_remedy("publish the volume again"));
    }
    if report.read_only {
        return Err(Error::new(
            ErrorKind::Refused,
            Op::Prove,
            subject(),
            "the device refuses writes",
        )
        .with_remedy("publish it for writing"));
    }
    if let Some(why) = report.in_use() {
        return Err(Error::new(ErrorKind::Busy, Op::Prove, subject(), why)
            .with_remedy("end that use first"));
    }
    let foreign: Vec<Signature> =
        report.signatures.iter().filter(|s| !allowed(s)).cloned().collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let message = format!("it holds {}", names(&foreign));
    Err(Error::new(ErrorKind::Refused, Op::Prove, subject(), message)
        .with_remedy("save what is needed of it and name what may be destroyed"))
}

fn same_device(report: &DeviceReport, number: DeviceNumber) -> Result<()> {
    if report.number == number {
        return Ok(());
    }
    let message = format!("the node stands for device {} and not {number}", report.number);
    let subject = Subject::device(&report.path);
    Err(Error::new(ErrorKind::Refused, Op::Prove, subject, message)
        .with_remedy("publish the volume again"))
}

/// Opens the device so that nobody else can claim it.
fn claim(devices: &dyn Devices, report: &DeviceReport) -> Result<Box<dyn DeviceHandle>> {
    let device = open(devices, &report.path, DeviceAccess::Claim).map_err(|e| match e.kind() {
        ErrorKind::Busy => Error::new(
            ErrorKind::Busy,
            Op::Prove,
            Subject::device(&report.path),
            "another program or the kernel has claimed it",
        )
        .with_remedy("look with lsblk and fuser for who uses it")
        .with_source(e),
        _ => e,
    })?;
    let number = device.number().map_err(|e| {
        let subject = Subject::device(&report.path);
        Error::from_io(Op::Prove, subject, "can't read its number", e)
    })?;
    same_device(report, number)?;
    Ok(device)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::host::{MemoryBlock, Roots};
    use crate::raw::DeviceIdentity;
    use crate::units::Bytes;

    fn report() -> DeviceReport {
        DeviceReport {
            path: "/dev/loop7".into(),
            number: DeviceNumber::new(7, 7),
            size: Bytes::new(1 << 20),
            block_size: Bytes::new(512),
            read_only: false,
            identity: DeviceIdentity::default(),
            holders: Vec::new(),
            mounted: Vec::new(),
            swap: false,
            signatures: Vec::new(),
        }
    }

    fn refusal(report: &DeviceReport, allow: &str) -> Option<(ErrorKind, String)> {
        let allowed = |s: &Signature| s.name == allow;
        judge(report, DeviceNumber::new(7, 7), &allowed)
            .err()
            .map(|e| (e.kind(), e.report().to_string()))
    }

    #[test]
    fn a_free_blank_device_passes() {
        assert_eq!(refusal(&report(), ""), None);
    }

    #[test]
    fn every_reason_against_writing_is_found_and_named() {
        type Spoil = fn(&mut DeviceReport);
        let cases: [(Spoil, ErrorKind, &str); 7] = [
            (|r| r.number = DeviceNumber::new(7, 8), ErrorKind::Refused, "7:8"),
            (|r| r.size = Bytes::ZERO, ErrorKind::NotFound, "no size"),
            (|r| r.read_only = true, ErrorKind::Refused, "refuses writes"),
            (|r| r.mounted = vec!["/mnt/x".into()], ErrorKind::Busy, "/mnt/x"),
            (|r| r.holders = vec!["dm-3".into()], ErrorKind::Busy, "dm-3"),
            (|r| r.swap = true, ErrorKind::Busy, "swap"),
            (
                |r| r.signatures = vec![Signature::new("LUKS1 volume", 0)],
                ErrorKind::Refused,
                "LUKS1 volume",
            ),
        ];
        for (spoil, kind, text) in cases {
            let mut report = report();
            spoil(&mut report);
            let (found, said) = refusal(&report, "").unwrap();
            assert_eq!(found, kind, "{said}");
            assert!(said.contains(text) && said.contains("/dev/loop7"), "{said}");
        }
    }

    /// A blank device that somebody may have claimed, or be writing.
    #[derive(Debug)]
    struct InUse {
        claimed: bool,
        writers: Vec<String>,
    }

    #[derive(Debug)]
    struct Blank(MemoryBlock);

    impl BlockIo for Blank {
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
            self.0.read_at(offset, buf)
        }

        fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write_at(offset, data)
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }

        fn size(&self) -> io::Result<Bytes> {
            self.0.size()
        }
    }

    impl DeviceHandle for Blank {
        fn number(&self) -> io::Result<DeviceNumber> {
            Ok(DeviceNumber::new(7, 7))
        }

        fn block_size(&self) -> io::Result<Bytes> {
            Ok(Bytes::new(512))
        }

        fn is_read_only(&self) -> io::Result<bool> {
            Ok(false)
        }

        fn drop_cache(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Devices for InUse {
        fn open(&self, _: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
            if self.claimed && access == DeviceAccess::Claim {
                return Err(io::Error::from_raw_os_error(libc::EBUSY));
            }
            Ok(Box::new(Blank(MemoryBlock::new(vec![0; 1 << 20]))))
        }

        fn writers(&self, _: DeviceNumber) -> io::Result<Vec<String>> {
            Ok(self.writers.clone())
        }
    }

    #[test]
    fn a_device_that_is_claimed_or_written_is_not_proven() {
        let roots = Roots::all_under(Path::new("/nonexistent"));
        let host = Host::system().with_roots(roots);
        let prove = |claimed, writers: &[&str]| {
            let writers = writers.iter().map(ToString::to_string).collect();
            let devices = InUse { claimed, writers };
            let (path, number) = (Path::new("/dev/loop7"), DeviceNumber::new(7, 7));
            prove_writable(&host, &devices, &[], path, number, &|_| true).map_err(|e| e.kind())
        };
        assert!(prove(false, &[]).is_ok());
        assert_eq!(prove(true, &[]).unwrap_err(), ErrorKind::Busy);
        assert_eq!(prove(false, &["mkfs (pid 7)"]).unwrap_err(), ErrorKind::Busy);
    }

    #[test]
    fn only_what_is_named_may_be_destroyed() {
        let mut report = report();
        report.signatures = vec![Signature::new("swap", 4086)];
        assert_eq!(refusal(&report, "swap"), None);
        report.signatures.push(Signature::new("xfs", 0));
        assert!(refusal(&report, "swap").unwrap().1.contains("xfs"));
    }
}
