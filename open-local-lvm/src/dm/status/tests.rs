use open_local_core::{ErrorKind, Sectors};
use proptest::prelude::*;

use super::*;

fn report() -> impl Strategy<Value = PoolReport> {
    let mode = prop::sample::select(vec![
        PoolMode::ReadWrite,
        PoolMode::ReadOnly,
        PoolMode::OutOfDataSpace,
    ]);
    let discards =
        prop::sample::select(vec![Discards::Ignored, Discards::Kept, Discards::PassedDown]);
    let when_full = prop::sample::select(vec![WhenFull::Queue, WhenFull::Error]);
    let words = (mode, discards, when_full, any::<bool>());
    (any::<[u64; 5]>(), any::<Option<u64>>(), words, any::<Option<u64>>()).prop_map(
        |(numbers, held_root, (mode, discards, when_full, needs_check), low)| {
            let [transaction_id, used_metadata, total_metadata, used_data, total_data] = numbers;
            PoolReport {
                transaction_id,
                used_metadata,
                total_metadata,
                used_data,
                total_data,
                held_root,
                mode,
                discards,
                when_full,
                needs_check,
                metadata_low_water: low,
            }
        },
    )
}

fn status() -> impl Strategy<Value = TargetStatus> {
    let sectors = || any::<u64>().prop_map(Sectors::new);
    prop_oneof![
        report().prop_map(|report| TargetStatus::ThinPool(PoolStatus::Ready(report))),
        Just(TargetStatus::ThinPool(PoolStatus::Fail)),
        Just(TargetStatus::ThinPool(PoolStatus::Error)),
        (sectors(), any::<Option<u64>>()).prop_map(|(mapped, highest)| TargetStatus::Thin(
            ThinStatus::Ready { mapped, highest }
        )),
        prop::sample::select(vec![ThinStatus::Fail, ThinStatus::Error, ThinStatus::Absent])
            .prop_map(TargetStatus::Thin),
        (sectors(), sectors(), sectors()).prop_map(|(used, total, metadata)| {
            TargetStatus::Snapshot(SnapshotStatus::Ready { used, total, metadata })
        }),
        prop::sample::select(vec![
            SnapshotStatus::Invalid,
            SnapshotStatus::Overflow,
            SnapshotStatus::MergeFailed
        ])
        .prop_map(TargetStatus::Snapshot),
        Just(TargetStatus::Other { name: "linear".into(), text: String::new() }),
    ]
}

proptest! {
    #[test]
    fn a_status_parses_what_it_prints(start: u64, length: u64, status in status()) {
        let line = StatusLine::new(Sectors::new(start), Sectors::new(length), status);
        prop_assert_eq!(line.to_string().parse::<StatusLine>().unwrap(), line);
    }

    #[test]
    fn any_text_gives_a_status_or_an_error(text in "[ -~\n]{0,200}|\\PC{0,60}") {
        if let Ok(line) = text.parse::<StatusLine>() {
            prop_assert_eq!(line.to_string().parse::<StatusLine>().unwrap(), line);
        }
    }
}

fn pool_of(line: &str) -> PoolReport {
    let parsed: StatusLine = line.parse().unwrap();
    parsed.status.pool_report().unwrap().clone()
}

/// Lines of `dmsetup status` (kernel 6.1), with the blank the kernel leaves.
#[test]
fn a_pool_in_each_state_is_understood() {
    let healthy =
        "0 1024000 thin-pool 7 14/1024 23/8000 - rw discard_passdown queue_if_no_space - 256 ";
    let report = pool_of(healthy);
    assert_eq!((report.transaction_id, report.used_data, report.total_data), (7, 23, 8000));
    assert_eq!((report.used_metadata, report.total_metadata), (14, 1024));
    assert!(report.takes_messages() && report.metadata_low_water == Some(256));
    let full =
        "0 8 thin-pool 1 1/2 3/3 - out_of_data_space no_discard_passdown error_if_no_space - 1";
    let report = pool_of(full);
    assert_eq!((report.mode, report.when_full), (PoolMode::OutOfDataSpace, WhenFull::Error));
    assert!(report.takes_messages());
    let sick = "0 8 thin-pool 1 1/2 3/4 9 ro ignore_discard queue_if_no_space needs_check 1";
    let report = pool_of(sick);
    assert_eq!((report.mode, report.held_root), (PoolMode::ReadOnly, Some(9)));
    assert!(!report.takes_messages());
    let old = "0 8 thin-pool 1 1/2 3/4 - rw discard_passdown queue_if_no_space";
    assert_eq!(pool_of(old).metadata_low_water, None);
    for dead in ["0 8 thin-pool Fail", "0 8 thin-pool Error"] {
        let line: StatusLine = dead.parse().unwrap();
        assert!(matches!(
            line.status,
            TargetStatus::ThinPool(PoolStatus::Fail | PoolStatus::Error)
        ));
    }
}

#[test]
fn what_is_not_understood_is_kept_as_text() {
    let lines = [
        "0 8 thin-pool 1 1/2 3/4 - rw",
        "0 8 thin-pool 1 1/2 3/4 - xx discard_passdown queue_if_no_space - 1",
        "0 8 thin 1 2 3",
        "0 8 snapshot Broken",
        "0 8 raid raid1 2 AA 8/8 idle 0 0 -",
    ];
    for line in lines {
        let parsed: StatusLine = line.parse().unwrap();
        assert!(matches!(parsed.status, TargetStatus::Other { .. }), "{line}");
        assert_eq!(parsed.to_string(), line);
    }
    assert_eq!("0 8".parse::<StatusLine>().unwrap_err().kind(), ErrorKind::Corrupt);
}
