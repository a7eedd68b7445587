//! The targets of tables, with their arguments.

use std::fmt::Write as _;

use open_local_core::{DeviceNumber, Sectors};

use super::number;

/// The largest id of a volume in a thin pool: 24 bits (`MAX_DEV_ID`, `dm-thin-metadata.c` of
/// Linux 6.18).
pub const MAX_THIN_ID: u32 = (1 << 24) - 1;

/// Where something begins on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Area {
    /// The device.
    pub device: DeviceNumber,
    /// The first sector.
    pub offset: Sectors,
}

/// What a thin pool does otherwise than by default; each is off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PoolFeatures {
    /// New blocks are not zeroed.
    pub skip_block_zeroing: bool,
    /// Discards do nothing.
    pub ignore_discard: bool,
    /// Discards free blocks of the pool, but are not passed on to its data device.
    pub no_discard_passdown: bool,
    /// The pool refuses to change its metadata.
    pub read_only: bool,
    /// Writes that find no room fail at once, and are not queued.
    pub error_if_no_space: bool,
}

impl PoolFeatures {
    /// Each with its word, in the kernel's order.
    const fn words(&self) -> [(bool, &'static str); 5] {
        [
            (self.skip_block_zeroing, "skip_block_zeroing"),
            (self.ignore_discard, "ignore_discard"),
            (self.no_discard_passdown, "no_discard_passdown"),
            (self.read_only, "read_only"),
            (self.error_if_no_space, "error_if_no_space"),
        ]
    }

    fn parse(words: &[&str]) -> Option<Self> {
        let mut features = Self::default();
        for word in words {
            let flag = match *word {
                "skip_block_zeroing" => &mut features.skip_block_zeroing,
                "ignore_discard" => &mut features.ignore_discard,
                "no_discard_passdown" => &mut features.no_discard_passdown,
                "read_only" => &mut features.read_only,
                "error_if_no_space" => &mut features.error_if_no_space,
                _ => return None,
            };
            // A word that comes twice would not come back.
            if std::mem::replace(flag, true) {
                return None;
            }
        }
        Some(features)
    }
}

/// How a copy-on-write store keeps what was overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CowStore {
    /// On the device, over reboots (`P`).
    Persistent,
    /// The same, and whoever reads the status knows the word `Overflow` (`PO`).
    PersistentOverflow,
    /// The list of what was overwritten is in memory only (`N`).
    Transient,
}

impl CowStore {
    const fn word(self) -> &'static str {
        match self {
            Self::Persistent => "P",
            Self::PersistentOverflow => "PO",
            Self::Transient => "N",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [Self::Persistent, Self::PersistentOverflow, Self::Transient];
        all.into_iter().find(|store| store.word() == word)
    }
}

/// What serves a range of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A range of another device.
    Linear(Area),
    /// Chunks in turn from several devices.
    Striped {
        /// Sectors in a row on one device.
        chunk: Sectors,
        /// Where each device's part begins.
        stripes: Vec<Area>,
    },
    /// A thin pool: it has no content of its own, thin volumes take their blocks from it.
    ThinPool {
        /// Its metadata.
        metadata: DeviceNumber,
        /// Its data.
        data: DeviceNumber,
        /// Sectors of a block.
        block: Sectors,
        /// It sends an event when fewer blocks than this are free; 0: never.
        low_water: u64,
        /// What it does otherwise than by default.
        features: PoolFeatures,
    },
    /// A thin volume.
    Thin {
        /// Its pool.
        pool: DeviceNumber,
        /// Its id in the pool, at most [`MAX_THIN_ID`].
        id: u32,
        /// A read-only device that shows where the volume holds nothing of its own.
        external: Option<DeviceNumber>,
    },
    /// A copy-on-write snapshot.
    Snapshot {
        /// What it is a snapshot of.
        origin: DeviceNumber,
        /// Where it keeps what was overwritten.
        store: DeviceNumber,
        /// How it keeps it.
        persistence: CowStore,
        /// Sectors of a chunk.
        chunk: Sectors,
    },
    /// A device that has copy-on-write snapshots.
    SnapshotOrigin(DeviceNumber),
    /// I/O fails.
    Error,
    /// Zeroes; what is written is dropped.
    Zero,
    /// Any other target, or one with arguments that are not understood.
    Other {
        /// Its name.
        name: String,
        /// Its arguments, without blanks around.
        arguments: String,
    },
}

fn area([device, offset]: [&str; 2]) -> Option<Area> {
    Some(Area { device: device.parse().ok()?, offset: Sectors::new(number(offset)?) })
}

fn striped(count: &str, chunk: &str, areas: &[&str]) -> Option<Target> {
    let (pairs, rest) = areas.as_chunks::<2>();
    if !rest.is_empty() || number::<usize>(count)? != pairs.len() || pairs.is_empty() {
        return None;
    }
    let stripes = pairs.iter().map(|pair| area(*pair)).collect::<Option<_>>()?;
    Some(Target::Striped { chunk: Sectors::new(number(chunk)?), stripes })
}

