//! What may be on the disks after a power cut.

use std::collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use super::image::Image;
use super::{Disk, DiskEvent, Faults, LoggedDisks, World};

/// Writes of which every subset is tried; of more, many by chance.
const ALL_SUBSETS: usize = 7;
/// Places at which one write is torn.
const MAX_TEARS: u64 = 64;

/// How much of an unflushed write reached its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    All,
    Nothing,
    /// So many sectors from its beginning.
    First(u64),
    /// All but so many sectors at its beginning.
    From(u64),
    /// Sector by sector as chance has it.
    Some(u64),
}

impl Kept {
    fn has(self, sector: u64) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::First(count) => sector < count,
            Self::From(count) => sector >= count,
            Self::Some(seed) => mix(seed ^ sector.rotate_left(17)) & 1 == 0,
        }
    }
}

/// A step of splitmix64 (Steele, Lea, Flood 2014): spreads the bits of a number.
const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One state a power cut may leave: prints as the cut and what became of unflushed writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// Entries of the log before the cut.
    cut: usize,
    /// Of those, unflushed writes by their index.
    kept: Vec<(usize, Kept)>,
    /// Whether unflushed writes landed in the opposite order.
    reversed: bool,
    fingerprint: u64,
}

impl Crash {
    /// Equal for crashes of one log that leave the same on all disks.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut after {} events, unflushed {:?}", self.cut, self.kept)?;
        if self.reversed { f.write_str(", in the opposite order") } else { Ok(()) }
    }
}

impl LoggedDisks {
    /// The states a power cut after `cut` entries of the log may leave, each once: every subset of
    /// unflushed writes, each write torn between its sectors while the others are there or not,
    /// writes in the opposite order, and `mixes` by chance sector by sector.
    ///
    /// With few unflushed writes that is all there is but for mixtures inside of writes; with many
    /// it is a sample.
    #[must_use]
    pub fn crashes(&self, cut: usize, mixes: u64) -> Vec<Crash> {
        let pending = self.unflushed(cut);
        let world = self.world();
        let indices: Vec<usize> = pending.iter().map(|(index, _)| *index).collect();
        let durable = world.durable(cut, &indices);
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut add = |kept: Vec<Kept>, reversed: bool| {
            let kept = indices.iter().copied().zip(kept).collect();
            let mut crash = Crash { cut, kept, reversed, fingerprint: 0 };
            crash.fingerprint = fingerprint(&world.with_pending(durable.clone(), &crash));
            if seen.insert(crash.fingerprint) {
                found.push(crash);
            }
        };
        for kept in subsets(pending.len()) {
            add(kept.clone(), false);
            if pending.len() > 1 {
                add(kept, true);
            }
        }
        for (position, (_, sectors)) in pending.iter().enumerate() {
            for others in [Kept::All, Kept::Nothing] {
                for tear in tears(*sectors) {
                    let mut kept = vec![others; pending.len()];
                    if let Some(slot) = kept.get_mut(position) {
                        *slot = tear;
                    }
                    add(kept, false);
                }
            }
        }
        for seed in 0..mixes {
            let number = |position: u64| mix(seed.rotate_left(32) ^ position);
            let kept = (0u64..).take(pending.len()).map(|p| Kept::Some(number(p)));
            add(kept.collect(), seed % 2 == 1);
        }
        found
    }

    /// The disks as such a power cut leaves them, with a log that has not begun.
    #[must_use]
    pub fn after(&self, crash: &Crash) -> Self {
        let world = self.world();
        let pending: Vec<usize> = crash.kept.iter().map(|(index, _)| *index).collect();
        let images = world.with_pending(world.durable(crash.cut, &pending), crash);
        let disks = images.into_iter().filter_map(|(path, image)| {
            let disk = world.disks.get(path)?;
            let disk = Disk { image, faults: Faults::default(), claim: Weak::new(), ..*disk };
            Some((path.to_path_buf(), disk))
        });
        let world = World { disks: disks.collect(), ..World::default() };
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// Unflushed writes before a cut, with the number of their sectors.
    fn unflushed(&self, cut: usize) -> Vec<(usize, u64)> {
        let world = self.world();
        let mut pending = Vec::new();
        for (index, event) in world.log.iter().take(cut).enumerate() {
            match event {
                DiskEvent::Write { disk, offset, data } => {
                    pending.push((index, disk, Image::touched(*offset, data.len())));
                }
                DiskEvent::Flush { disk } => pending.retain(|(_, other, _)| *other != disk),
            }
        }
        pending.into_iter().map(|(index, _, sectors)| (index, sectors)).collect()
    }
}

type Images<'w> = BTreeMap<&'w Path, Image>;

fn fingerprint(images: &Images<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (path, image) in images {
        path.hash(&mut hasher);
        image.difference().for_each(|sector| sector.hash(&mut hasher));
    }
    hasher.finish()
}

impl World {
    /// The disks with all that is certain to be on them.
    fn durable(&self, cut: usize, pending: &[usize]) -> Images<'_> {
        let images = self.start.iter().map(|(path, image)| (path.as_path(), image.clone()));
        let mut images = images.collect();
        for index in (0..cut).filter(|index| pending.binary_search(index).is_err()) {
            self.apply(&mut images, index, Kept::All);
        }
        images
    }

