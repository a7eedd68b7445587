use proptest::prelude::*;

use super::*;
use crate::powercut::MemoryBacking;

const SECTORS: u64 = 24;

fn disk() -> PowerDisk {
    let size = usize::try_from(SECTORS * SECTOR).unwrap();
    PowerDisk::new(MemoryBacking::new(size))
}

fn sectors(disk: &PowerDisk) -> Vec<u8> {
    let mut content = vec![0; usize::try_from(disk.size()).unwrap()];
    disk.read(0, &mut content).unwrap();
    let each = content.chunks(512).map(|sector| {
        assert!(sector.iter().all(|b| *b == sector[0]), "a sector is never torn");
        sector[0]
    });
    each.collect()
}

fn fill(disk: &mut PowerDisk, at: u64, count: u64, value: u8, durable: bool) {
    let data = vec![value; usize::try_from(count * SECTOR).unwrap()];
    disk.write(at * SECTOR, Content::Data(&data), durable).unwrap();
}

#[derive(Debug, Clone)]
enum Act {
    Write { at: u64, count: u64, durable: bool },
    Zero { at: u64, count: u64, durable: bool },
    Flush,
    Cut(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let range = (0..SECTORS).prop_flat_map(|at| (Just(at), 1..=(SECTORS - at).min(8)));
    let durable = prop::bool::weighted(0.2);
    prop_oneof![
        6 => (range.clone(), durable)
            .prop_map(|((at, count), durable)| Act::Write { at, count, durable }),
        2 => (range, durable).prop_map(|((at, count), durable)| Act::Zero { at, count, durable }),
        1 => Just(Act::Flush),
        1 => any::<u64>().prop_map(Act::Cut),
    ]
}

/// What each sector may hold after a cut: the durable value first, then those written since.
#[derive(Debug)]
struct Model(Vec<Vec<u8>>);

impl Model {
    fn write(&mut self, at: u64, count: u64, value: u8, durable: bool) {
        let from = usize::try_from(at).unwrap();
        for sector in &mut self.0[from..from + usize::try_from(count).unwrap()] {
            if durable {
                sector.clear();
            }
            sector.push(value);
        }
    }

    fn newest(&self) -> Vec<u8> {
        self.0.iter().map(|values| *values.last().unwrap()).collect()
    }

