//! Format once: mkfs runs at most once in a volume's life, whatever is killed in between.
//!
//! The order is: write the chosen UUID into the token, run mkfs with it, find it by probing, mark
//! the token spent. Each round looks at token and device anew and takes one step, so that a call
//! after a kill goes on where the killed one was.

use super::types::{FormatSpec, FsIdentity};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::Host;
use crate::ids::VolumeId;
use crate::info::Attachment;
use crate::outcome::Ensured;
use crate::raw::{Signature, names};
use crate::spec::Source;
use crate::token::{FormatToken, FormatTokens, FsKind, Uuid};

/// More steps than any device needs: one for each place where a signature may have to be erased.
const MAX_ROUNDS: usize = 256;

/// A device, as far as formatting it goes.
pub(crate) trait Target {
    /// What it holds.
    fn look(&self) -> Result<Vec<Signature>>;

    /// Destroys these signatures durably, and refuses if there are others.
    fn erase(&self, signatures: &[Signature]) -> Result<()>;

    /// Makes what [`Self::look`] finds survive a power cut.
    fn settle(&self) -> Result<()>;

    /// Runs mkfs, and refuses if the device holds anything but the beginnings of the same kind.
    fn make(&self, kind: FsKind, uuid: Uuid) -> Result<()>;
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Destroy signatures that the caller gave up by name.
    Erase,
    /// Choose a UUID and write it into the token.
    Begin,
    /// Run mkfs.
    Make(FsKind, Uuid),
    /// Mark the token spent.
    Spend,
    /// Nothing.
    Done(FsIdentity),
}

/// Refuses a device that is not the volume's: the token of one volume never allows another to be
/// formatted.
pub(crate) fn check_pair(volume: &VolumeId, device: &Attachment) -> Result<()> {
    if device.source == Source::Volume(volume.clone()) {
        return Ok(());
    }
    let (path, source) = (device.device.display(), &device.source);
    let message = format!("the device {path} is that of {source}");
    Err(Error::new(ErrorKind::InvalidArgument, Op::Format, volume, message)
        .with_remedy("give the attachment that publishing this volume answered"))
}

/// Formats the target if its token allows it; finishes what an earlier call began.
pub(crate) fn format_once(
    host: &Host,
    tokens: &dyn FormatTokens,
    volume: &VolumeId,
    target: &dyn Target,
    spec: &FormatSpec,
) -> Result<Ensured<FsIdentity>> {
    let subject = Subject::from(volume);
    let before = |step: &str| host.checkpoints.before(Op::Format, &subject, step);
    let (mut changed, mut made) = (false, false);
    for _ in 0..MAX_ROUNDS {
        let found = target.look()?;
        match next_step(volume, tokens.format_token(volume)?, &found, spec)? {
            Step::Erase => {
                before("erase the signatures given up by name")?;
                target.erase(&found)?;
            }
            Step::Begin => {
                let kind = spec.kind;
                let uuid = Uuid::random(host.entropy.as_ref())?;
                before("write the chosen UUID into the token")?;
                tokens.set_format_token(volume, FormatToken::Started { kind, uuid })?;
            }
            Step::Make(..) if made => return Err(not_made(volume, spec.kind, &found)),
            Step::Make(kind, uuid) => {
                before("run mkfs")?;
                target.make(kind, uuid)?;
                made = true;
            }
            Step::Spend => {
                target.settle()?;
                before("mark the token spent")?;
                tokens.set_format_token(volume, FormatToken::Spent)?;
                changed = true;
            }
            Step::Done(identity) if changed => return Ok(Ensured::Created(identity)),
            Step::Done(identity) => return Ok(Ensured::Unchanged(identity)),
        }
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        Op::Format,
        subject,
        format!("{MAX_ROUNDS} steps did not lead to a file system"),
    )
    .with_remedy("look at the device with wipefs --no-act and report it"))
}

