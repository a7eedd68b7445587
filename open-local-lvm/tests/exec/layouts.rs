//! Crashes on disks with blocks of 4096 bytes and with two metadata areas each, and an area of a
//! disk that is lost.

use open_local_lvm::exec::{Choice, Session};

use crate::crash::{Case, commit_again, enumerate, tag};
use crate::lab::{Lab, NAME, path, tagged};

/// A change cut everywhere; answers how many states there were.
fn cut(disks: usize, block: u64, areas: u8, volumes: usize, mixes: u64) -> usize {
    let lab = Lab::laid_out(disks, block, areas, volumes);
    let name = format!("tag, {disks} disks of blocks of {block}, {areas} areas each");
    let case = Case { name: &name, lab, act: Box::new(tag), mixes, go_on: 4 };
    enumerate(&case, &[NAME], &|lab, what| commit_again(lab, NAME, what))
}

#[test]
fn a_change_on_blocks_of_4096_bytes() {
    let states = cut(1, 4096, 1, 40, 1500) + cut(2, 4096, 1, 20, 1000);
    println!("{states} states on blocks of 4096 bytes");
    assert!(states > 100, "{states}");
}

#[test]
fn a_change_of_two_areas_on_each_disk() {
    let states = cut(1, 512, 2, 4, 1500) + cut(2, 512, 2, 4, 1500);
    println!("{states} states with two areas on each disk");
    assert!(states > 1500, "{states}");
}

#[test]
fn a_change_of_two_areas_on_two_disks_of_large_blocks() {
    let states = cut(2, 4096, 2, 20, 1000);
    println!("{states} states with two areas on each of two disks of large blocks");
    assert!(states > 200, "{states}");
}

#[test]
fn a_repair_of_one_of_two_areas_is_cut() {
    let lab = Lab::laid_out(2, 4096, 2, 2);
    // The header at the end of the first disk.
    lab.disks.overwrite(path(0), (3 << 20) + 100, &[1]);
    let repair = |session: &Session| {
        assert!(session.repair(NAME, Choice::Refuse).unwrap().changed);
    };
    let case = Case { name: "repair", lab, act: Box::new(repair), mixes: 300, go_on: 4 };
    let states = enumerate(&case, &[NAME], &|lab, what| commit_again(lab, NAME, what));
    assert!(states > 100, "{states}");
}

#[test]
fn either_area_of_a_disk_is_enough() {
    for (area, name) in [(4096, "first"), (3 << 20, "second")] {
        let lab = Lab::laid_out(1, 4096, 2, 3);
        let old = lab.read();
        lab.disks.overwrite(path(0), area, &[0; 4096]);
        assert_eq!(lab.read(), old, "{name}");
        let done = lab.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
        assert!(done.degraded.is_empty(), "{name}");
        assert!(lab.session().group(NAME).unwrap().findings.is_empty(), "{name}");
    }
}
