//! Steps about pools and thin volumes in words.

use std::fmt;

use crate::plan::step::{Runs, Step};

impl Step {
    /// Steps about pools and thin volumes.
    pub(in crate::plan) fn fmt_thin(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateThinPool { name, chunk, data, on, metadata, metadata_on, .. } => write!(
                f,
                "create thin pool {name} with chunks of {chunk}: {data} on {}, metadata of {} on {}",
                Runs(on),
                metadata.get(),
                Runs(metadata_on)
            ),
            Self::RemoveThinPool { name, data, metadata, .. } => {
                write!(f, "remove thin pool {name}: {data}, metadata of {}", metadata.get())
            }
            Self::ChangePool { name, changes, .. } => {
                write!(f, "change thin pool {name}: {}", changes.join(", "))
            }
            Self::ExtendPoolData { name, from, to, on, .. } => {
                write!(f, "extend data of pool {name} from {} to {to}: on {}", from.get(), Runs(on))
            }
            Self::ExtendPoolMetadata { name, from, to, on, .. } => write!(
                f,
                "extend metadata of pool {name} from {} to {to}: on {}",
                from.get(),
                Runs(on)
            ),
            Self::CreateSpare { name, extents, on, .. } => {
                write!(f, "create spare {name}: {extents} on {}", Runs(on))
            }
            Self::ExtendSpare { name, from, to, on, .. } => {
                write!(f, "extend spare {name} from {} to {to}: on {}", from.get(), Runs(on))
            }
            Self::RemoveSpare { name, extents, .. } => {
                write!(f, "remove spare {name}: {extents}")
            }
            other => other.fmt_thin_volume(f),
        }
    }

    fn fmt_thin_volume(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateThin { name, pool, device, extents, origin: None, .. } => {
                write!(f, "create thin volume {name}: device {device} of pool {pool}, {extents}")
            }
            Self::CreateThin { name, pool, device, extents, origin: Some(origin), .. } => write!(
                f,
                "create thin volume {name} from {origin}: device {device} of pool {pool}, {extents}"
            ),
            Self::RemoveThin { name, pool, device, .. } => {
                write!(f, "remove thin volume {name}: device {device} of pool {pool}")
            }
            Self::ExtendThin { name, from, to, .. } => {
                write!(f, "extend thin volume {name} from {} to {to}", from.get())
            }
            Self::RollBackThin { name, snapshot, device, old_device, pool, .. } => write!(
                f,
                "roll thin volume {name} back to {snapshot}: device {device} of pool {pool} for \
                 {old_device}"
            ),
            Self::AbandonThin { name, device, back_to: None, .. } => {
                write!(f, "give up thin volume {name}: device {device}")
            }
            Self::AbandonThin { name, device, back_to: Some(old), .. } => {
                write!(f, "give up the roll back of {name}: device {old} again for {device}")
            }
            Self::RenumberThin { name, from, to, .. } => {
                write!(f, "make thin volume {name} device {to}, not {from}")
            }
            Self::ClearMessages { pool, count, .. } => {
                write!(f, "drop {count} messages of pool {pool} that were sent")
            }
            Self::SendMessages(transaction) => {
                write!(f, "tell pool {}:", transaction.pool)?;
                transaction.messages.iter().try_for_each(|message| write!(f, " {message},"))?;
                write!(f, " then transaction {}", transaction.to)
            }
            // The rest was printed before.
            _ => Ok(()),
        }
    }
}
