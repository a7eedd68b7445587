//! The numbers of a thin pool (`pool_status` of `dm-thin.c`, Linux 6.18).

use std::fmt;

use super::{fraction, number};

/// What a thin pool can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolMode {
    /// Everything.
    ReadWrite,
    /// Its metadata does not change; for a device's data that means no new blocks.
    ReadOnly,
    /// No block is free; what needs one waits or fails, as [`WhenFull`] says.
    OutOfDataSpace,
}

impl PoolMode {
    const ALL: [Self; 3] = [Self::ReadWrite, Self::ReadOnly, Self::OutOfDataSpace];

    const fn word(self) -> &'static str {
        match self {
            Self::ReadWrite => "rw",
            Self::ReadOnly => "ro",
            Self::OutOfDataSpace => "out_of_data_space",
        }
    }
}

/// What a thin pool does with discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discards {
    /// Nothing.
    Ignored,
    /// Frees its blocks.
    Kept,
    /// Frees its blocks and passes the discard on to the data device.
    PassedDown,
}

impl Discards {
    const ALL: [Self; 3] = [Self::Ignored, Self::Kept, Self::PassedDown];

    const fn word(self) -> &'static str {
        match self {
            Self::Ignored => "ignore_discard",
            Self::Kept => "no_discard_passdown",
            Self::PassedDown => "discard_passdown",
        }
    }
}

/// What a thin pool does with writes that find no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// They wait for the pool to grow, 60 s unless the module's `no_space_timeout` is another.
    Queue,
    /// They fail at once.
    Error,
}

impl WhenFull {
    const ALL: [Self; 2] = [Self::Queue, Self::Error];

    const fn word(self) -> &'static str {
        match self {
            Self::Queue => "queue_if_no_space",
            Self::Error => "error_if_no_space",
        }
    }
}

/// The numbers of a thin pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolReport {
    /// The transaction id its metadata has now.
    pub transaction_id: u64,
    /// Blocks of 4 KiB of the metadata device that are used.
    pub used_metadata: u64,
    /// Blocks of 4 KiB the metadata device has.
    pub total_metadata: u64,
    /// Blocks of data that are used.
    pub used_data: u64,
    /// Blocks of data there are.
    pub total_data: u64,
    /// Where the metadata snapshot begins that somebody holds, in blocks of 4 KiB.
    pub held_root: Option<u64>,
    /// What it can do now.
    pub mode: PoolMode,
    /// What it does with discards.
    pub discards: Discards,
    /// What it does with writes that find no room.
    pub when_full: WhenFull,
    /// Whether its metadata has to be checked and repaired before it changes again.
    pub needs_check: bool,
    /// It sends an event when fewer blocks of metadata than this are free; `None` from kernels
    /// that don't say (before Linux 5.0).
    pub metadata_low_water: Option<u64>,
}

impl PoolReport {
    /// From the text; words a newer kernel adds at the end are passed over. `None` if it is not
    /// understood.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [id, metadata, data, root, mode, discards, when_full, rest @ ..] = words.as_slice()
        else {
            return None;
        };
        let ((used_metadata, total_metadata), (used_data, total_data)) =
            (fraction(metadata)?, fraction(data)?);
        let needs_check = match rest.first() {
            None | Some(&"-") => false,
            Some(&"needs_check") => true,
            Some(_) => return None,
        };
        Some(Self {
            transaction_id: number(id)?,
            used_metadata,
            total_metadata,
            used_data,
            total_data,
            held_root: if *root == "-" { None } else { Some(number(root)?) },
            mode: PoolMode::ALL.into_iter().find(|one| one.word() == *mode)?,
            discards: Discards::ALL.into_iter().find(|one| one.word() == *discards)?,
            when_full: WhenFull::ALL.into_iter().find(|one| one.word() == *when_full)?,
            needs_check,
            metadata_low_water: match rest.get(1) {
                None => None,
                Some(word) => Some(number(word)?),
            },
        })
    }

    /// Whether messages and resizes are taken: it is neither read-only nor waiting for a check.
    #[must_use]
    pub const fn takes_messages(&self) -> bool {
        !self.needs_check && !matches!(self.mode, PoolMode::ReadOnly)
    }
}

impl fmt::Display for PoolReport {
    /// As the kernel writes it, but for the blank at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.transaction_id)?;
        write!(f, " {}/{}", self.used_metadata, self.total_metadata)?;
        write!(f, " {}/{}", self.used_data, self.total_data)?;
        match self.held_root {
            Some(root) => write!(f, " {root}")?,
            None => f.write_str(" -")?,
        }
        let (mode, discards) = (self.mode.word(), self.discards.word());
        let check = if self.needs_check { "needs_check" } else { "-" };
        write!(f, " {mode} {discards} {} {check}", self.when_full.word())?;
        match self.metadata_low_water {
            Some(blocks) => write!(f, " {blocks}"),
            None => Ok(()),
        }
    }
}