fn thin_pool(fixed: [&str; 4], features: &[&str]) -> Option<Target> {
    let [metadata, data, block, low_water] = fixed;
    // The kernel takes a line without a count, and always prints one.
    let features = match features {
        [] => PoolFeatures::default(),
        [count, words @ ..] if number::<usize>(count)? == words.len() => {
            PoolFeatures::parse(words)?
        }
        _ => return None,
    };
    Some(Target::ThinPool {
        metadata: metadata.parse().ok()?,
        data: data.parse().ok()?,
        block: Sectors::new(number(block)?),
        low_water: number(low_water)?,
        features,
    })
}

fn thin(pool: &str, id: &str, external: Option<&str>) -> Option<Target> {
    let id = number(id).filter(|id| *id <= MAX_THIN_ID)?;
    let external = external.map(|device| device.parse().ok()).map_or(Some(None), |d| d.map(Some));
    Some(Target::Thin { pool: pool.parse().ok()?, id, external: external? })
}

fn known(name: &str, words: &[&str]) -> Option<Target> {
    match (name, words) {
        ("linear", [device, offset]) => area([device, offset]).map(Target::Linear),
        ("striped", [count, chunk, areas @ ..]) => striped(count, chunk, areas),
        ("thin-pool", [metadata, data, block, low_water, features @ ..]) => {
            thin_pool([metadata, data, block, low_water], features)
        }
        ("thin", [pool, id]) => thin(pool, id, None),
        ("thin", [pool, id, external]) => thin(pool, id, Some(external)),
        ("snapshot", [origin, store, persistence, chunk]) => Some(Target::Snapshot {
            origin: origin.parse().ok()?,
            store: store.parse().ok()?,
            persistence: CowStore::parse(persistence)?,
            chunk: Sectors::new(number(chunk)?),
        }),
        ("snapshot-origin", [origin]) => origin.parse().ok().map(Target::SnapshotOrigin),
        ("error", []) => Some(Target::Error),
        ("zero", []) => Some(Target::Zero),
        _ => None,
    }
}

impl Target {
    /// From its name and arguments; what is not understood becomes [`Self::Other`].
    #[must_use]
    pub fn parse(name: &str, arguments: &str) -> Self {
        let words: Vec<&str> = arguments.split_ascii_whitespace().collect();
        known(name, &words).unwrap_or_else(|| Self::Other {
            name: name.to_owned(),
            arguments: arguments.trim().to_owned(),
        })
    }

    /// The kernel's name of it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Linear(_) => "linear",
            Self::Striped { .. } => "striped",
            Self::ThinPool { .. } => "thin-pool",
            Self::Thin { .. } => "thin",
            Self::Snapshot { .. } => "snapshot",
            Self::SnapshotOrigin(_) => "snapshot-origin",
            Self::Error => "error",
            Self::Zero => "zero",
            Self::Other { name, .. } => name,
        }
    }

    /// Its arguments as the kernel takes and prints them, but for blanks at the end.
    #[must_use]
    pub fn arguments(&self) -> String {
        match self {
            Self::Linear(area) => format!("{} {}", area.device, area.offset.get()),
            Self::Striped { chunk, stripes } => {
                let mut text = format!("{} {}", stripes.len(), chunk.get());
                for area in stripes {
                    // Writing to a string does not fail.
                    let _ = write!(text, " {} {}", area.device, area.offset.get());
                }
                text
            }
            Self::ThinPool { metadata, data, block, low_water, features } => {
                let on = features.words().into_iter().filter(|(on, _)| *on);
                let words: Vec<&str> = on.map(|(_, word)| word).collect();
                let mut text = format!("{metadata} {data} {} {low_water}", block.get());
                let _ = write!(text, " {}", words.len());
                words.iter().for_each(|word| text.extend([" ", *word]));
                text
            }
            Self::Thin { pool, id, external: None } => format!("{pool} {id}"),
            Self::Thin { pool, id, external: Some(origin) } => format!("{pool} {id} {origin}"),
            Self::Snapshot { origin, store, persistence, chunk } => {
                format!("{origin} {store} {} {}", persistence.word(), chunk.get())
            }
            Self::SnapshotOrigin(origin) => origin.to_string(),
            Self::Error | Self::Zero => String::new(),
            Self::Other { arguments, .. } => arguments.clone(),
        }
    }

    /// The devices it uses, each once, as far as they are known: none of [`Self::Other`].
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceNumber> {
        let mut found = match self {
            Self::Linear(area) => vec![area.device],
            Self::Striped { stripes, .. } => stripes.iter().map(|area| area.device).collect(),
            Self::ThinPool { metadata, data, .. } => vec![*metadata, *data],
            Self::Thin { pool, external, .. } => {
                [Some(*pool), *external].into_iter().flatten().collect()
            }
            Self::Snapshot { origin, store, .. } => vec![*origin, *store],
            Self::SnapshotOrigin(origin) => vec![*origin],
            Self::Error | Self::Zero | Self::Other { .. } => Vec::new(),
        };
        found.sort_unstable();
        found.dedup();
        found
    }
}
