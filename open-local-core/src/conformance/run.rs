//! Runs cases one after the other and judges each.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use super::Fixture;
use super::case::{Case, Checked, Failure, Need};
use super::lab::Context;
use super::report::{Report, Verdict};

/// Every case of the suite, those that others rest on first.
#[must_use]
pub fn cases() -> &'static [Case] {
    static ALL: LazyLock<Vec<Case>> = LazyLock::new(super::cases::all);
    &ALL
}

/// Runs the cases whose names contain `filter` (all for an empty one), one at a time.
///
/// A panic of the backend fails the case it happens in.
#[must_use]
pub fn run(fixture: &dyn Fixture, filter: &str) -> Report {
    let mut report = Report::new(fixture.name());
    let chosen = cases().iter().filter(|case| case.name().contains(filter));
    match guarded(|| Context::survey(fixture)) {
        Ok(context) => {
            for case in chosen {
                let verdict = judge(case, &context, &report);
                report.add(*case, verdict);
            }
        }
        Err(Failure(why)) => {
            report.note(format!("the first pool and volume could not be made: {why}"));
            for case in chosen {
                report.add(*case, Verdict::NotRun("there is no pool".to_owned()));
            }
        }
    }
    if let Err(Failure(why)) = guarded(|| Ok(fixture.dispose()?)) {
        report.note(format!("the last pool could not be disposed of: {why}"));
    }
    report
}

fn judge(case: &Case, context: &Context<'_>, so_far: &Report) -> Verdict {
    for need in case.needed() {
        match need.of_pool(&context.can) {
            Some(false) => return Verdict::NotApplicable(format!("the pool has no {need}")),
            None if !offers(context.fixture, *need) => {
                return Verdict::NotRun(format!("the fixture offers no {need}"));
            }
            _ => {}
        }
    }
    let (failed, not_run) = (so_far.failed(), so_far.not_run());
    for name in case.foundations() {
        if failed.contains(name) || not_run.contains(name) {
            return Verdict::NotRun(format!("rests on {name}, which did not pass"));
        }
    }
    match guarded(|| (case.body)(context).and_then(|()| no_leaks(context.fixture))) {
        Ok(()) => Verdict::Passed,
        Err(Failure(why)) => Verdict::Failed(why),
    }
}

fn offers(fixture: &dyn Fixture, need: Need) -> bool {
    match need {
        Need::SecondProcess => fixture.second_process().is_some(),
        #[cfg(feature = "fs")]
        Need::Filesystems => fixture.filesystems().is_some(),
        _ => false,
    }
}

/// Fails if anything lies around.
pub(crate) fn no_leaks(fixture: &dyn Fixture) -> Checked {
    let leaks = fixture.leaks()?;
    super::case::check!(leaks.is_empty(), "left behind: {}", leaks.join(", "));
    Ok(())
}

fn guarded<T>(body: impl FnOnce() -> Checked<T>) -> Checked<T> {
    // What a panic may have left broken belongs to the fixture, whose next `fresh` replaces it.
    catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|panic| Err(Failure(format!("panicked: {}", said(panic.as_ref())))))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_foundations_come_first() {
        let mut seen = BTreeSet::new();
        for case in cases() {
            assert!(case.name().contains('/'), "{case:?}");
            assert!(case.proves().ends_with('.'), "{case:?}");
            for name in case.foundations() {
                assert!(seen.contains(name), "{name} does not come before {case:?}");
            }
            assert!(seen.insert(case.name()), "{case:?} stands twice");
        }
    }

    #[test]
    fn a_panic_becomes_a_failure() {
        let failure = guarded::<()>(|| panic!("at {}", "once")).unwrap_err();
        assert_eq!(failure, Failure("panicked: at once".to_owned()));
    }
}
