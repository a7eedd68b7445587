use open_local_core::{DeviceNumber, ErrorKind, Sectors};
use proptest::prelude::*;

use super::*;

fn device() -> impl Strategy<Value = DeviceNumber> {
    (0..4096u32, 0..1u32 << 20).prop_map(|(major, minor)| DeviceNumber::new(major, minor))
}

fn area() -> impl Strategy<Value = Area> {
    (device(), any::<u64>())
        .prop_map(|(device, offset)| Area { device, offset: Sectors::new(offset) })
}

fn features() -> impl Strategy<Value = PoolFeatures> {
    any::<[bool; 5]>().prop_map(|[zeroing, ignore, passdown, read_only, error]| PoolFeatures {
        skip_block_zeroing: zeroing,
        ignore_discard: ignore,
        no_discard_passdown: passdown,
        read_only,
        error_if_no_space: error,
    })
}

fn store() -> impl Strategy<Value = CowStore> {
    prop::sample::select(vec![
        CowStore::Persistent,
        CowStore::PersistentOverflow,
        CowStore::Transient,
    ])
}

fn target() -> impl Strategy<Value = Target> {
    let sectors = || any::<u64>().prop_map(Sectors::new);
    prop_oneof![
        area().prop_map(Target::Linear),
        (sectors(), prop::collection::vec(area(), 1..9))
            .prop_map(|(chunk, stripes)| Target::Striped { chunk, stripes }),
        (device(), device(), sectors(), any::<u64>(), features()).prop_map(
            |(metadata, data, block, low_water, features)| Target::ThinPool {
                metadata,
                data,
                block,
                low_water,
                features
            }
        ),
        (device(), 0..=MAX_THIN_ID, prop::option::of(device()))
            .prop_map(|(pool, id, external)| Target::Thin { pool, id, external }),
        (device(), device(), store(), sectors()).prop_map(|(origin, store, persistence, chunk)| {
            Target::Snapshot { origin, store, persistence, chunk }
        }),
        device().prop_map(Target::SnapshotOrigin),
        Just(Target::Error),
        Just(Target::Zero),
        Just(Target::Other { name: "raid".into(), arguments: "raid1 3 0 region_size 1024".into() }),
    ]
}

proptest! {
    #[test]
    fn a_table_parses_what_it_prints(
        parts in prop::collection::vec((0..1u64 << 40, target()), 0..6),
    ) {
        let parts = parts.into_iter().map(|(length, target)| (Sectors::new(length), target));
        let table = Table::sequence(parts).unwrap();
        prop_assert_eq!(table.to_string().parse::<Table>().unwrap(), table);
    }

    #[test]
    fn any_text_gives_a_table_or_an_error(text in "[ -~\n]{0,200}|\\PC{0,60}") {
        if let Ok(table) = text.parse::<Table>() {
            let printed = table.to_string();
            prop_assert_eq!(printed.parse::<Table>().unwrap(), table);
        }
    }

    /// Words the kernel uses in any order: nothing is half understood.
    #[test]
    fn shuffled_words_are_kept(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "0", "8", "254:1", "7:0", "linear", "striped", "thin-pool", "thin", "snapshot",
                "P", "1", "2", "skip_block_zeroing", "error", "zero", "128",
            ]),
            0..12,
        ),
    ) {
        let text = words.join(" ");
        if let Ok(table) = text.parse::<Table>() {
            prop_assert_eq!(table.to_string().parse::<Table>().unwrap(), table);
        }
    }
}

/// Lines of `dmsetup table` (lvm2 2.03.16, kernel 6.1), with the blanks the kernel leaves.
#[test]
fn lines_of_the_kernel_are_understood() {
    let lines = [
        "0 204800 linear 7:0 2048",
        "0 212992 striped 2 128 7:0 206848 7:1 2048",
        "0 1024000 thin-pool 254:2 254:3 128 0 0 ",
        "0 1024000 thin-pool 254:2 254:3 128 640 2 skip_block_zeroing error_if_no_space ",
        "0 2097152 thin 254:4 1",
        "0 2097152 thin 254:2 1 254:4",
        "0 204800 snapshot-origin 254:8",
        "0 204800 snapshot 254:8 254:9 P 8",
        "0 8 error ",
        "0 8 zero ",
    ];
    for line in lines {
        let parsed: TableLine = line.parse().unwrap();
        assert!(!matches!(parsed.target, Target::Other { .. }), "{line}");
        assert_eq!(parsed.to_string(), line.trim_end());
    }
}

#[test]
fn what_is_not_understood_is_kept_as_text() {
    let lines = [
        "0 8 raid raid1 3 0 region_size 1024 2 - 254:0 - 254:1",
        "0 8 thin 254:4 16777216",
        "0 8 striped 3 128 7:0 0 7:1 0",
        "0 8 linear /dev/sda 0",
        "0 8 thin-pool 254:2 254:3 128 0 1 no_such_feature",
        "0 8 thin-pool 254:2 254:3 128 0 2 read_only read_only",
    ];
    for line in lines {
        let parsed: TableLine = line.parse().unwrap();
        assert!(matches!(parsed.target, Target::Other { .. }), "{line}");
        assert_eq!(parsed.to_string(), line);
    }
}

#[test]
fn what_is_no_line_is_an_error() {
    for bad in ["0", "0 8", "x 8 linear", "0 -1 linear", "0 18446744073709551616 zero"] {
        assert_eq!(bad.parse::<Table>().unwrap_err().kind(), ErrorKind::Corrupt, "{bad}");
    }
    assert!("".parse::<Table>().unwrap().is_empty());
}

#[test]
fn devices_are_told_once() {
    let line: TableLine = "0 16 striped 3 8 7:1 0 7:0 0 7:1 8".parse().unwrap();
    let wanted = [DeviceNumber::new(7, 0), DeviceNumber::new(7, 1)];
    assert_eq!(line.target.devices(), wanted);
}
