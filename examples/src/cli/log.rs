//! Log lines on standard error.

use tracing::level_filters::LevelFilter;

use crate::context::{Globals, LogFormat, LogLevel};

/// Starts logging; a second call in one process changes nothing. Who looks at a service has nothing
/// but its log, so that one `serves` says more where nobody said how much.
pub(super) fn start(globals: &Globals, serves: bool) {
    let usual = if serves { LogLevel::Info } else { LogLevel::Warn };
    let level = match globals.log_level.unwrap_or(usual) {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // It would complain on standard error, and panic if that is what can't be written.
        .log_internal_errors(false)
        .with_max_level(level);
    // An error means that a subscriber is there already, which is then the one that was wanted.
    let _ = match globals.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
