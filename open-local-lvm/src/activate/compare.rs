//! Whether a table in force is the one that is wanted, or one that it grows out of: pure.

use open_local_core::Sectors;

use crate::dm::table::{Area, Table, TableLine, Target};

/// What a table in force is to the one that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    /// They map every sector alike.
    None,
    /// The wanted one maps all that is in force alike, and more, or treats it otherwise: it may
    /// take its place while the device is in use.
    Compatible,
    /// The wanted one maps something elsewhere, or lacks it.
    Elsewhere,
}

/// Compares; lines that go on where the one before ended count as one.
pub(super) fn compare(now: &Table, wanted: &Table) -> Difference {
    let (now, wanted) = (merged(now), merged(wanted));
    if now == wanted {
        return Difference::None;
    }
    let Some((last, before)) = now.split_last() else {
        return Difference::Compatible;
    };
    let same = wanted.get(..before.len()) == Some(before);
    let grown = wanted.get(before.len()).is_some_and(|line| grows(last, line));
    if same && grown { Difference::Compatible } else { Difference::Elsewhere }
}

/// Whether `new` maps what `old` does.
fn grows(old: &TableLine, new: &TableLine) -> bool {
    let same = match (&old.target, &new.target) {
        (
            Target::ThinPool { metadata, data, block, .. },
            Target::ThinPool { metadata: new_metadata, data: new_data, block: new_block, .. },
        ) => (metadata, data, block) == (new_metadata, new_data, new_block),
        (old, new) => old == new,
    };
    same && old.start == new.start && old.length <= new.length
}

fn merged(table: &Table) -> Vec<TableLine> {
    let mut lines: Vec<TableLine> = Vec::with_capacity(table.lines().len());
    for line in table.lines() {
        if let Some(last) = lines.last_mut()
            && goes_on(last, line)
        {
            last.length = last.length.saturating_add(line.length);
            continue;
        }
        lines.push(line.clone());
    }
    lines
}

fn goes_on(last: &TableLine, next: &TableLine) -> bool {
    if last.start.checked_add(last.length) != Some(next.start) {
        return false;
    }
    let follows = |a: &Area, b: &Area, each: Sectors| {
        a.device == b.device && a.offset.checked_add(each) == Some(b.offset)
    };
    match (&last.target, &next.target) {
        (Target::Linear(a), Target::Linear(b)) => follows(a, b, last.length),
        (
            Target::Striped { chunk, stripes },
            Target::Striped { chunk: next_chunk, stripes: next_stripes },
        ) => {
            let count = u64::try_from(stripes.len()).unwrap_or(u64::MAX);
            let each = Sectors::new(last.length.get().checked_div(count).unwrap_or(0));
            chunk == next_chunk
                && stripes.len() == next_stripes.len()
                && stripes.iter().zip(next_stripes).all(|(a, b)| follows(a, b, each))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    fn difference(now: &str, wanted: &str) -> Difference {
        compare(&table(now), &table(wanted))
    }

    #[test]
    fn how_a_mapping_is_split_into_lines_does_not_matter() {
        let split = "0 8 linear 7:0 100\n8 8 linear 7:0 108\n16 8 linear 7:1 0\n";
        assert_eq!(difference("0 16 linear 7:0 100\n16 8 linear 7:1 0\n", split), Difference::None);
        let stripes = "0 16 striped 2 4 7:0 0 7:1 0\n16 16 striped 2 4 7:0 8 7:1 8\n";
        assert_eq!(difference("0 32 striped 2 4 7:0 0 7:1 0\n", stripes), Difference::None);
    }

    #[test]
    fn growth_is_compatible_and_anything_that_moves_data_is_not() {
        let now = "0 8 linear 7:0 100\n8 8 linear 7:1 0\n";
        for (wanted, expected) in [
            ("0 8 linear 7:0 100\n8 16 linear 7:1 0\n", Difference::Compatible),
            ("0 8 linear 7:0 100\n8 8 linear 7:1 0\n16 8 linear 7:0 0\n", Difference::Compatible),
            ("0 8 linear 7:0 100\n8 4 linear 7:1 0\n", Difference::Elsewhere),
            ("0 8 linear 7:0 100\n", Difference::Elsewhere),
            ("0 8 linear 7:0 100\n8 16 linear 7:1 8\n", Difference::Elsewhere),
            ("0 8 linear 7:2 100\n8 8 linear 7:1 0\n", Difference::Elsewhere),
            ("0 16 striped 2 4 7:0 100 7:1 0\n", Difference::Elsewhere),
        ] {
            assert_eq!(difference(now, wanted), expected, "{wanted}");
        }
        assert_eq!(compare(&Table::empty(), &table(now)), Difference::Compatible);
    }

    #[test]
    fn a_pool_may_change_its_arguments_but_not_its_devices() {
        let now = "0 800 thin-pool 254:0 254:1 128 0 0";
        for (wanted, expected) in [
            ("0 900 thin-pool 254:0 254:1 128 7 1 error_if_no_space", Difference::Compatible),
            ("0 800 thin-pool 254:0 254:2 128 0 0", Difference::Elsewhere),
            ("0 800 thin-pool 254:0 254:1 256 0 0", Difference::Elsewhere),
            ("0 800 linear 254:0 0", Difference::Elsewhere),
        ] {
            assert_eq!(difference(now, wanted), expected, "{wanted}");
        }
        assert_eq!(difference("0 8 thin 254:2 1", "0 8 thin 254:2 2"), Difference::Elsewhere);
        assert_eq!(difference("0 8 thin 254:2 1", "0 16 thin 254:2 1"), Difference::Compatible);
    }
}
