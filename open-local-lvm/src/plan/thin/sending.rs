//! Messages of a transaction, sent in order, also if some of them were sent before.

use std::collections::BTreeSet;
use std::fmt;

use open_local_core::{Error, ErrorKind};

use super::settle::Transaction;
use crate::plan::draft::about;

/// What the kernel's pool is told; printed as it wants it (kernel 6.1, `thin-provisioning.rst`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KernelMessage {
    /// Make an empty device.
    CreateThin {
        /// Its number.
        device: u32,
    },
    /// Make a device with the blocks of another, which must not be written meanwhile.
    CreateSnapshot {
        /// Its number.
        device: u32,
        /// The other's.
        origin: u32,
    },
    /// Delete a device.
    Delete {
        /// Its number.
        device: u32,
    },
    /// Ask whether a device is there, and change nothing: a copy of itself. The kernel looks for
    /// the device to make before it looks for the one to copy (6.1, `__create_snap`): it is there
    /// already ([`Answer::Exists`]), or there is none to copy ([`Answer::Missing`]). The kernel's
    /// log says each time that no such snapshot was made.
    Probe {
        /// Its number.
        device: u32,
    },
    /// Set the transaction count.
    SetTransactionId {
        /// What it must be.
        from: u64,
        /// What it becomes.
        to: u64,
    },
}

impl fmt::Display for KernelMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateThin { device } => write!(f, "create_thin {device}"),
            Self::CreateSnapshot { device, origin } => write!(f, "create_snap {device} {origin}"),
            Self::Delete { device } => write!(f, "delete {device}"),
            Self::Probe { device } => write!(f, "create_snap {device} {device}"),
            Self::SetTransactionId { from, to } => write!(f, "set_transaction_id {from} {to}"),
        }
    }
}

/// What the kernel answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Done, and durable.
    Done,
    /// `EEXIST`: there is such a device.
    Exists,
    /// `ENODATA`: there is no such device.
    Missing,
}

impl Answer {
    /// The answer an error number stands for; `None` for one that says nothing about devices,
    /// which is an error to the sender.
    #[must_use]
    pub const fn from_errno(errno: i32) -> Option<Self> {
        match errno {
            17 => Some(Self::Exists),
            61 => Some(Self::Missing),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The message itself.
    First,
    /// The device a message is to make is there: it is deleted.
    Leftover,
    /// The message once more.
    Again,
}

/// A transaction while it is sent.
///
/// A device that is to be made and is there already is one of three. Which of them, only the
/// sender can know, and without being told so no device is deleted or taken:
///
/// - left by an interrupted sender of this transaction ([`Sending::with_leftovers`]): nobody can
///   have used it, since a volume is activated only once the counts agree. It is deleted and made
///   anew: a copy may be of an older moment than the call that asks now;
/// - made by the sender of somebody else's transaction ([`Sending::with_made`]): it is what was to
///   be made, as lvm2 sees it too (2.03.16, `_thin_pool_node_message`);
/// - a device that the group knows nothing of, of anybody: an error, and it stays as it is.
///
/// That a device is a leftover is known where it was [not there](KernelMessage::Probe) before the
/// transaction was committed. A device that is to be deleted and is not there is no error.
///
/// The number of messages is bounded: at most three for each of the transaction, and one.
///
/// ```
/// use open_local_core::Error;
/// use open_local_lvm::plan::thin::{Answer, Sending, Transaction};
///
/// fn send(transaction: &Transaction, pool: impl Fn(&str) -> Answer) -> Result<(), Error> {
///     let mut sending = Sending::new(transaction);
///     while let Some(message) = sending.message() {
///         let answer = pool(&message.to_string());
///         sending.answered(answer)?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Sending<'a> {
    transaction: &'a Transaction,
    /// Which message of the transaction; the count comes after the last.
    at: usize,
    turn: Turn,
    /// Devices that an interrupted sender of this transaction left, if they are there.
    leftovers: BTreeSet<u32>,
    /// Devices that are right as they are, if they are there.
    made: BTreeSet<u32>,
}

impl<'a> Sending<'a> {
    /// From the first message on.
    #[must_use]
    pub const fn new(transaction: &'a Transaction) -> Self {
        Self {
            transaction,
            at: 0,
            turn: Turn::First,
            leftovers: BTreeSet::new(),
            made: BTreeSet::new(),
        }
    }