    fn settle(&mut self, found: &[u8]) {
        self.0 = found.iter().map(|value| vec![*value]).collect();
    }
}

fn follow(disk: &mut PowerDisk, acts: &[Act]) -> Vec<Vec<u8>> {
    let mut model = Model(vec![vec![0]; usize::try_from(SECTORS).unwrap()]);
    let mut after = Vec::new();
    for (value, act) in (1..).zip(acts) {
        match *act {
            Act::Write { at, count, durable } => {
                fill(disk, at, count, value, durable);
                model.write(at, count, value, durable);
            }
            Act::Zero { at, count, durable } => {
                let zeroes = Content::Zeroes(count * SECTOR);
                disk.write(at * SECTOR, zeroes, durable).unwrap();
                model.write(at, count, 0, durable);
            }
            Act::Flush => {
                disk.flush().unwrap();
                let newest = model.newest();
                model.settle(&newest);
            }
            Act::Cut(seed) => {
                disk.cut(seed).unwrap();
                assert!(matches!(disk.flush(), Err(Refused::Off)));
                disk.power_on();
                let found = sectors(disk);
                for (may, is) in model.0.iter().zip(&found) {
                    assert!(may.contains(is), "{is} is none of {may:?}");
                }
                model.settle(&found);
                after.push(found);
            }
        }
        assert_eq!(sectors(disk), model.newest(), "what is read is what was written last");
    }
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_sector_holds_what_was_flushed_or_something_written_since(
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let first = follow(&mut disk(), &acts);
        let again = follow(&mut disk(), &acts);
        prop_assert_eq!(first, again, "the same seeds, the same disk");
    }

    #[test]
    fn so_it_does_when_memory_is_short(
        acts in prop::collection::vec(act(), 1..60),
        memory in 0_u64..20_000,
    ) {
        follow(&mut disk().with_memory(memory), &acts);
    }
}

#[test]
fn what_was_not_flushed_may_be_lost_and_what_was_never_is() {
    let mut lost = 0;
    for seed in 0..100 {
        let mut disk = disk();
        fill(&mut disk, 0, 4, 1, false);
        disk.flush().unwrap();
        fill(&mut disk, 4, 4, 2, true);
        fill(&mut disk, 8, 4, 3, false);
        let done = disk.cut(seed).unwrap();
        assert_eq!(done.kept + done.lost + done.torn, 1);
        disk.power_on();
        let found = sectors(&disk);
        assert_eq!(found[..8], [1, 1, 1, 1, 2, 2, 2, 2]);
        lost += usize::from(found[8..12] != [3; 4]);
    }
    assert!((30..90).contains(&lost), "{lost} of 100");
}

#[test]
fn a_durable_write_is_not_undone_by_an_older_one() {
    for seed in 0..100 {
        let mut disk = disk();
        fill(&mut disk, 0, 6, 1, false);
        fill(&mut disk, 2, 2, 2, true);
        assert_eq!(disk.status().pending, 2, "what is left of the older one on both sides");
        disk.cut(seed).unwrap();
        disk.power_on();
        assert_eq!(sectors(&disk)[2..4], [2, 2]);
    }
}

#[test]
fn a_tear_does_not_divide_a_granule() {
    let mut torn = 0;
    for seed in 0..300 {
        let mut disk = disk().with_granule(4096);
        fill(&mut disk, 0, 24, 1, false);
        torn += disk.cut(seed).unwrap().torn;
        disk.power_on();
        for granule in sectors(&disk).chunks(8) {
            assert!(granule.iter().all(|s| *s == granule[0]), "{granule:?}");
        }
    }
    assert!(torn > 10);
}

#[test]
fn memory_is_bounded_and_what_is_written_back_for_that_is_counted() {
    let mut disk = disk().with_memory(3 * (2 * SECTOR + WEIGHT));
    for at in 0..8 {
        fill(&mut disk, at * 2, 2, 7, false);
        assert!(disk.used <= disk.memory);
    }
    assert_eq!((disk.status().pending, disk.status().written_back), (3, 5));
    let seed =
        (0..).find(|seed| decide(*seed, &[2; 3]).each == [Fate::Lost, Fate::Lost, Fate::Lost]);
    disk.cut(seed.unwrap()).unwrap();
    disk.power_on();
    assert_eq!(sectors(&disk)[..16], [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn what_is_off_beyond_the_end_or_not_aligned_is_refused() {
    let mut disk = disk();
    let size = disk.size();
    let mut write = |offset, length| disk.write(offset, Content::Zeroes(length), false);
    assert!(matches!(write(size, 512), Err(Refused::Range)));
    assert!(matches!(write(u64::MAX, 512), Err(Refused::Range)));
    assert!(matches!(write(1, 512), Err(Refused::Unaligned)));
    assert!(matches!(write(0, 511), Err(Refused::Unaligned)));
    assert!(write(size, 0).is_ok());
    assert!(matches!(disk.read(size - 512, &mut [0; 1024]), Err(Refused::Range)));
    disk.cut(1).unwrap();
    assert!(matches!(disk.read(0, &mut [0; 512]), Err(Refused::Off)));
    assert!(matches!(disk.write(0, Content::Zeroes(512), true), Err(Refused::Off)));
    disk.cut(1).unwrap();
    assert_eq!(disk.status().cuts, 1);
}

#[test]
fn a_disk_can_be_told_after_how_many_writes_its_power_goes() {
    for flushes in [false, true] {
        let mut disk = disk();
        fill(&mut disk, 0, 1, 1, true);
        disk.cut_after(3, 0);
        fill(&mut disk, 1, 1, 1, true);
        disk.flush().unwrap();
        fill(&mut disk, 2, 1, 1, false);
        let next = if flushes { disk.flush() } else { disk.write(0, Content::Zeroes(512), true) };
        assert!(matches!(next, Err(Refused::Off)));
        let done = disk.last_cut().unwrap();
        assert_eq!(done.kept + done.lost + done.torn, 1, "not flushed by the last moment");
        disk.power_on();
        fill(&mut disk, 3, 1, 1, true);
        assert_eq!(sectors(&disk)[..2], [1, 1]);
    }
}
