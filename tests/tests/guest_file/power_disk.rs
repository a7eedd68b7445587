//! The power cut itself: the disk is served by the test and is behind the kernel's nbd driver, so
//! that one guest lives through many cuts.

use open_local_tests::dm::NbdDisk;
use open_local_tests::guest::{require_modules, rounds};
use open_local_tests::{Direct, Scratch};

const BLOCK: usize = 4096;
const LENGTH: usize = 8 * BLOCK;
/// Where the writer that flushes writes.
const FLUSHED: u64 = 0;
/// Where the writer that never does writes.
const UNFLUSHED: u64 = 1 << 20;

/// The fixture's own test: without it, a pool that never flushes would pass all others.
#[test]
fn a_writer_that_never_flushes_loses_data_and_one_that_flushes_does_not() {
    require_modules(&["loop"]);
    let scratch = Scratch::new("powercut-self");
    let mut disk = NbdDisk::attach(&scratch, "disk", 4 << 20, 512).unwrap();
    let (mut lost, mut kept, mut torn) = (0, 0, 0);
    let seeds = rounds(8).max(8);
    let mut before = vec![0; LENGTH];
    for seed in 0..seeds {
        let byte = u8::try_from(seed % 250 + 1).unwrap();
        let device = Direct::open(disk.path()).unwrap();
        for at in (0..LENGTH).step_by(BLOCK) {
            device.fill(FLUSHED + at as u64, BLOCK, byte).unwrap();
        }
        device.flush().unwrap();
        for at in (0..LENGTH).step_by(BLOCK) {
            device.fill(UNFLUSHED + at as u64, BLOCK, byte).unwrap();
        }
        assert_eq!(device.read(UNFLUSHED, LENGTH).unwrap(), vec![byte; LENGTH], "before the cut");
        let done = disk.cut(seed).unwrap();
        assert!(device.fill(FLUSHED, BLOCK, 255).is_err(), "the power is off");
        drop(device);
        disk.detach().unwrap();
        disk.power_on().unwrap();
        let device = Direct::open(disk.path()).unwrap();
        assert_eq!(device.read(FLUSHED, LENGTH).unwrap(), vec![byte; LENGTH], "seed {seed}");
        let found = device.read(UNFLUSHED, LENGTH).unwrap();
        let old_or_new = |(is, was): (&u8, &u8)| is == was || *is == byte;
        assert!(found.iter().zip(&before).all(old_or_new), "seed {seed}");
        let whole = found.chunks(BLOCK).filter(|b| b.iter().all(|x| *x == byte)).count();
        lost += u64::from(whole < LENGTH / BLOCK);
        kept += u64::from(whole > 0);
        torn += done.torn;
        before = found;
    }
    println!("{seeds} cuts: {lost} lost unflushed writes, {kept} kept some, {torn} writes torn");
    assert!(lost > 0 && kept > 0 && torn > 0, "{lost} {kept} {torn}");
    assert_eq!(disk.status().written_back, 0);
}