    fn with_pending<'w>(&'w self, mut images: Images<'w>, crash: &Crash) -> Images<'w> {
        let count = crash.kept.len();
        let order = (0..count).map(|at| if crash.reversed { count - 1 - at } else { at });
        for (index, kept) in order.filter_map(|at| crash.kept.get(at)) {
            self.apply(&mut images, *index, *kept);
        }
        images
    }

    fn apply(&self, images: &mut Images<'_>, index: usize, kept: Kept) {
        if let Some(DiskEvent::Write { disk, offset, data }) = self.log.get(index)
            && let Some(image) = images.get_mut(disk.as_path())
        {
            image.write_some(*offset, data, |sector| kept.has(sector));
        }
    }
}

/// Which of so many writes are there: every choice, or the two extremes and many by chance.
fn subsets(writes: usize) -> Vec<Vec<Kept>> {
    let choice = |bits: u64| {
        let bit = |position: u64| {
            if bits >> (position % 64) & 1 == 1 { Kept::All } else { Kept::Nothing }
        };
        (0u64..).take(writes).map(bit).collect()
    };
    if writes <= ALL_SUBSETS {
        let all = 1u64.checked_shl(u32::try_from(writes).unwrap_or(u32::MAX)).unwrap_or(0);
        return (0..all).map(choice).collect();
    }
    [0, u64::MAX].into_iter().chain((0..128).map(mix)).map(choice).collect()
}

fn tears(sectors: u64) -> Vec<Kept> {
    let step = sectors.div_ceil(MAX_TEARS).max(1);
    let places = (1..sectors).filter(|place| place % step == 0);
    let mut tears: Vec<Kept> =
        places.flat_map(|place| [Kept::First(place), Kept::From(place)]).collect();
    if sectors > 2 {
        tears.extend((1..=4).map(Kept::Some));
    }
    tears
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{DeviceAccess, Devices};
    use crate::units::Bytes;

    fn world() -> LoggedDisks {
        let disks = LoggedDisks::new();
        disks.add("/dev/a", Bytes::new(4096), Bytes::new(512));
        disks.add("/dev/b", Bytes::new(4096), Bytes::new(512));
        disks
    }

    fn write(disks: &LoggedDisks, path: &str, offset: u64, data: &[u8]) {
        let disk = disks.open(Path::new(path), DeviceAccess::Claim).unwrap();
        disk.write_at(offset, data).unwrap();
    }

    fn flush(disks: &LoggedDisks, path: &str) {
        disks.open(Path::new(path), DeviceAccess::Claim).unwrap().flush().unwrap();
    }

    fn first_bytes(disks: &LoggedDisks, cut: usize) -> BTreeSet<(u8, u8, u8)> {
        let states = disks.crashes(cut, 8);
        let look = |crash: &Crash| {
            let after = disks.after(crash);
            let (a, b) = (after.content("/dev/a"), after.content("/dev/b"));
            (a[0], a[512], b[0])
        };
        states.iter().map(look).collect()
    }

    #[test]
    fn only_what_was_not_flushed_is_in_doubt() {
        let disks = world();
        write(&disks, "/dev/a", 0, &[9; 512]);
        disks.record();
        write(&disks, "/dev/a", 0, &[1; 1024]);
        flush(&disks, "/dev/b");
        let all: BTreeSet<_> = [(9, 0, 0), (1, 0, 0), (9, 1, 0), (1, 1, 0)].into();
        assert_eq!(first_bytes(&disks, 2), all);
        flush(&disks, "/dev/a");
        assert_eq!(first_bytes(&disks, 3), [(1, 1, 0)].into());
        write(&disks, "/dev/b", 0, &[2; 512]);
        assert_eq!(first_bytes(&disks, 4), [(1, 1, 0), (1, 1, 2)].into());
        assert_eq!(first_bytes(&disks, 0), [(9, 0, 0)].into());
    }

    #[test]
    fn two_writes_of_one_sector_may_land_in_either_order() {
        let disks = world();
        disks.record();
        write(&disks, "/dev/a", 0, &[1; 512]);
        write(&disks, "/dev/a", 0, &[2; 512]);
        assert_eq!(first_bytes(&disks, 2), [(0, 0, 0), (1, 0, 0), (2, 0, 0)].into());
    }
}
