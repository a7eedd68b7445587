//! Where the time of our side goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::lanes::millis;
use crate::rounds::timed;

/// What is told apart.
pub const KINDS: [&str; 7] =
    ["flush file", "flush folder", "list loops", "loop", "lock", "read", "change"];

/// Number and duration of calls to the machine, by kind.
type Entries = BTreeMap<&'static str, (u32, Duration)>;

/// Books calls to the machine while they are made.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

impl Ledger {
    /// Does the work and books its time.
    pub(crate) fn book<T>(&self, kind: &'static str, work: impl FnOnce() -> T) -> T {
        let (time, answer) = timed(work);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut entries, kind, 1, time);
        answer
    }

    /// Forgets what is booked; answers it.
    fn take(&self) -> Entries {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn add(entries: &mut Entries, kind: &'static str, count: u32, time: Duration) {
    let (counts, times) = entries.entry(kind).or_default();
    *counts = counts.saturating_add(count);
    *times = times.saturating_add(time);
}

/// The first lines of a Markdown table of [`Account::row`]s.
#[must_use]
pub fn header(title: &str) -> String {
    let names = KINDS.map(|kind| format!(" {kind} |")).concat();
    format!("| {title} | ms |{names}\n|---|--:|{}", "--:|".repeat(KINDS.len()))
}

/// What one step cost, over several rounds.
#[derive(Debug, Default)]
pub struct Account {
    rounds: u32,
    total: Duration,
    entries: Entries,
}

impl Account {
    /// Times the work, and takes what the ledger booked of it.
    pub fn book(&mut self, ledger: &Ledger, work: impl FnOnce()) {
        drop(ledger.take());
        let (time, ()) = timed(work);
        self.rounds = self.rounds.saturating_add(1);
        self.total = self.total.saturating_add(time);
        for (kind, (count, time)) in ledger.take() {
            add(&mut self.entries, kind, count, time);
        }
    }

    /// A line of a Markdown table: the mean time of a round in milliseconds, then for each kind
    /// its share of that time and the number of calls.
    #[must_use]
    pub fn row(&self, step: &str) -> String {
        let mean = self.total.checked_div(self.rounds).unwrap_or_default();
        let mut text = format!("| {step} | {} |", millis(mean));
        for kind in KINDS {
            let (count, time) = self.entries.get(kind).copied().unwrap_or_default();
            let calls = f64::from(count) / f64::from(self.rounds.max(1));
            let share = 100.0 * time.as_secs_f64() / self.total.as_secs_f64();
            text.push_str(&format!(" {share:.0} % in {calls:.0} |"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_holds_what_was_booked_in_its_rounds_and_nothing_else() {
        let (ledger, mut account) = (Ledger::default(), Account::default());
        ledger.book("read", || ());
        account.book(&ledger, || {
            ledger.book("change", || std::hint::black_box(()));
            ledger.book("change", || ());
        });
        ledger.book("change", || ());
        assert_eq!(account.rounds, 1);
        assert_eq!(account.entries.len(), 1);
        assert_eq!(account.entries.get("change").map(|(count, _)| *count), Some(2));
        assert!(account.row("create").ends_with("% in 2 |"));
    }
}
