//! Probing and formatting simulated devices.

use std::path::Path;

use super::filesystems::SimFilesystems;
use super::superblock::{MAX_LABEL, Superblock};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::fs::{FormatSpec, FsIdentity, Probe, Signature};
use crate::host::BlockIo;
use crate::ids::VolumeId;
use crate::info::Attachment;
use crate::outcome::Ensured;
use crate::token::{FormatToken, FormatTokens, FsKind, Uuid};

/// Where LVM2 writes the label of a physical volume, and how it starts (`pvcreate` 2.03 uses the
/// second of the four sectors it may use).
const LVM_LABEL: (u64, &[u8]) = (512, b"LABELONE");

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
        let io = self.open(op, device)?;
        let (at, magic) = LVM_LABEL;
        let mut label = vec![0; magic.len()];
        let bytes = Self::superblock_bytes(&*io)
            .and_then(|bytes| io.read_at(at, &mut label).map(|()| bytes))
            .map_err(|e| Error::from_io(op, Subject::device(device), "can't read", e))?;
        if label == magic {
            return Ok(Probe::Foreign(vec![Signature::new(
                "LVM2 physical volume",
                at,
            )]));
        }
        Ok(match Superblock::parse(&bytes) {
            Some(block) => Probe::Filesystem(block.identity),
            None if Superblock::is_claimed(&bytes) => {
                Probe::Foreign(vec![Signature::new("damaged simulated file system", 0)])
            }
            None => Probe::Blank,
        })
    }

    /// The order of the steps is the one the documentation of format tokens demands.
    pub(super) fn format_once(
        &self,
        tokens: &dyn FormatTokens,
        volume: &VolumeId,
        device: &Attachment,
        spec: &FormatSpec,
    ) -> Result<Ensured<FsIdentity>> {
        let op = Op::Format;
        check(spec, &device.device)?;
        let probe = self.probe_device(op, &device.device)?;
        let token = tokens.format_token(volume)?;
        let uuid = match (&probe, token) {
            (Probe::Foreign(found), _) => return Err(foreign(&device.device, found)),
            (Probe::Filesystem(there), FormatToken::Spent) => {
                return same_kind(there, spec, &device.device)
                    .map(|()| Ensured::Unchanged(there.clone()));
            }
            (Probe::Filesystem(there), FormatToken::Started { uuid, .. }) if there.uuid == uuid => {
                tokens.set_format_token(volume, FormatToken::Spent)?;
                return same_kind(there, spec, &device.device)
                    .map(|()| Ensured::Created(there.clone()));
            }
            (_, FormatToken::Spent) => return Err(spent(volume)),
            (_, FormatToken::Started { kind, uuid }) if kind == spec.kind => uuid,
            (_, FormatToken::Started { .. } | FormatToken::Unused) => {
                Uuid::random(&*self.host.entropy)?
            }
        };
        self.refuse_mounted(op, &device.device)?;
        let kind = spec.kind;
        tokens.set_format_token(volume, FormatToken::Started { kind, uuid })?;
        let mut identity = FsIdentity::new(kind, uuid);
        identity.label.clone_from(&spec.label);
        self.make(&device.device, &identity)?;
        match self.probe_device(op, &device.device)? {
            Probe::Filesystem(there) if there.uuid == uuid => {}
            _ => {
                let message = "the new file system is not found by its UUID";
                let subject = Subject::device(&device.device);
                return Err(Error::new(ErrorKind::Indeterminate, op, subject, message)
                    .with_remedy("repeat the call"));
            }
        }
        tokens.set_format_token(volume, FormatToken::Spent)?;
        Ok(Ensured::Created(identity))
    }

    fn make(&self, device: &Path, identity: &FsIdentity) -> Result<()> {
        let size = self.device_size(Op::Format, device)?;
        let step = format!("make {} with UUID {}", identity.kind, identity.uuid);
        self.before(Op::Format, &Subject::device(device), &step)?;
        let identity = identity.clone();
        self.store(Op::Format, device, &Superblock { identity, size })
    }
}

fn check(spec: &FormatSpec, device: &Path) -> Result<()> {
    let refuse = |message: String, remedy: &str| {
        let subject = Subject::device(device);
        Err(
            Error::new(ErrorKind::InvalidArgument, Op::Format, subject, message)
                .with_remedy(remedy),
        )
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

fn same_kind(there: &FsIdentity, spec: &FormatSpec, device: &Path) -> Result<()> {
    if there.kind == spec.kind {
        return Ok(());
    }
    let message = format!("it holds {}, not {}", there.kind, spec.kind);
    let subject = Subject::device(device);
    Err(
        Error::new(ErrorKind::Conflict, Op::Format, subject, message)
            .with_remedy("ask for the kind that is there"),
    )
}

fn foreign(device: &Path, found: &[Signature]) -> Error {
    let names: Vec<&str> = found.iter().map(|signature| signature.name).collect();
    let message = format!("it holds {}", names.join(", "));
    let subject = Subject::device(device);
    Error::new(ErrorKind::Refused, Op::Format, subject, message)
        .with_remedy("if that may be destroyed, erase it first")
}

fn spent(volume: &VolumeId) -> Error {
    Error::new(
        ErrorKind::Refused,
        Op::Format,
        volume,
        "its format token is spent, but it holds no file system",
    )
    .with_remedy("find out what happened; to format it again, order: volume allow-format")
}
