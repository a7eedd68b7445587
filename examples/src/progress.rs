//! Progress bars for long work.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use open_local_core::host::{Progress, Silent};
use open_local_core::{Bytes, Op, Subject};

/// Bars on standard error, one for each piece of work under way.
#[derive(Debug, Default)]
pub struct Bars {
    screen: MultiProgress,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    /// Bars if standard error is a terminal and they are wanted, else nothing.
    #[must_use]
    pub fn if_terminal(wanted: bool) -> Arc<dyn Progress> {
        if wanted && std::io::stderr().is_terminal() {
            Arc::new(Self::default())
        } else {
            Arc::new(Silent)
        }
    }

    fn start(&self, name: &str, total: Bytes) -> ProgressBar {
        let template = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}";
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = ProgressBar::new(total.get()).with_style(style);
        bar.set_message(name.to_owned());
        self.screen.add(bar)
    }
}

impl Progress for Bars {
    fn advanced(&self, op: Op, subject: &Subject, done: Bytes, total: Bytes) {
        let name = format!("{op}: {subject}");
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if done >= total {
            if let Some(bar) = bars.remove(&name) {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = bars.entry(name).or_insert_with_key(|name| self.start(name, total));
        bar.set_length(total.get());
        bar.set_position(done.get());
    }
}
