//! The summary: a table of groups, and the last line.

use crate::cargo_output::Counts;
use crate::runner::Tally;
use crate::steps::Group;

/// The table and the last line, which is exactly `N passed, N failed`; ignored tests count as
/// failed there.
pub(crate) fn summary(tallies: &[Tally]) -> String {
    let mut text =
        format!("\n{:10}{:>8}{:>8}{:>8}{:>8}\n", "", "steps", "passed", "failed", "ignored");
    for group in Group::ALL {
        let of_group = || tallies.iter().filter(|t| t.group == group);
        let counts = of_group().map(|t| t.counts).fold(Counts::default(), Counts::plus);
        if of_group().next().is_some() {
            text.push_str(&format!(
                "{:10}{:>8}{:>8}{:>8}{:>8}\n",
                group.name(),
                of_group().count(),
                counts.passed,
                counts.failed,
                counts.ignored
            ));
        }
    }
    let all = total(tallies);
    text.push_str(&last_line(all.passed, failures(all)));
    text
}

/// The line everything that reads us looks for.
pub(crate) fn last_line(passed: u64, failed: u64) -> String {
    format!("{passed} passed, {failed} failed")
}

/// Whether nothing failed and something ran.
pub(crate) fn succeeded(tallies: &[Tally]) -> bool {
    let all = total(tallies);
    failures(all) == 0 && all.passed > 0
}

fn total(tallies: &[Tally]) -> Counts {
    tallies.iter().map(|t| t.counts).fold(Counts::default(), Counts::plus)
}

const fn failures(counts: Counts) -> u64 {
    counts.failed.saturating_add(counts.ignored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(group: Group, passed: u64, failed: u64, ignored: u64) -> Tally {
        Tally { group, counts: Counts { passed, failed, ignored } }
    }

    #[test]
    fn groups_are_summed_and_the_last_line_is_exact() {
        let tallies = [
            tally(Group::Checks, 1, 0, 0),
            tally(Group::Tier0, 40, 1, 1),
            tally(Group::Checks, 1, 0, 0),
        ];
        let text = summary(&tallies);
        assert_eq!(text.lines().last(), Some("42 passed, 2 failed"));
        assert!(text.contains("checks           2       2       0       0\n"), "{text}");
        assert!(!text.contains("tier 1"));
        assert!(!succeeded(&tallies));
    }

    #[test]
    fn ignored_tests_and_an_empty_run_are_no_success() {
        assert!(succeeded(&[tally(Group::Tier0, 1, 0, 0)]));
        assert!(!succeeded(&[tally(Group::Tier0, 1, 0, 1)]));
        assert!(!succeeded(&[tally(Group::Tier0, 0, 0, 0)]));
        assert!(!succeeded(&[]));
    }
}
