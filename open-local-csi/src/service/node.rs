//! Volumes on the machine that uses them.

mod direct;
mod expand;
mod info;
mod inline;
mod publish;
mod stage;
mod stats;
mod throttle;
mod volume;

pub use inline::Recovered;
pub use throttle::ThrottleOutcome;
