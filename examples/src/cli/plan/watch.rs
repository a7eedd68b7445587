//! Progress and the time limit of a simulation.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use open_local_core::host::{Clock, SystemClock};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use crate::plan::simulate::Watch;

/// Work that ends sooner shows no bar.
const QUIET: Duration = Duration::from_millis(500);

/// A bar on standard error if that is a terminal, and an end after some time.
#[derive(Debug)]
pub(super) struct Progress {
    start: Duration,
    limit: Duration,
    shows: bool,
    bar: RefCell<Option<ProgressBar>>,
}

impl Progress {
    pub(super) fn new(wanted: bool, limit: Duration) -> Self {
        let shows = wanted && std::io::stderr().is_terminal();
        Self { start: SystemClock.monotonic(), limit, shows, bar: RefCell::new(None) }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn show(&self, done: usize, total: usize) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let bar = self.bar.take().unwrap_or_else(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} pods {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            ProgressBar::new(count(total)).with_style(style).with_message("place")
        });
        bar.set_length(count(total));
        bar.set_position(count(done));
        let _ = self.bar.replace(Some(bar));
    }
}

impl Watch for Progress {
    fn advanced(&self, done: usize, total: usize) -> Result<()> {
        let spent = SystemClock.monotonic().saturating_sub(self.start);
        if spent > self.limit {
            self.finish();
            let message = format!(
                "not done within {} seconds: {done} of {total} pods were placed",
                self.limit.as_secs()
            );
            return Err(Error::new(
                ErrorKind::Timeout,
                Op::PlanChange,
                Subject::value("cluster"),
                message,
            )
            .with_remedy("raise --time-limit, lower --search-limit, or describe less"));
        }
        if self.shows && spent > QUIET {
            self.show(done, total);
        }
        Ok(())
    }
}
