//! Formatting a device of this host: the protocol's view of it, and the one place that runs mkfs.

use std::path::Path;

use super::HostFilesystems;
use super::format::{Target, check_pair, format_once};
use super::mkfs;
use super::types::{FormatSpec, FsIdentity};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{BlockIo, Invocation, find_program};
use crate::ids::VolumeId;
use crate::info::Attachment;
use crate::outcome::Ensured;
use crate::raw::{DeviceProof, DeviceReport, Signature, look, prove_writable};
use crate::token::{FormatTokens, FsKind, Uuid};

/// A signature is erased with the block around it.
const ERASED: u64 = 4096;

pub(super) fn ensure_formatted(
    fs: &HostFilesystems,
    tokens: &dyn FormatTokens,
    volume: &VolumeId,
    device: &Attachment,
    spec: &FormatSpec,
) -> Result<Ensured<FsIdentity>> {
    // Malformed options are told before anything is begun.
    mkfs::arguments(spec, Uuid::from_bytes([0; 16]))?;
    check_pair(volume, device)?;
    let _lock = fs.lock_device(Op::Format, device.number)?;
    let target = HostTarget { fs, device, spec };
    format_once(&fs.host, tokens, volume, &target, spec)
}

struct HostTarget<'a> {
    fs: &'a HostFilesystems,
    device: &'a Attachment,
    spec: &'a FormatSpec,
}

impl HostTarget<'_> {
    fn prove(&self, allowed: &dyn Fn(&Signature) -> bool) -> Result<DeviceProof> {
        let mounts = self.fs.table(Op::Format)?;
        let (host, devices) = (&self.fs.host, self.fs.devices.as_ref());
        let (path, number) = (&self.device.device, self.device.number);
        let proof = prove_writable(host, devices, &mounts, path, number, allowed)?;
        self.same_device(proof.report())?;
        Ok(proof)
    }

    /// Whether the device is the one that was published: the node by its number, and the number by
    /// the sequence number, since both are used again by the next device.
    fn same_device(&self, report: &DeviceReport) -> Result<()> {
        let path = &self.device.device;
        let message = if report.number == self.device.number {
            let (then, now) = (self.device.sequence, report.identity.sequence);
            // What one side does not know can't tell them apart.
            if then.zip(now).is_none_or(|(then, now)| then == now) {
                return Ok(());
            }
            "the device was detached since and its number given to another one".to_owned()
        } else {
            let (now, then) = (report.number, self.device.number);
            format!("the node stands for device {now} and not {then}")
        };
        let error = Error::new(ErrorKind::Refused, Op::Format, Subject::device(path), message);
        Err(error.with_remedy("publish the volume again"))
    }

    fn invocation(&self, kind: FsKind, uuid: Uuid, path: &Path) -> Result<Invocation> {
        let (program, package) = mkfs::program(kind);
        let program = find_program(self.fs.host.files.as_ref(), program, package)?;
        Ok(Invocation::new(program)
            .args(mkfs::arguments(self.spec, uuid)?)
            .arg(path)
            .with_deadline(self.spec.deadline))
    }
}

impl Target for HostTarget<'_> {
    fn look(&self) -> Result<Vec<Signature>> {
        let path = &self.device.device;
        let (_, report) = look(&self.fs.host, self.fs.devices.as_ref(), &[], path)?;
        self.same_device(&report)?;
        if report.size.get() == 0 {
            let (op, subject) = (Op::Format, Subject::device(path));
            let error = Error::new(ErrorKind::NotFound, op, subject, "the device has no size");
            return Err(error.with_remedy("publish the volume again"));
        }
        Ok(report.signatures)
    }

    fn erase(&self, signatures: &[Signature]) -> Result<()> {
        let proof = self.prove(&|s| self.spec.replace.iter().any(|name| name == s.name))?;
        let failed = |e| {
            let subject = Subject::device(proof.path());
            Error::from_io(Op::Format, subject, "can't erase a signature", e)
        };
        let claimed = proof.claim(self.fs.devices.as_ref())?;
        let size = proof.report().size.get();
        for signature in signatures {
            zero_around(claimed.as_ref(), signature.offset, size).map_err(failed)?;
        }
        claimed.flush().map_err(failed)
    }

    fn make(&self, kind: FsKind, uuid: Uuid) -> Result<()> {
        let proof = self.prove(&|s| s.kind == Some(kind) && (s.unfinished || s.uuid.is_none()))?;
        let invocation = self.invocation(kind, uuid, proof.path())?;
        let output = self.fs.host.programs.run(&invocation)?;
        if !output.success() {
            let subject = Subject::device(proof.path());
            return Err(output
                .failure(Op::Format, subject, &invocation.program)
                .with_remedy("correct what mkfs complains about and repeat the call"));
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        let path = &self.device.device;
        let (device, _) = look(&self.fs.host, self.fs.devices.as_ref(), &[], path)?;
        let flushed = device.flush().and_then(|()| device.drop_cache());
        flushed.map_err(|e| {
            let subject = Subject::device(path);
            Error::from_io(Op::Format, subject, "can't flush the new file system", e)
        })
    }
}

fn zero_around(device: &dyn BlockIo, offset: u64, size: u64) -> std::io::Result<()> {
    let start = offset / ERASED * ERASED;
    let len = size.saturating_sub(start).min(ERASED);
    let zeroes = vec![0; usize::try_from(len).unwrap_or(0)];
    device.write_at(start, &zeroes)
}

#[cfg(test)]
mod tests;
