//! Times by step and side, and the table made of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// The times of each side in each step.
#[derive(Debug, Default)]
pub struct Lanes(RefCell<BTreeMap<(String, String), Vec<Duration>>>);

/// The value at a quarter of the sorted times, counted from 0 to 4; zero where there are none.
#[must_use]
pub fn quartile(times: &[Duration], quarter: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let last = sorted.len().saturating_sub(1);
    let at = last.saturating_mul(quarter) / 4;
    sorted.get(at).copied().unwrap_or_default()
}

/// The median; zero where there are none.
#[must_use]
pub fn median(times: &[Duration]) -> Duration {
    quartile(times, 2)
}

/// Milliseconds with two places.
#[must_use]
pub fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

impl Lanes {
    /// Adds a time.
    pub fn add(&self, step: &str, side: &str, time: Duration) {
        let mut lanes = self.0.borrow_mut();
        let lane = lanes.entry((step.to_owned(), side.to_owned()));
        lane.or_default().push(time);
    }

    /// The times of a side in a step.
    #[must_use]
    pub fn times(&self, step: &str, side: &str) -> Vec<Duration> {
        let key = (step.to_owned(), side.to_owned());
        self.0.borrow().get(&key).cloned().unwrap_or_default()
    }

    /// A Markdown table: medians in milliseconds of every side, with the middle half of the
    /// times, and how many times longer than the first side the others take. Steps that were not
    /// run are left out.
    #[must_use]
    pub fn table(&self, title: &str, steps: &[&str], sides: &[&str]) -> String {
        let mut text = format!("| {title} | rounds |");
        for side in sides {
            text.push_str(&format!(" {side} |"));
        }
        for side in sides.iter().skip(1) {
            text.push_str(&format!(" {side} ÷ ours |"));
        }
        text.push_str("\n|---|--:|");
        text.push_str(&"--:|".repeat(sides.len().saturating_mul(2).saturating_sub(1)));
        for step in steps {
            let times: Vec<_> = sides.iter().map(|side| self.times(step, side)).collect();
            if times.iter().any(Vec::is_empty) {
                continue;
            }
            let ours = times.first().map(|times| median(times)).unwrap_or_default();
            let rounds = times.first().map_or(0, Vec::len);
            text.push_str(&format!("\n| {step} | {rounds} |"));
            for lane in &times {
                let (low, high) = (quartile(lane, 1), quartile(lane, 3));
                let middle = millis(median(lane));
                text.push_str(&format!(" {middle} ({}–{}) |", millis(low), millis(high)));
            }
            for lane in times.iter().skip(1) {
                let ratio = median(lane).as_secs_f64() / ours.as_secs_f64();
                text.push_str(&format!(" {ratio:.2} |"));
            }
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(millis: &[u64]) -> Vec<Duration> {
        millis.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn quartiles_are_values_of_the_sorted_times() {
        let times = times(&[50, 10, 40, 20, 30]);
        let of = |quarter| quartile(&times, quarter).as_millis();
        assert_eq!([of(0), of(1), of(2), of(3), of(4)], [10, 20, 30, 40, 50]);
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn the_table_compares_with_the_first_side() {
        let lanes = Lanes::default();
        lanes.add("create", "ours", Duration::from_millis(2));
        lanes.add("create", "tools", Duration::from_millis(3));
        lanes.add("grow", "ours", Duration::from_millis(2));
        let table = lanes.table("xfs", &["create", "grow"], &["ours", "tools"]);
        assert_eq!(
            table,
            "| xfs | rounds | ours | tools | tools ÷ ours |\n\
             |---|--:|--:|--:|--:|\n\
             | create | 1 | 2.00 (2.00–2.00) | 3.00 (3.00–3.00) | 1.50 |\n"
        );
    }
}