/// Decides from the token and what the device holds.
fn next_step(
    volume: &VolumeId,
    token: FormatToken,
    found: &[Signature],
    spec: &FormatSpec,
) -> Result<Step> {
    let refused = |message: String, remedy: &str| {
        Error::new(ErrorKind::Refused, Op::Format, volume, message).with_remedy(remedy)
    };
    let given_up = |s: &Signature| spec.replace.iter().any(|name| name == s.name);
    let whole = FsIdentity::of(found);
    match token {
        FormatToken::Unused if found.is_empty() => Ok(Step::Begin),
        FormatToken::Unused if found.iter().all(given_up) => Ok(Step::Erase),
        FormatToken::Unused => Err(refused(
            format!("it holds {}, which nobody gave up by name", names(found)),
            &format!("save what is needed of it, then {}", by_name(volume, found)),
        )),
        FormatToken::Started { kind, uuid } => match whole {
            Some(fs) if fs.kind == kind && fs.uuid == uuid => Ok(Step::Spend),
            // Nothing was made, so the kind can still be chosen anew.
            None if found.is_empty() && kind != spec.kind => Ok(Step::Begin),
            None if kind != spec.kind && is_begun(found, kind, uuid) => Err(conflict(
                volume,
                format!("formatting it as {kind} was interrupted half-way"),
                spec.kind,
            )),
            None if is_begun(found, kind, uuid) => Ok(Step::Make(kind, uuid)),
            _ => Err(refused(
                format!("formatting it as {kind} {uuid} was begun, but it holds {}", names(found)),
                &format!(
                    "somebody else wrote to it; save what is needed of it, then {}, and {}",
                    allow(volume),
                    by_name(volume, found)
                ),
            )),
        },
        FormatToken::Spent => match whole {
            Some(fs) if fs.kind == spec.kind => Ok(Step::Done(fs)),
            Some(fs) => Err(conflict(volume, format!("it holds {}", fs.kind), spec.kind)),
            None if found.is_empty() => Err(refused(
                "it was formatted, but its file system is gone".to_owned(),
                &format!(
                    "restore it from a snapshot or a backup; to start over with an empty one, {}",
                    allow(volume)
                ),
            )),
            None => Err(refused(
                format!("it was formatted, but it holds {} now", names(found)),
                &format!(
                    "restore it from a snapshot or a backup; to start over with an empty one, \
                     {}, and {}",
                    allow(volume),
                    by_name(volume, found)
                ),
            )),
        },
    }
}

/// How an operator gives back the right to format.
fn allow(volume: &VolumeId) -> String {
    format!("unpublish it and allow one more format: open-local volume allow-format {volume}")
}

/// How an operator names what may be destroyed; the same option of the library is
/// [`FormatSpec::replacing`].
fn by_name(volume: &VolumeId, found: &[Signature]) -> String {
    let mut command = format!("name what may be destroyed: open-local volume format {volume}");
    let mut named: Vec<&str> = Vec::new();
    for signature in found {
        if !named.contains(&signature.name) {
            named.push(signature.name);
            command.push_str(&format!(" --replace \"{}\"", signature.name));
        }
    }
    command
}

/// Whether the device is blank or holds no more than what a killed mkfs of ours left: it was
/// blank when the token was written, so signatures that carry our UUID or none yet, and are not a
/// whole file system, are our own.
fn is_begun(found: &[Signature], kind: FsKind, uuid: Uuid) -> bool {
    found.iter().all(|s| {
        s.kind == Some(kind) && (s.uuid.is_none() || (s.unfinished && s.uuid == Some(uuid)))
    })
}

fn conflict(volume: &VolumeId, message: String, wanted: FsKind) -> Error {
    let message = format!("{message}; kind {wanted} was asked for");
    Error::new(ErrorKind::Conflict, Op::Format, volume, message)
        .with_remedy(format!("ask for the kind it has, or to destroy it {}", allow(volume)))
}

fn not_made(volume: &VolumeId, kind: FsKind, found: &[Signature]) -> Error {
    let holds = match names(found) {
        names if names.is_empty() => "nothing".to_owned(),
        names => names,
    };
    Error::new(
        ErrorKind::External,
        Op::Format,
        volume,
        format!("mkfs.{kind} reported success, but the device holds {holds}"),
    )
    .with_remedy("look at the kernel log for errors of the device")
}

#[cfg(test)]
mod tests;
