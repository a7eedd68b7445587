//! What `cargo test` printed, counted.

/// Tests of one or more runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed.saturating_add(other.passed),
            failed: self.failed.saturating_add(other.failed),
            ignored: self.ignored.saturating_add(other.ignored),
        }
    }

    /// How many tests were meant to run.
    pub(crate) const fn total(self) -> u64 {
        self.passed.saturating_add(self.failed).saturating_add(self.ignored)
    }
}

/// Sums every `test result:` line. Programs that a test started may have printed before it on the
/// same line.
pub(crate) fn count(output: &str) -> Counts {
    let results = output.lines().filter_map(|line| line.split_once("test result: "));
    results
        .map(|(_, result)| Counts {
            passed: number_before(result, "passed"),
            failed: number_before(result, "failed"),
            ignored: number_before(result, "ignored"),
        })
        .fold(Counts::default(), Counts::plus)
}

fn number_before(result: &str, word: &str) -> u64 {
    let words: Vec<&str> = result.split([' ', ';', '.']).filter(|w| !w.is_empty()).collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs
        .filter(|(_, after)| **after == word)
        .find_map(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

/// The lines of tests that ended so: `ignored` or `FAILED`.
pub(crate) fn named<'a>(output: &'a str, ending: &str) -> Vec<&'a str> {
    let ending = format!(" ... {ending}");
    let is_test = |line: &&str| line.starts_with("test ") && line.contains(&ending);
    output.lines().filter(is_test).collect()
}

/// What failed tests printed: the blocks that start with `---- name stdout ----`, up to the list of
/// names that follows them, each cut to so many lines.
pub(crate) fn printed(output: &str, lines: usize) -> Vec<&str> {
    let mut printed = Vec::new();
    let mut left = None;
    for line in output.lines() {
        if line.starts_with("---- ") && line.ends_with(" stdout ----") {
            left = Some(lines);
        } else if line == "failures:" {
            left = None;
        }
        match left {
            Some(0) => left = None,
            Some(n) => {
                left = n.checked_sub(1);
                printed.push(line);
            }
            None => {}
        }
    }
    printed
}

/// The last lines of a log, oldest first.
pub(crate) fn tail(output: &str, lines: usize) -> Vec<&str> {
    let mut tail: Vec<&str> = output.lines().rev().take(lines).collect();
    tail.reverse();
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
     Running unittests src/lib.rs (target/debug/deps/a)

running 3 tests
test a::b ... ok
test a::c ... FAILED
test a::d ... ignored, needs time

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests open_local_core
mke2fs 1.47.0test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s
";

    #[test]
    fn every_result_line_is_summed() {
        let counts = count(OUTPUT);
        assert_eq!((counts.passed, counts.failed, counts.ignored), (13, 1, 1));
        assert_eq!(counts.total(), 15);
    }

    #[test]
    fn odd_text_counts_nothing() {
        for odd in ["", "test result:", "test result: ok. x passed; failed", "passed; failed"] {
            assert_eq!(count(odd), Counts::default(), "{odd}");
        }
    }

    #[test]
    fn tests_are_named_by_their_ending() {
        assert_eq!(named(OUTPUT, "ignored"), ["test a::d ... ignored, needs time"]);
        assert_eq!(named(OUTPUT, "FAILED"), ["test a::c ... FAILED"]);
    }

    #[test]
    fn what_a_failed_test_printed_is_found_far_from_the_end() {
        let block =
            "failures:\n\n---- a::c stdout ----\nleft: 1\nright: 2\n\nfailures:\n    a::c\n";
        let log = format!("{OUTPUT}{block}{}", "running 0 tests\n".repeat(500));
        assert_eq!(printed(&log, 9), ["---- a::c stdout ----", "left: 1", "right: 2", ""]);
        assert_eq!(printed(&log, 2), ["---- a::c stdout ----", "left: 1"]);
        assert!(printed(OUTPUT, 9).is_empty());
    }

    #[test]
    fn a_tail_keeps_order_and_bound() {
        assert_eq!(tail("a\nb\nc\n", 2), ["b", "c"]);
        assert_eq!(tail("a", 9), ["a"]);
    }
}