    /// The same by a sender who knows that none of these devices was there before the transaction
    /// was committed.
    #[must_use]
    pub fn with_leftovers(mut self, devices: impl IntoIterator<Item = u32>) -> Self {
        self.leftovers.extend(devices);
        self
    }

    /// The same for a transaction of somebody else: of these devices, those that are there are as
    /// they are to be.
    #[must_use]
    pub fn with_made(mut self, devices: impl IntoIterator<Item = u32>) -> Self {
        self.made.extend(devices);
        self
    }

    /// What is to be sent next; `None` once all is done.
    #[must_use]
    pub fn message(&self) -> Option<KernelMessage> {
        let Transaction { from, to, messages, .. } = self.transaction;
        let Some(message) = messages.get(self.at).copied() else {
            let count = KernelMessage::SetTransactionId { from: *from, to: *to };
            return (self.at == messages.len()).then_some(count);
        };
        Some(match (self.turn, message) {
            (
                Turn::Leftover,
                KernelMessage::CreateThin { device } | KernelMessage::CreateSnapshot { device, .. },
            ) => KernelMessage::Delete { device },
            _ => message,
        })
    }

    /// The device of the next message, where one that is there already would be a stranger's.
    #[must_use]
    pub fn stranger(&self) -> Option<u32> {
        let (KernelMessage::CreateThin { device } | KernelMessage::CreateSnapshot { device, .. }) =
            self.message()?
        else {
            return None;
        };
        let known = self.leftovers.contains(&device) || self.made.contains(&device);
        (self.turn == Turn::First && !known).then_some(device)
    }

    /// Takes the answer to the message of [`Sending::message`].
    ///
    /// # Errors
    /// `Conflict` if a device is there that nobody has said anything about, or again right after
    /// it was deleted; `NotFound` if the device to copy is not there; `Corrupt` for an answer the
    /// kernel does not give.
    pub fn answered(&mut self, answer: Answer) -> Result<(), Error> {
        let Some(message) = self.message() else {
            return Ok(());
        };
        let pool = &self.transaction.pool;
        let failed = |kind, text: &str| Err(about(kind, pool, format!("{message}: {text}")));
        self.turn = match (message, answer, self.turn) {
            (KernelMessage::Delete { .. }, Answer::Done | Answer::Missing, Turn::Leftover) => {
                Turn::Again
            }
            (_, Answer::Done, _) | (KernelMessage::Delete { .. }, Answer::Missing, _) => {
                self.at = self.at.saturating_add(1);
                Turn::First
            }
            (
                KernelMessage::CreateThin { device } | KernelMessage::CreateSnapshot { device, .. },
                Answer::Exists,
                turn,
            ) => self.there(device, turn)?,
            (KernelMessage::CreateSnapshot { .. }, Answer::Missing, _) => {
                return failed(ErrorKind::NotFound, "the kernel has no such device to copy");
            }
            _ => return failed(ErrorKind::Corrupt, "the kernel's answer makes no sense"),
        };
        Ok(())
    }

    /// What comes next where a device is there before it was made.
    fn there(&mut self, device: u32, turn: Turn) -> Result<Turn, Error> {
        if self.made.contains(&device) {
            self.at = self.at.saturating_add(1);
            return Ok(Turn::First);
        }
        if turn == Turn::First && self.leftovers.contains(&device) {
            return Ok(Turn::Leftover);
        }
        let text = match turn {
            Turn::First => "is in the pool already, and the group knows nothing of it",
            _ => "is there again: somebody else makes devices in this pool",
        };
        let text = format!("device {device} {text}");
        Err(about(ErrorKind::Conflict, &self.transaction.pool, text).with_remedy(
            "find out whose it is with thin_dump on the pool's metadata; nothing of it was changed",
        ))
    }
}
