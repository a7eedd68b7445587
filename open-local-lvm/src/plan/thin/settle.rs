//! Where group and kernel stand with a pool: the transaction count of each, compared.

use open_local_core::{Error, ErrorKind};

use super::device_id::LAST_DEVICE;
use super::messages::pool;
use super::part::thin_of;
use super::sending::KernelMessage;
use crate::format::group::{ThinMessage, VolumeGroup};
use crate::format::id::LvmId;
use crate::plan::draft::about;

/// Messages of a group that the kernel has not been sent, or not all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// The pool's name.
    pub pool: String,
    /// Its UUID.
    pub id: LvmId,
    /// The kernel's count before.
    pub from: u64,
    /// The kernel's count after, which is the group's.
    pub to: u64,
    /// What it is sent, in order, without the new count, which comes last.
    pub messages: Vec<KernelMessage>,
    /// Volumes that are copied: if they are active they are to be suspended while messages are
    /// sent, so that the copy is of one moment.
    pub origins: Vec<String>,
}

/// Where a pool stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// Group and kernel agree, and nothing is left to be cleared.
    Settled,
    /// The kernel has done so many messages that the group still has. They do no harm: they may
    /// be dropped now or with the next commit ([`crate::plan::Operation::ClearMessages`]).
    Done(usize),
    /// The kernel is to be sent these, perhaps a second time.
    Pending(Transaction),
}

/// Compares the group's transaction count of a pool with the kernel's, from the status of the
/// active pool.
///
/// | kernel | messages in the group | answer |
/// |---|---|---|
/// | as the group | none | [`Settlement::Settled`] |
/// | as the group | some | [`Settlement::Done`] |
/// | one less | some | [`Settlement::Pending`] |
/// | one less | none | refused: the kernel's metadata is older than the group |
/// | less still | any | refused, the same |
/// | more | any | refused: the group is older than the kernel's metadata |
///
/// # Errors
/// `NotFound` and `Conflict` if there is no such pool; `Refused` as in the table, with the remedy;
/// `Unsupported` for a message that is not known; `Corrupt` for one about a volume that there is
/// not or that is in another pool.
pub fn settle(group: &VolumeGroup, name: &str, kernel: u64) -> Result<Settlement, Error> {
    let (lv, found) = pool(group, name)?;
    let wanted = found.transaction_id;
    if kernel == wanted {
        return Ok(match found.messages.len() {
            0 => Settlement::Settled,
            count => Settlement::Done(count),
        });
    }
    if kernel > wanted {
        let message = format!(
            "the kernel is at transaction {kernel}, the group at {wanted}: the group's text is \
             older than the pool's own metadata"
        );
        return Err(about(ErrorKind::Refused, name, message).with_remedy(
            "restore the newest text of the group with vgcfgrestore --force, or see vgck; nothing \
             is changed before",
        ));
    }
    if kernel.checked_add(1) != Some(wanted) || found.messages.is_empty() {
        let message = format!(
            "the kernel is at transaction {kernel}, the group at {wanted} with {} messages: the \
             pool's own metadata is older than the group's text",
            found.messages.len()
        );
        return Err(about(ErrorKind::Refused, name, message).with_remedy(
            "check whether old metadata of the pool was restored or a disk was exchanged; the \
             lvm2 tools can swap metadata with lvconvert --poolmetadata",
        ));
    }
    let mut transaction = Transaction {
        pool: name.to_owned(),
        id: lv.id,
        from: kernel,
        to: wanted,
        messages: Vec::new(),
        origins: Vec::new(),
    };
    for message in &found.messages {
        transaction.add(group, message)?;
    }
    Ok(Settlement::Pending(transaction))
}

impl Transaction {
    /// The devices it makes.
    pub fn makes(&self) -> impl Iterator<Item = u32> + '_ {
        self.messages.iter().filter_map(|message| match message {
            KernelMessage::CreateThin { device } | KernelMessage::CreateSnapshot { device, .. } => {
                Some(*device)
            }
            _ => None,
        })
    }

    fn add(&mut self, group: &VolumeGroup, message: &ThinMessage) -> Result<(), Error> {
        let corrupt = |message: String| about(ErrorKind::Corrupt, &self.pool, message);
        let message = match message {
            ThinMessage::Create { lv } => {
                let device = |lv: &str| {
                    let own = group.logical(lv).and_then(thin_of);
                    let own = own.filter(|thin| thin.thin_pool == self.pool);
                    own.ok_or_else(|| {
                        corrupt(format!("a message is about {lv}, which is no volume of the pool"))
                    })
                };
                let own = device(lv)?;
                match &own.origin {
                    Some(origin) => {
                        let from = device(origin)?.device_id;
                        if !self.origins.contains(origin) {
                            self.origins.push(origin.clone());
                        }
                        KernelMessage::CreateSnapshot { device: own.device_id, origin: from }
                    }
                    None => KernelMessage::CreateThin { device: own.device_id },
                }
            }
            ThinMessage::Delete { device_id } if *device_id <= LAST_DEVICE => {
                KernelMessage::Delete { device: *device_id }
            }
            ThinMessage::Delete { device_id } => {
                return Err(corrupt(format!("device {device_id} has more than 24 bits")));
            }
            ThinMessage::Other(_) => {
                let message = "has a message that is not known here";
                return Err(about(ErrorKind::Unsupported, &self.pool, message)
                    .with_remedy("use the lvm2 tools"));
            }
        };
        self.messages.push(message);
        Ok(())
    }
}
