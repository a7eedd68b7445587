//! Probing and formatting simulated devices.

use std::path::Path;

use super::filesystems::SimFilesystems;
use super::superblock::{MAX_LABEL, Superblock};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::fs::{FormatSpec, FsIdentity, Probe, Signature, Target, check_pair, format_once};
use crate::host::BlockIo;
use crate::ids::VolumeId;
use crate::info::Attachment;
use crate::outcome::Ensured;
use crate::token::{FormatTokens, FsKind, Uuid};

/// Where LVM2 writes the label of a physical volume, and how it starts (`pvcreate` 2.03 uses the
/// second of the four sectors it may use).
const LVM_LABEL: (u64, &[u8]) = (512, b"LABELONE");
/// A signature is erased with the sector it stands in.
const ERASED: usize = 512;

impl SimFilesystems {
    /// The first bytes of a device, as many as it has up to a superblock.
    fn superblock_bytes(device: &dyn BlockIo) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; Superblock::LEN];
        device.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// The superblock of a device, if it has one.
    pub(super) fn superblock(&self, op: Op, device: &Path) -> Result<Option<Superblock>> {
        let io = self.open(op, device)?;
        let bytes = Self::superblock_bytes(&*io)
            .map_err(|e| Error::from_io(op, Subject::device(device), "can't read", e))?;
        Ok(Superblock::parse(&bytes))
    }

    /// Writes a superblock, which is all that mkfs and growth are here.
    pub(super) fn store(&self, op: Op, device: &Path, block: &Superblock) -> Result<()> {
        let io = self.open(op, device)?;
        io.write_at(0, &block.to_bytes())
            .and_then(|()| io.flush())
            .map_err(|e| Error::from_io(op, Subject::device(device), "can't write", e))
    }

    pub(super) fn probe_device(&self, op: Op, device: &Path) -> Result<Probe> {
        self.signatures(op, device).map(Probe::of)
    }

    /// What stands on a device.
    fn signatures(&self, op: Op, device: &Path) -> Result<Vec<Signature>> {
        let io = self.open(op, device)?;
        let (at, magic) = LVM_LABEL;
        let mut label = vec![0; magic.len()];
        let bytes = Self::superblock_bytes(&*io)
            .and_then(|bytes| io.read_at(at, &mut label).map(|()| bytes))
            .map_err(|e| Error::from_io(op, Subject::device(device), "can't read", e))?;
        let mut found = Vec::new();
        match Superblock::parse(&bytes).map(|block| block.identity) {
            Some(there) => found.push(
                Signature::new(there.kind.as_str(), 0)
                    .with_kind(there.kind)
                    .with_uuid(Some(there.uuid))
                    .with_label(there.label),
            ),
            None if Superblock::is_claimed(&bytes) => {
                found.push(Signature::new("damaged simulated file system", 0));
            }
            None => {}
        }
        if label == magic {
            found.push(Signature::new("LVM2 physical volume", at));
        }
        Ok(found)
    }

    /// The protocol is the one of real devices; only looking, erasing and mkfs are simulated.
    pub(super) fn format_once(
        &self,
        tokens: &dyn FormatTokens,
        volume: &VolumeId,
        device: &Attachment,
        spec: &FormatSpec,
    ) -> Result<Ensured<FsIdentity>> {
        check(spec, &device.device)?;
        check_pair(volume, device)?;
        let device = &device.device;
        let target = SimTarget { fs: self, device, spec };
        format_once(&self.host, tokens, volume, &target, spec)
    }
}

struct SimTarget<'a> {
    fs: &'a SimFilesystems,
    device: &'a Path,
    spec: &'a FormatSpec,
}

impl Target for SimTarget<'_> {
    fn look(&self) -> Result<Vec<Signature>> {
        self.fs.signatures(Op::Format, self.device)
    }

    fn erase(&self, signatures: &[Signature]) -> Result<()> {
        self.fs.refuse_mounted(Op::Format, self.device)?;
        let io = self.fs.open(Op::Format, self.device)?;
        let erased = signatures
            .iter()
            .try_for_each(|s| io.write_at(s.offset, &[0; ERASED]))
            .and_then(|()| io.flush());
        let subject = Subject::device(self.device);
        erased.map_err(|e| Error::from_io(Op::Format, subject, "can't erase a signature", e))
    }

    fn settle(&self) -> Result<()> {
        Ok(()) // What is made here is written through.
    }

    fn make(&self, kind: FsKind, uuid: Uuid) -> Result<()> {
        self.fs.refuse_mounted(Op::Format, self.device)?;
        let size = self.fs.device_size(Op::Format, self.device)?;
        let mut identity = FsIdentity::new(kind, uuid);
        identity.label.clone_from(&self.spec.label);
        self.fs.store(Op::Format, self.device, &Superblock { identity, size })
    }
}

fn check(spec: &FormatSpec, device: &Path) -> Result<()> {
    let refuse = |message: String, remedy: &str| {
        let subject = Subject::device(device);
        Err(Error::new(ErrorKind::InvalidArgument, Op::Format, subject, message)
            .with_remedy(remedy))
    };
    if let Some(option) = spec.options.first() {
        return refuse(
            format!("mkfs option {} is not known", Subject::value(option)),
            "simulated file systems have no mkfs options",
        );
    }
    // ext4 ends at 16 bytes, XFS at 12, btrfs at 255 (e2fsprogs 1.47, xfsprogs 6.1).
    let longest = match spec.kind {
        FsKind::Ext4 => 16,
        FsKind::Xfs => 12,
        FsKind::Btrfs => MAX_LABEL,
    };
    match &spec.label {
        Some(label) if label.len() > longest => refuse(
            format!("the label has {} bytes", label.len()),
            "use a shorter label: ext4 takes 16 bytes, XFS 12",
        ),
        _ => Ok(()),
    }
}
